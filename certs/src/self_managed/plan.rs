//! What is to be done next: facts and a time in, one action out.
//!
//! Any number of replicas follow this, each on its own and at its own pace, over one Secret (written only on the
//! version that was read) and one webhook configuration (likewise). What makes that safe:
//! - Trust first, serve after. A new authority is written to the Secret beside the old one, then added to the caBundle,
//!   and only a replica that has seen it there, and given the API server the time to see it too, issues a leaf by it.
//!   No replica changes to a leaf before it has seen the same. One that has nothing to lose does not wait.
//! - An authority leaves the caBundle when no leaf of it can be valid any more: the last one was issued before its
//!   successor was made. What others put there stays until it expires.
//! - The caller reads the webhook configuration before the Secret. Then each authority of ours in a caBundle is in that
//!   Secret too, or in one that has been replaced since.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::ca::CaId;

/// What others put into a caBundle is kept up to so many certificates: cert-manager's, while a release changes over.
const MOST_OF_OTHERS: usize = 16;

/// An authority of whose lifetime so many thousandths have passed issues no more.
const SPENT: i32 = 900;

/// The times that decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Policy {
    /// How long a leaf is valid.
    pub(super) leaf_lifetime: Duration,
    /// What part of its lifetime has passed when something is renewed, in thousandths. Each replica has its own, so
    /// that they seldom renew at once.
    pub(super) renew_at: i32,
    /// How long an authority must have been in the caBundle before it is relied on: the API servers learn of a change
    /// by a watch of theirs, each on its own.
    pub(super) settle: Duration,
}

/// An authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ca {
    pub(super) id: CaId,
    pub(super) created: Timestamp,
    pub(super) not_after: Timestamp,
    /// Whether it was made by this program.
    pub(super) ours: bool,
}

/// A serving certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) fingerprint: String,
    pub(super) issuer: CaId,
    pub(super) created: Timestamp,
    pub(super) not_after: Timestamp,
    /// Whether it covers every name that this replica is called by.
    pub(super) covers: bool,
}

/// What of the Secret can be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// The authorities, the newest first.
    pub(super) authorities: Vec<Ca>,
    /// Whether the first authority's key is there.
    pub(super) signs: bool,
    /// Issued by one of the authorities.
    pub(super) leaf: Option<Leaf>,
}

/// What this replica serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) fingerprint: String,
    pub(super) not_after: Timestamp,
    pub(super) issuer: Ca,
}

/// Everything that is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// `None`: there is no Secret.
    pub(super) stored: Option<&'a Stored>,
    /// The caBundle of each webhook; `None`: there is no configuration.
    pub(super) bundles: Option<&'a [Vec<Ca>]>,
    /// Since when each authority has been in every caBundle, as this replica saw it.
    pub(super) trusted_since: &'a BTreeMap<CaId, Timestamp>,
    pub(super) served: Option<&'a Served>,
}

/// What is to be done. Each but the last changes something that is then to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// The Secret is made, without content.
    MakeSecret,
    /// A new authority is put before these in the Secret.
    Found {
        /// Those that stay.
        keep: Vec<CaId>,
    },
    /// The Secret's authorities become these.
    Prune {
        /// Those that stay.
        keep: Vec<CaId>,
    },
    /// The Secret's first authority issues a leaf.
    Issue,
    /// The caBundle of each webhook becomes this.
    Trust {
        /// One for each webhook.
        wanted: Vec<Vec<CaId>>,
        /// What for.
        purpose: Purpose,
    },
    /// The Secret's leaf is served.
    Serve,
}

/// What a caBundle is patched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A new authority is to be trusted.
    Rotation,
    /// An authority in use is no longer there.
    Repair,
    /// Authorities are done with.
    Removal,
}

/// What to do, or until when there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    Do(Action),
    /// `None`: until something changes.
    Wait(Option<Timestamp>),
}

