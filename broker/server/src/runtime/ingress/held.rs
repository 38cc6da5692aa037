//! What plugins hold up: what they store waits for their messages, and the thread waits for them.

use std::time::Duration;

use super::Ingress;
use crate::runtime::blocking::block;
use crate::runtime::plugins;

/// Plugins may take so long of a thread that serves clients before others take over what else it has to do.
const SLOW: Duration = Duration::from_millis(1);

impl Ingress {
    /// To be called before a plugin is: what it stores is not to be durable before the messages are.
    pub(super) fn hold(&mut self) {
        if !self.asked_plugins {
            self.asked_plugins = true;
            amphora_plugin_host::take_spent();
        }
        plugins::hold();
    }

    /// To be called after a plugin was.
    pub(super) fn note_time(&mut self) {
        self.slow = amphora_plugin_host::spent() > SLOW;
    }

    /// Does something with each of these, one after the other, and lets others have the thread's other tasks once plugins have taken
    /// long.
    pub(in crate::runtime) fn for_each<T>(
        &mut self,
        all: impl IntoIterator<Item = T>,
        mut one: impl FnMut(&mut Self, T),
    ) {
        let mut all = all.into_iter();
        while let Some(next) = all.next() {
            one(self, next);
            if self.slow {
                block(|| {
                    for next in all.by_ref() {
                        one(self, next);
                    }
                });
            }
        }
    }

    /// Since the last flush, plugins have taken so long that other tasks should have the thread.
    #[inline]
    pub(in crate::runtime) fn is_slow(&self) -> bool {
        self.slow
    }
}
