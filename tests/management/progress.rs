//! What `amphora ctl` shows on a terminal of commands that take long.

use std::process::Command;

use amphora_protocol::wire::method::queue;
use amphora_protocol::wire::types::QueueName;
use amphora_tests::{Broker, binary};
use anyhow::{Context, ensure};
use serde_json::json;

/// So many that a command takes longer than it waits before it shows how far it is.
const QUEUES: usize = 100_000;
const MESSAGES: u64 = 200_000;

/// Runs `amphora ctl` with these words on a terminal of its own, and returns what that shows.
fn on_a_terminal(broker: &Broker, words: &str) -> anyhow::Result<String> {
    let amphora = binary()?.display();
    let url = broker.http()?;
    let command = format!("{amphora} ctl --url http://{url} {words}");
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .output()
        .context("script of util-linux does not run")?;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{words}: {shown}");
    Ok(shown)
}

#[test]
fn long_commands_show_how_far_they_are() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let queue = |number: usize| json!({ "name": format!("q{number}"), "vhost": "/", "durable": true, "auto_delete": false, "arguments": {} });
    let queues: Vec<_> = (0..QUEUES).map(queue).collect();
    let file = broker.data_dir().with_extension("json");
    std::fs::write(&file, json!({ "queues": queues }).to_string())?;
    let shown = on_a_terminal(&broker, &format!("import_definitions {}", file.display()))?;
    ensure!(
        shown.contains("importing █") || shown.contains("importing ░"),
        "{shown:?}"
    );
    ensure!(shown.contains(&format!("of {QUEUES}, ")), "{shown:?}");
    ensure!(shown.contains("definitions imported"), "{shown:?}");

    let mut client = broker.connect()?;
    client.open(1)?;
    for _ in 0..MESSAGES {
        client.publish_to(1, "q1", b"message")?;
    }
    // Answered when the messages are in their queue.
    let declare = queue::Declare {
        queue: QueueName::new("q1")?,
        passive: true,
        ..queue::Declare::default()
    };
    client.call(1, &declare)?;
    let shown = on_a_terminal(&broker, "move_messages q1 destination=q2")?;
    ensure!(shown.contains(&format!("of {MESSAGES}, ")), "{shown:?}");
    ensure!(
        shown.contains(&format!("{MESSAGES} messages moved")),
        "{shown:?}"
    );

    // Not a terminal: nothing but the result.
    let output = Command::new(binary()?)
        .args(["ctl", "--url", &format!("http://{}", broker.http()?)])
        .args(["import_definitions", &file.display().to_string()])
        .output()?;
    ensure!(output.stderr.is_empty(), "{output:?}");
    Ok(())
}
