//! The topic exchange: binding keys with wildcards (AMQP 0-9-1, 3.1.3.3).
//!
//! A key is words separated by dots; the empty key has no word, and `a..b` has an empty one in the middle. In a binding
//! key `*` stands for exactly one word and `#` for any number of words, also none.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use slab::Slab;

use super::marks::Marks;
use super::targets::{Target, Targets, slot};

const ROOT: u32 = 0;

/// The binding keys of a topic exchange as a trie of words.
///
/// # Cost
/// A publish walks all matching paths at once, word by word, and enters a node at most once per word: the work grows
/// with the words of the key and with the nodes that match its beginning, not with the number of bindings, and no
/// combination of `#` multiplies it. Words are numbered, so that each word of a key is hashed once.
#[derive(Debug)]
pub(crate) struct Topic {
    nodes: Slab<Node>,
    /// The child of a node for a word. One table for all nodes, because most nodes have one child.
    children: HashMap<(u32, u32), u32, RandomState>,
    words: Words,
}

#[derive(Debug)]
struct Node {
    parent: u32,
    edge: Edge,
    star: Option<u32>,
    hash: Option<u32>,
    /// How many words lead on from here.
    words: u32,
    targets: Targets,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    Root,
    Word(u32),
    Star,
    Hash,
}

/// What a walk needs beside the trie, reused from message to message.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// The nodes that the words before this one lead to, without those in `open`.
    active: Vec<u32>,
    /// The nodes that this word leads to.
    next: Vec<u32>,
    /// The nodes behind a `#` that matched: each of them stays reachable whatever words follow.
    open: Vec<u32>,
    opened: Marks,
    /// How many nodes were entered since this was made.
    #[cfg(test)]
    pub(crate) entered: usize,
}

impl Default for Topic {
    fn default() -> Self {
        let mut nodes = Slab::new();
        nodes.insert(Node::new(ROOT, Edge::Root));
        Self {
            nodes,
            children: HashMap::default(),
            words: Words::default(),
        }
    }
}

impl Topic {
    pub(crate) fn bind(&mut self, key: &str, target: Target) {
        let mut at = ROOT;
        for word in words(key) {
            at = self.child_or_insert(at, word);
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.targets.add(target);
        }
    }

    pub(crate) fn unbind(&mut self, key: &str, target: Target) {
        let mut at = ROOT;
        for word in words(key) {
            let Some(child) = self.child(at, word) else {
                return;
            };
            at = child;
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.targets.remove(target);
        }
        self.prune(at);
    }

    /// Appends the destinations of all binding keys that match `key`; one that several of them lead to may come repeatedly.
    pub(crate) fn route(&self, key: &str, walk: &mut Walk, matched: &mut Vec<Target>) {
        walk.next.clear();
        walk.open.clear();
        walk.opened.begin();
        self.enter(ROOT, walk, matched);
        for word in words(key) {
            let word = self.words.find(word);
            std::mem::swap(&mut walk.active, &mut walk.next);
            walk.next.clear();
            // What this word opens is led on from by the next.
            let open = walk.open.len();
            for at in 0..walk.active.len() {
                self.step(walk.active.get(at).copied(), word, walk, matched);
            }
            for at in 0..open {
                self.step(walk.open.get(at).copied(), word, walk, matched);
            }
            if walk.next.is_empty() && walk.open.is_empty() {
                return;
            }
        }
        for at in &walk.next {
            if let Some(node) = self.nodes.get(*at as usize) {
                node.targets.append_to(matched);
            }
        }
    }

    /// Leads on from a node by one word.
    fn step(
        &self,
        from: Option<u32>,
        word: Option<u32>,
        walk: &mut Walk,
        matched: &mut Vec<Target>,
    ) {
        let Some((from, node)) = from.and_then(|from| Some((from, self.nodes.get(from as usize)?)))
        else {
            return;
        };
        if node.words > 0
            && let Some(word) = word
            && let Some(child) = self.children.get(&(from, word))
        {
            self.enter(*child, walk, matched);
        }
        if let Some(star) = node.star {
            self.enter(star, walk, matched);
        }
    }

    /// Reaches a node that is not behind a `#`. Its parent is left once per word, so it is entered once per word.
    fn enter(&self, at: u32, walk: &mut Walk, matched: &mut Vec<Target>) {
        #[cfg(test)]
        {
            walk.entered += 1;
        }
        walk.next.push(at);
        let mut behind = self.nodes.get(at as usize).and_then(|node| node.hash);
        while let Some(at) = behind {
            if !walk.opened.mark(at) {
                return;
            }
            let Some(node) = self.nodes.get(at as usize) else {
                return;
            };
            #[cfg(test)]
            {
                walk.entered += 1;
            }
            // It will still be reached by the key's last word, so it matches already.
            node.targets.append_to(matched);
            if node.words > 0 || node.star.is_some() {
                walk.open.push(at);
            }
            behind = node.hash;
        }
    }

