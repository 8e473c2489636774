//! Filter of the program's own log.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use super::words::one_of;

/// Parses levels by module, such as `info,kube_client=debug`. A level without a module applies to all others, `info` by
/// default. (The parser of `Targets` would read a mistyped level as the name of a module.)
pub(crate) fn parse(text: &str) -> Result<Targets, String> {
    let mut default = None;
    let mut modules = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        match item.split_once('=') {
            Some((module, name)) => modules.push((module_path(module.trim())?, level(name.trim())?)),
            None if default.is_some() => return Err("which gives two levels without a module".to_owned()),
            None => default = Some(level(item)?),
        }
    }
    Ok(Targets::new().with_default(default.unwrap_or(LevelFilter::INFO)).with_targets(modules))
}

/// The default: `info` for all modules.
pub(crate) fn default() -> Targets {
    Targets::new().with_default(LevelFilter::INFO)
}

fn level(name: &str) -> Result<LevelFilter, String> {
    let levels = [
        ("off", LevelFilter::OFF),
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    one_of(name, &levels).ok_or_else(|| format!("where {name:?} is not a level"))
}

fn module_path(module: &str) -> Result<String, String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':');
    if module.is_empty() || !module.chars().all(allowed) {
        return Err(format!("where {module:?} is not a module"));
    }
    Ok(module.to_owned())
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_level_applies_to_all_and_a_module_has_its_own() {
        let filter = parse("warn, kube_client=DEBUG").unwrap();
        assert!(filter.would_enable("anything", &Level::WARN) && !filter.would_enable("anything", &Level::INFO));
        assert!(filter.would_enable("kube_client::client", &Level::DEBUG));
    }

    #[test]
    fn without_a_level_for_all_it_is_info() {
        assert!(parse("hyper=off").unwrap().would_enable("anything", &Level::INFO));
        assert!(!parse("hyper=off").unwrap().would_enable("hyper", &Level::ERROR));
    }

    #[test]
    fn other_values_are_rejected() {
        for (text, problem) in [
            ("debgu", "where \"debgu\" is not a level"),
            ("kube=", "where \"\" is not a level"),
            ("=debug", "where \"\" is not a module"),
            ("info,debug", "which gives two levels without a module"),
            ("app[span]=debug", "where \"app[span]\" is not a module"),
        ] {
            assert_eq!(parse(text).unwrap_err(), problem, "{text}");
        }
    }
}
