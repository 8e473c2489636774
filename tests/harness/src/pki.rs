//! Certificates for fixtures, and the crypto provider of the process.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

/// Installs ring as the process's rustls provider, unless one is installed. Idempotent.
pub fn install_crypto_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A CA and a serving certificate signed by it, as PEM.
#[derive(Debug, Clone)]
pub struct ServingCertificate {
    /// The CA that a client must trust.
    pub ca: String,
    /// The serving certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl ServingCertificate {
    /// Generates one for 127.0.0.1, localhost and the given DNS names.
    pub fn generate(more_names: &[&str]) -> Result<Self> {
        Ok(Self::generate_both(more_names)?.0)
    }

    /// Generates a valid one, and one of the same CA that has expired.
    pub(crate) fn with_expired() -> Result<(Self, Self)> {
        Self::generate_both(&[])
    }

    fn generate_both(more_names: &[&str]) -> Result<(Self, Self)> {
        let (ca, ca_key) = generate_ca("test CA")?;
        let ca_pem = ca.self_signed(&ca_key)?.pem();

        let mut names = vec!["localhost".to_owned()];
        names.extend(more_names.iter().map(|&name| name.to_owned()));
        let mut params = CertificateParams::new(names)?;
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        params.distinguished_name.push(DnType::CommonName, "test server");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let issuer = Issuer::from_params(&ca, &ca_key);
        let sign = |params: &CertificateParams| {
            let certificate = params.signed_by(&key, &issuer)?.pem();
            anyhow::Ok(Self { ca: ca_pem.clone(), certificate, key: key.serialize_pem() })
        };
        let valid = sign(&params)?;
        params.not_after = rcgen::date_time_ymd(2026, 1, 1);
        Ok((valid, sign(&params)?))
    }

    /// Generates a certificate for 127.0.0.1 and localhost that is its own CA, as made by `openssl req -x509`.
    pub fn own_ca() -> Result<Self> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        params.distinguished_name.push(DnType::CommonName, "localhost");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { ca: certificate.clone(), certificate, key: key.serialize_pem() })
    }

    /// Writes `tls.crt`, `tls.key` and `ca.crt` into a directory, which is created if missing.
    pub fn write(&self, directory: &Path) -> Result<ServingFiles> {
        fs::create_dir_all(directory)?;
        let files = ServingFiles {
            certificate: directory.join("tls.crt"),
            key: directory.join("tls.key"),
            ca: directory.join("ca.crt"),
        };
        fs::write(&files.certificate, &self.certificate)?;
        fs::write(&files.key, &self.key)?;
        fs::write(&files.ca, &self.ca)?;
        Ok(files)
    }
}

fn generate_ca(name: &str) -> Result<(CertificateParams, KeyPair)> {
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.distinguished_name.push(DnType::CommonName, name);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok((ca, KeyPair::generate()?))
}

/// A CA and a client certificate signed by it, as PEM.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The CA that a server must trust.
    pub ca: String,
    /// The client certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl ClientCertificate {
    /// Generates one with a CA of this name.
    pub fn generate(name: &str) -> Result<Self> {
        let (ca, ca_key) = generate_ca(name)?;
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        let mut params = CertificateParams::new(["kube-apiserver".to_owned()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &Issuer::from_params(&ca, &ca_key))?.pem();
        Ok(Self { ca: ca_pem, certificate, key: key.serialize_pem() })
    }
}

/// Paths of a written [`ServingCertificate`].
#[derive(Debug, Clone)]
pub struct ServingFiles {
    /// `tls.crt`
    pub certificate: PathBuf,
    /// `tls.key`
    pub key: PathBuf,
    /// `ca.crt`
    pub ca: PathBuf,
}

/// Generates a CA and a serving certificate for 127.0.0.1, written as `tls.crt`, `tls.key` and `ca.crt`.
pub fn serving_cert(directory: &Path) -> Result<ServingFiles> {
    ServingCertificate::generate(&[])?.write(directory)
}

/// Generates a key pair for service account tokens: private and public key, as PEM.
pub(crate) fn service_account_keys() -> Result<(String, String)> {
    let key = KeyPair::generate()?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}
