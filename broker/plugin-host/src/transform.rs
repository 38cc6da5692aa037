//! Transforms where they are attached.

use std::sync::Arc;

use amphora_core::hook::{HookError, OnError, Origin, Rehearsed, TransformHook, Verdict};

use crate::call;
use crate::plugin::Plugin;
use crate::rehearse;

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
        let (entry, version) = plugin.enter(1)?;
        match call::apply(plugin, &version, message, queue) {
            Ok(done) => {
                if done.is_kept {
                    plugin.unasked(entry, &version);
                } else {
                    plugin.succeeded(entry, &version);
                }
                if !done.sent.is_empty() {
                    let environment = &plugin.world.environment;
                    environment.publish(&plugin.name, done.sent);
                }
                Ok(done.answer)
            }
            Err(failure) => {
                let bytes = message.body.len() + message.properties.len();
                Err(plugin.failed((entry, &version), failure, (1, bytes)))
            }
        }
    }

    fn rehearse(
        &self,
        message: &Origin<'_>,
        queue: Option<&str>,
    ) -> Result<Rehearsed<Verdict>, HookError> {
        rehearse::apply(&self.plugin, message, queue)
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
