//! Opening a data directory, and refusing to.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use amphora_core::store::{Durability, Part, QueueId, Store, Write};
use amphora_storage::{FjallStore, OpenError, Options};
use bytes::Bytes;

use crate::{Data, append, commit, forget, group, ids, record, remove, settle};

fn refusal(data: &Data) -> OpenError {
    FjallStore::open(data.path(), Options::default()).expect_err("the store must not open")
}

#[test]
fn only_the_user_may_enter_the_directory() {
    let data = Data::new();
    let _store = data.open();
    let mode = fs::metadata(data.path())
        .expect("exists")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_directory_in_use_is_refused_by_name_and_process() {
    let data = Data::new();
    let store = data.open();
    commit(&store, [append(1, 1, 10)]);
    let error = refusal(&data);
    let expected = format!(
        "the data directory {} is in use by process {}",
        data.path().display(),
        std::process::id()
    );
    assert_eq!(error.to_string(), expected);
    drop(store);
    assert_eq!(ids(&data.open()), [1]);
}

#[test]
fn a_newer_format_is_refused() {
    let data = Data::new();
    drop(data.open());
    fs::write(data.path().join("FORMAT"), "amphora-storage 4\n").expect("writable");
    let error = refusal(&data);
    assert!(
        matches!(
            error,
            OpenError::NewerFormat {
                found: 4,
                supported: 3,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("use the version that wrote it"),
        "{error}"
    );
}

/// A store as that version wrote it: nothing is recent after each commit.
fn of_format_1(data: &Data) {
    let store = data.open_with(Options {
        memtable_bytes: 0,
        ..Options::default()
    });
    commit(&store, (1..=9).map(|id| append(1, id, 10)));
    commit(&store, [settle(1, 0, "early"), settle(1, 7, "gone")]);
    drop(store);
    fs::write(data.path().join("FORMAT"), "amphora-storage 1\n").expect("writable");
}

fn format(data: &Data) -> String {
    fs::read_to_string(data.path().join("FORMAT")).expect("readable")
}

#[test]
fn format_1_is_taken_over() {
    let data = Data::new();
    of_format_1(&data);
    let store = data.open();
    assert_eq!(format(&data), "amphora-storage 3\n");
    assert_eq!(ids(&store), (1..=9).collect::<Vec<_>>());
    commit(&store, (2..=9).map(|id| remove(1, id, 10)));
    commit(
        &store,
        [settle(1, 0, "late"), forget(1, 7), append(1, 10, 10)],
    );
    drop(store);
    let store = data.open();
    assert_eq!(ids(&store), [1, 10]);
    let settlement = &store.recover().expect("recovers").queues[0].settlement;
    let expected = [(Part::WHOLE, Bytes::from_static(b"late"))];
    assert_eq!(settlement.clone().into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn format_2_is_taken_over() {
    let data = Data::new();
    let store = data.open();
    commit(&store, (1..=9).map(|id| append(1, id, 10)));
    drop(store);
    fs::write(data.path().join("FORMAT"), "amphora-storage 2\n").expect("writable");
    let store = data.open();
    assert_eq!(format(&data), "amphora-storage 3\n");
    assert_readable(&store);
    drop(store);
    // This commit has the records go to where they belong.
    let store = data.open_with(Options {
        memtable_bytes: 0,
        ..Options::default()
    });
    commit(&store, [settle(1, 0, "any")]);
    drop(store);
    assert_readable(&data.open());
}

/// All nine records are there with their data.
fn assert_readable(store: &FjallStore) {
    assert_eq!(ids(store), (1..=9).collect::<Vec<_>>());
    for id in 1..=9 {
        let expected = crate::data(id, 10);
        let read = store.read(QueueId(1), &record(id, &expected));
        assert_eq!(read.expect("readable"), expected);
    }
}

#[test]
fn an_older_format_stays_if_the_store_does_not_open() {
    let data = Data::new();
    of_format_1(&data);
    fs::write(data.path().join("db/version"), "x").expect("writable");
    refusal(&data);
    assert_eq!(format(&data), "amphora-storage 1\n");
}

#[test]
fn a_format_that_is_none_is_refused() {
    for text in [
        "",
        "amphora-storage",
        "amphora-storage x",
        "amphora-storage 0",
        "something else 1",
    ] {
        let data = Data::new();
        drop(data.open());
        fs::write(data.path().join("FORMAT"), text).expect("writable");
        let error = refusal(&data);
        assert!(
            matches!(error, OpenError::Damaged { offset: 0, .. }),
            "{text:?}: {error:?}"
        );
    }
    let data = Data::new();
    drop(data.open());
    fs::remove_file(data.path().join("FORMAT")).expect("is there");
    assert!(
        matches!(refusal(&data), OpenError::Io { .. }),
        "a database without a format"
    );
}

#[test]
fn a_creation_that_was_cut_short_is_begun_anew() {
    let data = Data::new();
    drop(data.open());
    // As after a crash before the last step, with a part of the database missing.
    fs::rename(data.path().join("db"), data.path().join("db.new")).expect("renames");
    fs::remove_file(data.path().join("db.new/version")).expect("is there");
    let store = data.open();
    commit(&store, [append(1, 1, 10)]);
    assert_eq!(ids(&store), [1]);
}

#[test]
fn a_file_in_the_way_is_named() {
    let data = Data::new();
    fs::write(data.path(), "").expect("writable");
    let error = refusal(&data).to_string();
    assert!(
        error.contains(&data.path().display().to_string()),
        "{error}"
    );
}

#[test]
fn an_impossible_key_is_refused_and_harms_nothing() {
    let data = Data::new();
    let store = data.open();
    let too_long = Write::PutDefinition {
        key: Bytes::from(vec![b'k'; 65_535]),
        value: Bytes::new(),
    };
    let error = store
        .commit(&group([append(1, 1, 10), too_long]), Durability::Os)
        .expect_err("is refused");
    assert!(error.to_string().contains("65535 bytes"), "{error}");
    commit(&store, [append(1, 2, 10)]);
    assert_eq!(ids(&store), [2]);
}
