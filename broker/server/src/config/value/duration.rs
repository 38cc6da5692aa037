//! Durations: a whole number and its unit, `5ms`, `10s`, `2m`, `1h`.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Reads a duration.
pub(in crate::config) fn duration<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Duration, D::Error> {
    from.deserialize_str(DurationVisitor)
}

/// Reads a heartbeat: whole seconds that fit the 16 bits of `connection.tune`.
pub(in crate::config) fn heartbeat<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Duration, D::Error> {
    let heartbeat = duration(from)?;
    if heartbeat.subsec_millis() != 0 || heartbeat.as_secs() > u64::from(u16::MAX) {
        let text = "a heartbeat is in whole seconds, from \"0s\" (none) to \"65535s\"";
        return Err(de::Error::custom(text));
    }
    Ok(heartbeat)
}

/// Writes a duration so that it can be read again.
pub(in crate::config) fn serialize<S: serde::Serializer>(
    duration: &Duration,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{}ms", duration.as_millis()))
}

fn parse(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(*factor)
        .map(Duration::from_millis)
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with its unit such as \"500ms\", \"10s\", \"2m\" or \"1h\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        let cases = [
            ("5ms", 5),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1 h", 3_600_000),
            ("1d", 86_400_000),
            ("0s", 0),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_has_no_unit_or_no_number_is_refused() {
        for text in [
            "",
            "5",
            "ms",
            "-5s",
            "1.5s",
            "5sec",
            "5 ms x",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
