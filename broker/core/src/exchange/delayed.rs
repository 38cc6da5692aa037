//! Exchanges that let messages wait before they route them: `x-delayed-message`, and any other with `x-delayed-exchange`.

use amphora_protocol::wire::table::{FieldTable, FieldValue};

use super::ExchangeType;

/// The header that says how many milliseconds a message is to wait; afterwards it is there with its number negated.
pub const DELAY: &str = "x-delay";

/// The argument that names the type by which an `x-delayed-message` exchange routes.
pub const DELAYED_TYPE: &str = "x-delayed-type";

/// The argument that makes an exchange of any type let messages wait.
const DELAYED_EXCHANGE: &str = "x-delayed-exchange";

/// Whether an exchange of this type with these arguments lets messages wait; nothing if they do not say.
pub(crate) fn delays(exchange_type: &ExchangeType, arguments: &FieldTable) -> Option<bool> {
    if *exchange_type == ExchangeType::DelayedMessage {
        return Some(true);
    }
    arguments.get(DELAYED_EXCHANGE)?.as_bool()
}

/// Why an exchange is refused that has the argument in a way that means nothing.
pub(crate) fn check(arguments: &FieldTable) -> Result<(), String> {
    match arguments.get(DELAYED_EXCHANGE) {
        None | Some(FieldValue::Bool(_)) => Ok(()),
        Some(other) => Err(format!(
            "invalid type '{}' for arg '{DELAYED_EXCHANGE}'",
            other.type_name()
        )),
    }
}

/// The name of the type by which an `x-delayed-message` exchange with these arguments routes.
pub(crate) fn inner_type(arguments: &FieldTable) -> Option<&str> {
    arguments.get(DELAYED_TYPE)?.as_str()
}

/// How long a message with these headers is to wait, in milliseconds. One that is not to, or says so in a way that means nothing, does not.
pub fn delay_ms(headers: &FieldTable) -> Option<u64> {
    let delay = whole(headers.get(DELAY)?)?;
    u64::try_from(delay).ok().filter(|delay| *delay > 0)
}

/// The headers as they go on when the wait is over.
pub fn waited(mut headers: FieldTable) -> FieldTable {
    if let Some(delay) = headers.get(DELAY).and_then(whole) {
        let negated = delay.saturating_neg();
        let value = i32::try_from(negated).map_or(FieldValue::I64(negated), FieldValue::I32);
        if let Some(name) = headers.iter().find(|(name, _)| *name == *DELAY) {
            let name = name.0.clone();
            headers.insert(name, value);
        }
    }
    headers
}

/// A whole number, as an integer, a float or a text of digits.
fn whole(value: &FieldValue) -> Option<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "floats of more than an integer's range become the nearest one"
    )]
    match value {
        FieldValue::LongString(_) => value.as_str()?.parse().ok(),
        FieldValue::F32(number) => Some(*number as i64),
        FieldValue::F64(number) => Some(*number as i64),
        other => other.as_integer(),
    }
}

#[cfg(test)]
mod tests {
    use amphora_protocol::wire::table::{FieldTable, FieldValue};
    use amphora_protocol::wire::types::ShortString;

    use super::{DELAY, delay_ms, waited};

    fn headers(value: impl Into<FieldValue>) -> FieldTable {
        let name = ShortString::new(DELAY).expect("short");
        [(name, value.into())].into_iter().collect()
    }

    #[test]
    fn a_delay_is_a_positive_number() {
        for (value, expected) in [
            (FieldValue::I32(5), Some(5)),
            (FieldValue::U8(5), Some(5)),
            (FieldValue::I64(5_000_000_000), Some(5_000_000_000)),
            (FieldValue::F64(7.9), Some(7)),
            ("12".into(), Some(12)),
            (FieldValue::I32(0), None),
            (FieldValue::I32(-5), None),
            ("soon".into(), None),
            (FieldValue::Bool(true), None),
            (FieldValue::Void, None),
        ] {
            assert_eq!(delay_ms(&headers(value.clone())), expected, "{value:?}");
        }
        assert_eq!(delay_ms(&FieldTable::new()), None);
    }

    #[test]
    fn afterwards_the_number_is_negated() {
        assert_eq!(waited(headers(5)), headers(-5));
        assert_eq!(waited(headers("12")), headers(-12));
        let long = FieldValue::I64(-5_000_000_000);
        assert_eq!(
            waited(headers(FieldValue::I64(5_000_000_000))),
            headers(long)
        );
        assert_eq!(waited(FieldTable::new()), FieldTable::new());
        assert_eq!(delay_ms(&waited(headers(5))), None);
    }
}
