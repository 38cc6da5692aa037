//! What every message's fate must be.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail, ensure};

use super::QUEUES;
use super::consumer::{Entry, Report};
use super::publisher::Published;

/// What is known of a message in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It was confirmed, or has survived a crash already.
    Safe,
    /// It was sent but not confirmed, or its acknowledgement may have come too late: it may be there or not.
    Open,
    /// It must not be there, for this reason.
    Gone(&'static str),
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    fates: BTreeMap<Entry, Fate>,
}

impl Ledger {
    /// What a publisher knows.
    pub(crate) fn published(&mut self, messages: Vec<Published>) {
        for message in messages {
            let fate = match message {
                Published {
                    persistent: false, ..
                } => Fate::Gone("it was not persistent"),
                Published {
                    confirmed: true, ..
                } => Fate::Safe,
                _ => Fate::Open,
            };
            for name in QUEUES {
                if message.queue.is_none_or(|queue| queue == name) {
                    self.fates.insert((name, message.id), fate);
                }
            }
        }
    }

    /// What a consumer knows, which is later than what the publisher does.
    pub(crate) fn consumed(&mut self, report: Report) {
        for entry in report.acknowledged {
            let fate = self.fates.entry(entry).or_insert(Fate::Open);
            if *fate == Fate::Safe {
                *fate = Fate::Open;
            }
        }
        for entry in report.settled {
            self.fates
                .insert(entry, Fate::Gone("its acknowledgement was durable"));
        }
    }

    /// Compares with what is found after a crash. From now on that is how it is.
    pub(crate) fn settle(&mut self, found: &[Entry]) -> anyhow::Result<String> {
        let there: BTreeSet<Entry> = found.iter().copied().collect();
        ensure!(there.len() == found.len(), "something is there twice");
        assert_order(found)?;
        for entry in &there {
            let fate = self
                .fates
                .get(entry)
                .with_context(|| format!("{entry:?} was never sent"))?;
            if let Fate::Gone(reason) = fate {
                bail!("{entry:?} is there, but {reason}");
            }
        }
        let mut left_open = (0, 0);
        for (entry, fate) in &mut self.fates {
            *fate = match (there.contains(entry), *fate) {
                (false, Fate::Safe) => bail!("{entry:?} is lost"),
                (true, fate) => {
                    left_open.0 += usize::from(fate == Fate::Open);
                    Fate::Safe
                }
                (false, fate) => {
                    left_open.1 += usize::from(fate == Fate::Open);
                    Fate::Gone("it was gone already")
                }
            };
        }
        let (kept, dropped) = left_open;
        Ok(format!(
            "{} of {} messages are there; of those that nobody knew about, {kept} are and {dropped} are not",
            found.len(),
            self.fates.len()
        ))
    }
}

/// The messages of one sender are in the order in which it sent them.
fn assert_order(found: &[Entry]) -> anyhow::Result<()> {
    let mut last = BTreeMap::new();
    for &(queue, id) in found {
        let before = last.insert((queue, id.sender), id);
        ensure!(before < Some(id), "{id:?} is behind {before:?} in {queue}");
    }
    Ok(())
}

/// What is delivered for the second time is marked so.
pub(crate) fn assert_first_deliveries(deliveries: &[(Entry, bool)]) -> anyhow::Result<()> {
    let mut first = BTreeSet::new();
    for &(entry, redelivered) in deliveries {
        ensure!(
            redelivered || first.insert(entry),
            "{entry:?} was delivered twice, and both times as for the first time"
        );
    }
    Ok(())
}
