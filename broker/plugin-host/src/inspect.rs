//! What a component is, for its author and its operator.

use std::collections::BTreeSet;
use std::sync::Arc;

use amphora_core::hook::{InvalidNeeds, Needs};

use crate::code::{Code, Compiled};
use crate::error::LoadError;
use crate::instance::Instance;
use crate::load::trial;
use crate::plugin::{Plugin, World};
use crate::snapshot::Kinds;
use crate::spec::{Grant, PluginSpec};

/// A component, as it is and as it describes itself.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The component's hash, in hexadecimal digits.
    pub sha256: String,
    /// The component's length in bytes.
    pub size: u64,
    /// What it can be used for.
    pub kinds: Kinds,
    /// What it would have to be granted.
    pub grants_wanted: BTreeSet<Grant>,
    /// The names of its imports.
    pub imports: Vec<String>,
    /// The names of its exports.
    pub exports: Vec<String>,
    /// What it says of itself, or why it does not: a plugin may refuse to work with the configuration that it is given.
    pub described: Result<Described, String>,
}

/// What a component says of itself.
#[derive(Clone, Debug)]
pub struct Described {
    /// What it calls itself.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// What it needs to see of messages.
    pub needs: Needs,
    /// Why these needs would be refused.
    pub needs_refused: Option<InvalidNeeds>,
}

/// Compiles a component, lets it describe itself with all grants and an empty configuration, and drops it.
pub(crate) fn inspect(world: &Arc<World>, component: &[u8]) -> Result<Inspection, LoadError> {
    let compiled = Compiled::new(&world.engine, world.cache.as_ref(), component)?;
    let grants_wanted = compiled.grants_wanted()?.into_iter().collect();
    let (imports, exports) = (compiled.imports.clone(), compiled.exports.clone());
    let mut spec = PluginSpec::new("inspected");
    spec.grants = Grant::ALL.into();
    let code = Code::link(&world.engine, compiled, &spec)?;
    let described = describe(world, &code, spec).map_err(|error| error.to_string());
    Ok(Inspection {
        sha256: code.compiled.sha256,
        size: code.compiled.size,
        kinds: code.compiled.kinds,
        grants_wanted,
        imports,
        exports,
        described,
    })
}

fn describe(world: &Arc<World>, code: &Code, spec: PluginSpec) -> Result<Described, LoadError> {
    let plugin = Plugin::new(&spec.name, world);
    let spec = Arc::new(spec);
    let started = Instance::start(code, plugin.state(&spec), spec.deadline);
    let mut instance = started.map_err(|failure| trial(&plugin, "it does not start", failure))?;
    let description = instance
        .describe()
        .map_err(|failure| trial(&plugin, "it does not describe itself", failure))?;
    let needs = Needs::from(description.needs);
    Ok(Described {
        name: description.name,
        version: description.version,
        needs_refused: needs.check().err(),
        needs,
    })
}
