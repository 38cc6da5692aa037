//! Methods as text: `queue.declare queue=q durable`, and messages: `basic.publish routing_key=q "the body" priority=3`.
//!
//! What is left out is 0, false or empty, in both directions. What stands between quotes on its own is a message's body,
//! and behind it are its properties.

use std::collections::HashMap;

use amphora_protocol::wire::table::FieldTable;
use anyhow::{Context, bail};

use super::grammar::{Argument, Domain, Shape, properties};
use super::value::{parse_table, print_table, quote, unquote};

/// What is to be sent: the payload of a method frame, and the content that follows it.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) method: Vec<u8>,
    /// Flags and list of the properties, and the body.
    pub(crate) content: Option<(Vec<u8>, Vec<u8>)>,
}

/// Reads a method, and the message behind it.
pub(crate) fn parse(line: &str) -> anyhow::Result<Written> {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let shape = Shape::named(name)?;
    let Words {
        mut before,
        body,
        mut behind,
    } = words(rest)?;
    let mut method = Vec::new();
    method.extend_from_slice(&shape.class_id.to_be_bytes());
    method.extend_from_slice(&shape.method_id.to_be_bytes());
    encode(&shape.arguments, &mut before, &mut method)?;
    let content = if shape.has_content() {
        let flags = properties()
            .iter()
            .enumerate()
            .fold(0, |flags, (index, property)| {
                flags | u16::from(behind.contains_key(property.name)) << (15 - index)
            });
        let mut list = u16::to_be_bytes(flags).to_vec();
        let present: Vec<&Argument> = properties()
            .iter()
            .filter(|property| behind.contains_key(property.name))
            .collect();
        encode(present, &mut behind, &mut list)?;
        Some((list, body.unwrap_or_default().into_bytes()))
    } else {
        None
    };
    match before.keys().chain(behind.keys()).next() {
        None => Ok(Written { method, content }),
        Some(unknown) => bail!("{name} has no {unknown}"),
    }
}

/// Writes the payload of a method frame.
pub(crate) fn print(payload: &[u8]) -> anyhow::Result<String> {
    let mut bytes = payload;
    let class_id = number(&mut bytes, 2)?;
    let shape = Shape::numbered(class_id, number(&mut bytes, 2)?)?;
    let arguments = decode(&shape.arguments, &mut bytes)?;
    let shown = arguments
        .into_iter()
        .filter(|(name, text)| *name != "-" && !text.is_default());
    Ok(join(shape.name, shown))
}

/// Writes a message: its body, and the properties that it has.
pub(crate) fn print_content(list: &[u8], body: &[u8]) -> anyhow::Result<String> {
    let mut bytes = list;
    let flags = number(&mut bytes, 2)?;
    let present = properties()
        .iter()
        .enumerate()
        .filter(|(index, _)| flags & 1 << (15 - index) != 0)
        .map(|(_, property)| property);
    let shown = decode(present, &mut bytes)?;
    Ok(join(&quote(body), shown))
}

/// The words of a line, by where they stand.
#[derive(Debug, Default)]
struct Words {
    before: HashMap<String, String>,
    body: Option<String>,
    behind: HashMap<String, String>,
}

fn words(line: &str) -> anyhow::Result<Words> {
    let mut words = Words::default();
    let mut text = line.chars().peekable();
    loop {
        while text.next_if_eq(&' ').is_some() {}
        if text.peek().is_none() {
            return Ok(words);
        }
        if text.next_if_eq(&'"').is_some() {
            words.body = Some(unquote(&mut text)?);
            continue;
        }
        let name: String =
            std::iter::from_fn(|| text.next_if(|&letter| letter != '=' && letter != ' ')).collect();
        let value = if text.next_if_eq(&'=').is_none() {
            "true".to_owned()
        } else if text.next_if_eq(&'"').is_some() {
            unquote(&mut text)?
        } else {
            // A table may have spaces, but only between its braces.
            let mut depth = 0;
            std::iter::from_fn(|| {
                text.next_if(|&letter| {
                    depth += i32::from(letter == '{') - i32::from(letter == '}');
                    letter != ' ' || depth > 0
                })
            })
            .collect()
        };
        let place = if words.body.is_some() {
            &mut words.behind
        } else {
            &mut words.before
        };
        place.insert(name, value);
    }
}

