//! Commands against the management API over a socket, with a fake broker behind it.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use amphora_storage::MemoryStore;
use clap::Parser;
use expect_test::expect_file;

use super::*;
use crate::auth::Users;
use crate::config::{ByteSize, Config, Durability, LoginFrom, Management, Plugin, User};
use crate::management::fake::FakeBroker;
use crate::management::{About, Api, Listener, Server};
use crate::runtime::Runtime;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    ctl: Args,
}

/// Serves the API while `test` runs.
fn with_broker(test: impl FnOnce(&str, &FakeBroker) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let broker = FakeBroker::new();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let url = format!("http://{}", listener.local_addr()?);
    let about = About {
        node: "amphora@test".to_owned(),
        listeners: vec![Listener {
            protocol: "http",
            address: ([127, 0, 0, 1], 15672).into(),
        }],
        config: Arc::default(),
        config_file: None,
        durability: Durability::Fsync,
        message_size_max: ByteSize::mib(16),
        management: Management::default(),
        tls: None,
    };
    let users = Users::seeded(&[User::guest()], LoginFrom::default())?;
    let server = Server::start(
        vec![listener],
        Api::new(broker.clone(), Arc::new(users), about),
    )?;
    let outcome = test(&url, &broker);
    server.stop();
    outcome
}

/// Serves the API of a real broker, whose store is in memory, while `test` runs.
fn with_real_broker(test: impl FnOnce(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let config = Config {
        data_dir: folder.path().to_owned(),
        ..Config::default()
    };
    let tasks = tokio::runtime::Runtime::new()?;
    let users = Arc::new(Users::none(LoginFrom::default()));
    let runtime = {
        let _guard = tasks.enter();
        Runtime::start(
            &config,
            "amphora@test".to_owned(),
            Arc::new(MemoryStore::new()),
            Arc::clone(&users),
        )?
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let url = format!("http://{}", listener.local_addr()?);
    let about = About {
        node: "amphora@test".to_owned(),
        listeners: Vec::new(),
        config: Arc::default(),
        config_file: None,
        durability: Durability::Fsync,
        message_size_max: ByteSize::mib(16),
        management: Management::default(),
        tls: None,
    };
    let api = Api::new(runtime.backend(), users, about);
    let server = Server::start(vec![listener], api)?;
    let outcome = test(&url);
    server.stop();
    tasks.block_on(runtime.shutdown());
    outcome
}

/// Runs a line as a shell would, and returns what it shows, or why it failed.
fn run(url: &str, line: &str) -> anyhow::Result<String> {
    let mut words = vec!["ctl".to_owned(), "--url".to_owned(), url.to_owned()];
    words.extend(split(line));
    let args = match CommandLine::try_parse_from(words) {
        Ok(command_line) => command_line.ctl,
        Err(error) => {
            return Ok(format!(
                "usage: {}\n",
                error.to_string().lines().next().unwrap_or_default()
            ));
        }
    };
    let mut out = Vec::new();
    match run_to(&args, &mut out) {
        Ok(()) => Ok(String::from_utf8(out)?),
        Err(exit) => Ok(format!("{exit:?}\n").replace(url, "URL")),
    }
}

/// A folder of components, which the commands of a transcript call `FOLDER`.
fn components() -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for component in ["1.0", "1.1", "broken"] {
        let file = folder.path().join(format!("{component}.wasm"));
        std::fs::write(file, component)?;
    }
    Ok(folder)
}

/// Words are between spaces, or between single quotes.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match (c, words.last_mut()) {
            ('\'', _) => quoted = !quoted,
            (' ', _) if !quoted => words.push(String::new()),
            (c, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    words
}

/// Runs the commands of a transcript, which begin with `$`, and compares what stands below them.
fn play(url: &str, name: &str) -> anyhow::Result<()> {
    play_in(url, Path::new("."), name)
}

/// As [`play`], with a folder that the commands call `FOLDER`.
fn play_in(url: &str, folder: &Path, name: &str) -> anyhow::Result<()> {
    let folder = folder.to_string_lossy();
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/ctl/transcripts/{name}.txt"));
    let mut played = String::new();
    for line in std::fs::read_to_string(&file)?.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            let mut shown = run(url, &command.replace("FOLDER", &folder))?;
            if command.contains("FOLDER") {
                shown = shown.replace(&*folder, "FOLDER");
            }
            write!(played, "{line}\n{shown}")?;
        }
    }
    expect_file![file].assert_eq(&played);
    Ok(())
}

#[test]
fn the_seed_scenario() -> anyhow::Result<()> {
    with_broker(|url, _| play(url, "seed"))
}

#[test]
fn definitions() -> anyhow::Result<()> {
    with_broker(|url, _| play(url, "definitions"))
}

#[test]
fn delayed_messages_and_traces() -> anyhow::Result<()> {
    with_broker(|url, _| play(url, "delayed"))
}

#[test]
fn messages() -> anyhow::Result<()> {
    with_broker(|url, _| play(url, "messages"))
}

