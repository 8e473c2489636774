//! Decides the next step of a certificate rotation. Pure: facts and the time in, one action out.
//!
//! Any number of replicas execute this independently over one Secret and one webhook configuration. Both are written with
//! optimistic concurrency. Three rules make that safe:
//! - Trust before serve. A new CA is written to the Secret next to the old one, then added to the caBundle. A replica
//!   issues or serves a certificate of that CA only after it has seen the CA in every caBundle for the propagation delay.
//!   A replica without a working certificate does not wait.
//! - A CA is removed from the caBundle when none of its certificates can be valid any more: the last one was issued before
//!   its successor was created. CAs of other programs stay until they expire.
//! - The caller reads the webhook configuration before the Secret. So each CA of ours in a caBundle is in that Secret or in
//!   an older version of it.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::{ca::CaId, labels::Purpose};

/// Maximum number of foreign certificates kept in a caBundle, such as cert-manager's while a release changes mode.
const MAX_FOREIGN_CAS: usize = 16;

/// A CA stops issuing once this fraction (in thousandths) of its lifetime has elapsed.
const STOP_ISSUING_AT: i32 = 900;

/// Time parameters of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Policy {
    /// Lifetime of a serving certificate.
    pub(super) cert_lifetime: Duration,
    /// Fraction of the lifetime (in thousandths) after which a certificate is renewed. Differs between replicas, so that
    /// they rarely renew at the same time.
    pub(super) renew_at: i32,
    /// Propagation delay: how long a CA must have been in the caBundle before its certificates are used. Each API server
    /// learns of the change by its own watch.
    pub(super) settle: Duration,
}

/// A CA certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ca {
    pub(super) id: CaId,
    pub(super) created: Timestamp,
    pub(super) not_after: Timestamp,
    /// True if this program created it.
    pub(super) ours: bool,
}

/// A serving certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServingCert {
    pub(super) fingerprint: String,
    pub(super) issuer: CaId,
    pub(super) created: Timestamp,
    pub(super) not_after: Timestamp,
    /// True if it covers every name of this replica.
    pub(super) covers: bool,
}

/// The valid parts of the Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// CAs, newest first.
    pub(super) cas: Vec<Ca>,
    /// True if the Secret holds the key of the newest CA.
    pub(super) signs: bool,
    /// Serving certificate, issued by one of the CAs.
    pub(super) serving_cert: Option<ServingCert>,
}

/// The certificate this replica serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) fingerprint: String,
    pub(super) not_after: Timestamp,
    pub(super) issuer: Ca,
}

/// Input of the plan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// `None` if the Secret does not exist.
    pub(super) stored: Option<&'a Stored>,
    /// The caBundle of each webhook; `None` if the configuration does not exist.
    pub(super) bundles: Option<&'a [Vec<Ca>]>,
    /// Time since which this replica has seen each CA in every caBundle.
    pub(super) trusted_since: &'a BTreeMap<CaId, Timestamp>,
    pub(super) served: Option<&'a Served>,
}

/// The next step. All but [`Action::Serve`] change an object, which must then be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Create the Secret, without content.
    CreateSecret,
    /// Create a new CA and store it in front of the kept ones.
    CreateCa {
        /// CAs that stay in the Secret.
        keep: Vec<CaId>,
    },
    /// Remove retired CAs from the Secret.
    Prune {
        /// CAs that stay in the Secret.
        keep: Vec<CaId>,
    },
    /// Issue a serving certificate from the newest CA.
    Issue,
    /// Replace the caBundle of each webhook.
    Trust {
        /// New caBundle per webhook.
        wanted: Vec<Vec<CaId>>,
        /// Reason of the change.
        purpose: Purpose,
    },
    /// Serve the certificate of the Secret.
    Serve,
}

/// Result of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    Do(Action),
    /// Nothing to do until this time; `None` waits for a change.
    Wait(Option<Timestamp>),
}

/// Computes the next step.
pub(super) fn next(facts: &Facts<'_>, policy: &Policy, now: Timestamp) -> Next {
    let planner = Planner { facts, policy, now };
    if let Some(action) = planner.action() { Next::Do(action) } else { Next::Wait(planner.wake()) }
}

struct Planner<'a> {
    facts: &'a Facts<'a>,
    policy: &'a Policy,
    now: Timestamp,
}

