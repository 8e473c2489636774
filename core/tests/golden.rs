//! The whole log of each scenario that was captured from a real kubelet, as its owner reads it.
//!
//! `UPDATE_GOLDEN=1 cargo test -p logstream-core --test golden` regenerates the logs. Each was read as an owner would
//! read it: one cause is one line, then a count; the advice fits, and the right party acts.

use std::{fmt::Write, fs, path::Path};

use logstream_scenarios::{Recording, captured_names, replay};

/// Time for which each scenario continues after its captured part, in seconds.
const AFTERWARDS: i64 = 3_600;

/// Maximum number of lines of a log.
const MOST: usize = 16;

fn log(recording: &Recording) -> String {
    let mut log = format!("{}\n\n", recording.description);
    for line in replay(recording, AFTERWARDS) {
        let _ = writeln!(log, "{:>5}s {:5} {}", line.after, line.level.as_str(), line.text);
    }
    log
}

#[test]
#[expect(clippy::disallowed_methods, reason = "chooses between writing and comparing")]
fn each_captured_scenario_reads_as_its_golden_log() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let names = captured_names();
    assert_eq!(names.len(), 128);
    let mut wrong = Vec::new();
    for name in names {
        let log = log(&Recording::captured(&name));
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
        if update {
            fs::write(&golden, &log).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if log != expected {
            wrong.push(format!("{name}\n{log}instead of\n{expected}"));
        }
        let lines = log.lines().count() - 2;
        if lines > MOST {
            wrong.push(format!("{name}: {lines} lines\n{log}"));
        }
    }
    assert!(wrong.is_empty(), "{} of the logs differ:\n{}", wrong.len(), wrong.join("\n"));
}
