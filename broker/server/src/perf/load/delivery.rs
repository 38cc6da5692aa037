//! Finds deliveries in received bytes.
//!
//! Messages of a run look alike: where one had its header and body, the next one has them, too. So the parser keeps the
//! [`Layout`] of the last whole message and first compares a few words with it; the loads do not depend on each other, as
//! they do when walking from frame to frame. Whatever does not fit takes the general path, which sets the next layout.

use anyhow::{Context, Result, ensure};

use crate::perf::amqp::frame::{BODY, END, Frame, HEAD, HEADER};
use crate::perf::amqp::method::basic;
use crate::perf::measure::ledger::Word;

/// Consumer tags of this length are asked for, so that they are at a fixed place.
pub(crate) const TAG_LENGTH: usize = 4;
/// Where the consumer tag is in a `basic.deliver` frame.
const CONSUMER_AT: usize = HEAD + 4 + 1;
const DELIVERY_TAG_AT: usize = CONSUMER_AT + TAG_LENGTH;
/// The identity and the time at the start of each body.
const STAMP: usize = 16;

/// A message that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) consumer: [u8; TAG_LENGTH],
    pub(crate) tag: u64,
    pub(crate) word: Word,
    /// The time that the producer wrote into it.
    pub(crate) time: u64,
}

/// Takes what the parser finds.
pub(crate) trait Sink {
    fn delivery(&mut self, delivery: Delivery);

    /// Any method but `basic.deliver`.
    fn method(&mut self, frame: &Frame<'_>) -> Result<()>;
}

/// Parser of the deliveries on one channel.
#[derive(Debug)]
pub(crate) struct Parser {
    /// Bytes of every body, as they were sent.
    size: u64,
    layout: Option<Layout>,
    open: Option<Open>,
}

impl Parser {
    /// For bodies of `size` bytes. It is compared in the general path only, as a layout has the size of what it was learned from.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size: size as u64,
            layout: None,
            open: None,
        }
    }

    /// Hands the deliveries in `bytes` to `sink` and returns how many bytes are used up.
    ///
    /// # Errors
    /// If the bytes are not AMQP, a body has another size than it was sent with, or the sink refuses a method.
    pub(crate) fn parse(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<usize> {
        let mut at = 0;
        loop {
            if let Some(layout) = self.layout.as_ref().filter(|_| self.open.is_none()) {
                while let Some(delivery) = bytes
                    .get(at..at + layout.length)
                    .and_then(|message| layout.read(message))
                {
                    sink.delivery(delivery);
                    at += layout.length;
                }
            }
            let Some((frame, length)) = Frame::split(&bytes[at..])? else {
                break;
            };
            self.frame(&frame, at, sink)?;
            at += length;
            if let Some(whole) = self.open.take_if(|open| open.missing == Some(0)) {
                sink.delivery(whole.delivery()?);
                self.layout = whole
                    .start
                    .and_then(|start| Layout::learn(&bytes[start..at]));
            }
        }
        if let Some(open) = &mut self.open {
            open.start = None;
        }
        Ok(at)
    }

    fn frame(&mut self, frame: &Frame<'_>, at: usize, sink: &mut impl Sink) -> Result<()> {
        match (frame.kind, &mut self.open) {
            (HEADER, Some(open)) => {
                let size = frame.payload.get(4..).and_then(|rest| rest.first_chunk());
                let size = u64::from_be_bytes(*size.context("a content header is cut short")?);
                ensure!(
                    size == self.size,
                    "a body has {size} bytes, but {} were sent",
                    self.size
                );
                open.missing = Some(size);
            }
            (BODY, Some(open)) => {
                let missing = STAMP.saturating_sub(open.stamp.len());
                open.stamp.extend(frame.payload.iter().take(missing));
                let rest = open
                    .missing
                    .and_then(|missing| missing.checked_sub(frame.payload.len() as u64));
                open.missing = Some(rest.context("a body is longer than its header says")?);
            }
            _ if frame.method() == Some(basic::DELIVER) => {
                self.open = Some(Open::begin(frame, at)?);
            }
            _ if frame.method().is_some() => sink.method(frame)?,
            _ => {}
        }
        Ok(())
    }
}

