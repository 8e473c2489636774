//! Metric families with closed label sets.

use prometheus_client::metrics::family::Family;

/// Names and values of a series' labels. Both are constants, so no label can name a pod or a user.
pub type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Creates a family with each of these series at zero, so that all of them exist from the first scrape.
pub fn family<M: Default, const N: usize>(series: impl IntoIterator<Item = Labels<N>>) -> Family<Labels<N>, M> {
    let family = Family::default();
    for labels in series {
        drop(family.get_or_create(&labels));
    }
    family
}
