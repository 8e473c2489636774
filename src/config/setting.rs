//! The settings: one row each, which defines the flag, its help, its error messages, its type and its default.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use logstream_certs::self_managed::{CA_LIFETIME, CERT_LIFETIME};
use logstream_core::line::Level;
use logstream_core::render::LogStyle;
use rustls::pki_types::ServerName;
use tracing_subscriber::filter::Targets;
use url::Url;

use super::environment::Environment;
use super::error::ConfigError;
use super::source::{Source, Value};
use super::webhook_names::{self, Service};
use super::words::{self, Mode};
use super::{
    FieldSelector, LabelSelector, Namespaces, address, certificates, cluster, coder_url, duration, line_filter,
    log_filter, names,
};
use crate::leader::Timing;
use crate::runtime::logging::LogFormat;

/// One setting. The flag takes precedence over the variables, and an earlier variable over a later one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Setting {
    /// The long flag, without dashes; empty for a setting that is read from the environment only.
    pub(crate) flag: &'static str,
    /// The short flag, if there is one.
    pub(crate) short: &'static [char],
    /// Placeholder of the value in the help.
    pub(crate) value: &'static str,
    /// Section of the help.
    pub(crate) heading: &'static str,
    /// The help, beginning with a space.
    pub(crate) help: &'static str,
    /// Environment variables, in order of precedence.
    pub(crate) variables: &'static [&'static str],
    /// Accepted values, as the end of the phrase "expected …".
    pub(crate) accepted: &'static str,
}

impl Setting {
    const fn of_environment(variables: &'static [&'static str], accepted: &'static str) -> Self {
        Self { flag: "", short: &[], value: "", heading: "", help: "", variables, accepted }
    }
}

