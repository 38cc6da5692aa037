//! A client with one channel, as bare as it can be.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use amphora_protocol::wire::frame::{self, PROTOCOL_HEADER, Split};
use amphora_protocol::wire::method::{AnyMethod, Method, basic, channel, connection};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{
    ChannelNumber, ExchangeName, RoutingKey, ShortString, VhostName,
};
use anyhow::{Context, bail, ensure};

/// Longer than anything takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Client {
    socket: TcpStream,
    inbox: Vec<u8>,
    frame_max: u32,
    /// Publishes that were confirmed so far.
    confirmed: u64,
}

/// One frame.
#[derive(Debug)]
pub(super) enum Heard {
    Method(Method),
    Header,
    Body(Vec<u8>),
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let mut client = Self {
            socket: TcpStream::connect(address)?,
            inbox: Vec::new(),
            frame_max: 4096,
            confirmed: 0,
        };
        client.socket.write_all(&PROTOCOL_HEADER)?;
        client.expect("connection.start")?;
        let capabilities: FieldTable = ["basic.nack", "connection.blocked", "publisher_confirms"]
            .into_iter()
            .map(|name| (ShortString::cut(name), true.into()))
            .collect();
        client.send(
            0,
            &connection::StartOk {
                client_properties: [(
                    ShortString::cut("capabilities"),
                    FieldValue::Table(capabilities),
                )]
                .into_iter()
                .collect(),
                mechanism: ShortString::cut("PLAIN"),
                response: "\0guest\0guest".into(),
                locale: ShortString::cut("en_US"),
            },
        )?;
        let Heard::Method(Method::Connection(connection::Method::Tune(tune))) = client.hear()?
        else {
            bail!("no tune");
        };
        client.frame_max = tune.frame_max;
        client.send(
            0,
            &connection::TuneOk {
                channel_max: tune.channel_max,
                frame_max: tune.frame_max,
                heartbeat: 0,
            },
        )?;
        client.send(
            0,
            &connection::Open {
                virtual_host: VhostName::new("/")?,
            },
        )?;
        client.expect("connection.open-ok")?;
        client.send(1, &channel::Open {})?;
        client.expect("channel.open-ok")?;
        Ok(client)
    }

    pub(super) fn send(&mut self, channel: u16, method: &impl AnyMethod) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        frame::write_method_frame(ChannelNumber(channel), method, &mut bytes);
        Ok(self.socket.write_all(&bytes)?)
    }

    /// Sends a heartbeat.
    pub(super) fn beat(&mut self) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        frame::write_heartbeat(&mut bytes);
        Ok(self.socket.write_all(&bytes)?)
    }

    /// Publishes a persistent message to a queue.
    pub(super) fn publish(&mut self, queue: &str, body: &[u8]) -> anyhow::Result<()> {
        let publish = basic::Publish {
            routing_key: RoutingKey::new(queue)?,
            ..basic::Publish::default()
        };
        let properties = BasicProperties {
            delivery_mode: Some(2),
            ..BasicProperties::default()
        };
        let mut bytes = Vec::new();
        frame::write_method_frame(ChannelNumber(1), &publish, &mut bytes);
        frame::write_content(
            ChannelNumber(1),
            &properties.to_bytes(),
            body,
            self.frame_max,
            &mut bytes,
        );
        Ok(self.socket.write_all(&bytes)?)
    }

    /// Publishes messages with these routing keys in one piece.
    pub(super) fn publish_together(
        &mut self,
        exchange: &str,
        messages: &[(&str, &[u8])],
    ) -> anyhow::Result<()> {
        let plain = |&(key, body)| (exchange, key, BasicProperties::default(), body);
        let messages: Vec<_> = messages.iter().map(plain).collect();
        self.publish_all_together(&messages)
    }

    /// Publishes messages with these exchanges, routing keys and properties in one piece.
    pub(super) fn publish_all_together(
        &mut self,
        messages: &[(&str, &str, BasicProperties, &[u8])],
    ) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        for (exchange, key, properties, body) in messages {
            let publish = basic::Publish {
                exchange: ExchangeName::new(exchange)?,
                routing_key: RoutingKey::new(key)?,
                ..basic::Publish::default()
            };
            frame::write_method_frame(ChannelNumber(1), &publish, &mut bytes);
            frame::write_content(
                ChannelNumber(1),
                &properties.to_bytes(),
                body,
                self.frame_max,
                &mut bytes,
            );
        }
        Ok(self.socket.write_all(&bytes)?)
    }

    pub(super) fn hear(&mut self) -> anyhow::Result<Heard> {
        self.hear_within(PATIENCE)?.context("nothing is heard")
    }

    /// One frame, or none in this time.
    fn hear_within(&mut self, time: Duration) -> anyhow::Result<Option<Heard>> {
        self.socket.set_read_timeout(Some(time))?;
        loop {
            if let Split::Whole(frame) = frame::split(&self.inbox, u32::MAX) {
                let heard = match frame.kind {
                    frame::METHOD => Heard::Method(Method::decode(frame.payload)?),
                    frame::HEADER => Heard::Header,
                    frame::BODY => Heard::Body(frame.payload.to_vec()),
                    kind => bail!("a frame of type {kind}"),
                };
                let length = frame.payload.len() + frame::OVERHEAD;
                self.inbox.drain(..length);
                return Ok(Some(heard));
            }
            let mut buffer = vec![0; 1 << 16];
            match self.socket.read(&mut buffer) {
                Ok(0) => bail!("the broker hung up"),
                Ok(count) => self.inbox.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Hears a method of this name next.
    pub(super) fn expect(&mut self, name: &str) -> anyhow::Result<()> {
        match self.hear()? {
            Heard::Method(method) if method.name() == name => Ok(()),
            other => bail!("{other:?} where {name} belongs"),
        }
    }

    pub(super) fn nothing_for(&mut self, time: Duration) -> anyhow::Result<()> {
        match self.hear_within(time)? {
            None => Ok(()),
            Some(heard) => bail!("{heard:?} where nothing belongs"),
        }
    }

    /// Hears confirms until so many more publishes are confirmed.
    pub(super) fn confirmed(&mut self, count: u64) -> anyhow::Result<()> {
        let last = self.confirmed + count;
        while self.confirmed < last {
            match self.hear()? {
                Heard::Method(Method::Basic(basic::Method::Ack(ack))) => {
                    ensure!(ack.multiple || ack.delivery_tag.0 == self.confirmed + 1);
                    self.confirmed = ack.delivery_tag.0;
                }
                other => bail!("{other:?} where a confirm belongs"),
            }
        }
        ensure!(self.confirmed == last, "{} of {last}", self.confirmed);
        Ok(())
    }

    /// The next delivery's body, or nothing if no frame comes for this time.
    pub(super) fn body_within(&mut self, time: Duration) -> anyhow::Result<Option<Vec<u8>>> {
        match self.hear_within(time)? {
            None => return Ok(None),
            Some(Heard::Method(Method::Basic(basic::Method::Deliver(_)))) => {}
            Some(other) => bail!("{other:?} where a delivery belongs"),
        }
        ensure!(matches!(self.hear()?, Heard::Header));
        let mut body = Vec::new();
        loop {
            let Heard::Body(mut piece) = self.hear()? else {
                bail!("no body");
            };
            let last = piece.len() + frame::OVERHEAD < self.frame_max as usize;
            body.append(&mut piece);
            if last {
                return Ok(Some(body));
            }
        }
    }
}
