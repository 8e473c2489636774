//! A provided certificate in a mounted Secret.

use std::time::Duration;

use anyhow::Result;
use logstream_certs::issue::SigningCa;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::ServerName;

use crate::{
    context::{TestContext, now},
    mounted::Mounted,
};

const DAY: Duration = Duration::from_hours(24);
const SWAPS: usize = 5;
const NAMES: [&str; 2] = ["127.0.0.1", "logstream.coder.svc"];

/// A provided certificate.
struct Provided {
    /// The CA, for the caBundle.
    ca: String,
    chain: String,
    key: String,
}

impl Provided {
    /// Issued by its own CA.
    fn direct() -> Result<Self> {
        let ca = SigningCa::new("provided CA", now(), DAY)?;
        let names: Vec<ServerName<'_>> = NAMES.into_iter().map(ServerName::try_from).collect::<Result<_, _>>()?;
        let issued = ca.issue(&names, now(), DAY)?;
        Ok(Self { ca: ca.certificate().to_owned(), chain: issued.certificate, key: issued.key })
    }

    /// Issued by an intermediate of its own CA.
    fn by_an_intermediate() -> Result<Self> {
        let ca = |name: &str, constraints| -> Result<_> {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.is_ca = IsCa::Ca(constraints);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            params.use_authority_key_identifier_extension = true;
            Ok((params, KeyPair::generate()?))
        };
        let (root, root_key) = ca("provided root", BasicConstraints::Unconstrained)?;
        let root_pem = root.self_signed(&root_key)?.pem();
        let (middle, middle_key) = ca("provided intermediate", BasicConstraints::Constrained(0))?;
        let intermediate = middle.signed_by(&middle_key, &Issuer::new(root, root_key))?.pem();
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(NAMES.map(str::to_owned))?;
        let leaf = leaf.signed_by(&key, &Issuer::new(middle, middle_key))?.pem();
        Ok(Self { ca: root_pem, chain: leaf + &intermediate, key: key.serialize_pem() })
    }

    fn number(swap: usize) -> Result<Self> {
        if swap.is_multiple_of(2) { Self::direct() } else { Self::by_an_intermediate() }
    }

    fn mount(&self, directory: &mut Mounted) -> Result<()> {
        Ok(directory.swap(self.chain.as_bytes(), self.key.as_bytes())?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_secret_is_swapped_five_times_without_a_gap() -> Result<()> {
    let context = TestContext::new("mounted", 1).await?;
    let mut directory = Mounted::empty()?;
    let mut replica = context.start(0, &[format!("--webhook-cert-dir={}", directory.path().display())])?;

    let mut provided = Provided::number(0)?;
    provided.mount(&mut directory)?;
    replica.wait_metric("certificate_changes_total", 1.0).await?;
    // Served but not trusted yet, so unready.
    replica.wait_unready("has no caBundle").await?;
    context.set_bundles(&provided.ca).await?;
    replica.wait_ready().await?;
    context.wait_admitted().await?;

    let stream = context.stream();
    for swap in 1..=SWAPS {
        let next = Provided::number(swap)?;
        let both = provided.ca.clone() + &next.ca;
        if swap <= 3 {
            context.set_bundles(&both).await?;
            stream.more(10).await?;
            next.mount(&mut directory)?;
        } else {
            // In the wrong order: it is served only once it is trusted.
            next.mount(&mut directory)?;
            let held_back = f64::from(u32::try_from(swap - 3)?);
            replica.wait_sample("certificate_bundles_refused_total{reason=\"untrusted\"}", held_back).await?;
            stream.more(10).await?;
            context.set_bundles(&both).await?;
        }
        replica.wait_metric("certificate_changes_total", f64::from(u32::try_from(swap)? + 1)).await?;
        context.set_bundles(&next.ca).await?;
        stream.more(10).await?;
        provided = next;
    }
    // An unusable certificate is rejected, and the last one stays in use.
    directory.swap(provided.chain.as_bytes(), Provided::direct()?.key.as_bytes())?;
    replica.wait_sample("certificate_bundles_refused_total{reason=\"key_mismatch\"}", 1.0).await?;
    stream.more(10).await?;
    stream.end().await?.check(110)?;
    replica.wait_ready().await?;
    replica.end()
}
