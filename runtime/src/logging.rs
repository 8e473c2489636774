//! The log of the process.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

/// Format of the log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// Human-readable: time, level, module, message, `field=value`.
    #[default]
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

/// Logs to standard error in this format, filtered by `filter`. Further calls in the same process have no effect.
pub fn init(format: LogFormat, filter: Targets) {
    let colours = std::io::stderr().is_terminal();
    let _already_set = subscriber(format, filter, colours, std::io::stderr).try_init();
}

/// The subscriber of [`init`], with another writer.
pub fn subscriber<W>(format: LogFormat, filter: Targets, colours: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => lines.compact().boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter.and(ceiling())))
}

/// Maximum levels that no filter can raise, because log messages of libraries may contain tokens.
fn ceiling() -> Targets {
    Targets::new()
        // At trace, a library may show headers and bodies.
        .with_default(LevelFilter::DEBUG)
        .with_target("coder_logstream_kube", LevelFilter::TRACE)
        .with_target("logstream_core", LevelFilter::TRACE)
        .with_target("logstream_runtime", LevelFilter::TRACE)
        .with_target("logstream_webhook", LevelFilter::TRACE)
        .with_target("logstream_certs", LevelFilter::TRACE)
        // kube 5.0 logs a warning with the whole response that it could not decode, such as a pod with its token or a
        // Secret. The caller gets the error in any case.
        .with_target("kube_client::client", LevelFilter::OFF)
        .with_target("kube_client::client::builder", LevelFilter::DEBUG)
        .with_target("kube_client::client::tls", LevelFilter::DEBUG)
        // Below warn it logs errors that quote the object.
        .with_target("kube_runtime::watcher", LevelFilter::WARN)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, filter: &str, log: impl FnOnce()) -> String {
        let sink = Written::default();
        let writer = sink.clone();
        let subscriber = subscriber(format, filter.parse().unwrap(), false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_has_the_message_and_its_fields() {
        let text = written(LogFormat::Text, "info", || tracing::info!(namespace = "dev", "watching"));
        assert!(text.ends_with("watching namespace=\"dev\"\n"), "{text}");
    }

    #[test]
    fn json_is_one_flat_object_a_line() {
        let text = written(LogFormat::Json, "info", || tracing::info!(namespace = "dev", "watching"));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["message"], &line["namespace"]), (&"watching".into(), &"dev".into()));
    }

    #[test]
    fn the_filter_applies() {
        let log = || tracing::debug!("detail");
        assert_eq!(written(LogFormat::Text, "info", log), "");
        assert!(written(LogFormat::Text, "logstream_runtime=debug", log).contains("detail"));
    }

    #[test]
    fn no_filter_lets_an_undecodable_answer_through() {
        let text = written(LogFormat::Text, "trace", || {
            tracing::warn!(target: "kube_client::client", "the whole pod");
            tracing::debug!(target: "kube_runtime::watcher", "an error that quotes it");
            tracing::trace!(target: "hyper::proto::h1", "headers");
            tracing::error!(target: "kube_client::client::builder", "failed with status 500");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("failed with status 500"));
    }

    #[test]
    fn setting_it_twice_does_no_harm() {
        init(LogFormat::Text, Targets::new());
        init(LogFormat::Json, Targets::new());
    }
}
