//! Every operation of AMQP against every permission that it needs: with exactly those it works, and without any one of them it is refused and
//! changes nothing.

use amphora_protocol::wire::method::{Method, basic, channel, exchange, queue, tx};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::ShortString;
use amphora_tests::{Broker, Client, Login};
use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::api::Api;

/// One permission: configure, write or read, and on what.
pub(crate) type Needed = (&'static str, &'static str, &'static str);

/// An operation, and what it needs.
struct Operation {
    name: &'static str,
    needs: &'static [Needed],
    run: fn(&mut Client) -> anyhow::Result<Option<Method>>,
}

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "queue.declare",
        needs: &[("configure", "queue", "new")],
        run: |client| call(client, &declare("new", &[])),
    },
    Operation {
        name: "queue.declare with a dead-letter exchange",
        needs: &[
            ("configure", "queue", "new"),
            ("read", "queue", "new"),
            ("write", "exchange", "x"),
        ],
        run: |client| call(client, &declare("new", &[("x-dead-letter-exchange", "x")])),
    },
    Operation {
        name: "passive queue.declare",
        needs: &[],
        run: |client| {
            let passive = queue::Declare {
                passive: true,
                ..declare("q", &[])
            };
            call(client, &passive)
        },
    },
    Operation {
        name: "queue.delete",
        needs: &[("configure", "queue", "q")],
        run: |client| {
            let delete = queue::Delete {
                queue: name("q"),
                ..queue::Delete::default()
            };
            call(client, &delete)
        },
    },
    Operation {
        name: "queue.purge",
        needs: &[("read", "queue", "q")],
        run: |client| {
            let purge = queue::Purge {
                queue: name("q"),
                ..queue::Purge::default()
            };
            call(client, &purge)
        },
    },
    Operation {
        name: "queue.bind",
        needs: &[("write", "queue", "q"), ("read", "exchange", "x")],
        run: |client| {
            let bind = queue::Bind {
                queue: name("q"),
                exchange: name("x"),
                routing_key: name("new"),
                ..queue::Bind::default()
            };
            call(client, &bind)
        },
    },
    Operation {
        name: "queue.unbind",
        needs: &[("write", "queue", "q"), ("read", "exchange", "x")],
        run: |client| {
            let unbind = queue::Unbind {
                queue: name("q"),
                exchange: name("x"),
                routing_key: name("bound"),
                ..queue::Unbind::default()
            };
            call(client, &unbind)
        },
    },
    Operation {
        name: "exchange.declare",
        needs: &[("configure", "exchange", "new")],
        run: |client| call(client, &declare_exchange(&[])),
    },
    Operation {
        name: "exchange.declare with an alternate exchange",
        needs: &[
            ("configure", "exchange", "new"),
            ("read", "exchange", "new"),
            ("write", "exchange", "x"),
        ],
        run: |client| call(client, &declare_exchange(&[("alternate-exchange", "x")])),
    },
    Operation {
        name: "passive exchange.declare",
        needs: &[],
        run: |client| {
            let passive = exchange::Declare {
                exchange: name("x"),
                passive: true,
                ..declare_exchange(&[])
            };
            call(client, &passive)
        },
    },
    Operation {
        name: "exchange.delete",
        needs: &[("configure", "exchange", "x")],
        run: |client| {
            let delete = exchange::Delete {
                exchange: name("x"),
                ..exchange::Delete::default()
            };
            call(client, &delete)
        },
    },
    Operation {
        name: "exchange.bind",
        needs: &[("write", "exchange", "y"), ("read", "exchange", "x")],
        run: |client| {
            let bind = exchange::Bind {
                destination: name("y"),
                source: name("x"),
                routing_key: name("new"),
                ..exchange::Bind::default()
            };
            call(client, &bind)
        },
    },
    Operation {
        name: "exchange.unbind",
        needs: &[("write", "exchange", "y"), ("read", "exchange", "x")],
        run: |client| {
            let unbind = exchange::Unbind {
                destination: name("y"),
                source: name("x"),
                routing_key: name("bound"),
                ..exchange::Unbind::default()
            };
            call(client, &unbind)
        },
    },
    Operation {
        name: "basic.publish in a transaction",
        needs: &[("write", "exchange", "x")],
        run: |client| {
            call(client, &tx::Select {})?;
            if let Some(refusal) = publish(client, "x")? {
                return Ok(Some(refusal));
            }
            call(client, &tx::Commit {})
        },
    },
    Operation {
        name: "basic.publish",
        needs: &[("write", "exchange", "x")],
        run: |client| publish(client, "x"),
    },
    Operation {
        name: "basic.publish to the default exchange",
        needs: &[("write", "exchange", "amq.default")],
        run: |client| publish(client, ""),
    },
    Operation {
        name: "basic.get",
        needs: &[("read", "queue", "q")],
        run: |client| {
            let get = basic::Get {
                queue: name("q"),
                no_ack: true,
            };
            call(client, &get)
        },
    },
    Operation {
        name: "basic.consume",
        needs: &[("read", "queue", "q")],
        run: |client| {
            let consume = basic::Consume {
                queue: name("q"),
                ..basic::Consume::default()
            };
            call(client, &consume)
        },
    },
];

