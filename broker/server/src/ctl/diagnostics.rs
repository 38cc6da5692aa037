//! What rabbitmq-diagnostics and their like ask of a node, under the same names.

use clap::Subcommand;
use serde_json::Value;

use super::client::{About, Client, segment};
use super::lists::List;
use super::output::Output;
use super::{Columns, Format};
use crate::cli::exit::Exit;

type Done = Result<(), Exit>;

#[derive(Clone, Debug, Subcommand)]
#[command(rename_all = "snake_case")]
pub(super) enum Command {
    /// The configuration in force, as JSON.
    Environment,
    /// The version of this program.
    Version,
    /// Fails unless the broker runs.
    IsRunning,
    /// As `check_running`, under its older name.
    NodeHealthCheck,
    /// Fails if a certificate of the broker's expires within so many days, weeks, months or years.
    CheckCertificateExpiration {
        #[arg(long, default_value = "weeks")]
        unit: String,
        #[arg(long, default_value_t = 4)]
        within: u64,
    },
    /// Fails if a queue has no leader: none lacks one on a single node.
    CheckForQuorumQueuesWithoutAnElectedLeader,
    /// Fails if a queue would lose its quorum without this node: a single node has nothing to lose.
    CheckIfNodeIsQuorumCritical,
    /// Fails until definitions are there.
    CheckIfMetadataStoreIsInitialized,
    /// Fails until definitions are there, with data.
    CheckIfMetadataStoreIsInitializedWithData,
    /// Fails if a feature that is on its way out is used.
    CheckIfAnyDeprecatedFeaturesAreUsed,
    /// What memory is used for, in bytes, the largest share first.
    MemoryBreakdown,
    /// The last lines of the log.
    LogTail {
        #[arg(short = 'N', long, default_value_t = 50)]
        number: usize,
    },
    /// [COLUMN…]: how often somebody tried to log in, by protocol.
    ListNodeAuthAttemptStats(Columns),
    /// Begins anew to count attempts to log in.
    ResetNodeAuthAttemptMetrics,
    /// Enables a feature flag: all that there are already are.
    EnableFeatureFlag { flag: String },
    /// Starts the virtual host if it does not run: all of them do.
    RestartVhost,
}

const ATTEMPTS: List = List::of(
    "",
    &[
        "protocol",
        "auth_attempts",
        "auth_attempts_failed",
        "auth_attempts_succeeded",
    ],
);

/// Checks that have no arguments, by the path that answers.
fn check_of(command: &Command) -> Option<String> {
    let name = match command {
        Command::IsRunning | Command::NodeHealthCheck => "ready-to-serve-clients",
        Command::CheckForQuorumQueuesWithoutAnElectedLeader => {
            "quorum-queues-without-elected-leaders/all-vhosts"
        }
        Command::CheckIfNodeIsQuorumCritical => "node-is-quorum-critical",
        Command::CheckIfMetadataStoreIsInitialized => "metadata-store/initialized",
        Command::CheckIfMetadataStoreIsInitializedWithData => {
            "metadata-store/initialized/with-data"
        }
        Command::CheckCertificateExpiration { unit, within } => {
            return Some(format!("certificate-expiration/{within}/{}", segment(unit)));
        }
        _ => return None,
    };
    Some(name.to_owned())
}

pub(super) fn run(command: &Command, client: &Client, output: &mut Output<'_>) -> Done {
    if let Some(check) = check_of(command) {
        client.get(&format!("/health/checks/{check}"), &broker())?;
        return output.done("healthy");
    }
    match command {
        Command::Environment => {
            let configuration = client.get("/config/effective", &broker())?;
            output.json(&configuration)
        }
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            output.answer(&version.into(), version)
        }
        Command::CheckIfAnyDeprecatedFeaturesAreUsed => {
            let used = client.get("/deprecated-features/used", &broker())?;
            match used.as_array().map(Vec::as_slice) {
                None | Some([]) => output.done("healthy"),
                Some(_) => Err(Exit::Failed(format!("deprecated features in use: {used}"))),
            }
        }
        Command::MemoryBreakdown => memory(client, output),
        Command::LogTail { number } => log_tail(client, *number, output),
        Command::ListNodeAuthAttemptStats(columns) => {
            let path = format!("/auth/attempts/{}", node(client)?);
            ATTEMPTS.show_at(&path, client, columns, output)
        }
        Command::ResetNodeAuthAttemptMetrics => {
            let path = format!("/auth/attempts/{}", node(client)?);
            client.delete(&path, &[], &broker())?;
            output.done("attempts to log in are counted anew")
        }
        Command::EnableFeatureFlag { flag } => {
            let path = format!("/feature-flags/{}/enable", segment(flag));
            let about = About(format!("feature flag '{flag}'"));
            client.put(&path, &Value::Object(serde_json::Map::new()), &about)?;
            output.done("feature flag enabled")
        }
        Command::RestartVhost => {
            let vhost = client.vhost();
            let path = format!("/vhosts/{}/start/{}", segment(vhost), node(client)?);
            let about = About(format!("vhost '{vhost}'"));
            client.post(&path, &Value::Object(serde_json::Map::new()), &about)?;
            output.done("vhost started")
        }
        _ => Ok(()),
    }
}

fn broker() -> About {
    About("broker".to_owned())
}

/// The node's name, as a part of a path.
fn node(client: &Client) -> Result<String, Exit> {
    let overview = client.get("/overview?columns=node", &broker())?;
    Ok(segment(overview["node"].as_str().unwrap_or_default()))
}

fn memory(client: &Client, output: &mut Output<'_>) -> Done {
    let path = format!("/nodes/{}/memory", node(client)?);
    let memory = client.get(&path, &broker())?;
    if output.format() == Format::Json {
        return output.json(&memory);
    }
    let shares = memory["memory"].as_object().into_iter().flatten();
    let bytes = shares.filter_map(|(name, bytes)| Some((name.as_str(), bytes.as_u64()?)));
    let mut used: Vec<_> = bytes.filter(|(_, bytes)| *bytes > 0).collect();
    used.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let pairs: Vec<_> = used
        .into_iter()
        .map(|(name, bytes)| (name, bytes.to_string()))
        .collect();
    output.pairs(&pairs)
}

fn log_tail(client: &Client, number: usize, output: &mut Output<'_>) -> Done {
    let (mut lines, mut since) = (Vec::new(), 0);
    loop {
        let logs = client.get(&format!("/logs?since={since}"), &broker())?;
        let part = logs["lines"].as_array().cloned().unwrap_or_default();
        if part.is_empty() {
            break;
        }
        lines.extend(part);
        since = logs["next"].as_u64().unwrap_or(u64::MAX);
    }
    let last = lines.split_off(lines.len().saturating_sub(number));
    if output.format() == Format::Json {
        return output.json(&Value::Array(last));
    }
    let text = |line: &Value| {
        let part = |key: &str| super::output::cell(&line[key]);
        let at = std::time::Duration::from_millis(line["at"].as_u64().unwrap_or_default());
        let at = humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + at);
        let (level, target) = (part("level").to_uppercase(), part("target"));
        format!("{at} {level:>5} {target}: {}\n", part("text"))
    };
    output.text(&last.iter().map(text).collect::<String>())
}
