//! The stand-ins of the grants keep what the contract says.

use amphora_sdk::publish::Outgoing;
use amphora_sdk::testing::grants::{self, Level};
use amphora_sdk::{clock, config, kv, log, metrics, publish, random};

#[test]
fn the_store_forgets_what_has_expired() {
    assert_eq!(kv::set(b"stays", b"1", None), Ok(None));
    assert_eq!(kv::insert(b"goes", b"2", Some(10)), Ok(true));
    assert_eq!(kv::insert(b"goes", b"3", Some(10)), Ok(false));
    grants::set_now_ms(9);
    assert_eq!(kv::get(b"goes"), Some(b"2".to_vec()));
    grants::set_now_ms(10);
    assert_eq!(kv::get(b"goes"), None);
    assert_eq!(kv::set(b"stays", b"4", None), Ok(Some(b"1".to_vec())));
    assert_eq!(kv::remove(b"stays"), Some(b"4".to_vec()));
    assert_eq!(grants::kv_len(), 0);
}

#[test]
fn the_store_adds_numbers_and_nothing_else() {
    assert_eq!(kv::add(b"n", 2), Ok(2));
    assert_eq!(kv::add(b"n", -5), Ok(-3));
    assert_eq!(kv::get(b"n"), Some((-3_i64).to_le_bytes().to_vec()));
    assert_eq!(kv::set(b"n", b"text", None).map(|_| ()), Ok(()));
    assert_eq!(kv::add(b"n", 1), Err("the entry is no number".to_owned()));
    let long = vec![0; 1025];
    let error = kv::set(&long, b"", None).expect_err("too long");
    assert_eq!(error, "the key has 1025 bytes, and 1024 are allowed");
}

#[test]
fn the_configuration_is_what_the_test_sets() {
    grants::configure([("number", "7"), ("text", "x")]);
    assert_eq!(config::get("text").as_deref(), Some("x"));
    assert_eq!(config::parse::<u32>("number"), Ok(Some(7)));
    assert_eq!(config::parse::<u32>("none"), Ok(None));
    assert_eq!(
        config::parse::<u32>("text"),
        Err("config key 'text': 'x': invalid digit found in string".to_owned())
    );
    assert_eq!(config::only(&["text", "number"]), Ok(()));
    assert_eq!(
        config::only(&["text"]),
        Err("config key 'number' means nothing; the keys are: text".to_owned())
    );
}

#[test]
fn what_a_plugin_says_can_be_read() {
    log::warn!("{} of {}", 1, 2);
    assert_eq!(grants::lines(), [(Level::Warn, "1 of 2".to_owned())]);
    metrics::add("seen", 2);
    metrics::add("seen", 1);
    metrics::set("size", 0.5);
    assert_eq!(grants::counter("seen"), 3);
    assert_eq!(grants::gauge("size"), Some(0.5));
    let message = Outgoing {
        exchange: "ex".to_owned(),
        ..Outgoing::default()
    };
    assert_eq!(publish::send(message.clone()), Ok(()));
    assert_eq!(grants::sent(), [message]);
}

#[test]
fn time_and_chance_are_the_tests() {
    grants::set_now_ms(5);
    assert_eq!(clock::now_ms(), 5);
    assert_eq!(clock::monotonic_ns(), 5_000_000);
    grants::seed(1);
    let first = random::number();
    assert_ne!(first, random::number());
    grants::seed(1);
    assert_eq!(first, random::number());
    assert_eq!(random::bytes(3).len(), 3);
    let mut seen = [0; 4];
    for _ in 0..4000 {
        let number = usize::try_from(random::below(4)).expect("small");
        seen[number] += 1;
    }
    assert!(
        seen.iter().all(|&count| (900..1100).contains(&count)),
        "{seen:?}"
    );
}
