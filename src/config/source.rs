//! Takes each setting's value from where it was given and parses it there.

use std::ffi::OsString;

use super::environment::Environment;
use super::error::{ConfigError, Origin};
use super::setting::Setting;
use super::show::{is_masked, quoted};

/// A value as it was given, with where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    setting: Setting,
    /// Where it was given.
    pub(crate) origin: Origin,
    /// Without spaces around it.
    pub(crate) text: String,
}

impl Given {
    /// The flag's value, else that of the first variable that is set, also when it is empty.
    pub(crate) fn find(
        setting: Setting,
        flag: Option<OsString>,
        environment: &Environment,
    ) -> Result<Option<Self>, ConfigError> {
        let from_flag = flag.map(|value| (Origin::Flag(setting.flag), value));
        let found = from_flag.or_else(|| {
            setting.variables.iter().find_map(|variable| {
                let value = environment.get(variable)?.to_owned();
                Some((Origin::Variable { variable, flag: setting.flag }, value))
            })
        });
        let Some((origin, value)) = found else { return Ok(None) };
        match value.into_string() {
            Ok(text) => Ok(Some(Self { setting, origin, text: text.trim().to_owned() })),
            Err(_) => Err(ConfigError::value(origin, "not shown", "which is not valid UTF-8", setting)),
        }
    }

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

/// The typed value of a setting for which an empty value is the same as none.
pub(crate) fn optional<T>(
    setting: Setting,
    flag: Option<OsString>,
    environment: &Environment,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, ConfigError> {
    let given = Given::find(setting, flag, environment)?;
    given.filter(|given| !given.text.is_empty()).map(|given| given.parse(parse)).transpose()
}