fn encode<'a>(
    arguments: impl IntoIterator<Item = &'a Argument>,
    given: &mut HashMap<String, String>,
    out: &mut Vec<u8>,
) -> anyhow::Result<()> {
    let mut bits = 0;
    for argument in arguments {
        let text = given.remove(argument.name).unwrap_or_default();
        if argument.domain == Domain::Bit {
            // Bits that stand side by side share an octet.
            if bits % 8 == 0 {
                out.push(0);
            }
            let octet = out.last_mut().context("it was just pushed")?;
            *octet |= u8::from(text == "true") << (bits % 8);
            bits += 1;
            continue;
        }
        bits = 0;
        match argument.domain {
            Domain::Bit => {}
            Domain::Number(size) => {
                let number: u64 = match text.as_str() {
                    "" => 0,
                    text => text.parse().context(text.to_owned())?,
                };
                out.extend_from_slice(number.to_be_bytes().split_at(8 - size).1);
            }
            Domain::ShortString => {
                out.push(u8::try_from(text.len())?);
                out.extend_from_slice(text.as_bytes());
            }
            Domain::LongString => {
                out.extend_from_slice(&u32::try_from(text.len())?.to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Domain::Table if text.is_empty() => out.extend_from_slice(&[0; 4]),
            Domain::Table => parse_table(&text)?.encode(out),
        }
    }
    Ok(())
}

/// An argument's value as text.
#[derive(Debug)]
enum Shown {
    Number(u64),
    Bit(bool),
    Text(String),
    Table(FieldTable),
}

impl Shown {
    fn is_default(&self) -> bool {
        match self {
            Self::Number(number) => *number == 0,
            Self::Bit(bit) => !bit,
            Self::Text(text) => text.is_empty(),
            Self::Table(table) => table.is_empty(),
        }
    }
}

fn join(first: &str, shown: impl IntoIterator<Item = (&'static str, Shown)>) -> String {
    let mut line = vec![first.to_owned()];
    for (name, shown) in shown {
        line.push(match shown {
            Shown::Number(number) => format!("{name}={number}"),
            Shown::Bit(_) => name.to_owned(),
            Shown::Text(text) if !text.is_empty() && text.chars().all(is_plain) => {
                format!("{name}={text}")
            }
            Shown::Text(text) => format!("{name}={}", quote(text.as_bytes())),
            Shown::Table(table) => format!("{name}={}", print_table(&table)),
        });
    }
    line.join(" ")
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_.*#/$:+=".contains(letter)
}

fn decode<'a>(
    arguments: impl IntoIterator<Item = &'a Argument>,
    bytes: &mut &[u8],
) -> anyhow::Result<Vec<(&'static str, Shown)>> {
    let mut decoded = Vec::new();
    let (mut bits, mut octet) = (0, 0);
    for argument in arguments {
        let shown = if argument.domain == Domain::Bit {
            if bits % 8 == 0 {
                octet = number(bytes, 1)?;
            }
            bits += 1;
            Shown::Bit(octet >> ((bits - 1) % 8) & 1 == 1)
        } else {
            bits = 0;
            match argument.domain {
                Domain::Bit => Shown::Bit(false),
                Domain::Number(size) => Shown::Number(number(bytes, size)?),
                Domain::ShortString => Shown::Text(string(bytes, 1)?),
                Domain::LongString => Shown::Text(string(bytes, 4)?),
                Domain::Table => {
                    let size = usize::try_from(number(&mut { *bytes }, 4)?)?;
                    Shown::Table(FieldTable::decode(take(bytes, size + 4)?)?)
                }
            }
        };
        decoded.push((argument.name, shown));
    }
    match bytes {
        [] => Ok(decoded),
        rest => bail!("{} bytes too many", rest.len()),
    }
}

fn string(bytes: &mut &[u8], prefix: usize) -> anyhow::Result<String> {
    let size = usize::try_from(number(bytes, prefix)?)?;
    Ok(String::from_utf8(take(bytes, size)?.to_vec())?)
}

fn number(bytes: &mut &[u8], size: usize) -> anyhow::Result<u64> {
    let octets = take(bytes, size)?.iter();
    Ok(octets.fold(0, |number, &octet| number << 8 | u64::from(octet)))
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> anyhow::Result<&'a [u8]> {
    let (taken, rest) = bytes
        .split_at_checked(count)
        .context("the frame is too short")?;
    *bytes = rest;
    Ok(taken)
}
