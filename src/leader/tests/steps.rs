//! Single steps of a candidate.

use std::time::Duration;

use crate::leader::{
    Timing,
    candidate::{Candidate, Step},
    lease::Lease,
};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn lease(version: u64, holder: Option<&str>) -> Lease {
    Lease { uid: "1".into(), version, holder: holder.map(Into::into), duration: at(15), transitions: 0 }
}

fn candidate() -> Candidate {
    // 15, 10 and 2 seconds.
    Candidate::new("a".into(), Timing::of_lease(at(15)))
}

/// A candidate that took version 2 at 10 s.
fn leader() -> Candidate {
    let mut leader = candidate();
    leader.saw(Some(lease(1, None)), at(10));
    leader.took(lease(2, Some("a")), at(10));
    leader
}

#[test]
fn a_missing_lease_is_created_and_a_free_one_is_taken() {
    let mut candidate = candidate();
    assert_eq!(candidate.step(at(1)), Step::Read);
    candidate.saw(None, at(1));
    assert_eq!(candidate.step(at(1)), Step::Create);
    let free = lease(1, None);
    candidate.saw(Some(free.clone()), at(1));
    assert_eq!(candidate.step(at(1)), Step::Take { from: free, is_transition: true });
}

#[test]
fn a_held_lease_is_taken_after_it_was_unchanged_for_its_duration() {
    let mut candidate = candidate();
    candidate.saw(Some(lease(1, Some("b"))), at(100));
    assert_eq!(candidate.step(at(114)), Step::Wait(at(115)));
    candidate.saw(Some(lease(2, Some("b"))), at(114));
    assert_eq!(candidate.step(at(115)), Step::Wait(at(129)));
    assert!(matches!(candidate.step(at(129)), Step::Take { is_transition: true, .. }));
    assert!(candidate.follows());
}

#[test]
fn a_released_lease_is_taken_at_once() {
    let mut candidate = candidate();
    candidate.saw(Some(lease(1, Some("b"))), at(100));
    candidate.saw(Some(lease(2, None)), at(101));
    assert!(matches!(candidate.step(at(101)), Step::Take { .. }));
}

#[test]
fn a_lease_deleted_while_another_may_send_is_not_taken_early() {
    let mut candidate = candidate();
    candidate.saw(Some(lease(1, Some("b"))), at(100));
    candidate.saw(None, at(101));
    assert_eq!(candidate.step(at(101)), Step::Wait(at(115)));
    let recreated = Lease { uid: "2".into(), ..lease(9, None) };
    candidate.saw(Some(recreated), at(102));
    assert_eq!(candidate.step(at(102)), Step::Wait(at(115)));
}

#[test]
fn a_lease_held_longer_than_ours_is_respected() {
    let mut candidate = candidate();
    candidate.saw(Some(Lease { duration: at(60), ..lease(1, Some("b")) }), at(100));
    assert_eq!(candidate.step(at(115)), Step::Wait(at(160)));
}

#[test]
fn permission_ends_before_the_lease_and_the_term_goes_on() {
    let mut leader = leader();
    assert_eq!((leader.until(), leader.term()), (at(20), Some(1)));
    assert_eq!(leader.step(at(11)), Step::Wait(at(12)));
    assert!(matches!(leader.step(at(12)), Step::Take { is_transition: false, .. }));
    leader.took(lease(3, Some("a")), at(25));
    assert_eq!((leader.until(), leader.term()), (at(35), Some(1)));
}

#[test]
fn another_holder_ends_the_term() {
    let mut leader = leader();
    leader.doubt();
    assert_eq!(leader.step(at(30)), Step::Read);
    leader.saw(Some(lease(3, Some("b"))), at(30));
    assert_eq!((leader.until(), leader.term()), (Duration::ZERO, None));
    leader.saw(Some(lease(4, None)), at(31));
    leader.took(lease(5, Some("a")), at(31));
    assert_eq!(leader.term(), Some(2));
}

#[test]
fn an_older_version_changes_nothing() {
    let mut leader = leader();
    leader.saw(Some(lease(1, Some("b"))), at(12));
    assert_eq!(leader.term(), Some(1));
    let mut late = candidate();
    late.saw(Some(lease(7, Some("b"))), at(12));
    late.took(lease(6, Some("a")), at(12));
    assert_eq!((late.term(), late.step(at(12))), (None, Step::Read));
}

#[test]
fn a_restarted_container_of_the_holder_takes_over_at_once() {
    let mut candidate = candidate();
    candidate.saw(Some(lease(4, Some("a"))), at(1));
    assert!(matches!(candidate.step(at(1)), Step::Take { is_transition: false, .. }));
    assert_eq!(candidate.term(), None);
}
