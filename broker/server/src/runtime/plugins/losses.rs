//! Dead letters of plugins that have nowhere to go. The contract allows that, and nobody wants it: so they are counted, and the log says so now and then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How often the log tells of each plugin's.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// The dead letters that were lost, by the name in the error or verdict: that of the plugin, or of the type of exchange if nobody supplies it.
#[derive(Debug, Default)]
pub(super) struct Losses(Mutex<BTreeMap<String, Loss>>);

#[derive(Debug, Default)]
struct Loss {
    count: u64,
    /// When, and how many there had been then.
    told: Option<(Instant, u64)>,
}

impl Losses {
    /// Counts one, for this reason, and says so if it is time.
    pub(super) fn add(&self, plugin: &str, reason: &str) {
        if let Some(lost) = self.count_one(plugin, Instant::now()) {
            tracing::warn!(
                plugin,
                reason,
                lost,
                "dead letters of the plugin are lost: neither its attachment, nor its section of the configuration, nor the queue names a dead-letter-exchange"
            );
        }
    }

    /// Returns how many there are that were not told of, if it is time.
    fn count_one(&self, plugin: &str, now: Instant) -> Option<u64> {
        let mut losses = self.0.lock();
        let loss = match losses.get_mut(plugin) {
            Some(loss) => loss,
            None => losses.entry(plugin.to_owned()).or_default(),
        };
        loss.count += 1;
        let (at, before) = loss.told.unzip();
        if at.is_some_and(|at| now.saturating_duration_since(at) < TOLD_EVERY) {
            return None;
        }
        loss.told = Some((now, loss.count));
        Some(loss.count - before.unwrap_or_default())
    }

    /// How many there were.
    pub(super) fn of(&self, plugin: &str) -> u64 {
        self.0.lock().get(plugin).map_or(0, |loss| loss.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_a_flood_is_told_of_now_and_then() {
        let losses = Losses::default();
        let begun = Instant::now();
        assert_eq!(losses.count_one("a", begun), Some(1));
        for _ in 0..99 {
            assert_eq!(losses.count_one("a", begun), None);
        }
        assert_eq!(losses.count_one("b", begun), Some(1));
        assert_eq!(losses.count_one("a", begun + TOLD_EVERY), Some(100));
        assert_eq!(
            (losses.of("a"), losses.of("b"), losses.of("c")),
            (101, 1, 0)
        );
    }
}
