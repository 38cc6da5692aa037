//! Policies and operator policies: what they make of queues and exchanges, at once and for those to come.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_limit_is_in_force_at_once_and_until_it_is_cleared() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 > basic.publish routing_key=q "three"
        a1 > basic.qos prefetch_count=0
        a1 < basic.qos-ok
        the operator puts policies/VHOST/p {"pattern":"^q","definition":{"max-length":2}}
        the operator < 201
        the operator gets queues/VHOST/q policy operator_policy effective_policy_definition
        the operator < 200 policy="p" operator_policy=null effective_policy_definition={"max-length":2}
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=1 "two"
        a1 > basic.publish routing_key=q "four"
        a1 > basic.publish routing_key=q "five"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=2 routing_key=q message_count=1 "four"
        the operator deletes policies/VHOST/p
        the operator < 204
        a1 > basic.publish routing_key=q "six"
        a1 > basic.publish routing_key=q "seven"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=3 routing_key=q message_count=2 "five"
    "#]])
}

#[test]
fn a_queue_that_comes_later_has_it_too() -> anyhow::Result<()> {
    check(&expect![[r#"
        the operator puts policies/VHOST/dying {"pattern":"^q","definition":{"dead-letter-exchange":"","dead-letter-routing-key":"dead","message-ttl":20},"apply-to":"queues"}
        the operator < 201
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.publish routing_key=q "one"
        a1 < basic.deliver consumer_tag=dead delivery_tag=1 routing_key=dead "one" headers={x-death: [{count: 1l, reason: "expired", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "expired"}
    "#]])
}

#[test]
fn of_two_limits_the_smaller_counts_and_else_the_argument() -> anyhow::Result<()> {
    check(&expect![[r#"
        the operator puts policies/VHOST/p {"pattern":"^q","definition":{"max-length":2,"overflow":"drop-head","dead-letter-exchange":"amq.direct","dead-letter-routing-key":"of-the-policy"}}
        the operator < 201
        a1 > queue.declare queue=q1 arguments={x-max-length: 1, x-overflow: "reject-publish"}
        a1 < queue.declare-ok queue=q1
        a1 > queue.declare queue=q3 arguments={x-max-length: 3, x-overflow: "reject-publish", x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q3
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q1 "one"
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q1 "two"
        a1 < basic.nack delivery_tag=2
        a1 > basic.publish routing_key=q3 "one"
        a1 < basic.ack delivery_tag=3
        a1 > basic.publish routing_key=q3 "two"
        a1 < basic.ack delivery_tag=4
        a1 > basic.publish routing_key=q3 "three"
        a1 < basic.nack delivery_tag=5
        a1 > basic.get queue=q3
        a1 < basic.get-ok delivery_tag=1 routing_key=q3 message_count=1 "one"
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.reject delivery_tag=1
        a1 < basic.deliver consumer_tag=dead delivery_tag=2 routing_key=dead "one" headers={x-death: [{count: 1l, reason: "rejected", queue: "q3", time: nowT, exchange: "", routing-keys: ["q3"]}], x-first-death-exchange: "", x-first-death-queue: "q3", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q3", x-last-death-reason: "rejected"}
    "#]])
}

#[test]
fn an_operator_may_only_narrow() -> anyhow::Result<()> {
    check(&expect![[r#"
        the operator puts policies/VHOST/p {"pattern":"^q","definition":{"max-length":5,"message-ttl":600000,"overflow":"reject-publish"}}
        the operator < 201
        the operator puts operator-policies/VHOST/o {"pattern":"^q","definition":{"max-length":1,"message-ttl":700000}}
        the operator < 201
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one"
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "two"
        a1 < basic.nack delivery_tag=2
        the operator gets queues/VHOST/q policy operator_policy effective_policy_definition
        the operator < 200 policy="p" operator_policy="o" effective_policy_definition={"max-length":1,"message-ttl":600000,"overflow":"reject-publish"}
        the operator deletes operator-policies/VHOST/o
        the operator < 204
        a1 > basic.publish routing_key=q "three"
        a1 < basic.ack delivery_tag=3
    "#]])
}

#[test]
fn an_operator_says_whether_messages_are_refused() -> anyhow::Result<()> {
    check(&expect![[r#"
        the operator puts policies/VHOST/p {"pattern":"^q","definition":{"max-length":1,"overflow":"drop-head"}}
        the operator < 201
        the operator puts operator-policies/VHOST/o {"pattern":"^q","definition":{"overflow":"reject-publish"}}
        the operator < 201
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one"
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "two"
        a1 < basic.nack delivery_tag=2
    "#]])
}

#[test]
fn the_highest_priority_applies_and_only_that() -> anyhow::Result<()> {
    check(&expect![[r#"
        the operator puts policies/VHOST/low {"pattern":".*","priority":1,"definition":{"max-length":1}}
        the operator < 201
        the operator puts policies/VHOST/high {"pattern":"^q","priority":2,"definition":{"overflow":"reject-publish"}}
        the operator < 201
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=other
        a1 < queue.declare-ok queue=other
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one"
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "two"
        a1 < basic.ack delivery_tag=2
        a1 > basic.publish routing_key=other "one"
        a1 < basic.ack delivery_tag=3
        a1 > basic.publish routing_key=other "two"
        a1 < basic.ack delivery_tag=4
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=1 "one"
        a1 > basic.get queue=other no_ack
        a1 < basic.get-ok delivery_tag=2 routing_key=other "two"
    "#]])
}

#[test]
fn a_policy_may_be_for_one_type_of_queue() -> anyhow::Result<()> {
    check(&expect![[r#"
        the operator puts policies/VHOST/c {"pattern":".*","definition":{"max-length":1},"apply-to":"classic_queues"}
        the operator < 201
        the operator puts policies/VHOST/q {"pattern":".*","definition":{"delivery-limit":7},"apply-to":"quorum_queues"}
        the operator < 201
        the operator puts policies/VHOST/s {"pattern":".*","definition":{"max-age":"1h"},"apply-to":"streams"}
        the operator < 201
        the operator puts policies/VHOST/x {"pattern":".*","definition":{"alternate-exchange":"amq.fanout"},"apply-to":"exchanges"}
        the operator < 201
        a1 > queue.declare queue=classic durable
        a1 < queue.declare-ok queue=classic
        a1 > queue.declare queue=quorum durable arguments={x-queue-type: "quorum"}
        a1 < queue.declare-ok queue=quorum
        a1 > queue.declare queue=stream durable arguments={x-queue-type: "stream"}
        a1 < queue.declare-ok queue=stream
        a1 > exchange.declare exchange=exchange type=direct
        a1 < exchange.declare-ok
        the operator gets queues/VHOST/classic policy
        the operator < 200 policy="c"
        the operator gets queues/VHOST/quorum policy
        the operator < 200 policy="q"
        the operator gets queues/VHOST/stream policy
        the operator < 200 policy="s"
        the operator gets exchanges/VHOST/exchange policy
        the operator < 200 policy="x"
    "#]])
}

#[test]
fn an_exchange_has_an_alternate_one_from_a_policy() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=direct
        a1 < exchange.declare-ok
        a1 > queue.declare queue=rest
        a1 < queue.declare-ok queue=rest
        a1 > queue.bind queue=rest exchange=amq.fanout
        a1 < queue.bind-ok
        a1 > basic.publish exchange=x routing_key=k mandatory "one"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=x routing_key=k "one"
        the operator puts policies/VHOST/ae {"pattern":"^x$","definition":{"alternate-exchange":"amq.fanout"},"apply-to":"exchanges"}
        the operator < 201
        a1 > basic.publish exchange=x routing_key=k mandatory "two"
        a1 > basic.get queue=rest no_ack
        a1 < basic.get-ok delivery_tag=1 exchange=x routing_key=k "two"
        the operator deletes policies/VHOST/ae
        the operator < 204
        a1 > basic.publish exchange=x routing_key=k mandatory "three"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=x routing_key=k "three"
        # The default exchange has none, whatever matches its name.
        the operator puts policies/VHOST/ae {"pattern":".*","definition":{"alternate-exchange":"amq.fanout"},"apply-to":"all"}
        the operator < 201
        a1 > basic.publish exchange=x routing_key=k mandatory "four"
        a1 > basic.get queue=rest no_ack
        a1 < basic.get-ok delivery_tag=2 exchange=x routing_key=k "four"
        a1 > basic.publish routing_key=nobody mandatory "five"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE routing_key=nobody "five"
        the operator deletes policies/VHOST/ae
        the operator < 204
    "#]])
}

#[test]
fn a_queue_goes_when_a_policy_says_so() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        the operator puts policies/VHOST/p {"pattern":"^q$","definition":{"expires":200}}
        the operator < 201
        # What rings after 3000 ms takes that time.
        c1 > queue.declare queue=clock arguments={x-message-ttl: 3000, x-dead-letter-exchange: "", x-dead-letter-routing-key: "bell"}
        c1 < queue.declare-ok queue=clock
        c1 > queue.declare queue=bell
        c1 < queue.declare-ok queue=bell
        c1 > basic.consume queue=bell consumer_tag=bell no_ack
        c1 < basic.consume-ok consumer_tag=bell
        c1 > basic.publish routing_key=clock "tick"
        c1 < basic.deliver consumer_tag=bell delivery_tag=1 routing_key=bell "tick" headers={x-death: [{count: 1l, reason: "expired", queue: "clock", time: nowT, exchange: "", routing-keys: ["clock"]}], x-first-death-exchange: "", x-first-death-queue: "clock", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "clock", x-last-death-reason: "expired"}
        a1 > queue.declare queue=q passive
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'q' in vhost '/'" class_id=50 method_id=10
    "#]])
}

#[test]
fn what_no_policy_can_say_is_refused() -> anyhow::Result<()> {
    check(&expect![[r#"
        the operator puts policies/VHOST/p {"pattern":".*","definition":{"max-length":"many"}}
        the operator < 400 "Validation failed\n\n<<\"many\">> is not a valid maximum length\n"
        the operator puts policies/VHOST/p {"pattern":".*","definition":{"max-length":-1}}
        the operator < 400 "Validation failed\n\n-1 is not a valid maximum length\n"
        the operator puts policies/VHOST/p {"pattern":".*","definition":{"overflow":"spill"}}
        the operator < 400 "Validation failed\n\n<<\"spill\">> is not a valid overflow value\n"
        the operator puts policies/VHOST/p {"pattern":".*","definition":{"message-ttl":"1h"}}
        the operator < 400 "Validation failed\n\n<<\"1h\">> is not a valid message TTL\n"
        the operator puts policies/VHOST/p {"pattern":".*","definition":{"expires":0}}
        the operator < 400 "Validation failed\n\n0 is not a valid queue expiry\n"
        the operator puts policies/VHOST/p {"pattern":".*","definition":{"dead-letter-exchange":5}}
        the operator < 400 "Validation failed\n\n5 is not a valid dead letter exchange name\n"
        the operator puts policies/VHOST/p {"pattern":".*","definition":{"dead-letter-routing-key":5}}
        the operator < 400 "Validation failed\n\n5 is not a valid dead letter routing key\n"
        the operator puts policies/VHOST/p {"pattern":".*","definition":{"max-length-bytes":true}}
        the operator < 400 "Validation failed\n\ntrue is not a valid maximum length in bytes\n"
        the operator puts policies/VHOST/p {"pattern":".*","definition":{"colour":"red"}}
        the operator < 400 "Validation failed\n\n[{<<\"colour\">>,<<\"red\">>}] are not recognised policy settings\n"
        the operator puts policies/VHOST/p {"pattern":".*","definition":{}}
        the operator < 400 "Validation failed\n\nno policy provided\n"
        the operator puts policies/VHOST/p {"pattern":".*","definition":{"max-length":1},"priority":"high"}
        the operator < 400 "Validation failed\n\npriority should be a number, actually was <<\"high\">>\n"
        the operator puts operator-policies/VHOST/o {"pattern":".*","definition":{"dead-letter-exchange":"x"}}
        the operator < 400 "Validation failed\n\n[{<<\"dead-letter-exchange\">>,<<\"x\">>}] are not recognised policy settings\n"
        the operator deletes policies/VHOST/none
        the operator < 404 "Not Found"
        the operator gets policies/VHOST/none name
        the operator < 404 "Not Found"
    "#]])
}

#[test]
fn a_pattern_is_a_regular_expression_and_apply_to_a_word_that_is_known() -> anyhow::Result<()> {
    check(&expect![[r#"
        the operator puts policies/VHOST/p {"pattern":"(","definition":{"max-length":1}}
        the operator < 400 "Validation failed\n\npattern should be regular expression but is invalid: Parsing error at position 1: Opening parenthesis without closing parenthesis\n"
        the operator puts policies/VHOST/p {"pattern":".*","definition":{"max-length":1},"apply-to":"nobody"}
        the operator < 400 "Validation failed\n\napply-to 'nobody' unrecognised; should be one of: 'queues', 'classic_queues',  'quorum_queues', 'streams', 'exchanges', or 'all'\n"
    "#]])
}

#[test]
fn every_key_is_known() -> anyhow::Result<()> {
    check(&expect![[r#"
        the operator puts policies/VHOST/queues {"pattern":"^none$","definition":{"dead-letter-exchange":"x","dead-letter-routing-key":"k","message-ttl":1000,"expires":1000,"max-length":10,"max-length-bytes":1000,"overflow":"reject-publish-dlx","queue-mode":"lazy","queue-version":2,"queue-master-locator":"client-local"}}
        the operator < 201
        the operator puts policies/VHOST/quorum {"pattern":"^none$","definition":{"dead-letter-strategy":"at-least-once","delivery-limit":10,"max-in-memory-length":10,"max-in-memory-bytes":1000,"queue-leader-locator":"client-local"}}
        the operator < 201
        the operator puts policies/VHOST/streams {"pattern":"^none$","definition":{"max-age":"1h","stream-max-segment-size-bytes":1000000,"initial-cluster-size":1}}
        the operator < 201
        the operator puts policies/VHOST/exchanges {"pattern":"^none$","definition":{"alternate-exchange":"x"}}
        the operator < 201
        the operator puts operator-policies/VHOST/bounds {"pattern":"^none$","definition":{"expires":1000,"message-ttl":1000,"max-length":10,"max-length-bytes":1000,"max-in-memory-length":10,"max-in-memory-bytes":1000,"delivery-limit":10}}
        the operator < 201
    "#]])
}

#[test]
fn keys_that_came_later_are_known_too() -> anyhow::Result<()> {
    check(&expect![[r#"
        the operator puts policies/VHOST/quorum {"pattern":"^none$","definition":{"consumer-timeout":60000,"consumer-disconnected-timeout":60000,"target-group-size":3,"delayed-retry-type":"failed","delayed-retry-min":100,"delayed-retry-max":200}}
        the operator < 201
        the operator puts policies/VHOST/streams {"pattern":"^none$","definition":{"stream-filter-size-bytes":16}}
        the operator < 201
        the operator puts operator-policies/VHOST/bounds {"pattern":"^none$","definition":{"queue-version":2,"target-group-size":3,"overflow":"reject-publish"}}
        the operator < 201
    "#]])
}

#[test]
fn retries_and_delays_may_come_from_a_policy() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > exchange.declare exchange=x type=fanout
        a1 < exchange.declare-ok
        a1 > queue.bind queue=q exchange=x
        a1 < queue.bind-ok
        the operator puts policies/VHOST/retries {"pattern":"^q$","definition":{"retry-max-attempts":2,"retry-delay":30,"dead-letter-exchange":"","dead-letter-routing-key":"dead"},"apply-to":"queues"}
        the operator < 201
        the operator puts policies/VHOST/delays {"pattern":"^x$","definition":{"delayed-exchange":true},"apply-to":"exchanges"}
        the operator < 201
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.publish exchange=x routing_key=k "one" headers={x-delay: 2000}
        a1 > basic.publish exchange=x routing_key=k "two"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 exchange=x routing_key=k "two"
        a1 > basic.ack delivery_tag=1
        a1 < basic.deliver consumer_tag=c delivery_tag=2 exchange=x routing_key=k "one" headers={x-delay: -2000}
        a1 > basic.nack delivery_tag=2 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=3 redelivered exchange=x routing_key=k "one" headers={x-delay: -2000, x-delivery-count: 1l, x-acquired-count: 1l}
        a1 > basic.nack delivery_tag=3 requeue
        a1 < basic.deliver consumer_tag=dead delivery_tag=4 routing_key=dead "one" headers={x-delay: -2000, x-death: [{count: 1l, reason: "delivery_limit", queue: "q", time: nowT, exchange: "x", routing-keys: ["k"]}], x-first-death-exchange: "x", x-first-death-queue: "q", x-first-death-reason: "delivery_limit", x-last-death-exchange: "x", x-last-death-queue: "q", x-last-death-reason: "delivery_limit"}
    "#]])
}

#[test]
fn policies_outlive_a_crash() -> anyhow::Result<()> {
    check(&expect![[r#"
        the operator puts policies/VHOST/p {"pattern":"^q$","definition":{"max-length":1}}
        the operator < 201
        the operator puts operator-policies/VHOST/o {"pattern":"^q$","definition":{"overflow":"reject-publish"}}
        the operator < 201
        a1 > queue.declare queue=q durable
        a1 < queue.declare-ok queue=q
        the broker crashes
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "two" delivery_mode=2
        a1 < basic.nack delivery_tag=2
        the operator gets queues/VHOST/q policy operator_policy effective_policy_definition
        the operator < 200 policy="p" operator_policy="o" effective_policy_definition={"max-length":1,"overflow":"reject-publish"}
    "#]])
}
