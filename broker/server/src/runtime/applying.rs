//! Changes of the configuration, in the broker that runs.

use std::sync::Arc;

use super::broker::Broker;
use crate::config::{Attachment, Limits, Plugin, Tls};
use crate::reload::{Apply, Loading};
use crate::tls::Acceptor;

/// What changes of the configuration change.
#[derive(Debug)]
pub(super) struct Applying {
    pub(super) broker: Arc<Broker>,
    /// What takes TLS handshakes, if the broker does.
    pub(super) tls: Option<Acceptor>,
}

impl Apply for Applying {
    fn load(&self, loads: &[Loading<'_>]) -> anyhow::Result<()> {
        self.broker.plugins.load_components(loads)
    }

    fn is_in_force(&self, plugin: &str, sha256: &str) -> bool {
        self.broker.plugins.is_in_force(plugin, sha256)
    }

    fn absent(&self, plugin: &Plugin, reason: &str) {
        self.broker.plugins.note_absent(plugin, reason);
    }

    fn unload(&self, name: &str) {
        self.broker.plugins.unload_configured(name);
    }

    fn set_attachments(&self, attachments: Vec<Attachment>) {
        self.broker.plugins.set_attachments(attachments);
    }

    fn set_log_level(&self, level: &str) -> anyhow::Result<()> {
        Ok(crate::logging::set_level(level)?)
    }

    fn set_limits(&self, limits: &Limits) {
        self.broker.set_limits(limits);
    }

    fn set_tls(&self, tls: &Tls) -> anyhow::Result<()> {
        if let Some(acceptor) = &self.tls {
            acceptor.renew(tls)?;
        }
        Ok(())
    }
}
