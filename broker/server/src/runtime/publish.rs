//! basic.publish: what a message's properties ask for, and what happens to one that no queue takes.

use std::sync::atomic::Ordering;

use amphora_core::message::{Body, Message};
use amphora_core::route::Routed;
use amphora_protocol::connection::{Content, Publish};
use amphora_protocol::exception::{ChannelException, ConnectionException, Exception};
use amphora_protocol::wire::method::basic;
use amphora_protocol::wire::properties::RawProperties;
use amphora_protocol::wire::reply_code::ReplyCode;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ChannelNumber, ExchangeName, RoutingKey, ShortString};
use bytes::Bytes;

use crate::auth::{Access, Resource};

use super::ingress::{LazyHeaders, Outcome, Owned, names};
use super::reply_to::{REPLY_TO, REPLY_TO_PREFIX};
use super::session::Session;

const HEADERS: u16 = 1 << 13;
const REPLY_TO_FLAG: u16 = 1 << 9;
const EXPIRATION: u16 = 1 << 8;
const USER_ID: u16 = 1 << 4;
/// Properties that the broker itself must look at. A message without them is never parsed.
const WATCHED: u16 = HEADERS | REPLY_TO_FLAG | EXPIRATION | USER_ID;

/// RabbitMQ's upper bound of an expiration: ten years.
const EXPIRATION_MS_MAX: u64 = 315_360_000_000;

impl Session {
    pub(super) fn publish(&mut self, input: &[u8], publish: Publish<'_>) {
        let number = publish.channel;
        if let Err(exception) = self.try_publish(input, publish) {
            self.flush(input);
            let exception = exception.at(basic::CLASS_ID, basic::Publish::METHOD_ID);
            self.raise(number, exception);
        }
    }

    fn try_publish(&mut self, input: &[u8], publish: Publish<'_>) -> Result<(), Exception> {
        let Publish {
            channel: number,
            mandatory,
            content,
        } = publish;
        self.publishes = true;
        let channel = self.channel(number)?;
        let (confirm, transactional) = (channel.confirm, channel.transaction.is_some());
        channel.info.published.fetch_add(1, Ordering::Relaxed);
        let flags = content
            .properties()
            .first_chunk()
            .map_or(0, |flags| u16::from_be_bytes(*flags));
        let reply = is_reply(content.target());
        if reply {
            // What was collected before must not be overtaken by the answer.
            self.flush(input);
        }
        let special = reply || flags & WATCHED != 0;
        if transactional {
            let message = self.checked(number, &content)?;
            self.check_target(&message.target)?;
            if let Some(transaction) = &mut self.channel(number)?.transaction {
                transaction.publishes.push((message, mandatory));
            }
            return Ok(());
        }
        let outcome = if special {
            let message = self.checked(number, &content)?;
            self.route_special(number, message, mandatory)?
        } else {
            let unroutable = if mandatory {
                Some(owned(&content))
            } else {
                None
            };
            let outcome = self.collect(input, content)?;
            if let (Outcome::Unroutable, Some(message)) = (outcome, unroutable) {
                self.give_back(number, &message);
            }
            outcome
        };
        self.broker
            .counters
            .published(outcome == Outcome::Routed, mandatory);
        if confirm {
            self.expect_confirm(number);
        }
        Ok(())
    }

    /// Routes a message and collects it for its queues.
    fn collect(&mut self, input: &[u8], content: Content<'_>) -> Result<Outcome, Exception> {
        let entered = self.entered.as_mut().ok_or_else(not_entered)?;
        let access = &entered.access;
        entered.ingress.collect(input, content, |exchange| {
            Ok(access.check(Access::Write, Resource::Exchange(exchange))?)
        })
    }

    /// The publish on this channel needs an answer once all that was collected is flushed.
    fn expect_confirm(&mut self, number: ChannelNumber) {
        match self.unconfirmed.last_mut() {
            Some((last, count)) if *last == number => *count += 1,
            _ => self.unconfirmed.push((number, 1)),
        }
    }

