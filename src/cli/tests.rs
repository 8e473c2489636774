use super::*;

fn command(args: &[&str], variables: &[(&str, &str)]) -> Result<Command, ConfigError> {
    Command::new(args.iter().copied(), &Environment::of(variables.iter().copied()))
}

fn asked(args: &[&str]) -> String {
    match command(args, &[]).unwrap_err() {
        ConfigError::Asked(text) => text,
        ConfigError::Wrong(text) => panic!("{text}"),
    }
}

#[test]
fn without_a_command_the_service_runs() {
    let url = ("CODER_URL", "https://coder.example.com");
    assert!(matches!(command(&["coder-logstream-kube"], &[url]), Ok(Command::Serve(_))));
    assert!(matches!(command(&["coder-logstream-kube", "--log-level=debug"], &[url]), Ok(Command::Serve(_))));
}

#[test]
fn a_command_is_the_first_argument() {
    assert!(matches!(command(&["coder-logstream-kube", "explain", "pod/dev"], &[]), Ok(Command::Explain(_))));
    assert!(matches!(command(&["/usr/bin/kubectl-logstream", "explain", "pod/dev"], &[]), Ok(Command::Explain(_))));
    let error = command(&["coder-logstream-kube", "--log-level", "debug", "explain"], &[]).unwrap_err();
    assert!(error.to_string().contains("a command is the first argument"), "{error}");
}

#[test]
fn an_unknown_argument_is_not_repeated() {
    let error = command(&["coder-logstream-kube", "https://u:hunter2@h"], &[]).unwrap_err().to_string();
    assert_eq!(error, "there is a value without a flag; --help lists the flags");
}

#[test]
fn help_lists_the_commands() {
    let help = asked(&["coder-logstream-kube", "--help"]);
    for text in ["Commands:\n", "  explain ", "  doctor ", "--coder-url <URL>"] {
        assert!(help.contains(text), "{text} is missing in {help}");
    }
}

#[test]
fn the_plugin_has_commands_only() {
    let help = asked(&["kubectl-logstream", "--help"]);
    assert!(help.contains("Usage: kubectl logstream") && !help.contains("--coder-url"), "{help}");
    // Like kubectl itself, and without reading the service's settings.
    assert_eq!(asked(&["kubectl-logstream"]), help);
}
