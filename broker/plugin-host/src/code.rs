//! A component that was compiled and linked: what instances are made of.

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};

use crate::code_cache::{CodeCache, hexadecimal};
use crate::contract::names::{self, Import, Interface};
use crate::error::LoadError;
use crate::grants;
use crate::snapshot::Kinds;
use crate::spec::{Grant, PluginSpec};
use crate::state::State;
use crate::wasi;

/// A compiled component.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) component: Component,
    pub(crate) sha256: String,
    pub(crate) size: u64,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    pub(crate) kinds: Kinds,
}

/// A compiled component with all that it imports.
pub(crate) struct Code {
    pub(crate) compiled: Compiled,
    pub(crate) pre: InstancePre<State>,
    pub(crate) functions: Functions,
}

/// Where the exported functions are.
#[derive(Debug)]
pub(crate) struct Functions {
    pub(crate) describe: ComponentExportIndex,
    pub(crate) exchange: Option<ExchangeFunctions>,
    pub(crate) route_packed: Option<ComponentExportIndex>,
    pub(crate) route_typed: Option<ComponentExportIndex>,
    pub(crate) apply: Option<ComponentExportIndex>,
}

/// Where the functions of `exchange` are.
#[derive(Debug)]
pub(crate) struct ExchangeFunctions {
    pub(crate) create: ComponentExportIndex,
    pub(crate) delete: ComponentExportIndex,
    pub(crate) rebind: ComponentExportIndex,
}

impl Compiled {
    /// Compiles a component, or takes it from the cache.
    pub(crate) fn new(
        engine: &Engine,
        cache: Option<&CodeCache>,
        bytes: &[u8],
    ) -> Result<Self, LoadError> {
        check_magic(bytes)?;
        let component = match cache {
            Some(cache) => cache.component(engine, bytes),
            None => Component::new(engine, bytes),
        }
        .map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        let ty = component.component_type();
        let names = |items: &mut dyn Iterator<Item = &str>| {
            let mut names: Vec<String> = items.map(str::to_owned).collect();
            names.sort();
            names
        };
        let imports = names(&mut ty.imports(engine).map(|(name, _)| name));
        let exports = names(&mut ty.exports(engine).map(|(name, _)| name));
        for export in &exports {
            names::check_export(export)?;
        }
        let has = |interface| find(&exports, interface).is_some();
        let kinds = Kinds {
            exchange_packed: has(names::EXCHANGE) && has(names::EXCHANGE_PACKED),
            exchange_typed: has(names::EXCHANGE) && has(names::EXCHANGE_TYPED),
            transform: has(names::TRANSFORM),
        };
        check_exports(&exports, kinds)?;
        Ok(Self {
            sha256: hexadecimal(&Sha256::digest(bytes)),
            size: bytes.len() as u64,
            component,
            imports,
            exports,
            kinds,
        })
    }

    /// The grants that the imports ask for.
    pub(crate) fn grants_wanted(&self) -> Result<Vec<Grant>, LoadError> {
        let mut wanted = Vec::new();
        for name in &self.imports {
            if let Some(Import::Grant(grant)) = names::import(name)? {
                wanted.push(grant);
            }
        }
        Ok(wanted)
    }
}

