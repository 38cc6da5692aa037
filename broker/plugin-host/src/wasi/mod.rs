//! The empty world that language runtimes live in: WASI 0.2 without files, sockets, environment or a terminal.
//!
//! It is made here and not taken from `wasmtime-wasi`, whose functions wait on an asynchronous runtime: they panic on a thread that
//! already serves one, and a guest that sleeps there is out of reach of its deadline. Here nothing ever waits. What there is works
//! (streams that lead nowhere, clocks, numbers); what there is not, such as opening a socket, ends the call with a text that names it.

mod clocks;
mod numbers;
mod streams;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{LinkerInstance, Resource, ResourceType};

pub(crate) use self::numbers::Numbers;
pub(crate) use self::streams::Words;
use self::streams::{InputStream, IoError, OutputStream, Pollable};
use crate::contract::names::Interface;
use crate::fault::Denied;
use crate::state::State;

/// A resource that never exists.
#[derive(Debug)]
enum Absent {}

/// What an instance has of this world.
#[derive(Debug, Default)]
pub(crate) struct Wasi {
    words: Words,
    numbers: Numbers,
    /// Nanoseconds that have passed in a world without a clock.
    pretended_ns: u64,
}

impl Wasi {
    /// A call begins: what was said in another explains nothing of this one.
    pub(crate) fn begin(&mut self) {
        self.words.clear();
    }

    /// The end of what the guest wrote to its standard error.
    pub(crate) fn last_words(&mut self) -> Option<String> {
        self.words.take()
    }
}

/// Supplies an import of WASI.
pub(crate) fn link<'a>(
    interface: Interface<'_>,
    exports: impl Iterator<Item = (&'a str, ComponentItem)>,
    linker: &mut LinkerInstance<'_, State>,
) -> wasmtime::Result<()> {
    for (name, item) in exports {
        match item {
            ComponentItem::ComponentFunc(_) if !supplied(interface, name, linker)? => {
                deny(interface, name, linker)?;
            }
            ComponentItem::Resource(_) => {
                linker.resource(name, resource(name), |_, _| Ok(()))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Resources have the same name wherever they are used.
fn resource(name: &str) -> ResourceType {
    match name {
        "pollable" => ResourceType::host::<Pollable>(),
        "input-stream" => ResourceType::host::<InputStream>(),
        "output-stream" => ResourceType::host::<OutputStream>(),
        "error" => ResourceType::host::<IoError>(),
        _ => ResourceType::host::<Absent>(),
    }
}

fn supplied(
    interface: Interface<'_>,
    name: &str,
    linker: &mut LinkerInstance<'_, State>,
) -> wasmtime::Result<bool> {
    match interface.package {
        "wasi:cli" => command_line(interface.name, name, linker),
        "wasi:io" => streams::link(name, linker),
        "wasi:clocks" => clocks::link(interface.name, name, linker),
        "wasi:random" => numbers::link(name, linker),
        "wasi:filesystem" if name == "get-directories" => linker
            .func_wrap(name, |_, (): ()| {
                Ok((Vec::<(Resource<Absent>, String)>::new(),))
            })
            .map(|()| true),
        _ => Ok(false),
    }
}

fn command_line(
    interface: &str,
    name: &str,
    linker: &mut LinkerInstance<'_, State>,
) -> wasmtime::Result<bool> {
    match name {
        "get-environment" => {
            linker.func_wrap(name, |_, (): ()| Ok((Vec::<(String, String)>::new(),)))?;
        }
        "get-arguments" => linker.func_wrap(name, |_, (): ()| Ok((Vec::<String>::new(),)))?,
        "initial-cwd" => linker.func_wrap(name, |_, (): ()| Ok((None::<String>,)))?,
        "exit" if interface == "exit" => {
            linker.func_wrap(name, |_, (_,): (Result<(), ()>,)| -> wasmtime::Result<()> {
                Err(Denied("it called exit".to_owned()).into())
            })?;
        }
        "get-stdin" => linker.func_wrap(name, |_, (): ()| Ok((streams::stdin(),)))?,
        "get-stdout" => linker.func_wrap(name, |_, (): ()| Ok((streams::stdout(),)))?,
        "get-stderr" => linker.func_wrap(name, |_, (): ()| Ok((streams::stderr(),)))?,
        "get-terminal-stdin" | "get-terminal-stdout" | "get-terminal-stderr" => {
            linker.func_wrap(name, |_, (): ()| Ok((None::<Resource<Absent>>,)))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Lets a call end that would need what is not there.
fn deny(
    interface: Interface<'_>,
    name: &str,
    linker: &mut LinkerInstance<'_, State>,
) -> wasmtime::Result<()> {
    let full = format!("{}/{}.{name}", interface.package, interface.name);
    linker.func_new(name, move |_, _, _, _| {
        Err(Denied(format!("it called {full}, and plugins have no such thing")).into())
    })
}
