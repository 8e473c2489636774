//! Scenarios of the catalogue on a real API server, one of each kind, and their page in a real browser.
#![allow(clippy::expect_used, clippy::panic, reason = "a helper of a test may end it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DEMO: &str = env!("CARGO_BIN_EXE_logstream-demo");

/// One of each kind: real, captured, made from its message, and about a claim and a node.
const SCENARIOS: [&str; 6] =
    ["quota_exceeded", "storage_class_missing", "exit_126", "taint_manager", "autoscaler_max", "node_system_oom"];

/// Writes the colours that the browser computed into the page.
const PROBE: &str = "<script>const colour = (one, what) => getComputedStyle(document.querySelector(one))[what];
document.body.dataset.page = colour('body', 'backgroundColor');
document.body.dataset.error = colour('.error', 'color');
document.body.dataset.debug = colour('.debug', 'color');
document.body.dataset.icon = colour('.icon', 'color');
</script></body>";

/// Width and height of the screenshot.
const SIZE: (u32, u32) = (1_100, 800);

fn demo(html: &Path) -> Output {
    let mut command = Command::new(DEMO);
    command.args(SCENARIOS.map(|name| format!("--scenario={name}"))).arg("--html").arg(html);
    // The product's binary, if it was built together with this test. Otherwise the demo builds it.
    let product: PathBuf = Path::new(DEMO).with_file_name("coder-logstream-kube");
    if product.is_file() {
        command.arg("--program").arg(product);
    }
    command.output().expect("the demo starts")
}

/// Runs the browser; `None` if there is none. `scheme` is 0 for dark and 1 for light.
fn chromium(directory: &Path, scheme: u32, arguments: &[&str]) -> Option<Output> {
    let profile = format!("--user-data-dir={}", directory.join("profile").display());
    let scheme = format!("--blink-settings=preferredColorScheme={scheme}");
    let common =
        ["60", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", &profile, &scheme];
    let output = Command::new("timeout").args(common).args(arguments).output().ok()?;
    // Exit code of `timeout` if the program was not found.
    (output.status.code() != Some(127)).then_some(output)
}

/// Width and height, from the header of a PNG.
fn size(png: &[u8]) -> (u32, u32) {
    let number = |at: usize| png[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    assert!(png.starts_with(b"\x89PNG"), "a PNG");
    (number(16), number(20))
}

fn screenshot(directory: &Path, scheme: u32, page: &str) -> Option<Vec<u8>> {
    let file = directory.join("page.png");
    let shot = format!("--screenshot={}", file.display());
    let window = format!("--window-size={},{}", SIZE.0, SIZE.1);
    let output = chromium(directory, scheme, &[&shot, &window, page])?;
    Some(fs::read(&file).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr))))
}

#[test]
fn scenarios_explain_their_cause_and_a_browser_shows_the_page() {
    let directory = tempfile::tempdir().expect("a directory");
    let html = directory.path().join("logs.html");
    let output = demo(&html);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("6 of 6 scenarios explain their cause to the owner (3 real, 1 captured, 2 by"), "{stdout}");

    let page = fs::read_to_string(&html).expect("the page");
    let probed = directory.path().join("probed.html");
    fs::write(&probed, page.replace("</body>", PROBE)).expect("the page is written");
    let url = |path: &Path| format!("file://{}", path.display());
    let dom = |scheme| {
        let output = chromium(directory.path(), scheme, &["--dump-dom", &url(&probed)])?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (Some(light), Some(dark)) = (dom(1), dom(0)) else {
        println!("skipped: no chromium to show the page (Debian's package chromium)");
        return;
    };
    for text in ["ada/quota-exceeded", "exceeded quota: team", "Exit code 126 usually means", "System OOM encountered"]
    {
        assert!(light.contains(text), "{text}: {light}");
    }
    for (dom, colours) in [
        (
            &light,
            ["data-page=\"rgb(250, 250, 250)\"", "data-error=\"rgb(153, 27, 27)\"", "data-icon=\"rgb(50, 108, 229)\""],
        ),
        (
            &dark,
            ["data-page=\"rgb(9, 9, 11)\"", "data-error=\"rgb(252, 165, 165)\"", "data-icon=\"rgb(107, 155, 255)\""],
        ),
    ] {
        for colour in colours {
            assert!(dom.contains(colour), "{colour}: {}", dom.split("<body").nth(1).unwrap_or_default());
        }
    }
    let shots = [1, 0].map(|scheme| screenshot(directory.path(), scheme, &url(&html)).expect("a browser"));
    let blank = directory.path().join("blank.html");
    fs::write(&blank, "<title>blank</title>").expect("the page is written");
    let blank = screenshot(directory.path(), 1, &url(&blank)).expect("a browser");
    for shot in &shots {
        assert_eq!(size(shot), SIZE);
        assert!(shot.len() > 5 * blank.len(), "{} bytes, and a blank page {}", shot.len(), blank.len());
    }
    assert_ne!(shots[0], shots[1], "light and dark look the same");
}
