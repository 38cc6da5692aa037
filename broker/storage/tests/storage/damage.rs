//! Tables that are damaged: said by name, never a panic, and never passed off as good.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use amphora_core::store::{QueueId, Store, StoreError};
use amphora_storage::{FjallStore, Options};

use crate::{Data, append, commit, data, record};

const RECORDS: u64 = 40;
const RECORD_BYTES: usize = 5000;

/// A store whose records are all in tables, and those of `seg`.
fn flushed() -> (Data, Vec<PathBuf>) {
    let home = Data::new();
    let store = home.open_with(Options {
        memtable_bytes: 0,
        ..Options::default()
    });
    for id in 0..RECORDS {
        commit(&store, [append(1, id, RECORD_BYTES)]);
    }
    let bytes = RECORDS * RECORD_BYTES as u64;
    let tables = await_tables(&home, bytes);
    drop(store);
    (home, tables)
}

/// The tables of the keyspace that holds most, once they hold so many bytes.
fn await_tables(home: &Data, bytes: u64) -> Vec<PathBuf> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        for keyspace in fs::read_dir(home.path().join("db/keyspaces")).expect("exists") {
            let tables =
                fs::read_dir(keyspace.expect("an entry").path().join("tables")).expect("exists");
            let tables: Vec<_> = tables
                .map(|table| table.expect("an entry").path())
                .collect();
            let size = |table: &PathBuf| fs::metadata(table).map_or(0, |metadata| metadata.len());
            if tables.iter().map(size).sum::<u64>() >= bytes {
                return tables;
            }
        }
        assert!(Instant::now() < deadline, "nothing was flushed");
        // The database has no event for a flush.
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_damaged_table_is_reported_by_queue_and_position() {
    let (home, tables) = flushed();
    for table in tables {
        let mut bytes = fs::read(&table).expect("readable");
        for page in bytes.chunks_mut(512).take(RECORD_BYTES / 512) {
            page[100] ^= 1;
        }
        fs::write(&table, bytes).expect("writable");
    }
    let Ok(store) = FjallStore::open(home.path(), Options::default()) else {
        // As good an answer.
        return;
    };
    let mut damaged = 0;
    for id in 0..RECORDS {
        let expected = data(id, RECORD_BYTES);
        match store.read(QueueId(1), &record(id, &expected)) {
            Ok(found) => assert_eq!(found, expected),
            Err(StoreError::Damaged { what, .. }) => {
                damaged += 1;
                assert_eq!(
                    what,
                    format!(
                        "record {id} of queue 1 (positions {} to {})",
                        id * 10,
                        id * 10 + 9
                    )
                );
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(damaged > 0);
}
