use proptest::{prelude::*, sample::select};

use super::*;

const TOKEN: &str = "22222222-2222-4333-8444-555555555555";
const UID: &str = "13300d40-a721-4e0b-a6b7-fbb1d87cf92f";

fn masked(text: &str) -> String {
    let token = AgentToken::parse(TOKEN).unwrap();
    mask(text, &|candidate| candidate == token)
}

#[test]
fn secrets_are_masked_and_the_rest_stays() {
    for (text, expected) in [
        ("https://u:p@h/x and http://h/y", "https://***@h/x and http://h/y"),
        ("https://user:pa/ss@host/x", "https://***@host/x"),
        ("https://ghu@host/x", "https://***@host/x"),
        ("dial mysql root:hunter2@tcp(db:3306)/x", "dial mysql root:***@tcp(db:3306)/x"),
        ("https://u:secre…", "https://***"),
        ("token=abc, next", "token=***, next"),
        ("token: x", "token: ***"),
        (r#"{"token":"x","a":"b"}"#, r#"{"token":"***","a":"b"}"#),
        (r#"{\"token\": \"x\",\"a\":1}"#, r#"{\"token\": \"***\",\"a\":1}"#),
        (r#"{"password":"a\"b"}"#, r#"{"password":"***"}"#),
        ("PASSWORD: 'x y' z", "PASSWORD: '***' z"),
        ("password = x", "password = ***"),
        ("password=a&b=c", "password=***&b=c"),
        ("password=a,b)c end", "password=*** end"),
        ("api_key=x api-key: y API key: z", "api_key=*** api-key: *** API key: ***"),
        ("client-secret: x", "client-secret: ***"),
        ("access_key=x", "access_key=***"),
        ("?X-Amz-Signature=x&X-Amz-Date=1", "?X-Amz-Signature=***&X-Amz-Date=1"),
        ("https://h/b?sv=1&sig=a%2Fb&se=2", "https://h/b?sv=1&sig=***&se=2"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("Authorization: Basic dXNlcjpw and more", "Authorization: Basic *** and more"),
        ("got 'Basic dXNlcjpw'", "got 'Basic ***'"),
        ("Cookie: a=b; c=d", "Cookie: ***"),
        ("sh -c agent --token abc --verbose", "sh -c agent --token *** --verbose"),
        ("<token>abc</token>", "<token>***</token>"),
        ("pull ghp_0123456789abcdefghij failed", "pull *** failed"),
        ("ünï token=Ä €", "ünï token=*** €"),
        ("to\0ken=x a\nb\u{1b}[31m", "token=*** a b [31m"),
        ("pass\u{200b}word=x a\u{2028}b\u{2029}c\u{202e}d\u{2066}e\u{feff}", "password=*** a b cde"),
        ("env 2222\u{ad}2222-2222-4333-8444-\u{e0020}555555555555", "env ***"),
        ("gone \u{2192} Your password is needed", "gone -> Your password is needed"),
        ("env 22222222-2222-4333-8444-555555555555!", "env ***!"),
        ("env x22222222-2222-4333-8444-555555555555", "env x***"),
        ("env data22222222-2222-4333-8444-555555555555", "env data***"),
        ("env 22222222222243338444555555555555", "env ***"),
        ("env 22222222-2222-4333-8444-555555555555".to_uppercase().as_str(), "ENV ***"),
    ] {
        assert_eq!(masked(text), expected, "{text}");
    }
}

#[test]
fn the_end_of_a_long_name_marks_a_header() {
    let name = format!("{}authorization", "x-".repeat(100));
    assert_eq!(masked(&format!("{name}=Bearer abcdef")), format!("{name}=Bearer ***"));
}

/// Messages as a real kubelet and API server write them.
#[test]
fn ordinary_messages_stay_as_they_are() {
    for text in [
        "plain words".to_owned(),
        "secret \"agent-token\" not found".to_owned(),
        "couldn't find key token in Secret ns/agent".to_owned(),
        "couldn't find key password in Secret workspaces/secret".to_owned(),
        "references non-existent secret key: id_rsa".to_owned(),
        "failed to fetch anonymous token: unexpected status from GET request to http://h:5102/token?scope=x: 401"
            .to_owned(),
        "pull access denied: authorization failed: no basic auth credentials".to_owned(),
        "server message: insufficient_scope: authorization failed".to_owned(),
        "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\"".to_owned(),
        format!("Pulling image \"registry:5000/team/ws@sha256:{}\"", "ab".repeat(32)),
        format!("Pulling image \"ws:1.2@sha256:{}\"", "ab".repeat(32)),
        format!("https://registry:5000/team/ws@sha256:{}", "ab".repeat(32)),
        format!("back-off 20s restarting failed container=dev pod=coder-ada_workspaces({UID})"),
        format!("/var/lib/kubelet/pods/{UID}/volumes/kubernetes.io~nfs/data"),
        "Error creating: pods \"ws-5c5df6c99b-\" is forbidden: serviceaccount \"x\" not found".to_owned(),
        "MountVolume.SetUp failed for volume \"data\" : secret \"workspace-files\" not found".to_owned(),
        "Unable to retrieve some image pull secrets (registry-login); attempting to pull may not succeed.".to_owned(),
        "failed to fetch token: serviceaccounts \"workspace\" not found".to_owned(),
        "failed to fetch token: pod \"ws\" not found".to_owned(),
        "get credentials: certificates.cert-manager.io \"ws\" is forbidden: no".to_owned(),
        "MountVolume.SetUp failed for volume \"token\" : references non-existent secret key: x".to_owned(),
        "unexpected status from GET request to https://ghcr.io/token: 401 Unauthorized".to_owned(),
        "failed to fetch oauth token: Post \"https://auth.docker.io/token\": dial tcp: no such host".to_owned(),
        "Requesting bearer token: invalid status code from registry 403 (Forbidden)".to_owned(),
        "getting credentials: exec: executable aws not found".to_owned(),
    ] {
        assert_eq!(masked(&text), text);
    }
}

/// Similar messages with a secret.
#[test]
fn a_secret_beside_words_of_a_message_is_masked() {
    for text in [
        "fetch token: hunter22 \"workspace\" not found",
        "fetch token: hunter \"workspace\" is gone",
        "password: hunter \"x\" y",
        "password: hunter.two",
        "{\"token\" : \"hunter\"}",
        "volume \"token\" : hunter",
        "for volume \"a\" : token: hunter",
        "https://host/token: hunter",
        "https://host/x?token: 401 and https://host/token: 40hunter",
        "run/token: 401hunter",
        "bearer token: hunter",
        "Bearer hunter22: denied",
        "password: exechunter",
    ] {
        assert!(!masked(text).contains("hunter"), "{text} -> {}", masked(text));
    }
    assert_eq!(masked("pin: 401"), "pin: ***");
    assert_eq!(masked("run/token: 401"), "run/token: ***");
}

/// No message of the corpora is mistaken for one with a secret.
#[test]
fn messages_from_the_field_stay_as_they_are() {
    // A rule's name and its message look like a secret in quotes; the other one has credentials.
    const MASKED: [&str; 2] = ["verify-signature: 'failed to verify image", "mount redis://:****@"];
    let corpora = [
        include_str!("../../../tests/fixtures/messages.tsv"),
        include_str!("../../../tests/fixtures/held_out.tsv"),
        include_str!("../../../tests/fixtures/fresh.tsv"),
        include_str!("../../../tests/fixtures/unseen.tsv"),
    ];
    let messages = corpora.into_iter().flat_map(str::lines).filter_map(|line| line.split('\t').nth(3));
    let changed: Vec<_> = messages
        .filter(|text| masked(text) != *text && !MASKED.iter().any(|known| text.contains(known)))
        .map(masked)
        .collect();
    assert!(changed.is_empty(), "{changed:#?}");
}

/// Every notation of a named secret, with `NAME` and `VALUE` to be replaced.
const FORMS: [&str; 22] = [
    "NAME=VALUE",
    "NAME = VALUE",
    "NAME: VALUE",
    "NAME:VALUE",
    "NAME='VALUE'",
    "NAME=\"VALUE\"",
    "NAME: \"VALUE\"",
    "{\"NAME\":\"VALUE\"}",
    "{\"a\": 1, \"NAME\": \"VALUE\", \"b\": 2}",
    "{\\\"NAME\\\":\\\"VALUE\\\"}",
    "{'NAME': 'VALUE'}",
    "https://host/path?NAME=VALUE",
    "https://host/path?a=b&NAME=VALUE&c=d",
    "Get \"https://host/?NAME=VALUE\": EOF",
    "--NAME VALUE",
    "--NAME=VALUE",
    "env:\n  NAME: VALUE\n",
    "[NAME=VALUE]",
    "(NAME: VALUE)",
    "map[NAME:VALUE a:b]",
    "-H 'NAME: VALUE'",
    "<NAME>VALUE</NAME>",
];
const NAMES: [&str; 24] = [
    "token",
    "password",
    "passwd",
    "secret",
    "api_key",
    "api-key",
    "apiKey",
    "access_key",
    "access-key-id",
    "secretKey",
    "client-secret",
    "client_secret",
    "X-Amz-Signature",
    "sig",
    "X-Api-Key",
    "PRIVATE-TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "CODER_AGENT_TOKEN",
    "credentials",
    "private_key",
    "passphrase",
    "DB_PASS",
    "id_token",
    "pwd",
];

#[test]
fn the_file_of_users_is_no_password() {
    let text = "error mounting \"/x\" to rootfs at \"/etc/passwd\": mount /x:/etc/passwd (via /proc/self/fd/6)";
    assert_eq!(masked(text), text);
    assert!(!masked("passwd: hunter22").contains("hunter22"));
}

#[test]
fn a_quoted_path_is_no_name() {
    for shown in ["exec: \"/etc/passwd\": permission denied", "stat \"/run/secrets/app/token\": no such file"] {
        assert_eq!(masked(shown), shown);
    }
    for secret in ["{\"/run/token\": \"hunter22\"}", "cat /run/token: hunter22x", "\"token\": hunter22x"] {
        assert!(!masked(secret).contains("hunter22"), "{secret}");
    }
}

proptest! {
    #[test]
    fn a_named_secret_never_shows(
        form in select(&FORMS[..]), name in select(&NAMES[..]), case in 0..3_u8,
        value in "[A-Za-z0-9+/_.~-]{7,40}[0-9]", before in "[a-z ]{0,30} ", after in "[ ,.;)][a-z ]{0,30}"
    ) {
        let name = match case { 0 => name.to_owned(), 1 => name.to_uppercase(), _ => name.to_lowercase() };
        let text = format!("{before}{}{after}", form.replace("NAME", &name).replace("VALUE", &value));
        let shown = masked(&text);
        prop_assert!(!shown.contains(&value), "{} -> {}", text, shown);
        prop_assert!(shown.contains(before.trim()));
    }

    #[test]
    fn credentials_never_show(
        value in "[A-Za-z0-9+/]{10,40}[0-9]={0,2}", password in "[A-Za-z0-9!$%][A-Za-z0-9!$%^&*()/_+.~-]{6,20}[a-z]",
        scheme in select(&["Basic", "bearer", "BASIC", "Bearer"][..]), host in "[a-z]{1,10}(\\.[a-z]{2,5})?"
    ) {
        let text = format!("x {scheme} {value} and https://bob:{password}@{host}/path");
        let shown = masked(&text);
        prop_assert!(!shown.contains(&value), "{} -> {}", text, shown);
        prop_assert!(!shown.contains(&format!(":{password}")), "{} -> {}", text, shown);
        prop_assert!(shown.contains(&host), "{} -> {}", text, shown);
    }

    #[test]
    fn a_known_token_never_shows(before in "\\PC{0,20}", after in "\\PC{0,20}", upper in any::<bool>()) {
        let token = if upper { TOKEN.to_uppercase() } else { TOKEN.to_owned() };
        let shown = masked(&format!("{before}{token}{after}"));
        prop_assert!(!shown.contains(&token), "{}", shown);
    }

    #[test]
    fn any_text_is_masked(text in "(\\PC|token|secret|://|:|=|@|\"|'|\\\\| |basic |&){0,60}") {
        let shown = masked(&text);
        prop_assert!(shown.len() <= text.len() * (1 + MASK.len()));
    }
}
