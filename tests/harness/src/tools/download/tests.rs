//! Downloads from a server on loopback that fails in every way a network does.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;

const PROGRAM: &[u8] = b"#!/bin/sh\necho downloaded\n";

fn sha256(content: &[u8]) -> String {
    checksum::hex(&Sha256::digest(content))
}

fn answer(mut stream: TcpStream, status: &str, content: &[u8]) {
    let length = content.len();
    let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(content);
}

/// Serves the program, and its checksum as publishers do.
fn publisher(stream: TcpStream, request: &str) {
    if request.contains(".sha256") {
        answer(stream, "200 OK", sha256(PROGRAM).as_bytes());
    } else {
        answer(stream, "200 OK", PROGRAM);
    }
}

/// A mirror on loopback. Its threads end with the test process.
struct Mirror {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Mirror {
    /// Serves connections. `behaviour` gets each one after its request has been read, except for HEAD requests.
    fn serve(behaviour: impl Fn(TcpStream, &str) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let request = lines.next().unwrap_or_default();
                lines.take_while(|line| !line.is_empty()).for_each(drop);
                seen.lock().unwrap().push(request.clone());
                if request.starts_with("HEAD") {
                    answer(stream, "200 OK", b"");
                } else {
                    behaviour(stream, &request);
                }
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// The outcome of a download into an empty directory.
struct Outcome {
    directory: TempDir,
    installed: BTreeMap<Tool, PathBuf>,
    reports: String,
}

impl Outcome {
    /// Fails unless nothing was installed and a report has `reason`.
    fn refused(&self, reason: &str) {
        assert!(self.installed.is_empty(), "{:?}", self.installed);
        assert!(self.reports.contains(reason), "{reason}: {}", self.reports);
        let left = fs::read_dir(self.directory.path().join("cache")).unwrap().count();
        assert_eq!(left, 0, "an unverified file is in the cache");
    }
}

fn downloads(mirror: &str, pins: &str) -> Downloads {
    let (short, long) = (Duration::from_millis(300), Duration::from_secs(30));
    let limits = Limits { connect: short, answer: short, idle: short, file: long };
    Downloads { trust: Trust::Published, mirror: Some(mirror.to_owned()), pins: Pins::of(pins), limits }
}

fn pin(tool: Tool, sum: &str) -> String {
    let platform = Platform::current().unwrap();
    format!("{tool} {} {} {sum}\n", Release::of(tool, platform).unwrap().version, platform.name())
}

fn download(tools: &[Tool], downloads: &Downloads) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let (staging, cache) = (directory.path().join("staging"), directory.path().join("cache"));
    fs::create_dir(&staging).unwrap();
    fs::create_dir(&cache).unwrap();
    let mut reports = Vec::new();
    let mut report = |progress: &Progress<'_>| reports.push(format!("{progress:?}"));
    let installed = fetch(tools, &staging, |tool| cache.join(tool.name()), downloads, &mut report);
    Outcome { directory, installed, reports: reports.join("\n") }
}

#[test]
fn a_pinned_binary_is_installed_as_a_program() {
    let mirror = Mirror::serve(publisher);
    let outcome = download(&[Tool::Kubectl], &downloads(&mirror.url, &pin(Tool::Kubectl, &sha256(PROGRAM))));
    let output = Command::new(&outcome.installed[&Tool::Kubectl]).output().unwrap();
    assert_eq!(output.stdout, b"downloaded\n");
    assert!(outcome.reports.contains(PINNED), "{}", outcome.reports);
    let requests = mirror.requests();
    assert!(requests.iter().all(|request| !request.contains(".sha256")), "{requests:?}");
    assert!(requests[0].contains("/dl.k8s.io/release/v1."), "{requests:?}");
}

#[test]
fn without_a_pin_the_publishers_checksum_is_verified() {
    let mirror = Mirror::serve(publisher);
    let outcome = download(&[Tool::Kubectl, Tool::ApiServer], &downloads(&mirror.url, ""));
    assert_eq!(outcome.installed.len(), 2, "{}", outcome.reports);
    assert!(outcome.reports.contains(PUBLISHED), "{}", outcome.reports);
}

#[test]
fn pinned_only_builds_unpinned_tools_without_a_request() {
    let mirror = Mirror::serve(publisher);
    let pinned_only = Downloads { trust: Trust::Pinned, ..downloads(&mirror.url, "") };
    download(&[Tool::Kubectl], &pinned_only).refused("tests/cluster/checksums.txt");
    assert!(mirror.requests().is_empty());
}

#[test]
fn off_requests_nothing() {
    let mirror = Mirror::serve(publisher);
    let off = Downloads { trust: Trust::Off, ..downloads(&mirror.url, &pin(Tool::Kubectl, &sha256(PROGRAM))) };
    download(&[Tool::Kubectl], &off).refused("");
    assert!(mirror.requests().is_empty());
}

#[test]
fn the_program_in_an_archive_is_installed() {
    let platform = Platform::current().unwrap();
    let source = tempfile::tempdir().unwrap();
    let member = Release::of(Tool::Helm, platform).unwrap().member.unwrap();
    fs::create_dir(source.path().join(member.split('/').next().unwrap())).unwrap();
    fs::write(source.path().join(&member), PROGRAM).unwrap();
    let packed = Command::new("tar").arg("-czC").arg(source.path()).args(["-f", "-", &member]).output().unwrap();
    let pins = pin(Tool::Helm, &sha256(&packed.stdout));
    let mirror = Mirror::serve(move |stream, _| answer(stream, "200 OK", &packed.stdout));
    let outcome = download(&[Tool::Helm], &downloads(&mirror.url, &pins));
    assert_eq!(fs::read(&outcome.installed[&Tool::Helm]).unwrap(), PROGRAM);
}

#[test]
fn a_wrong_checksum_is_refused() {
    let mirror = Mirror::serve(publisher);
    let wrong = sha256(b"something else");
    download(&[Tool::Kubectl], &downloads(&mirror.url, &pin(Tool::Kubectl, &wrong))).refused(&wrong);
    let tampered = Mirror::serve(|stream, request| {
        let checksum = sha256(PROGRAM);
        answer(stream, "200 OK", if request.contains(".sha256") { checksum.as_bytes() } else { b"tampered" });
    });
    download(&[Tool::Kubectl], &downloads(&tampered.url, "")).refused("the file was discarded");
}

#[test]
fn a_missing_file_is_refused_and_others_of_its_host_are_tried() {
    let mirror = Mirror::serve(|stream, request| {
        if request.contains("kubectl") {
            answer(stream, "404 Not Found", b"not found");
        } else {
            publisher(stream, request);
        }
    });
    let outcome = download(&[Tool::Kubectl, Tool::Scheduler], &downloads(&mirror.url, ""));
    assert_eq!(outcome.installed.keys().collect::<Vec<_>>(), [&Tool::Scheduler], "{}", outcome.reports);
    assert!(outcome.reports.contains("HTTP status 404"), "{}", outcome.reports);
}

#[test]
fn a_truncated_file_is_refused() {
    let pins = pin(Tool::Kubectl, &sha256(PROGRAM));
    let announced = format!("content-length: {}\r\n", PROGRAM.len());
    for (length, reason) in [(announced, "kubectl"), (String::new(), sha256(&PROGRAM[..8]).as_str())] {
        let mirror = Mirror::serve(move |mut stream, _| {
            let _ = write!(stream, "HTTP/1.1 200 OK\r\n{length}connection: close\r\n\r\n");
            let _ = stream.write_all(&PROGRAM[..8]);
        });
        download(&[Tool::Kubectl], &downloads(&mirror.url, &pins)).refused(reason);
    }
}

#[test]
fn a_login_page_in_place_of_a_checksum_is_refused() {
    let portal = Mirror::serve(|stream, _| answer(stream, "200 OK", b"<html>Sign in</html>"));
    download(&[Tool::Kubectl], &downloads(&portal.url, "")).refused("contains no SHA-256 of kubectl");
}

#[test]
fn an_unreachable_host_is_probed_once() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome = download(&[Tool::Kubectl, Tool::Scheduler], &downloads(&format!("http://{port}"), ""));
    outcome.refused("tools: [Kubectl, Scheduler]");
}

#[test]
fn a_host_that_never_answers_is_given_up() {
    let black_hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", black_hole.local_addr().unwrap());
    download(&[Tool::Kubectl, Tool::Scheduler], &downloads(&url, "")).refused("tools: [Kubectl, Scheduler]");
}

#[test]
fn a_download_that_stalls_is_given_up_with_its_host() {
    let held = Mutex::new(Vec::new());
    let mirror = Mirror::serve(move |mut stream, request| {
        if request.contains(".sha256") {
            return publisher(stream, request);
        }
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", PROGRAM.len());
        let _ = stream.write_all(&PROGRAM[..8]);
        held.lock().unwrap().push(stream);
    });
    download(&[Tool::Kubectl, Tool::Scheduler], &downloads(&mirror.url, "")).refused("tools: [Kubectl, Scheduler]");
}

#[test]
fn the_list_for_pinning_has_every_tool_of_the_demo_on_each_platform() {
    let list = published_files();
    assert_eq!(list.lines().count(), Platform::ALL.len() * Tool::DEMO.len());
    for line in list.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        assert!(words.len() == 5 && words[1].starts_with('v') && words[3].starts_with("https://"), "{line}");
    }
}
