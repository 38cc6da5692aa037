//! The load generator against its own limit server, over real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use clap::Parser;

use super::Args;
use super::amqp::call::Call;
use super::amqp::method::connection;
use super::churn::{Churn, Churned};
use super::interrupt::Interrupt;
use super::limit;
use super::load::engine;
use super::load::options::tests::options;
use super::load::outcome::Outcome;
use super::progress::Progress;
use crate::cli::exit::Exit;
use proxy::Fault;

mod proxy;

/// Starts a limit server that lives until the test process ends, and runs a load against it.
fn check(line: &str) -> Outcome {
    let outcome = run(limit(), line);
    assert_eq!(outcome.faults(), 0, "{line}: {:?}", outcome.tally);
    outcome
}

/// Starts a limit server.
fn limit() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || limit::serve(&listener, None));
    address
}

/// Runs a load.
fn run(address: SocketAddr, line: &str) -> Outcome {
    run_until(&Interrupt::default(), address, line)
}

/// Runs a load that `interrupt` may end.
fn run_until(interrupt: &Interrupt, address: SocketAddr, line: &str) -> Outcome {
    // A count is to end the load, and the last message the wait for it, not the clock of a busy machine.
    let clock = if line.contains("--count") && !line.contains("--duration") {
        "--duration 60s --settle 60s"
    } else if line.contains("--settle") {
        ""
    } else {
        "--settle 60s"
    };
    let options = options(&format!("{line} {clock} --uri amqp://{address}")).unwrap();
    engine::run(
        &options,
        options.rate.is_some(),
        interrupt,
        &mut Progress::new("", true),
    )
    .unwrap()
}

fn delivered(line: &str) -> u64 {
    check(line).delivered.unwrap().count
}

#[test]
fn every_way_to_route_delivers_each_message_once() {
    assert_eq!(delivered("--count 20000"), 20_000);
    assert_eq!(
        delivered("--count 3000 -t default --queues 3 -x 2 -y 2"),
        3000
    );
    assert_eq!(delivered("--count 2000 --fanout 4 --routing-keys 3"), 8000);
    assert_eq!(
        delivered("--count 2000 -t topic --bindings 30 --routing-keys 7"),
        2000
    );
    assert_eq!(
        delivered("--count 2000 -t headers --bindings 3 --headers 2 --queues 2"),
        2000
    );
    assert_eq!(delivered("--count 5000 -x 3 -y 4 --queues 2"), 5000);
}

#[test]
fn bodies_of_any_size_arrive() {
    for size in [16, 17, 4000, 131_064, 131_065, 1_000_000] {
        assert_eq!(
            delivered(&format!("--count 20 --size {size}")),
            20,
            "{size} bytes"
        );
    }
}

#[test]
fn confirms_and_acks_are_counted() {
    let outcome =
        check("--count 5000 --size 200 --persistent --confirm 100 --ack-every 10 --prefetch 50");
    assert_eq!(outcome.confirms.unwrap().latency.unwrap().count, 5000);
    assert_eq!(outcome.published.count, 5000);
}

#[test]
fn confirms_are_read_while_there_is_room_for_more() {
    let load = "--publish-only --size 20000 --confirm 1000000 --duration 0.5";
    // Without a look at them while it publishes, half of them would be read after 50 ms or more, in each attempt.
    let are_read = (0..5).any(|_| {
        let latency = run(limit(), load).confirms.unwrap().latency.unwrap();
        latency.p50_ns < 30_000_000
    });
    assert!(are_read);
}

#[test]
fn a_paced_load_keeps_its_timetable_and_measures_every_message() {
    let outcome = check("--rate 2000 --count 400 -x 2 --confirm 5");
    assert_eq!(outcome.latency.unwrap().count, 400);
    // 400 messages at 2,000 per second take 0.2 s less one interval.
    assert!(outcome.published.seconds > 0.199, "{:?}", outcome.published);
}

#[test]
fn a_growing_queue_is_checked_against_the_brokers_count() {
    let outcome = check("--count 1000 --publish-only --queues 2");
    assert_eq!((outcome.remaining, outcome.tally.distinct), (1000, 1000));
}

