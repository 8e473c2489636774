//! Two replicas, a Secret and a webhook configuration, reduced to what the plan sees.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::super::plan::{Action, Ca, Facts, Next, Policy, Served, ServingCert, Stored, next};
use crate::{ca::CaId, labels::Purpose};

pub(super) const CA_LIFETIME: Duration = Duration::from_mins(15);
pub(super) const CERT_LIFETIME: Duration = Duration::from_mins(5);
pub(super) const PROPAGATION_DELAY: Duration = Duration::from_secs(5);

type Version = u64;

/// The whole simulated state.
pub(super) struct Simulation {
    pub(super) now: Timestamp,
    pub(super) secret: Option<(Version, Stored)>,
    pub(super) bundles: Option<(Version, Vec<Vec<Ca>>)>,
    /// caBundles that an API server may still use, each with the time since which it was set. An API server lags by up
    /// to [`PROPAGATION_DELAY`].
    history: Vec<(Timestamp, Vec<Vec<Ca>>)>,
    pub(super) replicas: Vec<Replica>,
    pub(super) patches: Vec<Purpose>,
    count: u64,
}

/// One replica and its progress within a step.
#[derive(Default)]
#[expect(clippy::option_option, reason = "read or not, and what was read may be nothing")]
pub(super) struct Replica {
    pub(super) served: Option<Served>,
    /// Time at which it began to serve without a previous working certificate.
    began: Option<Timestamp>,
    trusted_since: BTreeMap<CaId, Timestamp>,
    bundles: Option<Option<(Version, Vec<Vec<Ca>>)>>,
    secret: Option<Option<(Version, Stored)>>,
    action: Option<(Action, Timestamp)>,
}

fn policy() -> Policy {
    Policy { cert_lifetime: CERT_LIFETIME, renew_at: 650, settle: PROPAGATION_DELAY }
}

fn later(time: Timestamp, more: Duration) -> Timestamp {
    time.checked_add(more).unwrap()
}

impl Simulation {
    /// Creates a configuration of two webhooks without caBundles, an empty Secret as created by the chart, and
    /// replicas.
    pub(super) fn new(replicas: usize) -> Self {
        let now = "2026-11-01T00:00:00Z".parse().unwrap();
        Self {
            now,
            secret: Some((0, Stored::default())),
            bundles: Some((0, vec![Vec::new(); 2])),
            history: vec![(now, vec![Vec::new(); 2])],
            replicas: (0..replicas).map(|_| Replica::default()).collect(),
            patches: Vec::new(),
            count: 0,
        }
    }

    pub(super) fn advance(&mut self, time: Duration) {
        self.now = later(self.now, time);
    }

    /// Performs the next part of a replica's step: reads the configuration, reads the Secret, decides, or acts.
    pub(super) fn step(&mut self, index: usize) {
        let now = self.now;
        let replica = &mut self.replicas[index];
        if replica.bundles.is_none() {
            replica.bundles = Some(self.bundles.clone());
        } else if replica.secret.is_none() {
            replica.secret = Some(self.secret.clone());
        } else if let Some((action, at)) = replica.action.take() {
            self.perform(index, action, at);
            self.replicas[index].forget_reading();
        } else if let Next::Do(action) = replica.decide(now) {
            if action == Action::Serve {
                replica.serve(now);
                replica.forget_reading();
            } else {
                replica.action = Some((action, now));
            }
        } else {
            replica.forget_reading();
        }
    }

    /// Runs the steps of all replicas in turn. Time advances with each round, so that changes can propagate.
    pub(super) fn run(&mut self, rounds: usize) {
        for _ in 0..rounds {
            for index in 0..self.replicas.len() {
                (0..4).for_each(|_| self.step(index));
            }
            self.advance(Duration::from_secs(1));
        }
    }

    fn perform(&mut self, index: usize, action: Action, at: Timestamp) {
        let (secret_read, bundles_read) = {
            let replica = &self.replicas[index];
            let version = |read: &Option<Option<(Version, Stored)>>| read.iter().flatten().map(|read| read.0).next();
            (version(&replica.secret), replica.bundles.iter().flatten().map(|read| read.0).next())
        };
        let known = self.known(index);
        let find = |ids: &[CaId]| ids.iter().map(|id| known[id].clone()).collect::<Vec<_>>();
        match action {
            Action::CreateSecret => {
                if self.secret.is_none() {
                    self.secret = Some((self.fresh(), Stored::default()));
                }
            }
            Action::CreateCa { keep } => {
                let head = self.ca(at);
                self.write(secret_read, |stored| {
                    stored.cas = [vec![head], find(&keep)].concat();
                    stored.signs = true;
                });
            }
            Action::Prune { keep } => self.write(secret_read, |stored| stored.cas = find(&keep)),
            Action::Issue => {
                let fingerprint = self.fresh().to_string();
                self.write(secret_read, |stored| {
                    let head = &stored.cas[0];
                    let not_after = later(at, CERT_LIFETIME).min(head.not_after);
                    stored.serving_cert =
                        Some(ServingCert { fingerprint, issuer: head.id, created: at, not_after, covers: true });
                });
            }
            Action::Trust { wanted, purpose } => {
                let wanted = wanted.iter().map(|ids| find(ids)).collect();
                if self.bundles.as_ref().map(|(version, _)| *version) == bundles_read {
                    self.set_bundles(wanted);
                    self.patches.push(purpose);
                }
            }
            Action::Serve => unreachable!("is done at once"),
        }
    }

