//! The timetable of a rate-limited load.

/// When each message of one producer is due, in nanoseconds of the run's clock.
///
/// The timetable does not move when the broker or the sender falls behind: latencies are taken from these times, so a
/// stall counts for every message that should have been sent during it (no coordinated omission).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Messages per `period` nanoseconds.
    rate: u64,
    period: u64,
    offset: u64,
}

impl Pace {
    /// The share of producer `index` of `producers` in `rate` messages per second; they take turns.
    pub(crate) fn new(rate: u64, producers: usize, index: usize) -> Self {
        let period = 1_000_000_000 * producers as u64;
        Self {
            rate,
            period,
            offset: 1_000_000_000 * index as u64 / rate,
        }
    }

    /// How many messages are due at `now`.
    pub(crate) fn due(&self, now: u64) -> u64 {
        let Some(elapsed) = now.checked_sub(self.offset) else {
            return 0;
        };
        saturate(u128::from(elapsed) * u128::from(self.rate) / u128::from(self.period)) + 1
    }

    /// When message `number` is due.
    pub(crate) fn time_of(&self, number: u64) -> u64 {
        let from_start =
            (u128::from(number) * u128::from(self.period)).div_ceil(u128::from(self.rate));
        self.offset.saturating_add(saturate(from_start))
    }
}

fn saturate(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_due_from_its_time_on() {
        for (rate, producers) in [(5000, 1), (3, 1), (7, 3), (3_000_000_000, 2)] {
            for index in 0..producers {
                let pace = Pace::new(rate, producers, index);
                for number in [0, 1, 2, 10, 1_000_003] {
                    let time = pace.time_of(number);
                    assert!(pace.due(time) > number, "{pace:?} {number}");
                    assert!(
                        time == 0 || rate > 1_000_000_000 || pace.due(time - 1) <= number,
                        "{pace:?} {number}"
                    );
                }
            }
        }
    }

    #[test]
    fn producers_take_turns() {
        let times: Vec<_> = (0..4)
            .map(|index| Pace::new(4, 4, index).time_of(0))
            .collect();
        assert_eq!(times, [0, 250_000_000, 500_000_000, 750_000_000]);
        assert_eq!(Pace::new(4, 4, 1).time_of(1), 1_250_000_000);
    }
}
