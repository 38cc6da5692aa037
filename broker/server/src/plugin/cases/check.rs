//! Whether cases make sense together.

use std::collections::BTreeSet;

use anyhow::{bail, ensure};

use super::{CaseMessage, Cases, DeclaredExchange, Expected};
use crate::nearest::nearest;
use crate::plugin::contract::GRANTS;

/// Finds what contradicts itself, so that a typing error does not look like the plugin's mistake.
///
/// # Errors
/// There is something.
pub(super) fn consistent(cases: &Cases) -> anyhow::Result<()> {
    for grant in &cases.grants {
        if !GRANTS.contains(&grant.as_str()) {
            let meant = nearest(grant, &GRANTS).map(|name| format!("; is it '{name}'?"));
            bail!("there is no grant '{grant}'{}", meant.unwrap_or_default());
        }
    }
    ensure!(
        cases.config.is_empty() || cases.grants.contains("config"),
        "there is a [config], but the grant that lets the plugin read it is missing: grants = [\"config\"]"
    );
    ensure!(
        !cases.messages.is_empty() || !cases.exchanges.is_empty(),
        "there is no [[message]] and no [[exchange]], so nothing would be tried"
    );
    let mut names = BTreeSet::new();
    for exchange in &cases.exchanges {
        let name = exchange.name.as_str();
        ensure!(names.insert(name), "exchange '{name}' is there twice");
        ensure!(
            exchange.refused.is_none() || exchange.bindings.is_empty(),
            "exchange '{name}' is to be refused, and cannot have bindings then"
        );
    }
    cases
        .messages
        .iter()
        .try_for_each(|message| one(message, &cases.exchanges))
}

fn one(message: &CaseMessage, exchanges: &[DeclaredExchange]) -> anyhow::Result<()> {
    let name = &message.name;
    let Expected::Destinations(destinations) = &message.expect else {
        ensure!(
            exchanges.is_empty(),
            "{name} expects a transform's verdict, but there is an [[exchange]], whose type would be another plugin"
        );
        return Ok(());
    };
    ensure!(
        message.queue.is_none(),
        "{name} has a `queue`, which only transforms are attached to, but expects destinations"
    );
    let exchange = message.exchange.as_str();
    let Some(declared) = exchanges.iter().find(|known| known.name == *exchange) else {
        let known: Vec<&str> = exchanges.iter().map(|known| known.name.as_str()).collect();
        bail!(
            "{name} is published to exchange '{exchange}', which no [[exchange]] declares; there is {}",
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            }
        );
    };
    ensure!(
        declared.refused.is_none(),
        "{name} is published to exchange '{exchange}', which is to be refused"
    );
    let leads = |destination: &String| {
        let mut bindings = declared.bindings.iter();
        bindings.any(|binding| binding.refused.is_none() && binding.destination == *destination)
    };
    if let Some(nowhere) = destinations.iter().find(|destination| !leads(destination)) {
        bail!(
            "{name} expects destination '{nowhere}', but no binding of exchange '{exchange}' leads there"
        );
    }
    Ok(())
}
