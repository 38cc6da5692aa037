//! What a connection has read and not dealt with yet, and how much it may read at a time.
//!
//! A connection deals with all that one read brings before it looks whether there is more, and goes on for as long as there is, but not longer than
//! tokio's budget lets it. When many have more to say than that, whoever has a single message would wait for all of them. So the many take turns: as
//! many as there are threads are ready, and the others wait in a line of their own. So do those that are used to get much, when they have waited for
//! their clients and are woken, or may go on after they were slowed: it may be that all are at once, as when the group is durable that their next messages
//! had to wait for. While somebody is heard who says little, they also share what
//! a few may read at a time. A small read costs as much as a large one, so they do not when they are among themselves. Each takes a large buffer
//! until what its turn has brought is dealt with, and leaves it to the next one. So it is still in the processor's cache, and there are as many as
//! there are threads, and those with half a frame that is large.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::pressure::BRAKE_MAX;

/// A quiet connection has this much room for input.
const SIZE_MIN: usize = 4 << 10;
/// A busy one gets this much.
pub(super) const SIZE_MAX: usize = 256 << 10;
/// However many are busy, each may read this much at a time: smaller reads would cost more than they bring.
pub(super) const SHARE_MIN: usize = 8 << 10;
/// This much if nobody waits for them.
const LONG_SHARE_MIN: usize = 32 << 10;
/// Together they read this much, unless there are so many that the least share of each is more: those who consume it may be slow.
const TOGETHER_MAX: usize = 32 << 20;
/// One of many that has more than this left from its turn keeps the buffer: to move that would be work and save little.
const LEFT_MAX: usize = SIZE_MAX / 4;
/// Buffers that a thread keeps for the next turns.
const SHELF_LEN: usize = 2;
/// After somebody has said little, the many hold back for so many turns, in case that more follows. That is about a tenth of a second.
const SHORT_TURNS: u32 = 4_000;
/// A frame without a payload. Nobody waits for an answer to a heartbeat.
const HEARTBEAT: usize = 8;

/// Whether so many bytes in that time are less than anybody may send with a pause before each read.
pub(super) fn is_little(bytes: usize, time: Duration) -> bool {
    bytes as u128 * BRAKE_MAX.as_micros() < SHARE_MIN as u128 * time.as_micros()
}

