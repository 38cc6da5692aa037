//! `[plugin.config]`

use amphora_sdk::config;

/// What the operator configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) by: By,
    pub(crate) window_ms: u64,
    pub(crate) count: Option<u32>,
    pub(crate) duplicates: Duplicates,
}

/// What makes messages equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Header(String),
    MessageId,
    Body,
}

/// What becomes of duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duplicates {
    Drop,
    Reject,
}

const FIVE_MINUTES_MS: u64 = 5 * 60 * 1000;

impl Settings {
    /// # Errors
    /// Something is wrong; the text names the key.
    pub(crate) fn read() -> Result<Self, String> {
        config::only(&["by", "header", "window", "count", "duplicates"])?;
        let header = config::get("header");
        let by = match (config::get("by").as_deref().unwrap_or("header"), header) {
            ("header", name) => {
                By::Header(name.unwrap_or_else(|| "x-deduplication-header".to_owned()))
            }
            (_, Some(_)) => {
                return Err(
                    "config key 'header' means something only with by = \"header\"".to_owned(),
                );
            }
            ("message-id", None) => By::MessageId,
            ("body", None) => By::Body,
            (other, None) => {
                return Err(format!(
                    "config key 'by' is \"header\", \"message-id\" or \"body\", not \"{other}\""
                ));
            }
        };
        let window_ms = match config::get("window") {
            None => FIVE_MINUTES_MS,
            Some(text) => milliseconds(&text)?,
        };
        let count = config::parse("count")?;
        if count == Some(0) {
            return Err("config key 'count' is 0, and nothing would be a duplicate".to_owned());
        }
        let duplicates = match config::get("duplicates").as_deref() {
            None | Some("drop") => Duplicates::Drop,
            Some("reject") => Duplicates::Reject,
            Some(other) => {
                return Err(format!(
                    "config key 'duplicates' is \"drop\" or \"reject\", not \"{other}\""
                ));
            }
        };
        Ok(Self {
            by,
            window_ms,
            count,
            duplicates,
        })
    }
}

/// A number with a unit: `500ms`, `30s`, `5m`, `2h`, `1d`.
fn milliseconds(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "config key 'window' is a time such as \"500ms\", \"30s\", \"5m\", \"2h\" or \"1d\", not \"{text}\""
        )
    };
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: u64 = match text.get(digits.len()..) {
        Some("ms") => 1,
        Some("s") => 1000,
        Some("m") => 60_000,
        Some("h") => 3_600_000,
        Some("d") => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number
        .checked_mul(unit)
        .filter(|&time_ms| time_ms > 0)
        .ok_or_else(wrong)
}
