//! The same router in four languages has the same answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use amphora_core::hook::{ExchangeHook, Fault, Hooks, Origin, PackedBatch};
use amphora_plugin_host::{Grant, Host, HostSettings, PluginSpec, Standalone};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::{Decimal, FieldTable, FieldValue};
use amphora_protocol::wire::types::VhostName;

use crate::built::example;
use crate::exchange::{TYPE, binding, exchange, table};

const ARGUMENT: &str = "x-priority-min";
const BINDINGS: u32 = 100;
const MESSAGES: usize = 1000;
const BATCH: usize = 50;

/// A binding as the test knows it.
#[derive(Clone, Debug)]
struct Rule {
    id: u32,
    key: String,
    least: Option<i64>,
}

/// A message as the test knows it.
#[derive(Clone, Debug)]
struct Message {
    key: String,
    priority: Option<FieldValue>,
}

/// A generator that has the same numbers in every run: `SplitMix64`.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).expect("below a usize")
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    fn key(&mut self, words: &[&str]) -> String {
        let count = self.below(5);
        let words: Vec<&str> = (0..count).map(|_| self.one_of(words)).collect();
        words.join(".")
    }

    fn rule(&mut self, id: u32) -> Rule {
        let some = i64::try_from(self.below(20)).expect("small") - 10;
        let edge = self.one_of(&[i64::from(i32::MAX), 1 << 40, i64::from(i32::MIN)]);
        Rule {
            id,
            key: self.key(&["a", "b", "zürich", "", "*", "*", "#", "#"]),
            least: self.one_of(&[None, None, Some(some), Some(some), Some(edge)]),
        }
    }

    fn message(&mut self) -> Message {
        let small = i8::try_from(self.below(24)).expect("small") - 12;
        let priorities = [
            FieldValue::I8(small),
            FieldValue::U8(small.unsigned_abs()),
            FieldValue::I16(small.into()),
            FieldValue::U16(small.unsigned_abs().into()),
            FieldValue::I32(small.into()),
            FieldValue::U32(u32::MAX),
            FieldValue::I64(small.into()),
            FieldValue::I64((1 << 40) + i64::from(small)),
            FieldValue::I64(i64::MIN),
            FieldValue::LongLong(small.into()),
            FieldValue::F32(11.0),
            FieldValue::F64(11.0),
            FieldValue::Bool(true),
            FieldValue::Void,
            FieldValue::Timestamp(11),
            FieldValue::Decimal(Decimal {
                scale: 0,
                value: 11,
            }),
            FieldValue::LongString("11".into()),
            FieldValue::LongString([0xff, 0xfe].to_vec().into()),
            FieldValue::ByteArray("11".into()),
            FieldValue::Array(vec![FieldValue::I8(11), FieldValue::Void]),
            FieldValue::Table(table([("priority", FieldValue::I8(11))])),
        ];
        let priority = self.one_of(&priorities);
        Message {
            key: self.key(&["a", "b", "zürich", ""]),
            priority: self.one_of(&[None, Some(priority.clone()), Some(priority)]),
        }
    }
}

/// The bindings that a message goes to, in the most direct way.
fn expected(rules: &[Rule], message: &Message) -> BTreeSet<u32> {
    let words = |key: &str| -> Vec<String> {
        let words = key.split('.').filter(|_| !key.is_empty());
        words.map(str::to_owned).collect()
    };
    let priority = message.priority.as_ref().and_then(FieldValue::as_integer);
    let takes = |rule: &&Rule| {
        matches(&words(&rule.key), &words(&message.key))
            && rule.least.is_none_or(|least| priority >= Some(least))
    };
    rules.iter().filter(takes).map(|rule| rule.id).collect()
}

fn matches(pattern: &[String], words: &[String]) -> bool {
    match (pattern.split_first(), words.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((hash, pattern)), _) if hash == "#" => {
            (0..=words.len()).any(|taken| matches(pattern, &words[taken..]))
        }
        (Some((wanted, pattern)), Some((word, words))) => {
            (wanted == "*" || wanted == word) && matches(pattern, words)
        }
        (Some(_), None) => false,
    }
}

/// The router in one of the languages.
struct Router {
    host: Host,
    exchange: Arc<dyn ExchangeHook>,
}

impl Router {
    fn load(language: &str, pure: bool) -> anyhow::Result<Self> {
        let host = Host::new(HostSettings::default(), Arc::new(Standalone::default()))?;
        let mut spec = PluginSpec::new(language);
        spec.exchange_type = Some(TYPE.to_owned());
        spec.grants = [Grant::Config].into();
        spec.config = [("pure".to_owned(), pure.to_string())].into();
        // Whether it is fast enough is no question here, on a machine that may be busy.
        spec.deadline = Duration::from_secs(10);
        host.load(spec, &example(language)?)?;
        let exchange = host.exchange(TYPE, &VhostName::new("/")?, &exchange("prices")?);
        Ok(Self { host, exchange })
    }

