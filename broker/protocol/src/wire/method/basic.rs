//! Class 60: messages (spec 1.8).

use super::class::class;
use crate::wire::table::FieldTable;
use crate::wire::types::{
    ConsumerTag, DeliveryTag, ExchangeName, QueueName, RoutingKey, ShortString,
};

class! {
    basic = 60;

    /// Sets how much may be delivered before it is acknowledged.
    Qos = 10 "qos" {
        /// In octets; 0 means no limit.
        prefetch_size: u32,
        /// In messages; 0 means no limit.
        prefetch_count: u16,
        /// For the channel as a whole, not for each of its new consumers.
        global: bool,
    }

    /// The limit holds.
    QosOk = 11 "qos-ok" {}

    /// Starts a consumer.
    Consume = 20 "consume" {
        [u16]
        /// What it consumes.
        queue: QueueName,
        /// Its name; the server makes one if it is empty.
        consumer_tag: ConsumerTag,
        /// Not what this connection published. No server heeds it.
        no_local: bool,
        /// It acknowledges nothing: what is delivered is settled.
        no_ack: bool,
        /// The queue has no other consumer.
        exclusive: bool,
        /// No answer is wanted.
        no_wait: bool,
        /// The consumer's own arguments.
        arguments: FieldTable,
    }

    /// The consumer is there.
    ConsumeOk = 21 "consume-ok" {
        /// Its name.
        consumer_tag: ConsumerTag,
    }

    /// Ends a consumer. The server sends it, too, when a queue is deleted (RabbitMQ's extension).
    Cancel = 30 "cancel" {
        /// Its name.
        consumer_tag: ConsumerTag,
        /// No answer is wanted.
        no_wait: bool,
    }

    /// The consumer is gone.
    CancelOk = 31 "cancel-ok" {
        /// Its name.
        consumer_tag: ConsumerTag,
    }

    /// Publishes the content that follows.
    Publish = 40 "publish" {
        [u16]
        /// Where it goes.
        exchange: ExchangeName,
        /// What the exchange compares.
        routing_key: RoutingKey,
        /// It comes back if no queue takes it.
        mandatory: bool,
        /// It comes back if no consumer takes it at once. No longer implemented by any server.
        immediate: bool,
    }

    /// Hands the content that follows back to its publisher.
    Return = 50 "return" {
        /// Why.
        reply_code: u16,
        /// Why, in words.
        reply_text: ShortString,
        /// Where it was published.
        exchange: ExchangeName,
        /// As it was published.
        routing_key: RoutingKey,
    }

    /// Delivers the content that follows to a consumer.
    Deliver = 60 "deliver" {
        /// The consumer's name.
        consumer_tag: ConsumerTag,
        /// The delivery's number.
        delivery_tag: DeliveryTag,
        /// It may have been delivered before.
        redelivered: bool,
        /// Where it was published.
        exchange: ExchangeName,
        /// As it was published.
        routing_key: RoutingKey,
    }

    /// Asks for one message.
    Get = 70 "get" {
        [u16]
        /// From this queue.
        queue: QueueName,
        /// It is settled when it is sent.
        no_ack: bool,
    }

    /// Answers with the content that follows.
    GetOk = 71 "get-ok" {
        /// The delivery's number.
        delivery_tag: DeliveryTag,
        /// It may have been delivered before.
        redelivered: bool,
        /// Where it was published.
        exchange: ExchangeName,
        /// As it was published.
        routing_key: RoutingKey,
        /// How many messages are ready behind it.
        message_count: u32,
    }

    /// Answers that nothing is ready.
    GetEmpty = 72 "get-empty" {
        [ShortString]
    }

    /// The consumer has dealt with it. From the server: the broker has (RabbitMQ's extension).
    Ack = 80 "ack" {
        /// What; 0 means everything.
        delivery_tag: DeliveryTag,
        /// And everything before.
        multiple: bool,
    }

    /// The consumer does not want it.
    Reject = 90 "reject" {
        /// What.
        delivery_tag: DeliveryTag,
        /// It goes back to its queue.
        requeue: bool,
    }

    /// As [`Recover`], without an answer.
    RecoverAsync = 100 "recover-async" {
        /// To any consumer.
        requeue: bool,
    }

    /// Wants everything again that is not acknowledged.
    Recover = 110 "recover" {
        /// To any consumer.
        requeue: bool,
    }

    /// What was not acknowledged comes again.
    RecoverOk = 111 "recover-ok" {}

    /// The consumer wants none of it. From the server: the broker could not (RabbitMQ's extension).
    Nack = 120 "nack" {
        /// What; 0 means everything.
        delivery_tag: DeliveryTag,
        /// And everything before.
        multiple: bool,
        /// It goes back to its queue.
        requeue: bool,
    }
}