/// A message of which a part is still to come.
#[derive(Debug)]
struct Open {
    consumer: [u8; TAG_LENGTH],
    tag: u64,
    /// Bytes of the body to come, once the header has told.
    missing: Option<u64>,
    stamp: Vec<u8>,
    /// Where it began in the bytes at hand, if it began there.
    start: Option<usize>,
}

impl Open {
    fn begin(frame: &Frame<'_>, at: usize) -> Result<Self> {
        let mut arguments = frame.arguments();
        let consumer = arguments
            .name()
            .and_then(|tag| tag.as_bytes().try_into().ok());
        let consumer = consumer.context("a delivery has a consumer tag that was not asked for")?;
        let tag = arguments.longlong().context("basic.deliver is cut short")?;
        Ok(Self {
            consumer,
            tag,
            missing: None,
            stamp: Vec::with_capacity(STAMP),
            start: Some(at),
        })
    }

    fn delivery(&self) -> Result<Delivery> {
        ensure!(
            self.stamp.len() == STAMP,
            "a body of {} bytes is not from this run",
            self.stamp.len()
        );
        let (word, time) = (word_at(&self.stamp, 0), word_at(&self.stamp, 8));
        Ok(Delivery {
            consumer: self.consumer,
            tag: self.tag,
            word: Word::decode(word),
            time: u64::from_be_bytes(time),
        })
    }
}

/// Where everything is in a message of three frames, and the bytes that say so.
#[derive(Debug)]
struct Layout {
    /// Frame head, class and method, length of the consumer tag.
    start: [u8; CONSUMER_AT],
    header_at: usize,
    /// End of the method frame and head of the header frame.
    header_head: [u8; 8],
    body_size: [u8; 8],
    body_at: usize,
    /// End of the header frame and head of the body frame.
    body_head: [u8; 8],
    length: usize,
}

impl Layout {
    /// The layout of `message`, unless its body is split over several frames.
    fn learn(message: &[u8]) -> Option<Self> {
        let (_, header_at) = Frame::split(message).ok()??;
        let (_, header_length) = Frame::split(&message[header_at..]).ok()??;
        let body_at = header_at + header_length;
        let (_, body_length) = Frame::split(&message[body_at..]).ok()??;
        (body_at + body_length == message.len()).then(|| Self {
            start: std::array::from_fn(|at| message[at]),
            header_at,
            header_head: word_at(message, header_at - 1),
            body_size: word_at(message, header_at + HEAD + 4),
            body_at,
            body_head: word_at(message, body_at - 1),
            length: message.len(),
        })
    }

    /// Reads `message`, which has the layout's length, if it has this layout.
    #[inline]
    fn read(&self, message: &[u8]) -> Option<Delivery> {
        let fits = message.starts_with(&self.start)
            && word_at(message, self.header_at - 1) == self.header_head
            && word_at(message, self.header_at + HEAD + 4) == self.body_size
            && word_at(message, self.body_at - 1) == self.body_head
            && message.last() == Some(&END);
        fits.then(|| Delivery {
            consumer: std::array::from_fn(|at| message[CONSUMER_AT + at]),
            tag: u64::from_be_bytes(word_at(message, DELIVERY_TAG_AT)),
            word: Word::decode(word_at(message, self.body_at + HEAD)),
            time: u64::from_be_bytes(word_at(message, self.body_at + HEAD + 8)),
        })
    }
}

/// Eight bytes of a message that is known to be long enough.
#[inline]
fn word_at(message: &[u8], at: usize) -> [u8; 8] {
    let mut word = [0; 8];
    word.copy_from_slice(&message[at..at + 8]);
    word
}

#[cfg(test)]
mod tests {
    use super::super::super::amqp::call::Call;
    use super::super::super::amqp::method::connection;
    use super::*;

    #[derive(Default)]
    struct Seen {
        deliveries: Vec<Delivery>,
        methods: usize,
    }

