//! A transform that does what a message's routing key says: a word, and a number or text behind a dot.
//!
//! It speaks the contract itself, because the SDK's tables cannot refer to one value more than once.
#![cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "only a component exports it")
)]

use amphora_sdk::bindings::grants::amphora::plugin::types::{
    BodyNeeds, Description, Field, HeaderNeeds, Message, Needs, Parts, Properties, Span, Table,
    Value,
};
use amphora_sdk::bindings::plugin::exports::amphora::plugin::plugin::Guest as Plugin;
use amphora_sdk::bindings::transform::exports::amphora::plugin::transform::{
    Guest as Transform, Replacement, Verdict,
};
use amphora_sdk::{config, kv};

/// Bytes of the text that a bomb refers to again and again.
const LARGE: usize = 1 << 20;

/// The most that one entry of the store may have.
const ENTRY: usize = 64 << 10;

struct Harmful;

impl Plugin for Harmful {
    fn describe() -> Description {
        let headers = match config::get("headers").as_deref() {
            Some("all") => HeaderNeeds::All,
            _ => HeaderNeeds::None,
        };
        Description {
            name: "harmful".to_owned(),
            version: "1.0.0".to_owned(),
            needs: Needs {
                parts: Parts::ROUTING_KEY,
                headers,
                body: BodyNeeds::None,
                pure: false,
            },
        }
    }
}

impl Transform for Harmful {
    fn apply(message: Message, _: Option<String>) -> Verdict {
        let (what, rest) = message.routing_key.split_once('.').unwrap_or_default();
        let number = rest.parse().unwrap_or(0);
        match what {
            "loop" => loop {
                std::hint::black_box(0);
            },
            "panic" => panic!("as it was told"),
            "bomb" => replaced(bomb(number), Vec::new()),
            "send" => send("victim", bomb(number), ""),
            "tell" => send(rest, many(0), "told"),
            "set" => replaced(many(number), Vec::new()),
            "remove" => replaced(many(0), (0..number).map(name).collect()),
            "large" => large(number),
            "write" => {
                for _ in 0..number {
                    let _ = kv::set(b"flood", &[7; ENTRY], None);
                }
                Verdict::Pass
            }
            "come-and-go" => {
                for entry in 0..number as u64 {
                    let mut key = [0; 1024];
                    key[..8].copy_from_slice(&entry.to_le_bytes());
                    let _ = kv::set(&key, &[], None);
                    kv::remove(&key);
                }
                Verdict::Pass
            }
            "keep" => {
                let _ = kv::set(b"kept", rest.as_bytes(), None);
                Verdict::Pass
            }
            "kept" => {
                let kept = kv::get(b"kept").unwrap_or_default();
                Verdict::Reject(String::from_utf8_lossy(&kept).into_owned())
            }
            "spin" => {
                for turn in 0..number * 1000 {
                    std::hint::black_box(turn);
                }
                Verdict::Pass
            }
            "bury" => Verdict::DeadLetter("as it was told".to_owned()),
            _ => Verdict::Pass,
        }
    }
}

/// One field, which is a list of lists that all hold the same text.
fn bomb(count: usize) -> Table {
    let text = Field {
        name: String::new(),
        value: Value::Text("x".repeat(LARGE)),
    };
    let one = Field {
        name: String::new(),
        value: Value::Array(Span { first: 0, count: 1 }),
    };
    let mut nested = vec![one; count + 1];
    nested[0] = text;
    let list = Value::Array(Span {
        first: 1,
        count: u32::try_from(count).unwrap_or(u32::MAX),
    });
    Table {
        fields: vec![Field {
            name: "bomb".to_owned(),
            value: list,
        }],
        nested,
    }
}

/// So many fields with nothing in them.
fn many(count: usize) -> Table {
    let field = |number| Field {
        name: name(number),
        value: Value::Void,
    };
    Table {
        fields: (0..count).map(field).collect(),
        nested: Vec::new(),
    }
}

fn name(number: usize) -> String {
    number.to_string()
}

fn replaced(set_headers: Table, remove_headers: Vec<String>) -> Verdict {
    Verdict::Replace(vec![replacement(set_headers, remove_headers, None)])
}

/// So many messages of 1 MiB.
fn large(count: usize) -> Verdict {
    let one = || replacement(many(0), Vec::new(), Some(vec![7; 1 << 20]));
    Verdict::Replace((0..count).map(|_| one()).collect())
}

fn replacement(
    set_headers: Table,
    remove_headers: Vec<String>,
    body: Option<Vec<u8>>,
) -> Replacement {
    Replacement {
        routing_key: None,
        properties: None,
        set_headers,
        remove_headers,
        body,
        delay: 0,
    }
}

#[cfg(target_arch = "wasm32")]
fn send(queue: &str, headers: Table, body: &str) -> Verdict {
    use amphora_sdk::bindings::grants::amphora::plugin::publish::{Outgoing, send};

    let message = Outgoing {
        vhost: "/".to_owned(),
        exchange: String::new(),
        routing_key: queue.to_owned(),
        properties: no_properties(),
        headers,
        body: body.into(),
    };
    match send(&message) {
        Ok(()) => Verdict::Pass,
        Err(error) => Verdict::Reject(error),
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn send(_: &str, _: Table, _: &str) -> Verdict {
    Verdict::Pass
}

fn no_properties() -> Properties {
    Properties {
        content_type: None,
        content_encoding: None,
        delivery_mode: None,
        priority: None,
        correlation_id: None,
        reply_to: None,
        expiration: None,
        message_id: None,
        timestamp: None,
        kind: None,
        user_id: None,
        app_id: None,
        cluster_id: None,
    }
}

#[cfg(target_arch = "wasm32")]
const _: () = {
    amphora_sdk::bindings::plugin::export!(Harmful with_types_in amphora_sdk::bindings::plugin);
    amphora_sdk::bindings::transform::export!(Harmful with_types_in amphora_sdk::bindings::transform);
};
