//! How fast the store commits, beside a plain file that takes the same bytes.
//!
//! ```text
//! cargo run --profile quick -p amphora-storage --example commit_rate [DIRECTORY]
//! ```
//!
//! A group is one record of one queue; from the hundredth on it also removes an old record and settles the queue. The file
//! gets one write and one sync per group. Both take turns, for the disk's pace changes from second to second.

#![expect(clippy::print_stdout, reason = "the result is its output")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use amphora_core::store::{
    CommitGroup, Durability, Part, QueueId, RecordId, RecordRef, Store, Write,
};
use amphora_storage::{FjallStore, Options};
use bytes::Bytes;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const TURN: Duration = Duration::from_millis(400);
const TURNS: usize = 7;
const BACKLOG: u64 = 100;
const INDEX_ENTRIES: u32 = 80_000;

fn main() -> Outcome<()> {
    let parent = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = parent.join(format!("amphora-commit-rate-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let result = measure(&directory);
    fs::remove_dir_all(&directory)?;
    result
}

fn measure(directory: &Path) -> Outcome<()> {
    println!("message  per record  durability      file msg/s     store msg/s   ratio   resident");
    for durability in [Durability::Fsync, Durability::Os] {
        for (message_bytes, messages) in [(16, 128), (16, 1024), (1024, 128), (1024, 1024)] {
            let home = directory.join(format!("{message_bytes}-{messages}-{durability:?}"));
            compare(&home, message_bytes, messages, durability)?;
            fs::remove_dir_all(home)?;
        }
    }
    recovery(&directory.join("recovery"))
}

/// Prints the medians of both and of the ratio within each turn.
fn compare(home: &Path, message_bytes: u32, messages: u32, durability: Durability) -> Outcome<()> {
    let store = FjallStore::open(home.join("store"), Options::default())?;
    let mut file = File::create(home.join("file"))?;
    let data = Bytes::from(vec![b'x'; message_bytes as usize * messages as usize]);
    let mut next = 0;
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let by_file = rate(messages, || {
            file.write_all(&data)?;
            match durability {
                Durability::Fsync => file.sync_data()?,
                Durability::Os => {}
            }
            Ok(())
        })?;
        let by_store = rate(messages, || {
            store.commit(&group(next, messages, &data), durability)?;
            next += 1;
            Ok(())
        })?;
        turns.push((by_store / by_file, by_file, by_store));
    }
    let median = |of: fn(&(f64, f64, f64)) -> f64| {
        let mut values: Vec<f64> = turns.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[TURNS / 2]
    };
    println!(
        "{message_bytes:>5} B  {messages:>10}  {:<10}  {:>12.0}  {:>14.0}  {:>6.2}  {:>5} MiB",
        format!("{durability:?}"),
        median(|turn| turn.1),
        median(|turn| turn.2),
        median(|turn| turn.0),
        resident_mib()
    );
    Ok(())
}

fn group(id: u64, messages: u32, data: &Bytes) -> CommitGroup {
    let queue = QueueId(1);
    let mut writes = vec![Write::Append {
        queue,
        record: record(id, messages, data),
        data: data.clone(),
    }];
    if let Some(old) = id.checked_sub(BACKLOG) {
        writes.push(Write::Remove {
            queue,
            record: record(old, messages, data),
        });
        writes.push(Write::Settle {
            queue,
            part: Part::WHOLE,
            data: Bytes::from_static(&[0; 16]),
        });
    }
    CommitGroup { writes }
}

fn record(id: u64, messages: u32, data: &Bytes) -> RecordRef {
    let first = id * u64::from(messages);
    let bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
    RecordRef {
        id: RecordId(id),
        first,
        last: first + u64::from(messages) - 1,
        count: messages,
        bytes,
        transient: false,
        bodies: None,
    }
}

/// Messages per second over one turn.
fn rate(messages: u32, mut commit: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    let start = Instant::now();
    let mut groups = 0_u32;
    while start.elapsed() < TURN {
        commit()?;
        groups += 1;
    }
    Ok(f64::from(groups) * f64::from(messages) / start.elapsed().as_secs_f64())
}

/// Prints how long a store with many records takes to open and to recover.
fn recovery(home: &Path) -> Outcome<()> {
    let store = FjallStore::open(home, Options::default())?;
    let data = Bytes::from(vec![b'x'; 1024]);
    for first in (0..INDEX_ENTRIES).step_by(1000) {
        let append = |id: u32| Write::Append {
            queue: QueueId(id % 16),
            record: record(u64::from(id), 128, &data),
            data: data.clone(),
        };
        let writes = (first..first + 1000).map(append).collect();
        store.commit(&CommitGroup { writes }, Durability::Os)?;
    }
    drop(store);
    let start = Instant::now();
    let store = FjallStore::open(home, Options::default())?;
    let opened = start.elapsed();
    let start = Instant::now();
    let recovered = store.recover()?;
    let records: usize = recovered
        .queues
        .iter()
        .map(|queue| queue.records.len())
        .sum();
    println!(
        "{records} records: opened in {opened:.0?}, recovered in {:.0?}",
        start.elapsed()
    );
    Ok(())
}

/// What the process occupies; 0 where the system does not say.
fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}
