//! One of every method, with arguments that differ from their defaults.

use amphora_protocol::wire::method::{
    Method, access, basic, channel, confirm, connection, exchange, queue, tx,
};
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{
    ConsumerTag, DeliveryTag, ExchangeName, QueueName, RoutingKey, ShortString, VhostName,
};
use bytes::Bytes;

pub(crate) fn short(text: &str) -> ShortString {
    text.try_into().unwrap()
}

pub(crate) fn table() -> FieldTable {
    let mut table = FieldTable::new();
    table.insert(short("x-max-length"), 10_i32);
    table
}

/// One of every method of every class.
pub(crate) fn all() -> Vec<Method> {
    let classes = [
        connection(),
        channel(),
        access(),
        exchange(),
        queue(),
        basic_consuming(),
        basic_publishing(),
        tx(),
        confirm(),
    ];
    classes.into_iter().flatten().collect()
}

fn connection() -> Vec<Method> {
    vec![
        connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: table().into(),
            mechanisms: Bytes::from_static(b"PLAIN AMQPLAIN"),
            locales: Bytes::from_static(b"en_US"),
        }
        .into(),
        start_ok().into(),
        connection::Secure {
            challenge: Bytes::from_static(b"?"),
        }
        .into(),
        connection::SecureOk {
            response: Bytes::from_static(b"!"),
        }
        .into(),
        connection::Tune {
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: 60,
        }
        .into(),
        tune_ok().into(),
        connection::Open {
            virtual_host: VhostName::new("/").unwrap(),
        }
        .into(),
        connection::OpenOk {}.into(),
        connection::Close {
            reply_code: 200,
            reply_text: short("Goodbye"),
            class_id: 0,
            method_id: 0,
        }
        .into(),
        connection::CloseOk {}.into(),
        connection::Blocked {
            reason: short("low on memory"),
        }
        .into(),
        connection::Unblocked {}.into(),
        connection::UpdateSecret {
            new_secret: Bytes::from_static(b"token"),
            reason: short("expiry"),
        }
        .into(),
        connection::UpdateSecretOk {}.into(),
    ]
}

pub(crate) fn start_ok() -> connection::StartOk {
    connection::StartOk {
        client_properties: table(),
        mechanism: short("PLAIN"),
        response: Bytes::from_static(b"\0guest\0guest"),
        locale: short("en_US"),
    }
}

pub(crate) fn tune_ok() -> connection::TuneOk {
    connection::TuneOk {
        channel_max: 2047,
        frame_max: 131_072,
        heartbeat: 60,
    }
}

fn channel() -> Vec<Method> {
    vec![
        channel::Open {}.into(),
        channel::OpenOk {}.into(),
        channel::Flow { active: true }.into(),
        channel::FlowOk { active: true }.into(),
        channel::Close {
            reply_code: 200,
            reply_text: short("Goodbye"),
            class_id: 0,
            method_id: 0,
        }
        .into(),
        channel::CloseOk {}.into(),
    ]
}

fn access() -> Vec<Method> {
    vec![
        access::Request {
            realm: short("/data"),
            exclusive: false,
            passive: true,
            active: true,
            write: true,
            read: true,
        }
        .into(),
        access::RequestOk { ticket: 1 }.into(),
    ]
}

fn exchange() -> Vec<Method> {
    vec![
        exchange::Declare {
            exchange: exchange_name(),
            kind: short("topic"),
            durable: true,
            internal: true,
            arguments: table(),
            ..exchange::Declare::default()
        }
        .into(),
        exchange::DeclareOk {}.into(),
        exchange::Delete {
            exchange: exchange_name(),
            if_unused: true,
            no_wait: false,
        }
        .into(),
        exchange::DeleteOk {}.into(),
        exchange::Bind {
            destination: exchange_name(),
            source: ExchangeName::new("amq.topic").unwrap(),
            routing_key: routing_key(),
            no_wait: true,
            arguments: table(),
        }
        .into(),
        exchange::BindOk {}.into(),
        exchange::Unbind {
            destination: exchange_name(),
            source: ExchangeName::new("amq.topic").unwrap(),
            routing_key: routing_key(),
            no_wait: true,
            arguments: table(),
        }
        .into(),
        exchange::UnbindOk {}.into(),
    ]
}

