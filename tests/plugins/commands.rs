//! What an author is told of a component, without a broker: `amphora plugin inspect`, `test` and `bench`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::built::{component, plugin};
use crate::harmful::component_file;

/// A new project in C, which is built within a second.
struct Project {
    parent: TempDir,
    name: String,
    /// Bytes of its component.
    size: usize,
}

impl Project {
    fn build(kind: &str) -> anyhow::Result<Self> {
        let parent = tempfile::tempdir()?;
        let name = format!("tried-{kind}");
        plugin(
            parent.path(),
            &["new", "--lang", "c", "--kind", kind, &name],
        )?;
        let size = component(&parent.path().join(&name))?.len();
        Ok(Self { parent, name, size })
    }

    fn folder(&self) -> PathBuf {
        self.parent.path().join(&self.name)
    }

    /// Runs a command with the component, and returns what it wrote on stdout.
    fn run(&self, command: &str, more: &[&str]) -> anyhow::Result<String> {
        let file = format!("{}.wasm", self.name);
        let arguments = [[command, file.as_str()].as_slice(), more].concat();
        plugin(&self.folder(), &arguments)
    }

    /// What a command that fails says.
    fn refused(&self, command: &str, more: &[&str]) -> anyhow::Result<String> {
        match self.run(command, more) {
            Ok(output) => bail!("{command} {more:?} does not fail: {output}"),
            Err(error) => Ok(error.to_string()),
        }
    }
}

#[test]
fn an_inspection_says_what_a_component_is() -> anyhow::Result<()> {
    let project = Project::build("exchange")?;
    let mut found: Value = serde_json::from_str(&project.run("inspect", &["--json"])?)?;
    let sha256 = found["sha256"].take();
    assert_eq!(sha256.as_str().map(str::len), Some(64), "{sha256}");
    assert_eq!(
        found,
        json!({
            "described": {
                "name": "tried-exchange",
                "version": "0.1.0",
                "sees": "routing key",
                "pure": true,
                "refused": null,
            },
            "kinds": ["exchange type (packed)"],
            "grants": [],
            "sha256": null,
            "size": project.size,
            "imports": ["amphora:plugin/types@0.1.0"],
            "exports": [
                "amphora:plugin/exchange-packed@0.1.0",
                "amphora:plugin/exchange@0.1.0",
                "amphora:plugin/plugin@0.1.0",
            ],
        })
    );

    let text = project.run("inspect", &[])?;
    let rows: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(title, value)| (title, value.trim_start()))
        .collect();
    let size = format!("{} bytes", project.size);
    for row in [
        ("name", "tried-exchange"),
        ("version", "0.1.0"),
        ("sees", "routing key"),
        ("answers", "pure: the broker keeps them"),
        ("kind", "exchange type (packed)"),
        ("grants", "nothing"),
        ("sha256", sha256.as_str().unwrap_or_default()),
        ("size", size.as_str()),
        ("export", "amphora:plugin/plugin@0.1.0"),
    ] {
        assert!(rows.contains(&row), "no {row:?} in {text}");
    }
    Ok(())
}

#[test]
fn an_inspection_of_something_else_names_the_file() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("plugin.c"), "int main;")?;
    let Err(error) = plugin(folder.path(), &["inspect", "plugin.c"]) else {
        bail!("source is no component");
    };
    let text = error.to_string();
    assert!(
        text.contains("plugin.c: this is no WebAssembly component"),
        "{text}"
    );
    Ok(())
}

#[test]
fn cases_are_tried_and_those_that_fail_are_counted() -> anyhow::Result<()> {
    let project = Project::build("transform")?;
    let passed = project.run("test", &[])?;
    assert!(passed.ends_with("2 passed, 0 failed\n"), "{passed}");

    let cases = "[[message]]\nexpect = \"drop\"\n";
    std::fs::write(project.folder().join("other.toml"), cases)?;
    let failed = project.refused("test", &["--cases", "other.toml"])?;
    assert!(
        failed.contains("1 of 1 cases of other.toml failed"),
        "{failed}"
    );
    Ok(())
}

#[test]
fn a_measurement_has_a_row_for_each_size_of_a_call() -> anyhow::Result<()> {
    for (kind, sizes) in [
        ("exchange", ["1", "8", "64", "256"].as_slice()),
        ("transform", &["1"]),
    ] {
        let project = Project::build(kind)?;
        let table = project.run("bench", &["--seconds", "0.05"])?;
        let mut lines = table.lines();
        let head: Vec<&str> = lines
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        assert_eq!(head, ["per", "call", "ns/message", "messages/s"]);
        let mut measured = Vec::new();
        for line in lines {
            let cells: Vec<&str> = line.split_whitespace().collect();
            let [size, time, rate] = cells[..] else {
                bail!("three columns, and not {line}");
            };
            let (time, rate): (f64, f64) = (time.parse()?, rate.parse()?);
            // Both are rounded to whole numbers.
            let second = time * rate / 1e9;
            assert!((0.9..1.1).contains(&second), "{kind}: {line}");
            measured.push(size);
        }
        assert_eq!(measured, sizes, "{kind}: {table}");
    }
    Ok(())
}

#[test]
fn a_measurement_that_makes_no_sense_is_refused() -> anyhow::Result<()> {
    let project = Project::build("exchange")?;
    let short = project.refused("bench", &["--seconds", "0"])?;
    assert!(
        short.contains("--seconds is to be from 0.01 to 3600"),
        "{short}"
    );
    let cases = "[[exchange]]\nname = \"pictures\"\n";
    std::fs::write(project.folder().join("silent.toml"), cases)?;
    let silent = project.refused("bench", &["--cases", "silent.toml"])?;
    assert!(
        silent.contains("silent.toml has no [[message]]"),
        "{silent}"
    );
    Ok(())
}

#[test]
fn a_measurement_that_fails_names_the_message() -> anyhow::Result<()> {
    let file = component_file()?;
    let folder = tempfile::tempdir()?;
    let cases = "grants = [\"config\", \"kv\", \"publish\"]\n[[message]]\nname = \"one that fails\"\nkey = \"panic.0\"\nexpect = \"pass\"\n";
    std::fs::write(folder.path().join("cases.toml"), cases)?;
    let path = file.path().to_str().context("a path")?;
    let Err(refused) = plugin(folder.path(), &["bench", path]) else {
        bail!("it is measured");
    };
    let said = refused.to_string();
    assert!(said.contains("one that fails"), "{said}");
    assert!(!said.contains("per call"), "{said}");
    Ok(())
}
