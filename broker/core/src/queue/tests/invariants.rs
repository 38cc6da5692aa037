//! What holds after every operation.

use super::*;

impl World {
    pub(super) fn saw(&mut self, (position, redelivered, number): Seen) {
        let known = self
            .live
            .get_mut(&position)
            .expect("(2) delivered after it was settled");
        assert!(!self.dying.contains(&position), "{position} is dying");
        let due = self
            .attempts
            .get(&position)
            .map_or(0, |attempts| attempts.due);
        assert!(due <= self.now, "{position} came before its time");
        assert_eq!(known.number, number, "content of {position}");
        assert!(
            known.expires_at.is_none_or(|at| at >= self.now),
            "(13) {position} was delivered after its time"
        );
        self.redelivered += u64::from(redelivered);
        if !redelivered {
            assert!(!known.delivered, "(4) {position} was delivered before");
        }
        known.delivered = true;
    }

    /// What goes out next: higher priorities first, then in the order of positions.
    pub(super) fn first_ready(&self) -> Option<(Position, Known)> {
        let held = self.all_held();
        let ready = self
            .live
            .iter()
            .filter(|(at, _)| !held.contains(at) && !self.dying.contains(at) && !self.waits(**at));
        ready
            .map(|(&at, &known)| (at, known))
            .min_by_key(|(at, known)| (std::cmp::Reverse(known.priority), *at))
    }

    /// What the queue gives up by itself goes, here and there.
    pub(super) fn expire(&mut self) {
        loop {
            self.queue.expire();
            if !self.queue.wanted.is_empty() {
                self.page_in();
                self.drain();
            } else if self.queue.deadline().is_some_and(|at| at <= self.now) {
                // There was too much for one turn.
                self.dispatch();
                self.drain();
            } else {
                break;
            }
        }
        let held = self.all_held();
        let limited = self.arguments.overflow == Overflow::DropHead
            && (self.arguments.max_length.is_some() || self.arguments.max_length_bytes.is_some());
        let mut settled = Vec::new();
        for (&position, known) in &self.live {
            let dying = self.queue.deaths.reason(position).is_some();
            let settled_there = matches!(self.queue.log.at(position), log::At::Settled);
            if held.contains(&position)
                || self.dying.contains(&position)
                || !(dying || settled_there)
            {
                continue;
            }
            let over = known.expires_at.is_some_and(|at| at <= self.now);
            assert!(over || limited, "(13) {position} went without a reason");
            self.given_up += 1;
            if settled_there {
                settled.push(position);
            }
        }
        for position in settled {
            self.settled(position);
        }
        // In the order of their deaths.
        self.dying = self.queue.deaths.positions().collect();
        let counters = self.queue.counters();
        assert_eq!(
            counters.expired + counters.dropped,
            self.given_up,
            "(13) given up"
        );
        let first = self.first_ready().and_then(|(_, known)| known.expires_at);
        assert!(
            first.is_none() || self.queue.expiry.messages,
            "(12) nobody looks at the head"
        );
        if self.queue.expiry.messages {
            assert!(
                first.is_none_or(|at| at > self.now),
                "(13) an expired head stays"
            );
            let due = self.queue.returns.deadline();
            let next = first.into_iter().chain(due).min();
            assert_eq!(self.queue.deadline(), next, "(13) nobody wakes the queue");
        }
    }

    pub(super) fn check(&mut self) {
        let live = &self.live;
        self.attempts
            .retain(|position, _| live.contains_key(position));
        let held = self.all_held().len() as u64;
        assert_eq!(
            self.published,
            self.queue.ready_count()
                + self.queue.delayed_count() as u64
                + self.dying.len() as u64
                + held
                + self.settled,
            "(1) nothing appears or vanishes"
        );
        self.check_returns();
        assert_eq!(self.queue.unacked_count(), held, "(11) unacked");
        assert_eq!(
            self.queue.memory(),
            self.queue.log.walked_memory(),
            "(11) memory"
        );
        self.check_contents();
        self.queue.consumers.check();
        for &(key, connection, no_ack, prefetch) in &self.consumers {
            let mine = self.held.get(&key).map_or(0, BTreeSet::len);
            if prefetch > 0 {
                assert!(no_ack || mine <= prefetch as usize, "(5) in flight");
            }
            let consumer = self.queue.consumers.get(key).expect("is there");
            assert_eq!(consumer.in_flight as usize, mine, "(11) in flight");
            let credit = no_ack || prefetch == 0 || mine < prefetch as usize;
            let room = self.connections.0[connection].room > 0;
            assert!(
                self.queue.ready_count() == 0 || !credit || !room,
                "(3) a ready message and a consumer that can take it"
            );
            let waits = credit && !room && self.queue.ready_count() > 0;
            assert!(
                !waits || self.connections.0[connection].starved,
                "(3) nobody calls back"
            );
        }
    }

    fn check_contents(&self) {
        let held = self.all_held();
        let sum = |wanted: &dyn Fn(Position, &Known) -> bool| {
            let known = self.live.iter().filter(|(at, known)| wanted(**at, known));
            known.fold((0, 0), |(count, bytes), (_, known)| {
                (count + 1, bytes + known.size)
            })
        };
        let (persistent_count, persistent_bytes) = sum(&|_, known| known.persistent);
        // What is on its way to the dead-letter exchange, or waits for its next attempt, is held by the queue.
        let aside = |at: &Position| {
            let waits = self.queue.returns.due.keys().any(|(_, waits)| waits == at);
            held.contains(at) || self.dying.contains(at) || waits
        };
        let contents = self.queue.contents();
        let expected = Contents {
            ready_bytes: sum(&|at, _| !aside(&at)).1,
            unacked_bytes: sum(&|at, _| aside(&at)).1,
            persistent_count,
            persistent_bytes,
            ..contents
        };
        assert_eq!(contents, expected, "(11) contents");
        assert!(contents.in_memory_count <= self.live.len() as u64);
        assert!(contents.ready_in_memory_count <= contents.in_memory_count);
        if contents.in_memory_count == self.live.len() as u64 {
            let all = (self.queue.ready_count(), sum(&|_, _| true).1);
            let here = (contents.ready_in_memory_count, contents.in_memory_bytes);
            assert_eq!(here, all, "(11) in memory");
        }
    }
}
