//! What a connection has read and not dealt with yet, and how much it may read at a time.
//!
//! A connection deals with all that one read brings before it looks whether there is more, and goes on for as long as there is, but not longer than
//! tokio's budget lets it. When many have more to say than that, whoever has a single message would wait for all of them. So the many share what
//! a few may read at a time, and take turns: as many as there are threads are ready, and the others wait in a line of their own.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A quiet connection has this much room for input.
const SIZE_MIN: usize = 4 << 10;
/// A busy one gets this much.
pub(super) const SIZE_MAX: usize = 256 << 10;
/// However many are busy, each may read this much at a time: smaller reads would cost more than they bring.
pub(super) const SHARE_MIN: usize = 8 << 10;

/// The connections of a broker, as far as they take turns in reading.
#[derive(Debug)]
pub(super) struct Readers {
    /// Threads that serve connections.
    threads: usize,
    /// Connections whose last read brought as much as it could.
    greedy: AtomicUsize,
    /// One for each thread.
    turns: Semaphore,
}

impl Readers {
    /// Those that are served by this runtime's threads.
    pub(super) fn of(runtime: &Handle) -> Arc<Self> {
        Arc::new(Self::new(runtime.metrics().num_workers()))
    }

    fn new(threads: usize) -> Self {
        Self {
            threads,
            greedy: AtomicUsize::new(0),
            turns: Semaphore::new(threads),
        }
    }

    /// Waits until it is the turn of one of the greedy ones, who gives it back when it has read. Others who are ready come before.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        match self.turns.try_acquire() {
            Ok(turn) => {
                let_others_go().await;
                Some(turn)
            }
            // It is never closed.
            Err(_) => self.turns.acquire().await.ok(),
        }
    }

    /// How much each may read at a time: as much as it likes, unless more are greedy than there are threads.
    fn share(&self) -> usize {
        let greedy = self.greedy.load(Ordering::Relaxed).max(1);
        (SIZE_MAX * self.threads / greedy).clamp(SHARE_MIN, SIZE_MAX)
    }
}

