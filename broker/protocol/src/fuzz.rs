//! Functions of plain bytes that panic if a promise of this crate does not hold.
//!
//! `fuzz/` feeds them with libFuzzer; a test feeds them with some thousand mutated samples.

#[cfg(test)]
#[path = "../tests/protocol/samples.rs"]
mod samples;

use std::time::{Duration, Instant};

use crate::connection::{Connection, Event, Failure, Offer};
use crate::exception::ChannelException;
use crate::wire::WireError;
use crate::wire::frame::{self, PROTOCOL_HEADER, Split};
use crate::wire::method::{AnyMethod, Method, channel, connection};
use crate::wire::properties::{BasicProperties, RawProperties};
use crate::wire::table::{FieldTable, FieldValue, RawFields};
use crate::wire::types::{ChannelNumber, ShortString};

/// Frames are split without loss, and what is wanted is always more than there is.
pub fn fuzz_frames(data: &[u8]) {
    let mut rest = data;
    loop {
        match frame::split(rest, 1024) {
            Split::Whole(found) => {
                let mut again = Vec::new();
                frame::write_frame(found.kind, found.channel, found.payload, &mut again);
                assert!(rest.starts_with(&again));
                rest = &rest[again.len()..];
            }
            Split::Wanted(wanted) => return assert!(wanted > rest.len()),
            Split::TooLarge { size, .. } => return assert!(size > 1024),
            Split::BadEnd { end, .. } => return assert_ne!(end, frame::END),
        }
    }
}

/// What is decoded once is encoded to bytes that mean the same.
pub fn fuzz_methods(data: &[u8]) {
    let Ok(method) = Method::decode(data) else {
        return;
    };
    let mut bytes = Vec::new();
    method.encode(&mut bytes);
    assert_eq!(Method::decode(&bytes), Ok(method));
}

/// What is decoded is encoded to as many bytes, which mean the same; fields are the same one by one and together.
pub fn fuzz_tables(data: &[u8]) {
    compare_fields(data);
    // Behind the length, if there is one.
    compare_fields(data.get(4..).unwrap_or_default());
    let Ok(table) = FieldTable::decode(data) else {
        return;
    };
    let mut bytes = Vec::new();
    table.encode(&mut bytes);
    // A boolean may come back as another octet.
    assert_eq!(bytes.len(), data.len());
    assert_eq!(FieldTable::decode(&bytes), Ok(table));
}

/// Fields as they lie there, and decoded, agree; only the former may have names that are no UTF-8.
fn compare_fields(inside: &[u8]) {
    let raw: Result<Vec<_>, _> = RawFields::new(inside).collect();
    match (raw, FieldTable::decode_fields(inside)) {
        (Ok(raw), Ok(table)) => {
            let decoded = raw.into_iter().map(|(name, value)| {
                let value = FieldValue::decode(value);
                (name, value.expect("a field that was found is whole"))
            });
            let expected = table.iter().map(|(name, value)| (name.as_bytes(), value));
            let expected: Vec<_> = expected
                .map(|(name, value)| (name, value.clone()))
                .collect();
            assert_eq!(decoded.collect::<Vec<_>>(), expected);
        }
        (Ok(_), Err(WireError::MalformedUtf8)) | (Err(_), Err(_)) => {}
        disagreement => panic!("{disagreement:?}"),
    }
}

/// The check, the single properties and the whole agree with each other.
pub fn fuzz_properties(data: &[u8]) {
    let Ok(raw) = RawProperties::new(data) else {
        return assert!(data.len() < 2);
    };
    let decoded = BasicProperties::decode(data);
    match (raw.check(), &decoded) {
        (Ok(()), Ok(_) | Err(WireError::MalformedUtf8)) | (Err(_), Err(_)) => {}
        disagreement => panic!("{disagreement:?}"),
    }
    let singles = (
        raw.headers(),
        raw.priority(),
        raw.timestamp(),
        raw.cluster_id(),
    );
    if let Ok(properties) = decoded {
        assert_eq!(singles.0.as_ref(), Ok(&properties.headers));
        assert_eq!(singles.1, Ok(properties.priority));
        assert_eq!(singles.2, Ok(properties.timestamp));
        assert_eq!(singles.3, Ok(properties.cluster_id.as_deref()));
        assert_eq!(
            BasicProperties::decode(&properties.to_bytes()),
            Ok(properties)
        );
    }
}

