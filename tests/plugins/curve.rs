//! A process's memory while something happens.

use std::fmt;
use std::time::Duration;

/// Points that are shown.
const SHOWN: usize = 8;

/// Resident bytes, from beginning to end.
#[derive(Debug)]
pub(crate) struct Curve {
    pid: u32,
    points: Vec<u64>,
}

impl Curve {
    /// How often to look.
    pub(crate) const EVERY: Duration = Duration::from_millis(25);

    pub(crate) fn begin(pid: u32) -> anyhow::Result<Self> {
        let points = vec![resident(pid)?];
        Ok(Self { pid, points })
    }

    /// Adds a point.
    pub(crate) fn look(&mut self) {
        self.points.extend(resident(self.pid));
    }

    /// How much more it was at the highest than at the beginning.
    pub(crate) fn risen(&self) -> u64 {
        let highest = self.points.iter().max().copied().unwrap_or_default();
        let first = self.points.first().copied().unwrap_or_default();
        highest.saturating_sub(first)
    }

    /// How much more it is at the end than at the beginning.
    pub(crate) fn grown(&self) -> u64 {
        let (first, last) = (self.points.first(), self.points.last());
        let (first, last) = (first.copied(), last.copied());
        last.unwrap_or_default()
            .saturating_sub(first.unwrap_or_default())
    }
}

/// Some of the points, and the highest.
impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.points.len() - 1;
        for shown in 0..SHOWN {
            let point = self.points[last * shown / (SHOWN - 1)];
            write!(f, "{:>4}", point >> 20)?;
        }
        let highest = self.points.iter().max().copied().unwrap_or_default();
        write!(f, ", at most {}", highest >> 20)
    }
}

/// Bytes of memory that a process has.
fn resident(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.unwrap_or_default().parse::<u64>()? << 10)
}
