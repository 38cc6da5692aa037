//! What publishers bring, and the connections that consumers have.

use super::*;

#[derive(Default)]
pub(super) struct Connection {
    pub(super) closed: bool,
    pub(super) room: usize,
    pub(super) starved: bool,
    pub(super) inbox: Vec<(ConsumerKey, Seen)>,
}

#[derive(Default)]
pub(super) struct Connections(pub(super) Vec<Connection>);

impl Sink<usize> for Connections {
    fn room(&mut self, consumer: &Consumer<usize>) -> Room {
        // An estimate may be too good.
        Room {
            bytes: self.0[consumer.connection].room * 40 + 20,
            messages: 1000,
            overhead: 3,
        }
    }

    fn deliver<'m>(
        &mut self,
        consumer: &Consumer<usize>,
        deliveries: impl Iterator<Item = Delivery<'m>>,
    ) -> Accepted {
        let connection = &mut self.0[consumer.connection];
        if connection.closed {
            return Accepted::Closed;
        }
        for (taken, delivery) in deliveries.enumerate() {
            if connection.room == 0 {
                return Accepted::First(taken);
            }
            connection.room -= 1;
            let number = u64::from_be_bytes(
                *delivery
                    .message
                    .body
                    .bytes()
                    .first_chunk()
                    .expect("8 bytes"),
            );
            connection.inbox.push((
                consumer.key,
                (delivery.position, delivery.redelivered, number),
            ));
        }
        Accepted::All
    }

    fn starve(&mut self, consumer: &Consumer<usize>) -> bool {
        let connection = &mut self.0[consumer.connection];
        if !connection.closed && connection.room > 0 {
            return false;
        }
        connection.starved = true;
        true
    }
}

/// A body, whether it is persistent, and the properties.
#[derive(Default)]
pub(super) struct Bodies(pub(super) Vec<(Vec<u8>, bool, Vec<u8>)>);

/// Properties with a delivery mode, a priority, and a time to live of one digit.
pub(super) fn properties(priority: u8, ttl: Option<u8>) -> Vec<u8> {
    match ttl {
        None => vec![0x18, 0, 2, priority],
        Some(ttl) => vec![0x19, 0, 2, priority, 1, b'0' + ttl],
    }
}

impl Batch for Bodies {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn message(&self, index: usize) -> Message<'_> {
        let (body, persistent, properties) = &self.0[index];
        Message {
            target: if body[7] % 2 == 0 {
                b"\x00\x01q"
            } else {
                b"\x01x\x01k"
            },
            properties,
            body: Body::Inline(body),
            persistent: *persistent,
        }
    }
}
