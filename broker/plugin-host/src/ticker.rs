//! The clock that ends calls which run too long.
//!
//! One thread raises the engine's epoch each millisecond. While nothing needs a deadline it sleeps without waking: a call says until which
//! tick it needs the clock, and because that is rounded up generously, a busy thread says so about twice a second only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use wasmtime::Engine;

use crate::error::HostError;

/// The unit of deadlines.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Ticks that the clock goes on for after nothing has asked for it.
const SLACK: u64 = 500;

/// When the clock is so late, the machine was suspended, and time begins anew.
const LATE_MAX: Duration = Duration::from_millis(200);

/// Ends its thread when it is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    clock: Arc<Clock>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Clock {
    ticks: AtomicU64,
    needed_until: AtomicU64,
    parked: AtomicBool,
    ended: AtomicBool,
}

/// Asks for the clock.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    clock: Arc<Clock>,
    thread: thread::Thread,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> Result<Self, HostError> {
        let clock = Arc::new(Clock::default());
        let (engine, shared) = (engine.clone(), Arc::clone(&clock));
        let thread = thread::Builder::new()
            .name("plugin-deadlines".to_owned())
            .spawn(move || run(&engine, &shared))
            .map_err(HostError::Ticker)?;
        Ok(Self { clock, thread })
    }

    /// What calls use.
    pub(crate) fn watch(&self) -> Watch {
        Watch {
            clock: Arc::clone(&self.clock),
            thread: self.thread.thread().clone(),
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.clock.ended.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
    }
}

impl Watch {
    /// Makes sure that the epoch rises for so many ticks from now on.
    pub(crate) fn need(&self, ticks: u64) {
        let until = self.clock.ticks.load(Ordering::Relaxed) + ticks + 2;
        if self.clock.needed_until.load(Ordering::Relaxed) >= until {
            return;
        }
        let needed = &self.clock.needed_until;
        needed.fetch_max(until + SLACK, Ordering::SeqCst);
        // Either this sees that the thread is about to park, or the thread sees that it must not.
        if self.clock.parked.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

fn run(engine: &Engine, clock: &Clock) {
    // Refused to all but privileged users, and then the clock is as late as the machine is busy.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), -5);
    let mut next = Instant::now() + TICK;
    while !clock.ended.load(Ordering::SeqCst) {
        let ticks = clock.ticks.load(Ordering::Relaxed);
        if clock.needed_until.load(Ordering::SeqCst) <= ticks {
            clock.parked.store(true, Ordering::SeqCst);
            while clock.needed_until.load(Ordering::SeqCst) <= ticks
                && !clock.ended.load(Ordering::SeqCst)
            {
                thread::park();
            }
            clock.parked.store(false, Ordering::SeqCst);
            next = Instant::now() + TICK;
            continue;
        }
        let now = Instant::now();
        if let Some(early) = next.checked_duration_since(now)
            && !early.is_zero()
        {
            thread::sleep(early);
            continue;
        }
        if now.duration_since(next) > LATE_MAX {
            next = now;
        }
        next += TICK;
        engine.increment_epoch();
        clock.ticks.store(ticks + 1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(ticker: &Ticker) -> u64 {
        ticker.clock.ticks.load(Ordering::Relaxed)
    }

    #[test]
    fn it_sleeps_until_it_is_needed_and_then_keeps_time() {
        let ticker = Ticker::start(&Engine::default()).expect("a thread");
        thread::sleep(Duration::from_millis(20));
        assert_eq!(ticks(&ticker), 0);
        let watch = ticker.watch();
        let begun = Instant::now();
        watch.need(10);
        while ticks(&ticker) < 12 {
            assert!(begun.elapsed() < Duration::from_secs(10), "it never wakes");
            thread::sleep(TICK);
        }
        assert!(begun.elapsed() >= Duration::from_millis(11));
        let asleep = Instant::now();
        while !ticker.clock.parked.load(Ordering::SeqCst) {
            assert!(
                asleep.elapsed() < Duration::from_secs(20),
                "it never sleeps"
            );
            thread::sleep(TICK);
        }
        let asleep = ticks(&ticker);
        thread::sleep(Duration::from_millis(20));
        assert_eq!(ticks(&ticker), asleep);
    }
}