#[test]
fn what_a_broker_drops_is_reported_as_lost() {
    // The limit server has no store: with --drain everything is gone before it is consumed, and yet counts as ready.
    let outcome = run(limit(), "--drain --count 50 --settle 0.01 --duration 60");
    assert_eq!(
        (outcome.delivered.unwrap().count, outcome.remaining),
        (0, 50)
    );
    assert_eq!(outcome.faults(), 50);
    let error = outcome.ensure_clean().unwrap_err().to_string();
    assert!(error.contains("for 50 messages"), "{error}");
}

#[test]
fn what_was_due_at_the_end_of_a_stall_is_published_late() {
    let stall = Fault::Stall(Duration::from_millis(400));
    let address = proxy::upstream(limit(), 450, stall);
    let outcome = run(address, "--rate 1000 --duration 0.5 --confirm 1");
    assert_eq!(outcome.faults(), 0, "{:?}", outcome.tally);
    assert_eq!(outcome.published.count, 500);
    let pace = outcome.pace.unwrap();
    assert_eq!((pace.asked_per_second, pace.unsent), (1000, 0));
    assert!(pace.late_max_ns >= 300_000_000, "{pace:?}");
    assert!(pace.reached_per_second < 600.0, "{pace:?}");
    assert_eq!(outcome.latency.unwrap().count, 500);
}

#[test]
fn an_interrupt_ends_a_load_with_what_was_due_until_then() {
    for line in ["--rate 1000 --duration 3600", "--duration 3600 --confirm 5"] {
        let interrupt = Interrupt::default();
        let outcome = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                interrupt.raise(2);
            });
            run_until(&interrupt, limit(), line)
        });
        assert!(outcome.interrupted, "{line}");
        assert_eq!(outcome.faults(), 0, "{line}: {:?}", outcome.tally);
        let published = outcome.published.count;
        assert_eq!(outcome.delivered.unwrap().count, published, "{line}");
        if let Some(pace) = outcome.pace {
            assert_eq!(pace.unsent, 0, "{pace:?}");
            assert!(published > 0 && published < 60_000, "{published}");
        }
    }
}

#[test]
fn a_warm_up_is_checked_and_in_no_figure() {
    let outcome = check("--warm-up 0.3 --duration 0.3 --confirm 10 --ack-every 1");
    let warm_up = outcome.warm_up.unwrap();
    assert!(warm_up.seconds >= 0.3, "{warm_up:?}");
    assert!(warm_up.published > 0, "{warm_up:?}");
    let all = warm_up.published + outcome.published.count;
    assert_eq!(all, outcome.tally.distinct);
    let delivered = outcome.delivered.unwrap();
    assert_eq!(warm_up.delivered + delivered.count, all);
    let confirms = outcome.confirms.unwrap().latency.unwrap();
    assert!(confirms.count < all, "{confirms:?} of {all}");
}

#[test]
fn a_stall_during_the_warm_up_is_in_no_latency() {
    let stall = Fault::Stall(Duration::from_millis(1500));
    let address = proxy::upstream(limit(), 100, stall);
    let outcome = run(
        address,
        "--rate 1000 --warm-up 3 --duration 0.5 --confirm 2",
    );
    assert_eq!(outcome.faults(), 0, "{:?}", outcome.tally);
    assert_eq!(outcome.tally.distinct, 3500);
    let (latency, confirms) = (outcome.latency.unwrap(), outcome.confirms.unwrap());
    // As many as were due in the last half second, and some more if the threads began late; all that were due before would be 3,500.
    assert!((490..=1500).contains(&latency.count), "{latency:?}");
    assert_eq!(confirms.latency.unwrap().count, latency.count);
    for longest in [
        latency.max_ns,
        confirms.latency.unwrap().max_ns,
        outcome.pace.unwrap().late_max_ns,
    ] {
        assert!(longest < 1_000_000_000, "{outcome:?}");
    }
}

#[test]
fn an_interrupt_during_the_warm_up_leaves_nothing_to_count() {
    let interrupt = Interrupt::default();
    interrupt.raise(2);
    let outcome = run_until(&interrupt, limit(), "--warm-up 60 --confirm 1");
    assert!(outcome.interrupted);
    assert_eq!(outcome.faults(), 0, "{:?}", outcome.tally);
    assert_eq!(outcome.published.count, 0);
    let warm_up = outcome.warm_up.unwrap();
    assert_eq!(warm_up.published, outcome.tally.distinct);
}