/// Sections of rows `name: type, "flag" | 'short', "VALUE", [variables], "accepted", parser;`, each with its help as a
/// doc comment. A row becomes a [`Setting`] and a field of [`Settings`], both with this name.
macro_rules! settings {
    ($([$heading:literal] $(
        $(#[doc = $help:literal])+
        $name:ident: $type:ty, $flag:literal $(| $short:literal)?, $value:literal, $variables:expr, $accepted:expr,
        $parser:expr;
    )*)*) => {
        $($(
            $(#[doc = $help])+
            #[expect(non_upper_case_globals, reason = "it is called like its value")]
            pub(crate) const $name: Setting = Setting {
                flag: $flag,
                short: &[$($short)?],
                value: $value,
                heading: $heading,
                help: concat!($($help),+),
                variables: &$variables,
                accepted: $accepted,
            };
        )*)*
        /// Every setting that has a flag, in the order of the help.
        pub(crate) const ALL: &[Setting] = &[$($($name,)*)*];

        /// The value of each setting that has a flag, as it was given or by default.
        #[derive(Clone, Debug)]
        pub(crate) struct Settings {
            $($(
                $(#[doc = $help])+
                pub(crate) $name: $type,
            )*)*
        }

        impl Settings {
            /// Parses every setting, or returns the error of the first invalid one.
            pub(crate) fn parse(source: &Source) -> Result<Self, ConfigError> {
                Ok(Self {
                    $($($name: {
                        let parse: fn(Value<'_>) -> Result<$type, ConfigError> = $parser;
                        parse(source.value($name))?
                    },)*)*
                })
            }
        }
    };
}

/// Default port for health, as is usual for Kubernetes programs.
const HEALTH_PORT: u16 = 8081;
/// Default grace period: ten seconds below the default of a pod, part of which the kubelet needs.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(20);

const ADDRESS: &str = "an IP address with a port such as 127.0.0.1:8081, :PORT for all addresses, or empty for off";
const LIFETIME: &str = "a duration from 5s to 175200h such as 720h";
const CERTIFICATES: &str = "a file of one or more certificates in PEM";

settings! {
    ["Coder"]

    /// Address of the Coder deployment: an http or https URL, without user, password, query or fragment. Required.
    coder_url: Url, "coder-url" | 'u', "URL", ["CODER_URL"],
        "an http or https URL such as https://coder.example.com, without user, password, query or fragment",
        |value| value.required(coder_url::parse);

    ["Kubernetes"]

    /// Path of a kubeconfig file, which must exist. Default: the file in KUBECONFIG if that is set, else the service
    /// account when running in a cluster, else ~/.kube/config.
    kubeconfig: Option<PathBuf>, "kubeconfig" | 'k', "FILE", [],
        "the path of a kubeconfig file",
        |value| value.path(cluster::existing_file);

    /// Namespaces to watch, separated by commas. Default, also if empty: all namespaces. The plural variable
    /// takes precedence, even if empty.
    namespaces: Namespaces, "namespaces" | 'n', "LIST", ["CODER_NAMESPACES", "CODER_NAMESPACE"],
        "a list of namespaces separated by commas, each of at most 63 of a-z, 0-9 and -, or nothing for all namespaces",
        |value| Ok(value.even_if_empty(Namespaces::parse)?.unwrap_or(Namespaces::All));

    /// Watch only pods whose fields match, such as spec.nodeName!=node-1; several conditions are separated by commas.
    /// Default: all pods.
    field_selector: Option<FieldSelector>, "field-selector" | 'f', "SELECTOR", ["CODER_FIELD_SELECTOR"],
        "a list of FIELD=VALUE, FIELD==VALUE or FIELD!=VALUE separated by commas, such as spec.nodeName!=node-1",
        |value| value.optional(FieldSelector::parse);

    /// Watch only pods whose labels match, such as app=coder or tier in (a,b); several conditions are separated by
    /// commas. Default: all pods.
    label_selector: Option<LabelSelector>, "label-selector" | 'l', "SELECTOR", ["CODER_LABEL_SELECTOR"],
        "a label selector of Kubernetes, such as app=coder,tier in (a,b),!legacy",
        |value| value.optional(LabelSelector::parse);

    /// Set to false to leave out lines about nodes, such as one that is not ready or about to be removed. Their Events
    /// are in the namespace default, which is then not read unless it is watched. Default: true.
    node_events: bool, "node-events", "BOOL", ["CODER_LOGSTREAM_NODE_EVENTS"],
        "true or false",
        |value| value.or(true, words::boolean);

    /// Set to false if this program has no permission to read the Secrets and ConfigMaps that hold agent tokens. Agents
    /// with such tokens are then not streamed. Default: true.
    resolve_references: bool, "resolve-references", "BOOL", ["CODER_LOGSTREAM_RESOLVE_REFERENCES"],
        "true or false",
        |value| value.or(true, words::boolean);

    ["Webhook"]

    /// Address on which the admission webhook listens with TLS, such as 0.0.0.0:10250, or :10250 for all addresses.
    /// Default, also if empty: no webhook.
    webhook_addr: Option<SocketAddr>, "webhook-addr", "ADDRESS", ["CODER_LOGSTREAM_WEBHOOK_ADDR"],
        ADDRESS,
        |value| value.switchable(address::parse, |_| None);

    /// Source of the webhook's certificate: self-managed, created and rotated by this program in a Secret that all
    /// replicas share; or mounted, provided in a directory. Default: mounted if --webhook-cert-dir is set, else
    /// self-managed.
    webhook_cert_mode: Option<Mode>, "webhook-cert-mode", "MODE", ["CODER_LOGSTREAM_WEBHOOK_CERT_MODE"],
        "self-managed or mounted",
        |value| value.optional(words::cert_mode);

    /// Directory with the webhook's certificate chain tls.crt and its key tls.key, both in PEM; changes are picked up
    /// while running. Required in mode mounted, no default.
    webhook_cert_dir: Option<PathBuf>, "webhook-cert-dir", "DIRECTORY", ["CODER_LOGSTREAM_WEBHOOK_CERT_DIR"],
        "a directory that holds tls.crt and tls.key",
        |value| value.path(certificates::directory);

    /// Name of the Secret that holds the self-managed certificate and its CA, in the namespace of --state-namespace or
    /// of this pod. Created if it does not exist. Default: coder-logstream-kube-webhook.
    webhook_cert_secret: String, "webhook-cert-secret", "NAME", ["CODER_LOGSTREAM_WEBHOOK_CERT_SECRET"],
        "the name of a Secret, of at most 253 of a-z, 0-9, - and .",
        |value| value.or("coder-logstream-kube-webhook".to_owned(), names::subdomain);

    /// Validity of a self-managed CA, which is rotated after two thirds of it. Default: 8760h, a year.
    webhook_ca_lifetime: Duration, "webhook-ca-lifetime", "DURATION", ["CODER_LOGSTREAM_WEBHOOK_CA_LIFETIME"],
        LIFETIME,
        |value| value.or(CA_LIFETIME, duration::lifetime);

    /// Validity of a self-managed certificate, which is rotated after two thirds of it. At most that of the CA.
    /// Default: 720h, thirty days.
    webhook_cert_lifetime: Duration, "webhook-cert-lifetime", "DURATION", ["CODER_LOGSTREAM_WEBHOOK_CERT_LIFETIME"],
        LIFETIME,
        |value| value.or(CERT_LIFETIME, duration::lifetime);

    /// Name of the MutatingWebhookConfiguration by which the API server calls this program. Readiness verifies the
    /// serving certificate against its caBundle; in mode self-managed this program also updates the caBundle. Required
    /// in mode self-managed. Default: none, without verification.
    webhook_config_name: Option<String>, "webhook-config-name", "NAME", ["CODER_LOGSTREAM_WEBHOOK_CONFIG_NAME"],
        "the name of a MutatingWebhookConfiguration, of at most 253 of a-z, 0-9, - and .",
        |value| value.optional(names::subdomain);

    /// Service by which the API server calls this program. The certificate must cover its names. Default: none.
    webhook_service: Option<Service>, "webhook-service", "NAME.NAMESPACE", ["CODER_LOGSTREAM_WEBHOOK_SERVICE"],
        "the name and the namespace of a Service with a dot between, such as coder-logstream-kube.coder",
        |value| value.optional(webhook_names::service);

    /// Additional DNS names and IP addresses that the webhook's certificate must cover, separated by commas. A
    /// self-managed certificate needs at least one, here or by --webhook-service. Default: none.
    webhook_names: Vec<ServerName<'static>>, "webhook-names", "LIST", ["CODER_LOGSTREAM_WEBHOOK_NAMES"],
        "a list of DNS names and IP addresses separated by commas",
        |value| value.or(Vec::new(), webhook_names::server_names);

    /// File with CA certificates in PEM. Clients without a certificate issued by one of these CAs are rejected.
    /// Default: all clients are accepted.
    webhook_client_ca: Option<PathBuf>, "webhook-client-ca", "FILE", ["CODER_LOGSTREAM_WEBHOOK_CLIENT_CA"],
        CERTIFICATES,
        |value| value.path(certificates::file);

    ["Lines"]

    /// Minimum level of the lines that owners get: debug for every step, warn for failures and their early signs, or
    /// error. Default: debug.
    min_level: Level, "min-level", "LEVEL", ["CODER_LOGSTREAM_MIN_LEVEL"],
        "debug, warn or error",
        |value| value.or(Level::Debug, words::level);

    /// Reasons of Kubernetes Events that are left out of startup logs, separated by commas, such as
    /// Pulling,Pulled,Scheduled; also reasons of failures, such as Unhealthy. Default, also if empty: none.
    skip_reasons: BTreeSet<String>, "skip-reasons", "LIST", ["CODER_LOGSTREAM_SKIP_REASONS"],
        "a list of reasons of Kubernetes Events separated by commas, such as Pulling,Pulled",
        |value| value.or(BTreeSet::new(), line_filter::reasons);

    /// Style of the lines that owners get: fancy with emoji and colours, or plain without. Default: fancy.
    log_style: LogStyle, "log-style", "STYLE", ["CODER_LOGSTREAM_LOG_STYLE"],
        "fancy or plain",
        |value| value.or(LogStyle::default(), words::log_style);

    ["Running"]

    /// Format of this program's own log on standard error: text or json. Default: text.
    log_format: LogFormat, "log-format", "FORMAT", ["CODER_LOGSTREAM_LOG_FORMAT"],
        "text or json",
        |value| value.or(LogFormat::default(), words::log_format);

    /// Level of this program's own log: off, error, warn, info, debug or trace; MODULE=LEVEL for a single module;
    /// separated by commas. Default: info.
    log_level: Targets, "log-level", "LEVEL", ["CODER_LOGSTREAM_LOG"],
        "off, error, warn, info, debug or trace, and MODULE=LEVEL, separated by commas, such as info,kube_client=debug",
        |value| value.or(log_filter::default(), log_filter::parse);

    /// Address that serves /metrics over plain HTTP; may equal --health-addr. Default, also if empty: off.
    metrics_addr: Option<SocketAddr>, "metrics-addr", "ADDRESS", ["CODER_LOGSTREAM_METRICS_ADDR"],
        ADDRESS,
        |value| value.switchable(address::parse, |_| None);

    /// Address that serves /livez and /readyz over plain HTTP; an empty value means off. Default: :8081, on all
    /// addresses.
    health_addr: Option<SocketAddr>, "health-addr", "ADDRESS", ["CODER_LOGSTREAM_HEALTH_ADDR"],
        ADDRESS,
        |value| value.switchable(address::parse, |_| Some(address::every_address(HEALTH_PORT)));

    /// Time limit of a graceful shutdown after SIGTERM, from 0s to 10m, such as 20s or 1m30s. Set it 5 s below the
    /// pod's terminationGracePeriodSeconds. Default: 20s.
    shutdown_grace: Duration, "shutdown-grace", "DURATION", ["CODER_LOGSTREAM_SHUTDOWN_GRACE"],
        "a duration from 0s to 10m such as 20s or 1m30s",
        |value| value.or(SHUTDOWN_GRACE, duration::parse);

    /// Namespace of the checkpoint ConfigMap, from which a restart continues; empty for no checkpoint. Default: this
    /// pod's namespace, or no checkpoint outside a cluster.
    state_namespace: Option<String>, "state-namespace", "NAMESPACE",
        ["CODER_LOGSTREAM_STATE_NAMESPACE", POD_NAMESPACE_VARIABLE],
        "a namespace of at most 63 of a-z, 0-9 and -, or empty for no checkpoint",
        |value| value.switchable(names::label, Environment::own_namespace);

    /// Name of that ConfigMap. Default: coder-logstream-kube-progress.
    state_name: String, "state-name", "NAME", ["CODER_LOGSTREAM_STATE_NAME"],
        "the name of a ConfigMap, of at most 253 of a-z, 0-9, - and .",
        |value| value.or("coder-logstream-kube-progress".to_owned(), names::subdomain);

    /// Name of the Lease by which one of several replicas is elected to deliver, in the namespace of the ConfigMap.
    /// Default, also if empty: no election, so at most one replica may run.
    lease_name: Option<String>, "lease-name", "NAME", ["CODER_LOGSTREAM_LEASE_NAME"],
        "the name of a Lease, of at most 253 of a-z, 0-9, - and .",
        |value| value.optional(names::subdomain);

    /// Name of this replica in the Lease. Must be unique among processes that run at the same time; a later process
    /// with the same name takes over at once. Default: a random name.
    lease_identity: Option<String>, "lease-identity", "NAME", ["CODER_LOGSTREAM_LEASE_IDENTITY", POD_NAME_VARIABLE],
        "a name of at most 253 of a-z, 0-9, - and .",
        |value| value.optional(names::subdomain);

    /// Time after which another replica takes over from one that was killed or lost its connection, from 3s to 10m. The
    /// holder renews the Lease every 2/15 of this time, and stops sending 2/3 of it after the last renewal. Default:
    /// 10s.
    lease_duration: Duration, "lease-duration", "DURATION", ["CODER_LOGSTREAM_LEASE_DURATION"],
        "a duration from 3s to 10m such as 10s",
        |value| value.or(Timing::DEFAULT_LEASE, duration::lease);

    /// Deployment in the program's namespace that owns the Secret and ConfigMap created by the program, so that
    /// Kubernetes deletes them with it. They get its app.kubernetes.io labels. Default, also if empty: no owner.
    owner_deployment: Option<String>, "owner-deployment", "NAME", ["CODER_LOGSTREAM_OWNER_DEPLOYMENT"],
        "the name of a Deployment, of at most 253 of a-z, 0-9, - and .",
        |value| value.optional(names::subdomain);
}

/// Read from the environment only, by the convention of OpenSSL.
pub(crate) const SSL_CERT_FILE: Setting = Setting::of_environment(&["SSL_CERT_FILE"], CERTIFICATES);
/// See [`SSL_CERT_FILE`].
pub(crate) const SSL_CERT_DIR: Setting =
    Setting::of_environment(&["SSL_CERT_DIR"], "a directory, or several separated by colons");

/// Namespace of the pod, from the downward API.
pub(crate) const POD_NAMESPACE_VARIABLE: &str = "POD_NAMESPACE";
/// Name of the pod, from the downward API.
pub(crate) const POD_NAME_VARIABLE: &str = "POD_NAME";
/// Path of a kubeconfig; takes precedence over the default files of kube.
pub(crate) const KUBECONFIG_VARIABLE: &str = "KUBECONFIG";
/// Set by Kubernetes in every container, so the process runs in a cluster.
pub(crate) const SERVICE_HOST_VARIABLE: &str = "KUBERNETES_SERVICE_HOST";

/// If set, the output of commands has no colours; see <https://no-color.org>.
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