    fn child(&self, at: u32, word: &str) -> Option<u32> {
        let node = self.nodes.get(at as usize)?;
        match word {
            "*" => node.star,
            "#" => node.hash,
            word => self.children.get(&(at, self.words.find(word)?)).copied(),
        }
    }

    fn child_or_insert(&mut self, at: u32, word: &str) -> u32 {
        if let Some(child) = self.child(at, word) {
            return child;
        }
        let edge = match word {
            "*" => Edge::Star,
            "#" => Edge::Hash,
            word => Edge::Word(self.words.take(word)),
        };
        let child = slot(self.nodes.insert(Node::new(at, edge)));
        if let Some(node) = self.nodes.get_mut(at as usize) {
            match edge {
                Edge::Star => node.star = Some(child),
                Edge::Hash => node.hash = Some(child),
                Edge::Word(word) => {
                    node.words += 1;
                    self.children.insert((at, word), child);
                }
                Edge::Root => {}
            }
        }
        child
    }

    /// Removes the node, and those above it, that nothing needs any more.
    fn prune(&mut self, mut at: u32) {
        while at != ROOT && self.nodes.get(at as usize).is_some_and(Node::is_idle) {
            let node = self.nodes.remove(at as usize);
            if let Some(parent) = self.nodes.get_mut(node.parent as usize) {
                match node.edge {
                    Edge::Star => parent.star = None,
                    Edge::Hash => parent.hash = None,
                    Edge::Word(word) => {
                        parent.words -= 1;
                        self.children.remove(&(node.parent, word));
                        self.words.give_back(word);
                    }
                    Edge::Root => {}
                }
            }
            at = node.parent;
        }
    }
}

impl Node {
    fn new(parent: u32, edge: Edge) -> Self {
        Self {
            parent,
            edge,
            star: None,
            hash: None,
            words: 0,
            targets: Targets::default(),
        }
    }

    fn is_idle(&self) -> bool {
        self.targets.is_empty() && self.star.is_none() && self.hash.is_none() && self.words == 0
    }
}

/// The words of all binding keys, numbered and counted.
#[derive(Debug, Default)]
struct Words {
    numbers: HashMap<Box<str>, u32, RandomState>,
    uses: Slab<(Box<str>, u32)>,
}

impl Words {
    fn find(&self, word: &str) -> Option<u32> {
        self.numbers.get(word).copied()
    }

    fn take(&mut self, word: &str) -> u32 {
        if let Some(number) = self.find(word) {
            if let Some((_, uses)) = self.uses.get_mut(number as usize) {
                *uses += 1;
            }
            return number;
        }
        let number = slot(self.uses.insert((word.into(), 1)));
        self.numbers.insert(word.into(), number);
        number
    }

    fn give_back(&mut self, number: u32) {
        let Some((_, uses)) = self.uses.get_mut(number as usize) else {
            return;
        };
        *uses -= 1;
        if *uses == 0 {
            let (word, _) = self.uses.remove(number as usize);
            self.numbers.remove(&word);
        }
    }
}

