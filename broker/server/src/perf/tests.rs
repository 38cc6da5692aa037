//! The load generator against its own limit server, over real sockets.

use std::net::TcpListener;
use std::thread;

use anyhow::Result;

use super::limit;
use super::limit::log::Log;
use super::load::engine;
use super::load::options::tests::options;
use super::load::outcome::Outcome;
use super::progress::Progress;

/// Starts a limit server that lives until the test process ends; its URI.
fn serve(log: Option<Log>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || limit::serve(&listener, log));
    format!("amqp://{address}")
}

/// Runs a load that may have faults.
fn run(line: &str, uri: &str) -> Result<Outcome> {
    let options = options(&format!("{line} --uri {uri}"))?;
    engine::run(
        &options,
        options.rate.is_some(),
        &mut Progress::new("", true),
    )
}

/// Runs a load against a limit server of its own, and expects that it has no faults.
fn check(line: &str) -> Outcome {
    let outcome = run(line, &serve(None)).unwrap();
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
    // The limit server has no store, so everything is gone before it is consumed.
    let outcome = run("--drain --count 50 --settle 0.01", &serve(None)).unwrap();
    assert_eq!(outcome.delivered.unwrap().count, 0);
    assert_eq!(outcome.remaining + outcome.tally.lost, 50);
}

#[test]
fn a_synced_log_holds_every_message_before_its_confirm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limit.log");
    let uri = serve(Some(Log::open(&path).unwrap()));
    let outcome = run(
        "--count 4000 --size 100 -x 4 -y 8 --queues 8 --confirm 50",
        &uri,
    )
    .unwrap();
    assert_eq!(outcome.faults(), 0, "{:?}", outcome.tally);
    assert!(path.metadata().unwrap().len() > 4000 * 100);
}

#[test]
fn a_refused_connection_names_the_broker() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = format!("{:#}", run("", &format!("amqp://{address}")).unwrap_err());
    assert!(
        error.contains(&address.to_string()) && error.contains("refused"),
        "{error}"
    );
}
