//! The last lines of the log: `/api/logs`. Whoever monitors may read them.

use std::collections::HashMap;

use axum::extract::Query;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::One;
use super::caller::Caller;
use super::refused::Refused;
use super::routes::Routes;
use super::stats;
use crate::logging::{Line, lines_since};

/// How many lines one answer has.
const LINES_MAX: usize = 1000;

pub(super) fn routes() -> Routes {
    Routes::of("Logs").get("/logs", list, "The last lines of the log.")
}

/// From the line with the number `since` on; `next` is the number to ask for next.
async fn list(
    caller: Caller,
    Query(query): Query<HashMap<String, String>>,
) -> Result<One<Logs>, Refused> {
    caller.must_monitor()?;
    let since = match query.get("since") {
        None => 0,
        Some(text) => text
            .parse()
            .map_err(|_| Refused::bad_request(format!("since is no number: {text}")))?,
    };
    let (lines, next) = lines_since(since, LINES_MAX);
    let lines = lines.iter().map(view).collect();
    Ok(One::new(Logs { lines, next }))
}

/// Lines of the log.
#[derive(Serialize, JsonSchema)]
struct Logs {
    lines: Vec<LogLine>,
    /// The number to ask for next.
    next: u64,
}

/// A line of the log.
#[derive(Serialize, JsonSchema)]
struct LogLine {
    /// Counted from 1, without gaps.
    number: u64,
    /// Milliseconds since 1970.
    at: u64,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    level: &'static str,
    /// Which part of the broker says it.
    target: &'static str,
    text: String,
}

fn view(line: &Line) -> LogLine {
    LogLine {
        number: line.number,
        at: stats::millis(line.at),
        level: line.level,
        target: line.target,
        text: line.text.clone(),
    }
}
