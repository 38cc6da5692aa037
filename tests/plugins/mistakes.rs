//! What authors do wrong, and what they are told: the reason, and where it is.

use std::path::{Path, PathBuf};
use std::process::Command;

use amphora_tests::binary;
use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::built::plugin;

/// A new plugin for a type of exchange.
struct Project {
    parent: TempDir,
}

impl Project {
    fn new(lang: &str) -> anyhow::Result<Self> {
        let parent = tempfile::tempdir()?;
        plugin(parent.path(), &["new", "--lang", lang, "mine"])?;
        Ok(Self { parent })
    }

    fn folder(&self) -> PathBuf {
        self.parent.path().join("mine")
    }

    /// Writes something else in one of its files.
    fn change(&self, file: &str, before: &str, after: &str) -> anyhow::Result<()> {
        let file = self.folder().join(file);
        let text = std::fs::read_to_string(&file)?;
        ensure!(
            text.contains(before),
            "{} has no '{before}'",
            file.display()
        );
        std::fs::write(file, text.replacen(before, after, 1))?;
        Ok(())
    }

    fn build(&self) -> anyhow::Result<()> {
        plugin(&self.folder(), &["build", "--quiet"]).map(drop)
    }

    /// What a command says that fails.
    fn refused(&self, arguments: &[&str]) -> anyhow::Result<String> {
        refused(&self.folder(), arguments)
    }

    /// What `plugin test` says of these cases.
    fn tried(&self, cases: &str) -> anyhow::Result<String> {
        std::fs::write(self.folder().join("tried.toml"), cases)?;
        self.refused(&["test", "mine.wasm", "--cases", "tried.toml"])
    }
}

fn refused(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    match plugin(folder, arguments) {
        Ok(output) => bail!("{arguments:?} does not fail: {output}"),
        Err(error) => Ok(error.to_string()),
    }
}

/// All of these are in the text.
fn has(text: &str, parts: &[&str]) -> anyhow::Result<()> {
    for part in parts {
        ensure!(text.contains(part), "no '{part}' in: {text}");
    }
    Ok(())
}

#[test]
fn what_is_missing_is_named_with_what_installs_it() -> anyhow::Result<()> {
    for (lang, parts) in [
        ("c", ["clang", "apt-get install"]),
        ("js", ["node and npm", "apt-get install nodejs npm"]),
        (
            "python",
            ["python3", "apt-get install python3 python3-venv"],
        ),
    ] {
        let project = Project::new(lang)?;
        let output = Command::new(binary()?)
            .args(["plugin", "build"])
            .current_dir(project.folder())
            .env("PATH", "/nonexistent")
            .env_remove("AMPHORA_PLUGIN_INSTALL")
            .output()
            .context("amphora does not run")?;
        ensure!(!output.status.success(), "{lang} is built with nothing");
        has(&String::from_utf8_lossy(&output.stderr), &parts)?;
    }
    Ok(())
}

#[test]
fn source_that_does_not_fit_is_told_with_file_line_and_world() -> anyhow::Result<()> {
    let project = Project::new("c")?;
    project.change("plugin.c", "return true;", "return tru;")?;
    let said = project.refused(&["build"])?;
    has(
        &said,
        &["plugin.c:", "error: use of undeclared identifier 'tru'"],
    )?;
    project.change("plugin.c", "return tru;", "return true;")?;

    project.change("plugin.c", "exchange_delete(", "exchange_remove(")?;
    let said = project.refused(&["build"])?;
    has(
        &said,
        &[
            "undefined symbol: exports_amphora_plugin_exchange_delete",
            "a function of the contract's world 'exchange-plugin' that is not written",
        ],
    )?;
    project.change("plugin.c", "exchange_remove(", "exchange_delete(")?;

    project.change("plugin.toml", "exchange-plugin", "transform-plugin")?;
    let said = project.refused(&["build"])?;
    has(
        &said,
        &["does not compile for the contract's world 'transform-plugin'"],
    )?;
    project.change("plugin.toml", "transform-plugin", "transform-plugi")?;
    let said = project.refused(&["build"])?;
    has(
        &said,
        &["plugin.toml: there is no world 'transform-plugi'; is it 'transform-plugin'?"],
    )
}

