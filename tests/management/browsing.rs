//! Messages that are looked at, moved and deleted one by one.

use amphora_tests::Broker;
use serde_json::{Value, json};

use crate::api::Api;

/// A broker with the durable queue `q` that has these messages.
fn filled(payloads: &[&str], arguments: &Value) -> anyhow::Result<(Broker, Api)> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let declare = json!({ "durable": true, "arguments": arguments });
    api.run("PUT", "/queues/%2F/q", &declare)?;
    for payload in payloads {
        publish(&api, payload)?;
    }
    Ok((broker, api))
}

fn publish(api: &Api, payload: &str) -> anyhow::Result<()> {
    let message = json!({
        "routing_key": "q",
        "properties": { "delivery_mode": 2 },
        "payload": payload,
        "payload_encoding": "string",
    });
    api.run("POST", "/exchanges/%2F/amq.default/publish", &message)?;
    Ok(())
}

fn look(api: &Api, query: &str) -> anyhow::Result<(Vec<String>, Value)> {
    let answer = api.get(&format!("/queues/%2F/{query}"))?;
    let items = answer["items"].as_array().into_iter().flatten();
    let payloads = items.map(|item| item["payload"].as_str().unwrap_or_default().to_owned());
    Ok((payloads.collect(), answer))
}

#[test]
fn looking_leaves_no_trace() -> anyhow::Result<()> {
    let (_broker, api) = filled(&["a", "b", "c"], &json!({ "x-delivery-limit": 1 }))?;
    for _ in 0..3 {
        let (payloads, answer) = look(&api, "q/messages?count=2")?;
        assert_eq!(payloads, ["a", "b"]);
        assert_eq!(answer["items"][0]["redelivered"], false);
        assert_eq!(answer["items"][1]["position"], 1);
    }
    assert_eq!(api.get("/queues/%2F/q")?["messages_ready"], 3);
    Ok(())
}

#[test]
fn what_is_moved_is_durable_there_and_gone_here() -> anyhow::Result<()> {
    let (mut broker, mut api) = filled(&["a", "b", "c", "d"], &json!({}))?;
    api.run("PUT", "/queues/%2F/elsewhere", &json!({ "durable": true }))?;
    let to = |key: &str| json!({ "positions": [1, 3, 77], "exchange": "", "routing_key": key });
    let (status, answer) = api.call("POST", "/queues/%2F/q/messages/move", &to("nowhere"))?;
    assert_eq!(status, 400, "{answer}");
    let expected = "a message reaches no queue by exchange '' with routing key 'nowhere'; 0 were moved before it";
    assert_eq!(answer["reason"], expected);
    assert_eq!(look(&api, "q/messages")?.0, ["a", "b", "c", "d"]);

    let moved = api.run("POST", "/queues/%2F/q/messages/move", &to("elsewhere"))?;
    assert_eq!(moved, json!({ "moved": 2 }));
    broker.restart()?;
    api = Api::of(&broker)?;
    assert_eq!(look(&api, "elsewhere/messages")?.0, ["b", "d"]);
    assert!(!look(&api, "q/messages")?.0.is_empty());

    let picked = json!({ "positions": [0] });
    let deleted = api.run("POST", "/queues/%2F/q/messages/delete", &picked)?;
    assert_eq!(deleted, json!({ "deleted": 1 }));
    assert!(!look(&api, "q/messages")?.0.contains(&"a".to_owned()));
    Ok(())
}

#[test]
fn a_stream_is_looked_into_from_anywhere_also_when_it_left_memory() -> anyhow::Result<()> {
    let stream = json!({ "x-queue-type": "stream" });
    let large = "x".repeat(200_000);
    let payloads: Vec<_> = (0..30).map(|number| format!("{number} {large}")).collect();
    let payloads: Vec<&str> = payloads.iter().map(String::as_str).collect();
    let (mut broker, _) = filled(&payloads, &stream)?;
    broker.restart()?;
    let api = Api::of(&broker)?;
    let numbers = |offset: &str, count: u32| {
        let query = format!("q/messages?truncate=2&count={count}&offset={offset}");
        let (payloads, answer) = look(&api, &query)?;
        let payloads = payloads.iter().map(|payload| payload.trim().to_owned());
        Ok::<_, anyhow::Error>((payloads.collect::<Vec<_>>(), answer["next"].clone()))
    };
    assert_eq!(
        numbers("first", 2)?,
        (vec!["0".to_owned(), "1".to_owned()], json!(2))
    );
    assert_eq!(numbers("17", 1)?, (vec!["17".to_owned()], json!(18)));
    assert_eq!(numbers("-1", 5)?, (vec!["29".to_owned()], Value::Null));
    assert_eq!(numbers("next", 5)?, (vec![], Value::Null));
    assert_eq!(numbers("1h", 30)?.0.len(), 30);
    let path = "/queues/%2F/q/messages?offset=yesterday";
    let (status, answer) = api.call("GET", path, &Value::Null)?;
    assert_eq!(status, 400);
    let reason = answer["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("invalid arg 'x-stream-offset': \"yesterday\""),
        "{reason}"
    );
    Ok(())
}
