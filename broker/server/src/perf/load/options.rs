//! The options that describe a load; `throughput`, `latency` and the scenarios of `compare` share them.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;

use crate::perf::amqp::call::Value;
use crate::perf::amqp::endpoint::Endpoint;
use crate::perf::load::length::seconds;

/// A load, as the command line describes it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// The broker
    #[arg(
        long,
        default_value = "amqp://guest:guest@127.0.0.1:5672",
        help_heading = "Connection"
    )]
    pub(crate) uri: Endpoint,
    /// Process of the broker: its CPU time and memory are read from /proc, with those of all its descendants
    #[arg(long, help_heading = "Connection")]
    pub(crate) pid: Option<u32>,

    /// Connections that publish
    #[arg(
        short = 'x',
        long,
        default_value_t = 1,
        value_name = "N",
        help_heading = "Who"
    )]
    pub(crate) producers: usize,
    /// Connections that consume, spread over the queues
    #[arg(
        short = 'y',
        long,
        default_value_t = 1,
        value_name = "N",
        help_heading = "Who"
    )]
    pub(crate) consumers: usize,
    /// Queues. A producer publishes to one of them if there are at least as many producers, else to all in rotation
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Who")]
    pub(crate) queues: usize,
    /// Publish only, to a growing queue; the broker's own count is checked at the end
    #[arg(long, conflicts_with_all = ["drain", "consumers", "auto_ack", "ack_every", "prefetch"], help_heading = "Who")]
    pub(crate) publish_only: bool,
    /// Publish everything first, then consume it; both parts are measured
    #[arg(long, help_heading = "Who")]
    pub(crate) drain: bool,

    /// A stream instead of a queue: every consumer gets every message from the first one on. With --drain they replay what is there
    #[arg(long, conflicts_with_all = ["fanout", "publish_only"], help_heading = "Who")]
    pub(crate) stream: bool,

    /// Exchange type: default, direct, fanout, topic, headers, or any other that the broker knows (x-...)
    #[arg(short = 't', long, default_value = "direct", value_name = "TYPE", value_parser = name, help_heading = "Routing")]
    pub(crate) exchange_type: String,
    /// Bind and publish as for this type: direct, topic or headers; for the exchange types of plugins, which get keys otherwise
    #[arg(long, value_name = "TYPE", value_parser = ["direct", "topic", "headers"], help_heading = "Routing")]
    pub(crate) like: Option<String>,
    /// Short for a fanout exchange with N queues and a consumer for each
    #[arg(long, value_name = "N", conflicts_with_all = ["exchange_type", "like", "queues", "consumers"], help_heading = "Routing")]
    pub(crate) fanout: Option<usize>,
    /// Other bindings of the exchange, which do not match
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Routing")]
    pub(crate) bindings: usize,
    /// Different routing keys, used in rotation; as many as queues if there are fewer
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Routing")]
    pub(crate) routing_keys: usize,
    /// Routing key of every queue's binding; for exchange types that want a certain one, such as a weight
    #[arg(long, value_name = "KEY", value_parser = name, help_heading = "Routing")]
    pub(crate) binding_key: Option<String>,
    /// Argument of the exchange's declaration; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = argument, help_heading = "Routing")]
    pub(crate) exchange_argument: Vec<(String, Value)>,
    /// Argument of every queue's binding; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = argument, help_heading = "Routing")]
    pub(crate) binding_argument: Vec<(String, Value)>,
    /// Argument of every queue's declaration, such as x-queue-type=quorum; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = argument, help_heading = "Routing")]
    pub(crate) queue_argument: Vec<(String, Value)>,

    /// Bytes of a body; the first 16 are the message's number and the time
    #[arg(
        short,
        long,
        default_value_t = 16,
        value_name = "BYTES",
        help_heading = "Messages"
    )]
    pub(crate) size: usize,
    /// Headers of a message; a headers exchange matches on the first
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Messages")]
    pub(crate) headers: usize,
    /// Priorities of messages, from 0 on, in rotation; each has a routing key of its own, for those of one key stay in order
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Messages")]
    pub(crate) priorities: u8,
    /// Persistent messages (delivery mode 2) on durable queues
    #[arg(long, help_heading = "Messages")]
    pub(crate) persistent: bool,
    /// Durable queues and exchange also for transient messages; RabbitMQ from 4.3 on refuses others
    #[arg(long, help_heading = "Messages")]
    pub(crate) durable: bool,

    /// Publisher confirms with at most this many outstanding per producer; 0 turns them off
    #[arg(
        short,
        long,
        default_value_t = 0,
        value_name = "WINDOW",
        help_heading = "Guarantees"
    )]
    pub(crate) confirm: usize,
    /// Acknowledge automatically (no-ack), which is the default unless --ack-every is given
    #[arg(short, long, conflicts_with = "ack_every", help_heading = "Guarantees")]
    pub(crate) auto_ack: bool,
    /// Acknowledge after every N messages, all of them at once
    #[arg(short = 'A', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Guarantees")]
    pub(crate) ack_every: Option<u32>,
    /// Prefetch count (basic.qos) per consumer; 0 is without a limit
    #[arg(
        short = 'q',
        long,
        default_value_t = 0,
        value_name = "N",
        help_heading = "Guarantees"
    )]
    pub(crate) prefetch: u16,

    /// Messages per second over all producers, sent at their times whatever the broker does; as fast as possible without
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "How long")]
    pub(crate) rate: Option<u64>,
    /// Publish for so many seconds
    #[arg(short = 'z', long, default_value = "10", value_name = "SECONDS", value_parser = seconds, help_heading = "How long")]
    pub(crate) duration: Duration,
    /// Publish for so long before; what happens until then is checked, but in no rate, latency or cost
    #[arg(long, default_value = "0", value_name = "SECONDS", value_parser = seconds, conflicts_with_all = ["count", "drain"], help_heading = "How long")]
    pub(crate) warm_up: Duration,
    /// Stop after so many messages over all producers, even if the time is not over
    #[arg(short = 'C', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "How long")]
    pub(crate) count: Option<u64>,
    /// How long to wait for the rest once nothing comes any more; what is missing then is lost or still in its queue
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = seconds, help_heading = "How long")]
    pub(crate) settle: Duration,
}

