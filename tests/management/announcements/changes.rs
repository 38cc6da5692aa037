//! Events that tell of changes by an administrator.

use amphora_tests::Broker;
use serde_json::{Value, json};

use super::{event, listen, next};
use crate::api::Api;

/// A request that changes something, and the events that tell of it, with their headers.
type Change = (
    &'static str,
    &'static str,
    Value,
    Vec<(&'static str, Value)>,
);

/// What is changed about users, virtual hosts and parameters, and what is told of it.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn administered() -> Vec<Change> {
    let by = "guest";
    let told = |key: &'static str, mut headers: Value| {
        headers["user_who_performed_action"] = json!(by);
        (key, headers)
    };
    let place = json!({ "user": "shop", "vhost": "v" });
    let everything =
        json!({ "user": by, "vhost": "v", "configure": ".*", "write": ".*", "read": ".*" });
    let policy = json!({ "pattern": "^p", "definition": { "max-length": 5 }, "priority": 1, "apply-to": "queues" });
    let with = |mut one: Value, other: &Value| {
        let members = other.as_object().cloned().unwrap_or_default();
        one.as_object_mut()
            .into_iter()
            .for_each(|one| one.extend(members.clone()));
        one
    };
    let limits = json!({ "vhost": "v", "component": "vhost-limits", "name": "limits" });
    let operator = json!({ "vhost": "v", "component": "operator_policy", "name": "o" });
    vec![
        (
            "PUT",
            "/users/shop",
            json!({ "password": "secret", "tags": "management,monitoring" }),
            vec![
                told("user.created", json!({ "name": "shop" })),
                told(
                    "user.tags.set",
                    json!({ "name": "shop", "tags": ["management", "monitoring"] }),
                ),
            ],
        ),
        (
            "PUT",
            "/users/shop",
            json!({ "password": "other", "tags": "" }),
            vec![
                told("user.password.changed", json!({ "name": "shop" })),
                told("user.tags.set", json!({ "name": "shop", "tags": [] })),
            ],
        ),
        (
            "PUT",
            "/vhosts/v",
            json!({ "description": "a shop", "tags": "a,b" }),
            vec![
                told(
                    "vhost.created",
                    json!({ "name": "v", "description": "a shop", "tags": ["a", "b"] }),
                ),
                told("permission.created", everything),
            ],
        ),
        (
            "PUT",
            "/permissions/v/shop",
            json!({ "configure": "^c", "write": "^w", "read": "^r" }),
            vec![told(
                "permission.created",
                with(
                    place.clone(),
                    &json!({ "configure": "^c", "write": "^w", "read": "^r" }),
                ),
            )],
        ),
        (
            "PUT",
            "/topic-permissions/v/shop",
            json!({ "exchange": "x", "write": "^w", "read": "^r" }),
            vec![told(
                "topic.permission.created",
                with(
                    place.clone(),
                    &json!({ "exchange": "x", "write": "^w", "read": "^r" }),
                ),
            )],
        ),
        (
            "DELETE",
            "/topic-permissions/v/shop/x",
            Value::Null,
            vec![told(
                "topic.permission.deleted",
                with(place.clone(), &json!({ "exchange": "x" })),
            )],
        ),
        (
            "DELETE",
            "/permissions/v/shop",
            Value::Null,
            vec![told("permission.deleted", place)],
        ),
        (
            "PUT",
            "/policies/v/p",
            policy.clone(),
            vec![told(
                "policy.set",
                with(json!({ "name": "p", "vhost": "v" }), &policy),
            )],
        ),
        (
            "DELETE",
            "/policies/v/p",
            Value::Null,
            vec![told("policy.cleared", json!({ "name": "p", "vhost": "v" }))],
        ),
        (
            "PUT",
            "/operator-policies/v/o",
            policy.clone(),
            vec![
                told(
                    "parameter.set",
                    with(operator.clone(), &json!({ "value": policy })),
                ),
                told(
                    "policy.set",
                    with(json!({ "name": "o", "vhost": "v" }), &policy),
                ),
            ],
        ),
        (
            "DELETE",
            "/operator-policies/v/o",
            Value::Null,
            vec![
                told("parameter.cleared", operator),
                told("policy.cleared", json!({ "name": "o", "vhost": "v" })),
            ],
        ),
        (
            "PUT",
            "/vhost-limits/v/max-queues",
            json!({ "value": 5 }),
            vec![
                told(
                    "parameter.set",
                    with(limits.clone(), &json!({ "value": { "max-queues": 5 } })),
                ),
                told(
                    "vhost.limits.set",
                    json!({ "name": "limits", "vhost": "v", "max-queues": 5 }),
                ),
            ],
        ),
        (
            "DELETE",
            "/vhost-limits/v/max-queues",
            Value::Null,
            vec![
                told("parameter.cleared", limits),
                told(
                    "vhost.limits.cleared",
                    json!({ "name": "limits", "vhost": "v" }),
                ),
            ],
        ),
        (
            "PUT",
            "/user-limits/shop/max-channels",
            json!({ "value": 5 }),
            vec![told(
                "user.limits.set",
                json!({ "name": "limits", "username": "shop", "max-channels": 5 }),
            )],
        ),
        (
            "DELETE",
            "/user-limits/shop/max-channels",
            Value::Null,
            vec![told(
                "user.limits.cleared",
                json!({ "name": "limits", "username": "shop" }),
            )],
        ),
        (
            "PUT",
            "/global-parameters/g",
            json!({ "value": { "n": 1 } }),
            vec![told(
                "parameter.set",
                json!({ "component": "global", "name": "g", "value": { "n": 1 } }),
            )],
        ),
        (
            "DELETE",
            "/global-parameters/g",
            Value::Null,
            vec![told(
                "parameter.cleared",
                json!({ "component": "global", "name": "g" }),
            )],
        ),
        (
            "DELETE",
            "/vhosts/v",
            Value::Null,
            vec![
                told("permission.deleted", json!({ "user": by, "vhost": "v" })),
                told("vhost.deleted", json!({ "name": "v" })),
            ],
        ),
        (
            "DELETE",
            "/users/shop",
            Value::Null,
            vec![told("user.deleted", json!({ "name": "shop" }))],
        ),
    ]
}

