//! Messages: a method, a content header, and a body in as many frames as it takes.

use amphora_protocol::wire::frame;
use amphora_protocol::wire::method::Method;
use amphora_protocol::wire::method::basic::{self, Publish};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ChannelNumber, ExchangeName, RoutingKey};
use anyhow::bail;
use bytes::Bytes;

use super::{Client, Received};

/// A message with the method that brings it: deliver, return or get-ok.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The channel.
    pub channel: u16,
    /// What it says about the message.
    pub method: basic::Method,
    /// Flags and list of the properties, as they came.
    pub properties: Bytes,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Client {
    /// Publishes, in frames as large as was agreed.
    pub fn publish(
        &mut self,
        channel: u16,
        publish: &Publish,
        properties: &BasicProperties,
        body: &[u8],
    ) -> anyhow::Result<()> {
        let mut bytes = Vec::with_capacity(body.len() + 512);
        self.write_publish(channel, publish, properties, body, &mut bytes);
        self.write(&bytes)
    }

    /// As [`Client::publish`], but into a buffer.
    pub fn write_publish(
        &self,
        channel: u16,
        publish: &Publish,
        properties: &BasicProperties,
        body: &[u8],
        bytes: &mut Vec<u8>,
    ) {
        let channel = ChannelNumber(channel);
        frame::write_method_frame(channel, publish, bytes);
        frame::write_content(channel, &properties.to_bytes(), body, self.frame_max, bytes);
    }

    /// Publishes a persistent message to a queue, by its name.
    pub fn publish_to(&mut self, channel: u16, queue: &str, body: &[u8]) -> anyhow::Result<()> {
        let publish = Publish {
            exchange: ExchangeName::default(),
            routing_key: RoutingKey::new(queue)?,
            ..Publish::default()
        };
        let persistent = BasicProperties {
            delivery_mode: Some(2),
            ..BasicProperties::default()
        };
        self.publish(channel, &publish, &persistent, body)
    }

    /// Receives a message, whose frames have to come one after the other.
    pub fn message(&mut self, channel: u16) -> anyhow::Result<Message> {
        match self.method(channel)? {
            Method::Basic(method) => self.rest_of_message(channel, method),
            other => bail!("{other:?} where a message belongs"),
        }
    }

    /// Receives the content that belongs to this method.
    pub fn rest_of_message(
        &mut self,
        channel: u16,
        method: basic::Method,
    ) -> anyhow::Result<Message> {
        let (size, properties) = match self.receive()? {
            Received::Header(number, size, properties) if number == channel => (size, properties),
            other => bail!("{other:?} where a content header on channel {channel} belongs"),
        };
        let mut body = Vec::new();
        while (body.len() as u64) < size {
            match self.receive()? {
                Received::Body(number, piece) if number == channel => {
                    body.extend_from_slice(&piece);
                }
                other => bail!("{other:?} where a body on channel {channel} belongs"),
            }
        }
        if body.len() as u64 != size {
            bail!("a body of {} bytes where {size} were announced", body.len());
        }
        Ok(Message {
            channel,
            method,
            properties,
            body,
        })
    }
}