fn queue() -> Vec<Method> {
    vec![
        queue::Declare {
            queue: queue_name(),
            durable: true,
            auto_delete: true,
            arguments: table(),
            ..queue::Declare::default()
        }
        .into(),
        queue::DeclareOk {
            queue: queue_name(),
            message_count: 1,
            consumer_count: 2,
        }
        .into(),
        queue::Bind {
            queue: queue_name(),
            exchange: exchange_name(),
            routing_key: routing_key(),
            no_wait: true,
            arguments: table(),
        }
        .into(),
        queue::BindOk {}.into(),
        queue::Purge {
            queue: queue_name(),
            no_wait: true,
        }
        .into(),
        queue::PurgeOk { message_count: 3 }.into(),
        queue::Delete {
            queue: queue_name(),
            if_unused: true,
            if_empty: false,
            no_wait: true,
        }
        .into(),
        queue::DeleteOk { message_count: 4 }.into(),
        queue::Unbind {
            queue: queue_name(),
            exchange: exchange_name(),
            routing_key: routing_key(),
            arguments: table(),
        }
        .into(),
        queue::UnbindOk {}.into(),
    ]
}

fn basic_consuming() -> Vec<Method> {
    vec![
        basic::Qos {
            prefetch_size: 0,
            prefetch_count: 100,
            global: true,
        }
        .into(),
        basic::QosOk {}.into(),
        basic::Consume {
            queue: queue_name(),
            consumer_tag: consumer_tag(),
            no_ack: true,
            no_wait: true,
            arguments: table(),
            ..basic::Consume::default()
        }
        .into(),
        basic::ConsumeOk {
            consumer_tag: consumer_tag(),
        }
        .into(),
        basic::Cancel {
            consumer_tag: consumer_tag(),
            no_wait: true,
        }
        .into(),
        basic::CancelOk {
            consumer_tag: consumer_tag(),
        }
        .into(),
    ]
}

fn basic_publishing() -> Vec<Method> {
    vec![
        publish().into(),
        basic::Return {
            reply_code: 312,
            reply_text: short("NO_ROUTE"),
            exchange: exchange_name(),
            routing_key: routing_key(),
        }
        .into(),
        basic::Deliver {
            consumer_tag: consumer_tag(),
            delivery_tag: DeliveryTag(7),
            redelivered: true,
            exchange: exchange_name(),
            routing_key: routing_key(),
        }
        .into(),
        basic::Get {
            queue: queue_name(),
            no_ack: true,
        }
        .into(),
        basic::GetOk {
            delivery_tag: DeliveryTag(7),
            redelivered: true,
            exchange: exchange_name(),
            routing_key: routing_key(),
            message_count: 5,
        }
        .into(),
        basic::GetEmpty {}.into(),
        basic::Ack {
            delivery_tag: DeliveryTag(7),
            multiple: true,
        }
        .into(),
        basic::Reject {
            delivery_tag: DeliveryTag(7),
            requeue: true,
        }
        .into(),
        basic::RecoverAsync { requeue: true }.into(),
        basic::Recover { requeue: true }.into(),
        basic::RecoverOk {}.into(),
        basic::Nack {
            delivery_tag: DeliveryTag(7),
            multiple: false,
            requeue: true,
        }
        .into(),
    ]
}

pub(crate) fn publish() -> basic::Publish {
    basic::Publish {
        exchange: exchange_name(),
        routing_key: routing_key(),
        mandatory: true,
        immediate: false,
    }
}

fn tx() -> Vec<Method> {
    vec![
        tx::Select {}.into(),
        tx::SelectOk {}.into(),
        tx::Commit {}.into(),
        tx::CommitOk {}.into(),
        tx::Rollback {}.into(),
        tx::RollbackOk {}.into(),
    ]
}

fn confirm() -> Vec<Method> {
    vec![
        confirm::Select { no_wait: true }.into(),
        confirm::SelectOk {}.into(),
    ]
}

fn exchange_name() -> ExchangeName {
    ExchangeName::new("ex").unwrap()
}

fn queue_name() -> QueueName {
    QueueName::new("orders").unwrap()
}

fn routing_key() -> RoutingKey {
    RoutingKey::new("a.b").unwrap()
}

fn consumer_tag() -> ConsumerTag {
    ConsumerTag::new("ctag-1").unwrap()
}
