//! Property tests: any interleaving of two replicas' steps, with any pauses in between and any changes to the Secret.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};

use super::{
    super::plan::{Ca, Stored},
    world::{CA_LIFETIME, Replica, World},
};

const REPLICAS: usize = 2;

#[derive(Debug, Clone)]
enum Event {
    /// A part of a replica's step.
    Step(usize),
    /// Several parts in a row.
    Steps(usize, usize),
    Pass(Duration),
    Restart(usize),
    DeleteSecret,
    EmptySecret,
    LoseKey,
    LoseLeaf,
    AddStranger,
    EmptyBundle(usize),
}

fn ordinary() -> impl Strategy<Value = Event> {
    let replica = || 0..REPLICAS;
    prop_oneof![
        20 => replica().prop_map(Event::Step),
        10 => (replica(), 1..20_usize).prop_map(|(replica, count)| Event::Steps(replica, count)),
        8 => (0..10_u64).prop_map(|seconds| Event::Pass(Duration::from_secs(seconds))),
        4 => (0..400_u64).prop_map(|seconds| Event::Pass(Duration::from_secs(seconds))),
        1 => replica().prop_map(Event::Restart),
    ]
}

fn with_mishaps() -> impl Strategy<Value = Event> {
    prop_oneof![
        40 => ordinary(),
        1 => Just(Event::DeleteSecret),
        1 => Just(Event::EmptySecret),
        1 => Just(Event::LoseKey),
        1 => Just(Event::LoseLeaf),
        1 => Just(Event::AddStranger),
    ]
}

fn with_everything() -> impl Strategy<Value = Event> {
    prop_oneof![20 => with_mishaps(), 1 => (0..2_usize).prop_map(Event::EmptyBundle)]
}

fn happen(world: &mut World, event: &Event) {
    match *event {
        Event::Step(replica) => world.step(replica),
        Event::Steps(replica, count) => (0..count).for_each(|_| world.step(replica)),
        Event::Pass(time) => world.advance(time),
        Event::Restart(replica) => world.restart(replica),
        Event::DeleteSecret => world.secret = None,
        Event::EmptySecret => world.tamper(|stored| *stored = Stored::default()),
        Event::LoseKey => world.tamper(|stored| stored.signs = false),
        Event::LoseLeaf => world.tamper(|stored| stored.leaf = None),
        Event::AddStranger => {
            let stranger = Ca { ours: false, ..world.ca(world.now) };
            let mut bundles = world.bundles.clone().unwrap().1;
            bundles[0].push(stranger);
            world.set_bundles(bundles);
        }
        Event::EmptyBundle(webhook) => {
            let mut bundles = world.bundles.clone().unwrap().1;
            bundles[webhook].clear();
            world.set_bundles(bundles);
        }
    }
}

/// Checks that undisturbed replicas soon serve the same valid certificate, which every caBundle trusts.
fn settles(mut world: World) -> Result<(), TestCaseError> {
    // A rotation in progress takes a few rounds.
    for _ in 0..60 {
        world.run(1);
        if agreed(&world) {
            return Ok(());
        }
    }
    Err(TestCaseError::fail(format!("{:#?} {:#?}", world.secret, world.bundles)))
}

fn agreed(world: &World) -> bool {
    let Some(leaf) = world.secret.as_ref().and_then(|(_, stored)| stored.leaf.as_ref()) else { return false };
    let Some((_, bundles)) = &world.bundles else { return false };
    let fingerprint = |replica: &Replica| replica.served.as_ref().map(|served| served.fingerprint.clone());
    world.replicas.iter().all(|replica| fingerprint(replica).as_ref() == Some(&leaf.fingerprint))
        && world.now <= leaf.not_after
        && bundles.iter().all(|bundle| bundle.iter().any(|ca| ca.id == leaf.issuer))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_replica_ever_serves_a_leaf_that_a_ca_bundle_does_not_trust(events in vec(with_mishaps(), 1..200)) {
        let mut world = World::new(REPLICAS);
        for event in events {
            happen(&mut world, &event);
            prop_assert_eq!(world.untrusted(), None, "after {:?}", event);
        }
        settles(world)?;
    }

    #[test]
    fn whatever_happened_the_replicas_agree_in_the_end(events in vec(with_everything(), 1..200)) {
        let mut world = World::new(REPLICAS);
        for event in events {
            happen(&mut world, &event);
        }
        settles(world)?;
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_grows(events in vec(ordinary(), 1..200)) {
        let mut world = World::new(REPLICAS);
        for event in events {
            happen(&mut world, &event);
        }
        world.run(60);
        // Undisturbed for longer than any serving certificate lives. No rotation stays in progress for long.
        for _ in 0..40 {
            world.advance(CA_LIFETIME / 40);
            world.run(2);
        }
        world.run(40);
        prop_assert!(world.secret.as_ref().unwrap().1.cas.len() <= 2);
        prop_assert!(world.bundles.as_ref().unwrap().1.iter().all(|bundle| bundle.len() <= 2), "{:#?}", world.bundles);
    }
}
