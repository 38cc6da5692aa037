//! What clients do to the queue, and the model with it.

use super::*;

impl World {
    pub(super) fn publish(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut bodies = Bodies::default();
        for _ in 0..u.int_in_range(1..=20)? {
            let mut body = self.next_number.to_be_bytes().to_vec();
            let size = if u.ratio(1, 10)? {
                200_000
            } else {
                u.int_in_range(8..=40)?
            };
            body.resize(size, 1);
            let (persistent, priority) = (u.arbitrary()?, u.int_in_range(0..=3)?);
            let ttl: Option<u8> = if u.ratio(1, 4)? {
                Some(u.int_in_range(0..=3)?)
            } else {
                None
            };
            let own = ttl.map(u64::from);
            let of_queue = self
                .arguments
                .message_ttl
                .map(|ttl| u64::from(ttl.subsec_millis()));
            let shorter = [own, of_queue].into_iter().flatten().min();
            if self.is_full(&bodies, size as u64) {
                self.hand_on(&mut bodies);
                if self.is_full(&bodies, size as u64) {
                    self.queue.refused(1);
                    self.refused += 1;
                    self.next_number += 1;
                    continue;
                }
            }
            let position = self.published;
            self.live.insert(
                position,
                Known {
                    number: self.next_number,
                    size: size as u64,
                    expires_at: shorter.map(|ttl| self.now + ttl),
                    priority: priority.min(self.arguments.max_priority.unwrap_or(0)),
                    persistent: persistent || self.arguments.queue_type == QueueType::Quorum,
                    delivered: false,
                },
            );
            self.next_number += 1;
            self.published += 1;
            bodies.0.push((body, persistent, properties(priority, ttl)));
        }
        self.hand_on(&mut bodies);
        Ok(())
    }

    pub(super) fn consume(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.consumers.len() >= 4 {
            return Ok(());
        }
        self.connections.0.push(Connection {
            room: u.int_in_range(0..=10)?,
            ..Connection::default()
        });
        let connection = self.connections.0.len() - 1;
        let options = ConsumerOptions {
            tag: ConsumerTag::default(),
            no_ack: u.ratio(1, 3)?,
            exclusive: false,
            priority: u.int_in_range(0..=1)?,
            prefetch: u.int_in_range(0..=3)?,
            arguments: FieldTable::default(),
        };
        let (no_ack, prefetch) = (options.no_ack, options.prefetch);
        let key = self.queue.consume(connection, options);
        self.consumers.push((key, connection, no_ack, prefetch));
        self.dispatch();
        Ok(())
    }

    pub(super) fn cancel(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.consumers.is_empty() {
            return Ok(());
        }
        let index = u.choose_index(self.consumers.len())?;
        let (key, connection, ..) = self.consumers.remove(index);
        if u.arbitrary()? {
            self.connections.0[connection].closed = true;
            self.published_by_closed(u)?;
        }
        assert_eq!(self.queue.cancel(key), Some(connection));
        self.give_back(key);
        Ok(())
    }

    /// Publishes while a consumer's connection is closed and the queue does not know it.
    pub(super) fn published_by_closed(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        self.publish(u)?;
        self.drain();
        Ok(())
    }

    pub(super) fn give_back(&mut self, key: ConsumerKey) {
        let positions: Vec<Position> = self
            .held
            .remove(&key)
            .unwrap_or_default()
            .into_iter()
            .collect();
        self.put_back(Some(key), &positions, Return::Lost);
        self.dispatch();
    }

    pub(super) fn ack(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some((key, positions)) = self.pick_held(u)? else {
            return Ok(());
        };
        for position in &positions {
            self.live.remove(position).expect("acked what was live");
        }
        self.settled += positions.len() as u64;
        self.queue.settle(Held {
            consumer: Some(key),
            positions: &positions,
        });
        self.dispatch();
        Ok(())
    }

    pub(super) fn requeue(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if let Some((key, positions)) = self.pick_held(u)? {
            let whys = [
                Return::Rejected,
                Return::Nacked,
                Return::Lost,
                Return::Peeked,
            ];
            let why = *u.choose(&whys)?;
            self.put_back(Some(key), &positions, why);
            self.dispatch();
        }
        Ok(())
    }

    pub(super) fn pick_held(
        &mut self,
        u: &mut Unstructured<'_>,
    ) -> Result<Option<(ConsumerKey, Vec<Position>)>> {
        let Some((&key, positions)) = self.held.iter_mut().find(|(_, held)| !held.is_empty())
        else {
            return Ok(None);
        };
        let mut picked = Vec::new();
        for &position in positions.iter() {
            if u.ratio(2, 3)? {
                picked.push(position);
            }
        }
        positions.retain(|position| !picked.contains(position));
        Ok(Some((key, picked)))
    }

    pub(super) fn get(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let no_ack: bool = u.arbitrary()?;
        self.expire();
        let first = self.first_ready().map(|(at, _)| at);
        let (got, _) = self.queue.get(no_ack, |delivery, remaining| {
            let number = u64::from_be_bytes(
                *delivery
                    .message
                    .body
                    .bytes()
                    .first_chunk()
                    .expect("8 bytes"),
            );
            ((delivery.position, delivery.redelivered, number), remaining)
        });
        match got {
            Get::Empty => assert_eq!(self.queue.ready_count(), 0),
            Get::Away => self.page_in(),
            Get::Later => panic!("what has expired was given up before"),
            Get::Message((seen, remaining)) => {
                assert_eq!(remaining, self.queue.ready_count());
                assert_eq!(Some(seen.0), first, "(13) out of order");
                self.saw(seen);
                if no_ack {
                    self.live.remove(&seen.0);
                    self.settled += 1;
                } else {
                    self.got.insert(seen.0);
                }
            }
        }
        self.settle_one_got(u)?;
        self.dispatch();
        Ok(())
    }

    pub(super) fn settle_one_got(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if u.arbitrary()? {
            let Some(position) = self.got.pop_first() else {
                return Ok(());
            };
            self.live.remove(&position);
            self.settled += 1;
            self.queue.settle(Held {
                consumer: None,
                positions: &[position],
            });
        } else {
            let positions: Vec<Position> = std::mem::take(&mut self.got).into_iter().collect();
            self.put_back(None, &positions, Return::Peeked);
        }
        Ok(())
    }

    pub(super) fn write_connections(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut starved = false;
        for connection in &mut self.connections.0 {
            if !connection.closed {
                connection.room += u.int_in_range(1..=20)?;
                starved |= std::mem::take(&mut connection.starved);
            }
        }
        if starved {
            self.dispatch();
        }
        Ok(())
    }

    pub(super) fn purge(&mut self) {
        let (purged, _) = self.queue.purge();
        let held: BTreeSet<Position> = self.all_held();
        let dying = &self.dying;
        let before = self.live.len() as u64;
        self.live
            .retain(|position, _| held.contains(position) || dying.contains(position));
        assert_eq!(before - self.live.len() as u64, purged);
        self.settled += purged;
    }
}
