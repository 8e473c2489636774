//! The panic hook.

use std::any::Any;

/// Installs a hook that logs a panic's location and thread. Its message is logged only if it is a constant, because a
/// formatted one may contain secrets.
pub fn install_hook() {
    std::panic::set_hook(Box::new(|info| {
        let thread = std::thread::current();
        tracing::error!(
            location = info.location().map(tracing::field::display),
            thread = thread.name().unwrap_or("unnamed"),
            message = fixed_text(info.payload()),
            "panicked"
        );
    }));
}

fn fixed_text(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("not shown, it may hold a secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Tests the payload and not the hook: an installed hook would silence the other tests of this process.
    fn shown_of(panic: fn()) -> &'static str {
        fixed_text(&*std::panic::catch_unwind(panic).unwrap_err())
    }

    #[test]
    fn a_fixed_text_is_shown() {
        assert_eq!(shown_of(|| panic!("the queue was closed twice")), "the queue was closed twice");
    }

    #[test]
    fn a_formatted_text_is_not() {
        let shown = shown_of(|| {
            let token = String::from("a-secret");
            panic!("cannot send with {token}")
        });
        assert_eq!(shown, "not shown, it may hold a secret");
    }

    #[test]
    fn the_value_of_an_unwrap_is_not_printed() {
        fn refused() -> Result<(), String> {
            Err("a-secret".to_owned())
        }
        assert_eq!(shown_of(|| refused().unwrap()), "not shown, it may hold a secret");
    }
}
