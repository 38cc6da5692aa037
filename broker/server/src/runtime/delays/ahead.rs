//! Messages that are read back before their time, so that none of them has to wait for the disk.

use std::collections::HashMap;
use std::sync::Arc;

use amphora_core::queue::Found;
use amphora_core::store::{Position, RecordRef};

use super::reading::{self, Read, Wanted};
use super::{Handle, Waiting};
use crate::runtime::batch::Owned;
use crate::runtime::vhost::VirtualHost;

/// Messages that are due until this long from now are read back, at most.
const HORIZON_MS: u64 = 60_000;

/// When what is read back reaches only this far, more is.
const SHORT_MS: u64 = 5_000;

/// Messages that are read back at one time, at most.
const MESSAGES_MAX: usize = 100_000;

/// Bytes that are read back at one time, at most, but for the last message.
const BYTES_MAX: usize = 48 << 20;

/// What was read back.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    messages: HashMap<Position, Owned>,
    bytes: usize,
    /// All that is due until then was looked for.
    until: u64,
    /// Somebody reads.
    loading: bool,
}

impl Ahead {
    pub(super) fn take(&mut self, position: Position) -> Option<Owned> {
        let message = self.messages.remove(&position)?;
        self.bytes = self.bytes.saturating_sub(cost(&message));
        if self.messages.is_empty() {
            self.messages.shrink_to(MESSAGES_KEPT_MAX);
        }
        Some(message)
    }

    fn put(&mut self, position: Position, message: Owned) {
        self.bytes += cost(&message);
        if let Some(before) = self.messages.insert(position, message) {
            self.bytes = self.bytes.saturating_sub(cost(&before));
        }
    }
}

/// A map of this size is kept for the next time.
const MESSAGES_KEPT_MAX: usize = 1024;

/// Bytes that a message takes.
pub(super) fn cost(message: &Owned) -> usize {
    message.target.len() + message.properties.len() + message.body.len() + 128
}

impl Waiting {
    /// Has messages read back that are due soon, unless enough are.
    pub(super) fn read_ahead(&mut self, vhost: &Arc<VirtualHost>, queue: &Handle, now: u64) {
        let ahead = &mut self.ahead;
        let enough = ahead.until > now + SHORT_MS || ahead.bytes > BYTES_MAX / 2;
        if ahead.loading || enough || self.reading {
            return;
        }
        let horizon = now + HORIZON_MS;
        let (mut wanted, mut bytes) = (Vec::new(), 0);
        let mut until = horizon;
        let state = queue.state.lock();
        // From the first, as some may have left memory since the last time.
        for (seen, &(due, position)) in self.due.iter().enumerate() {
            if due > horizon {
                break;
            }
            if seen == MESSAGES_MAX || bytes > BYTES_MAX {
                until = due.saturating_sub(1);
                break;
            }
            if !ahead.messages.contains_key(&position)
                && let Found::Stored(records) = state.model.find(position, |_| ())
            {
                bytes += records.first().map_or(0, mean);
                wanted.push(Wanted {
                    due,
                    position,
                    records,
                    taken: false,
                });
            }
        }
        drop(state);
        self.ahead.until = until;
        self.load(vhost, queue, wanted, BYTES_MAX);
    }

    /// Has messages read back that are not here, as far as they have so many bytes.
    pub(super) fn load(
        &mut self,
        vhost: &Arc<VirtualHost>,
        queue: &Handle,
        wanted: Vec<Wanted>,
        bytes_max: usize,
    ) {
        if wanted.is_empty() {
            return;
        }
        self.ahead.loading = true;
        let (vhost, queue) = (Arc::clone(vhost), Arc::clone(queue));
        vhost.committer.clone().read_aside(move || {
            let mut bytes = 0;
            let read = reading::messages(&vhost, &queue, &wanted, |message| {
                let has_room = bytes < bytes_max;
                has_room.then(|| {
                    let message = reading::compact(message);
                    bytes += cost(&message);
                    message
                })
            });
            let Some(read) = read else {
                return;
            };
            let mut waiting = vhost.delays.waiting.lock();
            if waiting.is_of(&queue) {
                waiting.ahead.loading = false;
                for (want, message) in wanted.iter().zip(read) {
                    waiting.arrive(want, message);
                }
            }
            drop(waiting);
            vhost.delays.wake.notify_one();
        });
    }

    fn arrive(&mut self, wanted: &Wanted, message: Read<Owned>) {
        let key = (wanted.due, wanted.position);
        if wanted.taken {
            self.due.insert(key);
        } else if !self.due.contains(&key) {
            // It has gone on meanwhile, or was cancelled.
            return;
        }
        match message {
            Read::Here(message) => self.ahead.put(wanted.position, message),
            Read::NotYet => {
                self.ahead.until = self.ahead.until.min(wanted.due.saturating_sub(1));
            }
            Read::Lost => {
                self.due.remove(&key);
                self.fresh.positions.push((wanted.position, 0));
            }
        }
    }

    /// What was looked for is not all that is needed: look again.
    pub(super) fn look_ahead_again(&mut self) {
        self.ahead.until = 0;
    }

    /// Whether somebody reads messages back.
    pub(super) fn is_loading(&self) -> bool {
        self.ahead.loading
    }
}

/// What a message of the record has, on an average.
pub(super) fn mean(record: &RecordRef) -> usize {
    let mean = record.bytes_read() / u64::from(record.count.max(1));
    usize::try_from(mean)
        .unwrap_or(usize::MAX)
        .saturating_add(128)
}