impl Code {
    /// Links a component with what the operator grants.
    pub(crate) fn link(
        engine: &Engine,
        compiled: Compiled,
        spec: &PluginSpec,
    ) -> Result<Self, LoadError> {
        let mut linker = Linker::new(engine);
        let mut ungranted = Vec::new();
        let mut unknown = Vec::new();
        let ty = compiled.component.component_type();
        for (name, item) in ty.imports(engine) {
            let ComponentItem::ComponentInstance(instance) = item.ty else {
                unknown.push(name.to_owned());
                continue;
            };
            let place = linker.instance(name).map_err(|error| mismatch(&error));
            match names::import(name)? {
                Some(Import::Types) => {}
                Some(Import::Grant(grant)) if !spec.grants.contains(&grant) => {
                    ungranted.push((name.to_owned(), grant));
                }
                Some(Import::Grant(grant)) => {
                    grants::link(grant, place?).map_err(|error| mismatch(&error))?;
                }
                Some(Import::Wasi(interface)) => {
                    let exports = instance.exports(engine).map(|(name, item)| (name, item.ty));
                    wasi::link(interface, exports, &mut place?)
                        .map_err(|error| mismatch(&error))?;
                }
                None => unknown.push(name.to_owned()),
            }
        }
        if !unknown.is_empty() {
            return Err(LoadError::UnknownImports(unknown));
        }
        if !ungranted.is_empty() {
            return Err(LoadError::Ungranted(ungranted));
        }
        let pre = linker
            .instantiate_pre(&compiled.component)
            .map_err(|error| mismatch(&error))?;
        let functions = Functions::find(&compiled)?;
        Ok(Self {
            compiled,
            pre,
            functions,
        })
    }
}

impl Functions {
    fn find(compiled: &Compiled) -> Result<Self, LoadError> {
        let find = |interface: &str, function: &str| {
            let name = find(&compiled.exports, interface)?;
            let instance = compiled.component.get_export_index(None, name)?;
            compiled
                .component
                .get_export_index(Some(&instance), function)
        };
        let must = |interface: &str, function: &str| {
            find(interface, function).ok_or_else(|| {
                LoadError::Exports(format!("its {interface} has no function '{function}'"))
            })
        };
        let if_any = |is_there, interface: &str, function: &str| {
            if is_there {
                must(interface, function).map(Some)
            } else {
                Ok(None)
            }
        };
        let kinds = compiled.kinds;
        let exchange = if kinds.exchange() {
            Some(ExchangeFunctions {
                create: must(names::EXCHANGE, "create")?,
                delete: must(names::EXCHANGE, "delete")?,
                rebind: must(names::EXCHANGE, "rebind")?,
            })
        } else {
            None
        };
        Ok(Self {
            describe: must(names::PLUGIN, "describe")?,
            exchange,
            route_packed: if_any(kinds.exchange_packed, names::EXCHANGE_PACKED, "route")?,
            route_typed: if_any(kinds.exchange_typed, names::EXCHANGE_TYPED, "route")?,
            apply: if_any(kinds.transform, names::TRANSFORM, "apply")?,
        })
    }
}

pub(crate) fn mismatch(error: &wasmtime::Error) -> LoadError {
    LoadError::Mismatch(format!("{error:#}"))
}

/// The export of an interface, in whichever version of the package that links.
fn find<'a>(exports: &'a [String], interface: &str) -> Option<&'a str> {
    let wanted = Interface::parse(interface);
    let mut exports = exports.iter().map(String::as_str);
    exports.find(|export| {
        let export = Interface::parse(export);
        (export.package, export.name) == (wanted.package, wanted.name)
    })
}

fn check_magic(bytes: &[u8]) -> Result<(), LoadError> {
    let text = match bytes {
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            "it is a core module; a component is made of it with `wasm-tools component new`, or by the SDK's build"
        }
        [0, b'a', b's', b'm', ..] => "it is of a version that this broker does not know",
        [] => "it is empty",
        [b'(', ..] => "it is text, and has to be assembled first",
        _ => "it does not begin as WebAssembly does",
    };
    Err(LoadError::NotAComponent(text.to_owned()))
}

fn check_exports(exports: &[String], kinds: Kinds) -> Result<(), LoadError> {
    let has = |interface| find(exports, interface).is_some();
    let text = if !has(names::PLUGIN) {
        format!("the component does not export {}", names::PLUGIN)
    } else if !kinds.exchange() && !kinds.transform {
        let (exchange, packed, typed) = (
            names::EXCHANGE,
            names::EXCHANGE_PACKED,
            names::EXCHANGE_TYPED,
        );
        format!(
            "the component supplies nothing: a transform exports {}, and a type of exchange {exchange} and one of {packed} and {typed}",
            names::TRANSFORM
        )
    } else {
        return Ok(());
    };
    Err(LoadError::Exports(text))
}
