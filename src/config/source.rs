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
    /// The flag's value, else that of the first variable that is set, also when it is empty.
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

    /// The typed value of a setting for which an empty value is the same as none.
    pub(crate) fn optional<T>(
        &self,
        setting: Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let given = self.given(setting)?;
        given.filter(|given| !given.text.is_empty()).map(|given| given.parse(parse)).transpose()
    }

    /// The typed value of a setting that an empty value turns off.
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

    /// As [`Source::optional`], for a path that `check` looks at, unless it is on another machine.
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
    /// Without spaces around it.
    pub(crate) text: String,
}

impl Given {
    /// The typed value. `parse` says what is wrong in a clause that begins with "which" or "where".
    pub(crate) fn parse<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, ConfigError> {
        parse(&self.text).map_err(|problem| {
            // The clause quotes the part that is wrong: where the value is masked, that may be the masked one.
            let may_tell = is_masked(&self.text) && problem.contains('"');
            let problem = if may_tell { "which does not fit" } else { &problem };
            ConfigError::value(self.origin, &quoted(&self.text), problem, self.setting)
        })
    }
}
