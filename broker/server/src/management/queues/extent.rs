//! How much of each queue a list shows.

use amphora_protocol::wire::types::{QueueName, VhostName};
use serde::{Deserialize, Serialize};

use super::view::{Queue, state, view};
use crate::management::caller::Caller;
use crate::management::json::{Object, from_table};
use crate::management::listing::Listing;
use crate::management::snapshot::QueueSnapshot;

/// What a query says of that. As with RabbitMQ, only `true` is a yes.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Extent {
    disable_stats: Option<String>,
    enable_queue_totals: Option<String>,
}

/// A queue as far as it is asked for.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum View {
    Whole(Box<Queue>),
    Bare(Bare),
}

/// A queue without what is counted.
#[derive(Serialize)]
pub(super) struct Bare {
    vhost: String,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    node: String,
    state: &'static str,
    durable: bool,
    auto_delete: bool,
    exclusive: bool,
    arguments: Object,
    #[serde(flatten)]
    totals: Option<Totals>,
}

/// Its messages.
#[derive(Serialize)]
struct Totals {
    messages: u64,
    messages_ready: u64,
    messages_unacknowledged: u64,
}

impl Extent {
    pub(super) fn view(&self, caller: &Caller, queue: &QueueSnapshot, listing: &Listing) -> View {
        if !is_true(self.disable_stats.as_ref()) {
            return View::Whole(Box::new(view(caller, queue, listing)));
        }
        let totals = || Totals {
            messages: queue.messages.count(),
            messages_ready: queue.messages.ready_count,
            messages_unacknowledged: queue.messages.unacked_count,
        };
        View::Bare(Bare {
            vhost: queue.vhost.to_string(),
            name: queue.name.to_string(),
            kind: queue.kind,
            node: caller.about().node.clone(),
            state: state(queue),
            durable: queue.durable,
            auto_delete: queue.auto_delete,
            exclusive: queue.owner.is_some(),
            arguments: from_table(&queue.arguments),
            totals: is_true(self.enable_queue_totals.as_ref()).then(totals),
        })
    }

    /// Those of these queues that are still there.
    pub(super) fn views(
        &self,
        caller: &Caller,
        listing: &Listing,
        places: &[(VhostName, QueueName)],
    ) -> Vec<View> {
        let of_vhosts = places.chunk_by(|a, b| a.0 == b.0);
        let queues = of_vhosts.flat_map(|of_vhost| {
            let names: Vec<_> = of_vhost.iter().map(|(_, name)| name.clone()).collect();
            let vhost = of_vhost.first().map(|(vhost, _)| vhost);
            vhost.map_or_else(Vec::new, |vhost| {
                caller.backend().queues_named(vhost, &names)
            })
        });
        queues
            .map(|queue| self.view(caller, &queue, listing))
            .collect()
    }
}

fn is_true(text: Option<&String>) -> bool {
    text.is_some_and(|text| text == "true")
}