/// The kinds of exchange that bind and match in their own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routing {
    /// The default exchange: the routing key is the queue's name.
    Default,
    /// A key per binding.
    Key,
    /// Every queue gets every message.
    Fanout,
    /// Patterns.
    Topic,
    /// Arguments.
    Headers,
}

impl Options {
    /// How the exchange routes, as far as this tool needs to know.
    pub(crate) fn routing(&self) -> Routing {
        match self.like.as_ref().unwrap_or(&self.exchange_type).as_str() {
            "default" => Routing::Default,
            "fanout" => Routing::Fanout,
            "topic" => Routing::Topic,
            "headers" => Routing::Headers,
            _ => Routing::Key,
        }
    }

    /// How long is published.
    pub(crate) fn length(&self) -> Duration {
        self.warm_up.saturating_add(self.duration)
    }

    /// Resolves short forms and refuses combinations that make no sense.
    pub(crate) fn checked(mut self) -> Result<Self> {
        if let Some(queues) = self.fanout {
            "fanout".clone_into(&mut self.exchange_type);
            self.queues = queues;
            self.consumers = queues;
        }
        if self.publish_only {
            self.consumers = 0;
        }
        self.routing_keys = self.routing_keys.max(self.priorities.into());
        if self.stream {
            self.durable = true;
            let stream = Value::Text("stream".to_owned());
            self.queue_argument
                .push(("x-queue-type".to_owned(), stream));
        }
        if self.routing() == Routing::Headers {
            self.headers = self.headers.max(1);
        }
        self.check_numbers()?;
        ensure!(
            self.like.is_none() || self.exchange_type.starts_with("x-"),
            "--like is for the exchange types of plugins, and '{}' is none",
            self.exchange_type
        );
        match self.routing() {
            Routing::Default => {
                ensure!(
                    self.bindings == 0,
                    "nothing can be bound to the default exchange: --bindings needs another --exchange-type"
                );
                ensure!(
                    self.binding_key.is_none() && self.binding_argument.is_empty(),
                    "nothing can be bound to the default exchange: --binding-key and --binding-argument need another --exchange-type"
                );
                ensure!(
                    self.routing_keys <= self.queues,
                    "with the default exchange there is one routing key per queue"
                );
            }
            Routing::Fanout => {
                ensure!(
                    self.bindings == 0,
                    "every binding of a fanout exchange matches: use --queues instead of --bindings"
                );
                ensure!(
                    self.binding_key.is_none(),
                    "a fanout exchange does not look at keys: --binding-key needs another --exchange-type"
                );
            }
            Routing::Key | Routing::Topic | Routing::Headers => {}
        }
        Ok(self)
    }

