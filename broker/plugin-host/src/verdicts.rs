//! What a transform whose answers are pure said of messages before.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::contract::types::Verdict;

/// Answers that are kept, at most.
const ANSWERS_MAX: usize = 4096;

/// A message of which the plugin sees more than this is not worth remembering, nor is an answer that has more.
const BYTES_MAX: usize = 1024;

/// The answers of one version, by what it saw. The name of the queue is a part of that.
#[derive(Debug, Default)]
pub(crate) struct Verdicts(Mutex<HashMap<Box<[u8]>, Verdict, RandomState>>);

impl Verdicts {
    /// What the plugin said of a message like this one.
    pub(crate) fn find(&self, queue: Option<&str>, seen: &[u8]) -> Option<Verdict> {
        if seen.len() > BYTES_MAX {
            return None;
        }
        with_key(queue, seen, |key| self.0.lock().get(key).cloned())
    }

    /// Whether this answer is to be kept.
    pub(crate) fn is_worth_it(seen: &[u8], verdict: &Verdict) -> bool {
        seen.len() <= BYTES_MAX && size(verdict) <= BYTES_MAX
    }

    /// Keeps what it said.
    pub(crate) fn keep(&self, queue: Option<&str>, seen: &[u8], verdict: Verdict) {
        let mut kept = self.0.lock();
        if kept.len() >= ANSWERS_MAX {
            kept.clear();
        }
        with_key(queue, seen, |key| kept.insert(key.into(), verdict));
    }

    /// Forgets all: the version is in force no more.
    pub(crate) fn clear(&self) {
        *self.0.lock() = HashMap::default();
    }
}

/// What was seen, and behind it the queue's name; no queue is another thing than one without a name.
fn with_key<R>(queue: Option<&str>, seen: &[u8], with: impl FnOnce(&[u8]) -> R) -> R {
    let Some(queue) = queue else {
        return with(seen);
    };
    let mut key = Vec::with_capacity(seen.len() + queue.len() + 1);
    key.extend_from_slice(seen);
    key.push(0);
    key.extend_from_slice(queue.as_bytes());
    with(&key)
}

/// Bytes of an answer, roughly. One with headers counts as too much if they are many.
fn size(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Pass | Verdict::Drop | Verdict::Delay(_) => 0,
        Verdict::Reject(reason) | Verdict::DeadLetter(reason) => reason.len(),
        Verdict::Replace(replacements) => replacements
            .iter()
            .map(|replacement| {
                let body = replacement.body.as_ref().map_or(0, Vec::len);
                let headers = &replacement.set_headers;
                body + 64 * (1 + headers.fields.len() + headers.nested.len())
            })
            .sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_that_to_the_same_message_before_the_same_queue() {
        let verdicts = Verdicts::default();
        let found = |queue, seen: &[u8]| verdicts.find(queue, seen).is_some();
        verdicts.keep(None, b"a", Verdict::Drop);
        verdicts.keep(Some("q"), b"b", Verdict::Drop);
        assert!(found(None, b"a") && found(Some("q"), b"b"));
        assert!(!found(Some("q"), b"a") && !found(Some(""), b"a"));
        assert!(!found(None, b"b") && !found(Some("r"), b"b"));
        verdicts.clear();
        assert!(!found(None, b"a"));
    }

    #[test]
    fn what_is_large_or_too_many_is_not_kept() {
        let verdicts = Verdicts::default();
        let is_worth_it = Verdicts::is_worth_it;
        assert!(is_worth_it(&[0; BYTES_MAX], &Verdict::Drop));
        assert!(!is_worth_it(&[0; BYTES_MAX + 1], &Verdict::Drop));
        let reason = "x".repeat(BYTES_MAX + 1);
        assert!(!is_worth_it(b"a", &Verdict::Reject(reason)));
        for number in 0..3 * ANSWERS_MAX {
            verdicts.keep(None, &number.to_le_bytes(), Verdict::Drop);
        }
        assert!(verdicts.0.lock().len() <= ANSWERS_MAX);
    }
}
