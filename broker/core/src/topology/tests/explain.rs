//! Where a message would go, and why.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::ExchangeName;
use expect_test::{Expect, expect};

use super::{World, plugin, table, unquoted};
use crate::route::Explained;

/// Explains the last line of a script, a publish, in what the others leave behind.
fn check(script: &str, expected: &Expect) {
    let (before, publish) = script.trim_end().rsplit_once('\n').expect("several lines");
    let mut world = World::after(before);
    let words: Vec<&str> = publish.trim().split(' ').collect();
    let keys: Vec<&str> = unquoted(words[2]).split(',').collect();
    let headers = table(&words);
    let explained = explain(&mut world, unquoted(words[1]), &keys, &headers);
    expected.assert_eq(&shown(&explained, &keys, &headers));
}

fn explain(
    world: &mut World,
    exchange: &str,
    keys: &[&str],
    headers: &FieldTable,
) -> Explained<String> {
    let mut explained = Explained::default();
    world
        .topology
        .explain(exchange, false, keys, headers, &mut explained)
        .expect("it exists and is not internal");
    while let Some(asked) = explained.asked.pop() {
        let answer = plugin::answer(&*asked.asked.hook, keys);
        world
            .topology
            .explain_answer(&asked, &answer, keys, headers, &mut explained)
            .expect("sound headers");
    }
    explained
}

fn shown(explained: &Explained<String>, keys: &[&str], headers: &FieldTable) -> String {
    let mut text = String::new();
    for step in &explained.steps {
        let wait = step.delay_ms.map(|delay| format!(", waits {delay} ms"));
        writeln!(
            text,
            "{:?} via {:?}{}",
            step.exchange.name.as_str(),
            names(&step.via),
            wait.unwrap_or_default()
        )
        .expect("a string grows");
        for binding in &step.bindings {
            let why = step.why(binding, keys, headers).expect("sound headers");
            let sign = if why.matches { '+' } else { '-' };
            writeln!(
                text,
                "  {sign} {}: {}",
                binding.destination.name(),
                why.text
            )
            .expect("a string grows");
        }
        if let Some(alternate) = &step.alternate {
            writeln!(text, "  else {alternate:?}").expect("a string grows");
        }
    }
    for reached in &explained.queues {
        let chance = if reached.certain { "" } else { ", perhaps" };
        writeln!(
            text,
            "{} via {:?}{chance}",
            reached.queue,
            names(&reached.via)
        )
        .expect("a string grows");
    }
    text
}

fn names(exchanges: &[ExchangeName]) -> Vec<&str> {
    exchanges.iter().map(ExchangeName::as_str).collect()
}