#[test]
fn a_stall_counts_for_every_confirm_that_was_due_during_it() {
    let stall = Fault::Stall(Duration::from_millis(200));
    let address = proxy::upstream(limit(), 300, stall);
    let outcome = run(address, "--rate 1000 --duration 1 --confirm 2");
    let confirms = outcome.confirms.unwrap().latency.unwrap();
    assert_eq!(confirms.count, 1000);
    // Of 1,000 messages, the window lets two be sent before the stall; a fifth was due during it.
    assert!(confirms.p99_ns >= 150_000_000, "{confirms:?}");
    assert!(confirms.p90_ns >= 50_000_000, "{confirms:?}");
}

#[test]
fn copies_are_faults() {
    let at_once = Fault::Repeat(Duration::ZERO);
    let stored = run(
        proxy::upstream(limit(), 7, at_once),
        "--publish-only --count 50",
    );
    assert_eq!(
        (stored.remaining, stored.tally.distinct, stored.faults()),
        (51, 50, 1)
    );
    // The last message comes once more when all that is expected has arrived.
    let later = Fault::Repeat(Duration::from_millis(10));
    let delivered = run(proxy::downstream(limit(), 50, later), "--count 50");
    assert_eq!((delivered.tally.duplicates, delivered.faults()), (1, 1));
}

/// Has connections come and go at `address` for a moment: twice three at a time.
fn churn(address: SocketAddr) -> anyhow::Result<Churned> {
    let churn = Churn {
        uri: &format!("amqp://{address}").parse()?,
        pid: None,
        threads: 2,
        at_once: 3,
        length: Duration::from_millis(300),
    };
    churn.run(&Interrupt::default(), &mut Progress::new("", true))
}

#[test]
fn connections_come_and_go_several_at_a_time() {
    let churned = churn(limit()).unwrap();
    assert!(
        churned.throughput.count > 6,
        "none came after one that went: {churned:?}"
    );
}

/// A server that reads the protocol's header from each client, says `bytes`, and nothing more.
fn saying(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut header = [0; 8];
            socket.read_exact(&mut header).unwrap();
            socket.write_all(&bytes).unwrap();
        }
    });
    address
}

#[test]
fn a_broker_that_lets_nobody_stay_ends_the_churn() {
    let refusal = Call::new(0, connection::CLOSE)
        .short(530)
        .name("NOT_ALLOWED - it is full")
        .short(0)
        .short(0)
        .finish();
    for (bytes, says) in [
        (refusal, "530 NOT_ALLOWED - it is full"),
        (Vec::new(), "closed the socket without a word"),
    ] {
        let error = churn(saying(bytes)).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(says), "{error}");
        assert!(error.contains("no connection.start came"), "{error}");
    }
}

#[test]
fn a_refused_connection_names_the_broker() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let options = options(&format!("--uri amqp://{address}")).unwrap();
    let error = engine::run(
        &options,
        false,
        &Interrupt::default(),
        &mut Progress::new("", true),
    )
    .unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains(&address.to_string()) && error.contains("refused"),
        "{error}"
    );
}

#[test]
fn options_that_make_no_sense_are_wrong_usage() {
    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }
    for (line, says) in [
        ("throughput --size 8", "at least 16"),
        ("latency --prefetch 10", "needs --ack-every"),
        (
            "compare --limit --scenario nope",
            "there is no scenario nope",
        ),
        (
            "compare --limit --broker a=amqp:// --baseline x",
            "--baseline x is none of the brokers, which are limit, a",
        ),
        (
            "compare --broker a=amqp:// --broker a=amqp://h",
            "two brokers with the name a",
        ),
        (
            "compare --limit --broker limit=amqp://",
            "limit is what the frame limit is called",
        ),
        (
            "compare --limit-log x --broker limit+fsync=amqp://",
            "limit+fsync is what the frame limit is called",
        ),
        ("compare", "give a --broker or --limit"),
    ] {
        let line = std::iter::once("perf").chain(line.split(' '));
        let exit = super::run(Line::parse_from(line.clone()).args).unwrap_err();
        assert!(
            matches!(&exit, Exit::Usage(text) if text.contains(says)),
            "{line:?}: {exit:?}"
        );
    }
}
