//! The disposition of a request's lines, by the answer: the single table.

use std::time::Duration;

use crate::coder::Failure;

/// The next step after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// Delivered.
    Sent,
    /// The agent is not valid yet: hold its lines and try steadily.
    NotYet,
    /// The token belongs to a new agent (a claimed prebuilt workspace), or the workspace restarts: register the log
    /// source again, then send again.
    Reregister,
    /// The token is revoked: drop its lines.
    Revoked,
    /// A temporary failure: hold the lines and retry later.
    Retry,
    /// The rate limit is reached: pause all agents, then continue with this one.
    Pause(Option<Duration>),
    /// The agent's log is full: drop its lines, including later ones.
    Full,
    /// Coder rejects the request as malformed: drop the line at fault.
    Drop,
}

/// The agent's standing when the answer arrives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// Coder has accepted its token before.
    pub(crate) accepted: bool,
    /// No object carries its token any more.
    pub(crate) ended: bool,
}

/// The disposition of a result. The agent's standing matters only for 401.
pub(crate) fn dispose(result: Result<(), &Failure>, standing: Standing) -> Disposition {
    let Err(failure) = result else { return Disposition::Sent };
    match failure {
        Failure::Unauthorized => match (standing.accepted, standing.ended) {
            (false, _) => Disposition::NotYet,
            (true, false) => Disposition::Reregister,
            (true, true) => Disposition::Revoked,
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

    const NEW: Standing = Standing { accepted: false, ended: false };
    const WORKED: Standing = Standing { accepted: true, ended: false };
    const ENDED: Standing = Standing { accepted: false, ended: true };
    const WORKED_AND_ENDED: Standing = Standing { accepted: true, ended: true };

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
    fn a_401_of_a_live_agent_that_worked_reregisters() {
        assert_eq!(dispose(Err(&Failure::Unauthorized), WORKED), Disposition::Reregister);
    }

    #[test]
    fn a_401_of_an_agent_that_worked_and_ended_is_over() {
        assert_eq!(dispose(Err(&Failure::Unauthorized), WORKED_AND_ENDED), Disposition::Revoked);
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
    fn an_answer_that_is_not_coders_is_retried() {
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
