//! The API as a client sees it: requests in, answers out.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, LOCATION};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use expect_test::expect_file;
use tower::ServiceExt;

use super::caller::Peer;
use super::fake::FakeBroker;
use super::snapshot::NodeSnapshot;
use super::*;
use crate::config::{Credential, LoginFrom, Permission, Plugin, User};

mod administration;
mod document;
mod pages;

/// An API over a broker, and who calls it from where.
struct Client<B> {
    broker: B,
    router: Router,
    login: String,
    address: [u8; 4],
}

fn about() -> About {
    About {
        node: "amphora@test".to_owned(),
        listeners: vec![Listener {
            protocol: "amqp",
            address: ([127, 0, 0, 1], 5672).into(),
        }],
        config: Arc::default(),
        config_file: None,
        durability: Durability::Fsync,
        message_size_max: ByteSize::mib(1),
        management: Management::default(),
        tls: None,
    }
}

impl Client<Arc<FakeBroker>> {
    /// Of a fake broker, as `guest`, from this machine.
    fn new() -> anyhow::Result<Self> {
        let broker = FakeBroker::new();
        let permission = |configure: &str, write: &str, read: &str| Permission {
            vhost: "/".to_owned(),
            configure: configure.to_owned(),
            write: write.to_owned(),
            read: read.to_owned(),
        };
        let user = |name: &str, tags: &[&str], permissions| User {
            name: name.to_owned(),
            credential: Some(Credential::Password("secret".to_owned())),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            loopback_only: false,
            permissions,
        };
        let users = [
            User::guest(),
            user("plain", &[], vec![permission(".*", ".*", ".*")]),
            user("reader", &["management"], vec![permission("", "", ".*")]),
            user("outsider", &["management"], vec![]),
            user("monitor", &["monitoring"], vec![]),
        ];
        let users = Users::seeded(&users, LoginFrom::default())?;
        let router = Api::new(broker.clone(), Arc::new(users), about()).router();
        Ok(Self {
            broker,
            router,
            login: "guest:guest".to_owned(),
            address: [127, 0, 0, 1],
        })
    }
}

impl<B> Client<B> {
    /// Sends the requests of a transcript and compares the answers, which stand indented below them.
    ///
    /// A line `as USER:PASSWORD` logs in as another; `UPDATE_EXPECT=1` writes the answers.
    async fn play(mut self, name: &str) -> anyhow::Result<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("src/management/transcripts/{name}.txt"));
        let mut played = String::new();
        for line in std::fs::read_to_string(&file)?
            .lines()
            .filter(|line| !line.starts_with(' '))
        {
            writeln!(played, "{line}")?;
            if let Some(login) = line.strip_prefix("as ") {
                self.login = login.to_owned();
            } else if !line.is_empty() && !line.starts_with('#') {
                let mut parts = line.splitn(3, ' ').chain(["", ""]);
                let mut next = || parts.next().unwrap_or_default();
                writeln!(played, "  {}", self.send(next(), next(), next()).await?)?;
            }
        }
        expect_file![file].assert_eq(&played);
        Ok(self)
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> anyhow::Result<String> {
        let mut request = Request::builder().method(method).uri(format!("/api{path}"));
        if self.login.contains(':') {
            let login = BASE64.encode(&self.login);
            request = request.header(AUTHORIZATION, format!("Basic {login}"));
        }
        let mut request = request.body(Body::from(body.to_owned()))?;
        request
            .extensions_mut()
            .insert(Peer((self.address, 40_000).into()));
        let response = self.router.clone().oneshot(request).await?;
        let mut answer = response.status().as_u16().to_string();
        if let Some(location) = response.headers().get(LOCATION) {
            write!(answer, " -> {}", location.to_str()?)?;
        }
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await?;
        if !body.is_empty() {
            write!(answer, " {}", str::from_utf8(&body)?)?;
        }
        Ok(answer)
    }
}

#[tokio::test]
async fn queues_are_declared_and_deleted() -> anyhow::Result<()> {
    Client::new()?.play("queues").await?;
    Ok(())
}

#[tokio::test]
async fn delayed_messages_are_listed_and_cancelled_and_traces_are_switched() -> anyhow::Result<()> {
    Client::new()?.play("delayed").await?;
    Ok(())
}

#[tokio::test]
async fn the_route_of_a_message_is_told() -> anyhow::Result<()> {
    Client::new()?.play("route").await?;
    Ok(())
}

