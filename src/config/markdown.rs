//! Renders docs/configuration.md from the command line's help, and checks that the file is current.

use std::fs;

use clap::Arg;

use super::command;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");

/// Environment variable. If it is set, the test writes the file instead of comparing it.
const UPDATE: &str = "UPDATE_DOCS";

const INTRODUCTION: &str = "\
# Configuration

Generated from `coder-logstream-kube --help`; a test checks that it is current, and \
`UPDATE_DOCS=1 cargo test --lib configuration_reference` rewrites it. The chart sets these flags from its \
[values](../helm/README.md).
";

fn render() -> String {
    let command = command();
    let mut text = INTRODUCTION.to_owned();
    let mut heading = None;
    for argument in command.get_arguments().filter(|argument| argument.get_help_heading().is_some()) {
        if argument.get_help_heading() != heading {
            heading = argument.get_help_heading();
            text += "\n## ";
            text += heading.unwrap_or_default();
            text += "\n\n| flag | environment | description |\n|---|---|---|\n";
        }
        text += &row(argument);
    }
    let notes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    text + "\n## Environment\n\n" + &notes + "\n"
}

fn row(argument: &Arg) -> String {
    let value = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
    let long = argument.get_long().unwrap_or_default();
    let short = argument.get_short().map(|short| format!(", `-{short}`")).unwrap_or_default();
    let aliases = argument.get_visible_aliases().unwrap_or_default();
    let aliases = aliases.iter().fold(String::new(), |text, alias| text + ", `--" + alias + "`");
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let (help, variables) = help.split_once(" [env: ").unwrap_or((&help, ""));
    let variables: Vec<String> = variables
        .trim_end_matches(']')
        .split(", ")
        .filter(|name| !name.is_empty())
        .map(|name| format!("`{name}`"))
        .collect();
    let help = help.replace('|', "\\|");
    format!("| `--{long} {value}`{short}{aliases} | {} | {help} |\n", variables.join(", "))
}

#[test]
#[expect(clippy::disallowed_methods, reason = "chooses between writing and comparing")]
fn the_configuration_reference_is_current() {
    let text = render();
    if std::env::var_os(UPDATE).is_some() {
        fs::write(FILE, &text).unwrap();
    }
    let hint = "run UPDATE_DOCS=1 cargo test --lib configuration_reference";
    assert_eq!(fs::read_to_string(FILE).unwrap_or_default(), text, "{hint}");
}
