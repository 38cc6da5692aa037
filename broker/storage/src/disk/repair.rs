//! Cuts off journals what was never promised, before the database opens them.
//!
//! A crash may leave the newest journal with an unfinished batch at its end, or, after a loss of power, with pages missing
//! among the batches that were not synced yet. Both are cut, a copy of what is cut is kept in `torn/`, and a warning says so.
//! Damage to what was synced is never cut but refused.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::directory::{DataDirectory, create_private, sync_directory};
use super::journal::{self, Rest, Scan};
use super::options::OpenError;

/// The marker of the only journal format that is understood here.
const JOURNAL_FORMAT: &[u8] = b"FJL\x03";

struct Journal {
    path: PathBuf,
    scan: Scan,
}

/// Checks and repairs the journals of a database that is not open. Answers how many bytes the newest holds.
pub(super) fn repair(directory: &DataDirectory) -> Result<u64, OpenError> {
    let journals = scan_all(&directory.database(), u64::MAX)?;
    let Some(cut) = find_cut(&journals)? else {
        return Ok(journals.last().map_or(0, |journal| journal.scan.end));
    };
    let kept = keep_aside(directory, cut)?;
    tracing::warn!(
        file = %cut.path.display(),
        offset = cut.scan.end,
        bytes = kept.bytes,
        copy = %kept.path.display(),
        "the end of the journal is torn and was cut off; nothing of it was confirmed"
    );
    OpenOptions::new()
        .write(true)
        .open(&cut.path)
        .and_then(|file| {
            file.set_len(cut.scan.end)?;
            file.sync_all()
        })
        .map_err(OpenError::io("cut", &cut.path))?;
    Ok(journals.last().map_or(0, |journal| journal.scan.end))
}

/// Takes groups above `acknowledged` out of the journals of a database that failed and was closed just now.
///
/// The newest journal is written anew under its name. The old file may still get the failed batch's bytes, from a thread of
/// the closed database that ends late; and after a failed sync the system may take its pages for written although they are not.
pub(super) fn repair_after_failure(
    directory: &DataDirectory,
    acknowledged: u64,
) -> Result<u64, OpenError> {
    let journals = scan_all(&directory.database(), acknowledged)?;
    let newest = journals.len().saturating_sub(1);
    for (index, journal) in journals.iter().enumerate() {
        if index == newest || journal.scan.rest != Rest::Empty {
            rewrite(&journal.path, journal.scan.end)?;
        }
    }
    sync_directory(&directory.database())?;
    Ok(journals.last().map_or(0, |journal| journal.scan.end))
}

/// How many bytes [`repair_after_failure`] needs on the disk while it runs.
pub(super) fn space_for_repair(directory: &DataDirectory) -> u64 {
    journal_paths(&directory.database())
        .ok()
        .and_then(|paths| paths.last()?.1.metadata().ok())
        .map_or(0, |metadata| metadata.len())
}

fn scan_all(database: &Path, limit: u64) -> Result<Vec<Journal>, OpenError> {
    let format = database.join("version");
    let found = fs::read(&format).map_err(OpenError::io("read", &format))?;
    if found != JOURNAL_FORMAT {
        let reason = "the journal's format is not known to this version of the broker".to_owned();
        return Err(OpenError::Database {
            directory: database.to_owned(),
            reason,
        });
    }
    journal_paths(database)?
        .into_iter()
        .map(|(_, path)| {
            let scan = journal::scan(&path, limit).map_err(OpenError::io("read", &path))?;
            Ok(Journal { path, scan })
        })
        .collect()
}

/// The journals, oldest first.
pub(super) fn journal_paths(database: &Path) -> Result<Vec<(u64, PathBuf)>, OpenError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(database).map_err(OpenError::io("read", database))? {
        let path = entry.map_err(OpenError::io("read", database))?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".jnl")?.parse().ok());
        paths.extend(number.map(|number| (number, path)));
    }
    paths.sort_unstable();
    Ok(paths)
}

