//! What clients do to the stream, and the model with it.

use super::*;

impl World {
    /// Whoever looks sees all that is durable from an offset on, and changes nothing.
    pub(super) fn browse(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let from = u.int_in_range(0..=self.published.len())? as Position;
        let most = u.int_in_range(1..=50)?;
        let offset = FieldValue::from(i64::try_from(from).expect("small"));
        let arguments = [(ShortString::cut("x-stream-offset"), offset)];
        let subscription = Subscription::parse(&arguments.into_iter().collect(), "s");
        let (found, _) = self.stream.seek(&subscription.expect("makes sense"));
        let mut next = found.expect("offsets need no reading");
        let mut seen = Vec::new();
        while seen.len() < most {
            let (look, _) = self.stream.look(next, |position, message, time| {
                let number = message.body.bytes().first_chunk().expect("8 bytes");
                seen.push((position, u64::from_be_bytes(*number), time));
                seen.len() < most
            });
            match look {
                Look::Next(after) => next = after,
                Look::End => break,
                Look::Away => assert!(self.read_back(), "nothing is read back"),
            }
        }
        let expected = (from.max(self.first())..self.durable).take(most);
        let expected = expected.map(|position| {
            let known = self.published[usize::try_from(position).expect("small")];
            (position, known.number, Some(known.time))
        });
        assert!(expected.eq(seen));
        Ok(())
    }

    pub(super) fn publish(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut messages = Vec::new();
        for _ in 0..u.int_in_range(1..=30)? {
            let number = self.published.len() as u64 * 3 + 1;
            let mut body = number.to_be_bytes().to_vec();
            let size = *u.choose(&[8, 100, 100, 5000, 70_000])?;
            body.resize(size, 1);
            let value: Option<u8> = if u.arbitrary()? {
                Some(u.int_in_range(0..=2)?)
            } else {
                None
            };
            messages.push((properties(value), body));
            self.published.push(Known {
                number,
                value,
                time: self.now,
            });
        }
        let effects = self.stream.publish(&Framed(&messages));
        assert!(effects.commit);
        Ok(())
    }

    pub(super) fn first(&self) -> Position {
        let first = self.stream.chunks.front().map(|chunk| chunk.base);
        first.unwrap_or(self.published.len() as u64)
    }

    pub(super) fn consume(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut arguments = FieldTable::new();
        let named = u.ratio(1, 3)?;
        let tag = if named {
            format!("c{}", u.int_in_range(0..=2)?)
        } else {
            self.next_tag += 1;
            format!("amq.ctag-{}", self.next_tag)
        };
        let tag = ConsumerTag::new(tag).expect("short");
        if self.consumers.iter().any(|known| known.tag == tag) {
            return Ok(());
        }
        let (value, next) = self.start(u, &tag)?;
        let tracks = named && value.is_none();
        if let Some(value) = value {
            arguments.push(ShortString::cut("x-stream-offset"), value);
        }
        let mut wants = None;
        if u.ratio(1, 3)? {
            let (wanted, unfiltered) = (u.int_in_range(0..=2)?, u.arbitrary()?);
            wants = Some((wanted, unfiltered));
            let text = format!("v{wanted}");
            arguments.push(ShortString::cut("x-stream-filter"), text.as_str());
            arguments.push(ShortString::cut("x-stream-match-unfiltered"), unfiltered);
        }
        let prefetch = u.int_in_range(1..=40)?;
        let options = ConsumerOptions {
            tag: tag.clone(),
            no_ack: false,
            exclusive: false,
            priority: 0,
            prefetch,
            arguments,
        };
        let key = self.stream.consume(7, options);
        self.consumers.push(Expecting {
            key,
            tag,
            next,
            wants,
            prefetch: prefetch as usize,
            held: Vec::new(),
            tracks,
        });
        Ok(())
    }

    /// `x-stream-offset`, and the offset that it stands for.
    pub(super) fn start(
        &self,
        u: &mut Unstructured<'_>,
        tag: &ConsumerTag,
    ) -> Result<(Option<FieldValue>, Position)> {
        let (first, tail) = (self.first(), self.published.len() as u64);
        let offset = u.int_in_range(0..=tail + 3)?;
        let value = FieldValue::I64(i64::try_from(offset).expect("small"));
        Ok(match u.int_in_range(0..=5)? {
            0 => (Some("first".into()), first),
            1 => (Some("next".into()), tail),
            2 => (Some(value), offset.clamp(first, tail)),
            3 if offset > 0 => {
                let value = FieldValue::I64(-i64::try_from(offset).expect("small"));
                let next = tail.saturating_sub(offset).clamp(first, tail);
                (Some(value), next)
            }
            4 => {
                let since = u.int_in_range(0..=self.now / 1000 + 1)?;
                let next = self.published.iter().position(|m| m.time >= since * 1000);
                let next = next.map_or(tail, |at| (at as u64).max(first));
                (Some(FieldValue::Timestamp(since)), next)
            }
            _ => {
                let tracked = self.tracked.get(tag);
                let next = tracked.map(|&next| next.clamp(first, tail));
                (None, next.unwrap_or(tail))
            }
        })
    }

    pub(super) fn ack(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        if self.consumers.is_empty() {
            return Ok(());
        }
        let at = u.choose_index(self.consumers.len())?;
        let consumer = &mut self.consumers[at];
        let mut done = Vec::new();
        for _ in 0..u.int_in_range(0..=consumer.held.len())? {
            let index = if u.arbitrary()? {
                0
            } else {
                u.choose_index(consumer.held.len())?
            };
            done.push(consumer.held.remove(index));
        }
        if done.is_empty() {
            return Ok(());
        }
        done.sort_unstable();
        let held = Held {
            consumer: Some(consumer.key),
            positions: &done,
        };
        if u.arbitrary()? {
            self.stream.settle(held);
        } else {
            self.stream.requeue(held);
        }
        if consumer.tracks {
            let reader = self
                .stream
                .readers
                .get(consumer.key.slot())
                .expect("is there");
            let first_held = consumer.held.iter().min().copied();
            let next = first_held.unwrap_or(reader.next);
            self.tracked.insert(consumer.tag.clone(), next);
        }
        Ok(())
    }
}
