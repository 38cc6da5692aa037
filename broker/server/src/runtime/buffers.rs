//! Bytes on their way to a socket: one flat buffer, and large bodies that are shared rather than copied into it.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// Slices that one system call takes.
pub(super) const SLICES_MAX: usize = 64;

/// A flat buffer above this size is not kept for reuse.
const KEPT_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) flat: Vec<u8>,
    /// Each body follows the flat bytes below its mark.
    shared: VecDeque<(usize, Bytes)>,
    flat_written: usize,
}

impl Buffers {
    pub(super) fn is_empty(&self) -> bool {
        self.flat_written == self.flat.len() && self.shared.is_empty()
    }

    /// Appends a body without copying it.
    pub(super) fn share(&mut self, body: Bytes) {
        if !body.is_empty() {
            self.shared.push_back((self.flat.len(), body));
        }
    }

    /// The bytes that are written next, as far as one system call takes them.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let mut at = self.flat_written;
        let mut count = 0;
        for (mark, body) in &self.shared {
            if count + 3 > SLICES_MAX {
                return count;
            }
            if let Some(flat) = self.flat.get(at..*mark).filter(|flat| !flat.is_empty()) {
                slices[count] = IoSlice::new(flat);
                count += 1;
            }
            slices[count] = IoSlice::new(body);
            count += 1;
            at = *mark;
        }
        if let Some(flat) = self.flat.get(at..).filter(|flat| !flat.is_empty()) {
            slices[count] = IoSlice::new(flat);
            count += 1;
        }
        count
    }

    /// Takes note of `written` bytes.
    pub(super) fn advance(&mut self, mut written: usize) {
        while let Some((mark, body)) = self.shared.front_mut() {
            let flat = *mark - self.flat_written;
            if written < flat {
                break;
            }
            self.flat_written = *mark;
            written -= flat;
            if written < body.len() {
                bytes::Buf::advance(body, written);
                return;
            }
            written -= body.len();
            self.shared.pop_front();
        }
        self.flat_written += written;
    }

    /// Ready to be filled again, with the memory that it has unless that is too much.
    pub(super) fn recycled(mut self) -> Self {
        self.flat.clear();
        self.shared.clear();
        self.flat_written = 0;
        if self.flat.capacity() > KEPT_BYTES_MAX {
            self.flat = Vec::new();
        }
        self
    }
}

#[cfg(test)]
impl Buffers {
    /// All that there is to be written.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        let mut written = Vec::new();
        while !self.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.slices(&mut slices);
            let before = written.len();
            for slice in &slices[..count] {
                written.extend_from_slice(slice);
            }
            self.advance(written.len() - before);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_split_of_the_writes_gives_the_same_bytes() {
        for step in 1..40 {
            let mut buffers = Buffers::default();
            buffers.flat.extend_from_slice(b"head");
            buffers.share(Bytes::from_static(b"SHARED"));
            buffers.share(Bytes::from_static(b"TWICE"));
            buffers.flat.extend_from_slice(b"middle");
            buffers.share(Bytes::new());
            buffers.share(Bytes::from_static(b"LAST"));
            let mut written = Vec::new();
            while !buffers.is_empty() {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                let count = buffers.slices(&mut slices);
                let all: Vec<u8> = slices[..count]
                    .iter()
                    .flat_map(|slice| slice.to_vec())
                    .collect();
                let taken = step.min(all.len());
                written.extend_from_slice(&all[..taken]);
                buffers.advance(taken);
            }
            assert_eq!(written, b"headSHAREDTWICEmiddleLAST");
        }
    }
}
