//! Limits of lists: which elements are kept, and how many.

use super::{
    env::EnvFrom,
    meta::OwnerReference,
    pod::Container,
    status::{Condition, ContainerStatus},
    volume::{KeyToPath, ProjectedSource, Volume, VolumeMount},
};
use crate::bounded::{Class, Element};

impl Element for OwnerReference {
    const LIMITS: [usize; 2] = [4, 16];

    fn class(&self) -> Option<Class> {
        Some(if self.controller { Class::Carrier } else { Class::Other })
    }
}

impl Element for Container {
    const LIMITS: [usize; 2] = [128, 128];

    fn class(&self) -> Option<Class> {
        let carrier = !self.env.is_empty() || !self.env_from.is_empty();
        let other = !self.name.is_empty();
        if carrier { Some(Class::Carrier) } else { other.then_some(Class::Other) }
    }
}

impl Element for Volume {
    const LIMITS: [usize; 2] = [128, 32];

    fn class(&self) -> Option<Class> {
        let carrier = self.secret.is_some() || self.config_map.is_some() || self.projected.is_some();
        let claim = self.persistent_volume_claim.is_some() || self.ephemeral.is_some();
        if carrier { Some(Class::Carrier) } else { claim.then_some(Class::Other) }
    }
}

/// Implements `Element` for types with elements that are used only if they can lead to a token.
macro_rules! carriers {
    ($($element:ty, $limit:literal, $useful:expr;)*) => {$(
        impl Element for $element {
            const LIMITS: [usize; 2] = [$limit, 0];

            fn class(&self) -> Option<Class> {
                let useful: fn(&Self) -> bool = $useful;
                useful(self).then_some(Class::Carrier)
            }
        }
    )*};
}

carriers! {
    EnvFrom, 64, |from| from.secret_ref.is_some() || from.config_map_ref.is_some();
    VolumeMount, 128, |mount| !mount.name.is_empty() && !mount.mount_path.is_empty();
    ProjectedSource, 32, |source| source.secret.is_some() || source.config_map.is_some();
    KeyToPath, 64, |item| !item.key.is_empty() && !item.path.is_empty();
}

/// Implements `Element` for types with elements that are all alike.
macro_rules! others {
    ($($element:ty, $limit:literal;)*) => {$(
        impl Element for $element {
            const LIMITS: [usize; 2] = [0, $limit];

            fn class(&self) -> Option<Class> {
                Some(Class::Other)
            }
        }
    )*};
}

others! {
    Condition, 32;
    ContainerStatus, 256;
}
