//! Deduplication: a message that says the same id as one before it, within a window by number and time, goes nowhere.
//!
//! Exchanges and queues have it that are declared with `x-message-deduplication`; the further arguments are LavinMQ's.

mod window;

use std::time::Duration;

use amphora_protocol::exception::ChannelException;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::ShortString;
use xxhash_rust::xxh3::xxh3_128;

pub use self::window::{Admission, Window};
use crate::topology::reply_text::Plain;

/// The argument that asks for it.
const DEDUPLICATION: &str = "x-message-deduplication";
const CACHE_SIZE: &str = "x-cache-size";
const CACHE_TTL: &str = "x-cache-ttl";
/// The argument that names the header with a message's id, and that header's name if nothing is said.
const HEADER: &str = "x-deduplication-header";

const CACHE_SIZE_DEFAULT: u64 = 128;

/// More ids than this are not kept: each of them takes some 80 bytes of memory.
const CACHE_SIZE_MAX: u64 = 10_000_000;

/// What an id is compared as.
pub type IdHash = u128;

/// What the arguments of an exchange or queue say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deduplication {
    /// How many ids are remembered.
    pub size: usize,
    /// How long each of them is.
    pub ttl: Option<Duration>,
    /// The header that holds a message's id.
    pub header: ShortString,
}

impl Deduplication {
    /// The arguments that an exchange or queue is declared again with only if they are the same.
    pub(crate) const ARGUMENTS: [&str; 4] = [DEDUPLICATION, CACHE_SIZE, CACHE_TTL, HEADER];

    /// Parses the arguments; nothing if they do not ask for it. `of` is how texts name whose they are: `queue 'q' in vhost '/'`.
    ///
    /// # Errors
    /// `PRECONDITION_FAILED` for a value that means nothing.
    pub fn parse(arguments: &FieldTable, of: &str) -> Result<Option<Self>, ChannelException> {
        let refused = |name: &str, reason: &str| {
            let text = format!("invalid arg '{name}' for {of}: {reason}");
            ChannelException::precondition_failed(text)
        };
        let positive = |name: &str| match arguments.get(name) {
            None => Ok(None),
            Some(value) => match value.as_integer().map(u64::try_from) {
                Some(Ok(count)) if count > 0 => Ok(Some(count)),
                Some(_) => Err(refused(name, &format!("{} is not positive", Plain(value)))),
                None => {
                    let found = value.type_name();
                    Err(refused(name, &format!("\"expected integer, got {found}\"")))
                }
            },
        };
        match arguments.get(DEDUPLICATION) {
            None | Some(FieldValue::Bool(false)) => return Ok(None),
            Some(FieldValue::Bool(true)) => {}
            Some(other) => {
                let reason = format!("{{unacceptable_type,{}}}", other.type_name());
                return Err(refused(DEDUPLICATION, &reason));
            }
        }
        let size = positive(CACHE_SIZE)?.unwrap_or(CACHE_SIZE_DEFAULT);
        if size > CACHE_SIZE_MAX {
            let reason = format!("{{value_too_large,{size}}}");
            return Err(refused(CACHE_SIZE, &reason));
        }
        let header = match arguments.get(HEADER) {
            None => HEADER,
            Some(value) => value.as_str().ok_or_else(|| {
                let reason = format!("{{unacceptable_type,{}}}", value.type_name());
                refused(HEADER, &reason)
            })?,
        };
        if header.is_empty() {
            return Err(refused(HEADER, "the name is empty"));
        }
        let header =
            ShortString::new(header).map_err(|_| refused(HEADER, "the name is too long"))?;
        Ok(Some(Self {
            size: usize::try_from(size).unwrap_or(usize::MAX),
            ttl: positive(CACHE_TTL)?.map(Duration::from_millis),
            header,
        }))
    }

