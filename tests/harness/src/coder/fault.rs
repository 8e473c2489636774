//! Injected faults.

use std::collections::VecDeque;

use super::Endpoint;

/// A fault of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Responds with this status and a JSON body, as Coder's own errors.
    Status(u16),
    /// Responds with this status and an HTML page, as a proxy does.
    Html(u16),
    /// Responds with this status and no body.
    Empty(u16),
    /// Responds with this status and plain text, as a firewall does.
    Text(u16),
    /// Never responds.
    Stall,
    /// Closes the connection before the request takes effect.
    CutBefore,
    /// Closes the connection after the request took effect, without a response.
    CutAfter,
}

/// A fault and the requests it applies to: all, unless narrowed.
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
    /// Limits it to the next `count` requests.
    pub fn times(self, count: u32) -> FaultRule {
        FaultRule::from(self).times(count)
    }

    /// Limits it to one endpoint.
    pub fn at(self, endpoint: Endpoint) -> FaultRule {
        FaultRule::from(self).at(endpoint)
    }

    /// Limits it to one token.
    pub fn to(self, token: &str) -> FaultRule {
        FaultRule::from(self).to(token)
    }

    /// Limits it to requests whose body contains this text.
    pub fn containing(self, text: &str) -> FaultRule {
        FaultRule::from(self).containing(text)
    }
}

impl FaultRule {
    /// Limits it to the next `count` matching requests.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.left = Some(count);
        self
    }

    /// Limits it to one endpoint.
    #[must_use]
    pub fn at(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Limits it to one token.
    #[must_use]
    pub fn to(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Limits it to requests whose body contains this text.
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

/// The active faults, oldest first.
#[derive(Debug, Default)]
pub(super) struct Faults(VecDeque<FaultRule>);

impl Faults {
    pub(super) fn add(&mut self, rule: FaultRule) {
        self.0.push_back(rule);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault for a request, if any; counts as one use of it.
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
    fn a_fault_applies_to_matching_requests_up_to_its_count() {
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
