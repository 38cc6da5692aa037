//! Where a message would go: the same places as when it is published, and nothing comes of the question.

use std::collections::BTreeMap;

use amphora_tests::Broker;
use serde_json::{Value, json};

use crate::api::Api;

/// Exchanges, queues and bindings of many kinds.
const TOPOLOGY: &str = r##"{
  "exchanges": [
    {"name": "direct", "type": "direct", "arguments": {"alternate-exchange": "lost"}},
    {"name": "lost", "type": "fanout"},
    {"name": "topic", "type": "topic"},
    {"name": "headers", "type": "headers"},
    {"name": "hash", "type": "x-consistent-hash"},
    {"name": "once", "type": "fanout", "arguments": {"x-message-deduplication": true}},
    {"name": "late", "type": "fanout", "arguments": {"x-delayed-exchange": true}},
    {"name": "inner", "type": "fanout", "internal": true},
    {"name": "history", "type": "x-recent-history"}
  ],
  "queues": [
    {"name": "a"}, {"name": "b"}, {"name": "c"},
    {"name": "full", "arguments": {"x-max-length": 1, "x-overflow": "reject-publish"}},
    {"name": "short", "arguments": {"x-max-length": 1}},
    {"name": "unique", "arguments": {"x-message-deduplication": true}},
    {"name": "stream", "durable": true, "arguments": {"x-queue-type": "stream"}}
  ],
  "bindings": [
    {"source": "direct", "destination": "a", "routing_key": "k"},
    {"source": "direct", "destination": "b", "routing_key": "l"},
    {"source": "direct", "destination": "topic", "destination_type": "exchange", "routing_key": "x.y"},
    {"source": "lost", "destination": "c"},
    {"source": "topic", "destination": "a", "routing_key": "x.*"},
    {"source": "topic", "destination": "b", "routing_key": "x.#.z"},
    {"source": "topic", "destination": "stream", "routing_key": "#"},
    {"source": "headers", "destination": "a", "arguments": {"x-match": "all", "n": 1, "m": 2}},
    {"source": "headers", "destination": "b", "arguments": {"x-match": "any", "n": 1, "m": 2}},
    {"source": "headers", "destination": "inner", "destination_type": "exchange", "arguments": {"deep": true}},
    {"source": "inner", "destination": "c"},
    {"source": "hash", "destination": "a", "routing_key": "1"},
    {"source": "hash", "destination": "b", "routing_key": "3"},
    {"source": "once", "destination": "a"},
    {"source": "late", "destination": "b"},
    {"source": "history", "destination": "a"}
  ]
}"##;

/// Exchange, routing key and headers of a message; and queues with what becomes of it there.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const MESSAGES: [Case; 22] = [
    ("direct", "k", "{}", &[("a", "enqueued")]),
    ("direct", "nope", "{}", &[("c", "enqueued")]),
    (
        "direct",
        "x.y",
        "{}",
        &[("a", "enqueued"), ("stream", "enqueued")],
    ),
    (
        "direct",
        "k",
        r#"{"CC": ["l"], "BCC": ["nope"]}"#,
        &[("a", "enqueued"), ("b", "enqueued")],
    ),
    (
        "topic",
        "x.y.z",
        "{}",
        &[("b", "enqueued"), ("stream", "enqueued")],
    ),
    ("topic", "", "{}", &[("stream", "enqueued")]),
    ("headers", "", r#"{"n": 1}"#, &[("b", "enqueued")]),
    (
        "headers",
        "",
        r#"{"n": 1, "m": 2}"#,
        &[("a", "enqueued"), ("b", "enqueued")],
    ),
    ("headers", "", r#"{"n": 2}"#, &[]),
    ("headers", "", r#"{"deep": true}"#, &[("c", "enqueued")]),
    ("hash", "one", "{}", &[("b", "enqueued")]),
    ("hash", "five", "{}", &[("b", "enqueued")]),
    (
        "once",
        "",
        r#"{"x-deduplication-header": "1"}"#,
        &[("a", "enqueued")],
    ),
    ("once", "", r#"{"x-deduplication-header": "1"}"#, &[]),
    ("history", "", "{}", &[("a", "enqueued")]),
    (
        "",
        "unique",
        r#"{"x-deduplication-header": "1"}"#,
        &[("unique", "enqueued")],
    ),
    (
        "",
        "unique",
        r#"{"x-deduplication-header": "1"}"#,
        &[("unique", "duplicate")],
    ),
    ("", "full", "{}", &[("full", "enqueued")]),
    ("", "full", "{}", &[("full", "full")]),
    ("", "short", "{}", &[("short", "enqueued")]),
    ("", "short", "{}", &[("short", "enqueued-oldest-dropped")]),
    ("", "nowhere", "{}", &[]),
];

fn message(exchange: &str, key: &str, headers: &Value) -> Value {
    json!({
        "exchange": exchange,
        "routing_key": key,
        "properties": { "headers": headers },
        "payload": "text",
        "payload_encoding": "string",
    })
}

fn route(api: &Api, exchange: &str, key: &str, headers: &Value) -> anyhow::Result<Value> {
    api.run("POST", "/route/%2F", &message(exchange, key, headers))
}

/// What is there and what has happened, as far as anybody can see.
fn state(api: &Api) -> anyhow::Result<[Value; 3]> {
    let mut state = [
        api.get("/queues?columns=name,messages,message_stats,messages_deduplicated")?,
        api.get("/exchanges?columns=name,message_stats,messages_deduplicated,messages_delayed")?,
        api.get("/overview?columns=message_stats,queue_totals,object_totals")?,
    ];
    state.iter_mut().for_each(forget_rates);
    Ok(state)
}

/// Rates change by themselves as time passes.
fn forget_rates(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !name.ends_with("_details"));
            members.values_mut().for_each(forget_rates);
        }
        Value::Array(elements) => elements.iter_mut().for_each(forget_rates),
        _ => {}
    }
}