/// However a conversation is cut, it is the same; what is said is well-formed, and no more is held
/// than was heard.
///
/// The first octet says what came before and how the rest is cut.
pub fn fuzz_connection(data: &[u8]) {
    let Some((&choice, said)) = data.split_first() else {
        return;
    };
    let whole = converse(choice, said, said.len().max(1));
    let cut = converse(choice, said, usize::from(choice >> 3) + 1);
    assert_eq!(whole, cut);
}

/// What the broker was told and what it said.
fn converse(choice: u8, said: &[u8], chunk_len: usize) -> (Vec<String>, Vec<u8>) {
    let mut peer = Peer::new();
    if choice & 1 != 0 {
        peer.hear(&opening());
    }
    peer.raises = choice & 2 != 0;
    for chunk in said.chunks(chunk_len) {
        peer.hear(chunk);
    }
    let mut out = peer.out.as_slice();
    if let Some(after) = out.strip_prefix(&PROTOCOL_HEADER) {
        out = after;
    }
    while !out.is_empty() {
        match frame::split(out, u32::MAX) {
            Split::Whole(found) => {
                if found.kind == frame::METHOD {
                    assert!(Method::decode(found.payload).is_ok());
                }
                out = &out[found.payload.len() + frame::OVERHEAD..];
            }
            // After all that was said in AMQP the last word may be for a stranger.
            _ => break,
        }
    }
    (peer.events, peer.out)
}

/// What a client says to open two channels.
fn opening() -> Vec<u8> {
    let mechanism = ShortString::cut("PLAIN");
    let start_ok = connection::StartOk {
        mechanism,
        ..connection::StartOk::default()
    };
    let tune_ok = connection::TuneOk {
        channel_max: 100,
        frame_max: 4096,
        heartbeat: 0,
    };
    let methods: [(u16, &dyn AnyMethod); 5] = [
        (0, &start_ok),
        (0, &tune_ok),
        (0, &connection::Open::default()),
        (1, &channel::Open {}),
        (2, &channel::Open {}),
    ];
    let mut said = PROTOCOL_HEADER.to_vec();
    for (channel, method) in methods {
        frame::write_method_frame(ChannelNumber(channel), method, &mut said);
    }
    said
}

/// A broker that agrees to everything, or refuses each publish.
struct Peer {
    connection: Connection,
    buffer: Vec<u8>,
    heard: u64,
    raises: bool,
    events: Vec<String>,
    out: Vec<u8>,
}

impl Peer {
    fn new() -> Self {
        let offer = Offer {
            frame_max: 4096,
            message_size_max: 10_000,
            handshake_timeout: Duration::from_secs(1),
            ..Offer::default()
        };
        Self {
            connection: Connection::new(offer, Instant::now()),
            buffer: Vec::new(),
            heard: 0,
            raises: false,
            events: Vec::new(),
            out: Vec::new(),
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.heard += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.buffer);
        let mut used = 0;
        loop {
            let used_before = used;
            let next = self.connection.next(&input, &mut used, &mut self.out);
            assert!(used_before <= used && used <= input.len());
            assert!(self.connection.held() <= self.heard);
            match next {
                Ok(Some(event)) => self.answer(event),
                Ok(None) => break,
                Err(failure @ (Failure::Close(_) | Failure::Drop(_))) => {
                    self.events.push(failure.to_string());
                }
            }
        }
        assert!(self.connection.wanted() > input.len() - used);
        self.buffer = input[used..].to_vec();
    }