#[test]
fn routes() -> anyhow::Result<()> {
    with_real_broker(|url| play(url, "route"))
}

#[test]
fn node() -> anyhow::Result<()> {
    with_real_broker(|url| play(url, "node"))
}

#[test]
fn moving() -> anyhow::Result<()> {
    with_real_broker(|url| play(url, "moving"))
}

#[test]
fn top_shows_each_queue() -> anyhow::Result<()> {
    with_real_broker(|url| {
        run(url, "declare_queue q")?;
        run(url, "publish routing_key=q payload=text")?;
        let shown = run(url, "top --count 1 --interval 0.05")?;
        let row = shown.lines().find(|line| line.starts_with("q "));
        let words: Vec<&str> = row.unwrap_or_default().split_whitespace().collect();
        assert_eq!(words, ["q", "1", "0", "0", "0", "0", "0"], "{shown}");
        let json = run(url, "top --count 1 --interval 0.05 --format json")?;
        let json: serde_json::Value = serde_json::from_str(&json)?;
        assert_eq!(json[0]["messages_ready"], 1, "{json}");
        assert_eq!(json[0]["publish_rate"], 0.0, "{json}");
        assert!(run(url, "top --interval 0")?.starts_with("Usage("));
        Ok(())
    })
}

#[test]
fn many_definitions_are_taken_in_in_parts() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let queues: Vec<_> = (0..1200)
        .map(|number| serde_json::json!({ "name": format!("q{number}"), "vhost": "/", "durable": true }))
        .collect();
    let bindings: Vec<_> = (0..700)
        .map(|number| {
            serde_json::json!({
                "source": "amq.topic", "vhost": "/", "destination": format!("q{number}"), "destination_type": "queue",
                "routing_key": "k", "arguments": {},
            })
        })
        .collect();
    let file = folder.path().join("many.json");
    let definitions = serde_json::json!({ "queues": queues, "bindings": bindings });
    std::fs::write(&file, definitions.to_string())?;
    with_real_broker(|url| {
        let done = run(url, &format!("import_definitions {}", file.display()))?;
        assert_eq!(done, "definitions imported\n");
        let queues = run(url, "list_queues name --format json")?;
        let queues: serde_json::Value = serde_json::from_str(&queues)?;
        assert_eq!(queues.as_array().map(Vec::len), Some(1200));
        let bindings = run(url, "list_bindings source --format json")?;
        assert_eq!(bindings.matches("amq.topic").count(), 700);
        Ok(())
    })
}

#[test]
fn connections() -> anyhow::Result<()> {
    with_broker(|url, broker| {
        broker.connect("guest", 40_001);
        play(url, "connections")?;
        assert_eq!(broker.closed(), ["maintenance"]);
        Ok(())
    })
}

#[test]
fn plugins() -> anyhow::Result<()> {
    let folder = components()?;
    with_broker(|url, broker| {
        let mut configured = Plugin::uploaded("redact", [("grants", "log,kv")])?;
        configured.path = Some("plugins/redact.wasm".into());
        broker.configure(configured.clone(), "1.0");
        configured.name = "tired".to_owned();
        broker.configure(configured, "1.0");
        broker.wear_out("tired");
        play_in(url, folder.path(), "plugins")
    })
}

#[test]
fn users() -> anyhow::Result<()> {
    with_real_broker(|url| play(url, "users"))
}

#[test]
fn vhosts() -> anyhow::Result<()> {
    with_real_broker(|url| play(url, "vhosts"))
}

#[test]
fn files() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    with_real_broker(|url| play_in(url, folder.path(), "files"))
}

#[test]
fn refusals() -> anyhow::Result<()> {
    with_broker(|url, _| play(url, "refusals"))
}

#[test]
fn status_is_for_people_or_programs() -> anyhow::Result<()> {
    with_broker(|url, _| {
        let shown = run(url, "status")?;
        for line in [
            "Node         amphora@test",
            "Durability   fsync",
            "Alarms       none",
            "Queues       0",
        ] {
            assert!(
                shown.lines().any(|shown| shown == line),
                "{line} in {shown}"
            );
        }
        let json: serde_json::Value = serde_json::from_str(&run(url, "status --format json")?)?;
        assert_eq!(json["node"]["name"], "amphora@test");
        Ok(())
    })
}

#[test]
fn only_http_addresses_are_understood() -> anyhow::Result<()> {
    let shown = run("ftp://broker", "list_queues")?;
    assert_eq!(
        shown,
        "Usage(\"--url URL: give an address such as http://127.0.0.1:15672\")\n"
    );
    Ok(())
}

#[test]
fn a_broker_that_is_not_there_is_named() -> anyhow::Result<()> {
    // Bound, so that nobody else is there, but not listening.
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let url = format!("http://{}", socket.local_addr()?);
    let shown = run(&url, "list_queues")?;
    assert!(
        shown.starts_with("Unavailable(\"the broker at URL cannot be reached: "),
        "{shown}"
    );
    Ok(())
}
