//! Who tells when the broker is idle no more.

use std::time::{Duration, Instant};

use amphora_protocol::wire::method::queue;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{QueueName, ShortString};
use anyhow::ensure;
use tokio::time::timeout;

use super::World;

impl World {
    /// Waits until nothing has happened for a while.
    fn is_still(&self) -> anyhow::Result<()> {
        let stirring = &self.broker.broker.committer.stirring;
        let begun = Instant::now();
        stirring.watch();
        loop {
            std::thread::sleep(Duration::from_millis(100));
            if stirring.watch() {
                return Ok(());
            }
            ensure!(begun.elapsed() < Duration::from_mins(1), "it never rests");
        }
    }

    fn is_stirred(&self) -> anyhow::Result<()> {
        let stirred = self.broker.broker.committer.stirring.stirred();
        let patient = async { timeout(Duration::from_mins(1), stirred).await };
        Ok(self.tasks.block_on(patient)?)
    }
}

#[test]
fn clients_and_timers_stir_the_broker_and_silence_does_not() -> anyhow::Result<()> {
    let world = World::new()?;
    world.is_still()?;
    let mut client = world.client("q")?;
    world.is_stirred()?;

    world.is_still()?;
    client.beat()?;
    world.is_stirred()?;

    world.is_still()?;
    let ttl = (ShortString::cut("x-message-ttl"), FieldValue::I32(8000));
    client.send(
        1,
        &queue::Declare {
            queue: QueueName::new("short")?,
            arguments: FieldTable::from_iter([ttl]),
            ..queue::Declare::default()
        },
    )?;
    client.expect("queue.declare-ok")?;
    client.publish("short", b"goes")?;
    world.is_still()?;
    world.is_stirred()?;

    world.is_still()?;
    drop(client);
    world.is_stirred()
}
