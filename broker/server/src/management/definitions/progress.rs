//! How far an import is.

use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// How far the imports are that are under way, all together.
#[derive(Debug, Default)]
pub(in crate::management) struct Progress {
    running: AtomicU64,
    total: AtomicU64,
    done: AtomicU64,
}

/// How far they are.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ImportProgress")]
pub(super) struct ProgressView {
    /// An import is under way.
    pub(super) running: bool,
    /// Items that are taken in.
    pub(super) done: u64,
    /// Items in all.
    pub(super) total: u64,
}

/// One import, which is over when this is dropped.
pub(super) struct Running<'a>(&'a Progress);

impl Progress {
    /// An import of this file begins. The first one of several begins to count anew.
    pub(super) fn begin(&self, file: &Map<String, Value>) -> Running<'_> {
        let lists = file.values().filter_map(Value::as_array);
        let items: u64 = lists.map(|list| list.len() as u64).sum();
        if self.running.fetch_add(1, Ordering::Relaxed) == 0 {
            self.total.store(0, Ordering::Relaxed);
            self.done.store(0, Ordering::Relaxed);
        }
        self.total.fetch_add(items, Ordering::Relaxed);
        Running(self)
    }

    pub(super) fn view(&self) -> ProgressView {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProgressView {
            running: read(&self.running) > 0,
            done: read(&self.done),
            total: read(&self.total),
        }
    }
}

impl Running<'_> {
    /// One more item is taken in.
    pub(super) fn advance(&self) {
        self.0.done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(running: bool, done: u64, total: u64) -> ProgressView {
        ProgressView {
            running,
            done,
            total,
        }
    }

    #[test]
    fn imports_under_way_are_counted_together() {
        let file = json!({ "users": [{}, {}], "queues": [{}], "rabbit_version": "3.10.8" });
        let Value::Object(file) = file else {
            panic!("an object")
        };
        let progress = Progress::default();
        let first = progress.begin(&file);
        first.advance();
        assert_eq!(progress.view(), view(true, 1, 3));
        let second = progress.begin(&file);
        second.advance();
        drop(first);
        assert_eq!(progress.view(), view(true, 2, 6));
        drop(second);
        assert!(!progress.view().running);
        let _third = progress.begin(&file);
        assert_eq!(progress.view(), view(true, 0, 3));
    }
}