impl Planner<'_> {
    fn action(&self) -> Option<Action> {
        self.serve().or_else(|| self.trust()).or_else(|| match self.facts.stored {
            // Without a webhook configuration there are no callers, and after an uninstall the Secret must stay deleted.
            None => self.facts.bundles.map(|_| Action::CreateSecret),
            Some(stored) => self.issue(stored).or_else(|| self.create_ca(stored)).or_else(|| self.prune(stored)),
        })
    }

    fn serve(&self) -> Option<Action> {
        let serving_cert = self.facts.stored?.serving_cert.as_ref()?;
        let is_other = self.facts.served.is_none_or(|served| served.fingerprint != serving_cert.fingerprint);
        (is_other && self.now <= serving_cert.not_after && self.is_settled(serving_cert.issuer))
            .then_some(Action::Serve)
    }

    fn trust(&self) -> Option<Action> {
        let bundles = self.facts.bundles?;
        let needed = self.needed();
        let lacks = |bundle: &[Ca]| needed.iter().any(|ca| !has(bundle, ca.id));
        let in_use = |id| {
            let served = self.served().is_some_and(|served| served.issuer.id == id);
            served || self.serving_cert().is_some_and(|cert| cert.issuer == id)
        };
        let broken = |bundle: &[Ca]| needed.iter().any(|ca| in_use(ca.id) && !has(bundle, ca.id));
        let wanted: Vec<Vec<CaId>> = bundles.iter().map(|bundle| self.wanted(&needed, bundle)).collect();
        let differs = |(bundle, wanted): (&Vec<Ca>, &Vec<CaId>)| {
            bundle.len() != wanted.len() || wanted.iter().any(|id| !has(bundle, *id))
        };
        if !bundles.iter().zip(&wanted).any(differs) {
            return None;
        }
        let purpose = if bundles.iter().any(|bundle| broken(bundle)) {
            Purpose::Repair
        } else if bundles.iter().any(|bundle| lacks(bundle)) {
            Purpose::Rotation
        } else {
            Purpose::Removal
        };
        Some(Action::Trust { wanted, purpose })
    }

    fn issue(&self, stored: &Stored) -> Option<Action> {
        let head = self.head()?;
        let due = stored.serving_cert.as_ref().is_none_or(|cert| {
            let renewal = self.renewal(cert.created, cert.not_after);
            self.now >= renewal || cert.issuer != head.id || !cert.covers
        });
        (due && self.is_settled(head.id)).then_some(Action::Issue)
    }

    fn create_ca(&self, stored: &Stored) -> Option<Action> {
        let due = self.head().is_none_or(|head| {
            // Rotations do not overlap: the current CA must have issued a certificate first.
            let is_used = stored.serving_cert.as_ref().is_some_and(|cert| cert.issuer == head.id);
            is_used && self.now >= self.renewal(head.created, head.not_after)
        });
        let needed = || self.needed().iter().map(|ca| ca.id).collect();
        due.then(|| Action::CreateCa { keep: needed() })
    }

    fn prune(&self, stored: &Stored) -> Option<Action> {
        let keep: Vec<CaId> = self.kept(stored).iter().map(|ca| ca.id).collect();
        (keep.len() < stored.cas.len()).then_some(Action::Prune { keep })
    }

    /// The CA that issues; `None` if its remaining lifetime is too short.
    fn head(&self) -> Option<&Ca> {
        let stored = self.facts.stored.filter(|stored| stored.signs)?;
        stored.cas.first().filter(|ca| self.now < part(ca.created, ca.not_after, STOP_ISSUING_AT))
    }

    /// Serving certificate of the Secret, if valid.
    fn serving_cert(&self) -> Option<&ServingCert> {
        self.facts.stored?.serving_cert.as_ref().filter(|cert| self.now <= cert.not_after)
    }

    /// Certificate served by this replica, if valid.
    fn served(&self) -> Option<&Served> {
        self.facts.served.filter(|served| self.now <= served.not_after)
    }

    fn is_trusted(&self, id: CaId) -> bool {
        self.facts.bundles.is_some_and(|all| !all.is_empty() && all.iter().all(|bundle| has(bundle, id)))
    }

    fn is_settled(&self, id: CaId) -> bool {
        self.is_trusted(id) && self.settles(id).is_some_and(|at| self.now >= at)
    }

    /// Time from which certificates of this CA may be used; `None` while it is not trusted.
    fn settles(&self, id: CaId) -> Option<Timestamp> {
        let since = *self.facts.trusted_since.get(&id)?;
        // Without a working certificate there is no reason to wait.
        let in_order = self.served().is_some_and(|served| self.is_trusted(served.issuer.id));
        Some(if in_order { after(since, self.policy.settle) } else { since.min(self.now) })
    }

    /// CAs that every caBundle must hold, newest first.
    fn needed(&self) -> Vec<&Ca> {
        let mut needed = self.facts.stored.map(|stored| self.kept(stored)).unwrap_or_default();
        let served = self.served().map(|served| &served.issuer);
        needed.extend(served.filter(|ca| !needed.iter().any(|other| other.id == ca.id)));
        needed
    }

    /// CAs of the Secret whose certificates may still be valid.
    fn kept<'b>(&self, stored: &'b Stored) -> Vec<&'b Ca> {
        let kept = stored.cas.iter().enumerate().filter_map(|(index, ca)| {
            let successor = index.checked_sub(1).and_then(|before| stored.cas.get(before));
            let in_use = stored.serving_cert.as_ref().is_some_and(|cert| cert.issuer == ca.id)
                || self.served().is_some_and(|served| served.issuer.id == ca.id);
            let is_over = !in_use && successor.is_some_and(|next| self.now >= self.retirement(next));
            (!is_over && self.now <= ca.not_after).then_some(ca)
        });
        kept.collect()
    }

    /// New content of a caBundle: the needed CAs, then those of other programs or earlier Secrets.
    fn wanted(&self, needed: &[&Ca], bundle: &[Ca]) -> Vec<CaId> {
        let is_over = |ca: &Ca| {
            let head = self.head().filter(|head| ca.ours && ca.created < head.created);
            self.now > ca.not_after || head.is_some_and(|head| self.now >= self.retirement(head))
        };
        let is_needed = |ca: &Ca| needed.iter().any(|other| other.id == ca.id);
        let mut others: Vec<&Ca> = bundle.iter().filter(|ca| !is_needed(ca) && !is_over(ca)).collect();
        others.sort_by_key(|ca| std::cmp::Reverse(ca.not_after));
        others.truncate(MAX_FOREIGN_CAS);
        needed.iter().copied().chain(others).map(|ca| ca.id).collect()
    }

    /// Time after which no certificate issued before this CA was created can be valid, plus a tenth for clock skew.
    fn retirement(&self, successor: &Ca) -> Timestamp {
        after(successor.created, self.policy.cert_lifetime + self.policy.cert_lifetime / 10)
    }

    fn renewal(&self, created: Timestamp, not_after: Timestamp) -> Timestamp {
        part(created, not_after, self.policy.renew_at)
    }

    /// Time of the next step if nothing changes.
    fn wake(&self) -> Option<Timestamp> {
        let stored = self.facts.stored;
        let head = self.head();
        let serving_cert = stored.and_then(|stored| stored.serving_cert.as_ref());
        let renewals = head.map(|head| self.renewal(head.created, head.not_after)).into_iter();
        let renewals = renewals.chain(serving_cert.map(|cert| self.renewal(cert.created, cert.not_after)));
        let cas = stored.into_iter().flat_map(|stored| &stored.cas);
        let bundles = self.facts.bundles.into_iter().flatten().flatten();
        let ends = cas.clone().chain(bundles).map(|ca| ca.not_after).chain(serving_cert.map(|cert| cert.not_after));
        let retirements = cas.map(|ca| self.retirement(ca));
        let issuers = head.map(|head| head.id).into_iter().chain(serving_cert.map(|cert| cert.issuer));
        let settled = issuers.filter_map(|id| self.settles(id));
        let all = renewals.chain(ends).chain(retirements).chain(settled);
        all.filter(|at| *at > self.now).min()
    }
}

fn has(bundle: &[Ca], id: CaId) -> bool {
    bundle.iter().any(|ca| ca.id == id)
}

/// Time at which this fraction (in thousandths) of a lifetime has elapsed.
fn part(created: Timestamp, not_after: Timestamp, thousandths: i32) -> Timestamp {
    let lifetime = not_after.duration_since(created).max(SignedDuration::ZERO);
    created.saturating_add(lifetime / 1_000 * thousandths).unwrap_or(Timestamp::MAX)
}

fn after(time: Timestamp, more: Duration) -> Timestamp {
    let more = SignedDuration::try_from(more).unwrap_or(SignedDuration::MAX);
    time.saturating_add(more).unwrap_or(Timestamp::MAX)
}