/// Goes to the end of the thread's line of tasks. Unlike what tokio's `yield_now` does, another thread that is idle may take it from there.
pub(super) async fn let_others_go() {
    let mut waited = false;
    poll_fn(|context| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The buffer that a connection reads into.
#[derive(Debug)]
pub(super) struct Input {
    readers: Arc<Readers>,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// How much the next read may bring.
    room: usize,
    /// How much the last one brought.
    brought: usize,
    is_greedy: bool,
    in_line: bool,
}

impl Input {
    pub(super) fn new(readers: Arc<Readers>) -> Self {
        Self {
            readers,
            bytes: Vec::new(),
            start: 0,
            end: 0,
            room: 0,
            brought: 0,
            is_greedy: false,
            in_line: false,
        }
    }

    /// Room behind what is there: the reader's share, and more only if `wanted` bytes in all need it.
    pub(super) fn room(&mut self, wanted: usize) -> &mut [u8] {
        let rest = self.end - self.start;
        let wanted = wanted.max(rest + 1);
        let size = wanted.max(SIZE_MIN);
        if self.start > 0 && (self.bytes.len() - self.start < size || self.end == self.bytes.len())
        {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, rest);
        }
        if self.bytes.len() < size {
            self.bytes.resize(size, 0);
        }
        let free = self.bytes.len() - self.end;
        self.room = self.readers.share().max(wanted - rest).min(free);
        &mut self.bytes[self.end..self.end + self.room]
    }

    /// Where a turn is to be taken, if this is one of so many that no thread would be left. Whoever was called out of the line, as for a heartbeat,
    /// reads without another one: it might never come to its end.
    pub(super) fn line_up(&mut self) -> Option<Arc<Readers>> {
        let greedy = self.readers.greedy.load(Ordering::Relaxed);
        let many = self.is_greedy && greedy >= self.readers.threads;
        self.in_line = many && !self.in_line;
        self.in_line.then(|| Arc::clone(&self.readers))
    }

    pub(super) fn leave_line(&mut self) {
        self.in_line = false;
    }

    /// Whether it waits for its turn, and the client may have said more than was read.
    pub(super) fn is_in_line(&self) -> bool {
        self.in_line
    }

    /// Takes note that a read brought so many bytes into the room.
    pub(super) fn add(&mut self, count: usize) {
        self.be_greedy(count == self.room);
        self.end += count;
        self.brought = count;
    }

    /// What was read and not taken.
    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Lets go of what was dealt with. A buffer grows while reads bring all that they can, and one that is hardly used goes back to its least size.
    pub(super) fn take(&mut self, used: usize) {
        self.start += used;
        let size = self.bytes.len();
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if size > SIZE_MIN && self.brought < SIZE_MIN / 4 {
                self.bytes = Vec::new();
                return;
            }
        }
        let share = self.readers.share();
        if self.is_greedy && size < share {
            self.bytes.resize((size * 4).min(share), 0);
        }
    }

    /// Nothing more comes for now.
    pub(super) fn pause(&mut self) {
        self.be_greedy(false);
        self.rest();
    }

    /// Nothing is read for a moment. An empty buffer, unless it is a busy one's, need not wait for what comes next. Those who were greedy still
    /// are: all who are slowed for the same reason may go on at the same time.
    pub(super) fn rest(&mut self) {
        if self.start == self.end && self.bytes.len() <= SIZE_MIN {
            self.bytes = Vec::new();
        }
    }

    fn be_greedy(&mut self, is_greedy: bool) {
        if is_greedy != self.is_greedy {
            self.is_greedy = is_greedy;
            if is_greedy {
                self.readers.greedy.fetch_add(1, Ordering::Relaxed);
            } else {
                self.readers.greedy.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.be_greedy(false);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;

    /// Reads as much as there is room for, and deals with it.
    fn fill(input: &mut Input, wanted: usize) -> usize {
        let count = input.room(wanted).len();
        input.add(count);
        input.take(count);
        count
    }

    fn last_of_many(input: &mut Input) -> usize {
        (0..8).map(|_| fill(input, 0)).last().unwrap_or_default()
    }

    #[test]
    fn one_that_has_much_to_say_reads_more_and_more() {
        let mut input = Input::new(Arc::new(Readers::new(2)));
        let counts: Vec<_> = (0..5).map(|_| fill(&mut input, 0)).collect();
        assert_eq!(counts, [4 << 10, 16 << 10, 64 << 10, SIZE_MAX, SIZE_MAX]);
    }

    #[test]
    fn many_share_what_a_few_may_read() {
        let readers = Arc::new(Readers::new(2));
        let mut inputs: Vec<_> = (0..100).map(|_| Input::new(Arc::clone(&readers))).collect();
        for input in &mut inputs {
            last_of_many(input);
        }
        let counts: Vec<_> = inputs.iter_mut().map(|input| fill(input, 0)).collect();
        assert_eq!(counts, [SHARE_MIN; 100]);
        // Those that pause, hang up or read less than they could leave theirs to the others.
        inputs.truncate(40);
        for input in &mut inputs[..20] {
            input.pause();
        }
        for input in &mut inputs[20..36] {
            input.room(0);
            input.add(1);
            input.take(1);
        }
        assert_eq!(last_of_many(&mut inputs[39]), SIZE_MAX * 2 / 4);
        drop(inputs);
        assert_eq!(readers.greedy.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn who_has_little_to_say_does_not_wait_for_all_who_take_turns() {
        const MANY: usize = 50;
        const ROUNDS: usize = 20;
        let readers = Arc::new(Readers::new(2));
        let taken = Arc::new(AtomicUsize::new(0));
        let called = Arc::new(Notify::new());
        let waiting = tokio::spawn({
            let (taken, called) = (Arc::clone(&taken), Arc::clone(&called));
            async move {
                called.notified().await;
                taken.load(Ordering::Relaxed)
            }
        });
        let greedy = (0..MANY).map(|_| {
            let (readers, taken, called) = (
                Arc::clone(&readers),
                Arc::clone(&taken),
                Arc::clone(&called),
            );
            tokio::spawn(async move {
                let mut own = 0;
                while taken.load(Ordering::Relaxed) < ROUNDS * MANY {
                    drop(readers.turn().await);
                    own += 1;
                    if taken.fetch_add(1, Ordering::Relaxed) == MANY {
                        called.notify_one();
                    }
                }
                own
            })
        });
        let greedy: Vec<_> = greedy.collect();
        let seen = waiting.await.unwrap_or_default();
        assert!((MANY..MANY + 5).contains(&seen), "after {seen} turns");
        for task in greedy {
            let own = task.await.unwrap_or_default();
            assert!((ROUNDS - 1..=ROUNDS + 1).contains(&own), "{own} turns");
        }
    }

    #[test]
    fn what_is_larger_than_the_share_is_read_all_the_same() {
        let readers = Arc::new(Readers::new(1));
        readers.greedy.store(1000, Ordering::Relaxed);
        let mut input = Input::new(readers);
        assert_eq!(fill(&mut input, 0), SIZE_MIN);
        assert_eq!(fill(&mut input, 100_000), 100_000);
        assert_eq!(fill(&mut input, 0), SHARE_MIN);
        // So is the rest of what is there in part.
        let room = input.room(0);
        room[0] = 7;
        input.add(1);
        input.take(0);
        assert_eq!(fill(&mut input, 50_000), 49_999);
    }

    #[test]
    fn who_was_called_out_of_the_line_reads_next() {
        let mut input = Input::new(Arc::new(Readers::new(1)));
        assert!(input.line_up().is_none());
        last_of_many(&mut input);
        assert!(input.line_up().is_some());
        input.leave_line();
        assert!(input.line_up().is_some() && input.is_in_line());
        assert!(input.line_up().is_none() && !input.is_in_line());
        assert!(input.line_up().is_some());
    }

    #[test]
    fn who_rests_is_still_one_of_many() {
        let readers = Arc::new(Readers::new(1));
        let mut input = Input::new(Arc::clone(&readers));
        last_of_many(&mut input);
        input.rest();
        assert_eq!(readers.greedy.load(Ordering::Relaxed), 1);
        input.pause();
        assert_eq!(readers.greedy.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn who_is_silent_has_no_buffer_and_loses_no_byte() {
        let mut input = Input::new(Arc::new(Readers::new(1)));
        input.room(0)[..3].copy_from_slice(b"abc");
        input.add(3);
        input.take(1);
        input.pause();
        assert_eq!(input.unread(), b"bc");
        input.take(2);
        input.pause();
        assert_eq!(input.bytes.capacity(), 0);
    }
}
