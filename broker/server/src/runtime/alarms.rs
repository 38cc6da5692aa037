//! Tells all publishers that they must stop, and that they may go on: also those that are waiting or idle.

use std::sync::Arc;

use super::broker::Broker;

/// Runs until the task is aborted.
pub(super) async fn run(broker: Arc<Broker>) {
    loop {
        tokio::select! {
            () = broker.committer.alarm_changed.notified() => {}
            () = broker.memory.changed.notified() => {}
        }
        // For who listens to events.
        broker.alarm();
        for connection in broker.connections() {
            connection.peer.attention.notify_one();
        }
    }
}
