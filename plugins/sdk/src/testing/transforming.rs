//! A transform, and what it says.

use super::message::TestMessage;
use crate::needs::{BodyNeeds, HeaderNeeds, Needs};
use crate::properties::Properties;
use crate::transform::{Message, Transform, Verdict};
use crate::value::Table;

/// A transform that runs in the test. Of each message it sees what it asked for.
#[derive(Debug)]
pub struct Transforming<T> {
    transform: T,
    needs: Needs,
}

impl<T: Transform> Transforming<T> {
    /// Makes it, with the configuration of [`grants::configure`](super::grants::configure).
    ///
    /// # Errors
    /// What it says to its configuration.
    pub fn configure() -> Result<Self, String> {
        let transform = T::configure()?;
        let needs = transform.describe().needs;
        Ok(Self { transform, needs })
    }

    /// What becomes of a message that is published to an exchange.
    pub fn apply(&mut self, message: &TestMessage) -> Verdict {
        self.transform.apply(&self.seen(message), None)
    }

    /// What becomes of a message that is to go into a queue.
    pub fn apply_to_queue(&mut self, message: &TestMessage, queue: &str) -> Verdict {
        self.transform.apply(&self.seen(message), Some(queue))
    }

    fn seen(&self, message: &TestMessage) -> Message {
        let needs = &self.needs;
        let text = |needed, text: &String| {
            if needed { text.clone() } else { String::new() }
        };
        let (body, body_size) = match needs.body {
            BodyNeeds::None => ([].as_slice(), 0),
            BodyNeeds::Prefix(length) => {
                let prefix = message.body.get(..length as usize);
                (prefix.unwrap_or(&message.body), message.body.len())
            }
            BodyNeeds::Whole => (message.body.as_slice(), message.body.len()),
        };
        Message {
            vhost: text(needs.vhost, &message.vhost),
            exchange: text(needs.exchange, &message.exchange),
            routing_key: text(needs.routing_key, &message.routing_key),
            user: text(needs.user, &message.user),
            time_ms: if needs.time { message.time_ms } else { 0 },
            properties: if needs.properties {
                message.properties.clone()
            } else {
                Properties::default()
            },
            headers: self.headers(&message.headers),
            body: body.to_owned(),
            body_size: body_size as u64,
        }
    }

    fn headers(&self, headers: &Table) -> Table {
        match &self.needs.headers {
            HeaderNeeds::None => Table::new(),
            HeaderNeeds::All => headers.clone(),
            HeaderNeeds::Named(names) => {
                let fields = names.iter().filter_map(|name| {
                    let value = headers.get(name)?;
                    Some((name.clone(), value.clone()))
                });
                fields.collect()
            }
        }
    }
}
