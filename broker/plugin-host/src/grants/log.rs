//! Lines in the broker's log.

use std::borrow::Cow;
use std::collections::VecDeque;

use parking_lot::Mutex;
use wasmtime::component::LinkerInstance;

use super::Grants;
use crate::contract::types::Level;
use crate::fault::one_line;
use crate::snapshot::{LogLevel, LogLine};
use crate::state::State;

/// Lines within a second, at most.
const LINES_PER_SECOND: u32 = 100;

/// Bytes of a line, at most.
const LINE_MAX: usize = 4 << 10;

/// Lines that are kept for whoever asks.
const KEPT: usize = 200;

/// A plugin's log.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<LogLine>,
    second: u64,
    in_second: u32,
    dropped: u64,
}

impl Log {
    /// The lines that are kept, the oldest first.
    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.0.lock().kept.iter().cloned().collect()
    }

    /// How many lines were dropped because there were too many.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }

    /// Keeps a line, unless there are too many in this second.
    fn keep(&self, line: LogLine, monotonic_ns: u64) -> bool {
        let mut lines = self.0.lock();
        let second = monotonic_ns / 1_000_000_000;
        if lines.second != second {
            lines.second = second;
            lines.in_second = 0;
        }
        if lines.in_second >= LINES_PER_SECOND {
            lines.dropped += 1;
            return false;
        }
        lines.in_second += 1;
        if lines.kept.len() == KEPT {
            lines.kept.pop_front();
        }
        lines.kept.push_back(line);
        true
    }
}

pub(super) fn link(mut linker: LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    linker.func_wrap("write", |mut store, (level, text): (Level, String)| {
        write(&mut store.data_mut().grants, level, text);
        Ok(())
    })
}

fn write(grants: &mut Grants, level: Level, mut text: String) {
    text.truncate(text.floor_char_boundary(LINE_MAX));
    if let Cow::Owned(mut line) = one_line(&text) {
        line.truncate(line.floor_char_boundary(LINE_MAX));
        text = line;
    }
    let level = match level {
        Level::Error => LogLevel::Error,
        Level::Warn => LogLevel::Warn,
        Level::Info => LogLevel::Info,
        Level::Debug => LogLevel::Debug,
    };
    if level == LogLevel::Error {
        grants.last_error = Some(text.clone());
    }
    let line = LogLine {
        time_ms: grants.environment.now_ms(),
        level,
        text,
    };
    let text = line.text.clone();
    let now = grants.environment.monotonic_ns();
    if !grants.shared.log.keep(line, now) || grants.is_rehearsal {
        return;
    }
    let plugin = &*grants.plugin;
    match level {
        LogLevel::Error => tracing::error!(target: "amphora::plugin", plugin, "{text}"),
        LogLevel::Warn => tracing::warn!(target: "amphora::plugin", plugin, "{text}"),
        LogLevel::Info => tracing::info!(target: "amphora::plugin", plugin, "{text}"),
        LogLevel::Debug => tracing::debug!(target: "amphora::plugin", plugin, "{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> LogLine {
        LogLine {
            time_ms: 0,
            level: LogLevel::Info,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_flood_is_dropped_and_counted_and_the_last_lines_are_kept() {
        let log = Log::default();
        for number in 0..1_000 {
            log.keep(line(&number.to_string()), 0);
        }
        assert_eq!((log.lines().len(), log.dropped()), (100, 900));
        for second in 1..=3 {
            for number in 0..100 {
                assert!(log.keep(line(&number.to_string()), second * 1_000_000_000));
            }
        }
        assert_eq!((log.lines().len(), log.dropped()), (200, 900));
        assert_eq!(log.lines()[199].text, "99");
    }
}
