//! `amphora plugin inspect`: what a component is, and what the broker would say of it.

use std::io::Write;
use std::path::PathBuf;

use amphora_core::hook::{BodyNeeds, HeaderNeeds, Needs};
use amphora_plugin_host::Inspection;
use anyhow::Context;
use serde_json::json;

use super::trial::host;

/// Show what a component exports and imports, what it needs to see, and which grants it wants
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The component.
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let named = || args.file.display().to_string();
    let component = std::fs::read(&args.file).with_context(named)?;
    let found = host()?.inspect(&component).with_context(named)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", as_json(&found))?;
        return Ok(());
    }
    for (title, text) in rows(&found) {
        writeln!(out, "{title:<9} {text}")?;
    }
    Ok(())
}

fn rows(found: &Inspection) -> Vec<(&'static str, String)> {
    let mut rows = match &found.described {
        Ok(described) => vec![
            ("name", described.name.clone()),
            ("version", described.version.clone()),
            ("sees", needs(&described.needs)),
            ("answers", answers(&described.needs).to_owned()),
        ],
        Err(reason) => vec![("describe", reason.clone())],
    };
    let refused = found
        .described
        .iter()
        .filter_map(|described| described.needs_refused.as_ref());
    rows.extend(refused.map(|refused| ("refused", refused.to_string())));
    rows.extend([
        ("kind", kinds(found).join(", ")),
        ("grants", or_none(&grants(found))),
        ("sha256", found.sha256.clone()),
        ("size", format!("{} bytes", found.size)),
    ]);
    rows.extend(
        found
            .imports
            .iter()
            .map(|import| ("import", import.clone())),
    );
    rows.extend(
        found
            .exports
            .iter()
            .map(|export| ("export", export.clone())),
    );
    rows
}

fn answers(needs: &Needs) -> &'static str {
    if needs.pure {
        "pure: the broker keeps them"
    } else {
        "not pure: the plugin is asked for every message"
    }
}

fn as_json(found: &Inspection) -> serde_json::Value {
    let described = match &found.described {
        Ok(described) => json!({
            "name": described.name,
            "version": described.version,
            "sees": needs(&described.needs),
            "pure": described.needs.pure,
            "refused": described.needs_refused.as_ref().map(ToString::to_string),
        }),
        Err(reason) => json!({ "error": reason }),
    };
    json!({
        "described": described,
        "kinds": kinds(found),
        "grants": grants(found),
        "sha256": found.sha256,
        "size": found.size,
        "imports": found.imports,
        "exports": found.exports,
    })
}

fn grants(found: &Inspection) -> Vec<&'static str> {
    let wanted = found.grants_wanted.iter();
    wanted.map(|grant| grant.name()).collect()
}

fn kinds(found: &Inspection) -> Vec<&'static str> {
    let kinds = [
        (found.kinds.exchange_packed, "exchange type (packed)"),
        (found.kinds.exchange_typed, "exchange type (typed)"),
        (found.kinds.transform, "transform"),
    ];
    let has = kinds.into_iter().filter(|(has, _)| *has);
    has.map(|(_, name)| name).collect()
}

/// What a plugin sees of a message, in words.
fn needs(needs: &Needs) -> String {
    let parts = needs.parts;
    let named = [
        (parts.vhost, "vhost"),
        (parts.exchange, "exchange"),
        (parts.routing_key, "routing key"),
        (parts.user, "user"),
        (parts.time, "time"),
        (parts.properties, "properties"),
    ];
    let mut seen: Vec<String> = named
        .into_iter()
        .filter(|(sees, _)| *sees)
        .map(|(_, name)| name.to_owned())
        .collect();
    match &needs.headers {
        HeaderNeeds::None => {}
        HeaderNeeds::Named(headers) => seen.push(format!("headers {}", headers.join(", "))),
        HeaderNeeds::All => seen.push("all headers".to_owned()),
    }
    match needs.body {
        BodyNeeds::None => {}
        BodyNeeds::Prefix(length) => seen.push(format!("the body's first {length} bytes")),
        BodyNeeds::Whole => seen.push("the body".to_owned()),
    }
    or_none(&seen)
}

fn or_none<T: AsRef<str>>(names: &[T]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    names.join(", ")
}
