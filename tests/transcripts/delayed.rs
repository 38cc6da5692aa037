//! Messages that wait before an exchange routes them.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_message_goes_on_when_its_time_has_come() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=x-delayed-message arguments={x-delayed-type: "topic"}
        a1 < exchange.declare-ok
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=x routing_key=a.#
        a1 < queue.bind-ok
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish exchange=x routing_key=a.1 "last" headers={x-delay: 4000}
        a1 > basic.publish exchange=x routing_key=a.2 "third" headers={x-delay: 2000, n: 1}
        a1 > basic.publish exchange=x routing_key=a.3 "first"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 exchange=x routing_key=a.3 "first"
        a1 > basic.publish exchange=x routing_key=a.4 "second" headers={x-delay: -5}
        a1 < basic.deliver consumer_tag=c delivery_tag=2 exchange=x routing_key=a.4 "second" headers={x-delay: -5}
        a1 < basic.deliver consumer_tag=c delivery_tag=3 exchange=x routing_key=a.2 "third" headers={x-delay: -2000, n: 1}
        a1 < basic.deliver consumer_tag=c delivery_tag=4 exchange=x routing_key=a.1 "last" headers={x-delay: -4000}
    "#]])
}

#[test]
fn a_delayed_exchange_is_refused_without_a_type() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=x-delayed-message
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing exchange type" class_id=40 method_id=10
        a2 > exchange.declare exchange=x type=x-delayed-message arguments={x-delayed-type: "nothing"}
        a2 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - unknown exchange type 'nothing'" class_id=40 method_id=10
        a3 > exchange.declare exchange=x type=x-delayed-message arguments={x-delayed-type: "x-delayed-message"}
        a3 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing exchange type" class_id=40 method_id=10
        a4 > exchange.declare exchange=x type=direct arguments={x-delayed-exchange: "yes"}
        a4 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid type 'longstr' for arg 'x-delayed-exchange'" class_id=40 method_id=10
        a5 > exchange.declare exchange=x type=x-delayed-message arguments={x-delayed-type: "headers"}
        a5 < exchange.declare-ok
        a5 > exchange.declare exchange=x type=x-delayed-message arguments={x-delayed-type: "headers"}
        a5 < exchange.declare-ok
        a5 > exchange.declare exchange=x type=headers
        a5 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/': received 'headers' but current is 'x-delayed-message'" class_id=40 method_id=10
    "#]])
}

#[test]
fn any_exchange_may_delay() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=fanout arguments={x-delayed-exchange: true}
        a1 < exchange.declare-ok
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=x
        a1 < queue.bind-ok
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish exchange=x routing_key=k "later" headers={x-delay: "2000"}
        a1 < basic.ack delivery_tag=1
        a1 > basic.get queue=q no_ack
        a1 < basic.get-empty
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=1 exchange=x routing_key=k "later" headers={x-delay: -2000}
    "#]])
}

#[test]
fn a_message_that_waits_is_routed_for_now_and_returned_never() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=rest type=fanout
        a1 < exchange.declare-ok
        a1 > exchange.declare exchange=x type=x-delayed-message arguments={x-delayed-type: "direct", alternate-exchange: "rest"}
        a1 < exchange.declare-ok
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=rest
        a1 < queue.bind-ok
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish exchange=x routing_key=nowhere mandatory "later" headers={x-delay: 100}
        a1 < basic.deliver consumer_tag=c delivery_tag=1 exchange=x routing_key=nowhere "later" headers={x-delay: -100}
        a1 > exchange.declare exchange=y type=x-delayed-message arguments={x-delayed-type: "direct"}
        a1 < exchange.declare-ok
        a1 > basic.publish exchange=y routing_key=nowhere mandatory "never" headers={x-delay: 100}
        a1 > basic.publish exchange=y routing_key=nowhere mandatory "now"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=y routing_key=nowhere "now"
        a < nothing
    "#]])
}

#[test]
fn a_delayed_exchange_behind_another_delays_from_there_on() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=x-delayed-message arguments={x-delayed-type: "fanout"}
        a1 < exchange.declare-ok
        a1 > queue.declare queue=now
        a1 < queue.declare-ok queue=now
        a1 > queue.declare queue=later
        a1 < queue.declare-ok queue=later
        a1 > queue.bind queue=later exchange=x
        a1 < queue.bind-ok
        a1 > queue.bind queue=now exchange=amq.direct routing_key=k
        a1 < queue.bind-ok
        a1 > exchange.bind source=amq.direct destination=x routing_key=k
        a1 < exchange.bind-ok
        a1 > exchange.bind source=amq.direct destination=x routing_key=copy
        a1 < exchange.bind-ok
        a1 > basic.consume queue=now consumer_tag=now no_ack
        a1 < basic.consume-ok consumer_tag=now
        b1 > basic.consume queue=later consumer_tag=later no_ack
        b1 < basic.consume-ok consumer_tag=later
        a1 > basic.publish exchange=amq.direct routing_key=k "one" headers={x-delay: 100}
        a1 < basic.deliver consumer_tag=now delivery_tag=1 exchange=amq.direct routing_key=k "one" headers={x-delay: 100}
        b1 < basic.deliver consumer_tag=later delivery_tag=1 exchange=amq.direct routing_key=k "one" headers={x-delay: -100}
        a1 > basic.publish exchange=amq.direct routing_key=nowhere "two" headers={x-delay: 100, BCC: ["copy"]}
        b1 < basic.deliver consumer_tag=later delivery_tag=2 exchange=amq.direct routing_key=nowhere "two" headers={x-delay: -100}
    "#]])
}

#[test]
fn only_the_message_itself_waits() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=fanout arguments={x-delayed-exchange: true}
        a1 < exchange.declare-ok
        a1 > queue.declare queue=q arguments={x-overflow: "reject-publish", x-max-length: 5}
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=amq.fanout
        a1 < queue.bind-ok
        a1 > basic.publish exchange=amq.fanout routing_key=k "one" headers={x-delay: 600000}
        a1 > basic.publish exchange=x routing_key=k "later" headers={x-delay: 600000}
        a1 > basic.publish exchange=amq.fanout routing_key=k "two" headers={x-delay: 600000}
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=1 exchange=amq.fanout routing_key=k "one" headers={x-delay: 600000}
        a1 < basic.deliver consumer_tag=c delivery_tag=2 exchange=amq.fanout routing_key=k "two" headers={x-delay: 600000}
        a < nothing
    "#]])
}

#[test]
fn a_message_waits_through_a_crash() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=x-delayed-message durable arguments={x-delayed-type: "fanout"}
        a1 < exchange.declare-ok
        a1 > queue.declare queue=q durable
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=x
        a1 < queue.bind-ok
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish exchange=x routing_key=k "transient" headers={x-delay: 5000}
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish exchange=x routing_key=k "persistent" delivery_mode=2 headers={x-delay: 5100}
        a1 < basic.ack delivery_tag=2
        the broker crashes
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=1 exchange=x routing_key=k "transient" headers={x-delay: -5000}
        a1 < basic.deliver consumer_tag=c delivery_tag=2 exchange=x routing_key=k "persistent" headers={x-delay: -5100} delivery_mode=2
    "#]])
}