thread_local! {
    /// Buffers of the largest size for whoever has its turn next.
    static SHELF: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// The connections of a broker, as far as they take turns in reading.
#[derive(Debug)]
pub(super) struct Readers {
    /// Threads that serve connections.
    threads: usize,
    /// Connections whose last read brought as much as it could.
    greedy: AtomicUsize,
    /// Connections that are used to get much at a time, however long they have been silent.
    eager: AtomicUsize,
    /// One for each thread.
    turns: Semaphore,
    /// How many more turns are short.
    short_turns: AtomicU32,
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
            eager: AtomicUsize::new(0),
            turns: Semaphore::new(threads),
            short_turns: AtomicU32::new(0),
        }
    }

    /// Waits until it is the turn of one of the greedy ones, who gives it back when it has read. Others who are ready come before: also when the turn is
    /// handed over, which would otherwise go on for as long as there is a line.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        let short = self.short_turns.load(Ordering::Relaxed);
        if short > 0 {
            // If it has changed, another thread has counted its turn, or they begin anew.
            let _ = self.short_turns.compare_exchange(
                short,
                short - 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
        // It is never closed.
        let turn = self.turns.acquire().await.ok();
        let_others_go().await;
        turn
    }

    /// Whether more are greedy than there are threads.
    fn are_many(&self) -> bool {
        self.greedy.load(Ordering::Relaxed) > self.threads
    }

    /// Takes note that somebody said little.
    fn hold_back(&self) {
        if self.are_many() {
            self.short_turns.store(SHORT_TURNS, Ordering::Relaxed);
        }
    }

    /// How much each may read at a time: what all may together, divided among those who are greedy.
    fn share(&self, is_slowed: bool) -> usize {
        let greedy = self.greedy.load(Ordering::Relaxed).max(1);
        if is_slowed || self.short_turns.load(Ordering::Relaxed) > 0 {
            (SIZE_MAX * self.threads / greedy).clamp(SHARE_MIN, SIZE_MAX)
        } else {
            (TOGETHER_MAX / greedy).clamp(LONG_SHARE_MIN, SIZE_MAX)
        }
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
    /// How much came since there was nothing more to be read.
    burst: usize,
    /// How much that was lately: half as much counts each time.
    usual_burst: usize,
    /// When it last ended, for an eager one.
    silent_since: Instant,
    is_eager: bool,
    is_greedy: bool,
    in_line: bool,
    /// It has waited because it sends more than others can take.
    is_slowed: bool,
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
            burst: 0,
            usual_burst: 0,
            silent_since: Instant::now(),
            is_eager: false,
            is_greedy: false,
            in_line: false,
            is_slowed: false,
        }
    }

    /// Room behind what is there: the reader's share, and more only if `wanted` bytes in all need it.
    pub(super) fn room(&mut self, wanted: usize) -> &mut [u8] {
        let is_busy = self.is_greedy || self.brought >= SIZE_MIN;
        if is_busy && self.bytes.len() < SIZE_MAX && self.readers.are_many() {
            let large = SHELF.with_borrow_mut(Vec::pop);
            self.move_to(large.unwrap_or_else(|| vec![0; SIZE_MAX]));
        }
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
        self.room = self.share().max(wanted - rest).min(free);
        &mut self.bytes[self.end..self.end + self.room]
    }

    /// Where a turn is to be taken, if this is one of so many that no thread would be left. Whoever was called out of the line, as for a heartbeat,
    /// reads without another one: it might never come to its end.
    pub(super) fn line_up(&mut self) -> Option<Arc<Readers>> {
        if self.is_slowed && self.is_one_of_many_eager() {
            self.be_greedy(true);
        }
        let greedy = self.readers.greedy.load(Ordering::Relaxed);
        let many = self.is_greedy && greedy >= self.readers.threads;
        self.in_line = many && !self.in_line;
        self.in_line.then(|| Arc::clone(&self.readers))
    }

    /// Where a turn is to be taken by one that has waited for its client and is woken, if it is one of many that are used to get much at a time, and has
    /// not waited for so long that it is little.
    pub(super) fn line_up_again(&mut self) -> Option<Arc<Readers>> {
        if !self.is_one_of_many_eager() {
            return None;
        }
        self.be_greedy(true);
        self.in_line = true;
        Some(Arc::clone(&self.readers))
    }

    /// Whether it is one of many that are used to get much at a time, and has not been silent for so long that it is little.
    fn is_one_of_many_eager(&self) -> bool {
        let are_many = || self.readers.eager.load(Ordering::Relaxed) > self.readers.threads;
        self.is_eager && are_many() && !self.is_modest(self.silent_since.elapsed())
    }

    /// Whether what it gets at a time is little for one that was silent so long.
    fn is_modest(&self, silent: Duration) -> bool {
        is_little(self.usual_burst, silent)
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
        let fills = count == self.room;
        self.be_greedy(fills);
        self.end += count;
        self.brought = count;
        self.burst += count;
        if !fills {
            self.end_burst();
        }
    }

    /// The client has said what it had to say. A busy one may say little now and then, when it was just emptied.
    fn end_burst(&mut self) {
        let burst = std::mem::take(&mut self.burst);
        self.usual_burst = burst.max(self.usual_burst / 2);
        self.be_eager(self.usual_burst >= SIZE_MIN);
        if self.is_eager {
            self.silent_since = Instant::now();
        } else if burst > HEARTBEAT {
            self.readers.hold_back();
        }
    }

    /// What was read and not taken.
    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Lets go of what was dealt with. A buffer grows while reads bring all that they can, and one that is hardly used goes back to its least size.
    pub(super) fn take(&mut self, used: usize) {
        self.start += used;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let size = self.bytes.len();
        if size > SIZE_MIN && self.readers.are_many() {
            self.give_back();
        } else if size > SIZE_MIN && self.end == 0 && self.brought < SIZE_MIN / 4 {
            self.bytes = Vec::new();
        } else if self.is_greedy {
            let share = self.share();
            if size < share {
                self.bytes.resize((size * 4).min(share), 0);
            }
        }
        self.is_slowed = false;
    }

    /// Leaves a large buffer to the next one, unless much is left in it.
    fn give_back(&mut self) {
        let left = self.end - self.start;
        if left > LEFT_MAX {
            return;
        }
        let own = if left > 0 {
            vec![0; left + SIZE_MIN]
        } else {
            Vec::new()
        };
        let large = self.move_to(own);
        if large.len() == SIZE_MAX {
            SHELF.with_borrow_mut(|shelf| {
                if shelf.len() < SHELF_LEN {
                    shelf.push(large);
                }
            });
        }
    }

    /// Returns the buffer that it had.
    fn move_to(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let unread = self.unread();
        let left = unread.len();
        bytes[..left].copy_from_slice(unread);
        (self.start, self.end) = (0, left);
        std::mem::replace(&mut self.bytes, bytes)
    }

    fn share(&self) -> usize {
        self.readers.share(self.is_slowed)
    }

    /// Nothing more comes for now.
    pub(super) fn pause(&mut self) {
        if self.bytes.len() > SIZE_MIN && self.readers.are_many() {
            self.give_back();
        }
        if self.burst > 0 {
            self.end_burst();
        }
        self.be_greedy(false);
        self.is_slowed = false;
        self.rest();
    }

    /// Nothing is read for a moment, because others cannot take as much as this one sends. It is still greedy if it was, and becomes greedy when it goes on
    /// if it is used to get much: all who are slowed for the same reason may go on at the same time.
    pub(super) fn slow(&mut self) {
        self.is_slowed = true;
        self.rest();
    }

    /// An empty buffer, unless it is a busy one's, need not wait for what comes next.
    fn rest(&mut self) {
        if self.start == self.end && self.bytes.len() <= SIZE_MIN {
            self.bytes = Vec::new();
        }
    }

    fn be_greedy(&mut self, is_greedy: bool) {
        if is_greedy != self.is_greedy {
            self.is_greedy = is_greedy;
            count(&self.readers.greedy, is_greedy);
        }
    }

    fn be_eager(&mut self, is_eager: bool) {
        if is_eager != self.is_eager {
            self.is_eager = is_eager;
            count(&self.readers.eager, is_eager);
        }
    }
}

