//! Where a consumer of a stream begins, and which messages it wants: its arguments.

use amphora_protocol::exception::ChannelException;
use amphora_protocol::wire::table::{FieldTable, FieldValue};

use crate::queue_arguments::max_age;

use super::filter::Filter;
use super::header::OFFSET;

const TRACKING: &str = "x-stream-automatic-offset-tracking";
const FILTER: &str = "x-stream-filter";
const MATCH_UNFILTERED: &str = "x-stream-match-unfiltered";

/// `x-stream-offset`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The oldest message that is there.
    First,
    /// The batch that was stored last.
    Last,
    /// What is published from now on.
    Next,
    /// This offset, or the oldest message if that is gone; a negative one counts back from the end.
    Offset(i64),
    /// The first message that was published then or later, in milliseconds since the Unix epoch.
    Time(u64),
    /// The first message that was published so many milliseconds ago or later.
    Ago(u64),
}

/// What the arguments of basic.consume say about a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Nothing if the client left it open.
    pub(super) start: Option<Start>,
    /// Whether the broker remembers how far the consumer came, if the client said so.
    pub(super) tracking: Option<bool>,
    pub(super) filter: Option<Filter>,
}

impl Subscription {
    /// Reads the arguments; `of` is how texts name the stream: `queue 's' in vhost '/'`.
    ///
    /// # Errors
    /// `PRECONDITION_FAILED` for a value that makes no sense, naming the argument.
    pub fn parse(arguments: &FieldTable, of: &str) -> Result<Self, ChannelException> {
        Self::read(arguments).map_err(|(argument, value)| {
            let text = format!(
                "failed consuming from stream {of}: invalid arg '{argument}': {}",
                described(value)
            );
            ChannelException::precondition_failed(text)
        })
    }

    /// The argument that makes no sense, and its value.
    pub(super) fn read(arguments: &FieldTable) -> Result<Self, (&'static str, &FieldValue)> {
        let start = match arguments.get(OFFSET) {
            None => None,
            Some(value) => Some(start(value).ok_or((OFFSET, value))?),
        };
        let tracking = flag(arguments, TRACKING)?;
        let match_unfiltered = flag(arguments, MATCH_UNFILTERED)?.unwrap_or(false);
        let filter = match arguments.get(FILTER) {
            None => None,
            Some(value) => {
                let values = filter_values(value).ok_or((FILTER, value))?;
                Some(Filter::new(values, match_unfiltered))
            }
        };
        Ok(Self {
            start,
            tracking,
            filter,
        })
    }
}

fn start(value: &FieldValue) -> Option<Start> {
    if let FieldValue::Timestamp(seconds) = value {
        return Some(Start::Time(seconds.saturating_mul(1000)));
    }
    if let Some(offset) = value.as_integer() {
        return Some(Start::Offset(offset));
    }
    match value.as_str()? {
        "first" => Some(Start::First),
        "last" => Some(Start::Last),
        "next" => Some(Start::Next),
        interval => {
            let age = max_age(interval)?.as_millis();
            Some(Start::Ago(u64::try_from(age).unwrap_or(u64::MAX)))
        }
    }
}

fn flag<'a>(
    arguments: &'a FieldTable,
    name: &'static str,
) -> Result<Option<bool>, (&'static str, &'a FieldValue)> {
    match arguments.get(name) {
        None => Ok(None),
        Some(value) => value.as_bool().map(Some).ok_or((name, value)),
    }
}

/// One string, or an array of them.
fn filter_values(value: &FieldValue) -> Option<Vec<Box<[u8]>>> {
    let text = |value: &FieldValue| match value {
        FieldValue::LongString(text) => Some(Box::from(&text[..])),
        _ => None,
    };
    match value {
        FieldValue::Array(values) => values.iter().map(text).collect(),
        value => text(value).map(|text| vec![text]),
    }
}

fn described(value: &FieldValue) -> String {
    match value.as_str() {
        Some(text) => format!("\"{text}\""),
        None => format!("{{unacceptable_type,{}}}", value.type_name()),
    }
}

#[cfg(test)]
mod tests {
    use amphora_protocol::wire::table::{FieldTable, FieldValue};
    use amphora_protocol::wire::types::ShortString;

    use super::{Start, Subscription};

    fn offset(value: impl Into<FieldValue>) -> Result<Option<Start>, String> {
        let arguments: FieldTable = [(ShortString::cut("x-stream-offset"), value.into())]
            .into_iter()
            .collect();
        Subscription::parse(&arguments, "queue 's' in vhost '/'")
            .map(|subscription| subscription.start)
            .map_err(|error| error.reply_text().to_string())
    }

    #[test]
    fn offsets_of_every_kind() {
        assert_eq!(offset("first"), Ok(Some(Start::First)));
        assert_eq!(offset("last"), Ok(Some(Start::Last)));
        assert_eq!(offset("next"), Ok(Some(Start::Next)));
        assert_eq!(offset(17), Ok(Some(Start::Offset(17))));
        assert_eq!(offset(-3), Ok(Some(Start::Offset(-3))));
        assert_eq!(offset("2h"), Ok(Some(Start::Ago(7_200_000))));
        let time = FieldValue::Timestamp(1_700_000_000);
        assert_eq!(offset(time), Ok(Some(Start::Time(1_700_000_000_000))));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        assert_eq!(
            offset("yesterday"),
            Err(
                "PRECONDITION_FAILED - failed consuming from stream queue 's' in vhost '/': invalid arg 'x-stream-offset': \"yesterday\""
                    .to_owned()
            )
        );
        assert!(offset(true).is_err());
        for name in ["x-stream-filter", "x-stream-match-unfiltered"] {
            let arguments: FieldTable = [(ShortString::cut(name), FieldValue::from(1))]
                .into_iter()
                .collect();
            assert!(Subscription::parse(&arguments, "queue 's'").is_err());
        }
    }
}
