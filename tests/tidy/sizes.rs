//! Files that can be read in one go.

use std::collections::BTreeMap;

use anyhow::Context;

use crate::files::{self, File};

/// Above this, a file asks to be split: it needs a line in `large_files.txt`. Tests at its foot are not counted.
const ASKED: usize = 400;

/// No file is larger.
const ALLOWED: usize = 700;

/// What is on the path of every message is kept smaller still, and listed likewise.
const ASKED_HOT: usize = 300;

const HOT: &[&str] = &[
    "broker/core/src/queue/consumers/assigning.rs",
    "broker/core/src/queue/dispatch.rs",
    "broker/core/src/queue/log.rs",
    "broker/core/src/route.rs",
    "broker/protocol/src/connection/content.rs",
    "broker/protocol/src/connection/inline.rs",
    "broker/protocol/src/wire/frame.rs",
    "broker/server/src/runtime/alike.rs",
    "broker/server/src/runtime/encoding.rs",
    "broker/server/src/runtime/ingress/alike.rs",
    "broker/server/src/runtime/ingress/mod.rs",
    "broker/server/src/runtime/ingress/straight.rs",
    "broker/server/src/runtime/outbox.rs",
    "broker/server/src/runtime/writer.rs",
];

/// How many lines a large file has at most: what it had when it was last looked at. A number may only be lowered.
const LARGE: &str = include_str!("large_files.txt");

#[test]
fn files_stay_small() -> anyhow::Result<()> {
    let mut budgets = budgets()?;
    let mut complaints = Vec::new();
    for file in files::all()?.iter().filter(|file| file.is("rs")) {
        let lines = file.lines();
        let asked = asked(file);
        let budget = budgets.remove(file.path.as_str());
        let path = &file.path;
        if lines > ALLOWED {
            complaints.push(format!("{path}: {lines} lines, and {ALLOWED} are allowed"));
        }
        match budget {
            None if lines > asked => complaints.push(format!(
                "{path}: {lines} lines, and from {asked} on it asks to be split"
            )),
            Some(budget) if lines > budget => {
                complaints.push(format!("{path}: {lines} lines, and it had {budget}"));
            }
            Some(_) if lines <= asked => {
                complaints.push(format!("{path}: {lines} lines, so it need not be listed"));
            }
            _ => {}
        }
    }
    complaints.extend(budgets.keys().map(|path| format!("{path}: no such file")));
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    Ok(())
}

#[test]
fn the_hot_path_is_where_it_is_said_to_be() -> anyhow::Result<()> {
    for path in HOT {
        File::read(path)?;
    }
    Ok(())
}

fn asked(file: &File) -> usize {
    if HOT.contains(&file.path.as_str()) {
        ASKED_HOT
    } else if file.is_test() {
        ALLOWED
    } else {
        ASKED
    }
}

fn budgets() -> anyhow::Result<BTreeMap<&'static str, usize>> {
    LARGE
        .lines()
        .map(|line| {
            let (lines, path) = line.split_once(' ').context(line)?;
            Ok((path, lines.parse().context(line)?))
        })
        .collect()
}
