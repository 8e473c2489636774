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
    /// The value of this setting.
    pub(crate) fn value(&self, setting: Setting) -> Value<'_> {
        Value { source: self, setting }
    }
}

/// The value of one setting, not parsed yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    source: &'a Source<'a>,
    setting: Setting,
}

impl Value<'_> {
    /// The value of the flag, or else of the first variable that is set, even if empty.
    pub(crate) fn given(self) -> Result<Option<Given>, ConfigError> {
        let Self { source, setting } = self;
        let flag = source.flags.try_get_one::<OsString>(setting.flag).ok().flatten();
        let from_flag = flag.map(|value| (Origin::Flag(setting.flag), value.as_os_str()));
        let found = from_flag.or_else(|| {
            let mut variables = setting.variables.iter();
            variables.find_map(|variable| {
                Some((Origin::Variable { variable, flag: setting.flag }, source.environment.get(variable)?))
            })
        });
        let Some((origin, value)) = found else { return Ok(None) };
        match value.to_str() {
            Some(text) => Ok(Some(Given { setting, origin, text: text.trim().to_owned() })),
            None => Err(ConfigError::value(origin, "not shown", "which is not valid UTF-8", setting)),
        }
    }

    /// True if it has a value that is not empty.
    pub(crate) fn is_given(self) -> bool {
        matches!(self.given(), Ok(Some(given)) if !given.text.is_empty())
    }

    /// Parses the value, also an empty one.
    pub(crate) fn even_if_empty<T>(
        self,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        self.given()?.map(|given| given.parse(parse)).transpose()
    }

    /// Parses the value; an empty one counts as absent.
    pub(crate) fn optional<T>(self, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, ConfigError> {
        let given = self.given()?;
        given.filter(|given| !given.text.is_empty()).map(|given| given.parse(parse)).transpose()
    }

    /// Like [`Value::optional`], with a default.
    pub(crate) fn or<T>(self, default: T, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, ConfigError> {
        Ok(self.optional(parse)?.unwrap_or(default))
    }

    /// Like [`Value::optional`], for a setting without a default.
    pub(crate) fn required<T>(self, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, ConfigError> {
        self.optional(parse)?.ok_or_else(|| ConfigError::missing(self.setting, "is required"))
    }

    /// Parses the value of a setting that an empty value turns off. The default may depend on the environment.
    pub(crate) fn switchable<T>(
        self,
        parse: impl FnOnce(&str) -> Result<T, String>,
        default: impl FnOnce(&Environment) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        match self.given()? {
            Some(given) if given.text.is_empty() => Ok(None),
            Some(given) => given.parse(parse).map(Some),
            None => Ok(default(self.source.environment)),
        }
    }

    /// Like [`Value::optional`], for a path. `check` is skipped if the path is on another machine.
    pub(crate) fn path(
        self,
        check: impl FnOnce(&str) -> Result<PathBuf, String>,
    ) -> Result<Option<PathBuf>, ConfigError> {
        self.optional(|text| if self.source.environment.elsewhere { Ok(text.into()) } else { check(text) })
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
