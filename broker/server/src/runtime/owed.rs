//! Answers to declarations and bindings that came together: one wait for the disk is for all of them.
//!
//! A client that declares many things without waiting for each answer would else wait for a sync of the disk for each. Nothing
//! but further definitions is done for the connection while it is owed answers, so that their order is that of the methods.

use std::sync::Arc;

use amphora_protocol::connection::Event;
use amphora_protocol::wire::method::{Method, exchange, queue};
use amphora_protocol::wire::types::ChannelNumber;

use super::session::Session;

#[derive(Debug, Default)]
pub(super) struct Owed {
    answers: Vec<(ChannelNumber, Option<Method>)>,
    /// When this is durable, all may be given.
    epoch: u64,
}

impl Owed {
    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
}

/// Whether an event is a method whose answer may wait for the next one's.
pub(super) fn is_definition(event: &Event<'_>) -> bool {
    let Event::Method(_, method) = event else {
        return false;
    };
    matches!(
        method,
        Method::Queue(queue::Method::Declare(_) | queue::Method::Bind(_))
            | Method::Exchange(exchange::Method::Declare(_) | exchange::Method::Bind(_))
    )
}

impl Session {
    /// The answer, if there is one, is due when the epoch is durable and those before it have been given.
    pub(super) fn owe(
        &mut self,
        channel: ChannelNumber,
        epoch: u64,
        answer: Option<impl Into<Method>>,
    ) {
        self.owed.epoch = self.owed.epoch.max(epoch);
        self.owed.answers.push((channel, answer.map(Into::into)));
    }

    /// Gives the answers that are owed, once the disk has what they promise. If the connection ends before, none is given.
    pub(super) async fn pay(&mut self) {
        if self.owed.is_empty() {
            return;
        }
        let owed = std::mem::take(&mut self.owed);
        // What the conversation has to say already, such as its last words, comes after the answers.
        let behind = std::mem::take(&mut self.replies);
        if owed.epoch > 0 {
            let committer = Arc::clone(&self.broker.committer);
            if let Err(exception) = self.wait_for_disk(committer.durable(owed.epoch)).await {
                self.replies = behind;
                self.raise(ChannelNumber(0), exception);
                return;
            }
        }
        for (channel, answer) in owed.answers {
            if let Some(answer) = answer {
                self.send(channel, answer);
            }
        }
        self.replies = behind;
        self.finish();
    }
}
