//! Options of the stand-in.

use std::time::Duration;

use super::rate_limit::WINDOW;

/// A rate limit per address and endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Number of requests per window.
    pub requests: u32,
    /// Length of the window; Coder's is a minute.
    pub window: Duration,
}

impl Default for RateLimit {
    /// Coder's own: 512 per minute.
    fn default() -> Self {
        Self { requests: 512, window: WINDOW }
    }
}

/// Options of the stand-in. The default is Coder's default configuration, without TLS.
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
    /// Coder's default configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the rate limit.
    #[must_use]
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = Some(limit);
        self
    }

    /// Switches off the rate limit and its headers.
    #[must_use]
    pub fn without_rate_limit(mut self) -> Self {
        self.rate_limit = None;
        self
    }

    /// Sets the budget of output per agent, in bytes.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self
    }

    /// Sets the latency of each request.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Records each request (see [`super::CoderStandIn::journal`]).
    #[must_use]
    pub fn journal(mut self) -> Self {
        self.journal = true;
        self
    }

    /// Serves HTTPS with a certificate that is its own CA, as made by `openssl req -x509`.
    #[must_use]
    pub fn own_ca(mut self) -> Self {
        (self.tls, self.own_ca) = (true, true);
        self
    }

    /// Serves HTTPS with a certificate of its own CA (see [`super::CoderStandIn::ca_pem`]).
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }
}
