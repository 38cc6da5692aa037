//! What an administrator changes is in force for clients that are there, and after a crash.

use amphora_protocol::wire::method::{Method, basic, channel, connection, exchange, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey};
use amphora_tests::{Broker, Client, Login};
use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::api::{Api, columns};

/// `shop:secret`
const SHOP: &str = "Basic c2hvcDpzZWNyZXQ=";

fn login(vhost: &str) -> Login {
    Login {
        vhost: vhost.to_owned(),
        ..Login::plain("shop", "secret")
    }
}

/// A user `shop` who may do everything in the virtual host `v`.
fn shop(api: &Api) -> anyhow::Result<()> {
    let user =
        json!({ "password": "secret", "tags": "management", "limits": { "max-channels": 2 } });
    api.run("PUT", "/users/shop", &user)?;
    api.run("PUT", "/vhosts/v", &json!({ "description": "the shop" }))?;
    permit(api, ".*")
}

/// Everything, but writing.
fn permit(api: &Api, write: &str) -> anyhow::Result<()> {
    let body = json!({ "configure": ".*", "write": write, "read": ".*" });
    api.run("PUT", "/permissions/v/shop", &body)?;
    Ok(())
}

fn declare(name: &str) -> anyhow::Result<queue::Declare> {
    Ok(queue::Declare {
        queue: QueueName::new(name)?,
        durable: true,
        ..queue::Declare::default()
    })
}

/// What the broker closes a channel, or with 0 the connection, with.
fn closed(method: Method) -> anyhow::Result<(u16, String)> {
    match method {
        Method::Channel(channel::Method::Close(close)) => {
            Ok((close.reply_code, close.reply_text.to_string()))
        }
        Method::Connection(connection::Method::Close(close)) => {
            Ok((close.reply_code, close.reply_text.to_string()))
        }
        other => bail!("{} where a close belongs", other.name()),
    }
}

fn refused(client: &mut Client, number: u16) -> anyhow::Result<(u16, String)> {
    closed(client.method(number)?)
}

#[test]
fn everything_survives_a_crash() -> anyhow::Result<()> {
    let mut broker = Broker::start()?;
    let api = Api::of(&broker)?;
    shop(&api)?;
    let topics = json!({ "exchange": "amq.topic", "write": "^{username}", "read": ".*" });
    api.run("PUT", "/topic-permissions/v/shop", &topics)?;
    let policy = json!({ "pattern": "^q", "definition": { "max-length": 3 }, "priority": 1 });
    api.run("PUT", "/policies/v/p", &policy)?;
    api.run(
        "PUT",
        "/operator-policies/v/o",
        &json!({ "pattern": "", "definition": { "max-length": 2 } }),
    )?;
    api.run("PUT", "/vhost-limits/v/max-queues", &json!({ "value": 1 }))?;
    api.run("PUT", "/global-parameters/g", &json!({ "value": [1] }))?;
    api.run("PUT", "/queues/v/q", &json!({ "durable": true }))?;
    for gone in ["/users/gone", "/vhosts/gone"] {
        api.run("PUT", gone, &json!({ "tags": "" }))?;
        api.run("DELETE", gone, &Value::Null)?;
    }
    let lists = [
        "/users",
        "/permissions",
        "/topic-permissions",
        "/policies/v",
        "/operator-policies/v",
        "/vhost-limits",
        "/user-limits",
        "/global-parameters",
        "/vhosts?columns=name,description",
        "/queues/v?columns=name,policy,operator_policy,effective_policy_definition",
    ];
    let seen = |api: &Api| -> anyhow::Result<Vec<Value>> {
        lists.iter().map(|path| api.get(path)).collect()
    };
    let before = seen(&api)?;
    broker.restart()?;
    let api = Api::of(&broker)?;
    assert_eq!(seen(&api)?, before);
    let (status, _) = api.call("PUT", "/queues/v/r", &json!({}))?;
    assert_eq!(status, 400, "the limit of queues is kept");
    broker.login(&login("v"))?;
    // A deleted default virtual host stays deleted.
    api.run("DELETE", "/vhosts/%2F", &Value::Null)?;
    broker.restart()?;
    let names = Api::of(&broker)?.get("/vhosts?columns=name")?;
    assert_eq!(names, json!([{ "name": "v" }]));
    Ok(())
}

