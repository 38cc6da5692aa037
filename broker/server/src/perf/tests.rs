//! The load generator against its own limit server, over real sockets.

use std::net::TcpListener;
use std::thread;

use super::limit;
use super::load::engine;
use super::load::options::tests::options;
use super::load::outcome::Outcome;
use super::progress::Progress;

/// Starts a limit server that lives until the test process ends, and runs a load against it.
fn check(line: &str) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || limit::serve(&listener, None));
    // A count is to end the load, and the last message the wait for it, not the clock of a busy machine.
    let clock = if line.contains("--count") && !line.contains("--duration") {
        "--duration 60s --settle 60s"
    } else {
        "--settle 60s"
    };
    let options = options(&format!("{line} {clock} --uri amqp://{address}")).unwrap();
    let outcome = engine::run(
        &options,
        options.rate.is_some(),
        &mut Progress::new("", true),
    )
    .unwrap();
    assert_eq!(outcome.faults(), 0, "{line}: {:?}", outcome.tally);
    outcome
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
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || limit::serve(&listener, None));
    // The limit server has no store, so with --drain everything is gone before it is consumed.
    let options = options(&format!(
        "--drain --count 50 --settle 0.01 --uri amqp://{address}"
    ))
    .unwrap();
    let outcome = engine::run(&options, false, &mut Progress::new("", true)).unwrap();
    assert_eq!(
        (
            outcome.delivered.unwrap().count,
            outcome.remaining + outcome.tally.lost
        ),
        (0, 50)
    );
}

#[test]
fn a_refused_connection_names_the_broker() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let options = options(&format!("--uri amqp://{address}")).unwrap();
    let error = engine::run(&options, false, &mut Progress::new("", true)).unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains(&address.to_string()) && error.contains("refused"),
        "{error}"
    );
}
