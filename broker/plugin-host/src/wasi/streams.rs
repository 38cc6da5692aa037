//! Streams that lead nowhere, and waiting that is over at once.

use std::collections::VecDeque;

use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource};

use crate::state::State;

/// Bytes of standard error that are kept, for the explanation of a trap.
const WORDS_MAX: usize = 1024;

/// Bytes that a guest may write at once, which is only a proposal to it.
const WRITE_MAX: u64 = 64 << 10;

/// Something to wait for. It is always ready: a guest that waited would be out of reach of its deadline.
#[derive(Debug)]
pub(super) enum Pollable {}

/// A stream without any content.
#[derive(Debug)]
pub(super) enum InputStream {}

/// A stream that takes everything. Its number says which it is.
#[derive(Debug)]
pub(super) enum OutputStream {}

/// An error of a stream, of which there is none.
#[derive(Debug)]
pub(super) enum IoError {}

#[derive(Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

/// The end of what was written to standard error.
#[derive(Debug, Default)]
pub(crate) struct Words(VecDeque<u8>);

impl Words {
    pub(super) fn take(&mut self) -> Option<String> {
        let bytes: Vec<u8> = self.0.drain(..).collect();
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn push(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(WORDS_MAX);
        let surplus = (self.0.len() + kept).saturating_sub(WORDS_MAX);
        self.0.drain(..surplus);
        self.0.extend(bytes.iter().skip(bytes.len() - kept));
    }
}

const STDERR: u32 = 2;

pub(super) fn stdin() -> Resource<InputStream> {
    Resource::new_own(0)
}

pub(super) fn stdout() -> Resource<OutputStream> {
    Resource::new_own(1)
}

pub(super) fn stderr() -> Resource<OutputStream> {
    Resource::new_own(STDERR)
}

pub(super) fn pollable() -> Resource<Pollable> {
    Resource::new_own(0)
}

pub(super) fn link(name: &str, linker: &mut LinkerInstance<'_, State>) -> wasmtime::Result<bool> {
    match name {
        "[method]error.to-debug-string" => {
            linker.func_wrap(name, |_, (_,): (Resource<IoError>,)| Ok((String::new(),)))?;
        }
        "[method]pollable.ready" => {
            linker.func_wrap(name, |_, (_,): (Resource<Pollable>,)| Ok((true,)))?;
        }
        "[method]pollable.block" => {
            linker.func_wrap(name, |_, (_,): (Resource<Pollable>,)| Ok(()))?;
        }
        "poll" => linker.func_wrap(name, |_, (waiting,): (Vec<Resource<Pollable>>,)| {
            let ready: Vec<u32> = (0..).take(waiting.len()).collect();
            Ok((ready,))
        })?,
        _ => return Ok(input(name, linker)? || output(name, linker)?),
    }
    Ok(true)
}

fn input(name: &str, linker: &mut LinkerInstance<'_, State>) -> wasmtime::Result<bool> {
    type Asked = (Resource<InputStream>, u64);
    match name {
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => {
            linker.func_wrap(name, |_, _: Asked| {
                Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
            })?;
        }
        "[method]input-stream.skip" | "[method]input-stream.blocking-skip" => {
            linker.func_wrap(name, |_, _: Asked| {
                Ok((Err::<u64, _>(StreamError::Closed),))
            })?;
        }
        "[method]input-stream.subscribe" => {
            linker.func_wrap(name, |_, (_,): (Resource<InputStream>,)| Ok((pollable(),)))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn output(name: &str, linker: &mut LinkerInstance<'_, State>) -> wasmtime::Result<bool> {
    type Stream = Resource<OutputStream>;
    match name {
        "[method]output-stream.check-write" => linker.func_wrap(name, |_, (_,): (Stream,)| {
            Ok((Ok::<_, StreamError>(WRITE_MAX),))
        })?,
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            linker.func_wrap(name, |mut store, (stream, bytes): (Stream, Vec<u8>)| {
                if stream.rep() == STDERR {
                    store.data_mut().wasi.words.push(&bytes);
                }
                Ok((Ok::<_, StreamError>(()),))
            })?;
        }
        "[method]output-stream.write-zeroes"
        | "[method]output-stream.blocking-write-zeroes-and-flush" => {
            linker.func_wrap(name, |_, (_, _): (Stream, u64)| {
                Ok((Ok::<_, StreamError>(()),))
            })?;
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            linker.func_wrap(name, |_, (_,): (Stream,)| Ok((Ok::<_, StreamError>(()),)))?;
        }
        "[method]output-stream.splice" | "[method]output-stream.blocking-splice" => {
            linker.func_wrap(
                name,
                |_, (_, _, _): (Stream, Resource<InputStream>, u64)| {
                    Ok((Err::<u64, _>(StreamError::Closed),))
                },
            )?;
        }
        "[method]output-stream.subscribe" => {
            linker.func_wrap(name, |_, (_,): (Stream,)| Ok((pollable(),)))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn the_last_words_are_kept() {
        let mut words = Words::default();
        assert_eq!(words.take(), None);
        words.push(&[b'a'; 2000]);
        words.push(b"end");
        let kept = words.take().expect("some");
        assert_eq!(kept.len(), 1024);
        assert!(kept.ends_with("aend"));
        assert_eq!(words.take(), None);
    }
}
