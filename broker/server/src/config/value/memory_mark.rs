//! The memory mark: an amount, or a share of what the machine (or its control group) grants.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};

use super::ByteSize;

/// How much memory may be in use before publishers are blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryMark {
    /// A share of the memory that there is, in percent.
    Percent(u8),
    /// An amount.
    Bytes(ByteSize),
}

impl MemoryMark {
    /// The mark in bytes, where `total` bytes are granted to this process.
    pub fn resolve(self, total: u64) -> u64 {
        match self {
            // Divided first: a total near the type's end must not overflow, and one percent's rounding is nothing.
            Self::Percent(percent) => total / 100 * u64::from(percent),
            Self::Bytes(size) => size.as_bytes(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let Some(percent) = text.strip_suffix('%') else {
            return ByteSize::parse(text).map(Self::Bytes);
        };
        let percent = percent.trim_end().parse().ok()?;
        (1..=100)
            .contains(&percent)
            .then_some(Self::Percent(percent))
    }
}

impl fmt::Display for MemoryMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Bytes(size) => size.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for MemoryMark {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(MemoryMarkVisitor)
    }
}

impl serde::Serialize for MemoryMark {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

struct MemoryMarkVisitor;

impl Visitor<'_> for MemoryMarkVisitor {
    type Value = MemoryMark;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a share from \"1%\" to \"100%\" or an amount such as \"2GiB\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<MemoryMark, E> {
        MemoryMark::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_the_total_and_an_amount_is_not() {
        assert_eq!(
            MemoryMark::parse("60%").map(|mark| mark.resolve(1_000)),
            Some(600)
        );
        assert_eq!(
            MemoryMark::parse("2KiB").map(|mark| mark.resolve(1_000)),
            Some(2_048)
        );
        assert_eq!(
            MemoryMark::Percent(100).resolve(u64::MAX),
            u64::MAX / 100 * 100
        );
    }

    #[test]
    fn shares_beyond_the_whole_are_refused() {
        for text in ["0%", "101%", "-1%", "%", "half"] {
            assert_eq!(MemoryMark::parse(text), None, "{text}");
        }
    }
}
