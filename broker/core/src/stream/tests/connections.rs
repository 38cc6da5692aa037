//! What publishers bring, and what consumers got.

use super::*;

/// What the connections got: consumer, offset, the offset in the header, number in the body.
#[derive(Default)]
pub(super) struct Connections {
    pub(super) got: Vec<(ConsumerKey, Position, u64, u64)>,
    /// How much all of them take until they are read.
    pub(super) room: usize,
    pub(super) starved: bool,
}

impl Sink<u64> for Connections {
    fn room(&mut self, _: &Consumer<u64>) -> Room {
        Room {
            bytes: self.room * 100,
            messages: 1000,
            overhead: 0,
        }
    }

    fn deliver<'m>(
        &mut self,
        consumer: &Consumer<u64>,
        deliveries: impl Iterator<Item = Delivery<'m>>,
    ) -> Accepted {
        for (taken, delivery) in deliveries.enumerate() {
            if self.room == 0 {
                return Accepted::First(taken);
            }
            self.room -= 1;
            let properties = BasicProperties::decode(delivery.message.properties).expect("whole");
            let headers = properties.headers.expect("has the offset");
            let offset = headers.get("x-stream-offset").expect("is first");
            let offset = u64::try_from(offset.as_integer().expect("a number")).expect("positive");
            let body = delivery.message.body.bytes();
            let number = u64::from_be_bytes(*body.first_chunk().expect("8 bytes"));
            assert!(!delivery.redelivered);
            self.got
                .push((consumer.key, delivery.position, offset, number));
        }
        Accepted::All
    }

    fn starve(&mut self, _: &Consumer<u64>) -> bool {
        self.starved |= self.room == 0;
        self.room == 0
    }
}

/// Properties with a filter value.
pub(super) fn properties(value: Option<u8>) -> Vec<u8> {
    let mut headers = FieldTable::new();
    if let Some(value) = value {
        let name = ShortString::cut("x-stream-filter-value");
        headers.push(name, FieldValue::from(format!("v{value}").as_str()));
    }
    BasicProperties {
        headers: Some(headers),
        ..BasicProperties::default()
    }
    .to_bytes()
    .into()
}

/// Properties and bodies.
pub(super) struct Framed<'a>(pub(super) &'a [(Vec<u8>, Vec<u8>)]);

impl Batch for Framed<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn message(&self, index: usize) -> Message<'_> {
        let (properties, body) = &self.0[index];
        Message {
            target: b"\x00\x01s",
            properties,
            body: Body::Inline(body),
            persistent: false,
        }
    }
}