#[test]
fn a_changed_permission_counts_for_the_next_operation() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    shop(&api)?;
    let mut client = broker.login(&login("v"))?;
    client.open(1)?;
    client.call(1, &declare("q")?)?;
    // The route is known to the connection from here on.
    client.publish_to(1, "q", b"one")?;
    client.call(1, &declare("q")?)?;
    permit(&api, "")?;
    client.publish_to(1, "q", b"two")?;
    let text = "ACCESS_REFUSED - write access to exchange 'amq.default' in vhost 'v' refused for user 'shop'";
    assert_eq!(refused(&mut client, 1)?, (403, text.to_owned()));
    client.send(1, &channel::CloseOk {})?;
    client.open(1)?;
    permit(&api, ".*")?;
    client.publish_to(1, "q", b"three")?;
    let Method::Queue(queue::Method::DeclareOk(ok)) = client.call(1, &declare("q")?)? else {
        bail!("not declared");
    };
    assert_eq!(ok.message_count, 2);
    api.run("DELETE", "/permissions/v/shop", &Value::Null)?;
    let refusal = closed(client.call(1, &declare("r")?)?)?;
    let text =
        "ACCESS_REFUSED - configure access to queue 'r' in vhost 'v' refused for user 'shop'";
    assert_eq!(refusal, (403, text.to_owned()));
    broker.logged("configure access to queue 'r' refused")?;
    Ok(())
}

#[test]
fn routing_keys_are_permitted_one_by_one() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    shop(&api)?;
    let topics =
        json!({ "exchange": "amq.topic", "write": "^{username}\\.", "read": "^{vhost}\\." });
    api.run("PUT", "/topic-permissions/v/shop", &topics)?;
    let mut client = broker.login(&login("v"))?;
    client.open(1)?;
    client.call(1, &declare("q")?)?;
    let bind = |key: &str| -> anyhow::Result<queue::Bind> {
        Ok(queue::Bind {
            queue: QueueName::new("q")?,
            exchange: ExchangeName::new("amq.topic")?,
            routing_key: RoutingKey::new(key)?,
            ..queue::Bind::default()
        })
    };
    client.call(1, &bind("v.a")?)?;
    for key in ["shop.a", "other.a"] {
        let publish = basic::Publish {
            exchange: ExchangeName::new("amq.topic")?,
            routing_key: RoutingKey::new(key)?,
            ..basic::Publish::default()
        };
        client.publish(1, &publish, &BasicProperties::default(), b"message")?;
    }
    let text = "ACCESS_REFUSED - write access to topic 'other.a' in exchange 'amq.topic' in vhost 'v' refused for user 'shop'";
    assert_eq!(refused(&mut client, 1)?, (403, text.to_owned()));
    client.send(1, &channel::CloseOk {})?;
    client.open(1)?;
    let text = "ACCESS_REFUSED - read access to topic 'a.v' in exchange 'amq.topic' in vhost 'v' refused for user 'shop'";
    assert_eq!(
        closed(client.call(1, &bind("a.v")?)?)?,
        (403, text.to_owned())
    );
    Ok(())
}

#[test]
fn who_is_deleted_is_let_go_with_a_reason() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    shop(&api)?;
    let mut client = broker.login(&login("v"))?;
    client.open(1)?;
    client.call(1, &declare("q")?)?;
    api.run("DELETE", "/users/shop", &Value::Null)?;
    let text = "CONNECTION_FORCED - user 'shop' was deleted";
    assert_eq!(refused(&mut client, 0)?, (320, text.to_owned()));
    assert!(broker.login(&login("v")).is_err());
    // A user of the same name is another one.
    shop(&api)?;
    let mut client = broker.login(&login("v"))?;
    client.open(1)?;
    let consume = basic::Consume {
        queue: QueueName::new("q")?,
        ..basic::Consume::default()
    };
    client.call(1, &consume)?;
    api.run("DELETE", "/vhosts/v", &Value::Null)?;
    let text = "CONNECTION_FORCED - vhost 'v' is deleted";
    loop {
        // Its queue goes first, and so does its consumer.
        match client.beyond_heartbeats()? {
            amphora_tests::Received::Method(0, method) => {
                assert_eq!(closed(method)?, (320, text.to_owned()));
                break;
            }
            amphora_tests::Received::Method(1, Method::Basic(basic::Method::Cancel(_))) => {}
            other => bail!("{other:?}"),
        }
    }
    let refused = broker.login(&login("v")).err().context("it is gone")?;
    assert!(
        refused.to_string().contains("vhost v not found"),
        "{refused}"
    );
    api.run("PUT", "/vhosts/v", &Value::Null)?;
    assert_eq!(api.get("/queues/v")?, json!([]));
    Ok(())
}

