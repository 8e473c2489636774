//! Label selectors of Kubernetes objects.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// Labels of an object.
pub(super) type Labels = BTreeMap<String, String>;

/// True if the selector selects an object with these labels. An absent selector selects every object.
pub(super) fn matches(selector: Option<&LabelSelector>, labels: &Labels) -> bool {
    let Some(selector) = selector else { return true };
    selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().flatten().all(|requirement| holds(requirement, labels))
}

fn holds(requirement: &LabelSelectorRequirement, labels: &Labels) -> bool {
    let value = labels.get(&requirement.key);
    let listed = |value: &String| requirement.values.iter().flatten().any(|one| one == value);
    match requirement.operator.as_str() {
        "In" => value.is_some_and(listed),
        "NotIn" => value.is_none_or(|value| !listed(value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

/// Labels of an object that the selector selects, if there can be one.
pub(super) fn example(selector: Option<&LabelSelector>) -> Option<Labels> {
    let mut labels = Labels::new();
    if let Some(selector) = selector {
        labels.extend(selector.match_labels.clone().unwrap_or_default());
        for requirement in selector.match_expressions.iter().flatten() {
            let value = match requirement.operator.as_str() {
                "In" => requirement.values.iter().flatten().next().cloned(),
                "Exists" => Some("doctor".to_owned()),
                _ => None,
            };
            if let Some(value) = value {
                labels.entry(requirement.key.clone()).or_insert(value);
            }
        }
    }
    matches(selector, &labels).then_some(labels)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selector() -> LabelSelector {
        serde_json::from_value(json!({
            "matchLabels": { "team": "a" },
            "matchExpressions": [
                { "key": "tier", "operator": "In", "values": ["one", "two"] },
                { "key": "name", "operator": "NotIn", "values": ["kube-system"] },
                { "key": "coder", "operator": "Exists" },
                { "key": "hidden", "operator": "DoesNotExist" },
            ],
        }))
        .unwrap()
    }

    #[test]
    fn all_requirements_must_hold() {
        let labels = example(Some(&selector())).unwrap();
        assert!(matches(Some(&selector()), &labels));
        for (key, value) in [("team", "b"), ("tier", "three"), ("name", "kube-system"), ("hidden", "")] {
            let mut other = labels.clone();
            other.insert(key.to_owned(), value.to_owned());
            assert!(!matches(Some(&selector()), &other), "{key}={value}");
        }
        let mut other = labels;
        other.remove("coder");
        assert!(!matches(Some(&selector()), &other));
        assert!(matches(None, &Labels::new()));
    }

    #[test]
    fn a_contradiction_has_no_example() {
        let never =
            json!({ "matchLabels": { "a": "b" }, "matchExpressions": [{ "key": "a", "operator": "DoesNotExist" }] });
        assert_eq!(example(Some(&serde_json::from_value(never).unwrap())), None);
    }
}