#[tokio::test]
async fn exchanges_are_declared_and_deleted() -> anyhow::Result<()> {
    Client::new()?.play("exchanges").await?;
    Ok(())
}

#[tokio::test]
async fn bindings_have_keys() -> anyhow::Result<()> {
    Client::new()?.play("bindings").await?;
    Ok(())
}

#[tokio::test]
async fn messages_are_published_and_fetched() -> anyhow::Result<()> {
    Client::new()?.play("messages").await?;
    Ok(())
}

#[tokio::test]
async fn messages_are_looked_at_moved_and_deleted() -> anyhow::Result<()> {
    Client::new()?.play("browsing").await?;
    Ok(())
}

#[tokio::test]
async fn lists_have_pages_filters_orders_and_columns() -> anyhow::Result<()> {
    Client::new()?.play("lists").await?;
    Ok(())
}

#[tokio::test]
async fn everybody_sees_what_is_open_to_them() -> anyhow::Result<()> {
    Client::new()?.play("visibility").await?;
    Ok(())
}

#[tokio::test]
async fn what_does_not_exist_says_so() -> anyhow::Result<()> {
    Client::new()?.play("missing").await?;
    Ok(())
}

#[tokio::test]
async fn logins_are_refused_in_the_words_of_rabbitmq() -> anyhow::Result<()> {
    Client::new()?.play("logins").await?;
    Ok(())
}

#[tokio::test]
async fn guest_is_let_in_only_from_this_machine() -> anyhow::Result<()> {
    let remote = Client {
        address: [192, 0, 2, 1],
        ..Client::new()?
    };
    let answer = remote.send("GET", "/whoami", "").await?;
    let expected =
        r#"401 {"error":"not_authorized","reason":"User can only log in via localhost"}"#;
    assert_eq!(answer, expected);
    Ok(())
}

#[tokio::test]
async fn connections_are_shown_and_closed() -> anyhow::Result<()> {
    let client = Client::new()?;
    let broker = client.broker.clone();
    broker.connect("guest", 40_001);
    broker.connect("reader", 40_002);
    client.play("connections").await?;
    assert_eq!(broker.closed(), ["Closed via management plugin"; 2]);
    Ok(())
}

