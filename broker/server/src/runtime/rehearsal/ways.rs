//! From an exchange on.

use amphora_core::definition::ExchangeDefinition;
use amphora_core::exchange::{
    ExchangeType, LazyHeaders, MessageHeaders, sender_selected_keys, waited,
};
use amphora_core::hook::{ExchangeHook, HookError, OnError, Origin, PackedBatch, Rehearsed};
use amphora_core::route::{AskedStep, Explained, Step};
use amphora_protocol::exception::{ConnectionException, Exception};
use amphora_protocol::wire::properties::RawProperties;

use super::{Rehearsal, Start, asking};
use crate::management::snapshot::{
    Destination, RouteAlternate, RouteAnswer, RouteBinding, RouteExchange,
};
use crate::runtime::batch::Owned;
use crate::runtime::histories;
use crate::runtime::ingress::made::Dead;
use crate::runtime::ingress::names;
use crate::runtime::special;
use crate::runtime::timers::now_ms;
use crate::runtime::vhost::Handle;

/// Bindings of one exchange that a report shows: of those that match, and of the others.
const MATCHING_MAX: usize = 1000;
const OTHERS_MAX: usize = 200;

impl RouteExchange {
    /// An exchange of which nothing else is known yet.
    pub(super) fn of(message: usize, exchange: &ExchangeDefinition) -> Self {
        Self {
            message,
            name: exchange.name.to_string(),
            kind: exchange.exchange_type.name().to_owned(),
            via: Vec::new(),
            delay_ms: None,
            is_duplicate: false,
            bindings: Vec::new(),
            binding_count: 0,
            match_count: 0,
            by_lot: false,
            alternate: None,
            plugin: None,
            transforms: Vec::new(),
        }
    }
}

impl Rehearsal {
    /// Follows a message from an exchange on, into queues.
    pub(super) fn follow(
        &mut self,
        place: usize,
        message: &Owned,
        start: Start<'_>,
        transforms: Vec<RouteAnswer>,
    ) -> Result<(), Exception> {
        if self.is_full() {
            return Ok(());
        }
        let (_, key) = names(&message.target)?;
        let raw = RawProperties::new(&message.properties).map_err(special::syntax)?;
        let headers = LazyHeaders::new(raw);
        let mut keys = vec![key];
        let mut inner = message.clone();
        if special::mentions_copies(raw)? {
            let table = headers.table()?;
            sender_selected_keys(table, &mut keys)?;
            if table.get(special::BCC).is_some() {
                inner.properties = special::with_hidden_copies(&message.properties);
            }
        }
        if let Some(noted) = self.report.messages.get_mut(place) {
            noted.routing_keys = keys.iter().map(|key| (*key).to_owned()).collect();
        }
        let mut explained = Explained::default();
        self.vhost.topology().explain(
            start.exchange,
            start.internal,
            &keys,
            &headers,
            &mut explained,
        )?;
        let mut answers = vec![None; explained.steps.len()];
        while let Some(asked) = explained.asked.pop() {
            let stop = self.ask(
                &asked,
                message,
                &keys,
                &headers,
                (&mut explained, &mut answers),
            )?;
            if let Some((error, on_error)) = stop {
                self.show(place, &explained, &keys, &headers, (answers, transforms))?;
                return self.give_up(&error, on_error, message);
            }
        }
        self.show(place, &explained, &keys, &headers, (answers, transforms))?;
        self.wait(message, &explained)?;
        self.remember(message, &explained);
        for reached in explained.queues {
            if !reached.queue.is_own {
                self.enqueue(place, &inner, &reached, start.been_in)?;
            }
        }
        Ok(())
    }

    /// Asks the plugin of a step, and goes on with its answer. Returns the error that ends the message's way.
    fn ask(
        &self,
        asked: &AskedStep,
        message: &Owned,
        keys: &[&str],
        headers: &LazyHeaders<'_>,
        (explained, answers): (&mut Explained<Handle>, &mut Vec<Option<RouteAnswer>>),
    ) -> Result<Option<(HookError, OnError)>, Exception> {
        let (exchange, _) = names(&message.target)?;
        let hook = &*asked.asked.hook;
        let mut bindings = Vec::new();
        let mut said = None;
        let mut failed = None;
        for key in keys {
            let origin = Origin {
                vhost: &self.vhost.name,
                exchange,
                routing_key: key,
                user: &self.user,
                time_ms: now_ms(),
                properties: &message.properties,
                body: &message.body,
            };
            match ask_one(hook, &origin)? {
                Ok(rehearsed) => {
                    bindings.extend_from_slice(&rehearsed.answer);
                    said = Some(rehearsed);
                }
                Err(error) => failed = Some(error),
            }
        }
        let on_error = failed
            .as_ref()
            .map(|error| self.vhost.plugins.on_error(error, hook.on_error()));
        let step = explained.steps.get(asked.step);
        let exchange_type = step.map(|step| step.exchange.routing_type());
        let name = exchange_type.as_ref().map_or("", ExchangeType::name);
        let answer = match (&failed, said) {
            (Some(error), _) => Some(asking::failure(error, on_error.unwrap_or_default())),
            (None, Some(mut said)) => {
                said.answer.clone_from(&bindings);
                Some(asking::route(name, &said))
            }
            (None, None) => None,
        };
        answers.resize(explained.steps.len(), None);
        if let Some(place) = answers.get_mut(asked.step) {
            *place = answer;
        }
        if let (Some(error), Some(on_error)) = (failed, on_error) {
            match on_error {
                OnError::AlternateExchange | OnError::Pass => bindings.clear(),
                OnError::Drop => return Ok(None),
                on_error => return Ok(Some((error, on_error))),
            }
        }
        let topology = self.vhost.topology();
        topology.explain_answer(asked, &bindings, keys, headers, explained)?;
        Ok(None)
    }

