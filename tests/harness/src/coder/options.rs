//! How a stand-in begins.

use std::time::Duration;

use super::rate_limit::WINDOW;

/// So many requests in a window, per address and endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many.
    pub requests: u32,
    /// In what time; Coder's is a minute.
    pub window: Duration,
}

impl Default for RateLimit {
    /// Coder's own: 512 a minute.
    fn default() -> Self {
        Self { requests: 512, window: WINDOW }
    }
}

/// How a stand-in begins; without changes, as Coder is by default, without TLS.
#[derive(Debug, Clone, Copy)]
pub struct CoderOptions {
    pub(super) rate_limit: Option<RateLimit>,
    pub(super) budget: usize,
    pub(super) latency: Duration,
    pub(super) tls: bool,
    pub(super) own_ca: bool,
    pub(super) journal: bool,
}

impl Default for CoderOptions {
    fn default() -> Self {
        // 1 MiB of output per agent.
        Self {
            rate_limit: Some(RateLimit::default()),
            budget: 1 << 20,
            latency: Duration::ZERO,
            tls: false,
            own_ca: false,
            journal: false,
        }
    }
}

impl CoderOptions {
    /// As Coder is by default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another rate limit.
    #[must_use]
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = Some(limit);
        self
    }

    /// No rate limit and none of its headers.
    #[must_use]
    pub fn without_rate_limit(mut self) -> Self {
        self.rate_limit = None;
        self
    }

    /// Another budget of output per agent, in bytes.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self
    }

    /// How long each request takes.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Remembers each request (see [`super::CoderStandIn::journal`]).
    #[must_use]
    pub fn journal(mut self) -> Self {
        self.journal = true;
        self
    }

    /// HTTPS, with a certificate that is its own CA, as `openssl req -x509` makes it.
    #[must_use]
    pub fn own_ca(mut self) -> Self {
        (self.tls, self.own_ca) = (true, true);
        self
    }

    /// HTTPS, with a certificate of an authority of its own (see [`super::CoderStandIn::ca_pem`]).
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }
}
