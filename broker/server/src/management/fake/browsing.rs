//! Messages of a broker that is not there, looked at and picked. A message's position is its place among those that are ready.

use super::FakeBroker;
use super::state::State;
use crate::auth::{Access, Resource, VhostAccess};
use crate::management::backend::{
    Browse, Browsed, BrowsedMessage, Browsing, Got, MovePicked, Picked, Publish, Published, Reply,
};

impl Browsing for FakeBroker {
    fn browse<'a>(&'a self, by: &'a VhostAccess, command: Browse) -> Reply<'a, Browsed> {
        Box::pin(async move {
            by.check(Access::Read, Resource::Queue(&command.queue))?;
            let mut state = self.0.lock();
            let ready = state.queue(&command.queue)?.ready.iter().cloned();
            let shown = (0..).zip(ready).take(command.count as usize);
            let messages = shown.map(|(position, message)| BrowsedMessage {
                position,
                published_at: None,
                message,
            });
            Ok(Browsed {
                messages: messages.collect(),
                next: None,
            })
        })
    }

    fn move_picked<'a>(&'a self, by: &'a VhostAccess, command: MovePicked) -> Reply<'a, u64> {
        Box::pin(async move {
            by.check(Access::Read, Resource::Queue(&command.picked.queue))?;
            let mut state = self.0.lock();
            let mut moved = 0;
            for message in take(&mut state, &command.picked)? {
                let published = state.publish(
                    by,
                    &Publish {
                        exchange: command.exchange.clone(),
                        routing_key: command.routing_key.clone(),
                        properties: message.properties,
                        body: message.body,
                    },
                )?;
                moved += u64::from(published == Published::Routed);
            }
            Ok(moved)
        })
    }

    fn delete_messages<'a>(&'a self, by: &'a VhostAccess, picked: Picked) -> Reply<'a, u64> {
        Box::pin(async move {
            by.check(Access::Read, Resource::Queue(&picked.queue))?;
            Ok(take(&mut self.0.lock(), &picked)?.len() as u64)
        })
    }
}

fn take(
    state: &mut State,
    picked: &Picked,
) -> Result<Vec<Got>, amphora_protocol::exception::Exception> {
    let ready = &mut state.queue(&picked.queue)?.ready;
    let (taken, left): (Vec<_>, Vec<_>) = (0..)
        .zip(ready.drain(..))
        .partition(|(position, _)| picked.positions.contains(position));
    ready.extend(left.into_iter().map(|(_, message)| message));
    Ok(taken.into_iter().map(|(_, message)| message).collect())
}