/// One more, or one less.
fn count(counter: &AtomicUsize, is_one: bool) {
    if is_one {
        counter.fetch_add(1, Ordering::Relaxed);
    } else {
        counter.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.be_greedy(false);
        self.be_eager(false);
    }
}

#[cfg(test)]
impl Input {
    /// However long a test takes, it has not been silent for long.
    pub(super) fn stop_clock(&mut self) {
        self.silent_since += Duration::from_mins(1);
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

    /// As one that is quiet.
    fn say_little(readers: &Arc<Readers>, count: usize) {
        let mut input = Input::new(Arc::clone(readers));
        input.room(0);
        input.add(count);
        input.take(count);
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
        // Among themselves they do so for the memory's sake alone.
        assert_eq!(
            last_of_many(&mut inputs[0]),
            SIZE_MAX.min(TOGETHER_MAX / 100)
        );
        say_little(&readers, HEARTBEAT + 1);
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

    /// A thread runs at once what the task that it has just run has woken, and so on, which would go on for as long as there is a line.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn whoever_is_handed_a_turn_lets_others_go_first() {
        const MANY: usize = 50;
        const ROUNDS: usize = 100;
        let readers = Arc::new(Readers::new(1));
        let (taken, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        for _ in 0..MANY {
            let (readers, taken) = (Arc::clone(&readers), Arc::clone(&taken));
            let ended = Arc::clone(&ended);
            tokio::spawn(async move {
                let mut ended = std::pin::pin!(ended.notified());
                while !ended.as_mut().enable() {
                    drop(readers.turn().await);
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let others = tokio::spawn(async move {
            while taken.load(Ordering::Relaxed) < MANY {
                let_others_go().await;
            }
            let before = taken.load(Ordering::Relaxed);
            for _ in 0..ROUNDS {
                let_others_go().await;
            }
            ended.notify_waiters();
            taken.load(Ordering::Relaxed) - before
        });
        let turns = others.await.unwrap_or_default();
        assert!(
            (1..=ROUNDS + 5).contains(&turns),
            "{turns} turns in {ROUNDS}"
        );
    }

    #[test]
    fn what_is_larger_than_the_share_is_read_all_the_same() {
        let readers = Arc::new(Readers::new(1));
        readers.greedy.store(2000, Ordering::Relaxed);
        say_little(&readers, 100);
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
    fn who_was_woken_and_called_out_of_the_line_reads_next() {
        let readers = Arc::new(Readers::new(1));
        let mut inputs: Vec<_> = (0..2).map(|_| Input::new(Arc::clone(&readers))).collect();
        for input in &mut inputs {
            say(input, SHARE_MIN);
            input.stop_clock();
        }
        for input in &mut inputs {
            assert!(input.line_up_again().is_some() && input.is_in_line());
        }
        let input = &mut inputs[0];
        assert!(input.line_up().is_none() && !input.is_in_line());
        input.pause();
        assert_eq!(readers.greedy.load(Ordering::Relaxed), 1);
    }

    fn say(input: &mut Input, count: usize) {
        input.pause();
        input.room(count);
        input.add(count);
        input.take(count);
        input.pause();
    }

    #[test]
    fn who_has_said_much_lines_up_for_some_bursts_more() {
        let readers = Arc::new(Readers::new(2));
        let mut inputs: Vec<_> = (0..3).map(|_| Input::new(Arc::clone(&readers))).collect();
        let mut lines_up = |at: usize, count| {
            let input = &mut inputs[at];
            say(input, count);
            input.stop_clock();
            let lines_up = input.line_up_again().is_some();
            input.leave_line();
            lines_up
        };
        assert!(!lines_up(0, 8 * SIZE_MIN) && !lines_up(1, SIZE_MIN));
        assert!(!lines_up(2, SIZE_MIN - 1), "two of them are few");
        assert!(lines_up(2, 8 * SIZE_MIN) && lines_up(0, SIZE_MIN));
        let bursts = (0..10).take_while(|_| lines_up(2, 100)).count();
        assert_eq!(bursts, 3);
        assert!(!lines_up(0, SIZE_MIN), "they are few again");
        drop(inputs);
        assert_eq!(readers.eager.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn who_says_much_seldom_says_little() {
        let mut input = Input::new(Arc::new(Readers::new(2)));
        for count in [SHARE_MIN, 3 * SHARE_MIN] {
            say(&mut input, count);
            let pauses = u32::try_from(count / SHARE_MIN).unwrap_or_default();
            let enough = BRAKE_MAX * pauses;
            assert!(!input.is_modest(enough));
            assert!(input.is_modest(enough + Duration::from_micros(1)));
        }
    }

    #[test]
    fn who_is_slowed_is_still_one_of_many() {
        let readers = Arc::new(Readers::new(1));
        let mut input = Input::new(Arc::clone(&readers));
        last_of_many(&mut input);
        input.slow();
        assert_eq!(readers.greedy.load(Ordering::Relaxed), 1);
        input.pause();
        assert_eq!(readers.greedy.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn who_is_slowed_lines_up_if_many_are_used_to_get_much() {
        let readers = Arc::new(Readers::new(1));
        let mut inputs: Vec<_> = (0..2).map(|_| Input::new(Arc::clone(&readers))).collect();
        let mut lines_up = |at: usize, is_slowed| {
            let input: &mut Input = &mut inputs[at];
            say(input, SHARE_MIN);
            input.stop_clock();
            if is_slowed {
                input.slow();
            }
            let lines_up = input.line_up().is_some();
            input.leave_line();
            lines_up
        };
        assert!(!lines_up(0, true), "one is few");
        assert!(lines_up(1, true) && lines_up(0, true));
        assert!(!lines_up(0, false), "it was not slowed");
        inputs[0].slow();
        inputs[0].pause();
        assert!(
            inputs[0].line_up().is_none(),
            "it was slowed, but there was nothing to be read"
        );
    }

    #[tokio::test]
    async fn the_many_hold_back_while_somebody_says_little() {
        let readers = Arc::new(Readers::new(2));
        let share = || readers.share(false);
        say_little(&readers, 100);
        readers.greedy.store(2000, Ordering::Relaxed);
        assert_eq!(share(), LONG_SHARE_MIN, "nobody was in anybody's way");
        say_little(&readers, HEARTBEAT);
        assert_eq!(share(), LONG_SHARE_MIN, "a heartbeat has time");
        let mut busy = Input::new(Arc::clone(&readers));
        busy.usual_burst = 2 * SIZE_MIN;
        for _ in 0..2 {
            assert_eq!(share(), LONG_SHARE_MIN, "once is not enough");
            busy.room(0);
            busy.add(100);
            busy.take(100);
        }
        for turn in 0..SHORT_TURNS {
            assert_eq!(share(), SHARE_MIN, "at turn {turn}");
            readers.turn().await;
        }
        assert_eq!(share(), LONG_SHARE_MIN, "nobody has said more");
    }

    #[test]
    fn who_is_slowed_reads_little_next() {
        let readers = Arc::new(Readers::new(1));
        let mut input = Input::new(Arc::clone(&readers));
        last_of_many(&mut input);
        readers.greedy.store(2000, Ordering::Relaxed);
        assert_eq!(fill(&mut input, 0), LONG_SHARE_MIN);
        input.slow();
        assert_eq!(fill(&mut input, 0), SHARE_MIN);
        assert_eq!(fill(&mut input, 0), LONG_SHARE_MIN);
    }

    #[test]
    fn one_of_many_has_a_large_buffer_for_its_turn_only() {
        let readers = Arc::new(Readers::new(1));
        readers.greedy.store(10, Ordering::Relaxed);
        let mut input = Input::new(Arc::clone(&readers));
        assert_eq!(fill(&mut input, 0), SIZE_MIN);
        for left in [LEFT_MAX, SIZE_MIN, 3, 0] {
            let before = input.unread().len();
            let room = input.room(0);
            for (byte, at) in room.iter_mut().rev().zip(0..left) {
                *byte = at.to_le_bytes()[0];
            }
            let count = room.len();
            assert_eq!(count, SIZE_MAX - before);
            input.add(count);
            input.take(before + count - left);
            assert!(input.bytes.len() <= left + SIZE_MIN);
            let unread = input.unread().iter().rev();
            assert!(
                unread.eq((0..left)
                    .map(|at| at.to_le_bytes()[0])
                    .collect::<Vec<_>>()
                    .iter())
            );
        }
        // It is busy still if it was emptied, and has no buffer while it waits.
        input.room(0);
        assert_eq!(input.bytes.len(), SIZE_MAX);
        input.pause();
        assert_eq!(input.bytes.len(), 0);
        // What is left would have to be moved.
        input.room(0);
        input.add(SIZE_MAX);
        input.take(SIZE_MAX - LEFT_MAX - 1);
        assert_eq!(
            (input.bytes.len(), input.unread().len()),
            (SIZE_MAX, LEFT_MAX + 1)
        );
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
