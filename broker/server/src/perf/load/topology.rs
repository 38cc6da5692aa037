//! Declares what a run needs and deletes it again.

use anyhow::{Context, Error, Result};

use super::options::{Options, Routing};
use super::plan::Plan;
use crate::perf::amqp::call::{Call, Table, Value};
use crate::perf::amqp::client::Client;
use crate::perf::amqp::dialogue::CHANNEL;
use crate::perf::amqp::frame::Fields;
use crate::perf::amqp::method::{exchange, queue};

/// Header that a headers exchange matches on.
pub(crate) const MATCHED_HEADER: &str = "to";

const DURABLE: u8 = 0b10;
const PASSIVE: u8 = 0b1;
const NO_WAIT: u8 = 0b1;

/// The broker does not know the exchange type that a run asks for.
#[derive(Debug, thiserror::Error)]
#[error("the broker has no exchange type '{exchange_type}': {answer}")]
pub(crate) struct NoSuchType {
    pub(crate) exchange_type: String,
    answer: String,
}

/// Declares the exchange and the queues and binds them.
pub(crate) fn declare(control: &mut Client, plan: &Plan, options: &Options) -> Result<()> {
    let durable = if options.durable || options.persistent {
        DURABLE
    } else {
        0
    };
    if !plan.exchange.is_empty() {
        let call = Call::new(CHANNEL, exchange::DECLARE)
            .short(0)
            .name(&plan.exchange)
            .name(&options.exchange_type);
        let call = call.octet(durable).table(&options.exchange_argument);
        control
            .call(call, exchange::DECLARE_OK)
            .map_err(|error| refused(error, &options.exchange_type))?;
    }
    for name in &plan.queues {
        declare_queue(control, name, durable, &options.queue_argument)?;
    }
    if options.bindings > 0 {
        declare_queue(control, &plan.other_queue, durable, &Table::new())?;
    }
    if options.routing() != Routing::Default {
        bind(control, plan, options).context("cannot bind")?;
    }
    Ok(())
}

/// Deletes everything that [`declare`] made. All of it is tried, and the first error returned.
pub(crate) fn delete(control: &mut Client, plan: &Plan, options: &Options) -> Result<()> {
    let others = (options.bindings > 0).then_some(&plan.other_queue);
    for name in plan.queues.iter().chain(others) {
        let call = Call::new(CHANNEL, queue::DELETE)
            .short(0)
            .name(name)
            .octet(0);
        control
            .call(call, queue::DELETE_OK)
            .with_context(|| format!("cannot delete queue {name}"))?;
    }
    if !plan.exchange.is_empty() {
        let call = Call::new(CHANNEL, exchange::DELETE)
            .short(0)
            .name(&plan.exchange)
            .octet(0);
        control
            .call(call, exchange::DELETE_OK)
            .context("cannot delete the exchange")?;
    }
    Ok(())
}

/// How many messages the broker counts as ready in all queues of the run.
pub(crate) fn ready_count(control: &mut Client, plan: &Plan) -> Result<u64> {
    let mut total = 0;
    for name in &plan.queues {
        let call = Call::new(CHANNEL, queue::DECLARE)
            .short(0)
            .name(name)
            .octet(PASSIVE)
            .table(&Table::new());
        let answer = control.call(call, queue::DECLARE_OK)?;
        let mut arguments = Fields::new(&answer);
        arguments.name();
        total += u64::from(arguments.long().context("queue.declare-ok is cut short")?);
    }
    Ok(total)
}

/// What a refused declaration of the exchange says. That a type does not exist has no reply code of its own: brokers have 406, and had 503.
fn refused(error: Error, exchange_type: &str) -> Error {
    let answer = format!("{error:#}");
    let lower = answer.to_lowercase();
    if ["unknown exchange type", "invalid exchange type"]
        .iter()
        .any(|words| lower.contains(words))
    {
        let exchange_type = exchange_type.to_owned();
        return Error::new(NoSuchType {
            exchange_type,
            answer,
        });
    }
    error.context("cannot declare the exchange")
}

fn declare_queue(control: &mut Client, name: &str, flags: u8, arguments: &Table) -> Result<()> {
    let call = Call::new(CHANNEL, queue::DECLARE)
        .short(0)
        .name(name)
        .octet(flags)
        .table(arguments);
    control
        .call(call, queue::DECLARE_OK)
        .with_context(|| format!("cannot declare queue {name}"))
        .map(drop)
}

/// The bindings that do not match come first, without waiting for each; the answers to the others say that all are there.
fn bind(control: &mut Client, plan: &Plan, options: &Options) -> Result<()> {
    let mut batch = Vec::new();
    for number in 0..options.bindings {
        let (key, arguments) = other_binding(number, options.routing());
        batch.extend(
            bind_call(&plan.other_queue, &plan.exchange, &key, NO_WAIT, &arguments).finish(),
        );
    }
    control.send_all(&batch)?;
    let keys = plan.keys.iter().enumerate();
    let bindings: Vec<(&String, &str)> = if options.routing() == Routing::Fanout {
        plan.queues.iter().map(|queue| (queue, "")).collect()
    } else if let Some(key) = &options.binding_key {
        plan.queues
            .iter()
            .map(|queue| (queue, key.as_str()))
            .collect()
    } else {
        keys.map(|(at, key)| (&plan.queues[at % plan.queues.len()], key.as_str()))
            .collect()
    };
    for (name, key) in bindings {
        let mut arguments = if options.routing() == Routing::Headers {
            match_header(key)
        } else {
            Table::new()
        };
        arguments.extend(options.binding_argument.iter().cloned());
        control.call(
            bind_call(name, &plan.exchange, key, 0, &arguments),
            queue::BIND_OK,
        )?;
    }
    Ok(())
}

fn bind_call(name: &str, exchange: &str, key: &str, flags: u8, arguments: &Table) -> Call {
    Call::new(CHANNEL, queue::BIND)
        .short(0)
        .name(name)
        .name(exchange)
        .name(key)
        .octet(flags)
        .table(arguments)
}

/// A binding that no message of the run matches; for a topic exchange they share words with the keys and have wildcards,
/// so that there is something to decide.
fn other_binding(number: usize, routing: Routing) -> (String, Table) {
    let key = Plan::other_key(number);
    match routing {
        Routing::Headers => {
            let arguments = match_header(&key);
            (key, arguments)
        }
        Routing::Topic => match number % 3 {
            0 => (format!("k.w{number:05}"), Table::new()),
            1 => (format!("*.w{number:05}"), Table::new()),
            _ => (format!("#.w{number:05}.*"), Table::new()),
        },
        Routing::Default | Routing::Key | Routing::Fanout => (key, Table::new()),
    }
}

fn match_header(value: &str) -> Table {
    vec![
        ("x-match".to_owned(), Value::Text("all".to_owned())),
        (MATCHED_HEADER.to_owned(), Value::Text(value.to_owned())),
    ]
}
