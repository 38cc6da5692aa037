//! `amphora ctl`: a client of the management API for the terminal and for scripts.
//!
//! Commands have RabbitMQ's names (`rabbitmqctl`), settings are written as `rabbitmqadmin` does: `name=orders durable=true`.

mod client;
mod definitions;
mod delayed;
mod diagnostics;
mod files;
mod lists;
mod messages;
mod moving;
mod node;
mod output;
mod plugins;
mod progress;
mod queues;
mod route;
mod settings;
mod status;
#[cfg(test)]
mod tests;
mod top;
mod users;
mod vhosts;

use std::io::Write;

use clap::{Subcommand, ValueEnum};

use self::client::Client;
use self::output::Output;
use crate::cli::exit::Exit;

/// Looks at a running broker and changes what is in it.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 done, 64 wrong usage, 65 a file or value that cannot be read, 69 broker not reachable, 70 refused by the broker, 77 login refused."
)]
pub struct Args {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

/// Where the broker is, and who asks.
#[derive(Clone, Debug, clap::Args)]
struct Connection {
    /// The broker's management address.
    #[arg(
        long,
        global = true,
        env = "AMPHORA_URL",
        default_value = "http://127.0.0.1:15672"
    )]
    url: String,
    /// The user to log in as.
    #[arg(
        long,
        global = true,
        env = "AMPHORA_USERNAME",
        default_value = "guest",
        value_name = "USER"
    )]
    username: String,
    /// The user's password.
    #[arg(
        long,
        global = true,
        env = "AMPHORA_PASSWORD",
        default_value = "guest",
        hide_env_values = true
    )]
    password: String,
    /// The virtual host.
    #[arg(
        short = 'p',
        long,
        global = true,
        env = "AMPHORA_VHOST",
        default_value = "/"
    )]
    vhost: String,
    /// How results are shown: as columns for people, or as JSON for programs.
    #[arg(long, global = true, value_enum, alias = "formatter", default_value_t = Format::Table, value_name = "table|json", hide_possible_values = true)]
    format: Format,
    /// Say nothing when something was done; the exit code tells.
    #[arg(short = 'q', long, global = true)]
    quiet: bool,
    /// As --quiet, and tables without their headers.
    #[arg(short = 's', long, global = true)]
    silent: bool,
    /// Tables without their headers.
    #[arg(long, global = true)]
    no_table_headers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

