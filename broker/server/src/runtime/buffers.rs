//! Bytes on their way to a socket: one flat buffer, and large bodies that are shared rather than copied into it.
//!
//! A connection keeps a small flat buffer. A large one is its own only while there is something in it, and then serves whoever this thread writes to
//! next: so it is still in the processor's cache, and a thousand connections need no more memory for having been busy once.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// Slices that one system call takes.
pub(super) const SLICES_MAX: usize = 64;

/// A flat buffer above this size is not kept for reuse.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// A connection keeps what is not larger for itself.
const OWN_BYTES_MAX: usize = 4 << 10;
/// What each thread keeps at most.
const SHELF_BYTES_MAX: usize = 8 << 20;

/// Large flat buffers that are empty, the one on top written last.
#[derive(Debug, Default)]
struct Shelf {
    flats: Vec<Vec<u8>>,
    bytes: usize,
}

impl Shelf {
    fn put(&mut self, flat: Vec<u8>) {
        let bytes = self.bytes + flat.capacity();
        if flat.capacity() <= KEPT_BYTES_MAX && bytes <= SHELF_BYTES_MAX {
            self.bytes = bytes;
            self.flats.push(flat);
        }
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        let flat = self.flats.pop()?;
        self.bytes -= flat.capacity();
        Some(flat)
    }
}

thread_local! {
    static SHELF: RefCell<Shelf> = RefCell::default();
}

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

    /// Expects much, and takes a large buffer for it if there is one and nothing is written yet.
    #[inline]
    pub(super) fn grow(&mut self) {
        if self.flat.is_empty()
            && self.flat.capacity() <= OWN_BYTES_MAX
            && let Some(flat) = SHELF.with_borrow_mut(Shelf::take)
        {
            self.flat = flat;
        }
    }

    /// Ready to be filled again.
    pub(super) fn recycled(mut self) -> Self {
        self.flat.clear();
        self.shared.clear();
        self.flat_written = 0;
        if self.flat.capacity() > OWN_BYTES_MAX {
            let flat = std::mem::take(&mut self.flat);
            SHELF.with_borrow_mut(|shelf| shelf.put(flat));
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

    fn written(bytes: usize) -> Buffers {
        let mut buffers = Buffers::default();
        buffers.grow();
        buffers.flat.resize(bytes, 7);
        buffers.advance(bytes);
        buffers.recycled()
    }

    #[test]
    fn a_large_buffer_serves_who_writes_next() {
        let idle = written(2 * OWN_BYTES_MAX);
        assert_eq!(idle.flat.capacity(), 0);
        let mut next = Buffers::default();
        next.grow();
        assert!(next.is_empty() && next.flat.capacity() >= 2 * OWN_BYTES_MAX);
        // What is in a buffer stays there, and what is small goes to nobody else.
        drop(next.recycled());
        let mut filled = Buffers::default();
        filled.flat.push(1);
        filled.grow();
        assert!(filled.flat.capacity() <= OWN_BYTES_MAX);
        let own = filled.recycled();
        assert!(own.flat.capacity() > 0 && own.is_empty());
    }

    #[test]
    fn a_thread_keeps_so_much_and_nothing_that_is_too_large() {
        for _ in 0..2 * SHELF_BYTES_MAX / KEPT_BYTES_MAX {
            let buffers = Buffers {
                flat: Vec::with_capacity(KEPT_BYTES_MAX),
                ..Buffers::default()
            };
            buffers.recycled();
        }
        SHELF.with_borrow(|shelf| assert_eq!(shelf.bytes, SHELF_BYTES_MAX));
        while SHELF.with_borrow_mut(Shelf::take).is_some() {}
        written(2 * KEPT_BYTES_MAX);
        SHELF.with_borrow(|shelf| assert_eq!((shelf.bytes, shelf.flats.len()), (0, 0)));
    }
}
