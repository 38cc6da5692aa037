//! CPU time and memory of a broker, read from `/proc` for its process and all descendants.

use std::collections::HashMap;
use std::fs;
use std::ops::{AddAssign, Sub};

use anyhow::{Context, Result, ensure};

/// Clock ticks per second in `/proc/PID/stat`: fixed by Linux's interface to programs, whatever the kernel's own rate is.
const TICKS_PER_SECOND: f64 = 100.0;

/// A snapshot of what a process tree has used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time of all threads, ended ones and waited-for children included.
    pub(crate) cpu_ticks: u64,
    /// Resident memory now.
    pub(crate) rss_kib: u64,
}

impl Usage {
    /// Reads the figures of process `pid` and of all its descendants.
    ///
    /// # Errors
    /// If there is no such process, or no `/proc`.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let root =
            Process::read(pid).with_context(|| format!("there is no process {pid} in /proc"))?;
        let mut total = Self {
            cpu_ticks: root.cpu_ticks,
            rss_kib: rss_kib(pid),
        };
        let children = children()?;
        let mut waiting = vec![pid];
        while let Some(parent) = waiting.pop() {
            for process in children.get(&parent).into_iter().flatten() {
                total += Self {
                    cpu_ticks: process.cpu_ticks,
                    rss_kib: rss_kib(process.pid),
                };
                waiting.push(process.pid);
            }
        }
        Ok(total)
    }

    /// CPU time in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "ticks of a process stay far below 2^52"
        )]
        let ticks = self.cpu_ticks as f64;
        ticks / TICKS_PER_SECOND
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.cpu_ticks += other.cpu_ticks;
        self.rss_kib += other.rss_kib;
    }
}

impl Sub for Usage {
    type Output = Self;

    /// What was used between two snapshots; memory stays that of the later one.
    fn sub(self, earlier: Self) -> Self {
        Self {
            cpu_ticks: self.cpu_ticks.saturating_sub(earlier.cpu_ticks),
            rss_kib: self.rss_kib,
        }
    }
}

/// Measures a broker from a moment on; without a process id it measures nothing.
#[derive(Debug)]
pub(crate) struct Meter {
    pid: Option<u32>,
    start: Usage,
    rss_max_kib: u64,
}

impl Meter {
    /// Begins now.
    pub(crate) fn start(pid: Option<u32>) -> Result<Self> {
        let start = pid.map_or(Ok(Usage::default()), Usage::of)?;
        Ok(Self {
            pid,
            start,
            rss_max_kib: start.rss_kib,
        })
    }

    /// Looks at the memory, of which the highest value is kept, and returns what was used since the start.
    pub(crate) fn sample(&mut self) -> Result<Option<Usage>> {
        let Some(pid) = self.pid else {
            return Ok(None);
        };
        let used = Usage::of(pid)? - self.start;
        self.rss_max_kib = self.rss_max_kib.max(used.rss_kib);
        Ok(Some(used))
    }

    /// The highest memory seen.
    pub(crate) fn rss_max_kib(&self) -> u64 {
        self.rss_max_kib
    }
}

#[derive(Debug)]
struct Process {
    pid: u32,
    parent: u32,
    cpu_ticks: u64,
}

impl Process {
    fn read(pid: u32) -> Result<Self> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat"))?)
    }

    /// Fields are counted from behind the last parenthesis, as a program's name may contain blanks and parentheses.
    fn parse(pid: u32, stat: &str) -> Result<Self> {
        let (_, rest) = stat.rsplit_once(')').context("no program name in stat")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        ensure!(fields.len() > 14, "stat has {} fields only", fields.len());
        // utime, stime, cutime, cstime
        let cpu_ticks = fields[11..15]
            .iter()
            .map(|field| field.parse::<u64>().unwrap_or_default())
            .sum();
        Ok(Self {
            pid,
            parent: fields[1].parse()?,
            cpu_ticks,
        })
    }
}

fn children() -> Result<HashMap<u32, Vec<Process>>> {
    let mut children: HashMap<u32, Vec<Process>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process may end between the listing and the reading.
        if let Ok(process) = Process::read(pid) {
            children.entry(process.parent).or_default().push(process);
        }
    }
    Ok(children)
}

fn rss_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_is_skipped() {
        let stat = "7 (a) (b c)) S 3 7 7 0 -1 4194304 1 2 3 4 100 20 5 1 20 0 1 0 9";
        let process = Process::parse(7, stat).unwrap();
        assert_eq!((process.parent, process.cpu_ticks), (3, 126));
    }

    #[test]
    fn this_process_uses_memory_and_a_missing_one_is_named() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss_kib > 0);
        let error = Usage::of(u32::MAX).unwrap_err().to_string();
        assert!(error.contains("4294967295"), "{error}");
    }
}
