//! Processes images, one at a time; a job is acknowledged only when it is done.

use clap::Parser;
use futures_lite::StreamExt;
use image_processing::{Job, QUEUE, connect, declare};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;

#[derive(Parser)]
struct Options {
    /// End after this many jobs (default: never)
    #[arg(long)]
    count: Option<usize>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let connection = connect().await?;
    let channel = connection.create_channel().await?;
    declare(&channel).await?;

    // One job at a time: the others stay in the queue, for other consumers to take.
    channel.basic_qos(1, BasicQosOptions::default()).await?;
    let consumer = channel
        .basic_consume(
            QUEUE.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let mut deliveries = consumer.take(options.count.unwrap_or(usize::MAX));
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        process(&serde_json::from_slice(&delivery.data)?);
        delivery.ack(BasicAckOptions::default()).await?;
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}

/// Stands for the real work.
fn process(job: &Job) {
    println!(
        "{} of {}, {} pixels wide",
        job.operation, job.image, job.width
    );
}
