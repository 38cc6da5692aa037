//! `amphora ctl top`: what the queues are doing, again and again.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Format;
use super::client::{About, Client};
use super::output::{Output, cell};
use crate::cli::exit::Exit;
use crate::config::ByteSize;

/// What is asked for of each queue.
const COLUMNS: &str = "vhost,name,messages_ready,messages_unacknowledged,consumers,message_stats";

/// Queues that are shown, unless a terminal says how many fit.
const ROWS: usize = 20;

/// Lines above the queues.
const HEAD: usize = 4;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Seconds between two looks.
    #[arg(long, default_value_t = 2.0)]
    interval: f64,
    /// How often to look; without it, until it is interrupted.
    #[arg(long)]
    count: Option<u64>,
    /// How many queues to show, the busiest first.
    #[arg(long)]
    rows: Option<usize>,
}

/// The counters of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counters {
    published: u64,
    delivered: u64,
    acked: u64,
}

/// A queue and what it did since the last look.
#[derive(Debug)]
struct Row {
    name: String,
    ready: u64,
    unacked: u64,
    consumers: u64,
    /// Messages a second: in, out, acknowledged.
    rates: [f64; 3],
}

pub(super) fn run(client: &Client, args: &Args, output: &mut Output<'_>) -> Result<(), Exit> {
    if !args.interval.is_finite() || args.interval < 0.05 {
        return Err(Exit::Usage(
            "--interval: give seconds, at least 0.05".to_owned(),
        ));
    }
    let interval = Duration::from_secs_f64(args.interval);
    let is_terminal = std::io::stdout().is_terminal();
    let fits = is_terminal.then(rows_of_terminal).flatten();
    let rows = args.rows.or(fits).unwrap_or(ROWS);
    let (mut before, mut at) = (look(client)?, Instant::now());
    let mut looks = 0;
    while args.count.is_none_or(|count| looks < count) {
        std::thread::sleep(interval);
        let (now, span) = (look(client)?, at.elapsed().as_secs_f64());
        at = Instant::now();
        let mut shown = compare(&before, &now, span);
        before = now;
        shown.sort_by(|a, b| {
            busier(b)
                .total_cmp(&busier(a))
                .then_with(|| b.ready.cmp(&a.ready))
        });
        if output.format() == Format::Json {
            shown.truncate(args.rows.unwrap_or(usize::MAX));
            output.json(&shown.iter().map(Row::json).collect())?;
        } else {
            let overview = client.get(
                "/nodes?columns=mem_used,mem_alarm,disk_free_alarm",
                &broker(),
            );
            let screen = screen(&shown, rows, overview.ok().as_ref());
            // Home, each line to its end, and what is below.
            let screen = if is_terminal {
                format!("\x1b[H{}\x1b[J", screen.replace('\n', "\x1b[K\n"))
            } else {
                screen
            };
            output.text(&screen)?;
        }
        looks += 1;
    }
    Ok(())
}

fn broker() -> About {
    About("broker".to_owned())
}

type Look = HashMap<String, (Value, Counters)>;

fn look(client: &Client) -> Result<Look, Exit> {
    let queues = client.get(&format!("/queues?columns={COLUMNS}"), &broker())?;
    let queues = queues.as_array().cloned().unwrap_or_default();
    let named = queues.into_iter().map(|queue| {
        let stats = &queue["message_stats"];
        let count = |name: &str| stats[name].as_u64().unwrap_or_default();
        let counters = Counters {
            published: count("publish"),
            delivered: count("deliver_get"),
            acked: count("ack"),
        };
        let name = match queue["vhost"].as_str() {
            Some("/") | None => cell(&queue["name"]),
            Some(vhost) => format!("{vhost}/{}", cell(&queue["name"])),
        };
        (name, (queue, counters))
    });
    Ok(named.collect())
}

