//! Logs a condition once until it changes or ends.

/// Remembers the condition that was logged last, such as the text of an error that is retried.
#[derive(Clone, Debug)]
pub struct LogOnce<T = ()>(Option<T>);

impl<T> Default for LogOnce<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: PartialEq> LogOnce<T> {
    /// Returns true if the condition is to be logged: it differs from the one passed last.
    pub fn is_new(&mut self, condition: T) -> bool {
        let condition = Some(condition);
        let is_new = self.0 != condition;
        self.0 = condition;
        is_new
    }

    /// Ends the condition, so that the next one is logged again. Returns true if there was one.
    pub fn end(&mut self) -> bool {
        self.0.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_new_until_it_was_passed_and_after_it_ended() {
        let mut logged = LogOnce::default();
        assert!(!logged.end());
        assert!(logged.is_new("no route"));
        assert!(!logged.is_new("no route"));
        assert!(logged.is_new("timeout"));
        assert!(logged.end());
        assert!(logged.is_new("timeout"));
    }
}
