//! What the producer and the consumer agree on.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use serde::{Deserialize, Serialize};

pub const EXCHANGE: &str = "image_processing_exchange";
pub const QUEUE: &str = "image_queue";
pub const ROUTING_KEY: &str = "image.process";

/// The body of a message, as JSON.
#[derive(Serialize, Deserialize)]
pub struct Job {
    pub image: String,
    pub operation: String,
    pub width: u32,
}

/// Connects to `AMQP_URL`, or to a broker on this machine.
pub async fn connect() -> lapin::Result<Connection> {
    let url = std::env::var("AMQP_URL")
        .unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2F".to_owned());
    Connection::connect(&url, ConnectionProperties::default()).await
}

/// Declares exchange, queue and binding. What exists already is left as it is, so either side
/// may start first.
pub async fn declare(channel: &Channel) -> lapin::Result<()> {
    channel
        .exchange_declare(
            EXCHANGE.into(),
            ExchangeKind::Topic,
            ExchangeDeclareOptions {
                durable: true,
                ..Default::default()
            },
            FieldTable::default(),
        )
        .await?;
    channel
        .queue_declare(
            QUEUE.into(),
            QueueDeclareOptions::durable(),
            FieldTable::default(),
        )
        .await?;
    channel
        .queue_bind(
            QUEUE.into(),
            EXCHANGE.into(),
            ROUTING_KEY.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}
