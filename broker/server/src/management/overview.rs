//! The broker as a whole: `/api/overview`, and what is asked before anything else.

use schemars::JsonSchema;
use serde::Serialize;

use super::answer::One;
use super::caller::Caller;
use super::cluster::cluster_name;
use super::health::{Alarm, alarms_in_effect};
use super::history::{Details, Of};
use super::listing::Listing;
use super::routes::Routes;
use super::snapshot::Churn;
use super::stats::{self, Counted, Lengths};
use super::{About, Listener, plugins};

/// The version of RabbitMQ whose behaviour clients may count on; some of them look at it before they ask for more.
pub(super) const RABBITMQ_VERSION: &str = "3.13.7";

const EXCHANGE_TYPES: [(&str, &str); 10] = [
    (
        "direct",
        "AMQP direct exchange, as per the AMQP specification",
    ),
    (
        "fanout",
        "AMQP fanout exchange, as per the AMQP specification",
    ),
    (
        "headers",
        "AMQP headers exchange, as per the AMQP specification",
    ),
    (
        "topic",
        "AMQP topic exchange, as per the AMQP specification",
    ),
    (
        "x-consistent-hash",
        "Consistent hash exchange: one binding, by a hash and the bindings' weights",
    ),
    (
        "x-delayed-message",
        "Delayed message exchange: routes when a message's time has come",
    ),
    (
        "x-local-random",
        "Picks one random local binding (queue) to route via (to).",
    ),
    (
        "x-modulus-hash",
        "Modulus hash exchange: one binding, by a hash of the routing key",
    ),
    (
        "x-random",
        "Random exchange: one binding, each with the same chance",
    ),
    (
        "x-recent-history",
        "Recent history exchange: a fanout that gives its last messages to who is bound later",
    ),
];

pub(super) fn routes() -> Routes {
    Routes::of("Overview")
        .get("/overview", overview, "The broker as a whole.")
        .get("/version", version, "The broker's version.")
        .get(
            "/extensions",
            extensions,
            "Extensions of the web pages: none.",
        )
}

/// The broker as a whole.
#[derive(Serialize, JsonSchema)]
struct Overview {
    product_name: &'static str,
    product_version: &'static str,
    /// The version of RabbitMQ whose API clients may count on.
    management_version: &'static str,
    /// The version of RabbitMQ whose behaviour clients may count on.
    rabbitmq_version: &'static str,
    cluster_name: String,
    /// The node that answers.
    node: String,
    /// What a confirm promises: `fsync` or `os`.
    durability: String,
    /// What publishers are blocked for.
    alarms: Vec<Alarm>,
    /// `basic`: what happens is counted for each object, not for each pair of them.
    rates_mode: &'static str,
    sample_retention_policies: Retention,
    disable_stats: bool,
    enable_queue_totals: bool,
    /// Events that statistics wait for: none.
    statistics_db_event_queue: u64,
    /// The type of queues that are declared without one.
    default_queue_type: &'static str,
    release_series_support_status: &'static str,
    exchange_types: Vec<ExchangeType>,
    listeners: Vec<ListenerView>,
    contexts: Vec<Context>,
    /// What happened to messages since the broker started.
    message_stats: Counted,
    queue_totals: Lengths,
    object_totals: Objects,
    churn_rates: ChurnRates,
}

/// For how long samples are kept, in seconds, by how far apart they are.
#[derive(Serialize, JsonSchema)]
struct Retention {
    global: [u32; 3],
    basic: [u32; 3],
    detailed: [u32; 3],
}

/// How many of each object there are.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ObjectTotals")]
struct Objects {
    connections: u64,
    channels: u64,
    consumers: u64,
    exchanges: u64,
    queues: u64,
    #[serde(flatten)]
    details: Details,
}

/// What was opened, closed, created and deleted since the broker started.
#[derive(Serialize, JsonSchema)]
pub(super) struct ChurnRates {
    connection_created: u64,
    connection_closed: u64,
    channel_created: u64,
    channel_closed: u64,
    /// Declarations of existing queues included.
    queue_declared: u64,
    queue_created: u64,
    queue_deleted: u64,
    #[serde(flatten)]
    details: Details,
}

/// A type of exchange, or a way to log in.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Offered")]
pub(super) struct ExchangeType {
    pub(super) name: String,
    pub(super) description: String,
    /// It can be used.
    pub(super) enabled: bool,
}