    fn write(&mut self, read: Option<Version>, change: impl FnOnce(&mut Stored)) {
        let version = self.fresh();
        if let Some((current, stored)) = &mut self.secret
            && Some(*current) == read
        {
            change(stored);
            *current = version;
        }
    }

    pub(super) fn set_bundles(&mut self, bundles: Vec<Vec<Ca>>) {
        self.history.push((self.now, bundles.clone()));
        self.bundles = Some((self.fresh(), bundles));
    }

    /// Changes the Secret as another client would.
    pub(super) fn tamper(&mut self, change: impl FnOnce(&mut Stored)) {
        let version = self.secret.as_ref().map(|(version, _)| *version);
        self.write(version, change);
    }

    pub(super) fn restart(&mut self, index: usize) {
        self.replicas[index] = Replica::default();
    }

    pub(super) fn ca(&mut self, created: Timestamp) -> Ca {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&self.fresh().to_be_bytes());
        Ca { id: CaId(id), created, not_after: later(created, CA_LIFETIME), ours: true }
    }

    /// Describes a replica that serves a certificate which some API server would not trust now; `None` if there is
    /// none.
    pub(super) fn untrusted(&self) -> Option<String> {
        self.replicas.iter().enumerate().find_map(|(index, replica)| {
            let served = replica.served.as_ref().filter(|served| self.now <= served.not_after)?;
            let began = replica.began.unwrap_or(self.now);
            // An API server may lag, but not by more than this.
            let since =
                self.now.checked_sub(PROPAGATION_DELAY).unwrap().max(later(began, PROPAGATION_DELAY)).min(self.now);
            let first = self.history.iter().rposition(|(at, _)| *at <= since).unwrap_or(0);
            let trusts =
                |bundles: &Vec<Vec<Ca>>| bundles.iter().all(|all| all.iter().any(|ca| ca.id == served.issuer.id));
            let all = self.history[first..].iter().all(|(_, bundles)| trusts(bundles));
            (!all).then(|| format!("replica {index} at {} serves {served:?}, {:#?}", self.now, &self.history[first..]))
        })
    }

    fn known(&self, index: usize) -> BTreeMap<CaId, Ca> {
        let replica = &self.replicas[index];
        let stored = replica.secret.iter().flatten().flat_map(|(_, stored)| stored.cas.clone());
        let trusted = replica.bundles.iter().flatten().flat_map(|(_, bundles)| bundles.concat());
        let served = replica.served.iter().map(|served| served.issuer.clone());
        stored.chain(trusted).chain(served).map(|ca| (ca.id, ca)).collect()
    }

    fn fresh(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

impl Replica {
    fn decide(&mut self, now: Timestamp) -> Next {
        let stored = self.secret.iter().flatten().map(|(_, stored)| stored).next();
        let bundles = self.bundles.iter().flatten().map(|(_, bundles)| bundles.as_slice()).next();
        let first = bundles.and_then(<[_]>::first).cloned().unwrap_or_default();
        let everywhere = |ca: &Ca| bundles.unwrap_or_default().iter().all(|all| all.iter().any(|one| one.id == ca.id));
        let since = |ca: &Ca| (ca.id, self.trusted_since.get(&ca.id).copied().unwrap_or(now));
        self.trusted_since = first.iter().filter(|ca| everywhere(ca)).map(since).collect();
        let facts = Facts { stored, bundles, trusted_since: &self.trusted_since, served: self.served.as_ref() };
        next(&facts, &policy(), now)
    }

    fn serve(&mut self, now: Timestamp) {
        let (_, stored) = self.secret.iter().flatten().next().unwrap();
        let serving_cert = stored.serving_cert.as_ref().unwrap();
        let issuer = stored.cas.iter().find(|ca| ca.id == serving_cert.issuer).unwrap().clone();
        let had_one = self.served.as_ref().is_some_and(|served| now <= served.not_after);
        if !had_one {
            self.began = Some(now);
        }
        self.served =
            Some(Served { fingerprint: serving_cert.fingerprint.clone(), not_after: serving_cert.not_after, issuer });
    }

    fn forget_reading(&mut self) {
        (self.bundles, self.secret, self.action) = (None, None, None);
    }
}
