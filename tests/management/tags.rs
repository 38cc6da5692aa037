//! What a user may ask of the management API by tag: every request as a user of every kind. Whoever may not gets 401, RabbitMQ's text, and
//! changes nothing.

use amphora_tests::{Broker, Settings};
use anyhow::ensure;
use serde_json::{Value, json};

use crate::api::Api;

/// Kinds of users, by their tag, from the one who may least on; `Basic` logins of NAME:secret.
const USERS: [(&str, &str); 6] = [
    ("", "Basic cGxhaW46c2VjcmV0"),
    ("impersonator", "Basic aW1wZXJzb25hdG9yOnNlY3JldA=="),
    ("management", "Basic bWFuYWdlbWVudDpzZWNyZXQ="),
    ("policymaker", "Basic cG9saWN5bWFrZXI6c2VjcmV0"),
    ("monitoring", "Basic bW9uaXRvcmluZzpzZWNyZXQ="),
    ("administrator", "Basic YWRtaW5pc3RyYXRvcjpzZWNyZXQ="),
];

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// Whoever may use the API.
    All,
    Policymakers,
    Monitors,
    Administrators,
}

impl For {
    fn admits(self, tag: &str) -> bool {
        match self {
            Self::All => !["", "impersonator"].contains(&tag),
            Self::Policymakers => ["policymaker", "administrator"].contains(&tag),
            Self::Monitors => ["monitoring", "administrator"].contains(&tag),
            Self::Administrators => tag == "administrator",
        }
    }

    fn refusal(self, tag: &str) -> &'static str {
        match self {
            _ if !Self::All.admits(tag) => "Not management user",
            Self::All => "",
            Self::Policymakers => "User not authorised to access object",
            Self::Monitors => "Not monitor user",
            Self::Administrators => "Not administrator user",
        }
    }
}

/// Requests: whatever one makes, a later one takes back, so that each kind of user finds the same.
pub(crate) const REQUESTS: [(For, &str, &str, &str); 80] = [
    (For::All, "GET", "/overview", ""),
    (For::All, "GET", "/whoami", ""),
    (For::All, "GET", "/cluster-name", ""),
    (For::All, "GET", "/vhosts", ""),
    (For::All, "GET", "/vhosts/v", ""),
    (For::All, "GET", "/queues", ""),
    (For::All, "GET", "/exchanges", ""),
    (For::All, "GET", "/bindings", ""),
    (For::All, "GET", "/consumers", ""),
    (For::All, "GET", "/connections", ""),
    (For::All, "GET", "/channels", ""),
    (For::All, "GET", "/policies", ""),
    (For::All, "GET", "/policies/v", ""),
    (For::All, "GET", "/operator-policies", ""),
    (For::All, "GET", "/vhost-limits", ""),
    (For::All, "GET", "/user-limits", ""),
    (For::All, "GET", "/health/checks/alarms", ""),
    (For::All, "GET", "/aliveness-test/v", ""),
    (
        For::All,
        "POST",
        "/route/v",
        r#"{"exchange": "amq.topic", "routing_key": "k"}"#,
    ),
    (For::Monitors, "GET", "/nodes", ""),
    (For::Monitors, "GET", "/plugins", ""),
    (For::Monitors, "GET", "/user-limits/guest", ""),
    (For::Policymakers, "GET", "/parameters", ""),
    (For::Policymakers, "GET", "/parameters/vhost-limits/v", ""),
    (For::Policymakers, "GET", "/global-parameters", ""),
    (
        For::Policymakers,
        "PUT",
        "/policies/v/p",
        r#"{"pattern": "^p", "definition": {"max-length": 5}}"#,
    ),
    (For::Policymakers, "DELETE", "/policies/v/p", ""),
    (
        For::Policymakers,
        "PUT",
        "/parameters/vhost-limits/v/limits",
        r#"{"value": {"max-queues": 50}}"#,
    ),
    (
        For::Policymakers,
        "DELETE",
        "/parameters/vhost-limits/v/limits",
        "",
    ),
    (
        For::Policymakers,
        "PUT",
        "/global-parameters/g",
        r#"{"value": 1}"#,
    ),
    (For::Policymakers, "DELETE", "/global-parameters/g", ""),
    (
        For::Administrators,
        "PUT",
        "/operator-policies/v/o",
        r#"{"pattern": "^p", "definition": {"max-length": 5}}"#,
    ),
    (For::Administrators, "DELETE", "/operator-policies/v/o", ""),
    (
        For::Administrators,
        "PUT",
        "/vhost-limits/v/max-queues",
        r#"{"value": 5}"#,
    ),
    (
        For::Administrators,
        "DELETE",
        "/vhost-limits/v/max-queues",
        "",
    ),
    (
        For::Administrators,
        "PUT",
        "/feature-flags/detailed_queues_endpoint/enable",
        "",
    ),
    (For::Administrators, "POST", "/rebalance/queues", ""),
    (For::Administrators, "DELETE", "/reset", ""),
    (For::Administrators, "GET", "/settings", ""),
    (For::Administrators, "PUT", "/settings", "{}"),
    (For::Administrators, "GET", "/config/effective", ""),
    (
        For::Administrators,
        "POST",
        "/all-configuration",
        r#"{"users": []}"#,
    ),
    (For::Administrators, "PUT", "/plugins/nothing", "{}"),
    (For::Monitors, "GET", "/plugins/nothing", ""),
    (For::Monitors, "GET", "/logs", ""),
    (For::Administrators, "GET", "/users", ""),
    (For::Administrators, "GET", "/users/guest", ""),
    (For::Administrators, "GET", "/users/without-permissions", ""),
    (
        For::Administrators,
        "PUT",
        "/users/new",
        r#"{"password": "secret", "tags": ""}"#,
    ),
    (
        For::Administrators,
        "PUT",
        "/permissions/v/new",
        r#"{"configure": "", "write": "", "read": ""}"#,
    ),
    (For::Administrators, "GET", "/permissions", ""),
    (For::Administrators, "GET", "/permissions/v/new", ""),
    (For::Administrators, "GET", "/users/new/permissions", ""),
    (For::Administrators, "GET", "/vhosts/v/permissions", ""),
    (
        For::Administrators,
        "PUT",
        "/topic-permissions/v/new",
        r#"{"exchange": "amq.topic", "write": "", "read": ""}"#,
    ),
    (For::Administrators, "GET", "/topic-permissions", ""),
    (For::Administrators, "GET", "/topic-permissions/v/new", ""),
    (
        For::Administrators,
        "GET",
        "/users/new/topic-permissions",
        "",
    ),
    (
        For::Administrators,
        "GET",
        "/vhosts/v/topic-permissions",
        "",
    ),
    (
        For::Administrators,
        "DELETE",
        "/topic-permissions/v/new/amq.topic",
        "",
    ),
    (
        For::Administrators,
        "PUT",
        "/topic-permissions/v/new",
        r#"{"exchange": "amq.topic", "write": "", "read": ""}"#,
    ),
    (
        For::Administrators,
        "DELETE",
        "/topic-permissions/v/new",
        "",
    ),
    (For::Administrators, "DELETE", "/permissions/v/new", ""),
    (
        For::Administrators,
        "PUT",
        "/user-limits/new/max-channels",
        r#"{"value": 5}"#,
    ),
    (
        For::Administrators,
        "DELETE",
        "/user-limits/new/max-channels",
        "",
    ),
    (For::Administrators, "DELETE", "/users/new", ""),
    (
        For::Administrators,
        "POST",
        "/users/bulk-delete",
        r#"{"users": []}"#,
    ),
    (For::Administrators, "PUT", "/vhosts/new", "{}"),
    (
        For::Administrators,
        "POST",
        "/vhosts/new/deletion/protection",
        "",
    ),
    (
        For::Administrators,
        "DELETE",
        "/vhosts/new/deletion/protection",
        "",
    ),
    (For::Administrators, "DELETE", "/vhosts/new", ""),
    (
        For::Administrators,
        "PUT",
        "/cluster-name",
        r#"{"name": "amphora"}"#,
    ),
    (For::Administrators, "GET", "/definitions", ""),
    (For::Administrators, "GET", "/definitions/v", ""),
    (For::Administrators, "POST", "/definitions", "{}"),
    (For::Administrators, "POST", "/definitions/v", "{}"),
    (For::Administrators, "POST", "/plugins/nothing/load", ""),
    (For::Administrators, "POST", "/plugins/nothing/rollback", ""),
    (For::Administrators, "DELETE", "/plugins/nothing", ""),
    (
        For::Administrators,
        "DELETE",
        "/connections/username/guest",
        "",
    ),
];

