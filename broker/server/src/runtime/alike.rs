//! Publishes one after the other that differ in their properties and bodies only: one look at the channel, at what its user
//! may do, and at the route is enough for all of them.

use amphora_protocol::connection::Publish;
use amphora_protocol::exception::Exception;
use amphora_protocol::wire::types::ChannelNumber;

use super::ingress::{Outcome, Ticket, Way};
use super::session::Session;

/// So many publishes in a row are looked at in vain for one that repeats them. Then no more are until one goes another way: each look costs
/// something, and brings nothing where properties or lengths change from message to message.
const UNLIKE_MAX: usize = 4;

/// Publishes on one channel that go the same way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alike {
    channel: ChannelNumber,
    confirm: bool,
    /// How many are not counted yet.
    count: u64,
    way: Way,
}

impl Session {
    /// A publish was collected: those that follow, if they are like it, may go the same way.
    pub(super) fn expect_alike(&mut self, channel: ChannelNumber, confirm: bool) {
        let entered = self.entered.as_mut();
        let way = entered.and_then(|entered| entered.ingress.way());
        self.alike = way.map(|way| Alike {
            channel,
            confirm,
            count: 0,
            way,
        });
    }

    /// Reads the publishes that come next. Those that are like the one before, and go straight to queues as that did, are collected;
    /// the first one that is not is returned.
    pub(super) fn next_publish<'a>(
        &mut self,
        input: &'a [u8],
        used: &mut usize,
    ) -> Option<Publish<'a>> {
        let mut unlike = 0;
        loop {
            let sizes = &mut self.tally.sizes;
            let mut alike = match (&mut self.alike, &mut self.entered) {
                // Who listens to the firehose is told of each by itself.
                (Some(alike), Some(entered))
                    if alike.way == Way::Straight && !entered.ingress.vhost.tap.is_on() =>
                {
                    Some((alike, &mut entered.ingress))
                }
                _ => None,
            };
            while alike.as_ref().is_none_or(|(_, ingress)| !ingress.is_due()) {
                let start = *used;
                let publish = self.conversation.next_publish(input, used)?;
                if let Some((alike, ingress)) = &mut alike
                    && alike.channel == publish.channel
                    && ingress.collect_alike(input, &publish.content)
                {
                    let mut count = 1;
                    if unlike < UNLIKE_MAX {
                        let length = *used - start;
                        let repeats = ingress.collect_repeats(input, start, length, &publish);
                        *used += repeats * length;
                        count += repeats as u64;
                        unlike = if repeats == 0 { unlike + 1 } else { 0 };
                    }
                    alike.count += count;
                    sizes.count_many(publish.content.body().len(), count);
                } else {
                    return Some(publish);
                }
            }
            self.flush(input);
        }
    }

    /// Puts a publish to the plugin that the one before was put to, if it is like that. Otherwise nothing has happened.
    pub(super) fn publish_alike(
        &mut self,
        input: &[u8],
        publish: &Publish<'_>,
    ) -> Result<bool, Exception> {
        let (Some(alike), Some(entered)) = (&mut self.alike, &mut self.entered) else {
            return Ok(false);
        };
        let ingress = &mut entered.ingress;
        // One that may come back has to be kept whole.
        if alike.way != Way::Asking
            || alike.channel != publish.channel
            || publish.mandatory
            || ingress.vhost.tap.is_on()
        {
            return Ok(false);
        }
        let ticket = Ticket {
            channel: alike.channel,
            mandatory: false,
            confirm: alike.confirm,
        };
        let Some(outcome) = ingress.ask_alike(input, &publish.content, ticket)? else {
            return Ok(false);
        };
        alike.count += 1;
        self.tell_answered();
        if outcome != Outcome::Waiting {
            self.conclude_publishes(ticket, 1, outcome, None);
        }
        Ok(true)
    }

    /// Counts what [`Session::next_publish`] and [`Session::publish_alike`] have collected, before anything else is published, and before a flush.
    pub(super) fn conclude_alike(&mut self) {
        let Some(alike) = self.alike.take().filter(|alike| alike.count > 0) else {
            return;
        };
        if let Ok(channel) = self.channel(alike.channel) {
            channel.info.published.add(alike.count);
        }
        // What a plugin is asked about is counted, and confirmed, by what it says.
        if alike.way == Way::Straight {
            if let Some(entered) = &mut self.entered {
                entered.ingress.count_alike();
            }
            self.tally.publish(alike.count, true, false);
            if alike.confirm {
                self.expect_confirms(alike.channel, alike.count, true);
            }
        }
    }
}