/// A queue that was not there before has done nothing yet.
fn compare(before: &Look, now: &Look, seconds: f64) -> Vec<Row> {
    let rows = now.iter().map(|(name, (queue, counters))| {
        let earlier = before
            .get(name)
            .map_or(*counters, |(_, counters)| *counters);
        let rate = |now: u64, before: u64| float(now.saturating_sub(before)) / seconds;
        let number = |column: &str| queue[column].as_u64().unwrap_or_default();
        Row {
            name: name.clone(),
            ready: number("messages_ready"),
            unacked: number("messages_unacknowledged"),
            consumers: number("consumers"),
            rates: [
                rate(counters.published, earlier.published),
                rate(counters.delivered, earlier.delivered),
                rate(counters.acked, earlier.acked),
            ],
        }
    });
    rows.collect()
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with three digits")]
fn float(number: u64) -> f64 {
    number as f64
}

fn busier(row: &Row) -> f64 {
    row.rates.iter().sum()
}

impl Row {
    fn json(&self) -> Value {
        let [published, delivered, acked] = self.rates;
        json!({
            "name": self.name,
            "messages_ready": self.ready,
            "messages_unacknowledged": self.unacked,
            "consumers": self.consumers,
            "publish_rate": published,
            "deliver_rate": delivered,
            "ack_rate": acked,
        })
    }
}

fn screen(rows: &[Row], shown: usize, nodes: Option<&Value>) -> String {
    let sum = |what: fn(&Row) -> f64| rate(rows.iter().map(what).sum());
    let ready: u64 = rows.iter().map(|row| row.ready).sum();
    let unacked: u64 = rows.iter().map(|row| row.unacked).sum();
    let mut text = format!(
        "{} queues, {ready} ready, {unacked} unacknowledged; {} in, {} out, {} acknowledged a second\n",
        rows.len(),
        sum(|row| row.rates[0]),
        sum(|row| row.rates[1]),
        sum(|row| row.rates[2]),
    );
    if let Some(node) = nodes.map(|nodes| &nodes[0]) {
        let memory = ByteSize::bytes(node["mem_used"].as_u64().unwrap_or_default());
        let alarms = [("mem_alarm", "memory"), ("disk_free_alarm", "disk")];
        let on: Vec<&str> = alarms
            .iter()
            .filter(|(column, _)| node[*column] == true)
            .map(|(_, name)| *name)
            .collect();
        let alarms = if on.is_empty() {
            String::new()
        } else {
            format!("; alarm: {}, publishers are blocked", on.join(", "))
        };
        let _ = writeln!(text, "memory {}{alarms}", memory.approximately());
    }
    let names = rows.iter().take(shown).map(|row| row.name.chars().count());
    let width = names.max().unwrap_or(0).clamp(5, 60);
    let _ = writeln!(
        text,
        "\n{:width$}  {:>10}  {:>10}  {:>9}  {:>9}  {:>9}  {:>9}",
        "queue", "ready", "unacked", "in/s", "out/s", "ack/s", "consumers"
    );
    for row in rows.iter().take(shown) {
        let name: String = row.name.chars().take(width).collect();
        let _ = writeln!(
            text,
            "{name:width$}  {:>10}  {:>10}  {:>9}  {:>9}  {:>9}  {:>9}",
            row.ready,
            row.unacked,
            rate(row.rates[0]),
            rate(row.rates[1]),
            rate(row.rates[2]),
            row.consumers
        );
    }
    text
}

/// A rate in at most six characters.
fn rate(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.2} M", rate / 1e6),
        rate if rate >= 1e4 => format!("{:.0} k", rate / 1e3),
        rate if rate >= 100.0 || rate == 0.0 => format!("{rate:.0}"),
        rate => format!("{rate:.1}"),
    }
}

/// The queues that fit a terminal.
fn rows_of_terminal() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    let lines = usize::from(size.ws_row);
    (lines > HEAD + 2).then(|| lines - HEAD - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_differences_by_time() {
        let queue = |published: u64| {
            let counters = Counters {
                published,
                delivered: 0,
                acked: 0,
            };
            (json!({ "messages_ready": published }), counters)
        };
        let before: Look = [("old".to_owned(), queue(10))].into();
        let now: Look = [
            ("old".to_owned(), queue(30)),
            ("new".to_owned(), queue(500)),
        ]
        .into();
        let mut rows = compare(&before, &now, 2.0);
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(rows[0].rates.map(rate), ["0", "0", "0"]);
        assert_eq!(rows[1].rates.map(rate), ["10.0", "0", "0"]);
        assert_eq!(
            screen(&rows, 1, None),
            "2 queues, 530 ready, 0 unacknowledged; 10.0 in, 0 out, 0 acknowledged a second\n\n\
             queue       ready     unacked       in/s      out/s      ack/s  consumers\n\
             new           500           0          0          0          0          0\n"
        );
    }

    #[test]
    fn rates_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (0.25, "0.2"),
            (123.4, "123"),
            (12_345.0, "12 k"),
            (2.5e6, "2.50 M"),
        ] {
            assert_eq!(rate(number), text);
        }
    }
}
