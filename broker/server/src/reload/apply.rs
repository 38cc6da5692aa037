//! What a change of the configuration does to the broker.

use bytes::Bytes;

use crate::config::{Attachment, Limits, Plugin, Tls};

/// A component that is to come into force.
#[derive(Clone, Debug)]
pub struct Loading<'a> {
    /// The plugin's settings.
    pub plugin: &'a Plugin,
    /// What is in its file.
    pub component: Bytes,
    /// A plugin that the configuration has no more, and that supplies its type of exchange until it goes.
    pub giver: Option<&'a str>,
}

/// The broker as changes of its configuration see it. All methods may block, and are called by one thread.
pub trait Apply: Send + Sync + 'static {
    /// Puts components in force with these settings, each in the place of what the plugin of that name is now: all of them, or none. The type of
    /// exchange that one supplies may be supplied by another one of them until then, or by its giver, and passes over.
    ///
    /// # Errors
    /// One of them cannot be loaded; if there are several, the error says which. What was in force is in force still; if that was nothing, the
    /// plugin is there as one that is not loaded.
    fn load(&self, loads: &[Loading<'_>]) -> anyhow::Result<()>;

    /// Whether the component of this SHA-256, in hexadecimal digits, is what is in force: the management API may have put another one in its
    /// place, or none.
    fn is_in_force(&self, plugin: &str, sha256: &str) -> bool;

    /// There is a plugin whose component cannot be read, for this reason. If nothing is in force, it is there as one that is not loaded.
    fn absent(&self, plugin: &Plugin, reason: &str);

    /// Takes a plugin out of force, also if there are exchanges of its type, and forgets it.
    fn unload(&self, name: &str);

    /// Applies transforms at these places, and no longer at those of before.
    fn set_attachments(&self, attachments: Vec<Attachment>);

    /// Logs from this level on, as [`Logging::level`](crate::config::Logging::level) says.
    ///
    /// # Errors
    /// It cannot be used.
    fn set_log_level(&self, level: &str) -> anyhow::Result<()>;

    /// Bounds what clients may ask for like this. What was agreed with clients that are connected stays.
    fn set_limits(&self, limits: &Limits);

    /// Reads the certificate and the key again, for clients that come from now on.
    ///
    /// # Errors
    /// They cannot be used. Those that were in force are in force still.
    fn set_tls(&self, tls: &Tls) -> anyhow::Result<()>;
}