#[derive(Clone, Debug, Subcommand)]
#[expect(
    clippy::doc_markdown,
    reason = "these are help texts, shown as they stand"
)]
#[command(rename_all = "snake_case")]
enum Command {
    /// name= [type=direct] [durable=true] [auto_delete=false] [internal=false] [arguments='{…}'].
    DeclareExchange(Settings),
    /// name= [durable=true] [auto_delete=false] [arguments='{…}'].
    DeclareQueue(Settings),
    /// queue= exchange= [routing_key=] [arguments='{…}'].
    BindQueue(Settings),
    /// queue= exchange= [routing_key=] [arguments='{…}'].
    UnbindQueue(Settings),
    /// source= destination= [routing_key=] [arguments='{…}'].
    BindExchange(Settings),
    /// source= destination= [routing_key=] [arguments='{…}'].
    UnbindExchange(Settings),
    /// name= [if_unused=false].
    DeleteExchange(Settings),
    /// name= [if_unused=false] [if_empty=false].
    DeleteQueue {
        #[command(flatten)]
        settings: Settings,
        /// As if_empty=true.
        #[arg(short = 'e', long)]
        if_empty: bool,
        /// As if_unused=true.
        #[arg(short = 'u', long)]
        if_unused: bool,
    },
    /// name=: removes the messages that are ready.
    PurgeQueue(Settings),
    /// name=: stops deliveries to the queue's consumers.
    PauseQueue(Settings),
    /// name=: lets deliveries to the queue's consumers go on.
    ResumeQueue(Settings),
    /// name=: what consumers hold of a queue, and since when.
    ListUnacked(Settings),
    /// [exchange=] routing_key= [payload=, else standard input] [properties='{…}'] [payload_encoding=string].
    Publish(Settings),
    /// exchange= [routing_key=] [payload=] [properties='{…}'] [payload_encoding=string]: where a message would go and why, without publishing it.
    Route(Settings),
    /// queue= [count=1] [ackmode=ack_requeue_true] [encoding=auto] [truncate=50000].
    Get(Settings),
    /// source= [destination= | exchange=] [routing_key=] [count=]: moves messages to another queue, to an exchange, or back to where they died.
    MoveMessages(Settings),
    /// [page=1] [page_size=100] [truncate=100]: the messages that wait for their time, the first to go first.
    ListDelayed(Settings),
    /// id=, as `list_delayed` shows it, or `all`: lets messages that wait go nowhere.
    CancelDelayed(Settings),
    /// Turns the firehose of the virtual host on: a copy of all messages to the exchange amq.rabbitmq.trace.
    TraceOn,
    /// Turns the firehose of the virtual host off.
    TraceOff,
    /// name= [reason=]: the reason may be given without its key, too.
    CloseConnection(Settings),
    /// [COLUMN…]: the queues of the virtual host.
    ListQueues(Columns),
    /// [COLUMN…]: the exchanges of the virtual host.
    ListExchanges(Columns),
    /// [COLUMN…]: the bindings of the virtual host.
    ListBindings(Columns),
    /// [COLUMN…]: the consumers of the virtual host.
    ListConsumers(Columns),
    /// [COLUMN…]: all connections.
    ListConnections(Columns),
    /// [COLUMN…]: all channels.
    ListChannels(Columns),
    /// [COLUMN…]: all plugins.
    ListPlugins(Columns),
    /// name=: a plugin, its bounds, and how it is doing.
    ShowPlugin(Settings),
    /// name= [file=, else its path again] [exchange-type=] [grants=log,kv] [deadline=10ms] [memory=64MiB] [kv-size=16MiB] [on-error=reject] [dead-letter-exchange=] [dead-letter-routing-key=] [config='{…}'].
    ///
    /// Puts a component into the place of the one in force, or adds a plugin. With a file (`load_plugin NAME FILE`) it is uploaded; without,
    /// the broker loads it from the path in its configuration again. Settings are for plugins that the configuration does not have, and
    /// have the same keys; a plugin keeps those that it has if none are given. What cannot be loaded changes nothing.
    LoadPlugin(Settings),
    /// name=: puts the previous version in force again.
    RollbackPlugin(Settings),
    /// name= [force=false]: takes a plugin out of force; with force also if something needs it: exchanges of its type, or what it is attached to. One that was uploaded is forgotten,
    /// and what it stored with it; so is what a plugin stored that is not in the configuration any more.
    UnloadPlugin(Settings),
    /// name=: the last lines that a plugin logged.
    PluginLogs(Settings),
    #[command(flatten)]
    Users(users::Command),
    #[command(flatten)]
    Vhosts(vhosts::Command),
    #[command(flatten)]
    Files(files::Command),
    #[command(flatten)]
    Node(node::Command),
    #[command(flatten)]
    Diagnostics(diagnostics::Command),
    /// What the queues of all virtual hosts are doing: rates, again and again, the busiest queues first.
    Top(top::Args),
    /// The broker: version, addresses, memory, alarms, totals.
    Status,
}

/// What a command is told, as `key=value`. The first required one may be given without its key.
#[derive(Clone, Debug, clap::Args)]
struct Settings {
    #[arg(value_name = "KEY=VALUE")]
    words: Vec<String>,
}

/// Which columns a list has, in this order.
#[derive(Clone, Debug, clap::Args)]
struct Columns {
    #[arg(value_name = "COLUMN")]
    names: Vec<String>,
}

impl Columns {
    /// Those that are shown if nobody asks for others.
    fn usual() -> Self {
        Self { names: Vec::new() }
    }
}

