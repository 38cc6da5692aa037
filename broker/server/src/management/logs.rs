//! The last lines of the log: `/api/logs`. Whoever monitors may read them.

use std::collections::HashMap;

use axum::Json;
use axum::extract::Query;
use serde_json::{Value, json};

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
) -> Result<Json<Value>, Refused> {
    caller.must_monitor()?;
    let since = match query.get("since") {
        None => 0,
        Some(text) => text
            .parse()
            .map_err(|_| Refused::bad_request(format!("since is no number: {text}")))?,
    };
    let (lines, next) = lines_since(since, LINES_MAX);
    let lines: Vec<_> = lines.iter().map(view).collect();
    Ok(Json(json!({ "lines": lines, "next": next })))
}

fn view(line: &Line) -> Value {
    json!({
        "number": line.number,
        "at": stats::millis(line.at),
        "level": line.level,
        "target": line.target,
        "text": line.text,
    })
}