/// The words are short: looking at every byte is faster than setting up a search.
pub(super) fn words(key: &str) -> impl Iterator<Item = &str> {
    let mut left = (!key.is_empty()).then_some(key);
    std::iter::from_fn(move || {
        let key = left?;
        let dot = key.bytes().position(|byte| byte == b'.');
        let (word, rest) = dot
            .and_then(|dot| Some((key.get(..dot)?, key.get(dot + 1..)?)))
            .unzip();
        left = rest;
        Some(word.unwrap_or(key))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Target, Topic, Walk};
    use crate::exchange::naive::{topic_matches, words};

    /// All sequences of up to `words_max` words.
    fn sequences(alphabet: &[&str], words_max: usize) -> Vec<String> {
        let mut all = vec![Vec::new()];
        let mut last = all.clone();
        for _ in 0..words_max {
            last = last
                .iter()
                .flat_map(|words: &Vec<String>| {
                    alphabet
                        .iter()
                        .map(|word| words.iter().cloned().chain([(*word).to_owned()]).collect())
                })
                .collect();
            all.extend(last.iter().cloned());
        }
        all.iter().map(|words| words.join(".")).collect()
    }

    fn route(topic: &Topic, key: &str, walk: &mut Walk) -> BTreeSet<u32> {
        let mut matched = Vec::new();
        topic.route(key, walk, &mut matched);
        let found: BTreeSet<u32> = matched
            .iter()
            .map(|target| match target {
                Target::Queue(slot) | Target::Exchange(slot) => *slot,
            })
            .collect();
        assert_eq!(
            found.len(),
            matched.len(),
            "a binding matched twice for {key:?}: {matched:?}"
        );
        found
    }

    fn queue(place: usize) -> Target {
        Target::Queue(u32::try_from(place).expect("few patterns"))
    }

    /// Every pattern of up to four words with every key of up to four words; the patterns all share one trie, so that
    /// they also stand in each other's way. A second pass after every other one is gone checks what removal leaves.
    #[test]
    fn every_pattern_and_key_up_to_four_words() {
        let patterns = sequences(&["a", "b", "*", "#"], 4);
        let keys = sequences(&["a", "b", "c"], 4);
        let mut topic = Topic::default();
        for (place, pattern) in patterns.iter().enumerate() {
            topic.bind(pattern, queue(place));
        }
        let mut walk = Walk::default();
        for step in [1, 2] {
            for key in &keys {
                let expected: BTreeSet<u32> = (0_u32..)
                    .zip(&patterns)
                    .step_by(step)
                    .filter(|(_, pattern)| topic_matches(&words(pattern), &words(key)))
                    .map(|(place, _)| place)
                    .collect();
                assert_eq!(route(&topic, key, &mut walk), expected, "key {key:?}");
            }
            for (place, pattern) in patterns.iter().enumerate().skip(1).step_by(2) {
                topic.unbind(pattern, queue(place));
            }
        }
        for (place, pattern) in patterns.iter().enumerate() {
            topic.unbind(pattern, queue(place));
        }
        assert_eq!(
            (
                topic.nodes.len(),
                topic.children.len(),
                topic.words.uses.len()
            ),
            (1, 0, 0)
        );
    }

    /// Keys with empty words and with wildcards in them: only a binding key has wildcards.
    #[test]
    fn odd_words() {
        let patterns = [
            "", ".", "..", "*", "#", "a.", ".a", "*.*", "#.", "a.#.b", "\u{e4}.*", "a*", "*#",
        ];
        let mut topic = Topic::default();
        for (place, pattern) in patterns.iter().enumerate() {
            topic.bind(pattern, queue(place));
        }
        let mut walk = Walk::default();
        for key in [
            "",
            ".",
            "..",
            "a",
            "*",
            "#",
            "a.",
            ".a",
            "a..b",
            "*.#",
            "\u{e4}.\u{f6}",
            "a*",
            "*#",
            "x",
        ] {
            let found: Vec<&str> = route(&topic, key, &mut walk)
                .iter()
                .filter_map(|place| patterns.get(*place as usize).copied())
                .collect();
            let expected: Vec<&str> = patterns
                .into_iter()
                .filter(|pattern| topic_matches(&words(pattern), &words(key)))
                .collect();
            assert_eq!(found, expected, "key {key:?}");
        }
    }

    /// Long random patterns, bound and unbound in random order.
    #[test]
    fn agrees_with_the_standard_on_long_keys() {
        arbtest::arbtest(|u| {
            let mut topic = Topic::default();
            let mut bound: Vec<(String, u32)> = Vec::new();
            let mut walk = Walk::default();
            for number in 0..u.int_in_range(1..=30)? {
                let mut pattern = Vec::new();
                for _ in 0..u.int_in_range(0..=10)? {
                    pattern.push(*u.choose(&["a", "b", "*", "#", "#"])?);
                }
                let pattern = pattern.join(".");
                topic.bind(&pattern, Target::Queue(number));
                bound.push((pattern, number));
                if u.ratio(1, 4)? {
                    let place = u.choose_index(bound.len())?;
                    let (pattern, number) = bound.swap_remove(place);
                    topic.unbind(&pattern, Target::Queue(number));
                }
                let mut key = Vec::new();
                for _ in 0..u.int_in_range(0..=10)? {
                    key.push(*u.choose(&["a", "b", "c"])?);
                }
                let expected: BTreeSet<u32> = bound
                    .iter()
                    .filter(|(pattern, _)| topic_matches(&words(pattern), &key))
                    .map(|(_, number)| *number)
                    .collect();
                assert_eq!(
                    route(&topic, &key.join("."), &mut walk),
                    expected,
                    "{bound:?} {key:?}"
                );
            }
            Ok(())
        });
    }

    fn entered(topic: &Topic, key: &str) -> usize {
        let mut walk = Walk::default();
        topic.route(key, &mut walk, &mut Vec::new());
        walk.entered
    }

    #[test]
    fn a_publish_does_not_look_at_the_other_bindings() {
        let mut topic = Topic::default();
        topic.bind("stock.*.nyse", Target::Queue(0));
        topic.bind("stock.#", Target::Queue(1));
        let alone = entered(&topic, "stock.ibm.nyse");
        for other in 0..10_000 {
            topic.bind(&format!("stock.{other}.{other}"), Target::Queue(other));
            topic.bind(&format!("weather.{other}.#"), Target::Queue(other));
        }
        assert_eq!((alone, entered(&topic, "stock.ibm.nyse")), (5, 5));
    }

    /// A matcher that tries one way after the other needs some thousand million steps here.
    #[test]
    fn many_hashes_do_not_multiply() {
        let mut topic = Topic::default();
        topic.bind(&["#.a"; 20].join("."), Target::Queue(0));
        topic.bind(&["#"; 60].join("."), Target::Queue(1));
        let key = ["a"; 100].join(".");
        assert!(
            entered(&topic, &key) < 100 * 20 + 20 + 60 + 1,
            "{}",
            entered(&topic, &key)
        );
    }
}