#[test]
fn changes_of_users_vhosts_and_parameters_are_told() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let keys = [
        "user.#",
        "permission.#",
        "topic.permission.#",
        "vhost.#",
        "policy.#",
        "parameter.#",
    ];
    listen(&api, "amq.rabbitmq.event", "events", &keys)?;
    for (method, path, body, expected) in administered() {
        api.run(method, path, &body)?;
        let mut seen = Vec::new();
        while seen.len() < expected.len() {
            let next = next(&api, "events", 1)?;
            // Whoever calls the API logs in each time.
            let next = next.iter().map(event);
            seen.extend(next.filter(|(key, _)| !key.starts_with("user.authentication")));
        }
        let expected = expected.into_iter();
        let expected: Vec<_> = expected
            .map(|(key, headers)| (key.to_owned(), headers))
            .collect();
        assert_eq!(seen, expected, "{method} {path}");
    }
    Ok(())
}

#[test]
fn a_policy_is_told_for_each_queue_that_it_changes() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    listen(&api, "amq.rabbitmq.event", "events", &["queue.policy.*"])?;
    for queue in ["p1", "p2", "other"] {
        api.run("PUT", &format!("/queues/%2F/{queue}"), &json!({}))?;
    }
    let definition = json!({ "max-length": 5 });
    let policy = json!({ "pattern": "^p", "definition": definition, "apply-to": "queues" });
    api.run("PUT", "/policies/%2F/short", &policy)?;
    api.run("DELETE", "/policies/%2F/short", &Value::Null)?;
    let seen = next(&api, "events", 4)?;
    let mut seen: Vec<_> = seen.iter().map(event).collect();
    // In no order among the queues.
    seen.sort_by_key(|(key, headers)| {
        (std::cmp::Reverse(key.clone()), headers["name"].to_string())
    });
    let headers =
        |name: &str| json!({ "name": name, "vhost": "/", "user_who_performed_action": "guest" });
    let set = |name: &str| {
        let mut headers = headers(name);
        headers["definition"] = definition.clone();
        ("queue.policy.updated".to_owned(), headers)
    };
    let cleared = |name: &str| ("queue.policy.cleared".to_owned(), headers(name));
    assert_eq!(seen, [set("p1"), set("p2"), cleared("p1"), cleared("p2")]);
    Ok(())
}
