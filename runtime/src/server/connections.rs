//! The open connections, and which one to close when there are too many.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Limits,
    activity::{Activity, Use},
};

/// Identifies an open connection.
pub(super) type Id = u64;

/// The open connections. When one more would exceed a limit, the least useful one is closed for it: one without an
/// accepted request first, then the one that has been idle longest. A connection that has had an accepted request and has
/// another in flight is never closed.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: HashMap<Id, Entry>,
    next: Id,
}

#[derive(Debug)]
struct Entry {
    peer: IpAddr,
    activity: Activity,
    evict: CancellationToken,
}

/// A connection that has been let in.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) id: Id,
    pub(super) activity: Activity,
    /// Cancelled when the connection must give way to another.
    pub(super) evict: CancellationToken,
    /// True if another connection was closed for it.
    pub(super) evicted: bool,
}

impl Connections {
    /// Admits a connection; `None` if every connection it could replace is in use.
    pub(super) fn admit(&mut self, peer: SocketAddr, limits: &Limits) -> Option<Admitted> {
        let peer = peer.ip().to_canonical();
        let of_peer = self.open.values().filter(|entry| entry.peer == peer).count();
        let evicted = if of_peer >= limits.connections_per_peer {
            self.evict(|entry| entry.peer == peer)?;
            true
        } else if self.open.len() >= limits.connections {
            self.evict(|_| true)?;
            true
        } else {
            false
        };
        let (id, activity, evict) = (self.next, Activity::new(), CancellationToken::new());
        self.next += 1;
        self.open.insert(id, Entry { peer, activity: activity.clone(), evict: evict.clone() });
        Some(Admitted { id, activity, evict, evicted })
    }

    /// Removes a connection that has ended.
    pub(super) fn remove(&mut self, id: Id) {
        self.open.remove(&id);
    }

    /// Closes the least useful of some connections; `None` if all of them are in use.
    fn evict(&mut self, which: impl Fn(&Entry) -> bool) -> Option<()> {
        let candidates = self.open.iter().filter(|(_, entry)| which(entry));
        let ranked = candidates.filter_map(|(id, entry)| Some((rank(&entry.activity.usage())?, *id)));
        let (_, id) = ranked.min()?;
        self.open.remove(&id)?.evict.cancel();
        Some(())
    }
}

/// Sort key by usefulness, least useful first; `None` if the connection must stay.
fn rank(usage: &Use) -> Option<(bool, bool, Instant)> {
    let Use { accepted, in_flight, since } = *usage;
    (!(accepted && in_flight)).then_some((accepted, in_flight, since))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    fn peer(last: u8) -> SocketAddr {
        ([10, 0, 0, last], 40_000).into()
    }

    fn limits(connections: usize, connections_per_peer: usize) -> Limits {
        Limits { connections, connections_per_peer, ..Limits::default() }
    }

    /// Admits a connection that has had an accepted request.
    fn used(connections: &mut Connections, from: u8, limits: &Limits) -> Admitted {
        let admitted = connections.admit(peer(from), limits).unwrap();
        admitted.activity.request().accepted();
        admitted
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_an_accepted_request_gives_way_first() {
        let (mut connections, limits) = (Connections::default(), limits(3, 3));
        let old = used(&mut connections, 1, &limits);
        advance(Duration::from_secs(1)).await;
        let silent = connections.admit(peer(2), &limits).unwrap();
        let young = used(&mut connections, 1, &limits);
        assert!(connections.admit(peer(3), &limits).unwrap().evicted);
        assert!(silent.evict.is_cancelled() && !old.evict.is_cancelled() && !young.evict.is_cancelled());
        // Among the connections with an accepted request, the one that has been idle longest.
        used(&mut connections, 3, &limits);
        used(&mut connections, 3, &limits);
        assert!(old.evict.is_cancelled() && !young.evict.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_beyond_its_share_takes_only_from_itself() {
        let (mut connections, limits) = (Connections::default(), limits(100, 10));
        let other = connections.admit(peer(2), &limits).unwrap();
        let flood: Vec<_> = (0..1_000).map(|_| connections.admit(peer(1), &limits).unwrap()).collect();
        assert!(!other.evict.is_cancelled());
        assert_eq!(flood.iter().filter(|admitted| !admitted.evict.is_cancelled()).count(), 10);
        assert_eq!(connections.open.len(), 11);
    }

    #[tokio::test(start_paused = true)]
    async fn connections_in_use_stay() {
        let (mut connections, limits) = (Connections::default(), limits(1, 1));
        let busy = used(&mut connections, 1, &limits);
        let request = busy.activity.request();
        assert!(connections.admit(peer(2), &limits).is_none());
        assert!(connections.admit(peer(1), &limits).is_none());
        drop(request);
        assert!(connections.admit(peer(2), &limits).is_some());
        assert!(busy.evict.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_request_does_not_protect_a_connection() {
        let (mut connections, limits) = (Connections::default(), limits(1, 1));
        let slow = connections.admit(peer(1), &limits).unwrap();
        let _request = slow.activity.request();
        assert!(connections.admit(peer(2), &limits).is_some());
        assert!(slow.evict.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn an_ended_connection_makes_room() {
        let (mut connections, limits) = (Connections::default(), limits(1, 1));
        let first = connections.admit(peer(1), &limits).unwrap();
        connections.remove(first.id);
        assert!(!connections.admit(peer(1), &limits).unwrap().evicted);
    }
}
