//! Amounts of bytes: `64MiB`, `50MB`, or a plain number.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};

/// The most that `message_size_max` may be; RabbitMQ's hard cap.
const MESSAGE_SIZE_CAP: ByteSize = ByteSize::mib(512);

const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// An amount of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many times 1,048,576 bytes.
    pub const fn mib(mebibytes: u64) -> Self {
        Self(mebibytes << 20)
    }

    /// The amount as a number.
    pub const fn as_bytes(self) -> u64 {
        self.0
    }

    /// The amount for people, to two places: `1.46GiB`.
    pub fn approximately(self) -> String {
        let binary = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        match binary.into_iter().find(|(_, shift)| self.0 >> shift > 0) {
            Some((unit, shift)) => {
                let hundredths = (u128::from(self.0) * 100) >> shift;
                format!("{}.{:02}{unit}", hundredths / 100, hundredths % 100)
            }
            None => format!("{}B", self.0),
        }
    }

    /// Reads `64MiB`, `50 MB` or `4096`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let unit_at = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let factor = match unit.trim_start() {
            "" => 1,
            unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
        };
        number.parse::<u64>().ok()?.checked_mul(factor).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact =
            |(_, factor): &&(&str, u64)| self.0 >= *factor && self.0.is_multiple_of(*factor);
        match UNITS.iter().filter(exact).max_by_key(|(_, factor)| *factor) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ByteSizeVisitor)
    }
}

impl serde::Serialize for ByteSize {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Reads the size of the largest message.
pub(in crate::config) fn message_size<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<ByteSize, D::Error> {
    let size = ByteSize::deserialize(from)?;
    if size > MESSAGE_SIZE_CAP {
        return Err(de::Error::custom(format_args!(
            "{size} is too large; give at most {MESSAGE_SIZE_CAP}"
        )));
    }
    Ok(size)
}

struct ByteSizeVisitor;

impl Visitor<'_> for ByteSizeVisitor {
    type Value = ByteSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount of bytes such as \"64MiB\", \"50MB\" or 1048576")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<ByteSize, E> {
        u64::try_from(number)
            .map(ByteSize)
            .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
        ByteSize::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_decimal_and_plain_amounts_are_read() {
        let cases = [
            ("64MiB", 64 << 20),
            ("50 MB", 50_000_000),
            ("4096", 4096),
            ("1KiB", 1024),
            ("0B", 0),
        ];
        for (text, bytes) in cases {
            assert_eq!(ByteSize::parse(text), Some(ByteSize(bytes)), "{text}");
        }
        for text in ["", "MiB", "-1MiB", "1.5MiB", "64mib", "64M", "99999999TiB"] {
            assert_eq!(ByteSize::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_amount_is_rounded_for_people() {
        let cases = [
            (1_572_864_000, "1.46GiB"),
            (1_048_576, "1.00MiB"),
            (1_000, "1000B"),
            (u64::MAX, "16777215.99TiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(ByteSize(bytes).approximately(), text);
        }
    }

    #[test]
    fn an_amount_is_shown_in_its_largest_exact_unit() {
        let cases = [
            (64 << 20, "64MiB"),
            (50_000_000, "50MB"),
            (1, "1B"),
            (0, "0B"),
            (1_500, "1500B"),
        ];
        for (bytes, text) in cases {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }
}
