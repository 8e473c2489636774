//! The flags about the webhook besides its address.

use std::ffi::OsString;

use clap::Args;

#[derive(Debug, Default, Args)]
#[expect(clippy::struct_field_names, reason = "clap makes the flags' names of them")]
pub(crate) struct WebhookFlags {
    /// Source of the webhook's certificate: self-managed, created and rotated by this program in a Secret that all
    /// replicas share; or mounted, provided in a directory. Default: mounted if --webhook-cert-dir is set, else
    /// self-managed.
    #[arg(long, value_name = "MODE", help_heading = "Webhook")]
    pub(crate) webhook_cert_mode: Option<OsString>,

    /// Directory with the webhook's certificate chain tls.crt and its key tls.key, both in PEM; changes are picked up
    /// while running. Required in mode mounted, no default.
    #[arg(long, value_name = "DIRECTORY", help_heading = "Webhook")]
    pub(crate) webhook_cert_dir: Option<OsString>,

    /// Name of the Secret that holds the self-managed certificate and its CA, in the namespace of --state-namespace or
    /// of this pod. Created if it does not exist. Default: coder-logstream-kube-webhook.
    #[arg(long, value_name = "NAME", help_heading = "Webhook")]
    pub(crate) webhook_cert_secret: Option<OsString>,

    /// Validity of a self-managed CA, which is rotated after two thirds of it. Default: 8760h, a year.
    #[arg(long, value_name = "DURATION", help_heading = "Webhook")]
    pub(crate) webhook_ca_lifetime: Option<OsString>,

    /// Validity of a self-managed certificate, which is rotated after two thirds of it. At most that of the CA.
    /// Default: 720h, thirty days.
    #[arg(long, value_name = "DURATION", help_heading = "Webhook")]
    pub(crate) webhook_cert_lifetime: Option<OsString>,

    /// Name of the MutatingWebhookConfiguration by which the API server calls this program. Readiness verifies the
    /// serving certificate against its caBundle; in mode self-managed this program also updates the caBundle. Required
    /// in mode self-managed. Default: none, without verification.
    #[arg(long, value_name = "NAME", help_heading = "Webhook")]
    pub(crate) webhook_config_name: Option<OsString>,

    /// Service by which the API server calls this program. The certificate must cover its names. Default: none.
    #[arg(long, value_name = "NAME.NAMESPACE", help_heading = "Webhook")]
    pub(crate) webhook_service: Option<OsString>,

    /// Additional DNS names and IP addresses that the webhook's certificate must cover, separated by commas. A
    /// self-managed certificate needs at least one, here or by --webhook-service. Default: none.
    #[arg(long, value_name = "LIST", help_heading = "Webhook")]
    pub(crate) webhook_names: Option<OsString>,

    /// File with CA certificates in PEM. Clients without a certificate from one of these CAs are rejected. Default: all
    /// clients are accepted.
    #[arg(long, value_name = "FILE", help_heading = "Webhook")]
    pub(crate) webhook_client_ca: Option<OsString>,
}