#[test]
fn an_import_that_is_not_granted_is_named_and_where_to_grant_it() -> anyhow::Result<()> {
    let project = Project::new("c")?;
    project.change("plugin.toml", "grants = []", "grants = [\"log\"]")?;
    project.change(
        "plugin.c",
        "(void)exchange, (void)refusal;",
        "(void)exchange, (void)refusal;\n    guest_string_t text;\n    guest_string_dup(&text, \"hello\");\n    amphora_plugin_log_write(AMPHORA_PLUGIN_LOG_LEVEL_INFO, &text);",
    )?;
    project.build()?;
    let said = project.refused(&["test", "mine.wasm"])?;
    has(
        &said,
        &[
            "mine.wasm: ",
            "amphora:plugin/log@0.1.0 needs the grant 'log'; `grants` in the file of cases",
        ],
    )?;
    let cases = std::fs::read_to_string(project.folder().join("cases.toml"))?;
    std::fs::write(
        project.folder().join("granted.toml"),
        format!("grants = [\"log\"]\n{cases}"),
    )?;
    let passed = plugin(
        &project.folder(),
        &["test", "mine.wasm", "--cases", "granted.toml"],
    )?;
    has(&passed, &["3 passed, 0 failed"])
}

#[test]
fn a_component_for_another_contract_or_for_none_is_refused_in_words() -> anyhow::Result<()> {
    let project = Project::new("c")?;
    project.build()?;
    let component = std::fs::read(project.folder().join("mine.wasm"))?;
    let (ours, other) = (b"@0.1.0".as_slice(), b"@0.2.0".as_slice());
    let mut major = component.clone();
    for at in 0..major.len() - ours.len() {
        if major[at..].starts_with(ours) {
            major[at..at + other.len()].copy_from_slice(other);
        }
    }
    let files: [(&str, &[u8], &str); 4] = [
        (
            "major.wasm",
            &major,
            "was built against amphora:plugin@0.2.0, and this broker speaks amphora:plugin@0.1.0",
        ),
        (
            "nothing.wasm",
            b"\0asm\x0d\0\x01\0",
            "the component does not export amphora:plugin/plugin@0.1.0",
        ),
        ("core.wasm", b"\0asm\x01\0\0\0", "it is a core module"),
        ("text.wasm", b"(module)", "this is no WebAssembly component"),
    ];
    for (name, bytes, reason) in files {
        std::fs::write(project.folder().join(name), bytes)?;
        for command in ["inspect", "test", "bench"] {
            let said = project.refused(&[command, name])?;
            has(&said, &[&format!("{name}: "), reason])?;
        }
    }
    Ok(())
}

#[test]
fn cases_that_make_no_sense_are_refused_with_their_place() -> anyhow::Result<()> {
    let project = Project::new("c")?;
    project.build()?;
    let exchange = "[[exchange]]\nname = \"x\"\n";
    for (cases, parts) in [
        ("[[message]\n".to_owned(), ["tried.toml: ", "line 1"]),
        (
            "[[message]]\nkey = \"a\"\nexpct = []\n".to_owned(),
            ["line 3", "unknown field `expct`"],
        ),
        (
            format!("{exchange}[[message]]\nkey = 5\nexpect = []\n"),
            ["line 4", "expected a string"],
        ),
        (
            "[[message]]\nkey = \"a\"\nexpect = []\n".to_owned(),
            [
                "message 1 is published to exchange ''",
                "no [[exchange]] declares",
            ],
        ),
        (
            format!("{exchange}[[message]]\nkey = \"a\"\nexpect = \"drop\"\n"),
            [
                "message 1 expects a transform's verdict",
                "there is an [[exchange]]",
            ],
        ),
        (
            format!("grants = [\"lgo\"]\n{exchange}"),
            ["tried.toml: ", "there is no grant 'lgo'"],
        ),
        (exchange.to_owned(), ["tried.toml: ", "nothing was tried"]),
        (
            "[[message]]\nexpect = \"drop\"\n".to_owned(),
            ["the component is no transform", "there is no [[exchange]]"],
        ),
    ] {
        has(&project.tried(&cases)?, &parts)?;
    }
    Ok(())
}

/// In languages with a runtime, a mistake shows when it is run.
#[test]
fn an_exception_is_told_with_its_file_and_line() -> anyhow::Result<()> {
    let javascript = Project::new("js")?;
    javascript.change("plugin.js", "const answer = [];", "nobody.knows();")?;
    javascript.build()?;
    let said = javascript.refused(&["test", "mine.wasm"])?;
    has(&said, &["3 of 3 cases of cases.toml failed"])?;
    has(&said, &["nobody is not defined", "at route (/plugin.js:"])?;

    let python = Project::new("python")?;
    python.change("plugin.py", "answer = []", "nobody.knows()")?;
    python.build()?;
    let said = python.refused(&["test", "mine.wasm"])?;
    has(
        &said,
        &["plugin.py\", line ", "name 'nobody' is not defined"],
    )
}