    /// Publishes what a transaction held back. Returns whether it was routed.
    pub(super) fn publish_owned(
        &mut self,
        number: ChannelNumber,
        message: Owned,
        mandatory: bool,
    ) -> Result<(), Exception> {
        let outcome = self.route_special(number, message, mandatory)?;
        self.broker
            .counters
            .published(outcome == Outcome::Routed, mandatory);
        Ok(())
    }

    /// The general way: several routing keys, direct replies.
    fn route_special(
        &mut self,
        number: ChannelNumber,
        mut message: Owned,
        mandatory: bool,
    ) -> Result<Outcome, Exception> {
        let entered = self.entered.as_mut().ok_or_else(not_entered)?;
        let target = message.target.clone();
        let (exchange, key) = names(&target)?;
        entered
            .access
            .check(Access::Write, Resource::Exchange(exchange))?;
        if exchange.is_empty() && key.starts_with(REPLY_TO_PREFIX) {
            let vhost = &entered.ingress.vhost;
            let delivered =
                vhost
                    .reply_consumers
                    .deliver(key, borrowed(&message), &mut self.touched);
            if !delivered && mandatory {
                self.give_back(number, &message);
            }
            return Ok(if delivered {
                Outcome::Routed
            } else {
                Outcome::Unroutable
            });
        }
        let copies = Copies::of(&message.properties)?;
        let mut keys = vec![key];
        keys.extend(copies.keys.iter().map(String::as_str));
        let mut routed = Routed::default();
        {
            let headers = LazyHeaders::new(&message.properties);
            let vhost = &entered.ingress.vhost;
            vhost
                .topology()
                .route(exchange, &keys, &headers, &mut routed)?;
        }
        if routed.queues.is_empty() {
            if mandatory {
                self.give_back(number, &message);
            }
            return Ok(Outcome::Unroutable);
        }
        if let Some(properties) = copies.without_bcc {
            message.properties = properties;
        }
        entered.ingress.collect_for(routed.queues, message);
        Ok(Outcome::Routed)
    }

    /// Checks that the target exists and may be written to, as a transaction does when the message comes.
    fn check_target(&mut self, target: &[u8]) -> Result<(), Exception> {
        let entered = self.entered.as_ref().ok_or_else(not_entered)?;
        let (exchange, _) = names(target)?;
        entered
            .access
            .check(Access::Write, Resource::Exchange(exchange))?;
        entered.ingress.vhost.topology().find_exchange(exchange)?;
        Ok(())
    }

    /// Checks the properties that the broker looks at, and fills in the requester's address.
    fn checked(
        &mut self,
        number: ChannelNumber,
        content: &Content<'_>,
    ) -> Result<Owned, Exception> {
        let mut message = owned(content);
        let properties = RawProperties::new(content.properties()).map_err(syntax)?;
        if let Some(expiration) = properties.expiration().map_err(syntax)? {
            check_expiration(expiration)?;
        }
        if let Some(user) = properties.user_id().map_err(syntax)? {
            let entered = self.entered.as_ref().ok_or_else(not_entered)?;
            let own = entered.access.user();
            if user != &**own && !entered.access.identity().may_impersonate() {
                return Err(ChannelException::precondition_failed(format!(
                    "user_id property set to '{user}' but authenticated user was '{own}'"
                ))
                .into());
            }
        }
        if properties.reply_to().map_err(syntax)? == Some(REPLY_TO) {
            let Some((_, name)) = &self.channel(number)?.reply_consumer else {
                return Err(ChannelException::precondition_failed(
                    "fast reply consumer does not exist",
                )
                .into());
            };
            let mut decoded = properties.decode().map_err(syntax)?;
            decoded.reply_to = Some(ShortString::cut(name));
            message.properties = decoded.to_bytes();
        }
        Ok(message)
    }

    /// basic.return: nobody takes the message.
    fn give_back(&mut self, number: ChannelNumber, message: &Owned) {
        let (exchange, key) = names(&message.target).unwrap_or_default();
        let method = basic::Return {
            reply_code: ReplyCode::NoRoute.code(),
            reply_text: ShortString::cut(ReplyCode::NoRoute.name()),
            exchange: ExchangeName::new(exchange).unwrap_or_default(),
            routing_key: RoutingKey::new(key).unwrap_or_default(),
        };
        let mut outbox = self.peer.outbox.lock();
        outbox.content(number, &method.into(), &borrowed(message));
        self.peer.publish_size(&outbox);
        drop(outbox);
        self.touched.add(&self.peer);
    }
}

