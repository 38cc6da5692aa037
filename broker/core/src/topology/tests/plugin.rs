//! Exchanges whose types plugins supply.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use amphora_protocol::wire::types::VhostName;
use expect_test::expect;

use super::{World, check};
use crate::binding::Binding;
use crate::definition::ExchangeDefinition;
use crate::hook::{
    ExchangeHook, HookError, Hooks, Needs, OnError, Origin, PackedBatch, Parts, Rehearsed,
};

/// Supplies the type `x-backwards`, whose exchanges match a binding's key with the routing key read from its end.
#[derive(Debug)]
pub(super) struct Backwards;

impl Hooks for Backwards {
    fn has_exchange_type(&self, name: &str) -> bool {
        name == "x-backwards"
    }

    fn exchange(&self, _: &str, _: &VhostName, _: &ExchangeDefinition) -> Arc<dyn ExchangeHook> {
        Arc::new(Exchange::default())
    }
}

#[derive(Debug, Default)]
struct Exchange {
    bindings: Mutex<BTreeMap<u32, Arc<Binding>>>,
}

impl ExchangeHook for Exchange {
    fn bind(&self, id: u32, binding: &Arc<Binding>) {
        let before = self
            .bindings
            .lock()
            .expect("whole")
            .insert(id, Arc::clone(binding));
        assert_eq!(before, None, "a number is used once");
    }

    fn unbind(&self, id: u32) {
        let gone = self.bindings.lock().expect("whole").remove(&id);
        assert!(gone.is_some(), "only what was bound is unbound");
    }

    fn needs(&self) -> Result<Arc<Needs>, HookError> {
        Ok(Arc::new(Needs {
            parts: Parts {
                routing_key: true,
                ..Parts::default()
            },
            pure: true,
            ..Needs::default()
        }))
    }

    fn batch_max(&self) -> usize {
        1
    }

    fn route(&self, batch: &PackedBatch, answer: &mut Vec<u32>) -> Result<(), HookError> {
        let last = batch.message(batch.len() - 1);
        let key: Vec<u8> = last.iter().skip(1).rev().copied().collect();
        let bindings = self.bindings.lock().expect("whole");
        let matching = bindings
            .iter()
            .filter(|(_, binding)| binding.routing_key.as_bytes() == key);
        let ids: Vec<u32> = matching.map(|(id, _)| *id).collect();
        answer.push(u32::try_from(ids.len()).expect("few"));
        answer.extend(ids);
        Ok(())
    }

    fn rehearse(&self, _: &PackedBatch) -> Result<Rehearsed<Vec<u32>>, HookError> {
        unreachable!("nobody rehearses here")
    }

    fn on_error(&self) -> OnError {
        OnError::Reject
    }
}

/// Asks all plugins on the way of a message, as an owner of the topology does.
pub(super) fn ask(world: &mut World, keys: &[&str]) {
    let headers = amphora_protocol::wire::table::FieldTable::new();
    while let Some(asked) = world.routed.asked.pop() {
        let answer = answer(&*asked.hook, keys);
        world
            .topology
            .resume(&asked, &answer, keys, &headers, &mut world.routed)
            .expect("no headers are needed");
    }
}

/// The bindings that a plugin names.
pub(super) fn answer(hook: &dyn ExchangeHook, keys: &[&str]) -> Vec<u32> {
    let needs = hook.needs().expect("it is there");
    let mut batch = PackedBatch::default();
    let message = Origin {
        routing_key: keys[0],
        ..Origin::default()
    };
    batch.push(&needs, &message).expect("sound");
    let mut answer = Vec::new();
    hook.route(&batch, &mut answer).expect("an answer");
    answer.split_off(1)
}

#[test]
fn a_plugin_names_the_bindings() {
    check(
        "
        exchange x x-backwards durable
        exchange x x-backwards durable
        exchange x topic durable
        exchange y x-unknown
        queue q
        queue r
        bind x q cba
        bind x r cba
        bind x q zyx
        bind x q zyx
        publish x abc
        publish x xyz
        publish x cba
        unbind x q cba
        publish x abc
        delete-queue r
        publish x abc
        ",
        &expect![[r#"
            exchange x x-backwards durable
                + exchange x, durable
            exchange x x-backwards durable
                nothing changed
            exchange x topic durable
                406 PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/': received 'topic' but current is 'x-backwards'
            exchange y x-unknown
                406 PRECONDITION_FAILED - unknown exchange type 'x-unknown'
            queue q
                + queue q
            queue r
                + queue r
            bind x q cba
                + binding 'x' to queue q by 'cba'
            bind x r cba
                + binding 'x' to queue r by 'cba'
            bind x q zyx
                + binding 'x' to queue q by 'zyx'
            bind x q zyx
                nothing changed
            publish x abc
                q r
            publish x xyz
                q
            publish x cba
                unroutable
            unbind x q cba
                - binding 'x' to queue q by 'cba'
            publish x abc
                r
            delete-queue r
                - binding 'x' to queue r by 'cba'
                - queue r
            publish x abc
                unroutable
        "#]],
    );
}

#[test]
fn plugins_are_asked_wherever_they_are_on_the_way() {
    check(
        "
        exchange other fanout
        exchange a x-backwards alternate-exchange=other
        exchange b x-backwards
        queue q
        queue r
        queue lost
        bind other lost
        bind amq.topic >a #
        bind a >b ba
        bind b q ba
        bind b >a ba
        bind a r ba
        publish amq.topic ab
        publish a ab
        publish amq.topic xy
        publish b xy
        ",
        &expect![[r#"
            exchange other fanout
                + exchange other
            exchange a x-backwards alternate-exchange=other
                + exchange a
            exchange b x-backwards
                + exchange b
            queue q
                + queue q
            queue r
                + queue r
            queue lost
                + queue lost
            bind other lost
                + binding 'other' to queue lost by ''
            bind amq.topic >a #
                + binding 'amq.topic' to exchange a by '#'
            bind a >b ba
                + binding 'a' to exchange b by 'ba'
            bind b q ba
                + binding 'b' to queue q by 'ba'
            bind b >a ba
                + binding 'b' to exchange a by 'ba'
            bind a r ba
                + binding 'a' to queue r by 'ba'
            publish amq.topic ab
                q r
            publish a ab
                q r
            publish amq.topic xy
                lost
            publish b xy
                unroutable
        "#]],
    );
}

#[test]
fn an_exchange_comes_back_without_its_plugin() {
    let world = World::after(
        "
        exchange x x-backwards durable
        queue q durable
        bind x q cba
        ",
    );
    let (restarted, problems) = world.restarted();
    assert_eq!(problems, []);
    let asked = restarted.asked("x").expect("the exchange is there");
    let error = asked.hook.needs().expect_err("its plugin is not");
    assert_eq!(
        error.to_string(),
        "no plugin supplies exchange type 'x-backwards'"
    );
    assert_eq!(restarted.binding_count(), 1);
}
