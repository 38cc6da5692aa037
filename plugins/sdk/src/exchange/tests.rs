//! What the host says reaches the exchange.

use super::exchanges::Exchanges;
use super::{Answer, Binding, Bindings, Declaration, Exchange, Message};
use crate::needs::{Description, Needs};
use crate::testing::pack::pack;
use crate::testing::{Router, message};
use crate::value::Table;

/// Goes to every binding whose key is the message's, and counts how often its index was made.
struct Equal {
    indexed: u32,
}

impl Exchange for Equal {
    type Rule = String;

    fn describe() -> Description {
        Description::new("equal", "1", Needs::new().routing_key().pure())
    }

    fn create(declaration: &Declaration) -> Result<Self, String> {
        match declaration.arguments.get("bad") {
            None => Ok(Self { indexed: 0 }),
            Some(value) => Err(format!("bad is {}", value.type_name())),
        }
    }

    fn rule(&self, binding: Binding) -> Result<String, String> {
        if binding.routing_key.is_empty() {
            return Err("an empty key".to_owned());
        }
        Ok(binding.routing_key)
    }

    fn index(&mut self, _: &Bindings<String>) {
        self.indexed += 1;
    }

    fn route(
        &mut self,
        bindings: &Bindings<String>,
        message: &Message<'_>,
        answer: &mut Answer<'_>,
    ) {
        let key = message.routing_key();
        if key == "index" {
            assert!(answer.is_empty());
            assert_eq!(bindings.len(), self.indexed as usize);
        }
        for (id, wanted) in bindings {
            if wanted == key {
                answer.to(id);
            }
        }
    }
}

fn binding(routing_key: &str) -> Binding {
    Binding {
        routing_key: routing_key.to_owned(),
        ..Binding::default()
    }
}

/// An exchange 5 with bindings 1 and 2 of key `a`, and 3 of key `b`.
fn three() -> Exchanges<Equal> {
    let mut exchanges = Exchanges::default();
    exchanges.describe();
    let created = exchanges.create(5, &Declaration::default());
    assert_eq!(created, Ok(()));
    let add = vec![(2, binding("a")), (1, binding("a")), (3, binding("b"))];
    assert_eq!(exchanges.rebind(5, add, &[]), Ok(()));
    exchanges
}

fn route(exchanges: &mut Exchanges<Equal>, keys: &[&str]) -> Result<Vec<u32>, String> {
    let messages: Vec<_> = keys.iter().map(|key| message().routing_key(key)).collect();
    let messages: Vec<_> = messages.iter().collect();
    let batch = pack(&Equal::describe().needs, &messages);
    exchanges
        .route(5, &batch)
        .map_err(|error| error.to_string())
}

#[test]
fn an_answer_has_counts_and_ids() {
    let mut exchanges = three();
    let answer = route(&mut exchanges, &["a", "none", "b"]);
    assert_eq!(answer, Ok(vec![2, 1, 2, 0, 1, 3]));
}

#[test]
fn bindings_go_and_come_in_one_call() {
    let mut exchanges = three();
    let changed = exchanges.rebind(5, vec![(4, binding("c"))], &[1, 3, 99]);
    assert_eq!(changed, Ok(()));
    let answer = route(&mut exchanges, &["a", "b", "c"]);
    assert_eq!(answer, Ok(vec![1, 2, 0, 1, 4]));
}

#[test]
fn a_refused_binding_leaves_everything_as_it_was() {
    let mut exchanges = three();
    let add = vec![(4, binding("c")), (5, binding(""))];
    let changed = exchanges.rebind(5, add, &[1]);
    assert_eq!(changed, Err("an empty key".to_owned()));
    let answer = route(&mut exchanges, &["a", "c"]);
    assert_eq!(answer, Ok(vec![2, 1, 2, 0]));
}

#[test]
fn an_index_is_made_once_before_the_next_message() {
    let mut router = Router::<Equal>::declare(Table::new()).expect("created");
    router.bind("q", "a", Table::new()).expect("a key");
    for _ in 0..2 {
        router.route(&message().routing_key("index"));
    }
    router.bind("r", "a", Table::new()).expect("a key");
    router.route(&message().routing_key("index"));
    assert_eq!(router.route(&message().routing_key("a")), ["q", "r"]);
    assert_eq!(router.unbind("q"), Ok(()));
    assert_eq!(router.route(&message().routing_key("a")), ["r"]);
}

#[test]
fn what_the_plugin_says_reaches_the_client() {
    let refused = Router::<Equal>::declare([("bad", true)]).expect_err("refused");
    assert_eq!(refused, "bad is a boolean");
}

#[test]
fn what_is_not_there_is_named() {
    let mut exchanges = three();
    exchanges.delete(5);
    let expected = Err("there is no exchange 5 in this instance".to_owned());
    assert_eq!(exchanges.rebind(5, Vec::new(), &[]), expected);
    assert_eq!(
        route(&mut exchanges, &["a"]),
        Err("there is no exchange 5 in this instance".to_owned())
    );
}
