//! Definitions that a RabbitMQ server exported, taken in and given out again.

use std::collections::BTreeSet;

use amphora_tests::{Broker, Login, Settings, workspace};
use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::api::Api;

/// Exported by Debian's rabbitmq-server 3.10.8, of a made-up shop.
const SAMPLE: &str = "tests/management/samples/rabbitmq-3.10-definitions.json";

/// `shop-admin:adm1n`
const ADMINISTRATOR: &str = "Basic c2hvcC1hZG1pbjphZG0xbg==";

/// What both sides say of a thing: ours says more, of queues their type, of virtual hosts what they are for.
fn known(list: &str, item: &Value) -> Value {
    let keys: &[&str] = match list {
        "queues" => &["name", "vhost", "durable", "auto_delete", "arguments"],
        "vhosts" => &["name"],
        _ => return item.clone(),
    };
    let kept = keys
        .iter()
        .map(|key| ((*key).to_owned(), item[*key].clone()));
    Value::Object(kept.collect::<Map<_, _>>())
}

fn items(definitions: &Value, list: &str) -> BTreeSet<String> {
    let items = definitions[list].as_array().into_iter().flatten();
    items.map(|item| known(list, item).to_string()).collect()
}

fn sample() -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(workspace().join(SAMPLE))?;
    Ok(serde_json::from_str(&text)?)
}

const LISTS: [&str; 10] = [
    "users",
    "vhosts",
    "permissions",
    "topic_permissions",
    "parameters",
    "global_parameters",
    "policies",
    "queues",
    "exchanges",
    "bindings",
];

#[test]
fn what_rabbitmq_exported_is_taken_in_and_nothing_is_lost() -> anyhow::Result<()> {
    let path = workspace().join(SAMPLE);
    let config = format!("load_definitions = {:?}\n", path.display().to_string());
    let mut broker = Broker::with(Settings {
        config,
        ..Settings::default()
    })?;
    let exported = sample()?;
    for start in ["the first", "the second"] {
        let api = Api::with_login(&broker, ADMINISTRATOR)?;
        let again = api.get("/definitions")?;
        for list in LISTS {
            assert_eq!(
                items(&again, list),
                items(&exported, list),
                "{list}, at {start} start"
            );
        }
        broker.restart()?;
    }
    // Users log in with the passwords that they had there.
    for (user, password) in [
        ("shop", "s3cret"),
        ("shop-admin", "adm1n"),
        ("metrics", "m3trics"),
    ] {
        let login = Login {
            vhost: "shop".to_owned(),
            ..Login::plain(user, password)
        };
        broker.login(&login).with_context(|| user.to_owned())?;
    }
    // And policies apply.
    let api = Api::with_login(&broker, ADMINISTRATOR)?;
    let orders =
        api.get("/queues/shop/orders?columns=policy,operator_policy,effective_policy_definition")?;
    let expected = json!({
        "policy": "expiring",
        "operator_policy": "bounded",
        "effective_policy_definition": {
            "message-ttl": 86_400_000,
            "dead-letter-exchange": "dead",
            "max-length": 50_000,
            "overflow": "reject-publish",
            "expires": 604_800_000,
        },
    });
    assert_eq!(orders, expected);
    Ok(())
}

#[test]
fn one_broker_s_definitions_make_another_the_same() -> anyhow::Result<()> {
    let (first, second) = (Broker::start()?, Broker::start()?);
    let (first, second) = (Api::of(&first)?, Api::of(&second)?);
    first.run("POST", "/definitions", &sample()?)?;
    let definitions = first.get("/definitions")?;
    second.run("POST", "/definitions", &definitions)?;
    let again = second.get("/definitions")?;
    for list in LISTS {
        assert_eq!(items(&again, list), items(&definitions, list), "{list}");
    }
    let shop = first.get("/definitions/shop")?;
    second.run("PUT", "/vhosts/copy", &json!({}))?;
    second.run("POST", "/definitions/copy", &shop)?;
    let copy = second.get("/definitions/copy")?;
    for list in ["parameters", "policies", "queues", "exchanges", "bindings"] {
        assert_eq!(copy[list], shop[list], "{list}");
    }
    Ok(())
}

#[test]
fn a_file_that_cannot_be_taken_in_keeps_the_broker_from_starting() -> anyhow::Result<()> {
    let mut broker = Broker::prepare(Settings {
        config: "load_definitions = \"nothing.json\"\n".to_owned(),
        ..Settings::default()
    })?;
    let (status, log) = broker.refuse()?;
    assert!(!status.success());
    assert!(log.contains("nothing.json"), "{log}");
    Ok(())
}

const GUEST: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";

/// The status, tag and body of an answer to somebody who has what has this tag.
fn tagged(broker: &Broker, tag: &str) -> anyhow::Result<(u16, String, String)> {
    let url = format!("http://{}/api/definitions", broker.http()?);
    let request = ureq::get(url).header("authorization", GUEST);
    let mut answer = request.header("if-none-match", tag).call()?;
    let tag = answer.headers().get("etag");
    let tag = tag
        .and_then(|tag| tag.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let status = answer.status().as_u16();
    Ok((status, tag, answer.body_mut().read_to_string()?))
}

#[test]
fn what_somebody_has_already_is_not_sent_again() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let (status, tag, whole) = tagged(&broker, "\"other\"")?;
    assert_eq!(status, 200);
    assert!(whole.contains("\"users\""), "{whole}");
    for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        assert_eq!(tagged(&broker, &known)?, (304, tag.clone(), String::new()));
    }
    api.run("PUT", "/queues/%2F/q", &json!({ "durable": true }))?;
    let (status, other, _) = tagged(&broker, &tag)?;
    assert_eq!(status, 200);
    assert_ne!(other, tag);
    Ok(())
}

#[test]
fn definitions_come_as_the_file_of_a_form_too() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let send = |field: &str| {
        let file = json!({ "queues": [{ "name": "sent", "vhost": "/", "durable": true }] });
        let body = format!(
            "--limit\r\ncontent-disposition: form-data; name=\"redirect\"\r\n\r\nno\r\n--limit\r\n\
             content-disposition: form-data; name=\"{field}\"; filename=\"a.json\"\r\ncontent-type: application/json\r\n\r\n{file}\r\n--limit--\r\n"
        );
        let agent = ureq::Agent::config_builder().http_status_as_error(false);
        let request = agent
            .build()
            .new_agent()
            .post(format!("http://{}/api/definitions", broker.http()?));
        let request = request.header("authorization", GUEST);
        let answer = request
            .header("content-type", "multipart/form-data; boundary=limit")
            .send(body)?;
        anyhow::Ok(answer.status().as_u16())
    };
    assert_eq!(send("other")?, 400);
    assert_eq!(api.get("/queues")?, json!([]));
    assert_eq!(send("file")?, 204);
    assert_eq!(
        api.get("/queues?columns=name")?,
        json!([{ "name": "sent" }])
    );
    Ok(())
}
