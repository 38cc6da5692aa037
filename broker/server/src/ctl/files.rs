//! Definitions in files, out and in.

use std::io::{Read, Write};

use clap::Subcommand;
use serde_json::Value;

use super::client::{About, Client, segment};
use super::output::Output;
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
            client.post(&path(client, *only_vhost), &definitions, &about(client))?;
            output.done("definitions imported")
        }
    }
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
    read.map_err(|error| Exit::Failed(format!("{file}: {error}")))?;
    serde_json::from_str(&text)
        .map_err(|error| Exit::Failed(format!("{file}: the file is no JSON ({error})")))
}
