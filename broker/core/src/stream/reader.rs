//! A consumer and the place where it reads.

use std::collections::BTreeSet;

use crate::queue::Consumer;
use crate::store::Position;

use super::filter::Filter;
use super::subscription::{Start, Subscription};

/// What the tags of consumers begin with that left the choice to the broker.
const SERVER_TAG: &str = "amq.ctag-";

#[derive(Debug)]
pub(super) struct Reader<C> {
    pub(super) consumer: Consumer<C>,
    /// Where it begins, until that is found out.
    pub(super) start: Option<Start>,
    /// The offset that it looks at next.
    pub(super) next: Position,
    pub(super) filter: Option<Filter>,
    /// What it holds, if the broker remembers how far it came.
    held: Option<BTreeSet<Position>>,
    /// Its connection is closed.
    pub(super) gone: bool,
}

impl<C> Reader<C> {
    /// `tracked`: what a consumer of that tag would get next. `now` is in milliseconds since the Unix epoch.
    pub(super) fn new(consumer: Consumer<C>, tracked: Option<Position>, now: u64) -> Self {
        // Whoever admits it has told the client what makes no sense.
        let subscription =
            Subscription::read(&consumer.options.arguments).unwrap_or(Subscription {
                start: None,
                tracking: None,
                filter: None,
            });
        let has_name = !consumer.options.tag.starts_with(SERVER_TAG);
        let unsaid = subscription.start.is_none() && has_name;
        let tracks = subscription.tracking.unwrap_or(unsaid);
        let tracked = tracked
            .filter(|_| tracks && subscription.start.is_none())
            .map(|next| Start::Offset(i64::try_from(next).unwrap_or(i64::MAX)));
        let start = match subscription.start.or(tracked).unwrap_or(Start::Next) {
            Start::Ago(age) => Start::Time(now.saturating_sub(age)),
            start => start,
        };
        Self {
            consumer,
            start: Some(start),
            next: 0,
            filter: subscription.filter,
            held: tracks.then(BTreeSet::new),
            gone: false,
        }
    }

    /// How many messages it may get now.
    pub(super) fn credit(&self) -> usize {
        let prefetch = self.consumer.options.prefetch;
        if prefetch == 0 {
            return usize::MAX;
        }
        prefetch.saturating_sub(self.consumer.in_flight) as usize
    }

    /// It was given these.
    pub(super) fn took(&mut self, positions: &[Position]) {
        let count = u32::try_from(positions.len()).unwrap_or(u32::MAX);
        self.consumer.in_flight += count;
        if let Some(held) = &mut self.held {
            held.extend(positions);
        }
    }

    /// It is done with these. Returns what it should get next if it went away now, if that is to be remembered.
    pub(super) fn settle(&mut self, positions: &[Position]) -> Option<Position> {
        let count = u32::try_from(positions.len()).unwrap_or(u32::MAX);
        self.consumer.in_flight = self.consumer.in_flight.saturating_sub(count);
        let held = self.held.as_mut()?;
        for position in positions {
            held.remove(position);
        }
        Some(held.first().copied().unwrap_or(self.next))
    }
}
