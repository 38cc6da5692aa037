//! What a plugin would answer: asked in an instance of its own, of which nothing comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use amphora_core::hook::{HookError, Origin, PackedBatch, Rehearsed, Sending, Verdict};

use crate::call::{self, blocked};
use crate::environment::Outgoing;
use crate::exchange::Exchange;
use crate::instance::Failure;
use crate::plugin::{Plugin, Version};
use crate::running::Running;
use crate::worker;

/// Asks which bindings a message goes to. Appends their ids.
///
/// # Errors
/// As routing; the failure is not counted.
pub(crate) fn route(
    exchange: &Exchange,
    batch: &PackedBatch,
) -> Result<Rehearsed<Vec<u32>>, HookError> {
    let (plugin, version) = exchange.of_type.supplied()?;
    rehearse(&plugin, &version, |running| {
        call::check_batch(&running.version, batch)?;
        let known = running.catch_up(exchange)?;
        let mut answer = Vec::new();
        let begun = Instant::now();
        running.route(known, batch, &mut answer)?;
        // The number of bindings comes first.
        Ok((answer.split_off(1), begun.elapsed()))
    })
}

/// Asks what becomes of a message.
///
/// # Errors
/// As transforming; the failure is not counted.
pub(crate) fn apply(
    plugin: &Arc<Plugin>,
    message: &Origin<'_>,
    queue: Option<&str>,
) -> Result<Rehearsed<Verdict>, HookError> {
    let version = plugin.current.load_full();
    let version = version.ok_or_else(|| plugin.not_loaded())?;
    rehearse(plugin, &version, |running| {
        let mut packed = Vec::new();
        call::pack(&running.version, message, &mut packed)?;
        let begun = Instant::now();
        let verdict = call::lifted(call::ask(running, &packed, queue)?, message)?;
        Ok((verdict, begun.elapsed()))
    })
}

fn rehearse<T>(
    plugin: &Arc<Plugin>,
    version: &Arc<Version>,
    ask: impl FnOnce(&mut Running) -> Result<(T, Duration), Failure>,
) -> Result<Rehearsed<T>, HookError> {
    if let Some(rest) = plugin.health.quarantine(|| plugin.now_ns())
        && rest > Duration::ZERO
    {
        return Err(plugin.quarantined(rest));
    }
    blocked(plugin, || attempt(plugin, version, ask))
        .map_err(|failure| plugin.error(failure.fault, failure.text))
}

fn attempt<T>(
    plugin: &Plugin,
    version: &Arc<Version>,
    ask: impl FnOnce(&mut Running) -> Result<(T, Duration), Failure>,
) -> Result<Rehearsed<T>, Failure> {
    let mut running = worker::with_room(|| Running::start_rehearsal(plugin, version))?;
    let shared = Arc::clone(&running.instance.grants().shared);
    let lines_before = shared.log.lines().len();
    let (answer, time) = ask(&mut running)?;
    let log = shared.log.lines().into_iter().skip(lines_before);
    Ok(Rehearsed {
        answer,
        time,
        log: log.map(|line| (line.level.name(), line.text)).collect(),
        sent: running
            .instance
            .take_sent()
            .into_iter()
            .map(sending)
            .collect(),
        stored: shared.kv.written(),
    })
}

fn sending(message: Outgoing) -> Sending {
    Sending {
        vhost: message.vhost,
        exchange: message.exchange,
        routing_key: message.routing_key,
    }
}
