//! The direct exchange: a binding matches the routing key that equals its own (AMQP 0-9-1, 3.1.3.1).

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::targets::{Target, Targets};

/// The destinations of a direct exchange by binding key. A publish costs one lookup, however many bindings there are.
#[derive(Debug, Default)]
pub(crate) struct Direct {
    by_key: HashMap<Box<str>, Targets, RandomState>,
}

impl Direct {
    pub(crate) fn bind(&mut self, key: &str, target: Target) {
        self.by_key.entry(key.into()).or_default().add(target);
    }

    pub(crate) fn unbind(&mut self, key: &str, target: Target) {
        let Some(targets) = self.by_key.get_mut(key) else {
            return;
        };
        targets.remove(target);
        if targets.is_empty() {
            self.by_key.remove(key);
        }
    }

    pub(crate) fn route(&self, key: &str, matched: &mut Vec<Target>) {
        if let Some(targets) = self.by_key.get(key) {
            targets.append_to(matched);
        }
    }
}
