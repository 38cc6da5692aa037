//! What would become of a message: the way of [`ingress`](super::ingress), with reasons, and without anything coming of it.
//!
//! Exchanges are looked at by [`Topology::explain`](amphora_core::topology::Topology::explain), plugins are asked by `rehearse`, and chains of
//! transforms are run by the code that publishes. Nothing is collected for a queue, counted, noted for the committer or kept.

mod asking;
mod queues;
mod ways;

use std::sync::Arc;

use amphora_core::hook::Origin;
use amphora_protocol::exception::Exception;
use amphora_protocol::wire::properties::BasicProperties;

use super::batch::Owned;
use super::dead_letter::{self, Death};
use super::ingress::made::{Dead, Made, without_verdict};
use super::ingress::names;
use super::plugins::{Chain, DeadLetter};
use super::reply_to::REPLY_TO_PREFIX;
use super::special;
use super::timers::now_ms;
use super::vhost::VirtualHost;
use crate::management::snapshot::{RouteAnswer, RouteExchange, RouteMessage, RouteReport};

/// Messages that are followed, at most: plugins may make many of one, and dead letters may die again.
const MESSAGES_MAX: usize = 64;

/// Says what would become of a message if this user published it. May take as long as the plugins on its way.
///
/// # Errors
/// What the publisher would be refused with: there is no such exchange, or it is internal.
pub(super) fn rehearse(
    vhost: Arc<VirtualHost>,
    user: Arc<str>,
    message: &Owned,
) -> Result<RouteReport, Exception> {
    let mut rehearsal = Rehearsal {
        vhost,
        user,
        report: RouteReport::default(),
    };
    rehearsal.publish(message)?;
    Ok(rehearsal.report)
}

/// A message that is followed.
#[derive(Debug)]
struct Rehearsal {
    vhost: Arc<VirtualHost>,
    user: Arc<str>,
    report: RouteReport,
}

/// Where a message begins its way.
#[derive(Clone, Copy, Debug)]
struct Start<'a> {
    exchange: &'a str,
    /// As what the broker itself publishes.
    internal: bool,
    /// Queues that it must not come back to.
    been_in: &'a [String],
}

impl Rehearsal {
    fn note(&mut self, text: String) {
        if !self.report.notes.contains(&text) {
            self.report.notes.push(text);
        }
    }

    /// Follows what a client publishes.
    fn publish(&mut self, message: &Owned) -> Result<(), Exception> {
        let (exchange, key) = names(&message.target)?;
        let (exchange, key) = (exchange.to_owned(), key.to_owned());
        let place = self.add("published".to_owned(), message, 0)?;
        if exchange.is_empty() && key.starts_with(REPLY_TO_PREFIX) {
            self.note(
                "it goes to the client that waits for this direct reply, if it is still there"
                    .to_owned(),
            );
            return Ok(());
        }
        let vhost = Arc::clone(&self.vhost);
        let topology = vhost.topology();
        let definition = Arc::clone(topology.find_exchange(&exchange)?);
        let policies = topology.policies_of_exchange(&exchange);
        let chain = vhost
            .plugins
            .for_exchange(&vhost.name, &definition, policies);
        drop(topology);
        let mut first = RouteExchange::of(place, &definition);
        if let Some(deduplicator) = vhost.deduplicators.find(&exchange)
            && let Some(id) = deduplicator.id(&message.properties)
            && deduplicator.knows(id)
        {
            first.is_duplicate = true;
            self.report.exchanges.push(first);
            self.note(format!(
                "exchange '{exchange}' has seen this id: the message is confirmed and goes nowhere"
            ));
            return Ok(());
        }
        let start = Start {
            exchange: &exchange,
            internal: false,
            been_in: &[],
        };
        let Some(chain) = chain else {
            return self.follow(place, message, start, Vec::new());
        };
        let (made, answers) = self.run(&chain, message.clone(), None, None);
        self.go_on(place, message, made, start, (first, answers))
    }

