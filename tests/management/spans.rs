//! Spans that a collector gets: of a connection, a request, commits; and what a collector that is not there costs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use amphora_tests::{Broker, PATIENCE, Settings};
use anyhow::{Context, ensure};
use serde_json::json;

use crate::api::Api;

/// Takes what is exported, and hands on the bodies.
fn collector() -> anyhow::Result<(String, Receiver<Vec<u8>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}/v1/traces", listener.local_addr()?);
    let (bodies, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            while let Ok(Some(body)) = take(&stream) {
                if bodies.send(body).is_err() {
                    return;
                }
            }
        }
    });
    Ok((endpoint, received))
}

/// The body of the next request, which is answered.
fn take(stream: &TcpStream) -> anyhow::Result<Option<Vec<u8>>> {
    let mut reader = BufReader::new(stream);
    let mut length = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(bytes) = line.strip_prefix("content-length:") {
            length = Some(bytes.trim().parse()?);
        }
    }
    let mut body = vec![0; length.context("no length")?];
    reader.read_exact(&mut body)?;
    (&mut &*stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    Ok(Some(body))
}

/// Whether all of these texts are somewhere in what was exported. Protobuf has texts as they are.
fn holds_all(exported: &[u8], texts: &[&str]) -> bool {
    let is_in = |text: &&str| {
        exported
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    texts.iter().all(is_in)
}

#[test]
fn connections_requests_and_commits_are_exported() -> anyhow::Result<()> {
    let (endpoint, received) = collector()?;
    let config = format!(
        "[tracing]\nendpoint = \"{endpoint}\"\nservice_name = \"under test\"\ncommits_every = 1\n"
    );
    let broker = Broker::with(Settings {
        config,
        ..Settings::default()
    })?;
    let api = Api::of(&broker)?;
    api.run("PUT", "/queues/%2F/q", &json!({ "durable": true }))?;
    drop(broker.connect()?);
    let wanted = [
        "under test",
        "connection",
        "guest",
        "/api/queues/{vhost}/{name}",
        "http.response.status_code",
        "commit",
        "synced",
    ];
    let begun = Instant::now();
    let mut exported = Vec::new();
    while !holds_all(&exported, &wanted) {
        let left = PATIENCE.saturating_sub(begun.elapsed());
        let body = received.recv_timeout(left);
        let so_far = || String::from_utf8_lossy(&exported).into_owned();
        exported.extend(body.with_context(so_far)?);
    }
    // What is exported is not logged, too.
    ensure!(broker.count_logged("amphora::spans")? == 0);
    Ok(())
}

#[test]
fn a_collector_that_is_not_there_is_told_in_the_log_and_hurts_nothing() -> anyhow::Result<()> {
    // Nobody listens on a port that was just given back.
    let gone = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut broker = Broker::with(Settings {
        config: format!("[tracing]\nendpoint = \"http://{gone}/v1/traces\"\n"),
        ..Settings::default()
    })?;
    let api = Api::of(&broker)?;
    api.run("PUT", "/queues/%2F/q", &json!({ "durable": true }))?;
    broker.logged("spans cannot be exported")?;
    api.get("/queues/%2F/q")?;
    broker.terminate()?;
    let (status, _) = broker.end()?;
    ensure!(status.success(), "{status}");
    Ok(())
}
