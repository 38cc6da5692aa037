//! Users, virtual hosts, policies and limits: at a real broker, whose store is in memory.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use amphora_storage::MemoryStore;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use expect_test::expect_file;
use tower::ServiceExt;

use super::{Client, about};
use crate::auth::Users;
use crate::config::{Config, Credential, LoginFrom, Permission, User};
use crate::management::Api;
use crate::management::caller::Peer;
use crate::runtime::Runtime;

/// The hash of `test12` that RabbitMQ's own documentation works through: every user's, so that listings are the same each time.
const TEST12: &str = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";

/// A broker, and where it would keep files.
struct Real {
    runtime: Runtime,
    _folder: tempfile::TempDir,
}

impl Client<Real> {
    /// As `admin`, beside a user for each of RabbitMQ's tags.
    fn administrator() -> anyhow::Result<Self> {
        let user = |name: &str, tags: &[&str]| User {
            name: name.to_owned(),
            credential: Some(Credential::Hash(TEST12.to_owned())),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            loopback_only: false,
            permissions: vec![Permission {
                vhost: "/".to_owned(),
                configure: ".*".to_owned(),
                write: ".*".to_owned(),
                read: ".*".to_owned(),
            }],
        };
        let outsider = User {
            permissions: vec![],
            ..user("outsider", &["policymaker"])
        };
        let folder = tempfile::tempdir()?;
        let config = Config {
            data_dir: folder.path().to_owned(),
            users: vec![
                user("admin", &["administrator"]),
                user("manager", &["management"]),
                user("monitor", &["monitoring"]),
                user("plain", &[]),
                user("policymaker", &["policymaker"]),
                outsider,
            ],
            ..Config::default()
        };
        let users = Arc::new(Users::none(LoginFrom::default()));
        let store = Arc::new(MemoryStore::new());
        let runtime = Runtime::start(
            &config,
            "amphora@test".to_owned(),
            store,
            Arc::clone(&users),
        )?;
        let router = Api::new(runtime.backend(), users, about()).router();
        Ok(Self {
            broker: Real {
                runtime,
                _folder: folder,
            },
            router,
            login: "admin:test12".to_owned(),
            address: [127, 0, 0, 1],
        })
    }

    async fn play_and_stop(self, name: &str) -> anyhow::Result<()> {
        let runtime = self.play(name).await?.broker.runtime;
        runtime.shutdown().await;
        Ok(())
    }
}

#[tokio::test]
async fn users_come_and_go() -> anyhow::Result<()> {
    Client::administrator()?.play_and_stop("users").await
}

#[tokio::test]
async fn permissions_are_set_and_cleared() -> anyhow::Result<()> {
    Client::administrator()?.play_and_stop("permissions").await
}

#[tokio::test]
async fn virtual_hosts_come_and_go_with_all_that_is_in_them() -> anyhow::Result<()> {
    Client::administrator()?.play_and_stop("vhosts").await
}

#[tokio::test]
async fn policies_apply_while_they_are_there() -> anyhow::Result<()> {
    Client::administrator()?.play_and_stop("policies").await
}

#[tokio::test]
async fn limits_are_kept() -> anyhow::Result<()> {
    Client::administrator()?.play_and_stop("limits").await
}

#[tokio::test]
async fn parameters_have_components() -> anyhow::Result<()> {
    Client::administrator()?.play_and_stop("parameters").await
}

#[tokio::test]
async fn definitions_are_taken_in_and_given_out() -> anyhow::Result<()> {
    Client::administrator()?.play_and_stop("definitions").await
}

#[tokio::test]
async fn every_tag_opens_what_it_opens_in_rabbitmq() -> anyhow::Result<()> {
    Client::administrator()?.play_and_stop("tags").await
}

impl Client<Real> {
    async fn scrape(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let login = BASE64.encode(&self.login);
        let request = Request::get(path).header(AUTHORIZATION, format!("Basic {login}"));
        let mut request = request.body(Body::empty())?;
        request
            .extensions_mut()
            .insert(Peer((self.address, 40_000).into()));
        let response = self.router.clone().oneshot(request).await?;
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await?;
        Ok((status, String::from_utf8(body.to_vec())?))
    }
}