    fn answer(&mut self, event: Event<'_>) {
        if let Event::Publish(publish) = event {
            let content = &publish.content;
            assert_eq!(content.raw_properties().check(), Ok(()));
            self.events.push(format!(
                "{} {:?} {:?} {:?}",
                publish.channel,
                content.target(),
                content.properties(),
                content.body()
            ));
            if self.raises {
                let exception = ChannelException::not_found("no exchange");
                self.connection
                    .raise(publish.channel, exception, &mut self.out);
            }
            return;
        }
        self.events.push(format!("{event:?}"));
        match event {
            Event::Login { .. } => self.connection.accept_login(&mut self.out),
            Event::Open { .. } => self.connection.accept_open(&mut self.out),
            Event::ChannelOpen(channel) => self.connection.accept_channel(channel, &mut self.out),
            Event::ChannelClose { channel, .. } => {
                self.connection.release_channel(channel, &mut self.out);
            }
            Event::Refused { channel, exception } => {
                self.connection.raise(channel, exception, &mut self.out);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Enough to find what a mutation finds soon, and few enough for every run.
    const CASES: u64 = 4000;

    /// Numbers that look random and are the same in every run.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 16).unwrap() % limit.max(1)
        }
    }

    /// Changes a few octets: values that are often at an edge, octets too many, octets too few.
    fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
        for _ in 0..numbers.below(4) {
            let at = numbers.below(bytes.len());
            let edge = [0, 1, 2, 3, 8, 0x7F, 0x80, 0xCE, 0xFE, 0xFF][numbers.below(10)];
            match numbers.below(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, edge),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
                4 => bytes.extend_from_within(at..),
                _ if at < bytes.len() => bytes[at] = edge,
                _ => {}
            }
        }
    }

    /// Runs a target over mutated samples.
    fn run(target: fn(&[u8]), mut sample: impl FnMut(&mut Numbers) -> Vec<u8>) {
        for seed in 1..=CASES {
            let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let mut bytes = sample(&mut numbers);
            mutate(&mut bytes, &mut numbers);
            target(&bytes);
        }
    }

    fn method(numbers: &mut Numbers) -> Method {
        let all = samples::all();
        all[numbers.below(all.len())].clone()
    }

    fn properties(numbers: &mut Numbers) -> Vec<u8> {
        let mut string = |text| (numbers.below(2) == 0).then(|| ShortString::cut(text));
        BasicProperties {
            content_type: string("text/plain"),
            correlation_id: string("7"),
            expiration: string("1000"),
            headers: Some(samples::table()),
            delivery_mode: Some(2),
            timestamp: Some(1),
            ..BasicProperties::default()
        }
        .to_bytes()
        .to_vec()
    }

    /// Some methods and publishes on few channels, one now and then in pieces.
    fn conversation(numbers: &mut Numbers) -> Vec<u8> {
        let mut said = vec![u8::try_from(numbers.below(256)).unwrap()];
        if said[0] & 1 == 0 {
            said.extend_from_slice(&opening());
        }
        for _ in 0..numbers.below(8) {
            let channel = ChannelNumber(u16::try_from(numbers.below(4)).unwrap());
            if numbers.below(2) == 0 {
                frame::write_method_frame(channel, &method(numbers), &mut said);
            } else {
                let body = vec![b'x'; numbers.below(300)];
                let frame_max = u32::try_from(20 + numbers.below(300)).unwrap();
                frame::write_method_frame(channel, &samples::publish(), &mut said);
                frame::write_content(channel, &properties(numbers), &body, frame_max, &mut said);
            }
        }
        said
    }

    #[test]
    fn frames() {
        run(fuzz_frames, |numbers| {
            let mut said = Vec::new();
            frame::write_method_frame(ChannelNumber(1), &method(numbers), &mut said);
            frame::write_heartbeat(&mut said);
            said
        });
    }

    #[test]
    fn methods() {
        run(fuzz_methods, |numbers| {
            let mut bytes = Vec::new();
            method(numbers).encode(&mut bytes);
            bytes
        });
    }

    #[test]
    fn tables() {
        run(fuzz_tables, |numbers| {
            let mut table = FieldTable::new();
            for name in ["a", "b", "a"] {
                let inside = if numbers.below(2) == 0 {
                    table.clone()
                } else {
                    samples::table()
                };
                table.push(ShortString::cut(name), inside);
                table.push(ShortString::cut("flag"), true);
            }
            let mut bytes = Vec::new();
            table.encode(&mut bytes);
            bytes
        });
    }

    #[test]
    fn content_properties() {
        run(fuzz_properties, properties);
    }

    #[test]
    fn conversations() {
        run(fuzz_connection, conversation);
    }
}
