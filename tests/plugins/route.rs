//! Where a message would go, with plugins on its way: what they say is told, and nothing that they do has an effect.

use amphora_tests::{Broker, PATIENCE, Settings, workspace};
use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::built::component;

const GUEST: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";

/// Does something at the management API that is expected to work.
fn run(broker: &Broker, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE));
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("http://{}/api{path}", broker.http()?))
        .header("authorization", GUEST)
        .header("content-type", "application/json");
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut answer = config.build().new_agent().run(request.body(body)?)?;
    let text = answer.body_mut().read_to_string()?;
    ensure!(
        answer.status().is_success(),
        "{method} {path}: {} {text}",
        answer.status()
    );
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).context(text)
}

fn message(exchange: &str, headers: &Value, payload: &str) -> Value {
    json!({
        "exchange": exchange,
        "routing_key": "key",
        "properties": { "headers": headers },
        "payload": payload,
        "payload_encoding": "string",
    })
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one topology serves all that is asked"
)]
fn plugins_are_asked_and_nothing_comes_of_it() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for name in [
        "content-router",
        "deduplication",
        "json-edit",
        "json-schema",
    ] {
        let bytes = component(&workspace().join("plugins").join(name))?;
        std::fs::write(folder.path().join(format!("{name}.wasm")), bytes)?;
    }
    let plugin = |name: &str, more: &str| {
        let path = folder.path().join(format!("{name}.wasm"));
        format!("[[plugin]]\nname = \"{name}\"\npath = {path:?}\n{more}\n")
    };
    let config = [
        plugin("content-router", "exchange-type = \"x-content\""),
        plugin(
            "deduplication",
            "grants = [\"config\", \"kv\", \"log\", \"metrics\"]",
        ),
        plugin(
            "json-edit",
            "grants = [\"config\", \"log\"]\n[[plugin.config.edit]]\nat = \"/secret\"\naction = \"remove\"",
        ),
        plugin(
            "json-schema",
            "grants = [\"config\", \"log\", \"metrics\"]\n[[plugin.config.rule]]\nexchange = \"orders\"\nschema = { type = \"object\" }",
        ),
    ];
    let broker = Broker::with(Settings {
        config: config.concat(),
        ..Settings::default()
    })?;
    let definitions = json!({
        "exchanges": [
            { "name": "orders", "type": "x-content", "arguments": { "x-transform": ["json-schema", "deduplication"] } },
            { "name": "entry", "type": "fanout" },
        ],
        "queues": [
            { "name": "large", "arguments": { "x-transform": "json-edit" } },
            { "name": "all" },
        ],
        "bindings": [
            { "source": "orders", "destination": "large", "routing_key": "", "arguments": { "json:/total": { "ge": 100 } } },
            { "source": "orders", "destination": "all", "routing_key": "" },
            { "source": "entry", "destination": "orders", "destination_type": "exchange", "routing_key": "" },
        ],
    });
    run(&broker, "POST", "/definitions/%2F", &definitions)?;
    let figures = || {
        run(
            &broker,
            "GET",
            "/plugins?columns=name,calls,errors,kv_entries,metrics,loads",
            &Value::Null,
        )
    };
    let before = figures()?;

    let headers = json!({ "x-deduplication-header": "1" });
    let large = message("orders", &headers, r#"{"total": 120, "secret": 1}"#);
    for _ in 0..2 {
        let report = run(&broker, "POST", "/route/%2F", &large)?;
        assert_eq!(report["routed"], true, "{report:#}");
        let orders = &report["exchanges"][0];
        let verdicts: Vec<_> = orders["transforms"]
            .as_array()
            .into_iter()
            .flatten()
            .collect();
        let said: Vec<_> = verdicts
            .iter()
            .map(|said| (&said["name"], &said["verdict"]))
            .collect();
        assert_eq!(
            said,
            [
                (&json!("json-schema"), &json!("pass")),
                (&json!("deduplication"), &json!("pass"))
            ]
        );
        assert_ne!(verdicts[1]["would_store"], 0, "it would remember the id");
        assert_eq!(
            (&orders["plugin"]["verdict"], &orders["plugin"]["detail"]),
            (&json!("route"), &json!("2 bindings"))
        );
        let queue = |name: &str| {
            let mut queues = report["queues"].as_array().into_iter().flatten();
            queues
                .find(|&queue| queue["name"] == name)
                .cloned()
                .context("not reached")
        };
        let edited = queue("large")?;
        assert_eq!(edited["transforms"][0]["verdict"], "replace");
        let place = edited["message"]
            .as_u64()
            .and_then(|place| usize::try_from(place).ok());
        let arrived = &report["messages"][place.context("no number")?];
        assert_eq!(arrived["payload"], r#"{"total":120}"#);
        assert_eq!(queue("all")?["message"], 0);
    }
    let small = message("orders", &json!({}), r#"{"total": 1}"#);
    let report = run(&broker, "POST", "/route/%2F", &small)?;
    let bindings = report["exchanges"][0]["bindings"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let whys: Vec<_> = bindings
        .iter()
        .map(|binding| (&binding["destination"], &binding["why"]))
        .collect();
    assert_eq!(
        whys,
        [
            (
                &json!("all"),
                &json!("the plugin of type 'x-content' names it")
            ),
            (
                &json!("large"),
                &json!("the plugin of type 'x-content' does not name it")
            ),
        ]
    );
    // By way of another exchange, transforms of the second one are not asked.
    let report = run(
        &broker,
        "POST",
        "/route/%2F",
        &message("entry", &json!({}), "no JSON"),
    )?;
    assert_eq!(report["exchanges"][1]["name"], "orders");
    assert_eq!(report["exchanges"][1]["transforms"], json!([]));
    assert_eq!(report["queues"][0]["via"], json!(["entry", "orders"]));
    let report = run(
        &broker,
        "POST",
        "/route/%2F",
        &message("orders", &json!({}), "no JSON"),
    )?;
    assert_eq!(report["routed"], false);
    let refused = report["refused"].as_str().unwrap_or_default();
    assert!(refused.starts_with("plugin 'json-schema': "), "{refused}");
    assert_eq!(figures()?, before, "nobody counts what was only asked");

    let path = "/exchanges/%2F/orders/publish";
    assert_eq!(
        run(&broker, "POST", path, &large)?,
        json!({ "routed": true })
    );
    let queues = run(
        &broker,
        "GET",
        "/queues?columns=name,messages",
        &Value::Null,
    )?;
    assert_eq!(
        queues,
        json!([{ "name": "all", "messages": 1 }, { "name": "large", "messages": 1 }])
    );
    let report = run(&broker, "POST", "/route/%2F", &large)?;
    assert_eq!(report["exchanges"][0]["transforms"][1]["verdict"], "drop");
    assert_eq!(
        (&report["routed"], &report["queues"]),
        (&json!(false), &json!([]))
    );

    run(
        &broker,
        "DELETE",
        "/plugins/content-router?force=true",
        &Value::Null,
    )?;
    let report = run(&broker, "POST", "/route/%2F", &small)?;
    assert_eq!(report["exchanges"][0]["plugin"]["verdict"], "error");
    assert_eq!(report["exchanges"][0]["plugin"]["on_error"], "reject");
    assert_eq!(report["routed"], false);
    Ok(())
}
