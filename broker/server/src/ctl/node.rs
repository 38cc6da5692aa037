//! The node as a whole: its health, what it logs, when it blocks publishers. rabbitmqctl's and rabbitmq-diagnostics' commands.

use std::time::{Duration, Instant};

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{About, Client, segment};
use super::lists::List;
use super::output::Output;
use super::{Columns, Format};
use crate::cli::exit::Exit;

type Done = Result<(), Exit>;

/// How often a broker that starts is asked.
const ASK_AGAIN: Duration = Duration::from_millis(200);

#[derive(Clone, Debug, Subcommand)]
#[expect(
    clippy::doc_markdown,
    reason = "these are help texts, shown as they stand"
)]
#[command(rename_all = "snake_case")]
pub(super) enum Command {
    /// Asks for a sign of life.
    Ping,
    /// Waits until the broker serves clients.
    AwaitStartup {
        /// Seconds.
        #[arg(long, default_value_t = 300)]
        timeout: u64,
    },
    /// The alarms in effect.
    Alarms,
    /// Fails while an alarm is in effect.
    CheckAlarms,
    /// Fails while an alarm of this node is in effect.
    CheckLocalAlarms,
    /// Fails while clients are not served.
    CheckRunning,
    /// Fails if a virtual host does not run.
    CheckVirtualHosts,
    /// Fails if nobody listens on a port.
    CheckPortListener { port: u16 },
    /// Fails if nobody listens for a protocol: amqp, amqps or http.
    CheckProtocolListener { protocol: String },
    /// Where the broker listens.
    Listeners,
    /// The cluster's name and nodes.
    ClusterStatus,
    /// Renames the cluster.
    SetClusterName { name: String },
    /// The broker's version.
    ServerVersion,
    /// [COLUMN…]: feature flags.
    ListFeatureFlags(Columns),
    /// [COLUMN…]: features on their way out.
    ListDeprecatedFeatures(Columns),
    /// Logs from this level on: off, error, warn, info, debug or trace, also per part, "info,amphora::management=debug". Until the configuration
    /// says otherwise, or the broker ends.
    SetLogLevel { level: String },
    /// Blocks publishers above this share of memory, 0.455 for 45.5 %, or with `absolute` this amount: 2GiB. Likewise.
    SetVmMemoryHighWatermark {
        #[arg(required = true, num_args = 1..=2)]
        mark: Vec<String>,
    },
    /// Blocks publishers with less than this free on the disk: 1GiB. Likewise.
    SetDiskFreeLimit { limit: String },
    /// Closes all connections of the virtual host, or with --global of all.
    CloseAllConnections {
        reason: String,
        #[arg(long)]
        global: bool,
    },
    /// Closes all connections of a user.
    CloseAllUserConnections {
        #[arg(value_name = "USERNAME")]
        name: String,
        reason: String,
    },
}

const FLAGS: List = List::of("/feature-flags", &["name", "state"]);
const DEPRECATED: List = List::of("/deprecated-features", &["name", "deprecation_phase"]);

pub(super) fn run(command: &Command, client: &Client, output: &mut Output<'_>) -> Done {
    match command {
        Command::Ping => {
            client.get("/whoami", &broker())?;
            output.done("the broker answers")
        }
        Command::AwaitStartup { timeout } => {
            await_startup(client, Duration::from_secs(*timeout))?;
            output.done("the broker serves clients")
        }
        Command::Alarms => alarms(client, output),
        Command::CheckAlarms => check("alarms", client, output),
        Command::CheckLocalAlarms => check("local-alarms", client, output),
        Command::CheckRunning => check("ready-to-serve-clients", client, output),
        Command::CheckVirtualHosts => check("virtual-hosts", client, output),
        Command::CheckPortListener { port } => {
            check(&format!("port-listener/{port}"), client, output)
        }
        Command::CheckProtocolListener { protocol } => {
            let protocol = segment(protocol);
            check(&format!("protocol-listener/{protocol}"), client, output)
        }
        Command::ListFeatureFlags(columns) => FLAGS.show(client, columns, output),
        Command::ListDeprecatedFeatures(columns) => DEPRECATED.show(client, columns, output),
        _ => act(command, client, output),
    }
}