    /// Follows what the transforms of the exchange make of a message.
    fn go_on(
        &mut self,
        place: usize,
        message: &Owned,
        made: Made,
        start: Start<'_>,
        (mut first, answers): (RouteExchange, Vec<RouteAnswer>),
    ) -> Result<(), Exception> {
        if let Some(refusal) = made.refused {
            self.report.refused = Some(refusal.text());
            first.transforms = answers;
            self.report.exchanges.push(first);
            return Ok(());
        }
        let mut answers = Some(answers);
        for (other, delay_ms) in made.on {
            let transforms = answers.take().unwrap_or_default();
            let place = if delay_ms == 0 && is_same(&other, message) {
                place
            } else {
                self.add("made by transforms".to_owned(), &other, delay_ms)?
            };
            self.follow(place, &other, start, transforms)?;
        }
        if let Some(answers) = answers {
            first.transforms = answers;
            self.report.exchanges.push(first);
        }
        self.bury(made.dead, None)
    }

    /// Asks each transform of a chain in turn. Nobody hears of dead letters that have nowhere to go but who asks.
    fn run(
        &mut self,
        chain: &Chain,
        message: Owned,
        queue: Option<&str>,
        own_dead_letter: Option<&DeadLetter>,
    ) -> (Made, Vec<RouteAnswer>) {
        let mut answers = Vec::new();
        let made = Made::of(chain, message, own_dead_letter, |attachment, message| {
            let (exchange, routing_key) = names(&message.target).unwrap_or_default();
            let origin = Origin {
                vhost: &self.vhost.name,
                exchange,
                routing_key,
                user: &self.user,
                time_ms: now_ms(),
                properties: &message.properties,
                body: &message.body,
            };
            let hook = &*attachment.hook;
            match hook.rehearse(&origin, queue) {
                Ok(rehearsed) => {
                    answers.push(asking::verdict(hook.plugin(), &rehearsed));
                    Ok(rehearsed.answer)
                }
                Err(error) => {
                    answers.push(asking::failure(&error, hook.on_error()));
                    without_verdict(error, hook.on_error())
                }
            }
        });
        for (plugin, reason) in &made.lost {
            self.note(format!(
                "a dead letter of plugin '{plugin}' has nowhere to go and is lost: {reason}"
            ));
        }
        (made, answers)
    }

    /// Follows dead letters of plugins.
    fn bury(&mut self, dead: Vec<Dead>, queue: Option<&str>) -> Result<(), Exception> {
        for Dead {
            message,
            to,
            plugin,
            reason,
        } in dead
        {
            let origin = format!("dead letter of plugin '{plugin}': {reason}");
            let death = Death {
                queue: queue.unwrap_or_default(),
                reason: "rejected",
                plugin: Some((&plugin, &reason)),
                time: now_ms() / 1000,
            };
            self.send_letter(origin, &message, &to, &death)?;
        }
        Ok(())
    }

    fn send_letter(
        &mut self,
        origin: String,
        message: &Owned,
        to: &DeadLetter,
        death: &Death<'_>,
    ) -> Result<(), Exception> {
        let letter = dead_letter::letter(message, to, death)?;
        if self.vhost.topology().find_exchange(&to.exchange).is_err() {
            self.note(format!(
                "{origin}: there is no exchange '{}', and so it is lost",
                to.exchange
            ));
            return Ok(());
        }
        let place = self.add(origin, &letter.message, 0)?;
        let start = Start {
            exchange: &to.exchange,
            internal: true,
            been_in: &letter.been_in,
        };
        self.follow(place, &letter.message, start, Vec::new())
    }

    /// Notes a message that is followed. Returns its number.
    fn add(&mut self, origin: String, message: &Owned, delay_ms: u64) -> Result<usize, Exception> {
        let (exchange, key) = names(&message.target)?;
        let properties = BasicProperties::decode(&message.properties).map_err(special::syntax)?;
        let place = self.report.messages.len();
        self.report.messages.push(RouteMessage {
            origin,
            exchange: exchange.to_owned(),
            routing_keys: vec![key.to_owned()],
            properties,
            body: message.body.clone(),
            delay_ms,
        });
        Ok(place)
    }

    /// No more messages are followed than anybody wants to read of.
    fn is_full(&mut self) -> bool {
        let full = self.report.messages.len() > MESSAGES_MAX;
        if full {
            self.note(format!(
                "there are more than {MESSAGES_MAX} messages, and only so many are followed"
            ));
        }
        full
    }
}

fn is_same(one: &Owned, other: &Owned) -> bool {
    one.target == other.target && one.properties == other.properties && one.body == other.body
}