/// Runs a command; its result goes to standard output.
pub(crate) fn run(args: &Args) -> Result<(), Exit> {
    run_to(args, &mut std::io::stdout().lock())
}

fn run_to(args: &Args, out: &mut dyn Write) -> Result<(), Exit> {
    let Connection {
        url,
        username,
        password,
        vhost,
        format,
        quiet,
        silent,
        no_table_headers,
    } = &args.connection;
    let client = Client::new(url, username, password, vhost)?;
    let output = &mut Output::new(*format, out);
    output.hide(*quiet || *silent, *no_table_headers || *silent);
    match &args.command {
        Command::DeclareExchange(settings) => {
            definitions::declare_exchange(&client, settings, output)
        }
        Command::DeclareQueue(settings) => definitions::declare_queue(&client, settings, output),
        Command::BindQueue(settings) => definitions::bind_queue(&client, settings, output),
        Command::UnbindQueue(settings) => definitions::unbind_queue(&client, settings, output),
        Command::BindExchange(settings) => definitions::bind_exchange(&client, settings, output),
        Command::UnbindExchange(settings) => {
            definitions::unbind_exchange(&client, settings, output)
        }
        Command::DeleteExchange(settings) => {
            definitions::delete_exchange(&client, settings, output)
        }
        Command::DeleteQueue {
            settings,
            if_empty,
            if_unused,
        } => {
            let only_if = (*if_unused, *if_empty);
            definitions::delete_queue(&client, settings, only_if, output)
        }
        Command::PurgeQueue(settings) => definitions::purge_queue(&client, settings, output),
        Command::PauseQueue(settings) => queues::pause(&client, settings, output),
        Command::ResumeQueue(settings) => queues::resume(&client, settings, output),
        Command::ListUnacked(settings) => queues::list_unacked(&client, settings, output),
        Command::CloseConnection(settings) => {
            definitions::close_connection(&client, settings, output)
        }
        Command::Publish(settings) => messages::publish(&client, settings, output),
        Command::Route(settings) => route::show(&client, settings, output),
        Command::Get(settings) => messages::get(&client, settings, output),
        Command::TraceOn => definitions::trace(&client, true, output),
        Command::TraceOff => definitions::trace(&client, false, output),
        Command::ListDelayed(settings) => delayed::list(&client, settings, output),
        Command::CancelDelayed(settings) => delayed::cancel(&client, settings, output),
        Command::ListQueues(columns) => lists::QUEUES.show(&client, columns, output),
        Command::ListExchanges(columns) => lists::EXCHANGES.show(&client, columns, output),
        Command::ListBindings(columns) => lists::BINDINGS.show(&client, columns, output),
        Command::ListConsumers(columns) => lists::CONSUMERS.show(&client, columns, output),
        Command::ListConnections(columns) => lists::CONNECTIONS.show(&client, columns, output),
        Command::ListChannels(columns) => lists::CHANNELS.show(&client, columns, output),
        Command::ListPlugins(columns) => lists::PLUGINS.show(&client, columns, output),
        Command::ShowPlugin(settings) => plugins::show(&client, settings, output),
        Command::LoadPlugin(settings) => plugins::load(&client, settings, output),
        Command::RollbackPlugin(settings) => plugins::rollback(&client, settings, output),
        Command::UnloadPlugin(settings) => plugins::unload(&client, settings, output),
        Command::PluginLogs(settings) => plugins::logs(&client, settings, output),
        Command::Users(command) => users::run(command, &client, output),
        Command::Vhosts(command) => vhosts::run(command, &client, output),
        Command::Files(command) => files::run(command, &client, output),
        Command::Node(command) => node::run(command, &client, output),
        Command::Diagnostics(command) => diagnostics::run(command, &client, output),
        Command::Top(args) => top::run(&client, args, output),
        Command::MoveMessages(settings) => moving::run(&client, settings, output),
        Command::Status => status::show(&client, output),
    }
}
