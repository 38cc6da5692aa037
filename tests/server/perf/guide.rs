//! What the guide says of the load generator is true of it.

use std::collections::BTreeSet;
use std::process::Command;

use amphora_tests::{Broker, binary, workspace};
use anyhow::{Context, ensure};
use serde_json::Value;

use super::{json, succeed};

fn guide() -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(workspace().join("broker/PERF.md"))?)
}

/// The options that the help of a subcommand has, short and long.
fn options(subcommand: &str) -> anyhow::Result<BTreeSet<String>> {
    let output = Command::new(binary()?)
        .args(["perf", subcommand, "--help"])
        .output()?;
    let help = String::from_utf8(output.stdout)?;
    let heads = help.lines().filter(|line| line.trim().starts_with('-'));
    let words = heads.flat_map(|line| {
        let head = line.trim().split("  ").next().unwrap_or_default();
        head.split([' ', ',', '[', '='])
            .filter(|word| word.starts_with('-'))
    });
    Ok(words.map(str::to_owned).collect())
}

/// The words in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The options in the columns that are headed with this subcommand.
fn named(guide: &str, subcommand: &str) -> Vec<String> {
    let head = format!("`amphora perf {subcommand}`");
    let (mut found, mut column) = (Vec::new(), None);
    let mut lines = guide.lines().peekable();
    while let Some(line) = lines.next() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            column = None;
        } else if lines.peek().is_some_and(|next| next.starts_with("| ---")) {
            column = cells.iter().position(|cell| *cell == head);
        } else if let Some(cell) = column.and_then(|at| cells.get(at)) {
            let words = quoted(cell).filter_map(|quoted| quoted.split(' ').next());
            let options = words.filter(|word| word.starts_with('-'));
            found.extend(options.map(str::to_owned));
        }
    }
    found
}

#[test]
fn every_option_in_the_guide_is_in_the_help_and_the_other_way_round() -> anyhow::Result<()> {
    let guide = guide()?;
    let said: BTreeSet<&str> = quoted(&guide).collect();
    for (subcommand, least) in [("throughput", 40), ("connections", 4)] {
        let options = options(subcommand)?;
        let named = named(&guide, subcommand);
        ensure!(
            named.len() >= least,
            "only {named:?} in the guide's columns for {subcommand}"
        );
        for option in &named {
            assert!(options.contains(option), "{subcommand} has no {option}");
        }
        for option in options.iter().filter(|option| option.starts_with("--")) {
            let said = said.contains(option.as_str()) || option == "--help";
            assert!(said, "{option} of {subcommand} is not in the guide");
        }
    }
    Ok(())
}

#[test]
fn every_command_in_the_guide_is_one() -> anyhow::Result<()> {
    let guide = guide()?;
    let recipes = guide.split("```sh\n").nth(1).context("no recipes")?;
    let recipes = recipes.split("```").next().unwrap_or_default();
    let commands = recipes.replace("\\\n", "");
    let commands: Vec<_> = commands
        .lines()
        .filter(|line| line.starts_with("amphora perf "))
        .collect();
    assert!(commands.len() > 5, "{recipes}");
    for command in commands {
        // With --help at its end, a command is read until there and not run.
        let output = Command::new("sh")
            .args([
                "-c",
                &format!("amphora() {{ \"$0\" \"$@\"; }}; pidof() {{ echo 1; }}; {command} --help"),
            ])
            .arg(binary()?)
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {errors}");
    }
    Ok(())
}

/// The names of all fields of `value`, however deep.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                found.insert(name.clone());
                fields(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

#[test]
fn every_field_of_the_results_is_in_the_guide() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    let (uri, pid) = (
        format!("--uri=amqp://{}", broker.amqp()?),
        format!("--pid={}", broker.pid()?),
    );
    let results = ["latency", "connections", "compare"].map(file);
    let written = |at: usize| format!("--json={}", results[at].display());
    let load = ["latency", &uri, &pid, "--rate=100", "--confirm=9"];
    let lengths = ["--warm-up=0.1", "--duration=0.1", &written(0)];
    succeed(&[&load[..], &lengths].concat())?;
    let connections = ["connections", &uri, &pid, "--open=5", "--hold=0.1"];
    succeed(&[&connections[..], &["--churn=0.1", &written(1)]].concat())?;
    succeed(&[
        "compare",
        &format!(
            "--broker=it=amqp://{},pid={}",
            broker.amqp()?,
            broker.pid()?
        ),
        &format!("--limit-log={}", file("log").display()),
        "--own-scenario=one=--persistent --confirm 1 --count 10",
        "--runs=1",
        &written(2),
    ])?;
    let guide = guide()?;
    let said: BTreeSet<&str> = quoted(&guide).collect();
    let mut found = BTreeSet::new();
    for results in &results {
        fields(&json(results)?, &mut found);
    }
    let missing: Vec<_> = found
        .iter()
        .filter(|field| !said.contains(field.as_str()))
        .collect();
    assert!(missing.is_empty(), "not in the guide: {missing:?}");
    assert!(found.contains("late_max_ns") && found.contains("idle_cpu_seconds"));
    Ok(())
}
