//! What is removed gives its space back.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use amphora_storage::Options;

use crate::{Data, append, commit, ids, remove};

const RECORD_BYTES: usize = 100_000;

fn options() -> Options {
    Options {
        memtable_bytes: 1_000_000,
        reclaim_bytes: 8_000_000,
        ..Options::default()
    }
}

fn used(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else {
        return fs::metadata(path).map_or(0, |metadata| metadata.len());
    };
    entries
        .map(|entry| used(&entry.expect("an entry").path()))
        .sum()
}

fn await_below(tables: &Path, bytes: u64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while used(tables) > bytes {
        assert!(
            Instant::now() < deadline,
            "{} bytes are still used",
            used(tables)
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn tables_below_the_oldest_record_go() {
    let home = Data::new();
    let tables = home.path().join("db/keyspaces");
    let store = home.open_with(options());
    for id in 0..300 {
        commit(&store, [append(1, id, RECORD_BYTES)]);
    }
    for id in 0..250 {
        commit(&store, [remove(1, id, RECORD_BYTES)]);
    }
    // A table that still has one live record stays whole, and how large tables grow is up to compaction.
    await_below(&tables, 15_000_000);
    assert_eq!(ids(&store), (250..300).collect::<Vec<_>>());
    drop(store);
    assert_eq!(
        ids(&home.open_with(options())),
        (250..300).collect::<Vec<_>>()
    );
}

#[test]
fn a_drained_store_shrinks_and_stays_usable() {
    let home = Data::new();
    let tables = home.path().join("db/keyspaces");
    let store = home.open_with(options());
    for id in 0..100 {
        commit(&store, [append(1, id, RECORD_BYTES)]);
    }
    for id in 0..100 {
        commit(&store, [remove(1, id, RECORD_BYTES)]);
    }
    await_below(&tables, 1_000_000);
    assert_eq!(ids(&store), [0; 0]);
    commit(&store, [append(1, 100, RECORD_BYTES)]);
    drop(store);
    assert_eq!(ids(&home.open_with(options())), [100]);
}
