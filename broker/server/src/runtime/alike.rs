//! Publishes one after the other that differ in their properties and bodies only: one look at the channel, at what its user
//! may do, and at the route is enough for all of them.

use amphora_protocol::connection::Publish;
use amphora_protocol::exception::Exception;
use amphora_protocol::wire::types::ChannelNumber;

use super::ingress::{Outcome, Ticket, Way};
use super::session::Session;

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

    /// Collects a publish if it is like the one before. Otherwise nothing has happened.
    #[inline]
    pub(super) fn publish_alike(
        &mut self,
        input: &[u8],
        publish: &Publish<'_>,
    ) -> Result<bool, Exception> {
        let (Some(alike), Some(entered)) = (&mut self.alike, &mut self.entered) else {
            return Ok(false);
        };
        let ingress = &mut entered.ingress;
        // Who listens to the firehose is told of each by itself.
        if alike.channel != publish.channel || ingress.vhost.tap.is_on() {
            return Ok(false);
        }
        match alike.way {
            Way::Straight => {
                let follows = ingress.collect_alike(input, &publish.content);
                alike.count += u64::from(follows);
                Ok(follows)
            }
            // One that may come back has to be kept whole.
            Way::Asking if publish.mandatory => Ok(false),
            Way::Asking => {
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
        }
    }

    /// Counts what [`Session::publish_alike`] has collected, before anything else is published, and before a flush.
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