    fn bind(&self, rule: &Rule) -> anyhow::Result<()> {
        let arguments = match rule.least {
            Some(least) => table([(ARGUMENT, FieldValue::I64(least))]),
            None => FieldTable::new(),
        };
        let binding = binding(&rule.key, arguments)?;
        self.exchange.bind(rule.id, &Arc::new(binding));
        Ok(())
    }

    fn route(&self, messages: &[Message]) -> anyhow::Result<Vec<BTreeSet<u32>>> {
        let needs = self.exchange.needs()?;
        let mut batch = PackedBatch::default();
        for message in messages {
            let headers = message
                .priority
                .clone()
                .map(|value| table([("before", FieldValue::Void), ("priority", value)]));
            let properties = BasicProperties {
                headers,
                ..BasicProperties::default()
            };
            let properties = properties.to_bytes();
            let origin = Origin {
                routing_key: &message.key,
                properties: &properties,
                ..Origin::default()
            };
            batch.push(&needs, &origin)?;
        }
        let mut answer = Vec::new();
        self.exchange.route(&batch, &mut answer)?;
        let mut numbers = answer.into_iter();
        let mut next = || numbers.next().unwrap_or_default();
        let ids = messages
            .iter()
            .map(|_| (0..next()).map(|_| next()).collect());
        Ok(ids.collect())
    }

    /// What a client is told that binds with this argument; none if the binding is accepted.
    fn refusal(&self, least: FieldValue) -> anyhow::Result<Option<String>> {
        let binding = binding("#", table([(ARGUMENT, least)]))?;
        let none = FieldTable::new();
        match self
            .host
            .check_binding(TYPE, "/", "prices", &none, &binding)
        {
            Ok(()) => Ok(None),
            Err(error) if error.fault == Fault::Refused => Ok(Some(error.text)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Half of the messages come before some bindings are replaced, and half after it.
fn agrees(language: &str) -> anyhow::Result<()> {
    let router = Router::load(language, language != "c")?;
    assert_eq!(router.exchange.needs()?.pure, language != "c");
    let mut numbers = Numbers(7);
    let mut rules: Vec<Rule> = (1..=BINDINGS).map(|id| numbers.rule(id)).collect();
    for rule in &rules {
        router.bind(rule)?;
    }
    let mut went = 0;
    for half in 0..2 {
        for begin in (0..MESSAGES / 2).step_by(BATCH) {
            let messages: Vec<Message> = (0..BATCH).map(|_| numbers.message()).collect();
            let found = router.route(&messages)?;
            for (message, found) in messages.iter().zip(found) {
                assert_eq!(
                    found,
                    expected(&rules, message),
                    "{language}, half {half}, batch at {begin}: {message:?}"
                );
                went += found.len();
            }
        }
        for rule in rules.drain(..20) {
            router.exchange.unbind(rule.id);
        }
        for id in BINDINGS + 1..=BINDINGS + 20 {
            let rule = numbers.rule(id);
            router.bind(&rule)?;
            rules.push(rule);
        }
    }
    assert!(
        went > MESSAGES,
        "the test tries nothing: {went} bindings matched"
    );
    refuses(&router)
}

fn refuses(router: &Router) -> anyhow::Result<()> {
    for (least, kind) in [
        (FieldValue::Void, "void"),
        (FieldValue::Bool(true), "a boolean"),
        (FieldValue::F64(1.0), "a float"),
        (
            FieldValue::Decimal(Decimal { scale: 1, value: 1 }),
            "a decimal",
        ),
        (FieldValue::LongString("1".into()), "a text"),
        (FieldValue::LongString([0xff].to_vec().into()), "bytes"),
        (FieldValue::ByteArray("1".into()), "bytes"),
        (FieldValue::Timestamp(1), "a timestamp"),
        (FieldValue::Array(vec![FieldValue::I8(1)]), "an array"),
        (
            FieldValue::Table(table([("a", FieldValue::I8(1))])),
            "a table",
        ),
    ] {
        let text = format!("{ARGUMENT} must be an integer, and is {kind}");
        assert_eq!(router.refusal(least)?, Some(text));
    }
    for least in [
        FieldValue::I8(-1),
        FieldValue::U32(1),
        FieldValue::LongLong(1),
    ] {
        assert_eq!(router.refusal(least)?, None);
    }
    Ok(())
}

#[test]
fn rust() -> anyhow::Result<()> {
    agrees("rust")
}

#[test]
fn c() -> anyhow::Result<()> {
    agrees("c")
}

#[test]
fn javascript() -> anyhow::Result<()> {
    agrees("javascript")
}

#[test]
fn python() -> anyhow::Result<()> {
    agrees("python")
}
