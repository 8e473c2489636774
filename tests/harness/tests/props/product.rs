//! The product as a child process, played by a small server.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::Duration;

use logstream_testing::{Product, ports};

const SOON: Duration = Duration::from_secs(20);

fn server() -> PathBuf {
    example!("small_server")
}

#[tokio::test]
async fn it_is_waited_for_scraped_and_ended() {
    let address = ports::free();
    let builder = Product::builder(server()).arg(address.to_string()).env("ONLY", "this");
    let mut product = builder.start().unwrap();
    product.wait_ready(&format!("http://{address}/readyz"), SOON).await.unwrap();
    let metrics = product.metrics(&format!("http://{address}/metrics")).await.unwrap();
    assert_eq!(metrics.get("lines_total{reason=\"sent\"}"), Some(3.0));
    let (status, _) = product.sigterm_and_wait(SOON).unwrap();
    assert_eq!(status.signal(), Some(15));
    let output = product.output();
    assert!(output.contains("environment [(\"ONLY\", \"this\")]"), "{output}");
    assert!(output.contains("answered 503"), "{output}");
}

#[tokio::test]
async fn one_that_ends_at_once_says_why() {
    let mut product = Product::builder(server()).arg("not an address").start().unwrap();
    let error = product.wait_ready("http://127.0.0.1:1/readyz", SOON).await.unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("it ended"), "{text}");
    assert!(text.contains("invalid socket address"), "{text}");
    product.kill9();
    assert!(product.ended().is_some());
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let error = Product::builder("no/such/program").start().unwrap_err();
    assert!(format!("{error:#}").contains("no/such/program"));
}
