//! The fanout exchange: every binding matches, whatever its routing key (AMQP 0-9-1, 3.1.3.2).

use super::targets::{Target, Targets};

/// All destinations of a fanout exchange. A publish costs one step per destination.
#[derive(Debug, Default)]
pub(crate) struct Fanout {
    targets: Targets,
}

impl Fanout {
    pub(crate) fn bind(&mut self, target: Target) {
        self.targets.add(target);
    }

    pub(crate) fn unbind(&mut self, target: Target) {
        self.targets.remove(target);
    }

    pub(crate) fn route(&self, matched: &mut Vec<Target>) {
        self.targets.append_to(matched);
    }
}
