//! The selection of pods for the webhook.

use std::sync::Arc;

use logstream_webhook::Policy;

use crate::config::Config;

/// The selection as the webhook applies it: labels are known at admission, fields such as the node or the phase are
/// not.
pub(super) fn of(config: &Config) -> Policy {
    let mut policy = Policy::default();
    if let Some(selector) = config.settings.label_selector.clone() {
        policy = policy.with_labels(Arc::new(move |labels| selector.matches(labels)));
    }
    if config.settings.field_selector.is_some() {
        policy = policy.confirmed_by_watch();
    }
    if !config.settings.resolve_references {
        policy = policy.without_references();
    }
    policy
}
