//! The bytes that a producer sends, built once: a run of publishes in which only the numbers change.
//!
//! The image holds every routing key at least once and as many messages as one write should carry. All messages have the
//! same length, so sending the next `n` means writing `n` numbers in place and handing a slice to the socket.

use std::ops::Range;

use anyhow::{Result, ensure};

use super::options::{Options, Routing};
use super::plan::{Plan, ProducerPlan};
use super::topology::MATCHED_HEADER;
use crate::perf::amqp::call::{Call, Table, Value, put_table};
use crate::perf::amqp::dialogue::CHANNEL;
use crate::perf::amqp::frame::{BODY, END, HEADER, OVERHEAD};
use crate::perf::amqp::method::basic;
use crate::perf::measure::ledger::Word;

/// Bytes of one write: large enough that a system call costs little per message, small enough to stay in the cache.
const WRITE_BYTES: usize = 128 * 1024;
const IMAGE_BYTES_MAX: usize = 1024 * 1024 * 1024;

const FLAG_HEADERS: u16 = 1 << 13;
const FLAG_DELIVERY_MODE: u16 = 1 << 12;
const FLAG_PRIORITY: u16 = 1 << 11;
const PERSISTENT: u8 = 2;

/// A producer's messages.
#[derive(Debug)]
pub(crate) struct Image {
    bytes: Vec<u8>,
    message_length: usize,
    /// Where the body begins in a message.
    body_at: usize,
    /// Messages in the image, a multiple of `keys`.
    slots: usize,
    keys: u32,
    first_stream: u32,
    batch_max: usize,
    slot: usize,
    key: u32,
    /// How often the keys have been gone through.
    round: u64,
}

impl Image {
    /// Builds the image for a producer on a connection with `frame_max`.
    ///
    /// # Errors
    /// If it would not fit into memory: many routing keys with large bodies.
    pub(crate) fn new(
        options: &Options,
        plan: &Plan,
        producer: &ProducerPlan,
        frame_max: usize,
    ) -> Result<Self> {
        let keys = producer.keys.len();
        let publish = |key: usize| message(options, plan, key, frame_max);
        let (first, body_at) = publish(producer.keys[0]);
        let message_length = first.len();
        let batch_max = (WRITE_BYTES / message_length).max(1);
        ensure!(
            keys.saturating_mul(message_length) <= IMAGE_BYTES_MAX,
            "{keys} routing keys with bodies of {} bytes take too much memory: use fewer keys or smaller bodies",
            options.size
        );
        let slots = batch_max.div_ceil(keys) * keys;
        let mut bytes = Vec::with_capacity(slots * message_length);
        for slot in 0..slots {
            let (message, _) = publish(producer.keys[slot % keys]);
            ensure!(
                message.len() == message_length,
                "routing keys differ in length"
            );
            bytes.extend(message);
        }
        Ok(Self {
            bytes,
            message_length,
            body_at,
            slots,
            keys: u32::try_from(keys)?,
            first_stream: producer.first_stream,
            batch_max,
            slot: 0,
            key: 0,
            round: 0,
        })
    }

    pub(crate) fn message_length(&self) -> usize {
        self.message_length
    }

    /// Numbers the next messages, at most `wanted` and at most what one write should carry, and returns where they are.
    pub(crate) fn next(&mut self, wanted: u64) -> Range<usize> {
        let room = self.batch_max.min(self.slots - self.slot);
        let count = usize::try_from(wanted).map_or(room, |wanted| wanted.min(room));
        let end = self.slot + count;
        let range = self.slot * self.message_length..end * self.message_length;
        let (mut stream, mut number) = (self.key, self.round);
        for message in self.bytes[range.clone()].chunks_exact_mut(self.message_length) {
            let word = Word {
                stream: self.first_stream + stream,
                number,
            };
            message[self.body_at..self.body_at + 8].copy_from_slice(&word.encode());
            stream += 1;
            if stream == self.keys {
                (stream, number) = (0, number + 1);
            }
        }
        (self.key, self.round) = (stream, number);
        self.slot = end % self.slots;
        range
    }

    /// Writes a time into each message of `range`.
    pub(crate) fn stamp(&mut self, range: Range<usize>, mut time: impl FnMut() -> u64) {
        let at = self.body_at + 8;
        for message in self.bytes[range].chunks_exact_mut(self.message_length) {
            message[at..at + 8].copy_from_slice(&time().to_be_bytes());
        }
    }

    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }
}

/// One publish with the routing key of this number, and where its body begins.
fn message(options: &Options, plan: &Plan, number: usize, frame_max: usize) -> (Vec<u8>, usize) {
    let key = &plan.keys[number];
    let mut out = Call::new(CHANNEL, basic::PUBLISH)
        .short(0)
        .name(&plan.exchange)
        .name(key)
        .octet(0)
        .finish();
    let priority = number.checked_rem(options.priorities.into());
    let priority = priority.and_then(|priority| u8::try_from(priority).ok());
    put_frame(&mut out, HEADER, &content_header(options, key, priority));
    let body_at = out.len() + OVERHEAD - 1;
    let body: Vec<u8> = (b'a'..=b'z').cycle().take(options.size).collect();
    for piece in body.chunks(frame_max - OVERHEAD) {
        put_frame(&mut out, BODY, piece);
    }
    (out, body_at)
}

