//! The settings: what each is called on the command line and in the environment, and what it accepts.

/// One setting. The first of its variables that is set counts; the flag comes before them all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Setting {
    /// The long flag, without dashes.
    pub(crate) flag: &'static str,
    /// Environment variables, the strongest first.
    pub(crate) variables: &'static [&'static str],
    /// The end of the sentence "expected …".
    pub(crate) accepted: &'static str,
}

macro_rules! settings {
    ($($name:ident: $flag:literal, $variables:expr, $accepted:expr;)*) => {
        $(pub(crate) const $name: Setting = Setting { flag: $flag, variables: &$variables, accepted: $accepted };)*
        /// Every setting, in the order of the help.
        pub(crate) const ALL: &[Setting] = &[$($name),*];
    };
}

const ADDRESS: &str = "an IP address with a port such as 127.0.0.1:8081, :PORT for all addresses, or empty for off";
const LIFETIME: &str = "a duration from 5s to 175200h such as 720h";
const CERTIFICATES: &str = "a file of one or more certificates in PEM";

settings! {
    CODER_URL: "coder-url", ["CODER_URL"],
        "an http or https URL such as https://coder.example.com, without user, password, query or fragment";
    KUBECONFIG: "kubeconfig", [],
        "the path of a kubeconfig file";
    NAMESPACES: "namespaces", ["CODER_NAMESPACES", "CODER_NAMESPACE"],
        "a list of namespaces separated by commas, each of at most 63 of a-z, 0-9 and -, or nothing for all namespaces";
    FIELD_SELECTOR: "field-selector", ["CODER_FIELD_SELECTOR"],
        "a list of FIELD=VALUE, FIELD==VALUE or FIELD!=VALUE separated by commas, such as spec.nodeName!=node-1";
    LABEL_SELECTOR: "label-selector", ["CODER_LABEL_SELECTOR"],
        "a label selector of Kubernetes, such as app=coder,tier in (a,b),!legacy";
    RESOLVE_REFERENCES: "resolve-references", ["CODER_LOGSTREAM_RESOLVE_REFERENCES"], "true or false";
    WEBHOOK_ADDR: "webhook-addr", ["CODER_LOGSTREAM_WEBHOOK_ADDR"], ADDRESS;
    WEBHOOK_CERT_MODE: "webhook-cert-mode", ["CODER_LOGSTREAM_WEBHOOK_CERT_MODE"], "self-managed or mounted";
    WEBHOOK_CERT_DIR: "webhook-cert-dir", ["CODER_LOGSTREAM_WEBHOOK_CERT_DIR"],
        "a directory that holds tls.crt and tls.key";
    WEBHOOK_CERT_SECRET: "webhook-cert-secret", ["CODER_LOGSTREAM_WEBHOOK_CERT_SECRET"],
        "the name of a Secret, of at most 253 of a-z, 0-9, - and .";
    WEBHOOK_CA_LIFETIME: "webhook-ca-lifetime", ["CODER_LOGSTREAM_WEBHOOK_CA_LIFETIME"], LIFETIME;
    WEBHOOK_CERT_LIFETIME: "webhook-cert-lifetime", ["CODER_LOGSTREAM_WEBHOOK_CERT_LIFETIME"], LIFETIME;
    WEBHOOK_CONFIG_NAME: "webhook-config-name", ["CODER_LOGSTREAM_WEBHOOK_CONFIG_NAME"],
        "the name of a MutatingWebhookConfiguration, of at most 253 of a-z, 0-9, - and .";
    WEBHOOK_SERVICE: "webhook-service", ["CODER_LOGSTREAM_WEBHOOK_SERVICE"],
        "the name and the namespace of a Service with a dot between, such as coder-logstream-kube.coder";
    WEBHOOK_NAMES: "webhook-names", ["CODER_LOGSTREAM_WEBHOOK_NAMES"],
        "a list of DNS names and IP addresses separated by commas";
    WEBHOOK_CLIENT_CA: "webhook-client-ca", ["CODER_LOGSTREAM_WEBHOOK_CLIENT_CA"], CERTIFICATES;
    MIN_LEVEL: "min-level", ["CODER_LOGSTREAM_MIN_LEVEL"], "debug, warn or error";
    SKIP_REASONS: "skip-reasons", ["CODER_LOGSTREAM_SKIP_REASONS"],
        "a list of reasons of Kubernetes Events separated by commas, such as Pulling,Pulled";
    LOG_STYLE: "log-style", ["CODER_LOGSTREAM_LOG_STYLE"], "fancy or plain";
    LOG_FORMAT: "log-format", ["CODER_LOGSTREAM_LOG_FORMAT"], "text or json";
    LOG_LEVEL: "log-level", ["CODER_LOGSTREAM_LOG"],
        "off, error, warn, info, debug or trace, and MODULE=LEVEL, separated by commas, such as info,kube_client=debug";
    METRICS_ADDR: "metrics-addr", ["CODER_LOGSTREAM_METRICS_ADDR"], ADDRESS;
    HEALTH_ADDR: "health-addr", ["CODER_LOGSTREAM_HEALTH_ADDR"], ADDRESS;
    SHUTDOWN_GRACE: "shutdown-grace", ["CODER_LOGSTREAM_SHUTDOWN_GRACE"],
        "a duration from 0s to 10m such as 20s or 1m30s";
    STATE_NAMESPACE: "state-namespace", ["CODER_LOGSTREAM_STATE_NAMESPACE", POD_NAMESPACE_VARIABLE],
        "a namespace of at most 63 of a-z, 0-9 and -, or empty for no checkpoint";
    STATE_NAME: "state-name", ["CODER_LOGSTREAM_STATE_NAME"],
        "the name of a ConfigMap, of at most 253 of a-z, 0-9, - and .";
    LEASE_NAME: "lease-name", ["CODER_LOGSTREAM_LEASE_NAME"],
        "the name of a Lease, of at most 253 of a-z, 0-9, - and .";
    LEASE_IDENTITY: "lease-identity", ["CODER_LOGSTREAM_LEASE_IDENTITY", POD_NAME_VARIABLE],
        "a name of at most 253 of a-z, 0-9, - and .";
    LEASE_DURATION: "lease-duration", ["CODER_LOGSTREAM_LEASE_DURATION"], "a duration from 3s to 10m such as 15s";
    OWNER_DEPLOYMENT: "owner-deployment", ["CODER_LOGSTREAM_OWNER_DEPLOYMENT"],
        "the name of a Deployment, of at most 253 of a-z, 0-9, - and .";
}