fn counts(api: &Api) -> anyhow::Result<BTreeMap<String, u64>> {
    let queues = api.get("/queues?columns=name,messages")?;
    let mut queues = queues.as_array().cloned().unwrap_or_default();
    // The broker's own, such as the history of an exchange.
    queues.retain(|queue| {
        !queue["name"]
            .as_str()
            .unwrap_or_default()
            .starts_with("amq.")
    });
    let count = |queue: &Value| {
        let name = queue["name"].as_str().unwrap_or_default().to_owned();
        (name, queue["messages"].as_u64().unwrap_or_default())
    };
    Ok(queues.iter().map(count).collect())
}

#[test]
fn a_message_would_go_where_it_goes() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    api.run("POST", "/definitions/%2F", &serde_json::from_str(TOPOLOGY)?)?;
    for (exchange, key, headers, expected) in MESSAGES {
        let context = format!("{exchange} {key} {headers}");
        let headers: Value = serde_json::from_str(headers)?;
        let before = state(&api)?;
        let report = route(&api, exchange, key, &headers)?;
        assert_eq!(state(&api)?, before, "{context}");
        let mut found: Vec<(&str, &str)> = Vec::new();
        for queue in report["queues"].as_array().into_iter().flatten() {
            let name = queue["name"].as_str().unwrap_or_default();
            found.push((name, queue["outcome"].as_str().unwrap_or_default()));
        }
        found.sort_unstable();
        assert_eq!(found, expected, "{context}: {report:#}");

        let counts_before = counts(&api)?;
        let name = if exchange.is_empty() {
            "amq.default"
        } else {
            exchange
        };
        let path = format!("/exchanges/%2F/{name}/publish");
        let (status, answer) = api.call("POST", &path, &message(exchange, key, &headers))?;
        let is_refused = expected.contains(&("full", "full"));
        assert_eq!(
            status,
            if is_refused { 400 } else { 200 },
            "{context}: {answer}"
        );
        let grown = counts(&api)?;
        let grown = grown
            .iter()
            .filter(|(name, count)| counts_before.get(*name) < Some(count));
        let grown: Vec<&str> = grown.map(|(name, _)| name.as_str()).collect();
        let enqueued = expected
            .iter()
            .filter(|(_, outcome)| *outcome == "enqueued");
        let enqueued: Vec<&str> = enqueued.map(|(name, _)| *name).collect();
        assert_eq!(grown, enqueued, "{context}");
        // What goes nowhere because it is a duplicate is confirmed as routed.
        if !exchange.starts_with("once") && key != "unique" {
            assert_eq!(
                report["routed"] == true,
                answer["routed"] == true,
                "{context}"
            );
        }
    }
    Ok(())
}

