//! Messages of a plugin's own.

use wasmtime::component::LinkerInstance;

use crate::contract::{self, Send};
use crate::environment::Outgoing;
use crate::state::State;

/// Messages in one call, at most.
const MESSAGES_MAX: usize = 256;

/// Bytes of all messages in one call, at most.
const BYTES_MAX: usize = 16 << 20;

/// What an instance sent during a call.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    messages: Vec<Outgoing>,
    bytes: usize,
}

impl Sent {
    pub(crate) fn take(&mut self) -> Vec<Outgoing> {
        self.bytes = 0;
        std::mem::take(&mut self.messages)
    }

    fn push(&mut self, message: Send) -> Result<(), String> {
        if self.messages.len() >= MESSAGES_MAX {
            return Err(format!("{MESSAGES_MAX} messages are allowed in one call"));
        }
        let message = contract::outgoing(message)?;
        let bytes = self.bytes + message.body.len() + message.properties.len();
        if bytes > BYTES_MAX {
            return Err(format!("{BYTES_MAX} bytes are allowed in one call"));
        }
        self.bytes = bytes;
        self.messages.push(message);
        Ok(())
    }
}

pub(super) fn link(mut linker: LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    linker.func_wrap("send", |mut store, (message,): (Send,)| {
        Ok((store.data_mut().sent.push(message),))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::types::{Properties, Table};

    fn message(bytes: usize) -> Send {
        Send {
            vhost: "/".into(),
            exchange: String::new(),
            routing_key: "q".into(),
            properties: Properties::default(),
            headers: Table::default(),
            body: vec![0; bytes],
        }
    }

    #[test]
    fn one_call_sends_so_much_and_the_next_one_again() {
        let mut sent = Sent::default();
        for _ in 0..MESSAGES_MAX {
            sent.push(message(1)).expect("few");
        }
        assert!(sent.push(message(1)).is_err());
        assert_eq!(sent.take().len(), MESSAGES_MAX);
        sent.push(message(15 << 20)).expect("small");
        assert!(sent.push(message(1 << 20)).is_err());
        sent.push(message(1 << 10)).expect("small");
        assert_eq!(sent.take().len(), 2);
    }
}