    /// The id among a message's headers; nothing if it has none, and then it is no duplicate. A message that died and comes back is none, either.
    pub fn id(&self, headers: &FieldTable) -> Option<IdHash> {
        let value = headers.get(&self.header)?;
        if headers.get("x-death").is_some() {
            return None;
        }
        if let FieldValue::LongString(text) = value {
            return Some(xxh3_128(text));
        }
        if let Some(number) = value.as_integer() {
            return Some(xxh3_128(number.to_string().as_bytes()));
        }
        let mut bytes = Vec::new();
        let table: FieldTable = [(ShortString::default(), value.clone())]
            .into_iter()
            .collect();
        table.encode(&mut bytes);
        Some(xxh3_128(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(fields: &[(&str, FieldValue)]) -> FieldTable {
        let fields = fields.iter();
        fields
            .map(|(name, value)| (ShortString::new(*name).expect("short"), value.clone()))
            .collect()
    }

    fn parsed(fields: &[(&str, FieldValue)]) -> Result<Option<Deduplication>, String> {
        let parsed = Deduplication::parse(&table(fields), "queue 'q' in vhost '/'");
        parsed.map_err(|exception| exception.text)
    }

    #[test]
    fn arguments_have_defaults() {
        assert_eq!(parsed(&[]), Ok(None));
        assert_eq!(parsed(&[("x-cache-size", 5.into())]), Ok(None));
        assert_eq!(parsed(&[(DEDUPLICATION, false.into())]), Ok(None));
        let usual = Deduplication {
            size: 128,
            ttl: None,
            header: ShortString::new(HEADER).expect("short"),
        };
        let on = (DEDUPLICATION, FieldValue::Bool(true));
        assert_eq!(parsed(std::slice::from_ref(&on)), Ok(Some(usual.clone())));
        let own = Deduplication {
            size: 5,
            ttl: Some(Duration::from_millis(7)),
            header: ShortString::new("id").expect("short"),
        };
        let fields = [
            on,
            (CACHE_SIZE, 5.into()),
            (CACHE_TTL, 7.into()),
            (HEADER, "id".into()),
        ];
        assert_eq!(parsed(&fields), Ok(Some(own)));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let on = (DEDUPLICATION, FieldValue::Bool(true));
        for (field, reason) in [
            ((DEDUPLICATION, "yes".into()), "{unacceptable_type,longstr}"),
            ((CACHE_SIZE, 0.into()), "0 is not positive"),
            ((CACHE_SIZE, (-1).into()), "-1 is not positive"),
            (
                (CACHE_SIZE, "5".into()),
                "\"expected integer, got longstr\"",
            ),
            (
                (CACHE_SIZE, FieldValue::I64(10_000_001)),
                "{value_too_large,10000001}",
            ),
            ((CACHE_TTL, 0.into()), "0 is not positive"),
            ((HEADER, 1.into()), "{unacceptable_type,signedint}"),
            ((HEADER, "".into()), "the name is empty"),
        ] {
            let name = field.0;
            let fields = if name == DEDUPLICATION {
                vec![field]
            } else {
                vec![on.clone(), field]
            };
            let expected = format!("invalid arg '{name}' for queue 'q' in vhost '/': {reason}");
            assert_eq!(parsed(&fields), Err(expected));
        }
    }

    #[test]
    fn an_id_is_what_the_header_says() {
        let fields = [(DEDUPLICATION, true.into()), (HEADER, "id".into())];
        let deduplication = parsed(&fields).expect("valid").expect("asked for");
        let id = |fields: &[(&str, FieldValue)]| deduplication.id(&table(fields));
        assert_eq!(id(&[("other", 1.into())]), None);
        assert!(id(&[("id", "1".into())]).is_some());
        assert_eq!(id(&[("id", 1.into())]), id(&[("id", "1".into())]));
        assert_ne!(id(&[("id", 2.into())]), id(&[("id", "1".into())]));
        assert_ne!(id(&[("id", true.into())]), id(&[("id", false.into())]));
        assert_eq!(
            id(&[("id", 1.into()), ("x-death", FieldValue::Array(Vec::new()))]),
            None
        );
    }
}
