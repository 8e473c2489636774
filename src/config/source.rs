//! Finds and parses the value of each setting.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ArgMatches;

use super::environment::Environment;
use super::error::{ConfigError, Origin};
use super::setting::Setting;
use super::show::{is_masked, quoted};

/// The command line and the environment of one run.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    /// Values of the flags.
    pub(crate) flags: ArgMatches,
    /// Environment variables.
    pub(crate) environment: &'a Environment,
}

impl Source<'_> {
    /// The value of the flag, or else of the first variable that is set, even if empty.
    pub(crate) fn given(&self, setting: Setting) -> Result<Option<Given>, ConfigError> {
        let flag = self.flags.try_get_one::<OsString>(setting.flag).ok().flatten();
        let from_flag = flag.map(|value| (Origin::Flag(setting.flag), value.as_os_str()));
        let found = from_flag.or_else(|| {
            let mut variables = setting.variables.iter();
            variables.find_map(|variable| {
                Some((Origin::Variable { variable, flag: setting.flag }, self.environment.get(variable)?))
            })
        });
        let Some((origin, value)) = found else { return Ok(None) };
        match value.to_str() {
            Some(text) => Ok(Some(Given { setting, origin, text: text.trim().to_owned() })),
            None => Err(ConfigError::value(origin, "not shown", "which is not valid UTF-8", setting)),
        }
    }

    /// The parsed value of a setting; an empty one counts as absent.
    pub(crate) fn optional<T>(
        &self,
        setting: Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let given = self.given(setting)?;
        given.filter(|given| !given.text.is_empty()).map(|given| given.parse(parse)).transpose()
    }

    /// The parsed value of a setting that an empty value turns off.
    pub(crate) fn switchable<T>(
        &self,
        setting: Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
        default: impl FnOnce() -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        match self.given(setting)? {
            Some(given) if given.text.is_empty() => Ok(None),
            Some(given) => given.parse(parse).map(Some),
            None => Ok(default()),
        }
    }

    /// Like [`Source::optional`], for a path. `check` is skipped if the path is on another machine.
    pub(crate) fn path(
        &self,
        setting: Setting,
        check: impl FnOnce(&str) -> Result<PathBuf, String>,
    ) -> Result<Option<PathBuf>, ConfigError> {
        self.optional(setting, |text| if self.environment.elsewhere { Ok(text.into()) } else { check(text) })
    }

    /// True if the setting has a value that is not empty.
    pub(crate) fn has(&self, setting: Setting) -> bool {
        matches!(self.given(setting), Ok(Some(given)) if !given.text.is_empty())
    }
}

/// A value as it was given, with its origin.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    setting: Setting,
    /// The flag or variable.
    pub(crate) origin: Origin,
    /// The value, without spaces around it.
    pub(crate) text: String,
}

impl Given {
    /// Parses the value. The error of `parse` is a clause that begins with "which" or "where".
    pub(crate) fn parse<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, ConfigError> {
        parse(&self.text).map_err(|problem| {
            // The clause may quote a part of the value that is masked here.
            let may_tell = is_masked(&self.text) && problem.contains('"');
            let problem = if may_tell { "which is not valid" } else { &problem };
            ConfigError::value(self.origin, &quoted(&self.text), problem, self.setting)
        })
    }
}