/// Whether the message goes to somebody who waits for a direct reply: default exchange, key with the prefix.
fn is_reply(target: &[u8]) -> bool {
    target.first() == Some(&0)
        && target
            .get(2..)
            .is_some_and(|key| key.starts_with(REPLY_TO_PREFIX.as_bytes()))
}

fn owned(content: &Content<'_>) -> Owned {
    match content {
        Content::Inline {
            target,
            properties,
            body,
        } => Owned {
            target: Bytes::copy_from_slice(target),
            properties: Bytes::copy_from_slice(properties),
            body: Bytes::copy_from_slice(body),
        },
        Content::Assembled {
            target,
            properties,
            body,
        } => Owned {
            target: target.clone(),
            properties: properties.clone(),
            body: body.clone(),
        },
    }
}

fn borrowed(message: &Owned) -> Message<'_> {
    Message {
        target: &message.target,
        properties: &message.properties,
        body: Body::Shared(&message.body),
        persistent: false,
    }
}

/// Further routing keys of a message, from its headers.
#[derive(Debug, Default)]
struct Copies {
    keys: Vec<String>,
    /// The properties without the header that nobody may see.
    without_bcc: Option<Bytes>,
}

impl Copies {
    fn of(properties: &[u8]) -> Result<Self, Exception> {
        let raw = RawProperties::new(properties).map_err(syntax)?;
        if !raw.has_headers()
            || !mentions_copies(raw.headers_raw().map_err(syntax)?.unwrap_or_default())
        {
            return Ok(Self::default());
        }
        let headers = raw.headers().map_err(syntax)?.unwrap_or_default();
        let mut copies = Self::default();
        for name in ["CC", "BCC"] {
            copies.add(&headers, name)?;
        }
        if headers.get("BCC").is_some() {
            let mut decoded = raw.decode().map_err(syntax)?;
            if let Some(headers) = &mut decoded.headers {
                headers.remove("BCC");
            }
            copies.without_bcc = Some(decoded.to_bytes());
        }
        Ok(copies)
    }

    fn add(&mut self, headers: &FieldTable, name: &str) -> Result<(), Exception> {
        let Some(value) = headers.get(name) else {
            return Ok(());
        };
        let keys = value.as_array().and_then(|keys| {
            keys.iter()
                .map(|key| key.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
        });
        match keys {
            Some(keys) => self.keys.extend(keys),
            None => {
                return Err(ChannelException::precondition_failed(format!(
                    "invalid message: {{unacceptable_type_in_header,{name},{}}}",
                    FieldValue::type_name(value)
                ))
                .into());
            }
        }
        Ok(())
    }
}

/// A quick look, so that headers without copies are not decoded.
fn mentions_copies(headers: &[u8]) -> bool {
    headers.windows(3).any(|name| name == [2, b'C', b'C'])
        || headers.windows(4).any(|name| name == [3, b'B', b'C', b'C'])
}

/// An expiration is a decimal number of milliseconds. The texts are RabbitMQ's.
fn check_expiration(expiration: &str) -> Result<(), Exception> {
    let digits = expiration.bytes().take_while(u8::is_ascii_digit).count();
    let reason = match expiration.get(digits..) {
        _ if digits == 0 => "no_integer".to_owned(),
        Some("") => match expiration.parse::<u64>() {
            Ok(ms) if ms <= EXPIRATION_MS_MAX => return Ok(()),
            _ => format!("{{value_too_big,{expiration}}}"),
        },
        rest => format!("{{leftover_string,\"{}\"}}", rest.unwrap_or_default()),
    };
    let text = format!("invalid expiration '{expiration}': {reason}");
    Err(ChannelException::precondition_failed(text).into())
}

pub(super) fn not_entered() -> Exception {
    ConnectionException::channel_error("expected 'connection.open'").into()
}

fn syntax(error: impl std::fmt::Display) -> Exception {
    ConnectionException::syntax_error(error.to_string()).into()
}
