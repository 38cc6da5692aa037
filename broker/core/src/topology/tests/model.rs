//! Random commands, held against the simplest thing that could be right.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use amphora_protocol::wire::table::FieldTable;
use arbtest::arbitrary::{Result, Unstructured};

use super::{World, arrow, table};
use crate::exchange::naive::{headers_match, topic_matches, words};

const EXCHANGES: [&str; 4] = ["v", "w", "x", "y"];
const QUEUES: [&str; 4] = ["p", "q", "r", "s"];
const KEYS: [&str; 6] = ["a", "b", "a.b", "*.b", "#", "a.#"];
const TYPES: [&str; 4] = ["direct", "fanout", "topic", "headers"];

#[derive(Debug, Default)]
struct Model {
    exchanges: BTreeMap<&'static str, Exchange>,
    queues: BTreeSet<&'static str>,
    bindings: BTreeSet<Binding>,
}

#[derive(Debug)]
struct Exchange {
    kind: &'static str,
    auto_delete: bool,
    alternate: Option<&'static str>,
}

/// The destination begins with `>` if it is an exchange.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Binding {
    source: &'static str,
    destination: String,
    key: &'static str,
    argument: &'static str,
}

/// As in a script.
impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            destination,
            key,
            argument,
        } = self;
        write!(f, "{source} {destination} {key} {argument}")
    }
}

impl Model {
    fn exists(&self, destination: &str) -> bool {
        match destination.strip_prefix('>') {
            Some(exchange) => self.exchanges.contains_key(exchange),
            None => self.queues.contains(destination),
        }
    }

    fn unbind(&mut self, gone: impl Fn(&Binding) -> bool) {
        let (removed, kept) = std::mem::take(&mut self.bindings)
            .into_iter()
            .partition(gone);
        self.bindings = kept;
        let removed: BTreeSet<Binding> = removed;
        for Binding { source, .. } in removed {
            let used = self.bindings.iter().any(|binding| binding.source == source);
            if !used
                && self
                    .exchanges
                    .get(source)
                    .is_some_and(|exchange| exchange.auto_delete)
            {
                self.delete_exchange(source);
            }
        }
    }

    fn delete_exchange(&mut self, name: &str) {
        if self.exchanges.remove(name).is_some() {
            self.unbind(|binding| {
                binding.source == name || binding.destination.strip_prefix('>') == Some(name)
            });
        }
    }

    fn route(&self, exchange: &str, keys: &[&str], headers: &FieldTable) -> BTreeSet<&str> {
        let mut queues = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut reached = vec![exchange];
        while let Some(name) = reached.pop() {
            let Some(exchange) = self.exchanges.get(name) else {
                continue;
            };
            if !seen.insert(name) {
                continue;
            }
            let is_match = |binding: &&Binding| match exchange.kind {
                "direct" => keys.contains(&binding.key),
                "topic" => keys
                    .iter()
                    .any(|key| topic_matches(&words(binding.key), &words(key))),
                "headers" => headers_match(&table(&[binding.argument]), headers),
                _ => true,
            };
            let matched: Vec<&Binding> = self
                .bindings
                .iter()
                .filter(|binding| binding.source == name)
                .filter(is_match)
                .collect();
            if matched.is_empty() {
                reached.extend(exchange.alternate);
            }
            for binding in matched {
                match binding.destination.strip_prefix('>') {
                    Some(exchange) => reached.push(exchange),
                    None => drop(queues.insert(binding.destination.as_str())),
                }
            }
        }
        queues
    }
}

fn step(u: &mut Unstructured<'_>, world: &mut World, model: &mut Model) -> Result<()> {
    let exchange = *u.choose(&EXCHANGES)?;
    let queue = *u.choose(&QUEUES)?;
    match u.int_in_range(0..=11)? {
        0 | 1 => declare_exchange(u, world, model)?,
        2 | 3 => {
            let durable = if u.arbitrary()? { "durable" } else { "" };
            world.run(&format!("queue {queue} {durable}"));
            model.queues.insert(queue);
        }
        4..=8 => {
            let binding = binding(u)?;
            world.run(&format!("bind {binding}"));
            if model.exchanges.contains_key(binding.source) && model.exists(&binding.destination) {
                model.bindings.insert(binding);
            }
        }
        9 => {
            let binding = binding(u)?;
            world.run(&format!("unbind {binding}"));
            model.unbind(|held| *held == binding);
        }
        10 => {
            world.run(&format!("delete-exchange {exchange}"));
            model.delete_exchange(exchange);
        }
        _ => {
            world.run(&format!("delete-queue {queue}"));
            model.queues.remove(queue);
            model.unbind(|binding| binding.destination == queue);
        }
    }
    Ok(())
}