#[test]
fn reasons_are_given_for_what_matches_and_for_what_does_not() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    api.run("POST", "/definitions/%2F", &serde_json::from_str(TOPOLOGY)?)?;
    let reasons = |report: &Value, exchange: usize| {
        let bindings = report["exchanges"][exchange]["bindings"]
            .as_array()
            .cloned();
        let bindings = bindings.unwrap_or_default();
        let words = |binding: &Value| {
            let text = |column: &str| binding[column].as_str().unwrap_or_default().to_owned();
            let sign = if binding["matches"] == true { "+" } else { "-" };
            format!("{sign} {}: {}", text("destination"), text("why"))
        };
        bindings.iter().map(words).collect::<Vec<_>>()
    };
    let report = route(&api, "topic", "x.y.z", &json!({}))?;
    assert_eq!(
        reasons(&report, 0),
        [
            "+ b: 'x.#.z' matches the routing key 'x.y.z'",
            "+ stream: '#' matches the routing key 'x.y.z'",
            "- a: 'x.*' does not match the routing key 'x.y.z': it has 2 words, and the routing key 3",
        ]
    );
    let report = route(&api, "headers", "", &json!({ "n": 1, "m": "2" }))?;
    assert_eq!(
        reasons(&report, 0),
        [
            "+ b: header 'n' is 1",
            "- a: header 'm' is 2 (longstr) and has to be 2 (long)",
            "- inner: header 'deep' is missing",
        ]
    );
    let report = route(&api, "direct", "nope", &json!({}))?;
    let alternate = json!({ "name": "lost", "exists": true, "taken": true });
    assert_eq!(report["exchanges"][0]["alternate_exchange"], alternate);
    assert_eq!(report["exchanges"][0]["bindings_total"], 3);
    assert_eq!(report["exchanges"][0]["bindings_matching"], 0);
    assert_eq!(report["queues"][0]["via"], json!(["direct", "lost"]));
    let report = route(&api, "late", "", &json!({ "x-delay": 60_000 }))?;
    assert_eq!(report["exchanges"][0]["delay_ms"], 60_000);
    assert_eq!(report["messages"][1]["delay_ms"], 60_000);
    assert_eq!(
        report["messages"][1]["properties"]["headers"]["x-delay"],
        -60_000
    );
    assert_eq!(report["queues"][0]["name"], "b");
    assert_eq!(api.get("/exchanges/%2F/late")?["messages_delayed"], 0);
    let report = route(&api, "", "nowhere", &json!({}))?;
    assert_eq!(
        report["notes"],
        json!(["there is no queue 'nowhere' in vhost '/'"])
    );
    Ok(())
}

#[test]
fn whoever_may_not_publish_is_told_nothing() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let user = json!({ "password": "secret", "tags": "management" });
    api.run("PUT", "/users/shop", &user)?;
    let permissions = json!({ "configure": "", "write": "^open$", "read": ".*" });
    api.run("PUT", "/permissions/%2F/shop", &permissions)?;
    for exchange in ["open", "closed"] {
        api.run(
            "PUT",
            &format!("/exchanges/%2F/{exchange}"),
            &json!({ "type": "topic" }),
        )?;
    }
    let topics = json!({ "exchange": "open", "write": "^a", "read": "" });
    api.run("PUT", "/topic-permissions/%2F/shop", &topics)?;
    // shop:secret
    let shop = Api::with_login(&broker, "Basic c2hvcDpzZWNyZXQ=")?;
    let ask = |exchange: &str, key: &str| {
        shop.call("POST", "/route/%2F", &message(exchange, key, &json!({})))
    };
    let (status, report) = ask("open", "a.b")?;
    assert_eq!((status, &report["routed"]), (200, &json!(false)));
    let refused = |reason: &str| (401, json!({ "error": "not_authorised", "reason": reason }));
    assert_eq!(
        ask("closed", "a.b")?,
        refused("write access to exchange 'closed' in vhost '/' refused for user 'shop'")
    );
    assert_eq!(
        ask("open", "b")?,
        refused(
            "write access to topic 'b' in exchange 'open' in vhost '/' refused for user 'shop'"
        )
    );
    let guest = |body: Value| api.call("POST", "/route/%2F", &body);
    let (status, answer) = guest(message("missing", "", &json!({})))?;
    assert_eq!(
        (status, &answer["reason"]),
        (404, &json!("no exchange 'missing' in vhost '/'"))
    );
    let foreign =
        json!({ "exchange": "open", "routing_key": "a", "properties": { "user_id": "shop" } });
    let (status, answer) = guest(foreign)?;
    let reason = "user_id property set to 'shop' but authenticated user was 'guest'";
    assert_eq!((status, &answer["reason"]), (400, &json!(reason)));
    Ok(())
}