#[test]
fn there_are_as_many_connections_and_channels_as_there_may_be() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    shop(&api)?;
    let mut first = broker.login(&login("v"))?;
    first.open(1)?;
    first.open(2)?;
    first.send(3, &channel::Open {})?;
    let text = "NOT_ALLOWED - number of channels opened for user 'shop' has reached the maximum allowed user limit of (2)";
    assert_eq!(refused(&mut first, 0)?, (530, text.to_owned()));
    drop(first);

    // What was let go does not count any more.
    let mut first = broker.login(&login("v"))?;
    first.open(1)?;
    first.open(2)?;
    api.run(
        "PUT",
        "/vhost-limits/v/max-connections",
        &json!({ "value": 1 }),
    )?;
    let refusal = broker.login(&login("v")).err().context("one is enough")?;
    let text = "access to vhost 'v' refused for user 'shop': connection limit (1) is reached";
    assert!(refusal.to_string().contains(text), "{refusal}");
    api.run("DELETE", "/vhost-limits/v/max-connections", &Value::Null)?;
    api.run(
        "PUT",
        "/user-limits/shop/max-connections",
        &json!({ "value": 1 }),
    )?;
    let refusal = broker.login(&login("v")).err().context("one is enough")?;
    let text = "connection refused for user 'shop': user connection limit (1) is reached";
    assert!(refusal.to_string().contains(text), "{refusal}");
    api.run("DELETE", "/user-limits/shop/max-connections", &Value::Null)?;
    api.run("DELETE", "/user-limits/shop/unknown", &Value::Null)?;
    for limit in ["vhost-limits/v/max-queues", "user-limits/shop/max-channels"] {
        let path = format!("/{limit}");
        let (status, answer) = api.call("PUT", &path, &json!({ "value": null }))?;
        let reason = answer["reason"].as_str().unwrap_or_default();
        assert_eq!(status, 400, "{limit}: {answer}");
        let text = "should be a number, actually was null";
        assert!(reason.contains(text), "{limit}: {reason}");
    }
    broker.login(&login("v"))?;

    api.run("PUT", "/vhost-limits/v/max-queues", &json!({ "value": 1 }))?;
    first.call(1, &declare("one")?)?;
    let text =
        "PRECONDITION_FAILED - cannot declare queue 'two': queue limit in vhost 'v' (1) is reached";
    assert_eq!(
        closed(first.call(1, &declare("two")?)?)?,
        (406, text.to_owned())
    );
    Ok(())
}

#[test]
fn a_policy_changes_a_queue_that_has_messages() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let mut client = broker.connect()?;
    client.open(1)?;
    for queue in ["q", "dead"] {
        client.call(1, &declare(queue)?)?;
    }
    for body in [b"1", b"2", b"3", b"4"] {
        client.publish_to(1, "q", body)?;
    }
    client.call(1, &declare("q")?)?;
    let set = |definition: Value| {
        let policy = json!({ "pattern": "^q$", "definition": definition });
        api.run("PUT", "/policies/%2F/p", &policy)
    };
    let ready = |queue: &str| {
        let shown = api.get(&format!("/queues/%2F/{queue}"))?;
        let [ready] = columns(&shown, ["messages_ready"]);
        ready.as_u64().context("a count")
    };
    set(json!({ "max-length": 3, "dead-letter-exchange": "", "dead-letter-routing-key": "dead" }))?;
    assert_eq!(ready("q")?, 3);
    // What is too many has gone by way of the dead-letter exchange of the same policy, and so does what is.
    client.publish_to(1, "q", b"5")?;
    client.call(1, &declare("q")?)?;
    while ready("dead")? < 2 {
        std::thread::yield_now();
    }
    assert_eq!(ready("q")?, 3);
    api.run("DELETE", "/policies/%2F/p", &Value::Null)?;
    client.publish_to(1, "q", b"6")?;
    client.call(1, &declare("q")?)?;
    assert_eq!((ready("q")?, ready("dead")?), (4, 2));
    // An exchange that is redeclared is compared with what it was declared with, not with its policy.
    let alternate =
        json!({ "pattern": "^x$", "definition": { "alternate-exchange": "amq.fanout" } });
    api.run("PUT", "/policies/%2F/a", &alternate)?;
    let exchange = exchange::Declare {
        exchange: ExchangeName::new("x")?,
        kind: "direct".try_into()?,
        ..exchange::Declare::default()
    };
    for _ in 0..2 {
        let answer = client.call(1, &exchange)?;
        assert!(matches!(
            answer,
            Method::Exchange(exchange::Method::DeclareOk(_))
        ));
    }
    Ok(())
}

#[test]
fn a_user_without_the_tag_is_told_so() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    shop(&Api::of(&broker)?)?;
    let api = Api::with_login(&broker, SHOP)?;
    let (status, answer) = api.call("PUT", "/users/other", &json!({ "tags": "" }))?;
    assert_eq!(status, 401);
    assert_eq!(
        answer,
        json!({ "error": "not_authorised", "reason": "Not administrator user" })
    );
    broker.logged("refused at the management API")?;
    Ok(())
}
