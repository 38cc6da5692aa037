//! A publisher's confirms: one answer for every publish, in the order of the publishes, as few frames as possible.
//!
//! A publish is answered when the *epoch* is durable that its messages went into. Epochs only rise, so what waits is
//! a short queue of runs: so many publishes up to this number, answered with ack or nack at that epoch.

use std::collections::VecDeque;

/// What a channel tells its publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// basic.ack of this number; with `multiple`, of all before it.
    Ack {
        /// The last publish that is confirmed.
        sequence: u64,
        /// Several are.
        multiple: bool,
    },
    /// basic.nack, likewise.
    Nack {
        /// The last publish that is refused.
        sequence: u64,
        /// Several are.
        multiple: bool,
    },
}

#[derive(Clone, Copy, Debug)]
struct Run {
    last: u64,
    epoch: u64,
    accepted: bool,
}

/// The confirms of one channel.
#[derive(Debug, Default)]
pub struct Confirms {
    /// Publishes seen since confirm.select.
    published: u64,
    /// Publishes answered.
    answered: u64,
    /// Publishes answered with an ack.
    confirmed: u64,
    waiting: VecDeque<Run>,
}

impl Confirms {
    /// Publishes that have no answer yet.
    pub fn unconfirmed(&self) -> u64 {
        self.published - self.answered
    }

    /// Publishes that were confirmed.
    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Notes `count` publishes whose messages are durable with `epoch`; an epoch that has passed already is fine.
    pub fn published(&mut self, count: u64, epoch: u64) {
        self.note(count, epoch, true);
    }

    /// Notes a publish that was refused. Its nack follows the answers to those before it.
    pub fn refused(&mut self, count: u64) {
        self.note(count, 0, false);
    }

    fn note(&mut self, count: u64, epoch: u64, accepted: bool) {
        if count == 0 {
            return;
        }
        self.published += count;
        // An answer never overtakes one before it, so an epoch counts at least as much as its predecessor's.
        let epoch = self
            .waiting
            .back()
            .map_or(epoch, |run| run.epoch.max(epoch));
        match self.waiting.back_mut() {
            Some(run) if run.epoch == epoch && run.accepted == accepted => {
                run.last = self.published;
            }
            _ => self.waiting.push_back(Run {
                last: self.published,
                epoch,
                accepted,
            }),
        }
    }

    /// The epoch that the next answer waits for.
    pub fn next_epoch(&self) -> Option<u64> {
        self.waiting.front().map(|run| run.epoch)
    }

    /// Answers all that `durable` covers.
    pub fn release(&mut self, durable: u64, mut answer: impl FnMut(Release)) {
        let mut open: Option<Run> = None;
        while let Some(run) = self
            .waiting
            .front()
            .copied()
            .filter(|run| run.epoch <= durable)
        {
            self.waiting.pop_front();
            match &mut open {
                Some(before) if before.accepted == run.accepted => before.last = run.last,
                _ => {
                    if let Some(before) = open.replace(run) {
                        self.answer(before, &mut answer);
                    }
                }
            }
        }
        if let Some(run) = open {
            self.answer(run, &mut answer);
        }
    }

    /// Refuses all that waits for an epoch above `durable`: the storage cannot take it.
    pub fn give_up(&mut self, durable: u64, answer: impl FnMut(Release)) {
        for run in &mut self.waiting {
            if run.epoch > durable {
                run.epoch = durable;
                run.accepted = false;
            }
        }
        self.release(durable, answer);
    }

    fn answer(&mut self, run: Run, answer: &mut impl FnMut(Release)) {
        let count = run.last - self.answered;
        let multiple = count > 1;
        self.confirmed += if run.accepted { count } else { 0 };
        self.answered = run.last;
        let sequence = run.last;
        answer(if run.accepted {
            Release::Ack { sequence, multiple }
        } else {
            Release::Nack { sequence, multiple }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(confirms: &mut Confirms, durable: u64) -> Vec<Release> {
        let mut answers = Vec::new();
        confirms.release(durable, |answer| answers.push(answer));
        answers
    }

    fn ack(sequence: u64, multiple: bool) -> Release {
        Release::Ack { sequence, multiple }
    }

    fn nack(sequence: u64, multiple: bool) -> Release {
        Release::Nack { sequence, multiple }
    }

    #[test]
    fn one_frame_answers_all_that_an_epoch_covers() {
        let mut confirms = Confirms::default();
        confirms.published(3, 1);
        confirms.published(4, 2);
        confirms.published(1, 3);
        assert_eq!(release(&mut confirms, 0), []);
        assert_eq!(release(&mut confirms, 2), [ack(7, true)]);
        assert_eq!(release(&mut confirms, 3), [ack(8, false)]);
        assert_eq!(confirms.unconfirmed(), 0);
    }

    #[test]
    fn a_transient_publish_does_not_overtake_a_persistent_one() {
        let mut confirms = Confirms::default();
        confirms.published(1, 5);
        confirms.published(1, 0);
        assert_eq!(release(&mut confirms, 4), []);
        assert_eq!(release(&mut confirms, 5), [ack(2, true)]);
    }

    #[test]
    fn a_refusal_keeps_its_place() {
        let mut confirms = Confirms::default();
        confirms.published(2, 1);
        confirms.refused(1);
        confirms.published(2, 1);
        assert_eq!(
            release(&mut confirms, 1),
            [ack(2, true), nack(3, false), ack(5, true)]
        );
    }

    #[test]
    fn a_storage_that_fails_refuses_only_what_it_does_not_have() {
        let mut confirms = Confirms::default();
        confirms.published(2, 1);
        confirms.published(2, 2);
        let mut answers = Vec::new();
        confirms.give_up(1, |answer| answers.push(answer));
        assert_eq!(answers, [ack(2, true), nack(4, true)]);
    }
}
