//! Why the API server refused a pod.

use super::names_missing;
use crate::render::quantity::requested;

/// For a pod that the API server refused.
pub(in crate::render) fn refused(message: &str) -> Option<String> {
    if let Some((_, quota)) = message.split_once("exceeded quota: ") {
        let name = quota.split(',').next().unwrap_or_default().trim();
        return Some(format!(
            "The namespace's quota \"{name}\" is used up{}. Stop a workspace you do not need, or ask your \
             administrator to raise it.",
            requested(quota)
        ));
    }
    let says = |words: &str| message.contains(words);
    let hint = if says("failed quota: ") {
        "The namespace's quota asks that the template sets requests or limits for its resources."
    } else if says("violates PodSecurity") {
        "The namespace's security policy does not allow what the template asks for. The template must be changed."
    } else if says("unable to validate against any security context constraint") {
        "The cluster's security context constraints do not allow what the template asks for. The template must be changed, \
         or an administrator must allow it."
    } else if says("error looking up service account") || names_missing(message, "serviceaccount") {
        "The ServiceAccount that the template names does not exist in this namespace."
    } else if says("no PriorityClass with name") {
        "The PriorityClass that the template names does not exist."
    } else if names_missing(message, "RuntimeClass") {
        "The RuntimeClass that the template names does not exist in this cluster."
    } else if says(" usage per Container") || says(" usage per Pod") || says("limit to request ratio per ") {
        "The template asks for more (or less) than the namespace's LimitRange allows."
    } else if says("failed calling webhook") {
        "A webhook that the cluster asks about each new pod does not answer. Kubernetes tries again by itself; if it goes \
         on, tell your administrator."
    } else if says(" denied the request") {
        "A policy of the cluster refused the pod."
    } else if says(" is invalid: ") {
        "Kubernetes does not accept the pod as the template describes it. The template must be changed."
    } else {
        return None;
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_known_refusal_is_explained() {
        for (message, word) in [
            (
                "pods \"a\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0",
                "quota \"q\"",
            ),
            ("pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\": x", "security policy"),
            (
                "pods \"a-\" is forbidden: error looking up service account sa1/missing: serviceaccount \"missing\" not found",
                "ServiceAccount",
            ),
            ("pods \"a-\" is forbidden: no PriorityClass with name missing was found", "PriorityClass"),
            ("pods \"a\" is forbidden: maximum memory usage per Container is 100Mi, but limit is 1Gi", "LimitRange"),
            (
                "pods \"a\" is forbidden: unable to validate against any security context constraint: [provider \
                 \"anyuid\": Forbidden: not usable by user or serviceaccount]",
                "security context constraints",
            ),
            ("pods \"a-\" is forbidden: pod rejected: RuntimeClass \"sysbox-runc\" not found", "RuntimeClass"),
            ("Internal error occurred: failed calling webhook \"x\": no endpoints available", "webhook"),
            ("Pod \"a\" is invalid: spec.containers[0].resources.requests: Invalid value: \"4Gi\"", "does not accept"),
        ] {
            let hint = refused(message).unwrap();
            assert!(hint.contains(word), "{hint}");
        }
        assert_eq!(refused("something new about a serviceaccount"), None);
    }
}
