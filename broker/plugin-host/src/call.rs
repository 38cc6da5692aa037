//! Calls: whose instance answers, what is refused before, and what is learnt from how long it took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use amphora_core::hook::{Fault, HEAD, Origin, PackedBatch, Verdict, project};
use amphora_protocol::wire::properties::RawProperties;
use amphora_protocol::wire::table::RawFields;

use crate::contract::{self, types};
use crate::environment::Outgoing;
use crate::exchange::Exchange;
use crate::instance::Failure;
use crate::plugin::{Plugin, Version};
use crate::running::Running;
use crate::verdicts::Verdicts;
use crate::worker;

/// A call that was answered.
#[derive(Debug)]
pub(crate) struct Done<T> {
    pub(crate) answer: T,
    pub(crate) time: Duration,
    pub(crate) sent: Vec<Outgoing>,
    /// The plugin was not called: the answer was known.
    pub(crate) is_kept: bool,
}

/// Routes a batch.
pub(crate) fn route(
    plugin: &Arc<Plugin>,
    version: &Arc<Version>,
    exchange: &Exchange,
    batch: &PackedBatch,
    answer: &mut Vec<u32>,
) -> Result<Done<()>, Failure> {
    check_batch(version, batch)?;
    let messages = batch.len();
    with_instance(
        plugin,
        version,
        Some(exchange),
        messages,
        |running, begun| {
            let known = running.catch_up(exchange)?;
            // What it is told of bindings is no part of what a message takes.
            *begun = Instant::now();
            running.route(known, batch, answer)
        },
    )
}

/// Refuses a batch that is not for this version, or more than it may be shown.
pub(crate) fn check_batch(version: &Version, batch: &PackedBatch) -> Result<(), Failure> {
    if version.fingerprint != batch.needs_fingerprint() {
        let text = "it was replaced by a version that needs to see something else";
        return Err(Failure::harmless(Fault::Replaced, text));
    }
    check_size(version, batch.bytes().len())
}

/// Transforms a message.
pub(crate) fn apply(
    plugin: &Arc<Plugin>,
    version: &Arc<Version>,
    message: &Origin<'_>,
    queue: Option<&str>,
) -> Result<Done<Verdict>, Failure> {
    worker::with_buffer(|packed| {
        let needs = &version.needs;
        pack(version, message, packed)?;
        let keeps = needs.pure && plugin.world.keeps_answers;
        if keeps && let Some(verdict) = version.verdicts.find(queue, packed) {
            plugin.counters.kept();
            return Ok(Done {
                answer: lifted(verdict, message)?,
                time: Duration::ZERO,
                sent: Vec::new(),
                is_kept: true,
            });
        }
        let mut kept = None;
        let done = with_instance(plugin, version, None, 1, |running, _| {
            let verdict = ask(running, packed, queue)?;
            kept = (keeps && Verdicts::is_worth_it(packed, &verdict)).then(|| verdict.clone());
            lifted(verdict, message)
        })?;
        // An answer that was kept would not send again what the call sent.
        if let Some(verdict) = kept.filter(|_| done.sent.is_empty()) {
            version.verdicts.keep(queue, packed, verdict);
        }
        Ok(done)
    })
}

/// Packs what a version is to see of a message.
pub(crate) fn pack(
    version: &Version,
    message: &Origin<'_>,
    packed: &mut Vec<u8>,
) -> Result<(), Failure> {
    packed.clear();
    packed.resize(HEAD, 0);
    project(&version.needs, message, packed).map_err(|error| {
        let text = format!("the message's content header is damaged: {error}");
        Failure::harmless(Fault::Refused, text)
    })?;
    check_size(version, packed.len())
}

/// Asks an instance what becomes of a packed message.
pub(crate) fn ask(
    running: &mut Running,
    packed: &[u8],
    queue: Option<&str>,
) -> Result<types::Verdict, Failure> {
    let messages = contract::messages(&running.version.needs, packed, 1)
        .map_err(|error| Failure::harmless(Fault::BadAnswer, error))?;
    let mut verdict = None;
    for message in messages {
        verdict = Some(running.instance.apply(message, queue)?);
    }
    verdict.ok_or_else(|| {
        Failure::harmless(Fault::BadAnswer, "a message was packed as none".to_owned())
    })
}

/// The verdict on a message as the broker knows it.
pub(crate) fn lifted(verdict: types::Verdict, message: &Origin<'_>) -> Result<Verdict, Failure> {
    contract::verdict(verdict, message.properties).map_err(|error| {
        // A header that the publisher damaged and the plugin did not ask for is not the plugin's fault.
        let fault = if is_sound(message.properties) {
            Fault::BadAnswer
        } else {
            Fault::Refused
        };
        Failure::harmless(fault, format!("apply: {error}"))
    })
}

