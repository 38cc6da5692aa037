"""What a process uses: memory, time and wake-ups, as Linux counts them."""

from dataclasses import dataclass
from pathlib import Path

# Fixed by Linux's interface to programs, whatever the kernel's own rate is.
TICKS_PER_SECOND = 100


def resident(pid: int) -> int:
    """Bytes of memory now."""
    return _kib(pid, "VmRSS") * 1024


def resident_peak(pid: int) -> int:
    """The most bytes of memory since the process began, or since `forget_peak`."""
    return _kib(pid, "VmHWM") * 1024


def forget_peak(pid: int) -> None:
    """Count the most memory from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads, to a hundredth of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


@dataclass(frozen=True)
class Thread:
    """What a thread has done so far."""

    name: str
    run_ns: int
    """On a CPU, which the scheduler knows to the nanosecond."""
    wake_ups: int
    """How often it has waited for something and gone on."""


def threads(pid: int) -> dict[int, Thread]:
    """The threads of a process, by their ids."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            status = (task / "status").read_text()
            run_ns = int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:  # It has ended since the folder was read.
            continue
        wake_ups = int(_line(status, "voluntary_ctxt_switches"))
        found[int(task.name)] = Thread(_line(status, "Name"), run_ns, wake_ups)
    return found


def _kib(pid: int, name: str) -> int:
    return int(_line(Path(f"/proc/{pid}/status").read_text(), name).split()[0])


def _line(status: str, name: str) -> str:
    return next(line for line in status.splitlines() if line.startswith(f"{name}:")).partition(":")[2].strip()
