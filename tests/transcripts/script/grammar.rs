//! Every method of AMQP 0-9-1 and of RabbitMQ's extensions, with its arguments in the order of the wire.
//!
//! It stands beside the broker's own list, which it must not be made from: a fault in one shows in the other.

use std::sync::OnceLock;

use anyhow::Context;

const TABLE: &str = include_str!("grammar.txt");

/// The properties of a message, in the order of their flags.
const PROPERTIES: &str = "content_type:shortstr content_encoding:shortstr headers:table delivery_mode:octet \
    priority:octet correlation_id:shortstr reply_to:shortstr expiration:shortstr message_id:shortstr \
    timestamp:longlong type:shortstr user_id:shortstr app_id:shortstr cluster_id:shortstr";

/// A method.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) class_id: u16,
    pub(crate) method_id: u16,
    pub(crate) name: &'static str,
    pub(crate) arguments: Vec<Argument>,
}

/// What a method or a message has. The name `-` stands for one that is reserved.
#[derive(Debug)]
pub(crate) struct Argument {
    pub(crate) name: &'static str,
    pub(crate) domain: Domain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    Bit,
    /// A number of so many octets.
    Number(usize),
    ShortString,
    LongString,
    Table,
}

impl Shape {
    pub(crate) fn named(name: &str) -> anyhow::Result<&'static Self> {
        let found = shapes().iter().find(|shape| shape.name == name);
        found.with_context(|| format!("no method {name}"))
    }

    pub(crate) fn numbered(class_id: u64, method_id: u64) -> anyhow::Result<&'static Self> {
        let found = shapes().iter().find(|shape| {
            u64::from(shape.class_id) == class_id && u64::from(shape.method_id) == method_id
        });
        found.with_context(|| format!("no method {class_id}.{method_id}"))
    }

    /// Whether a message follows it.
    pub(crate) fn has_content(&self) -> bool {
        matches!(
            self.name,
            "basic.publish" | "basic.return" | "basic.deliver" | "basic.get-ok"
        )
    }
}

/// The properties of a message.
pub(crate) fn properties() -> &'static [Argument] {
    static PARSED: OnceLock<Vec<Argument>> = OnceLock::new();
    PARSED.get_or_init(|| PROPERTIES.split_whitespace().map(argument).collect())
}

fn shapes() -> &'static [Shape] {
    static PARSED: OnceLock<Vec<Shape>> = OnceLock::new();
    PARSED.get_or_init(|| TABLE.lines().map(shape).collect())
}

fn shape(line: &'static str) -> Shape {
    let mut words = line.split(' ');
    let mut next = || words.next().unwrap_or_default();
    Shape {
        class_id: next().parse().expect("a class's number"),
        method_id: next().parse().expect("a method's number"),
        name: next(),
        arguments: words.map(argument).collect(),
    }
}

fn argument(word: &'static str) -> Argument {
    let (name, domain) = word.split_once(':').expect("name:domain");
    let domain = match domain {
        "bit" => Domain::Bit,
        "octet" => Domain::Number(1),
        "short" => Domain::Number(2),
        "long" => Domain::Number(4),
        "longlong" => Domain::Number(8),
        "shortstr" => Domain::ShortString,
        "longstr" => Domain::LongString,
        "table" => Domain::Table,
        other => panic!("no domain {other}"),
    };
    Argument { name, domain }
}
