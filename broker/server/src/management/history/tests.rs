//! Samples that are left out while nothing happens.

use serde_json::Value;

use super::*;
use crate::management::fake::FakeBroker;
use crate::management::snapshot::NodeSnapshot;

const S: u64 = 1000;
/// A moment that samples are of.
const BEGIN: u64 = 1_700_000_000_000;
const NAME: &str = "127.0.0.1:40000 -> 127.0.0.1:5672";

/// A broker with one client, which has been silent for long enough that no more samples are taken; the last is 5 s after [`BEGIN`].
fn silent() -> (Arc<FakeBroker>, History) {
    let (broker, history) = (FakeBroker::new(), History::default());
    broker.connect("guest", 40_000);
    assert!(!history.look(&*broker, BEGIN));
    assert!(history.look(&*broker, BEGIN + 5 * S));
    (broker, history)
}

/// The client's bytes: their rate, and what they were in the last 20 s.
fn received(history: &History) -> (Value, Vec<(u64, u64)>) {
    let query = [("data_rates_age", "20"), ("data_rates_incr", "5")];
    let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let windows = Windows::read(&query.into()).expect("a query that makes sense");
    let details = history.details(Of::Connection(&NAME.into()), &windows);
    let details = serde_json::to_value(details).expect("details");
    let details = &details["recv_oct_details"];
    let sample = |sample: &Value| {
        let figure = |name: &str| sample[name].as_u64().expect("a figure");
        (figure("timestamp"), figure("sample"))
    };
    let samples = details["samples"].as_array().expect("samples");
    let samples = samples.iter().map(sample).collect();
    (details["rate"].clone(), samples)
}

#[test]
fn what_happens_after_a_long_silence_has_the_rate_of_its_interval() {
    let (broker, history) = silent();
    let hour = BEGIN + 3600 * S;
    broker.receive(1000);
    history.wake(hour + S);
    assert_eq!(received(&history).0, 0.0);
    assert!(!history.look(&*broker, hour + 5 * S));
    let (rate, samples) = received(&history);
    assert_eq!(rate, 200.0);
    let expected = [(5, 1001), (0, 1), (-5, 1), (-10, 1), (-15, 1)];
    let moment = |seconds: i64| hour.saturating_add_signed(seconds * 1000);
    assert_eq!(samples, expected.map(|(at, bytes)| (moment(at), bytes)));

    assert!(history.look(&*broker, hour + 10 * S));
    assert_eq!(received(&history).0, 0.0);
}

#[test]
fn who_asks_in_a_silence_sees_samples_up_to_now() {
    let (_broker, history) = silent();
    let hour = BEGIN + 3600 * S;
    history.wake(hour + 4 * S);
    let (rate, samples) = received(&history);
    assert_eq!(rate, 0.0);
    let expected = [0, 5, 10, 15, 20].map(|ago| (hour - ago * S, 1));
    assert_eq!(samples, expected);
    // It is awake until the next silence.
    history.wake(hour + 9 * S);
    assert_eq!(received(&history).1, expected);
}

#[test]
fn a_silence_that_is_shorter_than_an_interval_leaves_no_sample_out() {
    let (broker, history) = silent();
    broker.receive(500);
    history.wake(BEGIN + 6 * S);
    assert!(!history.look(&*broker, BEGIN + 10 * S));
    let (rate, samples) = received(&history);
    assert_eq!(rate, 100.0);
    let expected = [(10, 501), (5, 1), (0, 1)];
    assert_eq!(samples, expected.map(|(at, bytes)| (BEGIN + at * S, bytes)));
}

#[test]
fn samples_are_taken_while_something_happens_or_changes() {
    let (broker, history) = silent();
    history.wake(BEGIN + 6 * S);
    // What happens need not change any figure.
    broker.stirring().stir();
    assert!(!history.look(&*broker, BEGIN + 10 * S));
    // What changes need not be told.
    broker.connect("guest", 40_001);
    assert!(!history.look(&*broker, BEGIN + 15 * S));
    assert!(history.look(&*broker, BEGIN + 20 * S));
    // Memory changes by itself.
    broker.set_node(NodeSnapshot {
        memory_used: 1,
        ..broker.node()
    });
    assert!(history.look(&*broker, BEGIN + 25 * S));
}

#[tokio::test]
async fn a_request_and_what_happens_end_the_sleep() {
    let (broker, history) = silent();
    history.rouse(&*broker);
    assert!(!history.known.lock().asleep);
    let now = history.known.lock().ticks.last;
    assert!(now > BEGIN + 5 * S, "{now}");
    broker.stirring().stirred().await;
}
