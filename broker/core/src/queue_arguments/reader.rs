//! Reading one argument each, with RabbitMQ's texts for what is refused: Erlang terms, because that is what it prints.

use std::fmt;
use std::time::Duration;

use amphora_protocol::exception::ChannelException;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::RoutingKey;

use super::{
    DEAD_LETTER_EXCHANGE, DelayedRetry, DelayedRetryType, QUEUE_TYPE, QueueType, Retry, RetryOn,
};

/// Ten years: the longest time to live or to expiry.
pub(crate) const EXPIRY_MS_MAX: u64 = 315_360_000_000;
pub(crate) const STREAM_SEGMENT_BYTES_MAX: u64 = 3_000_000_000;

const STREAM_SEGMENT_BYTES: &str = "x-stream-max-segment-size-bytes";
const STREAM_FILTER_BYTES: &str = "x-stream-filter-size-bytes";

/// An argument that is not accepted. The reason is what follows the queue in the text.
pub(super) struct Invalid {
    pub(super) argument: String,
    pub(super) reason: String,
}

impl Invalid {
    /// As the client is told that asked for the queue.
    pub(super) fn told(self, of: &str) -> ChannelException {
        let Self { argument, reason } = self;
        ChannelException::precondition_failed(format!("invalid arg '{argument}' for {of}{reason}"))
    }
}

fn invalid(argument: &str, term: impl fmt::Display) -> Invalid {
    Invalid {
        argument: argument.to_owned(),
        reason: format!(": {term}"),
    }
}

fn unsupported_type(other: &str) -> Invalid {
    invalid(
        QUEUE_TYPE,
        format_args!("\"unsupported queue type '{other}'\""),
    )
}

/// The arguments; each method reads one, by its name.
pub(super) struct Reader<'a>(pub(super) &'a FieldTable);

