//! Sends jobs for images to be processed, and returns once the broker has them on disk.

use anyhow::ensure;
use clap::Parser;
use image_processing::{EXCHANGE, Job, ROUTING_KEY, connect, declare};
use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};

const PERSISTENT: u8 = 2;

#[derive(Parser)]
struct Options {
    /// How many jobs to send
    #[arg(long, default_value_t = 10)]
    count: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let connection = connect().await?;
    let channel = connection.create_channel().await?;
    declare(&channel).await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;

    let mut confirms = Vec::new();
    for number in 1..=options.count {
        let job = Job {
            image: format!("photo-{number}.jpg"),
            operation: "thumbnail".to_owned(),
            width: 320,
        };
        let confirm = channel
            .basic_publish(
                EXCHANGE.into(),
                ROUTING_KEY.into(),
                BasicPublishOptions {
                    mandatory: true,
                    ..Default::default()
                },
                &serde_json::to_vec(&job)?,
                BasicProperties::default()
                    .with_content_type("application/json".into())
                    .with_delivery_mode(PERSISTENT),
            )
            .await?;
        confirms.push(confirm);
        println!("sent {}", job.image);
    }
    for confirm in confirms {
        let confirmation = confirm.await?;
        ensure!(
            confirmation.is_ack() && confirmation.take_message().is_none(),
            "the broker did not take a message"
        );
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}
