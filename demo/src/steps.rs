//! Progress output: one line per step, with its duration.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::{MissedTickBehavior, interval};

use crate::style::Style;

/// Refresh interval of a running step's time.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// Runs a step. On a terminal `doing` is shown meanwhile. At the end, prints the duration and the text that `work`
/// returned.
pub(crate) async fn step<T, D: Display>(
    style: Style,
    doing: &str,
    work: impl Future<Output = Result<(T, D)>>,
) -> Result<T> {
    let started = Instant::now();
    let mut work = std::pin::pin!(work);
    let mut draw = interval(DRAWN_EVERY);
    draw.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            _ = draw.tick(), if style.terminal() => {
                print!("\r\u{1b}[K{} {doing}", time(style, started.elapsed()));
                let _ = io::stdout().flush();
            }
        }
    };
    clear(style);
    let (value, done) = result?;
    println!("{} {done}", time(style, started.elapsed()));
    Ok(value)
}

/// Clears the line of a running step.
pub(crate) fn clear(style: Style) {
    if style.terminal() {
        print!("\r\u{1b}[K");
        let _ = io::stdout().flush();
    }
}

fn time(style: Style, elapsed: Duration) -> String {
    style.dim(&format!("{:>6.1} s ", elapsed.as_secs_f64()))
}
