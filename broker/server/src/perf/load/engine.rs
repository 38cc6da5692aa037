//! Runs a load: declares, connects, starts the threads, waits, counts, and deletes.

use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::connect;
use super::consumer::{Consumed, Consumer};
use super::gauge::Gauge;
use super::options::Options;
use super::outcome::{Confirms, Cost, Kept, Outcome, Throughput, WarmUp};
use super::plan::Plan;
use super::producer::{Produced, Producer};
use super::threads::{Handle, join, precise_timers, spawn};
use super::topology;
use super::watch::Watch;
use crate::perf::amqp::client::Client;
use crate::perf::interrupt::Interrupt;
use crate::perf::measure::clock::{Clock, nanoseconds};
use crate::perf::measure::histogram::Histogram;
use crate::perf::measure::ledger::{Ledger, Tally};
use crate::perf::progress::Progress;

/// How often totals are looked at; the times that count are taken by the threads themselves.
const POLL: Duration = Duration::from_millis(2);
/// How long what was due may still be published after the end of a load with a rate.
const OVERTIME: Duration = Duration::from_secs(10);
/// How long consumers go on after the last message that is expected, to see whether any comes again.
const LINGER: Duration = Duration::from_millis(100);
/// How long queues may take to be empty once nobody consumes.
const EMPTY_MAX: Duration = Duration::from_secs(1);

/// Runs the load that `options` describe; with `latency`, the latency of every message is recorded. An interrupt ends it as if its
/// time were over.
///
/// What was declared is deleted at the end, also after an error.
///
/// # Errors
/// If the broker refuses something, closes a connection, or stops reading; if the process of `--pid` does not exist.
pub(crate) fn run(
    options: &Options,
    latency: bool,
    interrupt: &Interrupt,
    progress: &mut Progress,
) -> Result<Outcome> {
    let plan = Plan::new(options)?;
    let mut control = Client::open(&options.uri)?;
    let gauge = Gauge::new(Clock::start());
    let run = Run {
        options,
        plan: &plan,
        gauge: &gauge,
        interrupt,
        latency,
    };
    let outcome = topology::declare(&mut control, &plan, options)
        .and_then(|()| run.measure(&mut control, progress));
    progress.clear();
    // On a new connection, as an error closes the channel of the old one.
    let deleted = Client::open(&options.uri).and_then(|mut client| {
        topology::delete(&mut client, &plan, options)?;
        client.close()
    });
    let outcome = outcome?;
    deleted.context("cannot clean up")?;
    control.close()?;
    Ok(outcome)
}

/// What the parts of a run share.
#[derive(Clone, Copy, Debug)]
struct Run<'a> {
    options: &'a Options,
    plan: &'a Plan,
    gauge: &'a Gauge,
    interrupt: &'a Interrupt,
    latency: bool,
}

/// What the producers of a run have done; the totals are by producer.
#[derive(Debug)]
struct Publishing {
    totals: Vec<u64>,
    confirms: Option<Confirms>,
    throughput: Throughput,
    pace: Option<Kept>,
    interrupted: bool,
    warm_up: Option<WarmUp>,
}

impl Publishing {
    /// How many messages were published, whether they count for the figures or not.
    fn total(&self) -> u64 {
        self.totals.iter().sum()
    }

    /// The outcome as far as publishing goes.
    fn outcome(&self, control: &Client, tally: Tally) -> Outcome {
        Outcome {
            broker: control.server().clone(),
            interrupted: self.interrupted,
            warm_up: self.warm_up,
            published: self.throughput,
            pace: self.pace,
            delivered: None,
            confirms: self.confirms,
            latency: None,
            tally,
            remaining: 0,
            cost: None,
            publish_cost: None,
        }
    }
}