#[tokio::test]
async fn plugins_are_loaded_replaced_and_unloaded() -> anyhow::Result<()> {
    let client = Client::new()?;
    let configured = |name: &str, path: &str| -> anyhow::Result<Plugin> {
        let mut plugin = Plugin::uploaded(name, [("config", r#"{"key":"secret"}"#)])?;
        plugin.path = Some(path.into());
        Ok(plugin)
    };
    let broker = &client.broker;
    broker.configure(configured("redact", "plugins/redact.wasm")?, "1.0");
    broker.configure(configured("gone", "missing/gone.wasm")?, "1.0");
    broker.configure(configured("tired", "plugins/tired.wasm")?, "1.0");
    broker.wear_out("tired");
    client.play("plugins").await?;
    Ok(())
}

#[tokio::test]
async fn metrics_tell_of_plugins_and_what_they_count_themselves() -> anyhow::Result<()> {
    let client = Client::new()?;
    let plugin = Plugin::uploaded("tired", [("config", r#"{"key":"secret"}"#)])?;
    client.broker.configure(plugin, "1.0");
    client.broker.wear_out("tired");
    let mut request = Request::get("/metrics").body(Body::empty())?;
    request
        .extensions_mut()
        .insert(Peer((client.address, 40_000).into()));
    let response = client.router.clone().oneshot(request).await?;
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await?;
    let text = String::from_utf8(body.to_vec())?;
    for line in [
        "custom_total{plugin=\"tired\",name=\"matched\"} 600",
        "custom{plugin=\"tired\",name=\"ratio\"} 0.5",
        "faults_total{plugin=\"tired\",kind=\"timeout\"} 2",
        "faults_total{plugin=\"tired\",kind=\"trap\"} 3",
        "state{plugin=\"tired\",state=\"quarantined\"} 1",
        "state{plugin=\"tired\",state=\"loaded\"} 0",
        "lost_dead_letters_total{plugin=\"tired\"} 4",
        "lost_publishes_total{plugin=\"tired\"} 6",
        "failed_loads_total{plugin=\"tired\"} 0",
        "dropped_log_lines_total{plugin=\"tired\"} 7",
        "call_seconds_bucket{plugin=\"tired\",le=\"0.000008192\"} 4",
        "call_seconds_bucket{plugin=\"tired\",le=\"+Inf\"} 10",
        "call_seconds_count{plugin=\"tired\"} 10",
        "message_seconds_count{plugin=\"tired\"} 640",
    ] {
        let line = format!("\namphora_plugin_{line}\n");
        assert!(text.contains(&line), "{line} is not in {text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_component_may_be_larger_than_a_message_but_not_without_bound() -> anyhow::Result<()> {
    let client = Client::new()?;
    let (large, larger) = ("1".repeat(8 << 20), "1".repeat((64 << 20) + 1));
    assert_eq!(client.send("PUT", "/plugins/large", &large).await?, "201");
    let answer = client.send("PUT", "/plugins/larger", &larger).await?;
    let expected = r#"413 {"error":"too_large","reason":"the component is larger than 64MiB"}"#;
    assert_eq!(answer, expected);
    Ok(())
}

#[tokio::test]
async fn the_reason_of_a_closure_is_passed_on() -> anyhow::Result<()> {
    let client = Client::new()?;
    client.broker.connect("guest", 40_001);
    let request = Request::delete("/api/connections/127.0.0.1:40001%20-%3E%20127.0.0.1:5672")
        .header(
            AUTHORIZATION,
            format!("Basic {}", BASE64.encode(&client.login)),
        )
        .header("x-reason", "maintenance");
    let mut request = request.body(Body::empty())?;
    request
        .extensions_mut()
        .insert(Peer((client.address, 40_000).into()));
    client.router.oneshot(request).await?;
    assert_eq!(client.broker.closed(), ["maintenance"]);
    Ok(())
}

#[tokio::test]
async fn health_checks_tell_alarms_and_listeners() -> anyhow::Result<()> {
    Client::new()?.play("health").await?;
    let client = Client::new()?;
    client.broker.set_node(NodeSnapshot {
        disk_alarm: true,
        ..NodeSnapshot::default()
    });
    client.play("alarms").await?;
    Ok(())
}

/// Whoever monitors a broker counts on these columns.
#[tokio::test]
async fn the_columns_of_overview_node_queue_and_plugin_stay() -> anyhow::Result<()> {
    let client = Client::new()?;
    client.send("PUT", "/queues/%2F/q", "").await?;
    client.send("PUT", "/plugins/p", "1.0").await?;
    let mut columns = String::new();
    for path in [
        "/overview",
        "/nodes/amphora@test",
        "/queues/%2F/q",
        "/vhosts/%2F",
        "/plugins/p",
    ] {
        let answer = client.send("GET", path, "").await?;
        let body: serde_json::Value = serde_json::from_str(answer.trim_start_matches("200 "))?;
        let names: Vec<_> = body
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        writeln!(columns, "{path}\n  {}", names.join("\n  "))?;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/management/transcripts/columns.txt");
    expect_file![file].assert_eq(&columns);
    Ok(())
}
/// The document is made of the table that the router is made of: here it is held against the router as a client meets it.
#[tokio::test]
async fn every_route_is_in_the_document_and_the_other_way_round() -> anyhow::Result<()> {
    let client = Client::new()?;
    let answer = client.send("GET", "/openapi.json", "").await?;
    let document: serde_json::Value =
        serde_json::from_str(answer.strip_prefix("200 ").unwrap_or_default())?;
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().cloned().unwrap_or_default();
    assert!(paths.len() > 90, "{} paths", paths.len());
    let stranger = Client {
        login: String::new(),
        ..client
    };
    for (path, operations) in &paths {
        let real = path.replace(['{', '}'], "");
        for method in ["get", "put", "post", "delete"] {
            let request = Request::builder()
                .method(method.to_ascii_uppercase().as_str())
                .uri(format!("/api{real}"))
                .body(Body::empty())?;
            let response = stranger.router.clone().oneshot(request).await?;
            let is_there = response.status() != axum::http::StatusCode::METHOD_NOT_ALLOWED;
            let operation = &operations[method];
            assert_eq!(operation.is_object(), is_there, "{method} {path}");
            if !is_there {
                continue;
            }
            let is_open = operation["security"].is_null();
            let is_refused = response.status() == axum::http::StatusCode::UNAUTHORIZED;
            assert_eq!(is_open, !is_refused, "{method} {path}");
            let text = operation["summary"].as_str().unwrap_or_default();
            assert!(text.ends_with('.'), "{method} {path} says nothing");
        }
    }
    Ok(())
}