/// Decides.
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
            // While nobody calls there is no hurry, and at the end of a release the Secret is to stay deleted.
            None => self.facts.bundles.map(|_| Action::MakeSecret),
            Some(stored) => self.issue(stored).or_else(|| self.found(stored)).or_else(|| self.prune(stored)),
        })
    }

    fn serve(&self) -> Option<Action> {
        let leaf = self.facts.stored?.leaf.as_ref()?;
        let is_other = self.facts.served.is_none_or(|served| served.fingerprint != leaf.fingerprint);
        (is_other && self.now <= leaf.not_after && self.is_settled(leaf.issuer)).then_some(Action::Serve)
    }

    fn trust(&self) -> Option<Action> {
        let bundles = self.facts.bundles?;
        let needed = self.needed();
        let lacks = |bundle: &[Ca]| needed.iter().any(|ca| !has(bundle, ca.id));
        let in_use = |id| {
            let served = self.served().is_some_and(|served| served.issuer.id == id);
            served || self.leaf().is_some_and(|leaf| leaf.issuer == id)
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
        let due = stored.leaf.as_ref().is_none_or(|leaf| {
            let renewal = self.renewal(leaf.created, leaf.not_after);
            self.now >= renewal || leaf.issuer != head.id || !leaf.covers
        });
        (due && self.is_settled(head.id)).then_some(Action::Issue)
    }

    fn found(&self, stored: &Stored) -> Option<Action> {
        let due = self.head().is_none_or(|head| {
            // One rotation after another: the leaf by this authority comes first.
            let is_used = stored.leaf.as_ref().is_some_and(|leaf| leaf.issuer == head.id);
            is_used && self.now >= self.renewal(head.created, head.not_after)
        });
        let needed = || self.needed().iter().map(|ca| ca.id).collect();
        due.then(|| Action::Found { keep: needed() })
    }

    fn prune(&self, stored: &Stored) -> Option<Action> {
        let keep: Vec<CaId> = self.kept(stored).iter().map(|ca| ca.id).collect();
        (keep.len() < stored.authorities.len()).then_some(Action::Prune { keep })
    }

    /// The Secret's authority that issues. Not one whose end is so near that its leaves would hardly live.
    fn head(&self) -> Option<&Ca> {
        let stored = self.facts.stored.filter(|stored| stored.signs)?;
        stored.authorities.first().filter(|ca| self.now < part(ca.created, ca.not_after, SPENT))
    }

    /// The Secret's leaf, while it is valid.
    fn leaf(&self) -> Option<&Leaf> {
        self.facts.stored?.leaf.as_ref().filter(|leaf| self.now <= leaf.not_after)
    }

    /// What is served, while it is valid.
    fn served(&self) -> Option<&Served> {
        self.facts.served.filter(|served| self.now <= served.not_after)
    }

    fn is_trusted(&self, id: CaId) -> bool {
        self.facts.bundles.is_some_and(|all| !all.is_empty() && all.iter().all(|bundle| has(bundle, id)))
    }

    fn is_settled(&self, id: CaId) -> bool {
        self.is_trusted(id) && self.settles(id).is_some_and(|at| self.now >= at)
    }

    /// When an authority may be relied on; `None` while it is not trusted.
    fn settles(&self, id: CaId) -> Option<Timestamp> {
        let since = *self.facts.trusted_since.get(&id)?;
        // With nothing to lose there is nothing to wait for.
        let in_order = self.served().is_some_and(|served| self.is_trusted(served.issuer.id));
        Some(if in_order { after(since, self.policy.settle) } else { since.min(self.now) })
    }

    /// What must be in every caBundle, the newest first.
    fn needed(&self) -> Vec<&Ca> {
        let mut needed = self.facts.stored.map(|stored| self.kept(stored)).unwrap_or_default();
        let served = self.served().map(|served| &served.issuer);
        needed.extend(served.filter(|ca| !needed.iter().any(|other| other.id == ca.id)));
        needed
    }

    /// The Secret's authorities of which a leaf may still be valid.
    fn kept<'b>(&self, stored: &'b Stored) -> Vec<&'b Ca> {
        let kept = stored.authorities.iter().enumerate().filter_map(|(index, ca)| {
            let successor = index.checked_sub(1).and_then(|before| stored.authorities.get(before));
            let in_use = stored.leaf.as_ref().is_some_and(|leaf| leaf.issuer == ca.id)
                || self.served().is_some_and(|served| served.issuer.id == ca.id);
            let is_over = !in_use && successor.is_some_and(|next| self.now >= self.retirement(next));
            (!is_over && self.now <= ca.not_after).then_some(ca)
        });
        kept.collect()
    }

    /// What a caBundle becomes: what is needed, and what others, or earlier Secrets, put there.
    fn wanted(&self, needed: &[&Ca], bundle: &[Ca]) -> Vec<CaId> {
        let is_over = |ca: &Ca| {
            let head = self.head().filter(|head| ca.ours && ca.created < head.created);
            self.now > ca.not_after || head.is_some_and(|head| self.now >= self.retirement(head))
        };
        let is_needed = |ca: &Ca| needed.iter().any(|other| other.id == ca.id);
        let mut others: Vec<&Ca> = bundle.iter().filter(|ca| !is_needed(ca) && !is_over(ca)).collect();
        others.sort_by_key(|ca| std::cmp::Reverse(ca.not_after));
        others.truncate(MOST_OF_OTHERS);
        needed.iter().copied().chain(others).map(|ca| ca.id).collect()
    }

    /// When no leaf can be valid any more that was issued before this authority was made. A tenth more, for clocks
    /// that differ.
    fn retirement(&self, successor: &Ca) -> Timestamp {
        after(successor.created, self.policy.leaf_lifetime + self.policy.leaf_lifetime / 10)
    }

    fn renewal(&self, created: Timestamp, not_after: Timestamp) -> Timestamp {
        part(created, not_after, self.policy.renew_at)
    }

    /// When the next thing is to be done, if nothing changes.
    fn wake(&self) -> Option<Timestamp> {
        let stored = self.facts.stored;
        let head = self.head();
        let leaf = stored.and_then(|stored| stored.leaf.as_ref());
        let renewals = head.map(|head| self.renewal(head.created, head.not_after)).into_iter();
        let renewals = renewals.chain(leaf.map(|leaf| self.renewal(leaf.created, leaf.not_after)));
        let authorities = stored.into_iter().flat_map(|stored| &stored.authorities);
        let bundles = self.facts.bundles.into_iter().flatten().flatten();
        let ends = authorities.clone().chain(bundles).map(|ca| ca.not_after).chain(leaf.map(|leaf| leaf.not_after));
        let retirements = authorities.map(|ca| self.retirement(ca));
        let issuers = head.map(|head| head.id).into_iter().chain(leaf.map(|leaf| leaf.issuer));
        let settled = issuers.filter_map(|id| self.settles(id));
        let all = renewals.chain(ends).chain(retirements).chain(settled);
        all.filter(|at| *at > self.now).min()
    }
}

fn has(bundle: &[Ca], id: CaId) -> bool {
    bundle.iter().any(|ca| ca.id == id)
}

/// When so many thousandths of a lifetime have passed.
fn part(created: Timestamp, not_after: Timestamp, thousandths: i32) -> Timestamp {
    let lifetime = not_after.duration_since(created).max(SignedDuration::ZERO);
    created.saturating_add(lifetime / 1_000 * thousandths).unwrap_or(Timestamp::MAX)
}

fn after(time: Timestamp, more: Duration) -> Timestamp {
    let more = SignedDuration::try_from(more).unwrap_or(SignedDuration::MAX);
    time.saturating_add(more).unwrap_or(Timestamp::MAX)
}
