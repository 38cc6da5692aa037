//! The memory of the whole process, and what it is granted.

use std::path::{Path, PathBuf};

use crate::management::snapshot::AllocatorSnapshot;

/// Resident memory of this process, where the operating system tells.
pub(super) fn used() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    bytes_in(&status, "VmRSS:")
}

/// What the allocator says.
pub(super) fn allocator() -> AllocatorSnapshot {
    use tikv_jemalloc_ctl::{epoch, stats};
    // Its figures stand still until somebody turns the page. Those that it does not tell stay 0.
    let _ = epoch::advance();
    let bytes = |read: tikv_jemalloc_ctl::Result<usize>| read.unwrap_or_default() as u64;
    AllocatorSnapshot {
        allocated: bytes(stats::allocated::read()),
        active: bytes(stats::active::read()),
        resident: bytes(stats::resident::read()),
        retained: bytes(stats::retained::read()),
        metadata: bytes(stats::metadata::read()),
    }
}

/// Memory of the machine; the control groups', if they grant less. 0 where that cannot be told.
pub(super) fn total() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| bytes_in(&text, "MemTotal:"));
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    machine
        .unwrap_or(0)
        .min(granted(Path::new("/sys/fs/cgroup"), &groups))
}

/// An amount that a file of Linux's has in a line such as `MemTotal:  1024 kB`.
fn bytes_in(text: &str, name: &str) -> Option<u64> {
    let amount = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = amount.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1024))
}

/// The least that the process's control groups grant, from its own up to the root: `groups` is what `/proc/self/cgroup` says. In a
/// container its own group is often the root of what it sees.
fn granted(root: &Path, groups: &str) -> u64 {
    let mut least = u64::MAX;
    for line in groups.lines() {
        // number:controllers:path; version 2 has number 0 and no controllers.
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (root, file) = if controllers.is_empty() {
            (root.to_owned(), "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        let own = root.join(path.trim_start_matches('/'));
        for group in own.ancestors().take_while(|group| group.starts_with(&root)) {
            least = least.min(limit(group.join(file)));
        }
    }
    least
}

/// A limit of a control group; endless if there is none, which the file says as `max` or as a number that no machine has.
fn limit(file: PathBuf) -> u64 {
    let text = std::fs::read_to_string(file).ok();
    text.and_then(|text| text.trim().parse().ok())
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_from_its_line() {
        let text = "VmPeak:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(bytes_in(text, "VmRSS:"), Some(1 << 20));
        assert_eq!(bytes_in(text, "VmSwap:"), None);
        assert!(used().is_some_and(|used| used > 1 << 20));
        assert!(total() > 1 << 20);
    }

    #[test]
    fn the_least_of_a_groups_and_its_parents_limits_counts() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let root = folder.path();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(root))?;
            std::fs::write(path, text)
        };
        assert_eq!(granted(root, "0::/a/b\n"), u64::MAX);
        write("a/b/memory.max", "max\n")?;
        assert_eq!(granted(root, "0::/a/b\n"), u64::MAX);
        write("a/memory.max", "2048\n")?;
        write("memory.max", "4096\n")?;
        assert_eq!(granted(root, "0::/a/b\n"), 2048);
        assert_eq!(granted(root, "0::/\n"), 4096);
        assert_eq!(granted(root, "0::/other\n"), 4096);
        // Version 1 has a tree for each controller.
        write("memory/a/memory.limit_in_bytes", "1024\n")?;
        let first = "3:cpu,cpuacct:/a\n2:memory:/a\n1:name=systemd:/\n";
        assert_eq!(granted(root, first), 1024);
        Ok(())
    }
}
