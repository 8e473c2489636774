//! A copy of Coder's rate limiter (go-chi/httprate): windows of a minute by its own clock, with the previous one
//! weighted.

use std::time::Duration;

use tokio::time::Instant;

use crate::coder::Rate;

pub(crate) struct Limiter {
    limit: u32,
    start: Instant,
    /// The server's clock at `start`, in seconds since 1970.
    clock: f64,
    window: i64,
    current: u32,
    previous: u32,
    pub(crate) counted: u32,
    pub(crate) refused: u32,
}

impl Limiter {
    /// Creates a limiter with the server's clock this far into a window.
    pub(crate) fn new(limit: u32, into_window: Duration) -> Self {
        let clock = 1_784_541_600.0 + into_window.as_secs_f64();
        Self { limit, start: Instant::now(), clock, window: 0, current: 0, previous: 0, counted: 0, refused: 0 }
    }

    pub(crate) fn request(&mut self, now: Instant) -> Result<Rate, Rate> {
        let clock = self.clock + now.duration_since(self.start).as_secs_f64();
        let window = (clock / 60.0).floor() as i64;
        match window - self.window {
            0 => {}
            1 => (self.previous, self.current) = (self.current, 0),
            _ => (self.previous, self.current) = (0, 0),
        }
        self.window = window;
        let into = clock - window as f64 * 60.0;
        let used = (f64::from(self.previous) * (60.0 - into) / 60.0 + f64::from(self.current)).round() as u32;
        let rate = |remaining| Rate {
            limit: self.limit,
            remaining,
            reset: Some((window + 1) * 60),
            date: Some(clock.floor() as i64),
        };
        if used + 1 > self.limit {
            self.refused += 1;
            return Err(rate(self.limit.saturating_sub(used)));
        }
        self.current += 1;
        self.counted += 1;
        Ok(rate(self.limit - used - 1))
    }
}
