//! Logs through `tracing`, to standard error: one line an event, as text or as JSON.

mod lines;
mod recent;
pub(crate) mod spans;

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::SystemTime;

use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use self::lines::Lines;
pub use self::recent::{Line, since as lines_since};
use crate::config::{LogFormat, Logging, Tracing};

/// Libraries whose news are the operator's only if they are bad. A level of their own brings the rest back.
const TALKATIVE: [&str; 2] = ["fjall", "lsm_tree"];

/// What decides which lines are logged, once logging has started.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// The level in force.
static LEVEL: Mutex<String> = Mutex::new(String::new());

/// Why a level cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no level; give off, error, warn, info, debug or trace, or levels per part: \"info,amphora::management=debug\""
)]
pub struct LevelError(String);

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The level that was given is none.
    #[error(transparent)]
    Level(#[from] LevelError),
    /// The system has no thread or no file for it.
    #[error("cannot start a thread for the log: {0}")]
    Thread(#[from] std::io::Error),
}

/// The time of a line. It looks as with `tracing_subscriber`'s own clock, which takes five times as many instructions for it.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, line: &mut Writer<'_>) -> std::fmt::Result {
        write!(
            line,
            "{}",
            humantime::format_rfc3339_micros(SystemTime::now())
        )
    }
}

/// What is logged, and spans, as far as they are still on their way.
#[must_use = "the last lines are lost without it"]
#[derive(Debug)]
pub struct Unwritten(Lines);

impl Unwritten {
    /// Lets them go out. Blocks for as long as the collector of spans may take, and for a second at most if nobody reads the log: false then.
    pub fn end(self) -> bool {
        spans::flush();
        self.0.end()
    }
}

/// Starts logging and the export of spans for the whole process. A second call changes nothing.
pub fn init(config: &Logging, tracing: &Tracing) -> Result<Unwritten, InitError> {
    let writer = Lines::to_stderr()?;
    let lines = fmt::layer().with_timer(Clock).with_writer(writer.clone());
    let lines = match config.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    let (filter, handle) = reload::Layer::new(targets(&config.level)?);
    let filtered = lines.and_then(recent::Keep).with_filter(filter);
    // The only error is that a subscriber exists already, as in tests that share a process.
    if tracing_subscriber::registry()
        .with(filtered)
        .with(spans::layer(tracing))
        .try_init()
        .is_ok()
    {
        FILTER.get_or_init(|| handle);
        LEVEL.lock().clone_from(&config.level);
    }
    Ok(Unwritten(writer))
}

/// Logs from this level on. Changes nothing before [`init`].
pub fn set_level(level: &str) -> Result<(), LevelError> {
    let targets = targets(level)?;
    if let Some(filter) = FILTER.get()
        && let Err(error) = filter.reload(targets)
    {
        tracing::error!(%error, "the log level stays as it was");
    }
    level.clone_into(&mut LEVEL.lock());
    Ok(())
}

/// The level in force, as it was given; empty before [`init`].
pub fn level() -> String {
    LEVEL.lock().clone()
}

/// Reads a level such as `info`, or levels per part such as `info,amphora::management=debug`.
///
/// `tracing_subscriber`'s own reader takes a misspelt level for the name of a part.
pub(crate) fn targets(levels: &str) -> Result<Targets, LevelError> {
    let level = |name: &str| match name.parse::<LevelFilter>() {
        // To `tracing` an empty name is a level, too.
        Ok(level) if !name.is_empty() => Ok(level),
        _ => Err(LevelError(name.to_owned())),
    };
    let mut default = LevelFilter::INFO;
    let mut parts = Vec::new();
    for item in levels.split(',').map(str::trim) {
        match item.split_once('=') {
            Some((part, name)) => parts.push((part, level(name)?)),
            None => default = level(item)?,
        }
    }
    let quiet = default.min(LevelFilter::WARN);
    Ok(Targets::new()
        .with_default(default)
        .with_targets(TALKATIVE.map(|part| (part, quiet)))
        .with_target(spans::TARGET, LevelFilter::OFF)
        .with_targets(parts))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_part_may_have_a_level_of_its_own() -> Result<(), LevelError> {
        let targets = targets("warn, amphora::management=debug")?;
        assert!(targets.would_enable("amphora::management::queues", &Level::DEBUG));
        assert!(!targets.would_enable("amphora::runtime", &Level::INFO));
        assert!(targets.would_enable("amphora::runtime", &Level::WARN));
        Ok(())
    }

    #[test]
    fn libraries_say_what_is_wrong_and_the_rest_if_they_are_asked() -> Result<(), LevelError> {
        let plain = targets("debug")?;
        assert!(!plain.would_enable("lsm_tree::compaction", &Level::INFO));
        assert!(plain.would_enable("lsm_tree::compaction", &Level::WARN));
        assert!(!targets("error")?.would_enable("fjall", &Level::WARN));
        assert!(targets("warn,fjall=debug")?.would_enable("fjall", &Level::DEBUG));
        Ok(())
    }

    #[test]
    fn a_line_has_the_time_in_microseconds() {
        let mut line = String::new();
        Clock.format_time(&mut Writer::new(&mut line)).unwrap();
        let shape = line.replace(|letter: char| letter.is_ascii_digit(), "0");
        assert_eq!(shape, "0000-00-00T00:00:00.000000Z");
        let read = humantime::parse_rfc3339(&line).unwrap();
        assert!(read.elapsed().unwrap().as_secs() < 60, "{line}");
    }

    #[test]
    fn a_misspelt_level_is_refused() {
        for level in ["inof", "amphora=verbose", "", "info,,debug"] {
            assert!(targets(level).is_err(), "{level:?}");
        }
    }
}
