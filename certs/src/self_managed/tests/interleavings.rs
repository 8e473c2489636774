//! Property tests: any interleaving of two replicas' steps, with any pauses in between and any changes to the Secret.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};

use super::{
    super::plan::{Ca, Stored},
    simulation::{CA_LIFETIME, Replica, Simulation},
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
    LoseServingCert,
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
        1 => Just(Event::LoseServingCert),
        1 => Just(Event::AddStranger),
    ]
}

fn with_everything() -> impl Strategy<Value = Event> {
    prop_oneof![20 => with_mishaps(), 1 => (0..2_usize).prop_map(Event::EmptyBundle)]
}

fn happen(simulation: &mut Simulation, event: &Event) {
    match *event {
        Event::Step(replica) => simulation.step(replica),
        Event::Steps(replica, count) => (0..count).for_each(|_| simulation.step(replica)),
        Event::Pass(time) => simulation.advance(time),
        Event::Restart(replica) => simulation.restart(replica),
        Event::DeleteSecret => simulation.secret = None,
        Event::EmptySecret => simulation.tamper(|stored| *stored = Stored::default()),
        Event::LoseKey => simulation.tamper(|stored| stored.signs = false),
        Event::LoseServingCert => simulation.tamper(|stored| stored.serving_cert = None),
        Event::AddStranger => {
            let stranger = Ca { ours: false, ..simulation.ca(simulation.now) };
            let mut bundles = simulation.bundles.clone().unwrap().1;
            bundles[0].push(stranger);
            simulation.set_bundles(bundles);
        }
        Event::EmptyBundle(webhook) => {
            let mut bundles = simulation.bundles.clone().unwrap().1;
            bundles[webhook].clear();
            simulation.set_bundles(bundles);
        }
    }
}

/// Checks that undisturbed replicas soon serve the same valid certificate, which every caBundle trusts.
fn settles(mut simulation: Simulation) -> Result<(), TestCaseError> {
    // A rotation in progress takes a few rounds.
    for _ in 0..60 {
        simulation.run(1);
        if agreed(&simulation) {
            return Ok(());
        }
    }
    Err(TestCaseError::fail(format!("{:#?} {:#?}", simulation.secret, simulation.bundles)))
}

fn agreed(simulation: &Simulation) -> bool {
    let Some(serving_cert) = simulation.secret.as_ref().and_then(|(_, stored)| stored.serving_cert.as_ref()) else {
        return false;
    };
    let Some((_, bundles)) = &simulation.bundles else { return false };
    let fingerprint = |replica: &Replica| replica.served.as_ref().map(|served| served.fingerprint.clone());
    simulation.replicas.iter().all(|replica| fingerprint(replica).as_ref() == Some(&serving_cert.fingerprint))
        && simulation.now <= serving_cert.not_after
        && bundles.iter().all(|bundle| bundle.iter().any(|ca| ca.id == serving_cert.issuer))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_replica_ever_serves_a_leaf_that_a_ca_bundle_does_not_trust(events in vec(with_mishaps(), 1..200)) {
        let mut simulation = Simulation::new(REPLICAS);
        for event in events {
            happen(&mut simulation, &event);
            prop_assert_eq!(simulation.untrusted(), None, "after {:?}", event);
        }
        settles(simulation)?;
    }

    #[test]
    fn whatever_happened_the_replicas_agree_in_the_end(events in vec(with_everything(), 1..200)) {
        let mut simulation = Simulation::new(REPLICAS);
        for event in events {
            happen(&mut simulation, &event);
        }
        settles(simulation)?;
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_grows(events in vec(ordinary(), 1..200)) {
        let mut simulation = Simulation::new(REPLICAS);
        for event in events {
            happen(&mut simulation, &event);
        }
        simulation.run(60);
        // Undisturbed for longer than any serving certificate lives. No rotation stays in progress for long.
        for _ in 0..40 {
            simulation.advance(CA_LIFETIME / 40);
            simulation.run(2);
        }
        simulation.run(40);
        prop_assert!(simulation.secret.as_ref().unwrap().1.cas.len() <= 2);
        prop_assert!(simulation.bundles.as_ref().unwrap().1.iter().all(|bundle| bundle.len() <= 2), "{:#?}", simulation.bundles);
    }
}