/// An address that the broker listens on.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Listener")]
struct ListenerView {
    node: String,
    /// `amqp`, `amqp/ssl` or `http`.
    protocol: &'static str,
    ip_address: String,
    port: u16,
    socket_opts: SocketOptions,
}

/// How sockets of a listener are set up.
#[derive(Serialize, JsonSchema)]
struct SocketOptions {
    backlog: u32,
    nodelay: bool,
}

/// Where the API and the web UI are.
#[derive(Serialize, JsonSchema)]
pub(super) struct Context {
    node: String,
    description: &'static str,
    path: &'static str,
    ip: String,
    port: String,
    ssl_opts: [(); 0],
}

async fn overview(caller: Caller, listing: Listing) -> One<Overview> {
    let about = caller.about();
    let overview = caller.backend().overview();
    let totals = &overview.totals;
    let mut messages = caller.details(Of::Broker, &listing);
    let samples = [600, 3600, 86_400];
    listing.one(Overview {
        product_name: "Amphora",
        product_version: env!("CARGO_PKG_VERSION"),
        management_version: RABBITMQ_VERSION,
        rabbitmq_version: RABBITMQ_VERSION,
        cluster_name: cluster_name(caller.backend(), caller.about()),
        node: about.node.clone(),
        durability: about.durability.to_string(),
        alarms: alarms_in_effect(&caller),
        rates_mode: "basic",
        sample_retention_policies: Retention {
            global: samples,
            basic: samples,
            detailed: samples,
        },
        disable_stats: false,
        enable_queue_totals: false,
        statistics_db_event_queue: 0,
        default_queue_type: "classic",
        release_series_support_status: "supported",
        exchange_types: exchange_types(&caller),
        listeners: listeners(about),
        contexts: contexts(about),
        queue_totals: stats::lengths(&overview.messages, &mut messages),
        message_stats: stats::counted(&overview.message_stats, messages),
        object_totals: Objects {
            connections: totals.connections,
            channels: totals.channels,
            consumers: totals.consumers,
            exchanges: totals.exchanges,
            queues: totals.queues,
            details: caller.details(Of::Objects, &listing),
        },
        churn_rates: churn_rates(&caller, &overview.churn, &listing),
    })
}

async fn version(_: Caller) -> One<&'static str> {
    One::new(env!("CARGO_PKG_VERSION"))
}

async fn extensions(_: Caller) -> One<[(); 0]> {
    One::new([])
}

pub(super) fn churn_rates(caller: &Caller, churn: &Churn, listing: &Listing) -> ChurnRates {
    ChurnRates {
        connection_created: churn.connections_opened,
        connection_closed: churn.connections_closed,
        channel_created: churn.channels_opened,
        channel_closed: churn.channels_closed,
        queue_declared: churn.queues_declared,
        queue_created: churn.queues_created,
        queue_deleted: churn.queues_deleted,
        details: caller.details(Of::Churn, listing),
    }
}

/// Those that need no plugin, then those of plugins.
pub(super) fn exchange_types(caller: &Caller) -> Vec<ExchangeType> {
    let mut types = ExchangeType::of(&EXCHANGE_TYPES);
    types.extend(plugins::exchange_types(caller));
    types
}

impl ExchangeType {
    /// By name and description.
    pub(super) fn of(items: &[(&str, &str)]) -> Vec<Self> {
        let view = |(name, description): &(&str, &str)| Self {
            name: (*name).to_owned(),
            description: (*description).to_owned(),
            enabled: true,
        };
        items.iter().map(view).collect()
    }
}

fn listeners(about: &About) -> Vec<ListenerView> {
    let view = |listener: &Listener| ListenerView {
        node: about.node.clone(),
        protocol: listener.protocol,
        ip_address: listener.address.ip().to_string(),
        port: listener.address.port(),
        socket_opts: SocketOptions {
            backlog: Listener::BACKLOG,
            nodelay: true,
        },
    };
    about.listeners.iter().map(view).collect()
}

pub(super) fn contexts(about: &About) -> Vec<Context> {
    let listeners = about.listeners.iter();
    let http = listeners.filter(|listener| listener.protocol == "http");
    let view = |listener: &Listener| Context {
        node: about.node.clone(),
        description: "Amphora Management",
        path: "/",
        ip: listener.address.ip().to_string(),
        port: listener.address.port().to_string(),
        ssl_opts: [],
    };
    http.map(view).collect()
}
