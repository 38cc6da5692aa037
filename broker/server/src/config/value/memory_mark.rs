//! The memory mark: an amount, or a share of what the machine (or its control group) grants.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};

use super::ByteSize;

/// How much memory may be in use before publishers are blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryMark {
    /// A share of the memory that there is, in millionths of the whole.
    Millionths(u32),
    /// An amount.
    Bytes(ByteSize),
}

/// The whole, in millionths.
const WHOLE: u32 = 1_000_000;

impl MemoryMark {
    /// A share in percent, up to 100.
    pub const fn percent(percent: u8) -> Self {
        Self::Millionths(WHOLE / 100 * percent as u32)
    }

    /// The mark in bytes, where `total` bytes are granted to this process.
    pub fn resolve(self, total: u64) -> u64 {
        match self {
            Self::Millionths(share) => {
                let mark = u128::from(total) * u128::from(share) / u128::from(WHOLE);
                u64::try_from(mark).unwrap_or(u64::MAX)
            }
            Self::Bytes(size) => size.as_bytes(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let Some(percent) = text.strip_suffix('%') else {
            return ByteSize::parse(text).map(Self::Bytes);
        };
        let (whole, places) = percent
            .trim_end()
            .split_once('.')
            .unwrap_or((percent.trim_end(), "0"));
        let is_number =
            |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number(whole) || !is_number(places) {
            return None;
        }
        // A percent has four places of millionths; what is finer is cut off.
        let places: u32 = format!("{places:0<4.4}").parse().ok()?;
        let share = whole
            .parse::<u32>()
            .ok()?
            .checked_mul(WHOLE / 100)?
            .checked_add(places)?;
        (share <= WHOLE).then_some(Self::Millionths(share))
    }
}

impl fmt::Display for MemoryMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Millionths(share) => {
                let (percent, places) = (share / (WHOLE / 100), share % (WHOLE / 100));
                if places == 0 {
                    return write!(f, "{percent}%");
                }
                let places = format!("{places:04}");
                write!(f, "{percent}.{}%", places.trim_end_matches('0'))
            }
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
        f.write_str("a share from \"0%\" to \"100%\" or an amount such as \"2GiB\"")
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
        assert_eq!(MemoryMark::percent(100).resolve(u64::MAX), u64::MAX);
    }

    #[test]
    fn shares_beyond_the_whole_are_refused() {
        for text in [
            "101%",
            "100.0001%",
            "-1%",
            "%",
            ".%",
            "1.%",
            ".5%",
            "1e1%",
            "99999999999%",
            "half",
        ] {
            assert_eq!(MemoryMark::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_share_may_have_places_behind_the_point() {
        for (text, total, mark, shown) in [
            ("45.5%", 1_000, 455, "45.5%"),
            ("7.0%", 1_000, 70, "7%"),
            ("33.3333 %", 1_000_000, 333_333, "33.3333%"),
            ("33.33339%", 1_000_000, 333_333, "33.3333%"),
            ("0.05%", 10_000, 5, "0.05%"),
            ("0%", 1_000, 0, "0%"),
        ] {
            let parsed = MemoryMark::parse(text);
            assert_eq!(parsed.map(|mark| mark.resolve(total)), Some(mark), "{text}");
            assert_eq!(parsed.map(|mark| mark.to_string()).as_deref(), Some(shown));
        }
    }
}
