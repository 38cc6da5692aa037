//! Figures that a plugin counts itself.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use wasmtime::component::LinkerInstance;

use crate::snapshot::Metric;
use crate::state::State;

/// Names, at most.
const NAMES_MAX: usize = 100;

/// Bytes of a name, at most.
const NAME_MAX: usize = 64;

/// A plugin's figures.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Mutex<Figures>);

#[derive(Debug, Default)]
struct Figures {
    by_name: BTreeMap<String, Metric>,
    dropped: u64,
}

impl Metrics {
    /// All figures by name, and how many others were dropped.
    pub(crate) fn snapshot(&self) -> (BTreeMap<String, Metric>, u64) {
        let figures = self.0.lock();
        (figures.by_name.clone(), figures.dropped)
    }

    fn change(&self, name: &str, new: Metric) {
        let mut figures = self.0.lock();
        let full = figures.by_name.len() >= NAMES_MAX;
        match (figures.by_name.get_mut(name), new) {
            (Some(Metric::Counter(count)), Metric::Counter(by)) => {
                *count = count.wrapping_add(by);
            }
            (Some(known @ Metric::Gauge(_)), Metric::Gauge(_)) => *known = new,
            (None, _) if !full && is_name(name) => {
                figures.by_name.insert(name.to_owned(), new);
            }
            (Some(_) | None, _) => figures.dropped += 1,
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(is_part)
}

pub(super) fn link(mut linker: LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    linker.func_wrap("add", |store, (counter, by): (String, u64)| {
        let metrics = &store.data().grants.shared.metrics;
        metrics.change(&counter, Metric::Counter(by));
        Ok(())
    })?;
    linker.func_wrap("set", |store, (gauge, value): (String, f64)| {
        let metrics = &store.data().grants.shared.metrics;
        metrics.change(&gauge, Metric::Gauge(value));
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_kinds_are_held_to() {
        let metrics = Metrics::default();
        metrics.change("seen", Metric::Counter(2));
        metrics.change("seen", Metric::Counter(3));
        metrics.change("level", Metric::Gauge(0.5));
        for bad in ["Bad", "", "a-b", &"x".repeat(65)] {
            metrics.change(bad, Metric::Counter(1));
        }
        metrics.change("seen", Metric::Gauge(1.0));
        let (figures, dropped) = metrics.snapshot();
        let expected = [
            ("level".to_owned(), Metric::Gauge(0.5)),
            ("seen".to_owned(), Metric::Counter(5)),
        ];
        assert_eq!(figures, expected.into());
        assert_eq!(dropped, 5);
        for number in 0..200 {
            metrics.change(&format!("m{number}"), Metric::Counter(1));
        }
        let (figures, dropped) = metrics.snapshot();
        assert_eq!((figures.len(), dropped), (100, 5 + 102));
    }
}
