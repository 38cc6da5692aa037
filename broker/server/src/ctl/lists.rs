//! Commands that list things.

use super::Columns;
use super::client::{About, Client, segment};
use super::output::Output;
use crate::cli::exit::Exit;

/// A list that the management API has.
pub(super) struct List {
    path: &'static str,
    /// Whether the path goes on with the virtual host.
    within_vhost: bool,
    /// What is shown when no columns are asked for.
    columns: &'static [&'static str],
}

pub(super) const QUEUES: List = List {
    path: "/queues",
    within_vhost: true,
    columns: &[
        "name",
        "durable",
        "messages_ready",
        "messages_unacknowledged",
        "consumers",
        "arguments",
    ],
};

pub(super) const EXCHANGES: List = List {
    path: "/exchanges",
    within_vhost: true,
    columns: &[
        "name",
        "type",
        "durable",
        "auto_delete",
        "internal",
        "arguments",
    ],
};

pub(super) const BINDINGS: List = List {
    path: "/bindings",
    within_vhost: true,
    columns: &[
        "source",
        "destination",
        "destination_type",
        "routing_key",
        "arguments",
    ],
};

pub(super) const CONSUMERS: List = List {
    path: "/consumers",
    within_vhost: true,
    columns: &[
        "queue.name",
        "consumer_tag",
        "ack_required",
        "prefetch_count",
        "active",
        "channel_details.name",
    ],
};

pub(super) const CONNECTIONS: List = List {
    path: "/connections",
    within_vhost: false,
    columns: &[
        "name",
        "user_provided_name",
        "user",
        "vhost",
        "state",
        "channels",
        "ssl",
    ],
};

pub(super) const CHANNELS: List = List {
    path: "/channels",
    within_vhost: false,
    columns: &[
        "name",
        "user",
        "vhost",
        "consumer_count",
        "messages_unacknowledged",
        "prefetch_count",
        "confirm",
    ],
};

pub(super) const PLUGINS: List = List {
    path: "/plugins",
    within_vhost: false,
    columns: &[
        "name",
        "kind",
        "exchange_type",
        "state",
        "version",
        "messages",
        "ns_per_message.mean",
        "failed_messages",
        "last_error.text",
    ],
};

impl List {
    /// A list that is not of one virtual host.
    pub(super) const fn of(path: &'static str, columns: &'static [&'static str]) -> Self {
        Self {
            path,
            within_vhost: false,
            columns,
        }
    }

    pub(super) fn show(
        &self,
        client: &Client,
        columns: &Columns,
        output: &mut Output<'_>,
    ) -> Result<(), Exit> {
        let vhost = if self.within_vhost {
            format!("/{}", segment(client.vhost()))
        } else {
            String::new()
        };
        self.show_at(&format!("{}{vhost}", self.path), client, columns, output)
    }

    /// Shows what is found at a path.
    pub(super) fn show_at(
        &self,
        path: &str,
        client: &Client,
        columns: &Columns,
        output: &mut Output<'_>,
    ) -> Result<(), Exit> {
        let items = client.get(path, &About("list".to_owned()))?;
        let asked: Vec<&str> = columns.names.iter().map(String::as_str).collect();
        output.list(&items, self.columns, &asked)
    }
}
