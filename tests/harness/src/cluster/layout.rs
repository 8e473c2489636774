//! A cluster's files and addresses, decided before anything starts.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use uuid::Uuid;

use super::{ClusterOptions, kubeconfig};
use crate::kwok_stages;
use crate::pki::{self, ServingCertificate};
use crate::ports;
use crate::scratch::Scratch;

/// Cluster IP of the Service `kubernetes`: the first one of the range.
pub(crate) const SERVICE_IP: &str = "10.0.0.1";

/// Files, addresses and credentials of a cluster.
#[derive(Debug)]
pub(super) struct Layout {
    scratch: Scratch,
    pub(super) etcd_client: SocketAddr,
    pub(super) etcd_peer: SocketAddr,
    pub(super) apiserver: SocketAddr,
    pub(super) serving: ServingCertificate,
    pub(super) admin_token: String,
}

impl Layout {
    pub(super) fn create(scratch: Scratch, options: &ClusterOptions) -> Result<Self> {
        let layout = Self {
            etcd_client: ports::free(),
            etcd_peer: ports::free(),
            apiserver: ports::free(),
            serving: ServingCertificate::generate(&["kubernetes", "kubernetes.default.svc", SERVICE_IP])?,
            admin_token: Uuid::from_u128(random()).simple().to_string(),
            scratch,
        };
        layout.serving.write(layout.directory())?;
        let (private, public) = pki::service_account_keys()?;
        fs::write(layout.service_account_key(), private)?;
        fs::write(layout.service_account_public_key(), public)?;
        fs::write(layout.tokens(), format!("{},admin,admin,system:masters\n", layout.admin_token))?;
        let server = format!("https://{}", layout.apiserver);
        fs::write(layout.admin_kubeconfig(), kubeconfig::document(&server, layout.ca_pem(), &layout.admin_token))?;
        if let Some(policy) = &options.audit_policy {
            fs::write(layout.audit_policy(), policy)?;
        }
        fs::write(layout.stages(), kwok_stages::document())?;
        Ok(layout)
    }

    pub(super) fn directory(&self) -> &Path {
        self.scratch.path()
    }

    pub(super) fn ca_pem(&self) -> &str {
        &self.serving.ca
    }

    /// A path in the directory, as text for an argument.
    pub(super) fn text(&self, name: &str) -> String {
        self.directory().join(name).display().to_string()
    }

    pub(super) fn admin_kubeconfig(&self) -> PathBuf {
        self.directory().join("admin.kubeconfig")
    }

    pub(super) fn service_account_key(&self) -> PathBuf {
        self.directory().join("service-account.key")
    }

    pub(super) fn service_account_public_key(&self) -> PathBuf {
        self.directory().join("service-account.pub")
    }

    pub(super) fn tokens(&self) -> PathBuf {
        self.directory().join("tokens.csv")
    }

    pub(super) fn stages(&self) -> PathBuf {
        self.directory().join("stages.yaml")
    }

    pub(super) fn audit_policy(&self) -> PathBuf {
        self.directory().join("audit-policy.yaml")
    }
}

/// Random enough for a token of a server that lives as long as a test.
fn random() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    u128::from(RandomState::new().hash_one(1)) << 64 | u128::from(RandomState::new().hash_one(2))
}