fn content_header(options: &Options, key: &str, priority: Option<u8>) -> Vec<u8> {
    let mut payload = basic::CLASS.to_be_bytes().to_vec();
    payload.extend([0, 0]);
    payload.extend((options.size as u64).to_be_bytes());
    let mut flags = 0;
    if options.headers > 0 {
        flags |= FLAG_HEADERS;
    }
    if options.persistent {
        flags |= FLAG_DELIVERY_MODE;
    }
    if priority.is_some() {
        flags |= FLAG_PRIORITY;
    }
    payload.extend(flags.to_be_bytes());
    if options.headers > 0 {
        put_table(&mut payload, &headers(options, key));
    }
    if options.persistent {
        payload.push(PERSISTENT);
    }
    payload.extend(priority);
    payload
}

fn headers(options: &Options, key: &str) -> Table {
    let matched = (options.routing() == Routing::Headers)
        .then(|| (MATCHED_HEADER.to_owned(), Value::Text(key.to_owned())));
    let fillers = (0..).map(|number| (format!("header-{number}"), Value::Text("value".to_owned())));
    matched
        .into_iter()
        .chain(fillers)
        .take(options.headers)
        .collect()
}

fn put_frame(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let size = u32::try_from(payload.len()).expect("a payload fits into frame_max");
    out.push(kind);
    out.extend(CHANNEL.to_be_bytes());
    out.extend(size.to_be_bytes());
    out.extend(payload);
    out.push(END);
}

#[cfg(test)]
mod tests {
    use super::super::options::tests::options;
    use super::*;
    use crate::perf::amqp::frame::{Fields, Frame};

    fn image(line: &str, frame_max: usize) -> Image {
        let options = options(line).unwrap();
        let plan = Plan::new(&options).unwrap();
        Image::new(&options, &plan, &plan.producers[0], frame_max).unwrap()
    }

    /// Routing key, header flags, stated size and body of every message.
    fn parse(mut bytes: &[u8]) -> Vec<(String, u16, u64, Vec<u8>)> {
        let mut messages: Vec<(String, u16, u64, Vec<u8>)> = Vec::new();
        while let Some((frame, length)) = Frame::split(bytes).unwrap() {
            bytes = &bytes[length..];
            let mut fields = Fields::new(frame.payload);
            match frame.kind {
                HEADER => {
                    let message = messages.last_mut().unwrap();
                    // Class and weight come before the size.
                    fields.long();
                    message.2 = fields.longlong().unwrap();
                    message.1 = fields.short().unwrap();
                }
                BODY => messages.last_mut().unwrap().3.extend(frame.payload),
                _ => {
                    let mut arguments = frame.arguments();
                    arguments.short();
                    arguments.name();
                    messages.push((arguments.name().unwrap().to_owned(), 0, 0, Vec::new()));
                }
            }
        }
        assert!(bytes.is_empty());
        messages
    }

    fn word(body: &[u8]) -> Word {
        Word::decode(*body.first_chunk().unwrap())
    }

    #[test]
    fn keys_rotate_and_each_has_its_numbers() {
        let mut image = image("--routing-keys 3 --size 20", 4096);
        let mut seen = Vec::new();
        for wanted in [2, 1, 4] {
            let range = image.next(wanted);
            seen.extend(parse(image.bytes(range)));
        }
        let keys: Vec<_> = seen.iter().map(|message| message.0.as_str()).collect();
        assert_eq!(
            keys,
            [
                "k.00000", "k.00001", "k.00002", "k.00000", "k.00001", "k.00002", "k.00000"
            ]
        );
        let words: Vec<_> = seen
            .iter()
            .map(|message| word(&message.3))
            .map(|word| (word.stream, word.number))
            .collect();
        assert_eq!(
            words,
            [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (0, 2)]
        );
        assert!(
            seen.iter()
                .all(|message| message.2 == 20 && message.3.len() == 20 && message.1 == 0)
        );
    }

    #[test]
    fn numbers_go_on_after_the_end_of_the_image() {
        let mut image = image("--size 30000", 4096);
        let mut numbers = Vec::new();
        // Four messages are a write; so these are three, the last one of the image, and the same again.
        for _ in 0..4 {
            let range = image.next(3);
            numbers.extend(
                parse(image.bytes(range))
                    .iter()
                    .map(|message| word(&message.3).number),
            );
        }
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn each_key_has_its_priority() {
        let mut image = image("--persistent --priorities 2 --routing-keys 3", 4096);
        let range = image.next(3);
        let header = [&[PERSISTENT, 0][..], &[PERSISTENT, 1], &[PERSISTENT, 0]];
        let bytes = image.bytes(range);
        for (message, expected) in bytes.chunks(image.message_length()).zip(header) {
            let end = image.body_at - OVERHEAD;
            assert_eq!(&message[end - 2..end], expected);
        }
    }

    #[test]
    fn properties_and_times_are_in_place() {
        let mut image = image("--persistent -t headers --headers 2", 4096);
        let range = image.next(2);
        let mut time = 40;
        image.stamp(range.clone(), || {
            time += 1;
            time
        });
        let messages = parse(image.bytes(range));
        assert!(
            messages
                .iter()
                .all(|message| message.1 == FLAG_HEADERS | FLAG_DELIVERY_MODE)
        );
        let times: Vec<_> = messages
            .iter()
            .map(|message| message.3[8..16].to_vec())
            .collect();
        assert_eq!(times, [41_u64.to_be_bytes(), 42_u64.to_be_bytes()]);
    }
}
