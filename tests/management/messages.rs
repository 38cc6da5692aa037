//! Messages that are published and fetched by HTTP.

use amphora_tests::{Broker, Settings};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::api::{Api, columns};

fn message(routing_key: &str, properties: &Value, payload: &str) -> Value {
    json!({ "routing_key": routing_key, "properties": properties, "payload": payload, "payload_encoding": "string" })
}

fn fetch(api: &Api, queue: &str, count: u32, mode: &str) -> anyhow::Result<Vec<Value>> {
    let question = json!({ "count": count, "ackmode": mode, "encoding": "auto" });
    let answer = api.run("POST", &format!("/queues/%2F/{queue}/get"), &question)?;
    Ok(answer.as_array().cloned().unwrap_or_default())
}

#[test]
fn a_message_goes_where_its_keys_say_and_comes_back_as_it_was() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    for queue in ["own", "copy", "hidden"] {
        api.run("PUT", &format!("/queues/%2F/{queue}"), &json!({}))?;
    }
    let headers = json!({ "CC": ["copy"], "BCC": ["hidden"], "n": 1 });
    let properties = json!({ "headers": headers, "delivery_mode": 2, "message_id": "m" });
    let sent = message("own", &properties, "text");
    let answer = api.run("POST", "/exchanges/%2F/amq.default/publish", &sent)?;
    assert_eq!(answer, json!({ "routed": true }));

    let seen =
        json!({ "headers": { "CC": ["copy"], "n": 1 }, "delivery_mode": 2, "message_id": "m" });
    for queue in ["own", "copy", "hidden"] {
        let got = fetch(&api, queue, 5, "ack_requeue_false")?;
        let names = [
            "exchange",
            "routing_key",
            "properties",
            "payload",
            "redelivered",
        ];
        assert_eq!(got.len(), 1, "{queue}");
        assert_eq!(
            columns(&got[0], names),
            [
                json!(""),
                json!("own"),
                seen.clone(),
                json!("text"),
                json!(false)
            ]
        );
        assert_eq!(fetch(&api, queue, 5, "ack_requeue_false")?.len(), 0);
    }
    let nowhere = message("nowhere", &json!({}), "text");
    let answer = api.run("POST", "/exchanges/%2F/amq.default/publish", &nowhere)?;
    assert_eq!(answer, json!({ "routed": false }));
    let stats = &api.get("/overview")?["message_stats"];
    assert_eq!(
        columns(stats, ["publish", "return_unroutable", "get", "get_empty"]),
        [2, 1, 3, 6]
    );
    Ok(())
}

#[test]
fn messages_that_are_looked_at_stay_in_their_order() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    api.run("PUT", "/queues/%2F/q", &json!({}))?;
    for payload in ["a", "b", "c"] {
        let sent = message("q", &json!({}), payload);
        api.run("POST", "/exchanges/%2F/amq.default/publish", &sent)?;
    }
    let names = ["payload", "redelivered", "message_count"];
    let got = fetch(&api, "q", 2, "ack_requeue_true")?;
    let seen: Vec<_> = got.iter().map(|one| columns(one, names)).collect();
    assert_eq!(
        seen,
        [
            [json!("a"), json!(false), json!(2)],
            [json!("b"), json!(false), json!(1)]
        ]
    );
    let got = fetch(&api, "q", 1, "reject_requeue_false")?;
    assert_eq!(columns(&got[0], names), [json!("a"), json!(true), json!(2)]);
    let got = fetch(&api, "q", 9, "ack_requeue_false")?;
    let seen: Vec<_> = got.iter().map(|one| columns(one, names)).collect();
    assert_eq!(
        seen,
        [
            [json!("b"), json!(true), json!(1)],
            [json!("c"), json!(false), json!(0)]
        ]
    );
    let queue = api.get("/queues/%2F/q")?;
    assert_eq!(
        columns(
            &queue,
            ["messages_ready", "messages_unacknowledged", "message_bytes"]
        ),
        [0, 0, 0]
    );
    Ok(())
}

#[test]
fn messages_from_before_a_crash_are_read_back_when_they_are_fetched() -> anyhow::Result<()> {
    let mut broker = Broker::start()?;
    let api = Api::of(&broker)?;
    api.run("PUT", "/queues/%2F/q", &json!({ "durable": true }))?;
    for payload in ["a", "bc", "def"] {
        let sent = message("q", &json!({ "delivery_mode": 2 }), payload);
        api.run("POST", "/exchanges/%2F/amq.default/publish", &sent)?;
    }
    fetch(&api, "q", 1, "ack_requeue_false")?;
    // An acknowledgement is no promise; a publish that follows it and is confirmed is.
    let sent = message("q", &json!({ "delivery_mode": 2 }), "ghij");
    api.run("POST", "/exchanges/%2F/amq.default/publish", &sent)?;
    broker.restart()?;

    let api = Api::of(&broker)?;
    let queue = api.get("/queues/%2F/q")?;
    let names = [
        "messages_ready",
        "messages_persistent",
        "messages_ram",
        "message_bytes_ready",
    ];
    assert_eq!(columns(&queue, names), [3, 3, 0, 9]);
    let got = fetch(&api, "q", 2, "ack_requeue_false")?;
    let payloads: Vec<_> = got.iter().map(|one| &one["payload"]).collect();
    assert_eq!(payloads, ["bc", "def"]);
    let queue = api.get("/queues/%2F/q")?;
    assert_eq!(columns(&queue, names), [1, 1, 1, 4]);
    Ok(())
}

