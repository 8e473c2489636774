//! Whether tokens in Secrets and ConfigMaps can be read.

/// `true` or `false`, in any case.
pub(crate) fn parse(text: &str) -> Result<bool, String> {
    text.to_ascii_lowercase().parse().map_err(|_| "which is neither true nor false".to_owned())
}