#[test]
fn every_type_has_its_reasons() {
    check(
        "
        queue q
        bind amq.direct q k
        bind amq.direct q other
        publish amq.direct k
        ",
        &expect![[r#"
            "amq.direct" via []
              + q: its binding key is the routing key 'k'
              - q: its binding key 'other' is not the routing key 'k'
            q via ["amq.direct"]
        "#]],
    );
    check(
        "
        queue q
        bind amq.topic q a.*.c
        bind amq.topic q a.b
        bind amq.topic q a.*.d
        bind amq.topic q #.d.#
        bind amq.topic q #
        publish amq.topic a.b.c
        ",
        &expect![[r#"
            "amq.topic" via []
              + q: 'a.*.c' matches the routing key 'a.b.c'
              - q: 'a.b' does not match the routing key 'a.b.c': it has 2 words, and the routing key 3
              - q: 'a.*.d' does not match the routing key 'a.b.c': word 3 is 'c' and not 'd'
              - q: '#.d.#' does not match the routing key 'a.b.c'
              + q: '#' matches the routing key 'a.b.c'
            q via ["amq.topic"]
        "#]],
    );
}

#[test]
fn headers_hashes_and_lots_have_theirs() {
    check(
        "
        queue q
        bind amq.headers q '' n=1 m=2
        bind amq.headers q '' n=1 m=V: x-match=any
        bind amq.headers q '' o=5 x-match=any
        bind amq.headers q '' x-match=any
        bind amq.headers q ''
        publish amq.headers k n=1 m=text
        ",
        &expect![[r#"
            "amq.headers" via []
              - q: header 'm' is text (longstr) and has to be 2 (signedint)
              + q: header 'm' is there; header 'n' is 1
              - q: header 'o' is missing
              - q: x-match is any, and it asks for no header
              + q: it asks for no header, and so matches all
            q via ["amq.headers"]
        "#]],
    );
    check(
        "
        queue q
        queue r
        exchange x x-random
        bind x q ''
        bind x r ''
        exchange h x-consistent-hash
        bind h q 1
        bind h r 1
        bind h >x 1
        bind amq.fanout >x ''
        bind amq.fanout >h ''
        publish amq.fanout k
        ",
        &expect![[r#"
            "amq.fanout" via []
              + x: every binding of an exchange of this type matches
              + h: every binding of an exchange of this type matches
            "h" via ["amq.fanout"]
              + q: the hash of the routing key falls to this destination
              - r: the hash of the routing key falls to another destination
              - x: the hash of the routing key falls to another destination
            "x" via ["amq.fanout"]
              + q: one binding is drawn by lot for each message
              + r: one binding is drawn by lot for each message
            q via ["amq.fanout", "h"]
            r via ["amq.fanout", "x"], perhaps
        "#]],
    );
}

#[test]
fn the_default_exchange_shows_what_matches() {
    check(
        "
        queue q
        queue r
        publish '' r,q,s
        ",
        &expect![[r#"
            "" via []
              + q: every queue is bound to the default exchange by its name
              + r: every queue is bound to the default exchange by its name
            r via [""]
            q via [""]
        "#]],
    );
}

#[test]
fn the_way_is_told_with_detours_and_waits() {
    check(
        "
        queue q
        exchange y fanout
        bind y q ''
        exchange x direct alternate-exchange=y
        exchange w fanout alternate-exchange=nowhere
        exchange d direct x-delayed-exchange=t:true
        bind amq.fanout >x ''
        bind amq.fanout >w ''
        bind amq.fanout >d ''
        bind d q k
        publish amq.fanout k x-delay=50
        ",
        &expect![[r#"
            "amq.fanout" via []
              + x: every binding of an exchange of this type matches
              + w: every binding of an exchange of this type matches
              + d: every binding of an exchange of this type matches
            "d" via ["amq.fanout"], waits 50 ms
              + q: its binding key is the routing key 'k'
            "w" via ["amq.fanout"]
              else Alternate { exchange: "nowhere", exists: false, is_taken: true }
            "x" via ["amq.fanout"]
              else Alternate { exchange: "y", exists: true, is_taken: true }
            "y" via ["amq.fanout", "x"]
              + q: every binding of an exchange of this type matches
            q via ["amq.fanout", "x", "y"]
        "#]],
    );
}

#[test]
fn a_plugin_names_its_bindings() {
    check(
        "
        queue q
        queue r
        exchange p x-backwards
        bind p q ba
        bind p r ab
        publish p ab
        ",
        &expect![[r#"
            "p" via []
              + q: the plugin of type 'x-backwards' names it
              - r: the plugin of type 'x-backwards' does not name it
            q via ["p"]
        "#]],
    );
}

/// The reasons, which are found out binding by binding, and the way are those of real messages.
#[test]
fn agrees_with_routing() {
    super::model::worlds(|world, exchange, keys, headers| {
        world
            .topology
            .route(exchange, keys, headers, &mut world.routed)
            .expect("it exists and is not internal");
        let routed: BTreeSet<String> = world.routed.queues.iter().cloned().collect();
        let explained = explain(world, exchange, keys, headers);
        let reached: BTreeSet<String> = explained
            .queues
            .iter()
            .map(|reached| reached.queue.clone())
            .collect();
        assert_eq!(reached, routed);
        assert_eq!(reached.len(), explained.queues.len(), "a queue came twice");
        for step in &explained.steps {
            let matching = step.bindings.iter().filter(|binding| {
                let why = step.why(binding, keys, headers).expect("sound headers");
                why.matches
            });
            let destinations: BTreeSet<_> = matching
                .map(|binding| binding.destination.clone())
                .collect();
            assert_eq!(destinations, step.destinations, "{step:?}");
        }
    });
}
