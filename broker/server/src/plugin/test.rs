//! `amphora plugin test`: a component against its cases, without a broker.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use amphora_core::hook::{Fault, HookError};
use amphora_protocol::wire::types::ExchangeName;
use anyhow::{bail, ensure};

use super::cases::Cases;
use super::trial::{Trial, TriedExchange, origin};

/// Pass messages to a component, and compare what it says with what is expected
///
/// Exit code 0 if all cases pass, 1 if one fails.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The component.
    file: PathBuf,
    /// The cases. `amphora plugin new` writes an example, and CASES.md, which says how they are written.
    #[arg(long, value_name = "FILE", default_value = "cases.toml")]
    cases: PathBuf,
}

/// What came of a case: its name, and how it failed if it did.
type Outcome = (String, Result<(), String>);

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let cases = Cases::read(&args.cases)?;
    let trial = Trial::for_cases(&args.file, &cases)?;
    let outcomes = outcomes(&trial, &cases);
    ensure!(
        !outcomes.is_empty(),
        "{}: there is no [[message]], and nothing that should be refused, so nothing was tried",
        args.cases.display()
    );
    let mut out = std::io::stdout().lock();
    for (name, outcome) in &outcomes {
        match outcome {
            Ok(()) => writeln!(out, "ok      {name}")?,
            Err(text) => writeln!(out, "FAILED  {name}: {text}")?,
        }
    }
    let failed = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.is_err())
        .count();
    writeln!(out, "{} passed, {failed} failed", outcomes.len() - failed)?;
    if failed > 0 {
        bail!(
            "{failed} of {} cases of {} failed",
            outcomes.len(),
            args.cases.display()
        );
    }
    Ok(())
}

fn outcomes(trial: &Trial, cases: &Cases) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let exchanges = declare_all(trial, cases, &mut outcomes);
    let transform = trial.transform();
    for message in &cases.messages {
        let properties = message.properties.to_bytes();
        let origin = origin(message, &properties);
        let outcome = if cases.exchanges.is_empty() {
            let verdict = transform.apply(&origin, message.queue.as_deref());
            verdict
                .map_err(|error| error.text)
                .and_then(|verdict| message.compare_verdict(&verdict))
        } else if let Some(exchange) = exchanges.get(&message.exchange) {
            let found = exchange.route(&origin).map_err(|error| error.to_string());
            found.and_then(|found| message.expect.compare_destinations(&found))
        } else {
            Err(format!(
                "exchange '{}' could not be declared",
                message.exchange
            ))
        };
        outcomes.push((message.name.clone(), outcome));
    }
    outcomes
}

fn declare_all(
    trial: &Trial,
    cases: &Cases,
    outcomes: &mut Vec<Outcome>,
) -> BTreeMap<ExchangeName, TriedExchange> {
    let mut exchanges = BTreeMap::new();
    for declared in &cases.exchanges {
        let tried = trial.declare(declared);
        let name = format!("exchange '{}'", declared.name);
        note(
            &name,
            tried.as_ref().err(),
            declared.refused.as_deref(),
            outcomes,
        );
        let Ok(mut exchange) = tried else {
            continue;
        };
        for (number, binding) in declared.bindings.iter().enumerate() {
            let bound = trial.bind(&declared.vhost, &mut exchange, binding);
            let name = format!("{name}, binding {}", number + 1);
            note(
                &name,
                bound.as_ref().err(),
                binding.refused.as_deref(),
                outcomes,
            );
        }
        exchanges.insert(declared.name.clone(), exchange);
    }
    exchanges
}

/// Takes note of a declaration or a bind, if it was to be refused, or was.
fn note(
    name: &str,
    error: Option<&HookError>,
    expected: Option<&str>,
    outcomes: &mut Vec<Outcome>,
) {
    let outcome = match (error, expected) {
        (None, None) => return,
        (None, Some(_)) => Err("it is accepted, and should be refused".to_owned()),
        (Some(error), _) if error.fault != Fault::Refused => Err(error.text.clone()),
        (Some(error), Some(part)) if error.text.contains(part) => Ok(()),
        (Some(error), Some(part)) => Err(format!(
            "the reason does not contain '{part}': {}",
            error.text
        )),
        (Some(error), None) => Err(format!("it is refused: {}", error.text)),
    };
    let refusal = if expected.is_some() {
        format!("{name} is refused")
    } else {
        name.to_owned()
    };
    outcomes.push((refusal, outcome));
}
