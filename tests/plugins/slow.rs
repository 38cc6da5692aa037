//! A slow plugin with many clients: they wait for one another, and nobody else does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use amphora_protocol::wire::properties::BasicProperties;
use amphora_tests::Client;
use anyhow::{Context, bail, ensure};

use crate::beside::Beside;
use crate::harmful::{answers, broker, component_file, connect, publish};

/// Clients of the slow plugin, and messages of each. A call takes some milliseconds.
const CLIENTS: usize = 250;
const MESSAGES: u64 = 2;
const KEY: &str = "spin.20000";
/// Threads that the broker may have: 32 that work or wait, as many that came before it was noticed, and those that it has anyway.
const THREADS_MAX: usize = 128;
/// The longest that a burst of the other client may take, on a machine that is busy with other tests.
const LONGEST: Duration = Duration::from_millis(700);

/// How often this is tried at most: the machine may be busy with something else for a moment.
const TRIES: u32 = 3;

#[test]
fn a_slow_plugin_has_no_thread_for_each_of_its_clients() -> anyhow::Result<()> {
    let mut longest = Duration::MAX;
    for _ in 0..TRIES {
        longest = play()?;
        if longest <= LONGEST {
            return Ok(());
        }
    }
    bail!("the other client waited {longest:?}")
}

/// Returns the longest that the other client waited.
#[expect(clippy::print_stdout, reason = "shown when somebody measures")]
fn play() -> anyhow::Result<Duration> {
    let path = component_file()?;
    let broker = broker(path.path(), "deadline = \"10s\"")?;
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|_| connect(&broker))
        .collect::<Result<_, _>>()?;
    let mut other = Beside::new(&broker)?;
    let pid = broker.pid()?;
    let done = AtomicBool::new(false);
    let mut threads = Vec::new();
    let begun = Instant::now();
    let beside = std::thread::scope(|scope| {
        let beside = scope.spawn(|| other.go_on(|| !done.load(Ordering::Relaxed)));
        let slow = scope.spawn(|| {
            let slow = be_slow(&mut clients);
            done.store(true, Ordering::Relaxed);
            slow
        });
        while !beside.is_finished() {
            threads.push(thread_count(pid));
            std::thread::sleep(Duration::from_millis(5));
        }
        let (Ok(slow), Ok(beside)) = (slow.join(), beside.join()) else {
            bail!("a client panicked");
        };
        slow.and(beside)
    })?;
    let threads = threads.into_iter().collect::<Result<Vec<_>, _>>()?;
    let most = threads.into_iter().max().unwrap_or_default();
    println!(
        "{CLIENTS} clients were served in {:?} with {most} threads; beside, {} msg/s and at most {:?}",
        begun.elapsed(),
        beside.rate,
        beside.longest
    );
    ensure!(most <= THREADS_MAX, "{most} threads");
    Ok(beside.longest)
}

/// All of them publish, and then each sees all of its messages confirmed.
fn be_slow(clients: &mut [Client]) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    for client in &mut *clients {
        bytes.clear();
        for _ in 0..MESSAGES {
            let properties = BasicProperties::default();
            client.write_publish(1, &publish(KEY)?, &properties, b"slow", &mut bytes);
        }
        client.write(&bytes)?;
    }
    for client in clients {
        ensure!(answers(client, MESSAGES)?.is_empty(), "it passes");
    }
    Ok(())
}

fn thread_count(pid: u32) -> anyhow::Result<usize> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    Ok(line.context("it has threads")?.trim().parse()?)
}