fn name<T: From<ShortString>>(name: &str) -> T {
    ShortString::cut(name).into()
}

fn table(arguments: &[(&str, &str)]) -> FieldTable {
    let arguments = arguments.iter();
    arguments
        .map(|(name, value)| (ShortString::cut(name), (*value).into()))
        .collect()
}

fn declare(queue: &str, arguments: &[(&str, &str)]) -> queue::Declare {
    queue::Declare {
        queue: name(queue),
        arguments: table(arguments),
        ..queue::Declare::default()
    }
}

fn declare_exchange(arguments: &[(&str, &str)]) -> exchange::Declare {
    exchange::Declare {
        exchange: name("new"),
        kind: ShortString::cut("fanout"),
        arguments: table(arguments),
        ..exchange::Declare::default()
    }
}

/// The answer, if it is a refusal.
fn call(
    client: &mut Client,
    method: &impl amphora_protocol::wire::method::AnyMethod,
) -> anyhow::Result<Option<Method>> {
    let answer = client.call(1, method)?;
    let refused = matches!(answer, Method::Channel(channel::Method::Close(_)));
    Ok(refused.then_some(answer))
}

fn publish(client: &mut Client, exchange: &str) -> anyhow::Result<Option<Method>> {
    let publish = basic::Publish {
        exchange: name(exchange),
        routing_key: name("bound"),
        ..basic::Publish::default()
    };
    client.publish(1, &publish, &BasicProperties::default(), b"message")?;
    // Answered when the message has been looked at.
    call(client, &channel::Flow { active: true })
}

/// What is in the virtual host, without what happens to messages.
pub(crate) fn inventory(api: &Api) -> anyhow::Result<[Value; 3]> {
    Ok([
        api.get("/queues/v?columns=name,messages,consumers")?,
        api.get("/exchanges/v?columns=name,message_stats")?,
        api.get("/bindings/v?columns=source,destination,routing_key")?,
    ])
}

pub(crate) fn prepare(api: &Api) -> anyhow::Result<()> {
    api.run("PUT", "/vhosts/v", &Value::Null)?;
    api.run("PUT", "/queues/v/q", &json!({}))?;
    for exchange in ["x", "y"] {
        let direct = json!({ "type": "direct" });
        api.run("PUT", &format!("/exchanges/v/{exchange}"), &direct)?;
    }
    let bound = json!({ "routing_key": "bound" });
    api.run("POST", "/bindings/v/e/x/q/q", &bound)?;
    api.run("POST", "/bindings/v/e/x/e/y", &bound)?;
    Ok(())
}

pub(crate) fn permit(api: &Api, needed: &[Needed]) -> anyhow::Result<()> {
    let pattern = |kind: &str| {
        let of_kind = needed.iter().filter(|(needed, ..)| *needed == kind);
        let names: Vec<_> = of_kind.map(|(.., name)| *name).collect();
        if names.is_empty() {
            String::new()
        } else {
            format!("^({})$", names.join("|"))
        }
    };
    let body = json!({
        "configure": pattern("configure"),
        "write": pattern("write"),
        "read": pattern("read"),
    });
    api.run("PUT", "/permissions/v/shop", &body)?;
    Ok(())
}

#[test]
fn every_operation_needs_what_it_needs_and_no_more() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let user = json!({ "password": "secret", "tags": "" });
    api.run("PUT", "/users/shop", &user)?;
    for operation in OPERATIONS {
        prepare(&api)?;
        permit(&api, operation.needs)?;
        let login = Login {
            vhost: "v".to_owned(),
            ..Login::plain("shop", "secret")
        };
        for missing in operation.needs {
            let others = operation.needs.iter().filter(|needed| *needed != missing);
            permit(&api, &others.copied().collect::<Vec<_>>())?;
            let before = inventory(&api)?;
            let mut client = broker.login(&login)?;
            client.open(1)?;
            let refusal = (operation.run)(&mut client)?;
            let context = format!("{} without {missing:?}", operation.name);
            let Some(Method::Channel(channel::Method::Close(close))) = refusal else {
                bail!("{context}: not refused");
            };
            let (kind, resource, name) = missing;
            let expected = format!(
                "ACCESS_REFUSED - {kind} access to {resource} '{name}' in vhost 'v' refused for user 'shop'"
            );
            assert_eq!(close.reply_text.as_str(), expected, "{context}");
            assert_eq!(close.reply_code, 403, "{context}");
            assert_eq!(inventory(&api)?, before, "{context}");
        }
        permit(&api, operation.needs)?;
        let mut client = broker.login(&login)?;
        client.open(1)?;
        let refusal = (operation.run)(&mut client).context(operation.name)?;
        assert_eq!(refusal, None, "{}", operation.name);
        api.run("DELETE", "/vhosts/v", &Value::Null)?;
    }
    Ok(())
}
