//! How fast the store commits, beside a plain file that takes the same bytes.
//!
//! ```text
//! cargo run --profile quick -p amphora-storage --example commit_rate [DIRECTORY]
//! ```
//!
//! A group is a record of each queue; after some groups it also removes an old record of each and settles the queues. The file
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
    println!(
        "message  queues  per record  durability      file msg/s     store msg/s   ratio   resident"
    );
    let load = |message_bytes, queues, messages, backlog| Load {
        message_bytes,
        queues,
        messages,
        backlog,
    };
    for durability in [Durability::Fsync, Durability::Os] {
        for load in [
            load(16, 1, 128, 100),
            load(16, 1, 1024, 100),
            load(1024, 1, 128, 100),
            load(1024, 1, 1024, 100),
            load(1024, 100, 4, 2),
        ] {
            let home = directory.join("compared");
            load.compare(&home, durability)?;
            fs::remove_dir_all(home)?;
        }
    }
    recovery(&directory.join("recovery"))
}

/// What groups consist of.
#[derive(Clone, Copy)]
struct Load {
    message_bytes: u32,
    queues: u32,
    /// Messages of a record.
    messages: u32,
    /// A record stays for so many groups.
    backlog: u64,
}

impl Load {
    /// Prints the medians of both and of the ratio within each turn.
    fn compare(self, home: &Path, durability: Durability) -> Outcome<()> {
        let store = FjallStore::open(home.join("store"), Options::default())?;
        let mut file = File::create(home.join("file"))?;
        let data = Bytes::from(vec![
            b'x';
            self.message_bytes as usize * self.messages as usize
        ]);
        let all = data.repeat(self.queues as usize);
        let messages = self.messages * self.queues;
        let mut next = 0;
        let mut turns = Vec::new();
        for _ in 0..TURNS {
            let by_file = rate(messages, || {
                file.write_all(&all)?;
                match durability {
                    Durability::Fsync => file.sync_data()?,
                    Durability::Os => {}
                }
                Ok(())
            })?;
            let by_store = rate(messages, || {
                store.commit(&self.group(next, &data), durability)?;
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
            "{:>5} B  {:>6}  {:>10}  {:<10}  {:>12.0}  {:>14.0}  {:>6.2}  {:>5} MiB",
            self.message_bytes,
            self.queues,
            self.messages,
            format!("{durability:?}"),
            median(|turn| turn.1),
            median(|turn| turn.2),
            median(|turn| turn.0),
            resident_mib()
        );
        Ok(())
    }

    fn group(self, number: u64, data: &Bytes) -> CommitGroup {
        let id = |group: u64, queue: u32| group * u64::from(self.queues) + u64::from(queue);
        let mut writes = Vec::new();
        for number_of_queue in 0..self.queues {
            let queue = QueueId(number_of_queue + 1);
            writes.push(Write::Append {
                queue,
                record: record(id(number, number_of_queue), self.messages, data),
                data: data.clone(),
            });
            if let Some(old) = number.checked_sub(self.backlog) {
                writes.push(Write::Remove {
                    queue,
                    record: record(id(old, number_of_queue), self.messages, data),
                });
                writes.push(Write::Settle {
                    queue,
                    part: Part::WHOLE,
                    data: Bytes::from_static(&[0; 16]),
                });
            }
        }
        CommitGroup { writes }
    }
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