fn name(tag: &str) -> &str {
    if tag.is_empty() { "plain" } else { tag }
}

#[test]
fn every_request_is_for_whom_it_is_for() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let guest = Api::of(&broker)?;
    guest.run("PUT", "/vhosts/v", &Value::Null)?;
    let all = json!({ "configure": ".*", "write": ".*", "read": ".*" });
    for (tag, _) in USERS {
        let user = json!({ "password": "secret", "tags": tag });
        guest.run("PUT", &format!("/users/{}", name(tag)), &user)?;
        guest.run("PUT", &format!("/permissions/v/{}", name(tag)), &all)?;
    }
    guest.run("PUT", "/cluster-name", &json!({ "name": "amphora" }))?;
    for (tag, login) in USERS {
        let api = Api::with_login(&broker, login)?;
        for (who, method, path, body) in REQUESTS {
            let context = format!("{method} {path} as {}", name(tag));
            let body = match body {
                "" => Value::Null,
                body => serde_json::from_str(body)?,
            };
            let before = guest.get("/definitions")?;
            let (status, answer) = api.call(method, path, &body)?;
            if who.admits(tag) {
                // A plugin that is not there is for them to miss, and one that is no component.
                let expected = (200..300).contains(&status)
                    || ([400, 404].contains(&status) && path.starts_with("/plugins/"));
                ensure!(expected, "{context}: {status} {answer}");
                continue;
            }
            let refused = json!({ "error": "not_authorised", "reason": who.refusal(tag) });
            assert_eq!((status, answer), (401, refused), "{context}");
            assert_eq!(guest.get("/definitions")?, before, "{context}");
        }
    }
    Ok(())
}

#[test]
fn whoever_is_not_let_in_is_asked_to_log_in() -> anyhow::Result<()> {
    let broker = Broker::with(Settings {
        config: "[management]\nfailed_logins_max = \"unlimited\"\n".to_owned(),
        ..Settings::default()
    })?;
    for login in ["", "Basic Z3Vlc3Q6d3Jvbmc=", "Bearer token", "Basic !"] {
        let api = Api::with_login(&broker, login)?;
        for (_, method, path, _) in REQUESTS {
            let (status, answer) = api.call(method, path, &Value::Null)?;
            let refused = json!({ "error": "not_authorized", "reason": "Login failed" });
            assert_eq!((status, answer), (401, refused), "{method} {path}");
        }
    }
    Ok(())
}
