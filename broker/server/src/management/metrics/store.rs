//! What commits cost, and what the allocator has, under names of our own.

use std::convert::identity;

use super::broker::nanos;
use super::exposition::{Exposition, Kind};
use crate::management::Api;

/// Figures of the store and of the allocator.
pub(super) fn all(api: &Api, metrics: &mut Exposition) {
    let store = api.backend().store();
    let family = metrics.family(
        "store_commit_seconds",
        Kind::Histogram,
        "Time for each commit to the store: with a sync of the disk, or only to the operating system",
    );
    for (durability, times) in [("fsync", &store.synced), ("os", &store.unsynced)] {
        let labels = [("durability", durability)];
        family.distribution(&labels, &times.buckets, nanos, nanos(times.sum));
    }
    for (name, help, amounts) in [
        (
            "store_commit_changes",
            "Changes that were committed together",
            &store.writes,
        ),
        (
            "store_commit_bytes",
            "Bytes that were committed together",
            &store.bytes,
        ),
    ] {
        let family = metrics.family(name, Kind::Histogram, help);
        family.distribution(&[], &amounts.buckets, identity, amounts.sum);
    }
    metrics.single(
        "store_refused_commits_total",
        Kind::Counter,
        "Commits that the store refused",
        store.failures,
    );
    metrics.single(
        "store_uncommitted_bytes",
        Kind::Gauge,
        "Bytes that were published and are in no durable commit yet",
        store.uncommitted_bytes,
    );
    memory(api, metrics);
}

fn memory(api: &Api, metrics: &mut Exposition) {
    let node = api.backend().node();
    let allocator = &node.allocator;
    let help = "Bytes of memory, as the allocator counts them";
    let family = metrics.family("allocator_bytes", Kind::Gauge, help);
    for (what, bytes) in [
        ("allocated", allocator.allocated),
        ("active", allocator.active),
        ("resident", allocator.resident),
        ("retained", allocator.retained),
        ("metadata", allocator.metadata),
    ] {
        family.sample(&[("kind", what)], bytes);
    }
    metrics.single(
        "messages_memory_bytes",
        Kind::Gauge,
        "Bytes of memory that messages take, in all queues",
        node.memory_of_messages,
    );
}