impl Reader<'_> {
    fn integer(&self, name: &str) -> Result<Option<i64>, Invalid> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let integer = value.as_integer().ok_or_else(|| {
            let term = format!("\"expected integer, got {}\"", value.type_name());
            invalid(name, term)
        })?;
        Ok(Some(integer))
    }

    pub(super) fn count(&self, name: &str) -> Result<Option<u64>, Invalid> {
        let Some(integer) = self.integer(name)? else {
            return Ok(None);
        };
        let count = u64::try_from(integer)
            .map_err(|_| invalid(name, format_args!("{{value_negative,{integer}}}")))?;
        Ok(Some(count))
    }

    fn positive_count(&self, name: &str) -> Result<Option<u64>, Invalid> {
        match self.count(name)? {
            Some(0) => Err(invalid(name, "{value_zero,0}")),
            count => Ok(count),
        }
    }

    pub(super) fn expiry(&self, name: &str, min: u64) -> Result<Option<Duration>, Invalid> {
        let count = if min > 0 {
            self.positive_count(name)?
        } else {
            self.count(name)?
        };
        match count {
            Some(ms) if ms > EXPIRY_MS_MAX => {
                Err(invalid(name, format_args!("{{value_too_large,{ms}}}")))
            }
            count => Ok(count.map(Duration::from_millis)),
        }
    }

    pub(super) fn max_priority(&self) -> Result<Option<u8>, Invalid> {
        let name = "x-max-priority";
        let Some(count) = self.count(name)? else {
            return Ok(None);
        };
        let too_many = |_| invalid(name, format_args!("{{max_value_exceeded,{count}}}"));
        u8::try_from(count).map(Some).map_err(too_many)
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Invalid> {
        match self.0.get(name) {
            None => Ok(false),
            Some(FieldValue::Bool(value)) => Ok(*value),
            Some(other) => Err(unacceptable_type(name, other)),
        }
    }

    fn text(&self, name: &str) -> Result<Option<String>, Invalid> {
        match self.0.get(name) {
            None => Ok(None),
            Some(FieldValue::LongString(text)) => {
                Ok(Some(String::from_utf8_lossy(text).into_owned()))
            }
            Some(other) => Err(unacceptable_type(name, other)),
        }
    }

    pub(super) fn choice<T: Default>(
        &self,
        name: &str,
        term: &str,
        choose: fn(&str) -> Option<T>,
    ) -> Result<T, Invalid> {
        let Some(text) = self.text(name)? else {
            return Ok(T::default());
        };
        choose(&text).ok_or_else(|| invalid(name, term))
    }

    /// A name, which has to be UTF-8 of at most 255 bytes.
    pub(super) fn name<T>(
        &self,
        name: &str,
        make: fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Invalid> {
        match self.0.get(name) {
            None => Ok(None),
            Some(FieldValue::LongString(text)) => {
                let parsed = std::str::from_utf8(text).ok().and_then(make);
                parsed
                    .map(Some)
                    .ok_or_else(|| invalid(name, "invalid_name"))
            }
            Some(other) => Err(unacceptable_type(name, other)),
        }
    }

    pub(super) fn dead_letter_routing_key(&self) -> Result<Option<RoutingKey>, Invalid> {
        let name = "x-dead-letter-routing-key";
        let key = self.name(name, |key| RoutingKey::new(key).ok())?;
        if key.is_some() && self.0.get(DEAD_LETTER_EXCHANGE).is_none() {
            return Err(invalid(name, "routing_key_but_no_dlx_defined"));
        }
        Ok(key)
    }

    pub(super) fn queue_type(&self) -> Result<QueueType, Invalid> {
        match self.text(QUEUE_TYPE)?.as_deref() {
            // The last two are in stores of earlier versions.
            None | Some("classic" | "" | "undefined") => Ok(QueueType::Classic),
            Some("quorum") => Ok(QueueType::Quorum),
            Some("stream") => Ok(QueueType::Stream),
            Some(other) => Err(unsupported_type(other)),
        }
    }

    /// Nonsense here switches delayed retry off, as it does in RabbitMQ.
    pub(super) fn delayed_retry(&self) -> Option<DelayedRetry> {
        let retry_type = match self.0.get("x-delayed-retry-type")?.as_str()? {
            "all" => DelayedRetryType::All,
            "failed" => DelayedRetryType::Failed,
            "returned" => DelayedRetryType::Returned,
            _ => return None,
        };
        let delay = |name| {
            u64::try_from(self.0.get(name)?.as_integer()?)
                .ok()
                .map(Duration::from_millis)
        };
        let min = delay("x-delayed-retry-min")?;
        let max = delay("x-delayed-retry-max").unwrap_or(min).max(min);
        Some(DelayedRetry {
            retry_type,
            min,
            max,
        })
    }

    /// Retries, if there is one of the arguments that ask for them.
    pub(super) fn retry(&self) -> Result<Option<Retry>, Invalid> {
        let attempts = "x-retry-max-attempts";
        let max_attempts =
            match self.positive_count(attempts)? {
                None => None,
                Some(count) => Some(u32::try_from(count).map_err(|_| {
                    invalid(attempts, format_args!("{{max_value_exceeded,{count}}}"))
                })?),
            };
        let delay = self.expiry("x-retry-delay", 0)?;
        let factor = self.number("x-retry-factor", 1.0, f64::from(u16::MAX))?;
        let jitter = self.number("x-retry-jitter", 0.0, 1.0)?;
        let max_delay = self.expiry("x-retry-max-delay", 0)?;
        let on = self.choice("x-retry-on", "invalid_retry_on", |text| match text {
            "requeue" => Some(RetryOn::Requeue),
            "all" => Some(RetryOn::All),
            _ => None,
        })?;
        if max_attempts.is_none() && delay.is_none() {
            return Ok(None);
        }
        Ok(Some(Retry {
            max_attempts,
            delay: delay.unwrap_or_default(),
            factor: factor.unwrap_or(2.0),
            jitter: jitter.unwrap_or(0.0),
            max_delay: max_delay.unwrap_or(Duration::from_millis(EXPIRY_MS_MAX)),
            on,
        }))
    }

    /// A number, also a broken one, between two bounds.
    fn number(&self, name: &str, min: f64, max: f64) -> Result<Option<f64>, Invalid> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let number = value.as_number().ok_or_else(|| {
            let term = format!("\"expected number, got {}\"", value.type_name());
            invalid(name, term)
        })?;
        if (min..=max).contains(&number) {
            Ok(Some(number))
        } else {
            Err(invalid(
                name,
                format_args!("{{value_out_of_range,{number}}}"),
            ))
        }
    }

    /// A number and a unit: `7D`.
    pub(super) fn max_age(&self) -> Result<Option<Duration>, Invalid> {
        let name = "x-max-age";
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        max_age(&text)
            .map(Some)
            .ok_or_else(|| invalid(name, "invalid_max_age"))
    }

    /// What is checked although it has no meaning for a broker of one node.
    pub(super) fn check_the_rest(&self, queue_type: QueueType) -> Result<(), Invalid> {
        for name in [
            "x-max-in-memory-length",
            "x-max-in-memory-bytes",
            "x-consumer-disconnected-timeout",
        ] {
            self.count(name)?;
        }
        for name in ["x-quorum-initial-group-size", "x-initial-cluster-size"] {
            self.positive_count(name)?;
        }
        if queue_type == QueueType::Classic
            && let Some(version) = self.count("x-queue-version")?
            && !(1..=2).contains(&version)
        {
            return Err(invalid(
                "x-queue-version",
                format_args!("\"unsupported queue version '{version}'\""),
            ));
        }
        self.choice(
            "x-queue-leader-locator",
            "invalid_queue_locator_arg",
            |text| match text {
                "client-local" | "balanced" => Some(()),
                _ => None,
            },
        )?;
        self.count(STREAM_FILTER_BYTES).map(drop)
    }

    /// Refuses what earlier versions took, and which is in their stores: a queue that is there has to be read, one that is declared has not to be made.
    pub(super) fn check_declared(&self) -> Result<(), Invalid> {
        if let Some(other @ ("" | "undefined")) = self.text(QUEUE_TYPE)?.as_deref() {
            return Err(unsupported_type(other));
        }
        if let Some(mode) = self.text("x-queue-mode")?
            && !["default", "lazy"].contains(&mode.as_str())
        {
            return Err(invalid(
                "x-queue-mode",
                format_args!("\"unsupported queue mode '{mode}'\""),
            ));
        }
        Ok(())
    }

    /// The sizes of which RabbitMQ has texts of their own. That they are counts has been checked.
    pub(super) fn check_sizes(&self) -> Result<(), ChannelException> {
        let size = |name| self.0.get(name).and_then(FieldValue::as_integer);
        let refusal = if size(STREAM_SEGMENT_BYTES)
            .is_some_and(|bytes| bytes > STREAM_SEGMENT_BYTES_MAX.cast_signed())
        {
            format!("Exceeded max value for {STREAM_SEGMENT_BYTES}")
        } else if size(STREAM_FILTER_BYTES).is_some_and(|bytes| !(16..=255).contains(&bytes)) {
            format!("Invalid value for {STREAM_FILTER_BYTES}")
        } else {
            return Ok(());
        };
        Err(ChannelException::precondition_failed(refusal))
    }
}

/// A number and a unit: `7D`.
pub(crate) fn max_age(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_seconds: u64 = match unit {
        "Y" => 365 * 86_400,
        "M" => 30 * 86_400,
        "D" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return None,
    };
    let number = number.parse::<u64>().ok().filter(|number| *number > 0)?;
    number.checked_mul(unit_seconds).map(Duration::from_secs)
}

fn unacceptable_type(name: &str, value: &FieldValue) -> Invalid {
    invalid(
        name,
        format_args!("{{unacceptable_type,{}}}", value.type_name()),
    )
}
