//! Coder's clock agrees with this machine's.

use futures::FutureExt;

use super::coder_reachable::answer;
use crate::doctor::{
    Context,
    check::{Check, Group, Problem, Severity, Verdict},
};

/// Maximum difference in seconds. Beyond it, lines seem to come before or after the facts that they are about.
const MAX_SECONDS: u64 = 30;

pub(super) const CHECK: Check = Check {
    id: "coder-clock",
    group: Group::Coder,
    description: "Coder's clock agrees with this machine's",
    expected: "a difference of at most 30 s",
    severity: Severity::Warning,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    let Some(date) = answer(context).await?.date else {
        return Err(Problem::skipped("the response has no date"));
    };
    judge(date, context.clock.now().as_second())
}

fn judge(coder: i64, here: i64) -> Verdict {
    let seconds = coder.abs_diff(here);
    // The date has whole seconds and was made before it arrived.
    if seconds <= 1 {
        return Ok("no difference".to_owned());
    }
    let found = format!("Coder's clock is {seconds} s {}", if coder > here { "ahead" } else { "behind" });
    if seconds <= MAX_SECONDS { Ok(found) } else { Err(Problem::unmet(found, "synchronize both clocks by NTP")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_difference_in_either_direction_is_found() {
        assert!(judge(100, 101).is_ok() && judge(130, 100).is_ok());
        let Err(Problem::Unmet(ahead)) = judge(193, 100) else { panic!("it passed") };
        assert_eq!(ahead.found, "Coder's clock is 93 s ahead");
        let Err(Problem::Unmet(behind)) = judge(0, 100) else { panic!("it passed") };
        assert_eq!(behind.found, "Coder's clock is 100 s behind");
    }
}
