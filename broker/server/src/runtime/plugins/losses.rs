//! Messages of plugins that have nowhere to go. The contract allows that, and nobody wants it: so they are counted, and the log says so now and then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How often the log tells of each plugin's.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// What was lost, by the name in the error or verdict: that of the plugin, or of the type of exchange if nobody supplies it.
#[derive(Debug)]
pub(super) struct Losses {
    /// What the log says.
    text: &'static str,
    by_plugin: Mutex<BTreeMap<String, Loss>>,
}

#[derive(Debug, Default)]
struct Loss {
    count: u64,
    /// When, and how many there had been then.
    told: Option<(Instant, u64)>,
}

impl Losses {
    /// None so far; the log will tell of them in these words.
    pub(super) fn new(text: &'static str) -> Self {
        Self {
            text,
            by_plugin: Mutex::default(),
        }
    }

    /// Counts so many, for this reason, and says so if it is time.
    pub(super) fn add(&self, plugin: &str, count: u64, reason: &str) {
        if let Some(lost) = self.count(plugin, count, Instant::now()) {
            tracing::warn!(plugin, reason, lost, "{}", self.text);
        }
    }

    /// Returns how many there are that were not told of, if it is time.
    fn count(&self, plugin: &str, count: u64, now: Instant) -> Option<u64> {
        let mut losses = self.by_plugin.lock();
        let loss = match losses.get_mut(plugin) {
            Some(loss) => loss,
            None => losses.entry(plugin.to_owned()).or_default(),
        };
        loss.count += count;
        let (at, before) = loss.told.unzip();
        if at.is_some_and(|at| now.saturating_duration_since(at) < TOLD_EVERY) {
            return None;
        }
        loss.told = Some((now, loss.count));
        Some(loss.count - before.unwrap_or_default())
    }

    /// How many there were.
    pub(super) fn of(&self, plugin: &str) -> u64 {
        self.by_plugin
            .lock()
            .get(plugin)
            .map_or(0, |loss| loss.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_a_flood_is_told_of_now_and_then() {
        let losses = Losses::new("lost");
        let begun = Instant::now();
        assert_eq!(losses.count("a", 1, begun), Some(1));
        for _ in 0..99 {
            assert_eq!(losses.count("a", 1, begun), None);
        }
        assert_eq!(losses.count("b", 1, begun), Some(1));
        assert_eq!(losses.count("a", 1, begun + TOLD_EVERY), Some(100));
        assert_eq!(
            (losses.of("a"), losses.of("b"), losses.of("c")),
            (101, 1, 0)
        );
    }
}
