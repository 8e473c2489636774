//! Requested and available quantities of a refused pod.

/// Formats the numbers of a quota: `q, requested: pods=1, used: pods=3, limited: pods=3` →
/// ` (pods: 3 of 3 used, 1 more needed)`. Empty if the message has another form.
pub(crate) fn requested(quota: &str) -> String {
    let part = |name: &str| -> Vec<(&str, &str)> {
        let Some((_, rest)) = quota.split_once(name) else { return Vec::new() };
        rest.split(": ").next().unwrap_or(rest).split(',').filter_map(|pair| pair.trim().split_once('=')).collect()
    };
    let find = |pairs: &[(&str, &str)], key: &str| pairs.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned());
    let (used, limited) = (part("used: "), part("limited: "));
    let each: Vec<String> = part("requested: ")
        .into_iter()
        .filter_map(|(resource, more)| {
            Some(format!(
                "{resource}: {} of {} used, {more} more needed",
                find(&used, resource)?,
                find(&limited, resource)?
            ))
        })
        .collect();
    if each.is_empty() { String::new() } else { format!(" ({})", each.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_is_named() {
        let quota =
            "q, requested: limits.memory=2Gi,pods=1, used: limits.memory=7Gi,pods=3, limited: limits.memory=8Gi,pods=3";
        assert_eq!(
            requested(quota),
            " (limits.memory: 7Gi of 8Gi used, 2Gi more needed; pods: 3 of 3 used, 1 more needed)"
        );
        assert_eq!(requested("q"), "");
    }
}
