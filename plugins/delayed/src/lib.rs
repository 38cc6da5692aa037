//! Lets messages wait: for the milliseconds of their header `x-delay`, or until the time of `x-delay-until`.
//!
//! Waiting is the broker's part; this plugin only reads the headers and says how long.

use amphora_sdk::transform::{Message, Replacement, Transform, Verdict};
use amphora_sdk::{Description, Needs, Value};

const DELAY: &str = "x-delay";
const UNTIL: &str = "x-delay-until";

/// Ten years in milliseconds: the longest delay that the broker takes.
const MAX_MS: u64 = 315_360_000_000;

/// The transform.
#[derive(Debug)]
pub struct Delayed;

impl Transform for Delayed {
    fn configure() -> Result<Self, String> {
        Ok(Self)
    }

    fn describe(&self) -> Description {
        Description::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            Needs::new().time().headers([DELAY, UNTIL]),
        )
    }

    fn apply(&mut self, message: &Message, _queue: Option<&str>) -> Verdict {
        let headers = (message.headers.get(DELAY), message.headers.get(UNTIL));
        let verdict = match headers {
            (None, None) => Ok(Verdict::Pass),
            (Some(delay), None) => after(delay),
            (None, Some(until)) => self::until(until, message.time_ms),
            (Some(_), Some(_)) => Err(format!("both {DELAY} and {UNTIL} are there")),
        };
        verdict.unwrap_or_else(Verdict::Reject)
    }
}

/// The header goes on with its number negated, as RabbitMQ's delayed exchange has it: consumers see how long the message waited,
/// and a message that is published again as it is does not wait again.
fn after(delay: &Value) -> Result<Verdict, String> {
    let delay_ms = whole(delay).ok_or_else(|| {
        format!(
            "{DELAY} takes a number of milliseconds, and is {}",
            shown(delay)
        )
    })?;
    let Ok(wait_ms) = u64::try_from(delay_ms) else {
        return Ok(Verdict::Pass);
    };
    let replacement = Replacement::new().set_header(DELAY, -delay_ms);
    Ok(match limited(DELAY, wait_ms)? {
        0 => Verdict::Pass,
        wait_ms => replacement.delay_ms(wait_ms).into(),
    })
}

/// The header goes, as there is no negative time.
fn until(until: &Value, now_ms: u64) -> Result<Verdict, String> {
    let until_ms = match until {
        Value::Timestamp(seconds) => seconds.checked_mul(1000),
        other => whole(other).and_then(|number| u64::try_from(number).ok()),
    };
    let until_ms = until_ms.ok_or_else(|| {
        format!(
            "{UNTIL} takes a timestamp, or a number of milliseconds since 1970, and is {}",
            shown(until)
        )
    })?;
    let wait_ms = limited(UNTIL, until_ms.saturating_sub(now_ms))?;
    let replacement = Replacement::new().remove_header(UNTIL);
    Ok(replacement.delay_ms(wait_ms).into())
}

fn limited(header: &str, wait_ms: u64) -> Result<u64, String> {
    if wait_ms > MAX_MS {
        return Err(format!(
            "{header} asks for {wait_ms} ms, and a message waits at most {MAX_MS} ms (ten years)"
        ));
    }
    Ok(wait_ms)
}

/// A whole number. Some clients write numbers as texts, and some write all numbers as floats.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Text(digits) => digits.parse().ok(),
        // Up to 2⁵³, floats of whole numbers are exact; the limit is below that.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is checked to be in range"
        )]
        Value::Float(number) if number.abs() < 9e15 => Some(*number as i64),
        other => other.as_integer(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("'{text}'"),
        Value::Float(number) => number.to_string(),
        Value::Signed(number) => number.to_string(),
        Value::Unsigned(number) => number.to_string(),
        other => other.type_name().to_owned(),
    }
}

amphora_sdk::export_transform!(Delayed);

#[cfg(test)]
mod tests {
    use amphora_sdk::Value;
    use amphora_sdk::testing::{Transforming, message};
    use amphora_sdk::transform::{Replacement, Verdict};

    use super::Delayed;

    fn verdict(headers: &[(&str, Value)]) -> Verdict {
        let mut delayed =
            Transforming::<Delayed>::configure().expect("there is nothing to configure");
        let message = message().time_ms(1_000_000);
        let message = headers.iter().fold(message, |message, (name, value)| {
            message.header(name, value.clone())
        });
        delayed.apply(&message)
    }

    fn waits(delay_ms: u64, header: i64) -> Verdict {
        let replacement = Replacement::new().set_header("x-delay", header);
        replacement.delay_ms(delay_ms).into()
    }

    fn until(delay_ms: u64) -> Verdict {
        let replacement = Replacement::new().remove_header("x-delay-until");
        replacement.delay_ms(delay_ms).into()
    }

    #[test]
    fn a_message_without_the_headers_passes() {
        assert_eq!(verdict(&[]), Verdict::Pass);
        assert_eq!(verdict(&[("other", 5.into())]), Verdict::Pass);
    }

    #[test]
    fn numbers_of_all_kinds_are_milliseconds() {
        for value in [
            5000.into(),
            Value::Unsigned(5000),
            "5000".into(),
            5000.9.into(),
        ] {
            assert_eq!(verdict(&[("x-delay", value)]), waits(5000, -5000));
        }
    }

    #[test]
    fn a_message_that_has_waited_does_not_wait_again() {
        assert_eq!(verdict(&[("x-delay", (-5000).into())]), Verdict::Pass);
        assert_eq!(verdict(&[("x-delay", 0.into())]), Verdict::Pass);
    }

    #[test]
    fn a_time_is_waited_for() {
        let until_header = |value: Value| verdict(&[("x-delay-until", value)]);
        assert_eq!(until_header(Value::Timestamp(1_060)), until(60_000));
        assert_eq!(until_header(1_000_001.into()), until(1));
        assert_eq!(until_header("1000001".into()), until(1));
        assert_eq!(until_header(Value::Timestamp(1)), until(0));
    }

    #[test]
    fn bad_values_are_rejected_with_a_reason() {
        let ten_years = 315_360_000_000_i64;
        assert_eq!(
            verdict(&[("x-delay", ten_years.into())]),
            waits(315_360_000_000, -ten_years)
        );
        for (name, value, reason) in [
            (
                "x-delay",
                Value::from("soon"),
                "x-delay takes a number of milliseconds, and is 'soon'",
            ),
            (
                "x-delay",
                true.into(),
                "x-delay takes a number of milliseconds, and is a boolean",
            ),
            (
                "x-delay",
                f64::NAN.into(),
                "x-delay takes a number of milliseconds, and is NaN",
            ),
            (
                "x-delay",
                (ten_years + 1).into(),
                "x-delay asks for 315360000001 ms, and a message waits at most 315360000000 ms (ten years)",
            ),
            (
                "x-delay-until",
                (-1).into(),
                "x-delay-until takes a timestamp, or a number of milliseconds since 1970, and is -1",
            ),
            (
                "x-delay-until",
                Value::Timestamp(u64::MAX),
                "x-delay-until takes a timestamp, or a number of milliseconds since 1970, and is a timestamp",
            ),
        ] {
            assert_eq!(
                verdict(&[(name, value)]),
                Verdict::Reject(reason.to_owned())
            );
        }
        let both = verdict(&[("x-delay", 1.into()), ("x-delay-until", 1.into())]);
        let reason = "both x-delay and x-delay-until are there".to_owned();
        assert_eq!(both, Verdict::Reject(reason));
    }
}