impl Run<'_> {
    fn measure(&self, control: &mut Client, progress: &mut Progress) -> Result<Outcome> {
        thread::scope(|scope| {
            let result = if self.options.drain {
                self.publish_then_consume(scope, control, progress)
            } else {
                self.publish_and_consume(scope, control, progress)
            };
            // Whatever happened, no thread may be left that waits for a stop.
            self.gauge.stop_publishing();
            self.gauge.stop_consuming();
            result
        })
    }

    fn publish_and_consume<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        control: &mut Client,
        progress: &mut Progress,
    ) -> Result<Outcome> {
        let producers = connect::producers(self.options, self.plan, self.gauge, self.latency)?;
        let mut consumers = connect::consumers(self.options, self.plan, self.gauge, self.latency)?;
        consumers.iter_mut().try_for_each(Consumer::subscribe)?;
        let consumers = consumers
            .into_iter()
            .map(|consumer| spawn(scope, self.gauge, || consumer.run()))
            .collect::<Result<Vec<_>>>()?;
        let mut watch = Watch::start(self.options, self.plan, self.gauge, progress)?;
        let publishing = self.publish(scope, producers, &mut watch)?;
        let published = publishing.total();
        if self.options.publish_only {
            let ready = self.await_ready(control, published, &mut watch)?;
            let expected = published * u64::from(self.plan.stored);
            let tally = Tally {
                distinct: ready.min(expected),
                lost: expected.saturating_sub(ready),
                duplicates: ready.saturating_sub(expected),
                ..Tally::default()
            };
            let cost = watch.cost(publishing.throughput.count)?;
            return Ok(Outcome {
                remaining: ready,
                cost,
                ..publishing.outcome(control, tally)
            });
        }
        let delivered = self.await_deliveries(published, &mut watch)?;
        let cost = watch.cost(delivered.count)?;
        let consumed = self.finish(consumers)?;
        self.conclude(control, &publishing, delivered, consumed, cost)
    }

    fn publish_then_consume<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        control: &mut Client,
        progress: &mut Progress,
    ) -> Result<Outcome> {
        let producers = connect::producers(self.options, self.plan, self.gauge, self.latency)?;
        let consumers = connect::consumers(self.options, self.plan, self.gauge, self.latency)?;
        let mut watch = Watch::start(self.options, self.plan, self.gauge, progress)?;
        let publishing = self.publish(scope, producers, &mut watch)?;
        let published = publishing.total();
        self.await_ready(control, published, &mut watch)?;
        let publish_cost = watch.cost(published)?;
        watch.restart()?;
        let consume = |mut consumer: Consumer<'scope>| {
            spawn(scope, self.gauge, move || {
                consumer.subscribe_at_once()?;
                consumer.run()
            })
        };
        let consumers = consumers
            .into_iter()
            .map(consume)
            .collect::<Result<Vec<_>>>()?;
        let delivered = self.await_deliveries(published, &mut watch)?;
        let cost = watch.cost(delivered.count)?;
        let consumed = self.finish(consumers)?;
        Ok(Outcome {
            publish_cost,
            ..self.conclude(control, &publishing, delivered, consumed, cost)?
        })
    }

    /// Starts the producers and waits until all are done.
    fn publish<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        producers: Vec<Producer<'scope>>,
        watch: &mut Watch,
    ) -> Result<Publishing> {
        let handles = producers
            .into_iter()
            .map(|producer| {
                spawn(scope, self.gauge, || {
                    precise_timers();
                    producer.run()
                })
            })
            .collect::<Result<Vec<_>>>()?;
        // A timetable ends by itself; if the broker cannot follow, it is given up some time later.
        let overtime = self.options.rate.map_or(Duration::ZERO, |_| OVERTIME);
        let mut end = watch.started() + nanoseconds(self.options.length());
        let mut interrupted = false;
        while handles.iter().any(|handle| !handle.is_finished()) {
            thread::sleep(POLL);
            let now = self.gauge.clock.now();
            if now < end && self.interrupt.has_come() {
                interrupted = true;
                end = now;
                self.gauge.cut(now);
            }
            if now >= end + nanoseconds(overtime) {
                self.gauge.stop_publishing();
            }
            watch.look("publish")?;
        }
        let warm_up = watch.warmed_up()?;
        let produced = join(handles)?;
        let finished_at = produced
            .iter()
            .map(|producer| producer.finished_at)
            .max()
            .unwrap_or_default();
        let totals: Vec<u64> = produced.iter().map(|producer| producer.published).collect();
        let counted = totals.iter().sum::<u64>() - watch.before().published;
        let throughput = Throughput::new(counted, finished_at.saturating_sub(watch.started()));
        let pace = self.options.rate.map(|rate| {
            let timetables = produced.iter().filter_map(|producer| producer.timetable);
            Kept::merge(rate, throughput, timetables)
        });
        let confirms = Confirms::merge(
            produced
                .into_iter()
                .filter_map(|producer: Produced| producer.confirmed),
        );
        Ok(Publishing {
            totals,
            confirms,
            throughput,
            pace,
            interrupted,
            warm_up,
        })
    }

    /// Waits until everything has arrived, or nothing has come for the length of `--settle`.
    fn await_deliveries(&self, published: u64, watch: &mut Watch) -> Result<Throughput> {
        let expected = published * u64::from(self.plan.copies);
        let settle = nanoseconds(self.options.settle);
        let begin = self.gauge.clock.now();
        while self.gauge.delivered() < expected && !self.gauge.has_failed() {
            thread::sleep(POLL);
            watch.look("deliver")?;
            if self.gauge.clock.now() - self.gauge.last_delivery().max(begin) > settle {
                break;
            }
        }
        let last = self.gauge.last_delivery().max(watch.started());
        Ok(Throughput::new(
            self.gauge.delivered() - watch.before().delivered,
            last - watch.started(),
        ))
    }

    /// Waits until the broker counts everything as ready; returns its last count.
    fn await_ready(&self, control: &mut Client, published: u64, watch: &mut Watch) -> Result<u64> {
        let begin = Instant::now();
        loop {
            let ready = topology::ready_count(control, self.plan)?;
            if ready >= published * u64::from(self.plan.stored)
                || begin.elapsed() > self.options.settle
            {
                return Ok(ready);
            }
            watch.look("settle")?;
            thread::sleep(POLL * 10);
        }
    }

    /// Waits a little for the queues to be empty, as a broker may count the last acknowledgements later; returns what is left.
    fn await_empty(&self, control: &mut Client) -> Result<u64> {
        let patience = self.options.settle.min(EMPTY_MAX);
        let begin = Instant::now();
        loop {
            let ready = topology::ready_count(control, self.plan)?;
            if ready == 0 || begin.elapsed() > patience {
                return Ok(ready);
            }
            thread::sleep(POLL * 10);
        }
    }

    /// Ends the consumers, after a while in which what came once may come again.
    fn finish(&self, consumers: Vec<Handle<'_, Consumed>>) -> Result<Vec<Consumed>> {
        if !self.gauge.has_failed() {
            thread::sleep(LINGER);
        }
        self.gauge.stop_consuming();
        join(consumers)
    }

    /// Compares what was published with what has arrived.
    fn conclude(
        &self,
        control: &mut Client,
        publishing: &Publishing,
        delivered: Throughput,
        consumed: Vec<Consumed>,
        cost: Option<Cost>,
    ) -> Result<Outcome> {
        let mut ledger = Ledger::default();
        let mut latencies = Histogram::default();
        for consumer in consumed {
            ledger.merge(consumer.ledger);
            latencies.merge(&consumer.latencies);
        }
        let mut tally = ledger.tally(
            &self.plan.published_by_stream(&publishing.totals),
            self.plan.copies,
        );
        // What is in a stream is not what somebody has not got.
        let remaining = if self.options.stream {
            0
        } else {
            self.await_empty(control)?
        };
        tally.lost = tally.lost.saturating_sub(remaining);
        Ok(Outcome {
            delivered: Some(delivered),
            latency: latencies.summary(),
            remaining,
            cost,
            ..publishing.outcome(control, tally)
        })
    }
}
