//! How long a load lasts, as the command line says it.

use std::time::Duration;

/// Nanoseconds of a few of these have room in 64 bits.
const LENGTH_MAX: Duration = Duration::from_hours(365 * 24);

/// Parses seconds with an optional fraction and an optional `s` or `m`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let (number, factor) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60.0),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("{text} is not a number of seconds"))?;
    let length = Duration::try_from_secs_f64(number * factor).map_err(|error| error.to_string())?;
    if length > LENGTH_MAX {
        return Err("at most a year".to_owned());
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_minutes_up_to_a_year() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(seconds("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(seconds("0.5m"), Ok(Duration::from_secs(30)));
        assert_eq!(seconds("525600m"), Ok(LENGTH_MAX));
        for (text, says) in [
            ("1e12", "at most a year"),
            ("525601m", "at most a year"),
            ("-1", "negative"),
            ("soon", "soon is not a number"),
        ] {
            let error = seconds(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
