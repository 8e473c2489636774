//! The permission to send.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use super::Uptime;

/// The part of this replica in the election.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// The Lease was not read yet, or has no holder.
    #[default]
    Candidate,
    /// Another replica holds the Lease.
    Follower,
    /// This replica holds it. Each term has its own number. A term goes on after the permission to send has
    /// expired, until another replica is known to have taken the Lease.
    Leader(u64),
}

/// Permission to deliver. Clones share it.
#[derive(Debug, Clone)]
pub struct Leadership {
    permission: Option<Permission>,
    role: watch::Receiver<Role>,
}

/// The end of the permission, in nanoseconds of uptime.
#[derive(Debug, Clone)]
struct Permission {
    until: Arc<AtomicU64>,
    uptime: Uptime,
}

impl Permission {
    fn is_valid(&self) -> bool {
        self.uptime.now() < Duration::from_nanos(self.until.load(Ordering::Acquire))
    }
}

/// Grants and withdraws the permission.
#[derive(Debug)]
pub(crate) struct Grantor {
    permission: Permission,
    role: watch::Sender<Role>,
}

impl Leadership {
    /// Permission without an election: for a process that runs alone.
    pub fn without_election() -> Self {
        // The last value stays when the sender is gone.
        let (_, role) = watch::channel(Role::Leader(1));
        Self { permission: None, role }
    }

    /// A permission that is not granted yet.
    pub(crate) fn new(uptime: Uptime) -> (Grantor, Self) {
        let permission = Permission { until: Arc::default(), uptime };
        let (sender, role) = watch::channel(Role::default());
        (Grantor { permission: permission.clone(), role: sender }, Self { permission: Some(permission), role })
    }

    /// True if this process may send now. Check it before each request: a process that was paused in between may have
    /// lost the Lease.
    pub fn may_send(&self) -> bool {
        self.permission.as_ref().is_none_or(Permission::is_valid)
    }

    /// The current role.
    pub fn role(&self) -> Role {
        *self.role.borrow()
    }

    /// Waits until the role changes, or the permission comes back after it had run out. Cancel safe.
    pub async fn changed(&mut self) {
        if self.role.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for a term of this replica and returns its number.
    pub async fn leads(&mut self) -> u64 {
        loop {
            if let Role::Leader(term) = *self.role.borrow_and_update() {
                return term;
            }
            self.changed().await;
        }
    }

    /// Waits until this term is over.
    pub async fn ended(&mut self, term: u64) {
        while *self.role.borrow_and_update() == Role::Leader(term) {
            self.changed().await;
        }
    }
}

impl Grantor {
    /// Sets the role and the end of the permission.
    pub(crate) fn set(&self, role: Role, until: Duration) {
        let had_run_out = !self.permission.is_valid();
        let until = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        self.permission.until.store(until, Ordering::Release);
        let is_back = had_run_out && self.permission.is_valid();
        self.role.send_if_modified(|before| {
            let changed = *before != role;
            *before = role;
            changed || is_back
        });
    }
}
