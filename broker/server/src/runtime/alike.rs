//! Publishes one after the other that differ in their properties and bodies only: one look at the channel, at what its user
//! may do, and at the route is enough for all of them.

use amphora_protocol::connection::Publish;
use amphora_protocol::wire::types::ChannelNumber;

use super::session::Session;

/// Publishes on one channel that went straight to the same queues, and are not counted yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alike {
    channel: ChannelNumber,
    confirm: bool,
    count: u64,
}

impl Session {
    /// The publish just collected went straight to its queues: those that follow with the same target may go the same way.
    pub(super) fn expect_alike(&mut self, channel: ChannelNumber, confirm: bool) {
        let entered = self.entered.as_ref();
        if entered.is_some_and(|entered| entered.ingress.is_straight()) {
            self.alike = Some(Alike {
                channel,
                confirm,
                count: 0,
            });
        }
    }

    /// Collects a publish if it is like the one before. Otherwise nothing has happened.
    #[inline]
    pub(super) fn publish_alike(&mut self, input: &[u8], publish: &Publish<'_>) -> bool {
        let (Some(alike), Some(entered)) = (&mut self.alike, &mut self.entered) else {
            return false;
        };
        let follows = alike.channel == publish.channel
            && entered.ingress.collect_alike(input, &publish.content);
        alike.count += u64::from(follows);
        follows
    }

    /// Counts what [`Session::publish_alike`] has collected, before anything else is published, and before a flush.
    pub(super) fn conclude_alike(&mut self) {
        let Some(Alike {
            channel: number,
            confirm,
            count,
        }) = self.alike.take()
        else {
            return;
        };
        if count == 0 {
            return;
        }
        if let Some(entered) = &mut self.entered {
            entered.ingress.count_alike(count);
        }
        if let Ok(channel) = self.channel(number) {
            channel.info.published.add(count);
        }
        self.tally.publish(count, true, false);
        if confirm {
            self.expect_confirms(number, count, true);
        }
    }
}
