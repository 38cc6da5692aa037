//! Transforms where they are attached.

use std::sync::Arc;

use amphora_core::hook::{HookError, OnError, Origin, TransformHook, Verdict};

use crate::plugin::Plugin;
use crate::worker;

/// A plugin, attached.
#[derive(Debug)]
pub(crate) struct Transform {
    pub(crate) plugin: Arc<Plugin>,
    /// What the attachment says, if it says anything.
    pub(crate) on_error: Option<OnError>,
}

impl TransformHook for Transform {
    fn apply(&self, message: &Origin<'_>, queue: Option<&str>) -> Result<Verdict, HookError> {
        let plugin = &self.plugin;
        let entry = plugin.enter(1)?;
        match worker::apply(plugin, message, queue) {
            Ok(done) => {
                plugin.succeeded(entry);
                if !done.sent.is_empty() {
                    let environment = &plugin.world.environment;
                    environment.publish(&plugin.name, done.sent);
                }
                Ok(done.answer)
            }
            Err(failure) => Err(plugin.failed(entry, failure, 1)),
        }
    }

    fn on_error(&self) -> OnError {
        self.on_error.unwrap_or_else(|| {
            let current = self.plugin.current.load();
            current
                .as_ref()
                .map_or(OnError::default(), |version| version.spec.on_error)
        })
    }

    fn plugin(&self) -> &str {
        &self.plugin.name
    }
}
