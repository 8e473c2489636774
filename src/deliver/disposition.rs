//! What becomes of a request's lines: the one table.

use std::time::Duration;

use crate::coder::Failure;

/// What to do after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    /// It is done.
    Sent,
    /// The agent has not come to be: hold, and try steadily.
    NotYet,
    /// The agent is another one now (a claimed prebuilt workspace), or restarts: register the source again, then
    /// send again.
    Claimed,
    /// The agent is gone for good: drop what is held.
    Over,
    /// Trouble that passes: hold, and send again later.
    Retry,
    /// The limit is reached: nobody sends for a while, then this one first.
    Pause(Option<Duration>),
    /// The agent's log takes no more: drop what is held and what comes.
    Full,
    /// Coder cannot read what we sent, and never will: drop it.
    Drop,
}

/// What is known of the agent when the answer comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Coder has accepted its token before.
    pub(super) worked: bool,
    /// No object carries its token any more.
    pub(super) ended: bool,
}

/// The table. 401 is the only row in which the agent's standing matters.
pub(super) fn dispose(result: Result<(), &Failure>, standing: Standing) -> Disposition {
    let Err(failure) = result else { return Disposition::Sent };
    match failure {
        Failure::Unauthorized => match (standing.worked, standing.ended) {
            (false, _) => Disposition::NotYet,
            (true, false) => Disposition::Claimed,
            (true, true) => Disposition::Over,
        },
        Failure::Server { .. }
        | Failure::Timeout
        | Failure::Network { .. }
        | Failure::NotCoder { .. }
        | Failure::BodyTooLarge => Disposition::Retry,
        Failure::Limited { retry_after } => Disposition::Pause(*retry_after),
        Failure::TooLarge => Disposition::Full,
        Failure::BadRequest { .. } => Disposition::Drop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Standing = Standing { worked: false, ended: false };
    const WORKED: Standing = Standing { worked: true, ended: false };
    const ENDED: Standing = Standing { worked: false, ended: true };
    const WORKED_AND_ENDED: Standing = Standing { worked: true, ended: true };

    fn everywhere(failure: &Failure, expected: Disposition) {
        for standing in [NEW, WORKED, ENDED, WORKED_AND_ENDED] {
            assert_eq!(dispose(Err(failure), standing), expected, "{failure} {standing:?}");
        }
    }

    #[test]
    fn success_is_sent() {
        assert_eq!(dispose(Ok(()), NEW), Disposition::Sent);
        assert_eq!(dispose(Ok(()), WORKED_AND_ENDED), Disposition::Sent);
    }

    #[test]
    fn a_401_of_an_agent_that_never_worked_is_not_yet() {
        assert_eq!(dispose(Err(&Failure::Unauthorized), NEW), Disposition::NotYet);
        assert_eq!(dispose(Err(&Failure::Unauthorized), ENDED), Disposition::NotYet);
    }

    #[test]
    fn a_401_of_an_agent_that_worked_and_lives_is_a_claim() {
        assert_eq!(dispose(Err(&Failure::Unauthorized), WORKED), Disposition::Claimed);
    }

    #[test]
    fn a_401_of_an_agent_that_worked_and_ended_is_over() {
        assert_eq!(dispose(Err(&Failure::Unauthorized), WORKED_AND_ENDED), Disposition::Over);
    }

    #[test]
    fn a_5xx_or_408_is_retried() {
        everywhere(&Failure::Server { status: 500 }, Disposition::Retry);
        everywhere(&Failure::Server { status: 408 }, Disposition::Retry);
    }

    #[test]
    fn a_lost_request_is_retried() {
        everywhere(&Failure::Network { reason: "reset".into(), connected: true }, Disposition::Retry);
        everywhere(&Failure::Timeout, Disposition::Retry);
    }

    #[test]
    fn what_is_not_coder_is_retried() {
        everywhere(&Failure::NotCoder { reason: "a web page".into() }, Disposition::Retry);
    }

    #[test]
    fn a_429_pauses() {
        let retry_after = Some(Duration::from_mins(1));
        everywhere(&Failure::Limited { retry_after }, Disposition::Pause(retry_after));
        everywhere(&Failure::Limited { retry_after: None }, Disposition::Pause(None));
    }

    #[test]
    fn a_413_is_full() {
        everywhere(&Failure::TooLarge, Disposition::Full);
    }

    #[test]
    fn a_400_is_dropped() {
        everywhere(&Failure::BadRequest { message: "no".into() }, Disposition::Drop);
    }
}
