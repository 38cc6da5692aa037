//! The instances of a version whose calls are slow: all threads share them, and there are no more of them than processors.
//!
//! Threads come and go where calls take long, because the runtime puts another one in the place of each that is busy. If each had its own
//! instances, a language runtime would be there a hundred times.

use std::num::NonZero;
use std::thread::available_parallelism;

use parking_lot::{Condvar, Mutex};

use crate::exchange::Exchange;
use crate::running::Running;

/// The least number of instances, so that one long call is not in everybody's way.
const PLACES_MIN: usize = 2;

/// See above.
#[derive(Debug)]
pub(crate) struct Lane {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug)]
struct State {
    idle: Vec<Running>,
    free: usize,
    /// The version is in force: what comes back is kept.
    is_open: bool,
}

/// The right to call one instance.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    lane: &'a Lane,
    pub(crate) running: Option<Box<Running>>,
}

impl Default for Lane {
    fn default() -> Self {
        let processors = available_parallelism().map_or(PLACES_MIN, NonZero::get);
        Self {
            state: Mutex::new(State {
                idle: Vec::new(),
                free: processors.max(PLACES_MIN),
                is_open: false,
            }),
            freed: Condvar::new(),
        }
    }
}

impl Lane {
    /// The version comes into force.
    pub(crate) fn open(&self) {
        self.state.lock().is_open = true;
    }

    /// The version is in force no more: its instances go.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.is_open = false;
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
    }

    /// A place, if there is one now.
    pub(crate) fn try_enter(&self) -> Option<Place<'_>> {
        let mut state = self.state.lock();
        (state.free > 0).then(|| self.enter_with(&mut state))
    }

    /// A place, as soon as there is one: after some of the calls that others make now.
    pub(crate) fn enter(&self) -> Place<'_> {
        let mut state = self.state.lock();
        while state.free == 0 {
            self.freed.wait(&mut state);
        }
        self.enter_with(&mut state)
    }

    fn enter_with(&self, state: &mut State) -> Place<'_> {
        state.free -= 1;
        Place {
            lane: self,
            running: state.idle.pop().map(Box::new),
        }
    }
}

impl Place<'_> {
    /// Whether a call need not make an instance, nor teach it of bindings.
    pub(crate) fn is_ready(&self, exchange: Option<&Exchange>) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| exchange.is_none_or(|exchange| running.knows(exchange)))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.lane.state.lock();
        state.free += 1;
        if state.is_open {
            state
                .idle
                .extend(self.running.take().map(|running| *running));
        }
        drop(state);
        self.lane.freed.notify_one();
    }
}
