//! The flags about the webhook besides its address.

use std::ffi::OsString;

use clap::Args;

#[derive(Debug, Default, Args)]
#[expect(clippy::struct_field_names, reason = "clap makes the flags' names of them")]
pub(crate) struct WebhookFlags {
    /// Where the webhook's certificate comes from: self-managed, by this program in a Secret that all replicas share; or
    /// mounted, by someone else in a folder. Default: mounted when --webhook-cert-dir is given, else self-managed.
    #[arg(long, value_name = "MODE", help_heading = "Webhook")]
    pub(crate) webhook_cert_mode: Option<OsString>,

    /// Folder with the webhook's certificate chain tls.crt and its key tls.key, both in PEM; a change is picked up while
    /// running. Required when mounted, no default.
    #[arg(long, value_name = "FOLDER", help_heading = "Webhook")]
    pub(crate) webhook_cert_dir: Option<OsString>,

    /// Name of the Secret that holds the self-managed certificate and its CA, in the namespace of --state-namespace or of
    /// this pod. It is made when it does not exist. Default: coder-logstream-kube-webhook.
    #[arg(long, value_name = "NAME", help_heading = "Webhook")]
    pub(crate) webhook_cert_secret: Option<OsString>,

    /// How long a self-managed CA is valid; it is replaced after two thirds of that. Default: 8760h, a year.
    #[arg(long, value_name = "DURATION", help_heading = "Webhook")]
    pub(crate) webhook_ca_lifetime: Option<OsString>,

    /// How long a self-managed certificate is valid; it is replaced after two thirds of that. No longer than its CA.
    /// Default: 720h, thirty days.
    #[arg(long, value_name = "DURATION", help_heading = "Webhook")]
    pub(crate) webhook_cert_lifetime: Option<OsString>,

    /// Name of the MutatingWebhookConfiguration by which the API server calls this program. Readiness compares its
    /// caBundle with what is served, and with a self-managed certificate the caBundle is kept by this program. Required
    /// when self-managed. Default: none, and nothing is compared.
    #[arg(long, value_name = "NAME", help_heading = "Webhook")]
    pub(crate) webhook_config_name: Option<OsString>,

    /// The Service by which the API server calls this program, as NAME.NAMESPACE: the certificate must cover its names.
    /// Default: none.
    #[arg(long, value_name = "NAME.NAMESPACE", help_heading = "Webhook")]
    pub(crate) webhook_service: Option<OsString>,

    /// More DNS names and IP addresses that the webhook's certificate must cover, separated by commas. A self-managed
    /// certificate needs one at least, here or by --webhook-service. Default: none.
    #[arg(long, value_name = "LIST", help_heading = "Webhook")]
    pub(crate) webhook_names: Option<OsString>,

    /// File of certificates in PEM: only callers with a client certificate issued by one of them are answered. Default:
    /// every caller is.
    #[arg(long, value_name = "FILE", help_heading = "Webhook")]
    pub(crate) webhook_client_ca: Option<OsString>,
}
