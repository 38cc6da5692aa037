//! Makes the connections of a run.

use anyhow::Result;

use super::consumer::{Consumer, Manner};
use super::gauge::Gauge;
use super::image::Image;
use super::options::Options;
use super::pace::Pace;
use super::plan::Plan;
use super::producer::{Link, Producer};
use super::window::Window;
use crate::perf::amqp::call::Call;
use crate::perf::amqp::client::Client;
use crate::perf::amqp::dialogue::CHANNEL;
use crate::perf::amqp::method::confirm;
use crate::perf::measure::clock::nanoseconds;

/// Connects the producers.
pub(crate) fn producers<'a>(
    options: &Options,
    plan: &Plan,
    gauge: &'a Gauge,
    stamped: bool,
) -> Result<Vec<Producer<'a>>> {
    plan.producers
        .iter()
        .enumerate()
        .map(|(index, producer)| {
            let mut client = Client::open(&options.uri)?;
            let window = (options.confirm > 0).then(|| Window::new(options.confirm));
            if window.is_some() {
                client.call(
                    Call::new(CHANNEL, confirm::SELECT).octet(0),
                    confirm::SELECT_OK,
                )?;
            }
            let count = plan.producers.len();
            let share = options.count.map_or(u64::MAX, |total| {
                (total + count as u64 - 1 - index as u64) / count as u64
            });
            let pace = options.rate.map(|rate| Pace::new(rate, count, index));
            // A timetable ends by itself: what is due until then is published even if a stall delays it beyond the end.
            let last = nanoseconds(options.length()).saturating_sub(1);
            let quota = pace.map_or(share, |pace| pace.due(last).min(share));
            Ok(Producer {
                image: Image::new(options, plan, producer, client.frame_max())?,
                link: Link::new(client, gauge, window)?,
                pace,
                quota,
                stamped,
            })
        })
        .collect()
}

/// Connects the consumers; they do not consume yet.
pub(crate) fn consumers<'a>(
    options: &Options,
    plan: &Plan,
    gauge: &'a Gauge,
    latency: bool,
) -> Result<Vec<Consumer<'a>>> {
    let manner = Manner {
        size: options.size,
        ack_every: options.ack_every.unwrap_or(0),
        prefetch: options.prefetch,
        by_queue: plan.copies > 1,
        from_first: options.stream,
        latency,
    };
    (0..)
        .zip(&plan.consumers)
        .map(|(consumer, queues)| {
            let queues = queues
                .iter()
                .map(|&queue| {
                    let number = if options.stream { consumer } else { queue };
                    (plan.queues[queue as usize].clone(), number)
                })
                .collect();
            Consumer::new(Client::open(&options.uri)?, gauge, manner, queues)
        })
        .collect()
}