    /// The message goes nowhere because a plugin failed: as the operator has said.
    fn give_up(
        &mut self,
        error: &HookError,
        on_error: OnError,
        message: &Owned,
    ) -> Result<(), Exception> {
        if on_error != OnError::DeadLetter {
            self.report.refused = Some(error.to_string());
            return Ok(());
        }
        let Some(to) = self.vhost.plugins.dead_letter(&error.plugin) else {
            self.note(format!(
                "{error}; its dead letter has nowhere to go and is lost"
            ));
            return Ok(());
        };
        let dead = Dead {
            message: message.clone(),
            to,
            plugin: error.plugin.to_string(),
            reason: error.text.clone(),
        };
        self.bury(vec![dead], None)
    }

    /// Shows the steps of a way.
    fn show(
        &mut self,
        place: usize,
        explained: &Explained<Handle>,
        keys: &[&str],
        headers: &LazyHeaders<'_>,
        (answers, transforms): (Vec<Option<RouteAnswer>>, Vec<RouteAnswer>),
    ) -> Result<(), Exception> {
        let mut answers = answers.into_iter();
        let mut transforms = Some(transforms);
        for step in &explained.steps {
            let mut shown = RouteExchange::of(place, &step.exchange);
            shown.via = step.via.iter().map(ToString::to_string).collect();
            shown.delay_ms = step.delay_ms;
            shown.by_lot = step.by_lot;
            shown.plugin = answers.next().flatten();
            shown.transforms = transforms.take().unwrap_or_default();
            shown.alternate = step.alternate.as_ref().map(|alternate| RouteAlternate {
                name: alternate.exchange.to_string(),
                exists: alternate.exists,
                is_taken: alternate.is_taken,
            });
            show_bindings(&mut shown, step, keys, headers)?;
            if step.exchange.name.is_empty() && shown.bindings.is_empty() && step.delay_ms.is_none()
            {
                let (keys, vhost) = (keys.join("', '"), &self.vhost.name);
                self.note(format!("there is no queue '{keys}' in vhost '{vhost}'"));
            }
            self.report.exchanges.push(shown);
        }
        Ok(())
    }

    /// Follows a message on from the exchanges at which it waits.
    fn wait(&mut self, message: &Owned, explained: &Explained<Handle>) -> Result<(), Exception> {
        let waits = explained
            .steps
            .iter()
            .filter_map(|step| Some((step, step.delay_ms?)));
        for (step, delay_ms) in waits {
            let raw = RawProperties::new(&message.properties).map_err(special::syntax)?;
            let mut properties = raw.decode().map_err(special::syntax)?;
            properties.headers = properties.headers.map(waited);
            let later = Owned {
                properties: properties.to_bytes(),
                ..message.clone()
            };
            let exchange = &step.exchange.name;
            let place = self.add(format!("waited at exchange '{exchange}'"), &later, delay_ms)?;
            let start = Start {
                exchange,
                internal: true,
                been_in: &[],
            };
            self.follow(place, &later, start, Vec::new())?;
        }
        Ok(())
    }

    fn remember(&mut self, message: &Owned, explained: &Explained<Handle>) {
        if !histories::is_kept(&message.properties) {
            return;
        }
        for step in &explained.steps {
            if step.exchange.routing_type() == ExchangeType::RecentHistory
                && step.delay_ms.is_none()
            {
                let name = &step.exchange.name;
                self.note(format!(
                    "exchange '{name}' keeps the message for whoever is bound later"
                ));
            }
        }
    }
}

/// Asks a plugin about one message. One that is replaced meanwhile is asked again, once.
fn ask_one(
    hook: &dyn ExchangeHook,
    origin: &Origin<'_>,
) -> Result<Result<Rehearsed<Vec<u32>>, HookError>, Exception> {
    let attempt = || {
        let needs = match hook.needs() {
            Ok(needs) => needs,
            Err(error) => return Ok(Err(error)),
        };
        let mut batch = PackedBatch::default();
        batch.push(&needs, origin)?;
        Ok(hook.rehearse(&batch))
    };
    let damaged = |error: amphora_protocol::wire::error::WireError| {
        Exception::from(ConnectionException::frame_error(error.to_string()))
    };
    match attempt().map_err(damaged)? {
        Err(error) if error.fault == amphora_core::hook::Fault::Replaced => {
            attempt().map_err(damaged)
        }
        answer => Ok(answer),
    }
}

/// Those that match come first, so that what is left out is of the others.
fn show_bindings(
    shown: &mut RouteExchange,
    step: &Step,
    keys: &[&str],
    headers: &LazyHeaders<'_>,
) -> Result<(), Exception> {
    let mut others = Vec::new();
    shown.binding_count = step.bindings.len();
    // What comes after the wait is shown as a way of its own.
    if step.delay_ms.is_some() {
        return Ok(());
    }
    for binding in &step.bindings {
        let why = step.why(binding, keys, headers)?;
        let list = if why.matches {
            shown.match_count += 1;
            &mut shown.bindings
        } else {
            &mut others
        };
        let max = if why.matches {
            MATCHING_MAX
        } else {
            OTHERS_MAX
        };
        if list.len() < max {
            list.push(RouteBinding {
                destination: Destination::from(&binding.destination),
                routing_key: binding.routing_key.to_string(),
                arguments: binding.arguments.table().clone(),
                matches: why.matches,
                why: why.text,
            });
        }
    }
    shown.bindings.append(&mut others);
    Ok(())
}
