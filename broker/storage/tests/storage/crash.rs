//! The process is killed while it commits.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use amphora_core::store::{Durability, QueueId, Store};
use amphora_storage::{FjallStore, Options};

use crate::{Data, append, group, ids, remove};

const ROUNDS: u64 = 20;
/// How many groups stay before they are removed.
const BACKLOG: u64 = 40;
const DIRECTORY: &str = "AMPHORA_CRASH_DIRECTORY";
const LOAD: &str = "AMPHORA_CRASH_LOAD";

#[derive(Clone, Copy)]
struct Load {
    /// Records per group, each in another queue.
    records: u32,
    record_bytes: usize,
    memtable_bytes: u64,
}

/// Little, so that flushes and dropped tables fall into the rounds.
const FLUSHING: Load = Load {
    records: 3,
    record_bytes: 700,
    memtable_bytes: 64 * 1024,
};
/// So much that what is recent is folded between flushes: because of its bytes after 22 groups, and then, as most records
/// stayed and are not held any more, because of its entries.
const FOLDING: Load = Load {
    records: 16,
    record_bytes: 12_000,
    memtable_bytes: 12 << 20,
};

impl Load {
    fn named(name: &str) -> Self {
        if name == "folding" { FOLDING } else { FLUSHING }
    }

    /// The ids of the records of so many groups.
    fn ids(self, groups: u64) -> u64 {
        groups * u64::from(self.records)
    }

    fn options(self) -> Options {
        Options {
            memtable_bytes: self.memtable_bytes,
            reclaim_bytes: 64 * 1024,
            ..Options::default()
        }
    }
}

/// The process that is killed; does nothing when it runs as an ordinary test. It says the number of each group that was
/// acknowledged.
#[test]
fn committer() {
    let (Ok(directory), Ok(load)) = (env::var(DIRECTORY), env::var(LOAD)) else {
        return;
    };
    let load = Load::named(&load);
    let store =
        FjallStore::open(Path::new(&directory), load.options()).expect("opens after a crash");
    let mut number = store.recover().expect("recovers").next_record / load.ids(1);
    loop {
        let append = |queue: u32| {
            append(
                queue,
                load.ids(number) + u64::from(queue),
                load.record_bytes,
            )
        };
        let remove = |queue: u32| {
            Some(remove(
                queue,
                load.ids(number.checked_sub(BACKLOG)?) + u64::from(queue),
                load.record_bytes,
            ))
        };
        let writes = (0..load.records)
            .map(append)
            .chain((0..load.records).filter_map(remove));
        store
            .commit(&group(writes), Durability::Fsync)
            .expect("commits");
        println!("acknowledged {number}");
        number += 1;
    }
}

fn start(directory: &Path, load: &str) -> Child {
    Command::new(env::current_exe().expect("known"))
        .args(["--exact", "crash::committer", "--nocapture", "--quiet"])
        .env(DIRECTORY, directory)
        .env(LOAD, load)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("starts")
}

/// Kills the process once it has acknowledged `groups` groups. Answers the last number that it acknowledged.
fn run_and_kill(directory: &Path, load: &str, groups: u64) -> u64 {
    let mut child = start(directory, load);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut numbers = lines.by_ref().filter_map(|line| {
        line.expect("readable")
            .strip_prefix("acknowledged ")?
            .parse()
            .ok()
    });
    let counted = numbers
        .by_ref()
        .take(usize::try_from(groups).expect("small"))
        .last();
    child.kill().expect("is running");
    let rest = numbers.last();
    child.wait().expect("ends");
    rest.or(counted).expect("at least one group")
}

#[test]
fn nothing_acknowledged_is_lost_and_no_group_is_halved() {
    kill_again_and_again("flushing");
}

#[test]
fn nor_when_much_is_recent() {
    kill_again_and_again("folding");
}

fn kill_again_and_again(name: &str) {
    let (data, load) = (Data::new(), Load::named(name));
    for round in 0..ROUNDS {
        let last = run_and_kill(&data.path(), name, 1 + round * round * 7 % 90);
        let store = data.open_with(load.options());
        let ids = ids(&store);
        let found = ids.last().expect("records") / load.ids(1);
        // One group may have been committed and not said.
        assert!(
            found == last || found == last + 1,
            "round {round}: acknowledged {last}, found {found}"
        );
        let first = (found + 1).saturating_sub(BACKLOG);
        assert_eq!(
            ids,
            (load.ids(first)..load.ids(found + 1)).collect::<Vec<_>>(),
            "round {round}"
        );
        let recovered = store.recover().expect("recovers");
        assert_eq!(recovered.next_record, load.ids(found + 1), "round {round}");
        let queues: Vec<_> = recovered.queues.iter().map(|queue| queue.queue).collect();
        let expected: Vec<_> = (0..load.records).map(QueueId).collect();
        assert_eq!(queues, expected, "round {round}");
    }
}
