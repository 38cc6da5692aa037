//! The past of figures: rates, and what charts are filled with when a page is opened.

use std::time::{Duration, Instant, SystemTime};

use amphora_tests::{Broker, PATIENCE};
use anyhow::ensure;
use serde_json::{Value, json};

use crate::api::Api;

const MESSAGES: usize = 20;

/// How often samples are taken.
const EVERY: Duration = Duration::from_secs(5);

/// How long it takes at most until one is there.
const TAKEN_IN: Duration = Duration::from_millis(100);

#[test]
fn rates_and_samples_are_told_of_what_was_published() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    api.run("PUT", "/queues/%2F/q", &json!({ "durable": true }))?;
    let asked = "?msg_rates_age=60&msg_rates_incr=5&lengths_age=60&lengths_incr=5";
    // A first sample without messages, and then one with them.
    seen(&api, &format!("/queues/%2F/q{asked}"), |queue| {
        sampled(&queue["messages_details"]).contains(&0)
    })?;
    let publish = json!({ "routing_key": "q", "properties": {}, "payload": "x", "payload_encoding": "string" });
    for _ in 0..MESSAGES {
        api.run("POST", "/exchanges/%2F/amq.default/publish", &publish)?;
    }
    let queue = seen(&api, &format!("/queues/%2F/q{asked}"), |queue| {
        queue["message_stats"]["publish_details"]["rate"].as_f64() > Some(0.0)
    })?;
    let rate = queue["message_stats"]["publish_details"]["rate"].as_f64();
    ensure!(rate <= Some(20.0), "{rate:?} a second");
    let list =
        api.get("/queues/%2F?page=1&sort=message_stats.publish_details.rate&sort_reverse=true")?;
    ensure!(list["items"][0]["name"] == "q", "{list}");
    for path in ["/overview", "/queues/%2F/q"] {
        let answer = seen(&api, &format!("{path}{asked}"), |answer| {
            let samples = sampled(&answer["message_stats"]["publish_details"]);
            samples.contains(&0) && samples.contains(&(MESSAGES as u64))
        })?;
        let details = &answer["message_stats"]["publish_details"];
        ensure!(
            details["avg"].is_f64() && details["avg_rate"].is_f64(),
            "{details}"
        );
    }
    let vhost = api.get("/vhosts/%2F")?;
    ensure!(vhost["message_stats"]["publish"] == MESSAGES, "{vhost}");
    let without = api.get("/queues/%2F/q")?;
    ensure!(
        without["messages_details"].get("samples").is_none(),
        "{without}"
    );
    let (status, refusal) = api.call(
        "GET",
        "/overview?lengths_age=86400&lengths_incr=5",
        &Value::Null,
    )?;
    ensure!(
        status == 400 && refusal["reason"].to_string().contains("500 samples"),
        "{refusal}"
    );
    Ok(())
}

/// The values of all moments that are told.
fn sampled(details: &Value) -> Vec<u64> {
    let samples = details["samples"].as_array();
    let values = samples
        .into_iter()
        .flatten()
        .map(|sample| &sample["sample"]);
    values.filter_map(Value::as_u64).collect()
}

/// The first answer that passes.
fn seen(api: &Api, path: &str, passes: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let begun = Instant::now();
    loop {
        let answer = api.get(path)?;
        if passes(&answer) {
            return Ok(answer);
        }
        ensure!(begun.elapsed() < PATIENCE, "{path}: {answer}");
        wait_for_sample()?;
    }
}

/// Returns when the next sample has been taken: they are at whole multiples of five seconds.
fn wait_for_sample() -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let into = now.as_nanos() % EVERY.as_nanos();
    let into = Duration::from_nanos(u64::try_from(into)?);
    let left = EVERY.saturating_sub(into);
    std::thread::sleep(left + TAKEN_IN);
    Ok(())
}
