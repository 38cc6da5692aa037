//! A count that may be bounded: a number, or `"unlimited"`.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};

/// The most of something that may exist at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maximum(Option<u32>);

impl Maximum {
    /// No bound.
    pub const UNLIMITED: Self = Self(None);

    /// At most `count`.
    pub const fn at_most(count: u32) -> Self {
        Self(Some(count))
    }

    /// The bound, if there is one.
    pub const fn bound(self) -> Option<u32> {
        self.0
    }

    /// Whether another may be added to `count`.
    pub fn admits_another(self, count: usize) -> bool {
        self.0
            .is_none_or(|bound| u32::try_from(count).is_ok_and(|count| count < bound))
    }
}

impl fmt::Display for Maximum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bound) => bound.fmt(f),
            None => f.write_str("unlimited"),
        }
    }
}

impl<'de> Deserialize<'de> for Maximum {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(MaximumVisitor)
    }
}

impl serde::Serialize for Maximum {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(bound) => to.serialize_u32(bound),
            None => to.collect_str(self),
        }
    }
}

struct MaximumVisitor;

impl Visitor<'_> for MaximumVisitor {
    type Value = Maximum;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or \"unlimited\"")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Maximum, E> {
        u32::try_from(number)
            .map(Maximum::at_most)
            .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Maximum, E> {
        match text {
            "unlimited" => Ok(Maximum::UNLIMITED),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_admits_up_to_itself() {
        assert!(Maximum::at_most(2).admits_another(1));
        assert!(!Maximum::at_most(2).admits_another(2));
        assert!(!Maximum::at_most(0).admits_another(0));
        assert!(Maximum::UNLIMITED.admits_another(usize::MAX));
    }
}
