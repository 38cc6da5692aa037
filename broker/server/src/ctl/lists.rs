//! Commands that list things.

use super::client::{About, Client, segment};
use super::output::{Output, has_column};
use super::{Columns, Format};
use crate::cli::exit::Exit;

/// A list that the management API has.
pub(super) struct List {
    path: &'static str,
    /// Whether the path goes on with the virtual host.
    within_vhost: bool,
    /// What is shown when no columns are asked for.
    columns: &'static [&'static str],
    /// What programs get then, if that is not all.
    for_programs: Option<&'static [&'static str]>,
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
    for_programs: None,
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
    for_programs: None,
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
    for_programs: None,
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
    for_programs: None,
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
    for_programs: None,
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
    for_programs: None,
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
    for_programs: None,
};

impl List {
    /// A list that is not of one virtual host.
    pub(super) const fn of(path: &'static str, columns: &'static [&'static str]) -> Self {
        Self {
            path,
            within_vhost: false,
            columns,
            for_programs: None,
        }
    }

    /// Programs get these columns, unless they ask for others.
    pub(super) const fn for_programs(mut self, columns: &'static [&'static str]) -> Self {
        self.for_programs = Some(columns);
        self
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
        let asked: Vec<&str> = columns.names.iter().map(String::as_str).collect();
        let wanted = match output.format() {
            _ if !asked.is_empty() => Some(&asked[..]),
            Format::Table => Some(self.columns),
            Format::Json => self.for_programs,
        };
        let about = About("list".to_owned());
        let whole = || client.get(path, &about);
        // Of a long list, what nobody looks at is most.
        let items = match wanted {
            None => whole()?,
            Some(columns) => {
                let columns: Vec<_> = columns.iter().map(|column| segment(column)).collect();
                let items = client.get(&format!("{path}?columns={}", columns.join(",")), &about)?;
                if asked.iter().all(|column| has_column(&items, column)) {
                    items
                } else {
                    // What there is, to say what may have been meant.
                    whole()?
                }
            }
        };
        output.list(&items, self.columns, &asked)
    }
}