/// Commands that change something, or show a part of the overview.
fn act(command: &Command, client: &Client, output: &mut Output<'_>) -> Done {
    match command {
        Command::Listeners => {
            let overview = client.get("/overview?columns=listeners", &broker())?;
            let columns = ["protocol", "ip_address", "port"];
            output.list(&overview["listeners"], &columns, &[])
        }
        Command::ClusterStatus => {
            let name = client.get("/cluster-name", &broker())?;
            let nodes = client.get(
                "/nodes?columns=name,running,mem_alarm,disk_free_alarm",
                &broker(),
            )?;
            let status = json!({ "name": name["name"], "nodes": nodes });
            match output.format() {
                Format::Json => output.json(&status),
                Format::Table => {
                    output.answer(&status, &format!("Cluster {}", status["name"]))?;
                    let columns = ["name", "running", "mem_alarm", "disk_free_alarm"];
                    output.list(&nodes, &columns, &[])
                }
            }
        }
        Command::SetClusterName { name } => {
            client.put("/cluster-name", &json!({ "name": name }), &broker())?;
            output.done("cluster renamed")
        }
        Command::ServerVersion => {
            let version = client.get("/version", &broker())?;
            output.answer(&version, version.as_str().unwrap_or_default())
        }
        Command::SetLogLevel { level } => {
            set(client, &json!({ "log_level": level }))?;
            output.done("log level changed")
        }
        Command::SetVmMemoryHighWatermark { mark } => {
            set(client, &json!({ "memory_mark": memory_mark(mark)? }))?;
            output.done("memory mark changed")
        }
        Command::SetDiskFreeLimit { limit } => {
            set(client, &json!({ "disk_free_limit": amount(limit) }))?;
            output.done("disk limit changed")
        }
        Command::CloseAllConnections { reason, global } => {
            let path = if *global {
                "/connections".to_owned()
            } else {
                format!("/vhosts/{}/connections", segment(client.vhost()))
            };
            close_all(&path, reason, client, output)
        }
        Command::CloseAllUserConnections { name, reason } => {
            let path = format!("/connections/username/{}", segment(name));
            close_all(&path, reason, client, output)
        }
        _ => Ok(()),
    }
}

fn broker() -> About {
    About("broker".to_owned())
}

fn await_startup(client: &Client, timeout: Duration) -> Done {
    let begun = Instant::now();
    loop {
        match client.get("/health/checks/ready-to-serve-clients", &broker()) {
            Err(Exit::Unavailable(_)) if begun.elapsed() < timeout => {
                std::thread::sleep(ASK_AGAIN);
            }
            other => return other.map(drop),
        }
    }
}

/// A health check that fails answers with its reason.
fn check(name: &str, client: &Client, output: &mut Output<'_>) -> Done {
    client.get(&format!("/health/checks/{name}"), &broker())?;
    output.done("healthy")
}

fn alarms(client: &Client, output: &mut Output<'_>) -> Done {
    let overview = client.get("/overview?columns=alarms", &broker())?;
    let alarms = &overview["alarms"];
    match output.format() {
        Format::Table if alarms.as_array().is_none_or(Vec::is_empty) => {
            output.done("no alarm is in effect")
        }
        _ => output.list(alarms, &["node", "resource"], &[]),
    }
}

fn set(client: &Client, settings: &Value) -> Done {
    client.put("/settings", settings, &broker())?;
    Ok(())
}

/// `0.6`, or `absolute 2GiB`, as the configuration has it.
fn memory_mark(words: &[String]) -> Result<String, Exit> {
    match words {
        [kind, given] if kind == "absolute" => Ok(amount(given)),
        [share] => {
            let given = share.parse::<f64>().ok();
            let given = given.filter(|share| (0.0..=1.0).contains(share));
            given
                .map(|share| format!("{:.4}%", share * 100.0))
                .ok_or_else(|| {
                    Exit::Usage(format!("{share}: give a share from 0 to 1, such as 0.6"))
                })
        }
        _ => Err(Exit::Usage(
            "give a share such as 0.6, or `absolute 2GiB`".to_owned(),
        )),
    }
}

/// An amount as the configuration has it: rabbitmqctl has short names for the binary units, too.
fn amount(text: &str) -> String {
    let unit_at = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(unit_at.unwrap_or(text.len()));
    let unit = match unit {
        "k" | "kiB" => "KiB",
        "M" => "MiB",
        "G" => "GiB",
        unit => unit,
    };
    format!("{number}{unit}")
}

/// Closes what is listed at a path; one that is gone meanwhile is closed, too.
fn close_all(path: &str, reason: &str, client: &Client, output: &mut Output<'_>) -> Done {
    let connections = client.get(&format!("{path}?columns=name"), &broker())?;
    let mut closed = 0;
    for connection in connections.as_array().into_iter().flatten() {
        let name = connection["name"].as_str().unwrap_or_default();
        let about = About(format!("connection '{name}'"));
        let path = format!("/connections/{}", segment(name));
        match client.delete(&path, &[("x-reason", reason)], &about) {
            Ok(_) => closed += 1,
            Err(Exit::Failed(text)) if text.starts_with("there is no") => {}
            Err(error) => return Err(error),
        }
    }
    output.done(&format!("{closed} connections closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_mark_is_what_rabbitmqctl_takes() {
        for (words, mark) in [
            (&["0.455"][..], "45.5000%"),
            (&["0.07"], "7.0000%"),
            (&["0.004"], "0.4000%"),
            (&["0"], "0.0000%"),
            (&["1.0"], "100.0000%"),
            (&["absolute", "1GiB"], "1GiB"),
            (&["absolute", "2G"], "2GiB"),
            (&["absolute", "3kiB"], "3KiB"),
            (&["absolute", "4096"], "4096"),
        ] {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(memory_mark(&words), Ok(mark.to_owned()));
        }
        for share in ["1.01", "-0.1", "NaN", "inf", "45%", "half"] {
            let refused = format!("{share}: give a share from 0 to 1, such as 0.6");
            assert_eq!(memory_mark(&[share.to_owned()]), Err(Exit::Usage(refused)));
        }
    }
}
