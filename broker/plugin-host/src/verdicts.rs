//! What a transform whose answers are pure said of messages before.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::contract::types::{Field, Properties, Replacement, Table, Value, Verdict};

/// Answers that are kept, at most.
const ANSWERS_MAX: usize = 4096;

/// Bytes of all that is kept, at most.
const ALL_BYTES_MAX: usize = 4 << 20;

/// A message of which the plugin sees more bytes than this is not worth remembering.
const SEEN_MAX: usize = 1024;

/// Nor is an answer that has more bytes than this: one replacement without anything in it has about 500.
const ANSWER_MAX: usize = 2048;

/// Bytes of an entry beside what was seen and what the answer refers to.
const ENTRY: usize = size_of::<(Box<[u8]>, Verdict)>() + 16;

/// The answers of one version, by what it saw. The name of the queue is a part of that.
#[derive(Debug, Default)]
pub(crate) struct Verdicts(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<Box<[u8]>, Verdict, RandomState>,
    bytes: usize,
}

impl Verdicts {
    /// What the plugin said of a message like this one.
    pub(crate) fn find(&self, queue: Option<&str>, seen: &[u8]) -> Option<Verdict> {
        if seen.len() > SEEN_MAX {
            return None;
        }
        with_key(queue, seen, |key| self.0.lock().answers.get(key).cloned())
    }

    /// Whether this answer is to be kept.
    pub(crate) fn is_worth_it(seen: &[u8], verdict: &Verdict) -> bool {
        seen.len() <= SEEN_MAX && size(verdict) <= ANSWER_MAX
    }

    /// Keeps what it said.
    pub(crate) fn keep(&self, queue: Option<&str>, seen: &[u8], verdict: Verdict) {
        let own = size(&verdict);
        with_key(queue, seen, |key| {
            let own = own + key.len() + ENTRY;
            let mut kept = self.0.lock();
            if kept.answers.len() >= ANSWERS_MAX || kept.bytes + own > ALL_BYTES_MAX {
                kept.answers.clear();
                kept.bytes = 0;
            }
            kept.bytes += own;
            if let Some(before) = kept.answers.insert(key.into(), verdict) {
                kept.bytes -= size(&before) + key.len() + ENTRY;
            }
        });
    }

    /// Bytes of all that is kept.
    pub(crate) fn bytes(&self) -> usize {
        self.0.lock().bytes
    }

    /// Forgets all: the version is in force no more.
    pub(crate) fn clear(&self) {
        *self.0.lock() = Kept::default();
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

/// Bytes that an answer refers to.
fn size(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Pass | Verdict::Drop | Verdict::Delay(_) => 0,
        Verdict::Reject(reason) | Verdict::DeadLetter(reason) => reason.len(),
        Verdict::Replace(replacements) => replacements.iter().map(size_of_replacement).sum(),
    }
}

fn size_of_replacement(replacement: &Replacement) -> usize {
    let Replacement {
        routing_key,
        properties,
        set_headers: Table { fields, nested },
        remove_headers,
        body,
        delay: _,
    } = replacement;
    let removed = remove_headers.iter();
    size_of::<Replacement>()
        + routing_key.as_ref().map_or(0, String::len)
        + properties.as_ref().map_or(0, size_of_texts)
        + fields
            .iter()
            .chain(nested)
            .map(size_of_field)
            .sum::<usize>()
        + removed
            .map(|name| size_of::<String>() + name.len())
            .sum::<usize>()
        + body.as_ref().map_or(0, Vec::len)
}

fn size_of_field(field: &Field) -> usize {
    let value = match &field.value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    };
    size_of::<Field>() + field.name.len() + value
}

fn size_of_texts(properties: &Properties) -> usize {
    let texts = [
        &properties.content_type,
        &properties.content_encoding,
        &properties.correlation_id,
        &properties.reply_to,
        &properties.expiration,
        &properties.message_id,
        &properties.kind,
        &properties.user_id,
        &properties.app_id,
        &properties.cluster_id,
    ];
    texts.into_iter().flatten().map(String::len).sum()
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
        assert!(is_worth_it(&[0; SEEN_MAX], &Verdict::Drop));
        assert!(!is_worth_it(&[0; SEEN_MAX + 1], &Verdict::Drop));
        let reason = "x".repeat(ANSWER_MAX + 1);
        assert!(!is_worth_it(b"a", &Verdict::Reject(reason)));
        for number in 0..3 * ANSWERS_MAX {
            verdicts.keep(None, &number.to_le_bytes(), Verdict::Drop);
        }
        assert!(verdicts.0.lock().answers.len() <= ANSWERS_MAX);
    }

    fn nothing() -> Replacement {
        Replacement {
            routing_key: None,
            properties: None,
            set_headers: Table::default(),
            remove_headers: Vec::new(),
            body: None,
            delay: 0,
        }
    }

    #[test]
    fn all_that_an_answer_refers_to_counts() {
        let large = || "x".repeat(ANSWER_MAX);
        let field = |name, value| Field { name, value };
        let fields = |fields| Table {
            fields,
            nested: Vec::new(),
        };
        let small = Value::Void;
        let answers = [
            Replacement {
                routing_key: Some(large()),
                ..nothing()
            },
            Replacement {
                properties: Some(Properties {
                    cluster_id: Some(large()),
                    ..Properties::default()
                }),
                ..nothing()
            },
            Replacement {
                remove_headers: vec![large()],
                ..nothing()
            },
            Replacement {
                remove_headers: vec![String::new(); 100],
                ..nothing()
            },
            Replacement {
                set_headers: fields(vec![field(large(), small.clone())]),
                ..nothing()
            },
            Replacement {
                set_headers: fields(vec![field(String::new(), Value::Text(large()))]),
                ..nothing()
            },
            Replacement {
                set_headers: Table {
                    fields: Vec::new(),
                    nested: vec![field(String::new(), Value::Bytes(large().into()))],
                },
                ..nothing()
            },
            Replacement {
                body: Some(large().into()),
                ..nothing()
            },
        ];
        let is_worth_it = |one| Verdicts::is_worth_it(b"a", &Verdict::Replace(one));
        assert!(is_worth_it(vec![nothing()]));
        for answer in answers {
            assert!(!is_worth_it(vec![answer.clone()]), "{answer:?}");
        }
        assert!(!is_worth_it(vec![nothing(); 10]));
    }

    #[test]
    fn what_is_kept_has_so_many_bytes_at_most() {
        let verdicts = Verdicts::default();
        let mut most = 0;
        for number in 0..ANSWERS_MAX {
            let mut seen = [0; SEEN_MAX];
            seen[..8].copy_from_slice(&number.to_le_bytes());
            let reason = Verdict::Reject("x".repeat(ANSWER_MAX));
            // The second one takes the place of the first.
            verdicts.keep(None, &seen, reason.clone());
            verdicts.keep(None, &seen, reason);
            most = most.max(verdicts.bytes());
        }
        assert!(most <= ALL_BYTES_MAX && most > ALL_BYTES_MAX / 2, "{most}");
        let kept = verdicts.0.lock().answers.len();
        assert_eq!(
            verdicts.bytes(),
            kept * (SEEN_MAX + ANSWER_MAX + ENTRY),
            "of {kept} answers"
        );
        verdicts.clear();
        assert_eq!(verdicts.bytes(), 0);
    }
}
