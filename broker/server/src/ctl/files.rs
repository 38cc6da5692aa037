//! Definitions in files, out and in.

use std::io::{Read, Write};

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{About, Client, segment};
use super::output::Output;
use super::progress::Progress;
use crate::cli::exit::Exit;

type Done = Result<(), Exit>;

#[derive(Clone, Debug, Subcommand)]
#[command(rename_all = "snake_case")]
pub(super) enum Command {
    /// Writes all definitions, or with --only-vhost those of the virtual host, to a file in RabbitMQ's format; - for standard output.
    ExportDefinitions {
        file: String,
        #[arg(long = "only-vhost")]
        only_vhost: bool,
    },
    /// Takes definitions in from such a file, or with --only-vhost into the virtual host; - or nothing for standard input.
    ImportDefinitions {
        #[arg(default_value = "-")]
        file: String,
        #[arg(long = "only-vhost")]
        only_vhost: bool,
    },
}

pub(super) fn run(command: &Command, client: &Client, output: &mut Output<'_>) -> Done {
    match command {
        Command::ExportDefinitions { file, only_vhost } => {
            let definitions = client.get(&path(client, *only_vhost), &about(client))?;
            if file == "-" {
                return output.json(&definitions);
            }
            write(file, &definitions)?;
            output.done("definitions exported")
        }
        Command::ImportDefinitions { file, only_vhost } => {
            let definitions = read(file)?;
            import(client, &path(client, *only_vhost), definitions)?;
            output.done("definitions imported")
        }
    }
}

/// Items in one request: an answer must not take for ever, and whoever waits wants to see how far it is.
const PART: usize = 500;

/// The lists of definitions, in the order in which what they hold needs one another.
const LISTS: [&str; 10] = [
    "users",
    "vhosts",
    "permissions",
    "topic_permissions",
    "parameters",
    "global_parameters",
    "policies",
    "queues",
    "exchanges",
    "bindings",
];

/// Sends definitions, in parts if they are many.
fn import(client: &Client, path: &str, mut definitions: Value) -> Done {
    let count = |list: &&str| definitions[*list].as_array().map_or(0, Vec::len);
    let total: usize = LISTS.iter().map(count).sum();
    if total <= PART {
        client.post(path, &definitions, &about(client))?;
        return Ok(());
    }
    let progress = Progress::begin("importing", Some(total as u64));
    for list in LISTS {
        let items = definitions.as_object_mut().and_then(|all| all.remove(list));
        let Some(Value::Array(items)) = items else {
            continue;
        };
        for part in items.chunks(PART) {
            client.post(path, &json!({ list: part }), &about(client))?;
            progress.advance(part.len() as u64);
        }
    }
    // What is no such list is for the broker to judge.
    client.post(path, &definitions, &about(client))?;
    Ok(())
}

fn path(client: &Client, only_vhost: bool) -> String {
    if only_vhost {
        format!("/definitions/{}", segment(client.vhost()))
    } else {
        "/definitions".to_owned()
    }
}

fn about(client: &Client) -> About {
    About(format!("vhost '{}'", client.vhost()))
}

/// They hold the hashes of passwords, which are nobody else's business.
fn write(file: &str, definitions: &Value) -> Done {
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |error: std::io::Error| Exit::Failed(format!("{file}: {error}"));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut opened = options.open(file).map_err(failed)?;
    let text = format!("{definitions:#}\n");
    opened.write_all(text.as_bytes()).map_err(failed)
}

fn read(file: &str) -> Result<Value, Exit> {
    let mut text = String::new();
    let read = if file == "-" {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(file).map(|found| text = found)
    };
    read.map_err(|error| Exit::Data(format!("{file}: {error}")))?;
    serde_json::from_str(&text)
        .map_err(|error| Exit::Data(format!("{file}: the file is no JSON ({error})")))
}
