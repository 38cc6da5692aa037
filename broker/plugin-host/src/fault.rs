//! How calls fail, in kinds and words.

use std::borrow::Cow;
use std::fmt::Write;

use amphora_core::hook::{Fault, HookError};
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

/// Bytes of a text that are kept.
const TEXT_MAX: usize = 2048;

/// Functions of a backtrace that are shown.
const FRAMES_MAX: usize = 4;

/// The call ran longer than it may.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it ran longer than its deadline of {} ms", .0.as_millis())]
pub(crate) struct Overtime(pub(crate) std::time::Duration);

/// The instance asked for more memory than it may have.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it asked for {asked} bytes of memory, and {allowed} are granted")]
pub(crate) struct OverMemory {
    pub(crate) asked: u64,
    pub(crate) allowed: u64,
}

/// The guest called something that ends it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Denied(pub(crate) String);

/// What a failed call was.
pub(crate) fn kind(error: &wasmtime::Error) -> Fault {
    if error.is::<Overtime>() {
        return Fault::Timeout;
    }
    if error.is::<OverMemory>() {
        return Fault::Memory;
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Fault::Crowded;
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Fault::Timeout,
        Some(_) => Fault::Trap,
        None if error.is::<Denied>() || error.is::<WasmBacktrace>() => Fault::Trap,
        // The engine could not make sense of what the guest returned.
        None => Fault::BadAnswer,
    }
}

/// What a failed call was, in words: what the guest said last, and the cause. A guest that said nothing is known by where it happened.
pub(crate) fn text(call: &str, error: &wasmtime::Error, last_words: Option<&str>) -> String {
    let cause = error.root_cause();
    if let Some(words) = last_words.map(joined).filter(|words| !words.is_empty()) {
        return cut(format!("{call}: {words} ({cause})"));
    }
    let mut text = format!("{call}: {cause}");
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    let frames = backtrace.map(WasmBacktrace::frames).unwrap_or_default();
    let names: Vec<&str> = frames
        .iter()
        .filter_map(|frame| frame.func_name())
        .filter(|name| !is_mangled(name))
        .take(FRAMES_MAX)
        .collect();
    // Writing to a string does not fail.
    if !names.is_empty() {
        let _ = write!(text, " (in {})", names.join(", called by "));
    }
    cut(text)
}

/// The lines of a text on one line.
fn joined(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for part in text.lines().map(str::trim).filter(|part| !part.is_empty()) {
        if !line.is_empty() {
            line.push_str(if line.ends_with(':') { " " } else { "; " });
        }
        line.push_str(part);
    }
    line
}

/// Names that compilers of Rust and C++ make, of which nobody learns anything.
fn is_mangled(name: &str) -> bool {
    ["_ZN", "_R", "__rust", "rust_"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// A plugin's text as it stands in the log: on one line, so that no plugin can write what looks like a line of the broker's.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unsafe(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    Cow::Owned(line)
}

/// Control characters, and what else ends a line or turns the direction of text.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// As much of a text as is kept.
pub(crate) fn cut(mut text: String) -> String {
    if text.len() > TEXT_MAX {
        text.truncate(text.floor_char_boundary(TEXT_MAX));
        text.push('…');
    }
    text
}

/// An error of the plugin of this name.
pub(crate) fn hook_error(plugin: &std::sync::Arc<str>, fault: Fault, text: String) -> HookError {
    HookError {
        plugin: std::sync::Arc::clone(plugin),
        fault,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_said_comes_first_and_on_one_line() {
        let error = wasmtime::Error::from(Trap::UnreachableCodeReached);
        let words =
            "\nthread '<unnamed>' panicked at src/lib.rs:7:9:\n  no such region\nnote: run again\n";
        assert_eq!(
            text("transform.apply", &error, Some(words)),
            "transform.apply: thread '<unnamed>' panicked at src/lib.rs:7:9: no such region; note: run again (wasm trap: wasm `unreachable` instruction executed)"
        );
        let nothing = "transform.apply: wasm trap: wasm `unreachable` instruction executed";
        assert_eq!(text("transform.apply", &error, Some(" \n")), nothing);
        assert_eq!(text("transform.apply", &error, None), nothing);
        assert!(is_mangled(
            "_ZN3std9panicking20rust_panic17h0123456789abcdefE"
        ));
        assert!(!is_mangled("exports_amphora_plugin_transform_apply"));
    }

    #[test]
    fn a_text_cannot_look_like_another_line() {
        assert_eq!(one_line("as it was: ö \u{1f600}"), "as it was: ö \u{1f600}");
        assert_eq!(
            one_line("a\n2026-01-01 ERROR amphora: b\r\u{1b}[31m\u{2028}\u{202e}"),
            "a\\n2026-01-01 ERROR amphora: b\\r\\u{1b}[31m\\u{2028}\\u{202e}"
        );
    }
}
