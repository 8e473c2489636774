//! Coder's certificate is trusted, and will be for a while.

use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use logstream_certs::CaCertificate;
use rustls::pki_types::CertificateDer;
use url::{Host, Url};

use super::{coder_reachable::answer, proxies::is_in_cluster};
use crate::doctor::{
    Context,
    check::{Check, Group, Problem, Severity, Verdict},
    context::Vantage,
    handshake::in_words,
};

/// Remaining validity that causes a warning. ACME clients renew thirty days before the end.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);

pub(super) const CHECK: Check = Check {
    id: "coder-certificate",
    group: Group::Coder,
    description: "Coder's certificate is trusted",
    expected: "the CA certificates of SSL_CERT_FILE, SSL_CERT_DIR or the system verify it, for more than seven days",
    severity: Severity::Failure,
    fatal: false,
    retry: false,
    run: |context| run(context).boxed(),
};

async fn run(context: &Context) -> Verdict {
    if let Some(Err(error)) = &*context.coder.lock().await
        && let Some(reason) = &error.certificate
    {
        let action = "mount the CA that issued it and set SSL_CERT_FILE (image.sslCertFile in the chart), or renew it";
        let found = in_words(reason);
        // The roots used here are those of this machine, unless this is the program's pod.
        let is_own = context.config.coder_trust.file.is_some() || !context.config.coder_trust.directories.is_empty();
        return Err(match (context.vantage, is_own) {
            (Vantage::Outside, true) => Problem::doubtful(
                format!("{found} on this machine; the program has CA certificates of its own"),
                "run `helm test`, which uses the program's",
            ),
            _ => Problem::unmet(found, action),
        });
    }
    let probe = answer(context).await?;
    let Some(certificate) = probe.certificate.and_then(|der| CaCertificate::read(CertificateDer::from(der))) else {
        return Err(unencrypted(&probe.url));
    };
    judge(certificate.not_after(), context.clock.now())
}

/// Problem of an unencrypted URL. This is usual within a cluster; elsewhere anyone on the network path can read the
/// tokens.
fn unencrypted(url: &Url) -> Problem {
    let found = format!("{url} is not encrypted, agent tokens are sent in the clear");
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if is_loopback || is_in_cluster(url) {
        return Problem::skipped(found);
    }
    Problem::doubtful(found, "set --coder-url (`url` in the chart) to an address of Coder that begins with https://")
}

fn judge(expiry: Timestamp, now: Timestamp) -> Verdict {
    if expiry.duration_since(now) < SOON {
        return Err(Problem::doubtful(format!("it expires at {expiry}"), "renew it"));
    }
    Ok(format!("valid until {expiry}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_in_the_clear_are_warned_of_unless_they_stay_in_the_cluster() {
        let problem = |url: &str| unencrypted(&url.parse().unwrap());
        for url in ["http://coder.coder.svc", "http://127.0.0.1:3000", "http://[::1]:3000", "http://localhost:3000"] {
            assert!(matches!(problem(url), Problem::Skipped(_)), "{url}");
        }
        let Problem::Doubtful(finding) = problem("http://coder.example.com") else { panic!("no warning") };
        assert!(finding.found.contains("in the clear") && finding.action.contains("https://"), "{finding:?}");
    }

    #[test]
    fn a_certificate_that_expires_within_seven_days_is_warned_of() {
        let judged = |hours| judge(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours), Timestamp::UNIX_EPOCH);
        assert_eq!(judged(7 * 24).unwrap(), "valid until 1970-01-08T00:00:00Z");
        let Err(Problem::Doubtful(finding)) = judged(7 * 24 - 1) else { panic!("it passed") };
        assert_eq!(finding.found, "it expires at 1970-01-07T23:00:00Z");
    }
}
