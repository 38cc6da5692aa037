//! Values with a unit, a range or a form of their own, as they are written in the configuration.

mod byte_size;
mod duration;
mod hook;
mod maximum;
mod memory_mark;

use std::fmt;
use std::net::SocketAddr;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

pub use self::byte_size::ByteSize;
pub use self::maximum::Maximum;
pub use self::memory_mark::MemoryMark;

pub(super) use self::byte_size::message_size;
pub(super) use self::duration::{duration, heartbeat, serialize as duration_out};
pub(super) use self::hook::some_on_error_out;
pub(super) use self::hook::{
    duration_in, on_error, on_error_out, some_name, some_name_out, some_on_error, texts, texts_of,
};

/// Reads a list of `ADDR:PORT`.
pub(super) fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<SocketAddr>, D::Error> {
    Ok(Vec::<Address>::deserialize(from)?
        .into_iter()
        .map(|address| address.0)
        .collect())
}

/// Reads a whole number from `MIN` to `MAX`.
pub(super) fn from_range<'de, D, T, const MIN: u32, const MAX: u32>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    let number = i64::deserialize(from)?;
    if number < MIN.into() || number > MAX.into() {
        return Err(out_of_range(number, MIN, MAX));
    }
    T::try_from(number).map_err(|_| out_of_range(number, MIN, MAX))
}

/// Reads a log filter and checks that it can be used as one.
pub(super) fn log_level<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let level = String::deserialize(from)?;
    crate::logging::targets(&level).map_err(de::Error::custom)?;
    Ok(level)
}

/// Reads a regular expression and checks that it is one.
pub(super) fn pattern<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let pattern = String::deserialize(from)?;
    crate::auth::Pattern::new(&pattern).map_err(de::Error::custom)?;
    Ok(pattern)
}

/// Reads the hash of a password and checks that it has a known form.
pub(super) fn password_hash<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    let hash = String::deserialize(from)?;
    crate::auth::PasswordHash::parse(&hash).map_err(de::Error::custom)?;
    Ok(Some(hash))
}

fn out_of_range<E: de::Error>(number: i64, min: u32, max: u32) -> E {
    E::custom(format_args!(
        "{number} is out of range; give a number from {min} to {max}"
    ))
}

struct Address(SocketAddr);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(AddressVisitor)
    }
}

struct AddressVisitor;

impl Visitor<'_> for AddressVisitor {
    type Value = Address;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address and port such as \"127.0.0.1:5672\" or \"[::1]:5672\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Address, E> {
        let invalid = |_| E::invalid_value(de::Unexpected::Str(text), &self);
        text.parse().map(Address).map_err(invalid)
    }
}
