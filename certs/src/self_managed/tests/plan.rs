//! Scenarios of the plan, one replica at a time.

use std::time::Duration;

use super::{
    super::plan::{Ca, Stored},
    world::{CA_LIFETIME, CERT_LIFETIME, PROPAGATION_DELAY, World},
};
use crate::labels::Purpose;

fn started() -> World {
    let mut world = World::new(1);
    world.run(6);
    assert!(world.replicas[0].served.is_some());
    world
}

fn issuer(world: &World) -> Ca {
    world.replicas[0].served.as_ref().unwrap().issuer.clone()
}

fn stored(world: &World) -> &Stored {
    &world.secret.as_ref().unwrap().1
}

fn bundle(world: &World) -> &[Ca] {
    &world.bundles.as_ref().unwrap().1[0]
}

#[test]
fn the_first_certificate_is_trusted_before_it_is_issued() {
    let mut world = World::new(1);
    world.run(1);
    assert_eq!((stored(&world).cas.len(), bundle(&world).len()), (1, 0));
    world.run(1);
    assert_eq!((stored(&world).leaf.is_some(), bundle(&world).len()), (false, 1));
    world.run(2);
    assert!(world.replicas[0].served.is_some());
    assert_eq!(world.patches, [Purpose::Rotation]);
}

#[test]
fn a_leaf_is_renewed_by_the_same_ca_after_two_thirds_of_its_life() {
    let mut world = started();
    let (first, ca) = (stored(&world).leaf.clone(), issuer(&world));
    world.advance(CERT_LIFETIME * 6 / 10);
    world.run(4);
    assert_eq!(stored(&world).leaf, first);
    world.advance(CERT_LIFETIME / 10);
    world.run(4);
    assert_ne!(stored(&world).leaf, first);
    assert_eq!(issuer(&world), ca);
    assert_eq!(world.patches.len(), 1);
}

#[test]
fn a_new_ca_is_trusted_before_use_and_the_old_one_until_it_is_unused() {
    let mut world = started();
    let old = issuer(&world);
    // Serving certificates are renewed meanwhile.
    while stored(&world).cas.len() == 1 {
        world.advance(Duration::from_secs(10));
        world.run(3);
    }
    assert!(world.now >= old.created.checked_add(CA_LIFETIME * 65 / 100).unwrap());
    world.run(3);
    assert_eq!(bundle(&world).len(), 2);
    assert_eq!(issuer(&world), old, "it was trusted only just now");
    world.advance(PROPAGATION_DELAY);
    world.run(3);
    assert_ne!(issuer(&world), old);
    assert_eq!(bundle(&world).len(), 2);
    world.advance(CERT_LIFETIME / 2);
    world.run(4);
    assert_eq!(bundle(&world).len(), 2);
    world.advance(CERT_LIFETIME * 6 / 10);
    world.run(8);
    assert_eq!(bundle(&world), [issuer(&world)]);
    assert_eq!(stored(&world).cas, [issuer(&world)]);
    assert_eq!(world.patches, [Purpose::Rotation, Purpose::Rotation, Purpose::Removal]);
}

#[test]
fn an_emptied_ca_bundle_is_repaired_at_once() {
    let mut world = started();
    world.set_bundles(vec![Vec::new(), bundle(&world).to_vec()]);
    world.run(1);
    assert_eq!(bundle(&world), [issuer(&world)]);
    assert_eq!(world.patches, [Purpose::Rotation, Purpose::Repair]);
}

#[test]
fn foreign_cas_stay_in_the_ca_bundle_until_they_expire() {
    let mut world = started();
    let stranger = Ca { ours: false, ..world.ca(world.now) };
    let bundles = world.bundles.clone().unwrap().1;
    world.set_bundles(bundles.into_iter().map(|bundle| [bundle, vec![stranger.clone()]].concat()).collect());
    world.run(5);
    assert!(bundle(&world).contains(&stranger));
    world.advance(CERT_LIFETIME / 2);
    world.run(5);
    assert!(bundle(&world).contains(&stranger));
    world.advance(CA_LIFETIME);
    world.run(30);
    assert!(!bundle(&world).contains(&stranger));
}

#[test]
fn a_deleted_secret_is_recreated_and_the_served_ca_stays_trusted() {
    let mut world = started();
    let old = issuer(&world);
    world.secret = None;
    world.run(4);
    assert_eq!(issuer(&world), old);
    assert_eq!(bundle(&world).len(), 2);
    world.advance(PROPAGATION_DELAY);
    world.run(4);
    assert_ne!(issuer(&world), old);
    assert!(bundle(&world).contains(&old));
}

#[test]
fn without_a_configuration_the_secret_is_not_made_again() {
    let mut world = started();
    (world.secret, world.bundles) = (None, None);
    world.run(10);
    assert_eq!(world.secret, None);
}

#[test]
fn an_expired_certificate_is_replaced_without_waiting() {
    let mut world = started();
    let old = issuer(&world);
    world.restart(0);
    world.advance(CA_LIFETIME * 2);
    world.run(6);
    assert_ne!(issuer(&world), old);
    assert_eq!(bundle(&world), [issuer(&world)]);
}

#[test]
fn a_leaf_that_lacks_a_name_is_replaced() {
    let mut world = started();
    let old = stored(&world).leaf.clone();
    world.tamper(|stored| stored.leaf.as_mut().unwrap().covers = false);
    world.run(8);
    assert_ne!(stored(&world).leaf, old);
    assert_eq!(bundle(&world).len(), 1);
}