    fn check_numbers(&self) -> Result<()> {
        ensure!(
            self.size >= 16,
            "--size is at least 16: every body carries its number and the time"
        );
        ensure!(self.size <= 512 * 1024 * 1024, "--size is at most 512 MiB");
        ensure!(self.producers > 0, "--producers is at least 1");
        let queues = self.fanout.map_or("--queues", |_| "--fanout");
        ensure!(
            (1..=99_999).contains(&self.queues),
            "{queues} is between 1 and 99999"
        );
        ensure!(
            self.routing_keys <= 99_999,
            "--routing-keys is at most 99999"
        );
        ensure!(
            self.publish_only || self.consumers > 0,
            "without consumers it is --publish-only"
        );
        ensure!(
            !self.stream || self.queues == 1 && self.prefetch > 0,
            "--stream is one queue, and its consumers need --prefetch"
        );
        let batch = u64::from(self.ack_every.unwrap_or(0));
        ensure!(
            self.prefetch == 0 || batch <= u64::from(self.prefetch),
            "--ack-every {batch} would wait for ever: with --prefetch {} the broker sends no more than that before an acknowledgement",
            self.prefetch
        );
        ensure!(
            self.prefetch == 0 || self.ack_every.is_some(),
            "--prefetch needs --ack-every: it limits unacknowledged messages"
        );
        Ok(())
    }
}

fn name(text: &str) -> Result<String, String> {
    if text.len() <= 255 {
        Ok(text.to_owned())
    } else {
        Err("at most 255 bytes".to_owned())
    }
}

/// Parses `name=value`; a value that looks like an integer or a boolean is sent as such.
fn argument(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("an argument is NAME=VALUE")?;
    let value = match (value.parse(), value) {
        (Ok(number), _) => Value::Integer(number),
        (_, "true") => Value::Bool(true),
        (_, "false") => Value::Bool(false),
        _ => Value::Text(value.to_owned()),
    };
    Ok((name(key)?, value))
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    /// The options of a command line, checked.
    pub(crate) fn options(line: &str) -> Result<Options> {
        Line::try_parse_from(std::iter::once("perf").chain(line.split_whitespace()))?
            .options
            .checked()
    }

    #[test]
    fn short_forms_are_resolved() {
        let fanout = options("--fanout 4").unwrap();
        assert_eq!(
            (fanout.routing(), fanout.queues, fanout.consumers),
            (Routing::Fanout, 4, 4)
        );
        assert_eq!(options("--publish-only").unwrap().consumers, 0);
        assert_eq!(options("-t headers").unwrap().headers, 1);
        assert_eq!(options("--priorities 3").unwrap().routing_keys, 3);
        let like = options("-t x-content --like headers").unwrap();
        assert_eq!((like.routing(), like.headers), (Routing::Headers, 1));
        assert_eq!(
            options("-z 1.5").unwrap().duration,
            Duration::from_millis(1500)
        );
        assert_eq!(options("-z 2m").unwrap().duration, Duration::from_mins(2));
    }

    #[test]
    fn arguments_keep_their_types() {
        let options =
            options("--queue-argument a=5 --queue-argument b=true --queue-argument c=quorum")
                .unwrap();
        let values: Vec<_> = options
            .queue_argument
            .into_iter()
            .map(|(_, value)| value)
            .collect();
        assert_eq!(
            values,
            [
                Value::Integer(5),
                Value::Bool(true),
                Value::Text("quorum".to_owned())
            ]
        );
    }

    #[test]
    fn impossible_combinations_are_explained() {
        for (line, says) in [
            ("--size 8", "at least 16"),
            ("--ack-every 100 --prefetch 10", "would wait for ever"),
            ("--prefetch 10", "needs --ack-every"),
            ("-t fanout --bindings 3", "every binding of a fanout"),
            ("-t fanout --binding-key a", "does not look at keys"),
            ("--fanout 0", "--fanout is between 1 and 99999"),
            ("--queues 0", "--queues is between 1 and 99999"),
            ("--publish-only -y 4", "cannot be used with"),
            ("--publish-only -A 4", "cannot be used with"),
            ("--publish-only -q 4", "cannot be used with"),
            ("--publish-only -a", "cannot be used with"),
            ("-t default --bindings 3", "default exchange"),
            ("-t default --binding-argument a=b", "nothing can be bound"),
            ("-t default --routing-keys 2", "one routing key per queue"),
            ("--consumers 0", "--publish-only"),
            ("--stream --ack-every 10", "need --prefetch"),
            ("--stream --fanout 2", "cannot be used with"),
            ("-t direct --like topic", "and 'direct' is none"),
            ("-t x-a --like fanout", "invalid value 'fanout'"),
            ("--drain --publish-only", "cannot be used with"),
            ("--warm-up 1 --drain", "cannot be used with"),
            ("--warm-up 1 --count 5", "cannot be used with"),
            ("--queue-argument x", "NAME=VALUE"),
        ] {
            let error = options(line).unwrap_err().to_string();
            assert!(error.contains(says), "{line}: {error}");
        }
    }
}
