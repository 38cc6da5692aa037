//! A disk that takes no more: nothing acknowledged is lost, nothing refused is seen, and the store goes on when it can.

use std::env;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use amphora_core::store::{CommitGroup, Durability, QueueId, RecordRef, Store, StoreError, Write};
use amphora_storage::{FjallStore, Options};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{Data, append, commit, data, delete, forget, group, ids, put, record, remove, settle};

const DIRECTORY: &str = "AMPHORA_FULL_DIRECTORY";
const LOAD: &str = "AMPHORA_FULL_LOAD";
const RECORD_BYTES: usize = 1_000_000;
/// Below the length at which the database begins another journal.
const FILE_BYTES_MAX: u64 = 50 * 1024 * 1024;

#[test]
fn a_commit_that_would_use_the_reserve_is_refused() {
    let home = Data::new();
    drop(home.open());
    let store = home.open_with(Options {
        disk_reserve_bytes: u64::MAX / 2,
        ..Options::default()
    });
    let error = store
        .commit(&group([append(1, 1, 10)]), Durability::Fsync)
        .expect_err("is refused");
    assert!(matches!(error, StoreError::Unavailable(_)));
    assert!(error.to_string().contains("is full"), "{error}");
    assert_eq!(ids(&store), [0; 0]);
    drop(store);
    commit(&home.open(), [append(1, 1, 10)]);
}

#[test]
fn the_reserve_can_be_changed() {
    let home = Data::new();
    let store = home.open();
    commit(&store, [append(1, 1, 10)]);
    // What is known of the disk from the commit before is not enough for that.
    store.keep_free(u64::MAX / 2);
    store
        .commit(&group([append(1, 2, 10)]), Durability::Fsync)
        .expect_err("is refused");
    store.keep_free(0);
    commit(&store, [append(1, 2, 10)]);
    assert_eq!(ids(&store), [1, 2]);
}

#[test]
fn a_full_disk_can_be_consumed_from() {
    let home = Data::new();
    let bytes = data(2, 10);
    let transient = RecordRef {
        transient: true,
        ..record(2, &bytes)
    };
    let store = home.open();
    commit(
        &store,
        [
            append(1, 1, 10),
            Write::Append {
                queue: QueueId(1),
                record: transient,
                data: bytes,
            },
        ],
    );
    let free = store.free_bytes().expect("known");
    drop(store);
    let store = home.open_with(Options {
        disk_reserve_bytes: free * 2,
        ..Options::default()
    });
    assert_eq!(ids(&store), [1]);
    for writes in [
        vec![append(1, 3, 10)],
        vec![remove(1, 1, 10), put("k", "v")],
    ] {
        store
            .commit(&group(writes), Durability::Fsync)
            .expect_err("adds something");
    }
    commit(
        &store,
        [
            remove(1, 1, 10),
            settle(1, 0, "x"),
            forget(2, 0),
            delete("k"),
        ],
    );
    assert_eq!(ids(&store), [0; 0]);
    drop(store);

    let nothing_left = Options {
        disk_reserve_bytes: u64::MAX,
        ..Options::default()
    };
    assert_eq!(ids(&home.open_with(nothing_left)), [0; 0]);
}

/// What the process below commits: so many records of so many bytes at a time.
struct Load {
    records: u64,
    bytes: usize,
    /// The records of the group before stay.
    keeps: bool,
}

const LARGE: Load = Load {
    records: 1,
    bytes: RECORD_BYTES,
    keeps: true,
};
/// So small that they stand with what the group changes, and gone before they are anywhere else.
const SMALL: Load = Load {
    records: 50,
    bytes: 10_000,
    keeps: false,
};

impl Load {
    fn named(name: &str) -> &'static Self {
        if name == "small" { &SMALL } else { &LARGE }
    }

    fn ids(&self, number: u64) -> Range<u64> {
        number * self.records..(number + 1) * self.records
    }

    fn group(&self, number: u64) -> CommitGroup {
        let appends = self.ids(number).map(|id| append(1, id, self.bytes));
        let before = number.checked_sub(1).filter(|_| !self.keeps);
        let removed = before.map_or(0..0, |before| self.ids(before));
        group(appends.chain(removed.map(|id| remove(1, id, self.bytes))))
    }

    /// What is there after so many groups.
    fn left(&self, groups: u64) -> Vec<u64> {
        if self.keeps {
            (0..groups * self.records).collect()
        } else {
            self.ids(groups - 1).collect()
        }
    }
}

/// Runs as a process of its own, whose files may not grow beyond a limit: the system cuts the write that crosses it, as on
/// a full disk. Does nothing when it runs as an ordinary test.
#[test]
fn limited_process() {
    let (Ok(directory), Ok(load)) = (env::var(DIRECTORY), env::var(LOAD)) else {
        return;
    };
    let load = Load::named(&load);
    let all = getrlimit(Resource::Fsize);
    let limit = |bytes| {
        let changed = Rlimit {
            current: bytes,
            ..all
        };
        setrlimit(Resource::Fsize, changed).expect("may be changed below the hard limit");
    };
    // All stays in the journal.
    let options = Options {
        memtable_bytes: 1 << 30,
        ..Options::default()
    };
    let store = FjallStore::open(Path::new(&directory), options).expect("opens");
    limit(Some(FILE_BYTES_MAX));
    let commit_next = |number| store.commit(&load.group(number), Durability::Fsync);
    let refused = (0..200)
        .find(|number| commit_next(*number).is_err())
        .expect("the journal reaches the limit");
    let acknowledged = load.left(refused);
    let first = load.ids(refused).start;
    let absent = record(first, &data(first, load.bytes));

    assert!(
        store.read(QueueId(1), &absent).is_err(),
        "what was refused is not seen"
    );
    assert_eq!(
        ids(&store),
        acknowledged,
        "reopened, all that was acknowledged is there and no more"
    );
    for _ in 0..3 {
        let error = commit_next(refused).expect_err("still no space");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(store.read(QueueId(1), &absent).is_err());
    }

    limit(all.current);
    let mut group = load.group(refused);
    group.writes.extend([settle(1, 0, "x"), put("k", "v")]);
    commit(&store, group.writes);
    assert_eq!(ids(&store), load.left(refused + 1));
    commit(
        &store,
        load.ids(refused)
            .skip(1)
            .map(|id| remove(1, id, load.bytes)),
    );
    commit(&store, [remove(1, first, load.bytes)]);
    let expected = if load.keeps { acknowledged } else { vec![] };
    assert_eq!(ids(&store), expected, "it was applied once");
    println!("survived {refused}");
}

fn survive(name: &str) {
    let home = Data::new();
    // Crossing the limit raises a signal that would end the process; the shell has it ignored.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(env::current_exe().expect("known"))
        .args(["--exact", "disk_full::limited_process", "--nocapture"])
        .env(DIRECTORY, home.path())
        .env(LOAD, name)
        .output()
        .expect("starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, refused) = text
        .split_once("survived ")
        .unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    let refused: u64 = refused
        .lines()
        .next()
        .and_then(|line| line.parse().ok())
        .expect("a number");
    assert!(refused > 40, "the journal reached its limit");
    let load = Load::named(name);
    let left = if load.keeps {
        load.left(refused)
    } else {
        vec![]
    };
    assert_eq!(ids(&home.open()), left);
}

#[test]
fn a_write_that_is_cut_short_is_as_if_it_never_was() {
    survive("large");
}

#[test]
fn so_is_one_of_small_records_that_are_gone_soon() {
    survive("small");
}