fn is_sound(properties: &[u8]) -> bool {
    let headers = RawProperties::new(properties).and_then(|raw| {
        raw.without_headers()?;
        raw.headers_raw()
    });
    headers
        .is_ok_and(|headers| RawFields::new(headers.unwrap_or_default()).all(|field| field.is_ok()))
}

/// Refuses what is too much for the plugin's memory before the plugin has to.
fn check_size(version: &Version, bytes: usize) -> Result<(), Failure> {
    let allowed = version.spec.shown_max();
    if bytes as u64 <= allowed {
        return Ok(());
    }
    let memory = version.spec.memory_max;
    let text = format!(
        "it wants to see {bytes} bytes, and with {memory} bytes of memory it is shown at most {allowed} at once"
    );
    Err(Failure::harmless(Fault::TooLarge, text))
}

/// Calls an instance, and counts the call.
///
/// The time is that of the whole call, with what the host makes of messages and answers: that is the plugin's doing, too, and no deadline ends it.
/// `call` may say that it begins later.
fn with_instance<T>(
    plugin: &Arc<Plugin>,
    version: &Arc<Version>,
    exchange: Option<&Exchange>,
    messages: usize,
    mut call: impl FnMut(&mut Running, &mut Instant) -> Result<T, Failure>,
) -> Result<Done<T>, Failure> {
    let mut time = Duration::ZERO;
    let mut call = |running: &mut Running| {
        let mut begun = Instant::now();
        let answer = call(running, &mut begun);
        time = begun.elapsed();
        let sent = running.instance.take_sent();
        Ok::<_, Failure>(Done {
            answer: answer?,
            time,
            sent,
            is_kept: false,
        })
    };
    let mut attempt = || {
        if version.pace.is_slow() {
            with_shared(plugin, version, exchange, &mut call)
        } else {
            with_own(plugin, version, exchange, &mut call)
        }
    };
    let mut done = attempt();
    if done
        .as_ref()
        .is_err_and(|failure| failure.fault == Fault::Crowded)
    {
        worker::make_room(Some(plugin.id));
        done = attempt();
    }
    // A thread that had no processor for a while has not made the plugin slow.
    if done
        .as_ref()
        .is_err_and(|failure| failure.fault == Fault::Timeout)
    {
        time = version.spec.deadline;
    }
    if time.is_zero() {
        return done;
    }
    version.pace.took(time);
    worker::spend(time);
    if done.is_ok() {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        worker::with_resident(plugin, |resident| {
            resident.tally.count(messages, nanoseconds);
        });
    }
    done
}

/// Calls an instance of this thread's own.
fn with_own<T>(
    plugin: &Arc<Plugin>,
    version: &Arc<Version>,
    exchange: Option<&Exchange>,
    call: impl FnOnce(&mut Running) -> Result<T, Failure>,
) -> Result<T, Failure> {
    worker::with_resident(plugin, |resident| {
        if resident.is_ready(version, exchange) {
            return call_one(&mut resident.running, plugin, version, call);
        }
        blocked(plugin, || {
            call_one(&mut resident.running, plugin, version, call)
        })
    })
}

/// Calls one of the instances that all threads share.
fn with_shared<T>(
    plugin: &Arc<Plugin>,
    version: &Arc<Version>,
    exchange: Option<&Exchange>,
    call: impl FnOnce(&mut Running) -> Result<T, Failure>,
) -> Result<T, Failure> {
    // From when it was not known to be slow.
    worker::with_resident(plugin, |resident| resident.running = None);
    if !version.pace.is_long()
        && let Some(mut place) = version.lane.try_enter()
        && place.is_ready(exchange)
    {
        return call_one(&mut place.running, plugin, version, call);
    }
    blocked(plugin, || {
        let mut place = version.lane.enter();
        call_one(&mut place.running, plugin, version, call)
    })
}

/// Calls an instance of this version, which is made if there is none, and dropped if it must not be called again.
fn call_one<T>(
    place: &mut Option<Box<Running>>,
    plugin: &Plugin,
    version: &Arc<Version>,
    call: impl FnOnce(&mut Running) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let current = place.take();
    let current = current.filter(|running| running.version.number == version.number);
    let mut running = match current {
        Some(running) => running,
        None => Box::new(Running::start(plugin, version)?),
    };
    let answer = call(&mut running);
    if !answer.as_ref().is_err_and(|failure| failure.is_fatal) {
        *place = Some(running);
    }
    answer
}

/// Does what may take long, so that the environment knows that this thread is busy.
pub(crate) fn blocked<R>(plugin: &Plugin, call: impl FnOnce() -> R) -> R {
    let (mut call, mut result) = (Some(call), None);
    plugin.world.environment.block(&mut || {
        result = call.take().map(|call| call());
    });
    match result {
        Some(result) => result,
        None => unreachable!("the environment does what it is to do, once"),
    }
}
