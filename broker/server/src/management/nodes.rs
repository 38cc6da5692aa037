//! The one node: `/api/nodes`.

mod memory;

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;

pub(super) use self::memory::Shares;
use super::answer::{Many, One};
use super::caller::Caller;
use super::history::{Details, Of};
use super::listing::Listing;
use super::overview::{ChurnRates, Context, ExchangeType, churn_rates, contexts, exchange_types};
use super::refused::Refused;
use super::routes::Routes;
use super::snapshot::NodeSnapshot;
use super::stats;

const AUTH_MECHANISMS: [(&str, &str); 3] = [
    ("PLAIN", "SASL PLAIN authentication mechanism"),
    ("AMQPLAIN", "QPid AMQPLAIN mechanism"),
    ("EXTERNAL", "TLS client certificate"),
];

pub(super) fn routes() -> Routes {
    Routes::of("Nodes")
        .get("/nodes", list, "All nodes.")
        .get("/nodes/{name}", show, "A node.")
        .merge(memory::routes())
}

async fn list(caller: Caller, listing: Listing) -> Result<Many<Node>, Refused> {
    caller.must_monitor()?;
    listing.list([view(&caller, &listing)], &["name"])
}

async fn show(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<One<Node>, Refused> {
    must_be_here(&caller, &name)?;
    Ok(listing.one(view(&caller, &listing)))
}

/// Refuses the name of another node, and who may not monitor.
pub(super) fn must_be_here(caller: &Caller, node: &str) -> Result<(), Refused> {
    caller.must_monitor()?;
    if node == caller.about().node {
        Ok(())
    } else {
        Err(Refused::not_found())
    }
}

/// A node. What RabbitMQ tells of Erlang is not there.
#[derive(Serialize, JsonSchema)]
struct Node {
    /// Its name: `amphora@host`.
    name: String,
    /// `disc`.
    #[serde(rename = "type")]
    kind: &'static str,
    running: bool,
    being_drained: bool,
    /// Other nodes that it cannot reach: there are none.
    partitions: [(); 0],
    /// Other nodes that it is connected to: there are none.
    cluster_links: [(); 0],
    /// The number of the process.
    os_pid: String,
    /// Milliseconds since the broker was started.
    uptime: u64,
    /// How many processors it may use.
    processors: usize,
    /// Where messages and definitions are.
    db_dir: String,
    /// The configuration's file, if there is one.
    config_files: Vec<String>,
    /// Where the log goes.
    log_files: [&'static str; 1],
    #[serde(flatten)]
    resources: Resources,
    #[serde(flatten)]
    commits: Commits,
    #[serde(flatten)]
    churn: ChurnRates,
    /// `basic`: what happens is counted for each object, not for each pair of them.
    rates_mode: &'static str,
    applications: [Application; 1],
    /// Of RabbitMQ's: none. See `/plugins` for the broker's own.
    enabled_plugins: [String; 0],
    exchange_types: Vec<ExchangeType>,
    auth_mechanisms: Vec<ExchangeType>,
    contexts: Vec<Context>,
    #[serde(flatten)]
    details: Details,
}

/// What the broker takes of its machine, and how much it may take.
#[derive(Serialize, JsonSchema)]
struct Resources {
    /// Memory in use, in bytes.
    mem_used: u64,
    /// With more than this in use, publishers are blocked.
    mem_limit: u64,
    /// They are.
    mem_alarm: bool,
    /// How memory is counted: what the operating system says.
    mem_calculation_strategy: &'static str,
    /// Bytes free on the data directory's disk.
    disk_free: u64,
    /// With less than this free, publishers are blocked.
    disk_free_limit: u64,
    /// They are.
    disk_free_alarm: bool,
    /// Open sockets of clients.
    sockets_used: u64,
    /// How many there can be: sockets are files.
    sockets_total: Option<u64>,
    /// Open files; nothing where the operating system does not tell.
    fd_used: Option<usize>,
    /// How many files may be open.
    fd_total: Option<u64>,
}

/// What the store has written since the broker started.
#[derive(Serialize, JsonSchema)]
struct Commits {
    /// Commits.
    io_write_count: u64,
    /// Bytes in them.
    io_write_bytes: u64,
    /// Milliseconds that one took.
    io_write_avg_time: f64,
    /// Those of them that ended with a sync of the disk.
    io_sync_count: u64,
    /// Milliseconds that one of these took.
    io_sync_avg_time: f64,
}

/// What runs.
#[derive(Serialize, JsonSchema)]
struct Application {
    name: &'static str,
    description: &'static str,
    version: &'static str,
}

fn view(caller: &Caller, listing: &Listing) -> Node {
    let about = caller.about();
    let node = caller.backend().node();
    let file = about.config_file.as_ref();
    Node {
        name: about.node.clone(),
        kind: "disc",
        running: true,
        being_drained: false,
        partitions: [],
        cluster_links: [],
        os_pid: std::process::id().to_string(),
        uptime: stats::whole_millis(node.uptime),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        db_dir: about.config.data_dir.display().to_string(),
        config_files: file
            .map(|file| file.display().to_string())
            .into_iter()
            .collect(),
        log_files: ["<stderr>"],
        resources: resources(&node),
        commits: commits(caller),
        churn: churn_rates(caller, &caller.backend().overview().churn, listing),
        rates_mode: "basic",
        applications: [Application {
            name: "amphora",
            description: "Amphora",
            version: env!("CARGO_PKG_VERSION"),
        }],
        enabled_plugins: [],
        exchange_types: exchange_types(caller),
        auth_mechanisms: ExchangeType::of(&AUTH_MECHANISMS),
        contexts: contexts(about),
        details: caller.details(Of::Node, listing),
    }
}

fn resources(node: &NodeSnapshot) -> Resources {
    let files_max = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    Resources {
        mem_used: node.memory_used,
        mem_limit: node.memory_mark,
        mem_alarm: node.memory_alarm,
        mem_calculation_strategy: "rss",
        disk_free: node.disk_free,
        disk_free_limit: node.disk_free_limit,
        disk_free_alarm: node.disk_alarm,
        sockets_used: node.sockets_used,
        sockets_total: files_max,
        fd_used: stats::open_files(),
        fd_total: files_max,
    }
}

fn commits(caller: &Caller) -> Commits {
    let store = caller.backend().store();
    let (synced, unsynced) = (store.synced.count(), store.unsynced.count());
    Commits {
        io_write_count: synced + unsynced,
        io_write_bytes: store.bytes.sum,
        io_write_avg_time: millis_each(store.synced.sum + store.unsynced.sum, synced + unsynced),
        io_sync_count: synced,
        io_sync_avg_time: millis_each(store.synced.sum, synced),
    }
}

/// A mean of nanoseconds, in milliseconds.
fn millis_each(nanos: u64, count: u64) -> f64 {
    let mean = nanos.checked_div(count).unwrap_or_default();
    std::time::Duration::from_nanos(mean).as_secs_f64() * 1000.0
}
