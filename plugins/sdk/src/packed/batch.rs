//! Messages one after the other, in the layout that `exchange-packed` of the contract describes.

use std::fmt;

use super::cursor::{Cursor, Damage};
use super::message::{Headers, Kind, Message};
use super::value::{self, Fields};
use crate::needs::{BodyNeeds, HeaderNeeds, Needs};

/// The version of the layout that is read here.
pub(crate) const LAYOUT: u8 = 1;

/// Stands for a named header that the message does not have.
const ABSENT: u8 = 0;

/// A batch that is not laid out as the contract says. The host's fault, or that of an SDK of another version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(Kinds);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kinds {
    Layout(u8),
    Head,
    Message {
        number: u32,
        count: u32,
        part: &'static str,
        damage: Damage,
    },
    Surplus(usize),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kinds::Layout(layout) => write!(
                f,
                "a batch of layout {layout}, and this plugin reads layout {LAYOUT}: build it with a newer SDK"
            ),
            Kinds::Head => f.write_str("a batch that ends before its first message"),
            Kinds::Message {
                number,
                count,
                part,
                damage,
            } => write!(f, "message {number} of {count}: {part}: {damage}"),
            Kinds::Surplus(length) => write!(f, "{length} bytes follow the last message"),
        }
    }
}

impl std::error::Error for Malformed {}

/// A batch, read from its front.
pub(crate) struct Batch<'a> {
    cursor: Cursor<'a>,
    needs: &'a Needs,
    count: u32,
    read: u32,
    /// The named headers of the message in hand.
    named: Vec<&'a [u8]>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(bytes: &'a [u8], needs: &'a Needs) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        let layout = cursor.octet().map_err(|_| Malformed(Kinds::Head))?;
        if layout != LAYOUT {
            return Err(Malformed(Kinds::Layout(layout)));
        }
        let count = cursor.array().map_err(|_| Malformed(Kinds::Head))?;
        let names = match &needs.headers {
            HeaderNeeds::Named(names) => names.len(),
            _ => 0,
        };
        Ok(Self {
            cursor,
            needs,
            count: u32::from_le_bytes(count),
            read: 0,
            named: Vec::with_capacity(names),
        })
    }

    /// How many messages the batch says that it has.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The next message; none after the last one.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Message<'_>>, Malformed> {
        if self.read == self.count {
            let surplus = self.cursor.rest().len();
            return match surplus {
                0 => Ok(None),
                _ => Err(Malformed(Kinds::Surplus(surplus))),
            };
        }
        self.read += 1;
        let (number, count) = (self.read, self.count);
        self.message()
            .map(Some)
            .map_err(|(part, damage)| malformed(number, count, part, damage))
    }

    #[inline]
    fn message(&mut self) -> Result<Message<'_>, (&'static str, Damage)> {
        let needs = self.needs;
        let cursor = &mut self.cursor;
        let mut short = |needed: bool, part| {
            if !needed {
                return Ok([].as_slice());
            }
            cursor.short().map_err(|damage| (part, damage))
        };
        let vhost = short(needs.vhost, "vhost")?;
        let exchange = short(needs.exchange, "exchange")?;
        let routing_key = short(needs.routing_key, "routing-key")?;
        let user = short(needs.user, "user")?;
        let mut time_ms = 0;
        if needs.time {
            let bytes = cursor.array().map_err(|damage| ("time", damage))?;
            time_ms = u64::from_le_bytes(bytes);
        }
        let mut properties = [].as_slice();
        if needs.properties {
            properties = cursor
                .long_little()
                .map_err(|damage| ("properties", damage))?;
        }
        let headers = headers(&needs.headers, cursor, &mut self.named)
            .map_err(|damage| ("headers", damage))?;
        let (body_size, body) = body(needs.body, cursor).map_err(|damage| ("body", damage))?;
        Ok(Message {
            needs,
            vhost,
            exchange,
            routing_key,
            user,
            time_ms,
            properties,
            headers,
            body,
            body_size,
        })
    }
}

#[cold]
fn malformed(number: u32, count: u32, part: &'static str, damage: Damage) -> Malformed {
    Malformed(Kinds::Message {
        number,
        count,
        part,
        damage,
    })
}

/// Checks all headers, so that nobody has to who looks at them.
#[inline]
fn headers<'a: 's, 's>(
    needs: &'a HeaderNeeds,
    cursor: &mut Cursor<'a>,
    values: &'s mut Vec<&'a [u8]>,
) -> Result<Headers<'s>, Damage> {
    Ok(Headers(match needs {
        HeaderNeeds::None => Kind::None,
        HeaderNeeds::All => {
            // What a publisher damaged must not end a call that other publishers' messages are in.
            let table = cursor.long_little()?;
            let sound = value::check_fields(table).is_ok();
            Kind::All(Fields::new(if sound { table } else { &[] }))
        }
        HeaderNeeds::Named(names) => {
            values.clear();
            for _ in names {
                let bytes = cursor.rest();
                if bytes.first() == Some(&ABSENT) {
                    cursor.octet()?;
                    values.push(&[]);
                } else {
                    value::check(cursor)?;
                    values.push(&bytes[..bytes.len() - cursor.rest().len()]);
                }
            }
            Kind::Named(names, values)
        }
    }))
}

#[inline]
fn body<'a>(needs: BodyNeeds, cursor: &mut Cursor<'a>) -> Result<(u64, &'a [u8]), Damage> {
    if needs == BodyNeeds::None {
        return Ok((0, &[]));
    }
    let size = u64::from_le_bytes(cursor.array()?);
    Ok((size, cursor.long_little()?))
}
