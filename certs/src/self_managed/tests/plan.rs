//! Scenarios of the plan, one replica at a time.

use std::time::Duration;

use super::{
    super::plan::{Ca, Stored},
    simulation::{CA_LIFETIME, CERT_LIFETIME, PROPAGATION_DELAY, Simulation},
};
use crate::labels::Purpose;

fn started() -> Simulation {
    let mut simulation = Simulation::new(1);
    simulation.run(6);
    assert!(simulation.replicas[0].served.is_some());
    simulation
}

fn issuer(simulation: &Simulation) -> Ca {
    simulation.replicas[0].served.as_ref().unwrap().issuer.clone()
}

fn stored(simulation: &Simulation) -> &Stored {
    &simulation.secret.as_ref().unwrap().1
}

fn bundle(simulation: &Simulation) -> &[Ca] {
    &simulation.bundles.as_ref().unwrap().1[0]
}

#[test]
fn the_first_certificate_is_trusted_before_it_is_issued() {
    let mut simulation = Simulation::new(1);
    simulation.run(1);
    assert_eq!((stored(&simulation).cas.len(), bundle(&simulation).len()), (1, 0));
    simulation.run(1);
    assert_eq!((stored(&simulation).serving_cert.is_some(), bundle(&simulation).len()), (false, 1));
    simulation.run(2);
    assert!(simulation.replicas[0].served.is_some());
    assert_eq!(simulation.patches, [Purpose::Rotation]);
}

#[test]
fn a_leaf_is_renewed_by_the_same_ca_after_two_thirds_of_its_life() {
    let mut simulation = started();
    let (first, ca) = (stored(&simulation).serving_cert.clone(), issuer(&simulation));
    simulation.advance(CERT_LIFETIME * 6 / 10);
    simulation.run(4);
    assert_eq!(stored(&simulation).serving_cert, first);
    simulation.advance(CERT_LIFETIME / 10);
    simulation.run(4);
    assert_ne!(stored(&simulation).serving_cert, first);
    assert_eq!(issuer(&simulation), ca);
    assert_eq!(simulation.patches.len(), 1);
}

#[test]
fn a_new_ca_is_trusted_before_use_and_the_old_one_until_it_is_unused() {
    let mut simulation = started();
    let old = issuer(&simulation);
    // Serving certificates are renewed meanwhile.
    while stored(&simulation).cas.len() == 1 {
        simulation.advance(Duration::from_secs(10));
        simulation.run(3);
    }
    assert!(simulation.now >= old.created.checked_add(CA_LIFETIME * 65 / 100).unwrap());
    simulation.run(3);
    assert_eq!(bundle(&simulation).len(), 2);
    assert_eq!(issuer(&simulation), old, "it was trusted only just now");
    simulation.advance(PROPAGATION_DELAY);
    simulation.run(3);
    assert_ne!(issuer(&simulation), old);
    assert_eq!(bundle(&simulation).len(), 2);
    simulation.advance(CERT_LIFETIME / 2);
    simulation.run(4);
    assert_eq!(bundle(&simulation).len(), 2);
    simulation.advance(CERT_LIFETIME * 6 / 10);
    simulation.run(8);
    assert_eq!(bundle(&simulation), [issuer(&simulation)]);
    assert_eq!(stored(&simulation).cas, [issuer(&simulation)]);
    assert_eq!(simulation.patches, [Purpose::Rotation, Purpose::Rotation, Purpose::Removal]);
}

#[test]
fn an_emptied_ca_bundle_is_repaired_at_once() {
    let mut simulation = started();
    simulation.set_bundles(vec![Vec::new(), bundle(&simulation).to_vec()]);
    simulation.run(1);
    assert_eq!(bundle(&simulation), [issuer(&simulation)]);
    assert_eq!(simulation.patches, [Purpose::Rotation, Purpose::Repair]);
}

#[test]
fn foreign_cas_stay_in_the_ca_bundle_until_they_expire() {
    let mut simulation = started();
    let stranger = Ca { ours: false, ..simulation.ca(simulation.now) };
    let bundles = simulation.bundles.clone().unwrap().1;
    simulation.set_bundles(bundles.into_iter().map(|bundle| [bundle, vec![stranger.clone()]].concat()).collect());
    simulation.run(5);
    assert!(bundle(&simulation).contains(&stranger));
    simulation.advance(CERT_LIFETIME / 2);
    simulation.run(5);
    assert!(bundle(&simulation).contains(&stranger));
    simulation.advance(CA_LIFETIME);
    simulation.run(30);
    assert!(!bundle(&simulation).contains(&stranger));
}

#[test]
fn a_deleted_secret_is_recreated_and_the_served_ca_stays_trusted() {
    let mut simulation = started();
    let old = issuer(&simulation);
    simulation.secret = None;
    simulation.run(4);
    assert_eq!(issuer(&simulation), old);
    assert_eq!(bundle(&simulation).len(), 2);
    simulation.advance(PROPAGATION_DELAY);
    simulation.run(4);
    assert_ne!(issuer(&simulation), old);
    assert!(bundle(&simulation).contains(&old));
}

#[test]
fn without_a_configuration_the_secret_is_not_made_again() {
    let mut simulation = started();
    (simulation.secret, simulation.bundles) = (None, None);
    simulation.run(10);
    assert_eq!(simulation.secret, None);
}

#[test]
fn an_expired_certificate_is_replaced_without_waiting() {
    let mut simulation = started();
    let old = issuer(&simulation);
    simulation.restart(0);
    simulation.advance(CA_LIFETIME * 2);
    simulation.run(6);
    assert_ne!(issuer(&simulation), old);
    assert_eq!(bundle(&simulation), [issuer(&simulation)]);
}

#[test]
fn a_leaf_that_lacks_a_name_is_replaced() {
    let mut simulation = started();
    let old = stored(&simulation).serving_cert.clone();
    simulation.tamper(|stored| stored.serving_cert.as_mut().unwrap().covers = false);
    simulation.run(8);
    assert_ne!(stored(&simulation).serving_cert, old);
    assert_eq!(bundle(&simulation).len(), 1);
}
