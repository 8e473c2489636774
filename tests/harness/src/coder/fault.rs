//! Faults on demand.

use std::collections::VecDeque;

use super::Endpoint;

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This status, with a JSON body as Coder's own errors have.
    Status(u16),
    /// This status with a page of HTML, as a proxy in between answers.
    Html(u16),
    /// This status without a body.
    Empty(u16),
    /// This status with plain text, as a firewall answers.
    Text(u16),
    /// Accepted and never answered.
    Stall,
    /// The connection ends before the request takes effect.
    CutBefore,
    /// The request takes effect and the connection ends before it is answered.
    CutAfter,
}

/// A fault, and which requests it is for: all, unless narrowed.
#[derive(Debug, Clone)]
pub struct FaultRule {
    pub(super) fault: Fault,
    left: Option<u32>,
    endpoint: Option<Endpoint>,
    token: Option<String>,
    text: Option<String>,
}

impl From<Fault> for FaultRule {
    fn from(fault: Fault) -> Self {
        Self { fault, left: None, endpoint: None, token: None, text: None }
    }
}

impl Fault {
    /// For the next `count` requests only.
    pub fn times(self, count: u32) -> FaultRule {
        FaultRule::from(self).times(count)
    }

    /// For one endpoint only.
    pub fn at(self, endpoint: Endpoint) -> FaultRule {
        FaultRule::from(self).at(endpoint)
    }

    /// For one token only.
    pub fn to(self, token: &str) -> FaultRule {
        FaultRule::from(self).to(token)
    }

    /// For requests whose body contains this text only.
    pub fn containing(self, text: &str) -> FaultRule {
        FaultRule::from(self).containing(text)
    }
}

impl FaultRule {
    /// For the next `count` requests that fit only.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.left = Some(count);
        self
    }

    /// For one endpoint only.
    #[must_use]
    pub fn at(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// For one token only.
    #[must_use]
    pub fn to(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// For requests whose body contains this text only.
    #[must_use]
    pub fn containing(mut self, text: &str) -> Self {
        self.text = Some(text.to_owned());
        self
    }

    fn fits(&self, endpoint: Endpoint, token: &str, body: &[u8]) -> bool {
        let contains = |text: &str| String::from_utf8_lossy(body).contains(text);
        self.left != Some(0)
            && self.endpoint.is_none_or(|one| one == endpoint)
            && self.token.as_deref().is_none_or(|one| one == token)
            && self.text.as_deref().is_none_or(contains)
    }
}

/// The faults in force, oldest first.
#[derive(Debug, Default)]
pub(super) struct Faults(VecDeque<FaultRule>);

impl Faults {
    pub(super) fn add(&mut self, rule: FaultRule) {
        self.0.push_back(rule);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault for a request, which uses it up by one.
    pub(super) fn next(&mut self, endpoint: Endpoint, token: &str, body: &[u8]) -> Option<Fault> {
        let rule = self.0.iter_mut().find(|rule| rule.fits(endpoint, token, body))?;
        rule.left = rule.left.map(|left| left - 1);
        let fault = rule.fault.clone();
        self.0.retain(|rule| rule.left != Some(0));
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_used_as_often_as_it_says_and_for_whom_it_says() {
        let mut faults = Faults::default();
        faults.add(Fault::Status(500).times(2).to("a"));
        faults.add(Fault::Stall.at(Endpoint::LogSource));
        assert_eq!(faults.next(Endpoint::Logs, "b", b"a line"), None);
        assert_eq!(faults.next(Endpoint::Logs, "a", b"a line"), Some(Fault::Status(500)));
        assert_eq!(faults.next(Endpoint::LogSource, "a", b"a line"), Some(Fault::Status(500)));
        assert_eq!(faults.next(Endpoint::Logs, "a", b"a line"), None);
        assert_eq!(faults.next(Endpoint::LogSource, "b", b"a line"), Some(Fault::Stall));
        faults.add(Fault::Html(403).containing("other"));
        faults.add(Fault::Empty(451).containing("line"));
        assert_eq!(faults.next(Endpoint::Logs, "b", b"a line"), Some(Fault::Empty(451)));
        faults.clear();
        assert_eq!(faults.next(Endpoint::LogSource, "b", b"a line"), None);
    }
}
