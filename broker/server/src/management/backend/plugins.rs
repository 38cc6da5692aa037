//! What the management API asks of the plugins' host.

use std::pin::Pin;

use bytes::Bytes;

use crate::config::Plugin;
use crate::management::snapshot::{PluginLogLine, PluginSnapshot};

/// What a command comes back with.
pub type PluginReply<'a> = Pin<Box<dyn Future<Output = Result<(), PluginRefusal>> + Send + 'a>>;

/// The plugins as the management API sees them.
///
/// Reading methods return at once. A command is over when what it changes is in force: a load may take many seconds, and must not
/// hold the thread that polls it. Whoever calls has checked that the user is an administrator.
pub trait Plugins: Send + Sync {
    /// All plugins that are configured or were uploaded, loaded or not, by name.
    fn all(&self) -> Vec<PluginSnapshot>;
    /// One of them.
    fn find(&self, name: &str) -> Option<PluginSnapshot>;
    /// The last lines that a plugin logged, the oldest first; none if there is no such plugin.
    fn log(&self, name: &str) -> Vec<PluginLogLine>;

    /// Loads a component that was uploaded, keeps it for the next start, and puts it into the place of the version in force. If any of that fails,
    /// everything stays as it was, and a plugin that was new is not there.
    fn put(&self, command: PutPlugin) -> PluginReply<'_>;
    /// Loads a plugin from its path again, whether or not the file has changed.
    fn load<'a>(&'a self, name: &'a str) -> PluginReply<'a>;
    /// Puts the previous version in force again; what was in force becomes the previous one.
    fn rollback<'a>(&'a self, name: &'a str) -> PluginReply<'a>;
    /// Takes a plugin out of force. A configured one stays in the list, as not loaded; one that was uploaded is gone.
    /// A conflict while there are exchanges of its type, or it is attached by arguments, policies or the configuration, unless it is forced: then
    /// messages there go as `on-error` says.
    fn unload<'a>(&'a self, name: &'a str, force: bool) -> PluginReply<'a>;
}

/// Uploads a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutPlugin {
    /// The plugin's name.
    pub name: String,
    /// The component.
    pub component: Bytes,
    /// The settings of a plugin that is new, or the new ones of one that was uploaded. Those that a plugin has are kept if there are none.
    pub settings: Option<Plugin>,
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginRefusal {
    /// There is no plugin of this name.
    NoPlugin,
    /// It is not possible as things are: something needs it, there is no previous version, another plugin supplies the type.
    Conflict(String),
    /// The component or its settings cannot be used.
    Unusable(String),
    /// The broker could not do it: the file cannot be read, the disk is full.
    Failed(String),
}
