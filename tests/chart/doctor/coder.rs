//! Checks of Coder.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Result, ensure};
use logstream_testing::coder::{Endpoint, Fault, RateLimit};
use logstream_testing::{CoderOptions, CoderStandIn};

use super::report::{Report, report};
use crate::context::TestContext;

/// A report about Coder at this URL, with these variables.
async fn about(context: &TestContext, url: &str, environment: &[(&str, &str)]) -> Result<Report> {
    let home = context.home.name();
    let arguments = ["--", "--coder-url", url, "--namespaces", home];
    report(context.cluster.as_ref().kubeconfig(), &arguments, environment).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coder_that_is_away_or_is_another_server_fails() -> Result<()> {
    let context = TestContext::new("doctor-coder").await?;
    let url = context.coder.url();
    let report = about(&context, &url, &[]).await?;
    for (id, found) in [
        ("coder-reachable", &*url),
        ("coder-version", "v2."),
        ("coder-redirects", "no redirect"),
        ("coder-rate-limit", "of 512 requests"),
        ("coder-clock", "no difference"),
    ] {
        report.shows(id, "passed", found)?;
    }

    context.coder.fault(Fault::Html(200));
    about(&context, &url, &[]).await?.shows("coder-reachable", "failed", "not Coder at this URL")?;
    context.coder.clear_faults();
    context.coder.fault(Fault::Html(404).at(Endpoint::LogSource));
    let report = about(&context, &url, &[]).await?;
    report.shows("coder-reachable", "passed", "")?;
    report.shows("coder-version", "failed", "answers otherwise")?;
    context.coder.clear_faults();

    context.coder.refuse(true)?;
    let report = about(&context, &url, &[]).await?;
    report.shows("coder-reachable", "failed", &url)?;
    report.shows("coder-version", "skipped", "coder-reachable did not pass")?;
    ensure!(report.code == Some(1), "{report:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_that_is_low_or_used_up_is_found() -> Result<()> {
    let context = TestContext::new("doctor-limit").await?;
    let url = context.coder.url();
    context.coder.rate_limit(None);
    about(&context, &url, &[]).await?.shows("coder-rate-limit", "passed", "no rate limit")?;
    let limit = |requests| Some(RateLimit { requests, window: Duration::from_mins(1) });
    context.coder.rate_limit(limit(10));
    about(&context, &url, &[]).await?.shows("coder-rate-limit", "warning", "9 of 10 requests")?;
    context.coder.rate_limit(limit(1));
    about(&context, &url, &[]).await?;
    about(&context, &url, &[]).await?.shows("coder-rate-limit", "warning", "used up")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_ca_fails() -> Result<()> {
    let context = TestContext::new("doctor-tls").await?;
    let coder = CoderStandIn::start(CoderOptions::new().tls())?;
    let url = coder.url();
    let scratch = tempfile::tempdir()?;
    let write = |name: &str, pem: &str| {
        let path = scratch.path().join(name);
        std::fs::write(&path, pem).map(|()| path.display().to_string())
    };
    let own = write("own.crt", coder.ca_pem().unwrap_or_default())?;
    let other = CoderStandIn::start(CoderOptions::new().tls())?;
    let other = write("other.crt", other.ca_pem().unwrap_or_default())?;

    let report = about(&context, &url, &[("SSL_CERT_FILE", &own)]).await?;
    report.shows("coder-reachable", "passed", "")?;
    report.shows("coder-certificate", "passed", "valid until")?;
    // On a laptop its own CA certificates are used, which may differ from the program's.
    let report = about(&context, &url, &[("SSL_CERT_FILE", &other)]).await?;
    report.shows("coder-reachable", "failed", "not issued by a trusted CA")?;
    report.shows("coder-certificate", "warning", "not issued by a trusted CA")?;
    let report = about(&context, &url, &[]).await?;
    report.shows("coder-certificate", "failed", "not issued by a trusted CA")
}

/// Serves responses to requests in turn, each on a connection of its own.
fn serve(responses: Vec<String>) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for response in responses {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(response.as_bytes());
        }
    });
    Ok(url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_and_a_wrong_clock_are_found() -> Result<()> {
    let context = TestContext::new("doctor-redirect").await?;
    let body = r#"{"version": "v2.30.0"}"#;
    let moved =
        "HTTP/1.1 301 Moved\r\nlocation: /coder/api/v2/buildinfo\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let info = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: Mon, 20 Jul 2015 10:00:07 GMT\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let url = serve(vec![moved.to_owned(), info])?;
    let report = about(&context, &url, &[]).await?;
    report.shows("coder-redirects", "warning", &format!("redirects to {url}/coder"))?;
    report.shows("coder-clock", "warning", "s behind")
}