#[tokio::test]
async fn metrics_have_rabbitmq_s_names() -> anyhow::Result<()> {
    let client = Client::administrator()?;
    client.send("PUT", "/queues/%2F/q", "").await?;
    client.send("PUT", "/vhosts/shop", "").await?;
    client.send("PUT", "/queues/shop/orders", "").await?;
    let publish =
        r#"{"routing_key":"q","payload":"four","payload_encoding":"string","properties":{}}"#;
    let path = "/exchanges/%2F/amq.default/publish";
    client.send("POST", path, publish).await?;
    let mut shown = String::new();
    for path in [
        "/metrics",
        "/metrics/per-object",
        "/metrics/detailed?family=queue_coarse_metrics&family=queue_consumer_count",
        "/metrics/detailed?family=queue_coarse_metrics&vhost=shop",
        "/metrics/detailed?family=queue_coarse_metrics&queue=%5Eq",
        "/metrics/detailed?family=vhost_status&family=exchange_bindings&vhost=shop",
        "/metrics/detailed?family=queue_metrics&family=auth_attempt_metrics&vhost=shop",
        "/metrics/memory-breakdown",
        "/metrics/detailed?family=nothing",
    ] {
        let (status, text) = client.scrape(path).await?;
        // What the machine says of itself is another thing each time.
        let told = text.lines().filter(|line| !line.starts_with('#'));
        let told = told.map(|line| match line.split_once(' ') {
            Some((name, _)) if name.ends_with("_seconds") || name.contains("resident_memory") => {
                format!("  {name} …\n")
            }
            Some((name, _)) if name.contains("store_commit") || name.contains("allocator") => {
                format!("  {name} …\n")
            }
            Some((name, _))
                if [
                    "disk_space",
                    "process_memory",
                    "fds",
                    "max_tcp",
                    "rabbitmq_memory_",
                ]
                .iter()
                .any(|part| name.contains(part)) =>
            {
                format!("  {name} …\n")
            }
            _ => format!("  {line}\n"),
        });
        write!(
            shown,
            "GET {path}\n  {status}\n{}",
            told.collect::<String>()
        )?;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/management/transcripts/metrics.txt");
    expect_file![file].assert_eq(&shown);
    client.broker.runtime.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn metrics_are_for_this_machine_and_for_whoever_monitors() -> anyhow::Result<()> {
    let mut client = Client::administrator()?;
    client.login = "nobody:wrong".to_owned();
    assert_eq!(client.scrape("/metrics").await?.0, 200);
    client.address = [192, 0, 2, 1];
    let mut statuses = Vec::new();
    for login in ["nobody:wrong", "manager:test12", "monitor:test12"] {
        client.login = login.to_owned();
        statuses.push(client.scrape("/metrics").await?.0);
    }
    assert_eq!(statuses, [401, 401, 200]);
    client.login = "monitor:test12".to_owned();
    let (status, text) = client.scrape("/metrics/detailed?queue=(").await?;
    assert_eq!(status, 400, "{text}");
    client.broker.runtime.shutdown().await;
    Ok(())
}

/// What the panels of RabbitMQ's public dashboard (RabbitMQ-Overview) ask for, `rabbitmq_` left out.
const DASHBOARD: &str = "channels channels_closed_total channels_opened_total connections connections_closed_total connections_opened_total \
    disk_space_available_bytes disk_space_available_limit_bytes erlang_uptime_seconds global_consumers global_messages_acknowledged_total \
    global_messages_confirmed_total global_messages_delivered_consume_auto_ack_total global_messages_delivered_consume_manual_ack_total \
    global_messages_delivered_get_auto_ack_total global_messages_delivered_get_manual_ack_total global_messages_delivered_total \
    global_messages_get_empty_total global_messages_received_confirm_total global_messages_received_total global_messages_redelivered_total \
    global_messages_routed_total global_messages_unroutable_dropped_total global_messages_unroutable_returned_total global_publishers \
    message_size_bytes_bucket message_size_bytes_count message_size_bytes_sum process_max_fds process_open_fds process_resident_memory_bytes \
    queue_messages_ready queue_messages_unacked queues queues_created_total queues_declared_total queues_deleted_total \
    resident_memory_limit_bytes build_info identity_info";

#[tokio::test]
async fn the_panels_of_rabbitmq_s_dashboard_find_their_figures() -> anyhow::Result<()> {
    let client = Client::administrator()?;
    client.send("PUT", "/queues/%2F/q", "").await?;
    let name = r#"{"name": "shop"}"#;
    client.send("PUT", "/cluster-name", name).await?;
    for payload in ["x".repeat(100), "x".repeat(1001)] {
        let message = format!(
            r#"{{"routing_key":"q","payload":"{payload}","payload_encoding":"string","properties":{{}}}}"#
        );
        let path = "/exchanges/%2F/amq.default/publish";
        client.send("POST", path, &message).await?;
    }
    let (_, text) = client.scrape("/metrics").await?;
    let has = |line: &str| text.lines().any(|known| known.starts_with(line));
    for name in DASHBOARD.split_whitespace() {
        let there = [' ', '{'].map(|end| has(&format!("rabbitmq_{name}{end}")));
        assert!(there.contains(&true), "{name}");
    }
    // Panels are of one cluster, and of one of the paths that may be scraped.
    let labels = r#"{rabbitmq_node="amphora@test",rabbitmq_cluster="shop",rabbitmq_cluster_permanent_id="amphora@test",rabbitmq_endpoint="#;
    for (path, endpoint) in [
        ("/metrics", "aggregated"),
        ("/metrics/per-object", "per-object"),
        ("/metrics/detailed", "detailed"),
        ("/metrics/memory-breakdown", "memory-breakdown"),
    ] {
        let (_, text) = client.scrape(path).await?;
        let identity = format!("rabbitmq_identity_info{labels}\"{endpoint}\"}} 1");
        assert!(text.lines().any(|line| line == identity), "{path}: {text}");
    }
    for (bound, count) in [("100", 1), ("1000", 1), ("10000", 2), ("+Inf", 2)] {
        let bucket = format!(
            "rabbitmq_message_size_bytes_bucket{{protocol=\"amqp091\",le=\"{bound}\"}} {count}"
        );
        assert!(text.lines().any(|line| line == bucket), "{bucket}");
    }
    assert!(has(
        "rabbitmq_message_size_bytes_sum{protocol=\"amqp091\"} 1101"
    ));
    client.broker.runtime.shutdown().await;
    Ok(())
}
