//! Every method as bytes.

use std::collections::BTreeSet;

use amphora_protocol::wire::WireError;
use amphora_protocol::wire::method::{Method, basic, connection, exchange, queue};
use amphora_protocol::wire::types::{DeliveryTag, ExchangeName, QueueName, VhostName};
use expect_test::{Expect, expect};

use crate::samples;

fn encode(method: &Method) -> Vec<u8> {
    let mut out = Vec::new();
    method.encode(&mut out);
    out
}

#[test]
fn the_samples_are_all_methods_that_there_are() {
    let sampled: BTreeSet<_> = samples::all()
        .iter()
        .map(|method| (method.class_id(), method.method_id()))
        .collect();
    let mut known = BTreeSet::new();
    for class_id in 0..=200_u16 {
        for method_id in 0..=200_u16 {
            let prefix = [class_id.to_be_bytes(), method_id.to_be_bytes()].concat();
            match Method::decode(&prefix) {
                Err(WireError::UnknownClass(_) | WireError::UnknownMethod { .. }) => {}
                _ => drop(known.insert((class_id, method_id))),
            }
        }
    }
    assert_eq!(sampled, known);
    assert_eq!(samples::all().len(), known.len());
}

#[test]
fn every_method_comes_back_as_it_was() {
    for method in samples::all() {
        let bytes = encode(&method);
        assert_eq!(
            Method::decode(&bytes).as_ref(),
            Ok(&method),
            "{}",
            method.name()
        );
        let prefix = [
            method.class_id().to_be_bytes(),
            method.method_id().to_be_bytes(),
        ]
        .concat();
        assert!(bytes.starts_with(&prefix));
    }
}

#[test]
fn every_method_is_refused_wherever_it_is_cut() {
    for method in samples::all() {
        let bytes = encode(&method);
        for end in 0..bytes.len() {
            let cut = Method::decode(&bytes[..end]);
            assert_eq!(cut, Err(WireError::Truncated), "{} at {end}", method.name());
        }
    }
}

#[test]
fn every_method_is_refused_with_an_octet_too_many() {
    for method in samples::all() {
        let mut bytes = encode(&method);
        bytes.push(0);
        assert_eq!(
            Method::decode(&bytes),
            Err(WireError::Trailing(1)),
            "{}",
            method.name()
        );
    }
}

#[test]
fn every_string_must_be_utf8() {
    for method in samples::all() {
        let bytes = encode(&method);
        for text in [
            "orders",
            "a.b",
            "ctag-1",
            "Goodbye",
            "amq.topic",
            "en_US",
            "x-max-length",
        ] {
            let Some(at) = bytes
                .windows(text.len())
                .position(|window| window == text.as_bytes())
            else {
                continue;
            };
            let len = u8::try_from(text.len()).unwrap();
            let is_long = bytes[..at].ends_with(&[0, 0, 0, len]);
            if is_long || bytes[at - 1] != len {
                continue;
            }
            let mut broken = bytes.clone();
            broken[at] = 0xFF;
            assert_eq!(
                Method::decode(&broken),
                Err(WireError::MalformedUtf8),
                "{} in {text}",
                method.name()
            );
        }
    }
}

#[test]
fn numbers_that_no_method_has_are_refused() {
    assert_eq!(
        Method::decode(&[0, 61, 0, 10]),
        Err(WireError::UnknownClass(61))
    );
    let unknown = WireError::UnknownMethod {
        class_id: 60,
        method_id: 41,
    };
    assert_eq!(Method::decode(&[0, 60, 0, 41]), Err(unknown));
}

#[test]
fn reserved_arguments_and_unused_bits_may_be_anything() {
    let bytes = b"\x00\x3c\x00\x28\x00\x65\x02ex\x03a.b\xfd";
    assert_eq!(Method::decode(bytes), Ok(samples::publish().into()));
}

#[test]
fn names_are_those_of_the_standard() {
    let names: Vec<_> = samples::all().iter().map(Method::name).collect();
    expect![[r#"
        connection.start connection.start-ok connection.secure connection.secure-ok connection.tune connection.tune-ok connection.open connection.open-ok connection.close connection.close-ok connection.blocked connection.unblocked connection.update-secret connection.update-secret-ok channel.open channel.open-ok channel.flow channel.flow-ok channel.close channel.close-ok access.request access.request-ok exchange.declare exchange.declare-ok exchange.delete exchange.delete-ok exchange.bind exchange.bind-ok exchange.unbind exchange.unbind-ok queue.declare queue.declare-ok queue.bind queue.bind-ok queue.purge queue.purge-ok queue.delete queue.delete-ok queue.unbind queue.unbind-ok basic.qos basic.qos-ok basic.consume basic.consume-ok basic.cancel basic.cancel-ok basic.publish basic.return basic.deliver basic.get basic.get-ok basic.get-empty basic.ack basic.reject basic.recover-async basic.recover basic.recover-ok basic.nack tx.select tx.select-ok tx.commit tx.commit-ok tx.rollback tx.rollback-ok confirm.select confirm.select-ok
    "#]]
    .assert_eq(&(names.join(" ") + "\n"));
}

fn check(method: impl Into<Method>, expected: Expect) {
    let octets: Vec<_> = encode(&method.into())
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    expected.assert_eq(&octets.join(" "));
}

#[test]
fn exact_bytes() {
    check(
        connection::Open {
            virtual_host: VhostName::new("/").unwrap(),
        },
        expect!["00 0a 00 28 01 2f 00 00"],
    );
    check(
        exchange::Declare {
            exchange: ExchangeName::new("e").unwrap(),
            kind: samples::short("direct"),
            durable: true,
            no_wait: true,
            ..exchange::Declare::default()
        },
        expect!["00 28 00 0a 00 00 01 65 06 64 69 72 65 63 74 12 00 00 00 00"],
    );
    check(
        queue::Declare {
            queue: QueueName::new("q").unwrap(),
            exclusive: true,
            arguments: samples::table(),
            ..queue::Declare::default()
        },
        expect![
            "00 32 00 0a 00 00 01 71 04 00 00 00 12 0c 78 2d 6d 61 78 2d 6c 65 6e 67 74 68 49 00 00 00 0a"
        ],
    );
    check(
        samples::publish(),
        expect!["00 3c 00 28 00 00 02 65 78 03 61 2e 62 01"],
    );
    check(
        basic::Nack {
            delivery_tag: DeliveryTag(1),
            multiple: true,
            requeue: false,
        },
        expect!["00 3c 00 78 00 00 00 00 00 00 00 01 01"],
    );
    check(basic::GetEmpty {}, expect!["00 3c 00 48 00"]);
    check(
        samples::tune_ok(),
        expect!["00 0a 00 1f 07 ff 00 02 00 00 00 3c"],
    );
}