/// Publishes what is refused, and compares what is said about it.
fn check(exchange: &str, message: &Value, expected: &Expect) -> anyhow::Result<()> {
    let config = r#"
        [limits]
        message_size_max = "1KiB"
        [[users]]
        name = "guest"
        password = "guest"
        tags = ["administrator"]
        permissions = [{ vhost = "/", configure = ".*", write = "^open|^amq", read = ".*" }]
    "#;
    let broker = Broker::with(Settings {
        config: config.to_owned(),
        ..Settings::default()
    })?;
    let api = Api::of(&broker)?;
    api.run(
        "PUT",
        "/exchanges/%2F/open.inside",
        &json!({ "type": "fanout", "internal": true }),
    )?;
    api.run("PUT", "/exchanges/%2F/closed", &json!({ "type": "fanout" }))?;
    let (status, answer) = api.call(
        "POST",
        &format!("/exchanges/%2F/{exchange}/publish"),
        message,
    )?;
    expected.assert_eq(&format!(
        "{status} {}",
        answer["reason"].as_str().unwrap_or_default()
    ));
    Ok(())
}

#[test]
fn the_user_of_a_message_is_who_publishes_it() -> anyhow::Result<()> {
    let forged = message("k", &json!({ "user_id": "someone" }), "");
    check(
        "amq.direct",
        &forged,
        &expect![
            "400 406 PRECONDITION_FAILED - user_id property set to 'someone' but authenticated user was 'guest'"
        ],
    )
}

#[test]
fn an_impersonator_publishes_for_others() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let all = json!({ "configure": ".*", "write": ".*", "read": ".*" });
    let forged = message("k", &json!({ "user_id": "someone" }), "");
    for (tags, status) in [("management", 400), ("management,impersonator", 200)] {
        let user = json!({ "password": "secret", "tags": tags });
        api.run("PUT", "/users/shop", &user)?;
        api.run("PUT", "/permissions/%2F/shop", &all)?;
        // shop:secret
        let shop = Api::with_login(&broker, "Basic c2hvcDpzZWNyZXQ=")?;
        let (answered, answer) = shop.call("POST", "/exchanges/%2F/amq.direct/publish", &forged)?;
        assert_eq!(answered, status, "{tags}: {answer}");
    }
    Ok(())
}

#[test]
fn an_expiration_is_a_number() -> anyhow::Result<()> {
    let odd = message("k", &json!({ "expiration": "soon" }), "");
    check(
        "amq.direct",
        &odd,
        &expect!["400 406 PRECONDITION_FAILED - invalid expiration 'soon': no_integer"],
    )
}

#[test]
fn direct_replies_need_a_consumer() -> anyhow::Result<()> {
    let request = message("k", &json!({ "reply_to": "amq.rabbitmq.reply-to" }), "");
    check(
        "amq.direct",
        &request,
        &expect!["400 406 PRECONDITION_FAILED - fast reply consumer does not exist"],
    )
}

#[test]
fn further_keys_are_a_list() -> anyhow::Result<()> {
    let odd = message("k", &json!({ "headers": { "CC": "one" } }), "");
    check(
        "amq.direct",
        &odd,
        &expect![[
            r#"400 406 PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,"CC",longstr}"#
        ]],
    )
}

#[test]
fn a_large_message_is_refused() -> anyhow::Result<()> {
    let large = message("k", &json!({}), &"x".repeat(1025));
    check(
        "amq.direct",
        &large,
        &expect![
            "400 406 PRECONDITION_FAILED - message size 1025 is larger than configured max size 1024"
        ],
    )
}

#[test]
fn an_internal_exchange_is_not_published_to() -> anyhow::Result<()> {
    check(
        "open.inside",
        &message("k", &json!({}), ""),
        &expect![
            "400 403 ACCESS_REFUSED - cannot publish to internal exchange 'open.inside' in vhost '/'"
        ],
    )
}

#[test]
fn publishing_needs_the_permission_to_write() -> anyhow::Result<()> {
    check(
        "closed",
        &message("k", &json!({}), ""),
        &expect![
            "400 403 ACCESS_REFUSED - write access to exchange 'closed' in vhost '/' refused for user 'guest'"
        ],
    )
}
