//! Which channels are open, and what is due on each.
//!
//! ```text
//!             channel.open                  basic.publish
//!  Unopened ───────────────► Open ◄────────────────────────► Content
//!     ▲ ▲                     │ │         last of the body      │
//!     │ └─────────────────────┘ │                               │
//!     │      channel.close      │ server raises an exception    │
//!     │                         ▼                               │
//!     └───────────────────── Closing ◄──────────────────────────┘
//!         channel.close-ok
//! ```

use crate::exception::ConnectionException;
use crate::wire::types::ChannelNumber;

/// One channel's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody uses the number.
    Unopened,
    /// A method is due.
    Open,
    /// A publish was begun: its content is due.
    Content,
    /// The server has closed it. Everything is discarded until the peer knows.
    Closing,
}

/// All channels of a connection: one octet for each number up to the highest one used.
#[derive(Debug, Default)]
pub(super) struct Channels {
    phases: Vec<Phase>,
    open: usize,
}

impl Channels {
    #[inline]
    pub(super) fn phase(&self, channel: ChannelNumber) -> Phase {
        self.phases
            .get(usize::from(channel.0))
            .copied()
            .unwrap_or(Phase::Unopened)
    }

    /// Opens a channel that is not. A `channel_max` of 0 means no limit.
    ///
    /// # Errors
    /// 504 if it is open, 530 if as many as may be are.
    pub(super) fn open(
        &mut self,
        channel: ChannelNumber,
        channel_max: u16,
    ) -> Result<(), ConnectionException> {
        if self.phase(channel) != Phase::Unopened {
            return Err(ConnectionException::channel_error(
                "second 'channel.open' seen",
            ));
        }
        if channel_max != 0 && self.open >= usize::from(channel_max) {
            return Err(ConnectionException::not_allowed(format!(
                "number of channels opened ({}) has reached the negotiated channel_max ({channel_max})",
                self.open
            )));
        }
        let index = usize::from(channel.0);
        if self.phases.len() <= index {
            self.phases.resize(index + 1, Phase::Unopened);
        }
        self.open += 1;
        self.set(channel, Phase::Open);
        Ok(())
    }

    /// Frees the number of a channel that is in use.
    pub(super) fn release(&mut self, channel: ChannelNumber) {
        debug_assert_ne!(self.phase(channel), Phase::Unopened);
        self.open -= 1;
        self.set(channel, Phase::Unopened);
    }

    /// Moves a channel that is in use from one phase to the next.
    pub(super) fn set(&mut self, channel: ChannelNumber, phase: Phase) {
        if let Some(known) = self.phases.get_mut(usize::from(channel.0)) {
            *known = phase;
        }
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
