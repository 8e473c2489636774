//! A certificate that somebody else keeps, in a mounted Secret.

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

/// What a user has to hand.
struct Provided {
    /// For the caBundle.
    authority: String,
    chain: String,
    key: String,
}

impl Provided {
    /// By an authority of its own.
    fn direct() -> Result<Self> {
        let authority = SigningCa::new("somebody's CA", now(), DAY)?;
        let names: Vec<ServerName<'_>> = NAMES.into_iter().map(ServerName::try_from).collect::<Result<_, _>>()?;
        let issued = authority.issue(&names, now(), DAY)?;
        Ok(Self { authority: authority.certificate().to_owned(), chain: issued.certificate, key: issued.key })
    }

    /// By an intermediate of an authority of its own.
    fn by_an_intermediate() -> Result<Self> {
        let ca = |name: &str, constraints| -> Result<_> {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.is_ca = IsCa::Ca(constraints);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            params.use_authority_key_identifier_extension = true;
            Ok((params, KeyPair::generate()?))
        };
        let (root, root_key) = ca("somebody's root", BasicConstraints::Unconstrained)?;
        let authority = root.self_signed(&root_key)?.pem();
        let (middle, middle_key) = ca("somebody's intermediate", BasicConstraints::Constrained(0))?;
        let intermediate = middle.signed_by(&middle_key, &Issuer::new(root, root_key))?.pem();
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(NAMES.map(str::to_owned))?;
        let leaf = leaf.signed_by(&key, &Issuer::new(middle, middle_key))?.pem();
        Ok(Self { authority, chain: leaf + &intermediate, key: key.serialize_pem() })
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
    // Served, and not trusted yet: readiness says so.
    replica.wait_unready("has no caBundle").await?;
    context.set_bundles(&provided.authority).await?;
    replica.wait_ready().await?;
    context.wait_admitted().await?;

    let stream = context.stream();
    for swap in 1..=SWAPS {
        let next = Provided::number(swap)?;
        let both = provided.authority.clone() + &next.authority;
        if swap <= 3 {
            context.set_bundles(&both).await?;
            stream.more(10).await?;
            next.mount(&mut directory)?;
        } else {
            // The wrong way round: it is served only once it is trusted.
            next.mount(&mut directory)?;
            let held_back = f64::from(u32::try_from(swap - 3)?);
            replica.wait_sample("certificate_bundles_refused_total{reason=\"untrusted\"}", held_back).await?;
            stream.more(10).await?;
            context.set_bundles(&both).await?;
        }
        replica.wait_metric("certificate_changes_total", f64::from(u32::try_from(swap)? + 1)).await?;
        context.set_bundles(&next.authority).await?;
        stream.more(10).await?;
        provided = next;
    }
    // What cannot be served is refused, and the last one stays.
    directory.swap(provided.chain.as_bytes(), Provided::direct()?.key.as_bytes())?;
    replica.wait_sample("certificate_bundles_refused_total{reason=\"key_mismatch\"}", 1.0).await?;
    stream.more(10).await?;
    stream.end().await?.check(110)?;
    replica.wait_ready().await?;
    replica.end()
}