fn declare_exchange(u: &mut Unstructured<'_>, world: &mut World, model: &mut Model) -> Result<()> {
    let (name, kind) = (*u.choose(&EXCHANGES)?, *u.choose(&TYPES)?);
    let auto_delete = u.ratio(1, 3)?;
    let alternate = if u.arbitrary()? {
        Some(*u.choose(&EXCHANGES)?)
    } else {
        None
    };
    let flag = if auto_delete {
        "auto-delete"
    } else {
        "durable"
    };
    let argument = alternate.map(|alternate| format!(" alternate-exchange={alternate}"));
    world.run(&format!(
        "exchange {name} {kind} {flag}{}",
        argument.unwrap_or_default()
    ));
    model.exchanges.entry(name).or_insert(Exchange {
        kind,
        auto_delete,
        alternate,
    });
    Ok(())
}

fn binding(u: &mut Unstructured<'_>) -> Result<Binding> {
    let source = u.choose(&EXCHANGES)?;
    let destination = if u.ratio(1, 3)? {
        format!(">{}", u.choose(&EXCHANGES)?)
    } else {
        (*u.choose(&QUEUES)?).to_owned()
    };
    Ok(Binding {
        source,
        destination,
        key: u.choose(&KEYS)?,
        argument: u.choose(&["n=1", "n=2", "n=V:"])?,
    })
}

fn compare(u: &mut Unstructured<'_>, world: &mut World, model: &Model) -> Result<()> {
    let mut bindings: Vec<String> = world
        .topology
        .bindings()
        .filter(|binding| !binding.source.is_empty())
        .map(|binding| format!("{} {:?}", arrow(&binding), binding.arguments.table()))
        .collect();
    let mut expected: Vec<String> = model
        .bindings
        .iter()
        .map(|binding| {
            let binding = super::binding(&format!("bind {binding}").split(' ').collect::<Vec<_>>());
            format!("{} {:?}", arrow(&binding), binding.arguments.table())
        })
        .collect();
    bindings.sort_unstable();
    expected.sort_unstable();
    assert_eq!(bindings, expected);
    let names = world
        .topology
        .exchanges()
        .filter(|exchange| EXCHANGES.contains(&exchange.name.as_str()))
        .count();
    assert_eq!(
        (names, world.topology.queues().len()),
        (model.exchanges.len(), model.queues.len())
    );
    let keys = [
        *u.choose(&["a", "b", "a.b", "c.b", "c", ""])?,
        *u.choose(&["a", "b", "a.b.c"])?,
    ];
    let keys = if u.arbitrary()? {
        keys.as_slice()
    } else {
        &keys[..1]
    };
    let headers = table(&[u.choose(&["n=1", "n=3", "m=1"])?]);
    for exchange in model.exchanges.keys() {
        world
            .topology
            .route(exchange, keys, &headers, &mut world.routed)
            .expect("it exists and is not internal");
        let expected = model.route(exchange, keys, &headers);
        let found: BTreeSet<&str> = world.routed.queues.iter().map(String::as_str).collect();
        assert_eq!(
            found, expected,
            "publish {exchange} {keys:?} {headers:?} in {model:?}"
        );
        assert_eq!(
            world.routed.queues.len(),
            found.len(),
            "a queue was found twice"
        );
    }
    Ok(())
}

/// Shows many worlds, each with a message for each of its exchanges.
pub(super) fn worlds(mut show: impl FnMut(&mut World, &str, &[&str], &FieldTable)) {
    arbtest::arbtest(|u| {
        let mut world = World::new();
        let mut model = Model::default();
        for _ in 0..u.int_in_range(1..=60)? {
            step(u, &mut world, &mut model)?;
            let keys = [*u.choose(&KEYS)?, *u.choose(&["a", "b", "a.b.c", ""])?];
            let keys = keys.get(u.int_in_range(0..=1)?..).unwrap_or_default();
            let headers = table(&[u.choose(&["n=1", "n=3", "m=1"])?]);
            for exchange in model.exchanges.keys() {
                show(&mut world, exchange, keys, &headers);
            }
        }
        Ok(())
    });
}

#[test]
fn agrees_with_the_model() {
    arbtest::arbtest(|u| {
        let mut world = World::new();
        let mut model = Model::default();
        for _ in 0..u.int_in_range(1..=60)? {
            step(u, &mut world, &mut model)?;
            compare(u, &mut world, &model)?;
        }
        Ok(())
    });
}
