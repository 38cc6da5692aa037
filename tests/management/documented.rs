//! What the document about the API says, and what the API does: each operation is there, none is open that has a lock, and none that changes
//! something is missing in the tables of who may do what.

use amphora_tests::{Broker, Settings};
use anyhow::Context;
use serde_json::{Value, json};

use crate::api::Api;
use crate::{permissions_http, tags};

/// `plain:secret`, who has no tag.
const PLAIN: &str = "Basic cGxhaW46c2VjcmV0";

/// `outsider:secret`, who may manage, and has no virtual host.
const OUTSIDER: &str = "Basic b3V0c2lkZXI6c2VjcmV0";

/// Where logins are made, and where a page learns how.
const OPEN: [(&str, &str); 3] = [("GET", "/auth"), ("POST", "/login"), ("POST", "/logout")];

/// What belongs to the client that a connection is of.
const OF_CLIENTS: (&str, &str) = ("DELETE", "/connections/{name}");

/// What is for administrators only, and named by what no table knows, as the node; and actions, which are all unknown.
const OF_ADMINISTRATORS: [(&str, &str); 4] = [
    ("DELETE", "/auth/attempts/{node}"),
    ("DELETE", "/reset/{node}"),
    ("POST", "/queues/{vhost}/{name}/actions"),
    ("POST", "/vhosts/{vhost}/start/{node}"),
];

/// Whether a path is one that a documented one stands for.
fn stands_for(documented: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path);
    let (documented, path) = (documented.split('/'), path.split('/'));
    let is_same = |(a, b): (&str, &str)| a.starts_with('{') || a == b;
    documented.clone().count() == path.clone().count() && documented.zip(path).all(is_same)
}

/// A path that a documented one stands for, in the virtual host `v`.
fn path(documented: &str) -> String {
    let parts = documented.split('/').map(|part| match part {
        "{vhost}" => "v",
        "{kind}" => "q",
        "{end}" => "source",
        part if part.starts_with('{') => "x",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Methods and paths.
fn operations(document: &Value) -> anyhow::Result<Vec<(String, String)>> {
    let paths = document["paths"].as_object().context("paths")?;
    let mut all = Vec::new();
    for (path, methods) in paths {
        let methods = methods.as_object().context("methods")?;
        all.extend(
            methods
                .keys()
                .map(|method| (method.to_uppercase(), path.clone())),
        );
    }
    Ok(all)
}

#[test]
fn whatever_is_documented_is_there_and_locked() -> anyhow::Result<()> {
    let broker = Broker::with(Settings {
        config: "[management]\nfailed_logins_max = \"unlimited\"\n".to_owned(),
        ..Settings::default()
    })?;
    let guest = Api::of(&broker)?;
    guest.run("PUT", "/vhosts/v", &Value::Null)?;
    for (name, tag) in [("plain", ""), ("outsider", "management")] {
        let user = json!({ "password": "secret", "tags": tag });
        guest.run("PUT", &format!("/users/{name}"), &user)?;
    }
    let document = guest.get("/openapi.json")?;
    let (nobody, plain) = (
        Api::with_login(&broker, "")?,
        Api::with_login(&broker, PLAIN)?,
    );
    let outsider = Api::with_login(&broker, OUTSIDER)?;
    let before = guest.get("/definitions")?;
    let operations = operations(&document)?;
    assert!(operations.len() > 150, "{}", operations.len());
    for (method, documented) in operations {
        let is_open = OPEN.contains(&(method.as_str(), documented.as_str()));
        let told = &document["paths"][&documented][method.to_lowercase()]["security"];
        assert_eq!(told.is_null(), is_open, "{method} {documented}");
        if is_open {
            continue;
        }
        let path = path(&documented);
        let body = if method == "GET" {
            Value::Null
        } else {
            json!({})
        };
        let (status, answer) = nobody.call(&method, &path, &body)?;
        let refused = json!({ "error": "not_authorized", "reason": "Login failed" });
        assert_eq!((status, answer), (401, refused), "{method} {path}");
        let (status, answer) = plain.call(&method, &path, &body)?;
        let refused = json!({ "error": "not_authorised", "reason": "Not management user" });
        assert_eq!((status, answer), (401, refused), "{method} {path}");
        // Checks of health tell nothing of a virtual host.
        if documented.contains("{vhost}") && !documented.starts_with("/health/") {
            let (status, answer) = outsider.call(&method, &path, &body)?;
            assert_eq!(
                (status, &answer["error"]),
                (401, &json!("not_authorised")),
                "{method} {path}: {answer}"
            );
        }
    }
    for (method, documented) in OF_ADMINISTRATORS {
        let path = path(documented);
        let (status, answer) = outsider.call(method, &path, &json!({}))?;
        let refused = json!({ "error": "not_authorised", "reason": "Not administrator user" });
        assert_eq!((status, answer), (401, refused), "{method} {path}");
    }
    assert_eq!(guest.get("/definitions")?, before);
    Ok(())
}

#[test]
fn whatever_changes_something_is_in_a_table_of_who_may() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let document = Api::of(&broker)?.get("/openapi.json")?;
    let by_permission = permissions_http::OPERATIONS.iter();
    let by_permission = by_permission.map(|operation| (operation.method, operation.path));
    let by_tag = tags::REQUESTS
        .iter()
        .map(|(_, method, path, _)| (*method, *path));
    let shown: Vec<(&str, &str)> = by_permission.chain(by_tag).collect();
    let mut missing = operations(&document)?;
    missing.retain(|(method, documented)| {
        let others = OPEN.iter().chain(&OF_ADMINISTRATORS).chain([&OF_CLIENTS]);
        let is_among_others = others
            .into_iter()
            .any(|other| *other == (method.as_str(), documented.as_str()));
        let is_shown = shown
            .iter()
            .any(|(shown, path)| shown == method && stands_for(documented, path));
        method != "GET" && !is_among_others && !is_shown
    });
    assert_eq!(missing, []);
    Ok(())
}