/// Read from the environment only, as every program that uses OpenSSL's conventions does.
pub(crate) const SSL_CERT_FILE: Setting = Setting { flag: "", variables: &["SSL_CERT_FILE"], accepted: CERTIFICATES };
/// See [`SSL_CERT_FILE`].
pub(crate) const SSL_CERT_DIR: Setting =
    Setting { flag: "", variables: &["SSL_CERT_DIR"], accepted: "a directory, or several separated by colons" };

/// The namespace of the pod, where the manifest hands it over.
pub(crate) const POD_NAMESPACE_VARIABLE: &str = "POD_NAMESPACE";
/// The name of the pod, where the manifest hands it over.
pub(crate) const POD_NAME_VARIABLE: &str = "POD_NAME";
/// Says that a kubeconfig is to be used, before the files that kube would look for by itself.
pub(crate) const KUBECONFIG_VARIABLE: &str = "KUBECONFIG";
/// Kubernetes sets it in every container: the process runs in a cluster.
pub(crate) const SERVICE_HOST_VARIABLE: &str = "KUBERNETES_SERVICE_HOST";

/// Set to anything, the output of commands has no colours; see <https://no-color.org>.
pub(crate) const NO_COLOR_VARIABLE: &str = "NO_COLOR";
/// Kind of terminal; `dumb` has no colours.
pub(crate) const TERM_VARIABLE: &str = "TERM";

/// Read by the HTTP client, in this order of precedence for each pair.
pub(crate) const PROXY_VARIABLES: [&str; 8] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"];

/// Every variable that this program reads.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    let beside = [SSL_CERT_FILE, SSL_CERT_DIR];
    let settings = ALL.iter().copied().chain(beside).flat_map(|setting| setting.variables.iter().copied());
    settings.chain([KUBECONFIG_VARIABLE, SERVICE_HOST_VARIABLE, NO_COLOR_VARIABLE, TERM_VARIABLE])
}