    impl Sink for Seen {
        fn delivery(&mut self, delivery: Delivery) {
            self.deliveries.push(delivery);
        }

        fn method(&mut self, frame: &Frame<'_>) -> Result<()> {
            self.methods += 1;
            frame.refuse_closing()
        }
    }

    fn put_frame(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
        out.extend([kind, 0, 1]);
        out.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        out.extend(payload);
        out.push(END);
    }

    fn message(tag: u64, key: &str, size: usize, piece: usize) -> Vec<u8> {
        let deliver = Call::new(1, basic::DELIVER)
            .name("aaab")
            .longlong(tag)
            .octet(0)
            .name("x")
            .name(key);
        let mut out = deliver.finish();
        let mut header = vec![0, 60, 0, 0];
        header.extend((size as u64).to_be_bytes());
        header.extend([0, 0]);
        put_frame(&mut out, HEADER, &header);
        let mut body = Word {
            stream: 3,
            number: tag * 2,
        }
        .encode()
        .to_vec();
        body.extend((tag * 3).to_be_bytes());
        body.resize(size, b'.');
        for piece in body.chunks(piece) {
            put_frame(&mut out, BODY, piece);
        }
        out
    }

    fn expected(tag: u64) -> Delivery {
        Delivery {
            consumer: *b"aaab",
            tag,
            word: Word {
                stream: 3,
                number: tag * 2,
            },
            time: tag * 3,
        }
    }

    /// Messages that fit the layout of the one before them and messages that do not.
    fn mixture() -> (Vec<u8>, Vec<Delivery>) {
        let shapes = [
            ("a", 40, 100),
            ("a", 40, 100),
            ("k", 40, 100),
            ("k", 40, 10),
            ("k", 40, 40),
            ("key", 40, 40),
            ("key", 40, 40),
        ];
        let mut bytes = Vec::new();
        for (tag, (key, size, piece)) in (1..).zip(shapes) {
            bytes.extend(message(tag, key, size, piece));
        }
        bytes.extend(Call::new(0, connection::UNBLOCKED).finish());
        bytes.extend(message(8, "key", 40, 40));
        (bytes, (1..=8).map(expected).collect())
    }

    #[test]
    fn any_cut_gives_the_same_deliveries() {
        let (bytes, deliveries) = mixture();
        for cut in 0..bytes.len() {
            let (mut parser, mut seen) = (Parser::new(40), Seen::default());
            let used = parser.parse(&bytes[..cut], &mut seen).unwrap();
            assert_eq!(
                parser.parse(&bytes[used..], &mut seen).unwrap(),
                bytes.len() - used
            );
            assert_eq!(
                (&seen.deliveries, seen.methods),
                (&deliveries, 1),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn bytes_one_by_one_give_the_same_deliveries() {
        let (bytes, deliveries) = mixture();
        let (mut parser, mut seen, mut from) = (Parser::new(40), Seen::default(), 0);
        for to in 1..=bytes.len() {
            from += parser.parse(&bytes[from..to], &mut seen).unwrap();
        }
        assert_eq!(seen.deliveries, deliveries);
    }

    #[test]
    fn a_body_of_another_size_is_an_error_wherever_it_comes() {
        let whole = message(1, "k", 40, 40);
        for wrong in [16, 39, 41, 80] {
            let bytes = [whole.clone(), message(2, "k", wrong, 100)].concat();
            let mut seen = Seen::default();
            let error = Parser::new(40).parse(&bytes, &mut seen).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("a body has {wrong} bytes, but 40 were sent")
            );
            assert_eq!(seen.deliveries, [expected(1)]);
        }
    }

    #[test]
    fn a_body_that_is_longer_than_stated_is_an_error() {
        let mut bytes = message(1, "k", 16, 16);
        let size_at = bytes
            .windows(8)
            .position(|window| window == 16_u64.to_be_bytes())
            .unwrap();
        bytes[size_at + 7] = 15;
        let error = Parser::new(15)
            .parse(&bytes, &mut Seen::default())
            .unwrap_err();
        assert!(
            error.to_string().contains("longer than its header says"),
            "{error}"
        );
    }
}