/// The journal whose end must be cut, if any; an error if that would lose what was promised.
fn find_cut(journals: &[Journal]) -> Result<Option<&Journal>, OpenError> {
    let Some(damaged) = journals
        .iter()
        .position(|journal| journal.scan.rest != Rest::Empty)
    else {
        return Ok(None);
    };
    let (before, from) = journals.split_at(damaged);
    let Some((journal, after)) = from.split_first() else {
        return Ok(None);
    };
    let promised = match journal.scan.rest {
        // A journal is synced before the next one is begun.
        _ if after.iter().any(|later| later.scan != Scan::default()) => true,
        Rest::Damaged { synced } => {
            let good = journal.scan.last_group.or(before
                .iter()
                .rev()
                .find_map(|journal| journal.scan.last_group));
            good.is_none_or(|good| synced > good)
        }
        Rest::Empty | Rest::Torn | Rest::AboveLimit => false,
    };
    if promised {
        return Err(OpenError::Damaged {
            file: journal.path.clone(),
            offset: journal.scan.end,
            reason: "a batch is unreadable although later ones are whole, so what it held was lost to a fault of the disk \
                     or to an intervention; restore the data directory from a copy"
                .to_owned(),
        });
    }
    Ok(Some(journal))
}

struct Kept {
    path: PathBuf,
    bytes: u64,
}

/// Copies what will be cut, without the preallocated zeros behind it.
fn keep_aside(directory: &DataDirectory, journal: &Journal) -> Result<Kept, OpenError> {
    let torn = directory.torn();
    create_private(&torn)?;
    let name = journal
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let path = torn.join(format!("{name}.from-{}", journal.scan.end));
    let bytes = copy_rest(&journal.path, journal.scan.end, &path)
        .map_err(OpenError::io("copy the journal's end to", &path))?;
    sync_directory(&torn)?;
    sync_directory(directory.path())?;
    Ok(Kept { path, bytes })
}

fn copy_rest(journal: &Path, offset: u64, copy: &Path) -> io::Result<u64> {
    let mut source = File::open(journal)?;
    source.seek(SeekFrom::Start(offset))?;
    let mut rest = Vec::new();
    journal::read_without_zeros(&mut source, &mut rest)?;
    let mut file = File::create(copy)?;
    file.write_all(&rest)?;
    file.sync_all()?;
    Ok(rest.len() as u64)
}

/// Puts a copy of the file's first bytes in its place, on the disk before it is there.
fn rewrite(path: &Path, bytes: u64) -> Result<(), OpenError> {
    let new = path.with_extension("new");
    File::create(&new)
        .and_then(|mut copy| {
            io::copy(&mut File::open(path)?.take(bytes), &mut copy)?;
            copy.sync_all()
        })
        .and_then(|()| fs::rename(&new, path))
        .map_err(OpenError::io("rewrite", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use amphora_core::store::{
        CommitGroup, Durability, QueueId, RecordId, RecordRef, Store, Write,
    };
    use bytes::Bytes;

    use super::*;
    use crate::{FjallStore, Options};

    #[test]
    fn a_group_that_was_written_but_not_acknowledged_is_taken_out() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let open = || FjallStore::open(home.path(), Options::default()).expect("opens");
        let store = open();
        for id in 1..=3 {
            let record = RecordRef {
                id: RecordId(id),
                first: id,
                last: id,
                count: 1,
                bytes: 1,
                transient: false,
                bodies: None,
            };
            let append = Write::Append {
                queue: QueueId(1),
                record,
                data: Bytes::from_static(b"x"),
            };
            store
                .commit(
                    &CommitGroup {
                        writes: vec![append],
                    },
                    Durability::Fsync,
                )
                .expect("commits");
        }
        drop(store);

        let directory = DataDirectory::open(home.path()).expect("is free");
        let journal = directory.database().join("0.jnl");
        let inode = || fs::metadata(&journal).expect("exists").ino();
        let before = inode();
        let bytes = repair_after_failure(&directory, 2).expect("repairs");
        assert_ne!(
            inode(),
            before,
            "whoever still writes to the old journal must not reach the new one"
        );
        assert_eq!(fs::metadata(&journal).expect("exists").len(), bytes);
        drop(directory);

        let recovered = open().recover().expect("recovers");
        let ids: Vec<_> = recovered
            .queues
            .iter()
            .flat_map(|queue| &queue.records)
            .map(|record| record.id.0)
            .collect();
        assert_eq!((ids, recovered.next_record), (vec![1, 2], 3));
    }
}
