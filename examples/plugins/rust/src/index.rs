//! The bindings of an exchange by what their keys begin with.

use std::collections::HashMap;

use amphora_sdk::exchange::BindingId;
use rustc_hash::FxBuildHasher;

/// A map that hashes faster than the standard one. It is not seeded: keys that were chosen to collide slow down their own exchange only,
/// until the call's deadline.
pub(crate) type Map<K, V> = HashMap<K, V, FxBuildHasher>;

/// A binding whose key matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) id: BindingId,
    pub(crate) least: Option<i64>,
}

/// Bindings by their keys.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Keys without a wildcard.
    exact: Map<String, Vec<Candidate>>,
    /// Those that begin with a word, by that word.
    by_word: Map<String, Vec<(Vec<String>, Candidate)>>,
    /// Those that begin with a wildcard.
    others: Vec<(Vec<String>, Candidate)>,
}

impl<'a> FromIterator<(&'a str, Candidate)> for Index {
    fn from_iter<I: IntoIterator<Item = (&'a str, Candidate)>>(bindings: I) -> Self {
        let mut index = Self::default();
        for (key, candidate) in bindings {
            let pattern: Vec<String> = words(key).map(str::to_owned).collect();
            let is_wildcard = |word: &String| word == "*" || word == "#";
            if !pattern.iter().any(is_wildcard) {
                index
                    .exact
                    .entry(key.to_owned())
                    .or_default()
                    .push(candidate);
            } else if is_wildcard(&pattern[0]) {
                index.others.push((pattern, candidate));
            } else {
                let same = index.by_word.entry(pattern[0].clone()).or_default();
                same.push((pattern, candidate));
            }
        }
        index
    }
}

impl Index {
    /// Appends the bindings whose keys match.
    pub(crate) fn find(&self, key: &str, found: &mut Vec<Candidate>) {
        found.extend(self.exact.get(key).into_iter().flatten());
        let words: Vec<&str> = words(key).collect();
        let first = words.first().and_then(|first| self.by_word.get(*first));
        for (pattern, candidate) in first.into_iter().flatten().chain(&self.others) {
            if matches(pattern, &words) {
                found.push(*candidate);
            }
        }
    }
}

/// The empty key has no word.
fn words(key: &str) -> impl Iterator<Item = &str> {
    key.split('.').filter(move |_| !key.is_empty())
}

/// `*` is one word, `#` any number. After a mismatch, the last `#` takes one word more.
fn matches(pattern: &[String], words: &[&str]) -> bool {
    let (mut at, mut word) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while word < words.len() {
        match pattern.get(at).map(String::as_str) {
            Some("#") => {
                back = Some((at, word));
                at += 1;
            }
            Some(wanted) if wanted == "*" || wanted == words[word] => {
                at += 1;
                word += 1;
            }
            _ => {
                let Some((hash, taken)) = back else {
                    return false;
                };
                back = Some((hash, taken + 1));
                (at, word) = (hash + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|rest| rest == "#")
}
