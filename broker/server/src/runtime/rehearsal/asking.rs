//! What plugins say, as a report has it.

use amphora_core::hook::{HookError, OnError, Rehearsed, Verdict};

use crate::management::snapshot::RouteAnswer;

/// What a transform says of a message.
pub(super) fn verdict(plugin: &str, rehearsed: &Rehearsed<Verdict>) -> RouteAnswer {
    let (verdict, detail) = match &rehearsed.answer {
        Verdict::Pass => ("pass", String::new()),
        Verdict::Replace(with) => ("replace", format!("{} messages", with.len())),
        Verdict::Drop => ("drop", String::new()),
        Verdict::Reject(reason) => ("reject", reason.clone()),
        Verdict::DeadLetter(reason) => ("dead-letter", reason.clone()),
        Verdict::Delay(delay) => ("delay", format!("{delay} ms")),
    };
    answer(plugin, verdict, detail, rehearsed)
}

/// What a type of exchange says of a message.
pub(super) fn route(exchange_type: &str, rehearsed: &Rehearsed<Vec<u32>>) -> RouteAnswer {
    let detail = format!("{} bindings", rehearsed.answer.len());
    answer(exchange_type, "route", detail, rehearsed)
}

fn answer<T>(
    plugin: &str,
    verdict: &'static str,
    detail: String,
    rehearsed: &Rehearsed<T>,
) -> RouteAnswer {
    RouteAnswer {
        plugin: plugin.to_owned(),
        verdict,
        detail,
        on_error: None,
        time: rehearsed.time,
        log: rehearsed.log.clone(),
        sent: rehearsed.sent.clone(),
        stored: rehearsed.stored,
    }
}

/// A plugin has no answer.
pub(super) fn failure(error: &HookError, on_error: OnError) -> RouteAnswer {
    RouteAnswer {
        plugin: error.plugin.to_string(),
        verdict: "error",
        detail: error.text.clone(),
        on_error: Some(on_error.name()),
        time: std::time::Duration::ZERO,
        log: Vec::new(),
        sent: Vec::new(),
        stored: 0,
    }
}
