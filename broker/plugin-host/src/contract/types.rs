//! The types of `wit/`, in the shape that the engine lowers and lifts. Their documentation is there.

use wasmtime::component::{ComponentType, Lift, Lower};

#[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Span {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum Value {
    #[component(name = "void")]
    Void,
    #[component(name = "boolean")]
    Boolean(bool),
    #[component(name = "signed")]
    Signed(i64),
    #[component(name = "unsigned")]
    Unsigned(u64),
    #[component(name = "float")]
    Float(f64),
    #[component(name = "decimal")]
    Decimal((u8, i32)),
    #[component(name = "text")]
    Text(String),
    #[component(name = "bytes")]
    Bytes(Vec<u8>),
    #[component(name = "timestamp")]
    Timestamp(u64),
    #[component(name = "array")]
    Array(Span),
    #[component(name = "table")]
    Table(Span),
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, Default, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Table {
    pub(crate) fields: Vec<Field>,
    pub(crate) nested: Vec<Field>,
}

#[derive(Clone, Debug, Default, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Properties {
    #[component(name = "content-type")]
    pub(crate) content_type: Option<String>,
    #[component(name = "content-encoding")]
    pub(crate) content_encoding: Option<String>,
    #[component(name = "delivery-mode")]
    pub(crate) delivery_mode: Option<u8>,
    pub(crate) priority: Option<u8>,
    #[component(name = "correlation-id")]
    pub(crate) correlation_id: Option<String>,
    #[component(name = "reply-to")]
    pub(crate) reply_to: Option<String>,
    pub(crate) expiration: Option<String>,
    #[component(name = "message-id")]
    pub(crate) message_id: Option<String>,
    pub(crate) timestamp: Option<u64>,
    pub(crate) kind: Option<String>,
    #[component(name = "user-id")]
    pub(crate) user_id: Option<String>,
    #[component(name = "app-id")]
    pub(crate) app_id: Option<String>,
    #[component(name = "cluster-id")]
    pub(crate) cluster_id: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Message {
    pub(crate) vhost: String,
    pub(crate) exchange: String,
    #[component(name = "routing-key")]
    pub(crate) routing_key: String,
    pub(crate) user: String,
    pub(crate) time: u64,
    pub(crate) properties: Properties,
    pub(crate) headers: Table,
    pub(crate) body: Vec<u8>,
    #[component(name = "body-size")]
    pub(crate) body_size: u64,
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Binding {
    pub(crate) id: u32,
    pub(crate) destination: String,
    #[component(name = "routing-key")]
    pub(crate) routing_key: String,
    pub(crate) arguments: Table,
}

wasmtime::component::flags! {
    Parts {
        #[component(name = "vhost")]
        const VHOST;
        #[component(name = "exchange")]
        const EXCHANGE;
        #[component(name = "routing-key")]
        const ROUTING_KEY;
        #[component(name = "user")]
        const USER;
        #[component(name = "time")]
        const TIME;
        #[component(name = "properties")]
        const PROPERTIES;
    }
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum HeaderNeeds {
    #[component(name = "none")]
    None,
    #[component(name = "named")]
    Named(Vec<String>),
    #[component(name = "all")]
    All,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum BodyNeeds {
    #[component(name = "none")]
    None,
    #[component(name = "prefix")]
    Prefix(u32),
    #[component(name = "whole")]
    Whole,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Needs {
    pub(crate) parts: Parts,
    pub(crate) headers: HeaderNeeds,
    pub(crate) body: BodyNeeds,
    pub(crate) pure: bool,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) needs: Needs,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Replacement {
    #[component(name = "routing-key")]
    pub(crate) routing_key: Option<String>,
    pub(crate) properties: Option<Properties>,
    #[component(name = "set-headers")]
    pub(crate) set_headers: Table,
    #[component(name = "remove-headers")]
    pub(crate) remove_headers: Vec<String>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) delay: u64,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Verdict {
    #[component(name = "pass")]
    Pass,
    #[component(name = "replace")]
    Replace(Vec<Replacement>),
    #[component(name = "drop")]
    Drop,
    #[component(name = "reject")]
    Reject(String),
    #[component(name = "dead-letter")]
    DeadLetter(String),
    #[component(name = "delay")]
    Delay(u64),
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Outgoing {
    pub(crate) vhost: String,
    pub(crate) exchange: String,
    #[component(name = "routing-key")]
    pub(crate) routing_key: String,
    pub(crate) properties: Properties,
    pub(crate) headers: Table,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "the engine makes them of numbers")]
pub(crate) enum Level {
    #[component(name = "error")]
    Error,
    #[component(name = "warn")]
    Warn,
    #[component(name = "info")]
    Info,
    #[component(name = "debug")]
    Debug,
}

impl From<Needs> for amphora_core::hook::Needs {
    fn from(needs: Needs) -> Self {
        use amphora_core::hook;
        Self {
            parts: hook::Parts {
                vhost: needs.parts.contains(Parts::VHOST),
                exchange: needs.parts.contains(Parts::EXCHANGE),
                routing_key: needs.parts.contains(Parts::ROUTING_KEY),
                user: needs.parts.contains(Parts::USER),
                time: needs.parts.contains(Parts::TIME),
                properties: needs.parts.contains(Parts::PROPERTIES),
            },
            headers: match needs.headers {
                HeaderNeeds::None => hook::HeaderNeeds::None,
                HeaderNeeds::Named(names) => hook::HeaderNeeds::Named(names),
                HeaderNeeds::All => hook::HeaderNeeds::All,
            },
            body: match needs.body {
                BodyNeeds::None => hook::BodyNeeds::None,
                BodyNeeds::Prefix(length) => hook::BodyNeeds::Prefix(length),
                BodyNeeds::Whole => hook::BodyNeeds::Whole,
            },
            pure: needs.pure,
        }
    }
}
