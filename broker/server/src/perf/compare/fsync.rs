//! What a sync of the disk takes that follows another without a pause. After a pause it may take much longer: what the syncs of a run took, the frame
//! limit tells.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::perf::measure::clock::nanoseconds;
use crate::perf::measure::histogram::Histogram;

/// What is appended before each sync.
const BYTES: usize = 1024;
/// How long it is measured.
const LENGTH: Duration = Duration::from_millis(200);
/// How many syncs at least, however slow the disk is.
const COUNT_MIN: u64 = 5;

/// Appends to a file beside `log` and syncs it, again and again; adds the times to `into`.
///
/// # Errors
/// If the file cannot be made, written or deleted.
pub(super) fn measure(log: &Path, into: &mut Histogram) -> Result<()> {
    let mut name = log.as_os_str().to_owned();
    name.push(".fsync");
    let path = Path::new(&name);
    let measured = append(path, into)
        .with_context(|| format!("cannot measure an fsync of {}", path.display()));
    let deleted =
        fs::remove_file(path).with_context(|| format!("cannot delete {}", path.display()));
    measured.and(deleted)
}

fn append(path: &Path, into: &mut Histogram) -> Result<()> {
    let mut file = File::create(path)?;
    let begin = Instant::now();
    let mut count = 0;
    while count < COUNT_MIN || begin.elapsed() < LENGTH {
        let start = Instant::now();
        file.write_all(&[b'.'; BYTES])?;
        file.sync_data()?;
        into.record(nanoseconds(start.elapsed()));
        count += 1;
    }
    Ok(())
}
