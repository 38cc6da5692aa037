//! The types of exchange that AMQP does not have and that need no plugin.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_consistent_hash_exchange_refuses_what_it_cannot_use() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=x-consistent-hash arguments={hash-header: "a", hash-property: "message_id"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - hash-header and hash-property are mutually exclusive" class_id=40 method_id=10
        a2 > exchange.declare exchange=x type=x-consistent-hash arguments={hash-property: "app_id"}
        a2 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - Unsupported property: app_id" class_id=40 method_id=10
        a3 > exchange.declare exchange=x type=x-consistent-hash
        a3 < exchange.declare-ok
        a3 > queue.declare queue=q
        a3 < queue.declare-ok queue=q
        a3 > queue.bind queue=q exchange=x routing_key=many
        a3 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - The binding key must be an integer: <<\"many\">>" class_id=50 method_id=20
        a4 > queue.bind queue=q exchange=x routing_key=0
        a4 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - The binding key must be greater than 0" class_id=50 method_id=20
        a5 > queue.bind queue=q exchange=x routing_key=1
        a5 < queue.bind-ok
        a5 > basic.publish exchange=x routing_key=anything mandatory "one"
        a5 > basic.get queue=q no_ack
        a5 < basic.get-ok delivery_tag=1 exchange=x routing_key=anything "one"
    "#]])
}

#[test]
fn equal_headers_go_to_one_queue() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=x-consistent-hash arguments={hash-header: "customer"}
        a1 < exchange.declare-ok
        a1 > queue.declare queue=p
        a1 < queue.declare-ok queue=p
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=p exchange=x routing_key=1
        a1 < queue.bind-ok
        a1 > queue.bind queue=q exchange=x routing_key=1
        a1 < queue.bind-ok
        a1 > basic.publish exchange=x routing_key=1 "one" headers={customer: "c1"}
        a1 > basic.publish exchange=x routing_key=2 "two" headers={customer: "c1"}
        a1 > basic.publish exchange=x routing_key=1 "three" headers={customer: "c2"}
        a1 > basic.publish exchange=x routing_key=1 "four" headers={customer: "c3"}
        a1 > basic.consume queue=p consumer_tag=p no_ack
        a1 < basic.consume-ok consumer_tag=p
        a1 > basic.consume queue=q consumer_tag=q no_ack
        a1 < basic.deliver consumer_tag=p delivery_tag=1 exchange=x routing_key=1 "one" headers={customer: "c1"}
        a1 < basic.deliver consumer_tag=p delivery_tag=2 exchange=x routing_key=2 "two" headers={customer: "c1"}
        a1 < basic.deliver consumer_tag=p delivery_tag=3 exchange=x routing_key=1 "four" headers={customer: "c3"}
        a1 < basic.consume-ok consumer_tag=q
        a1 < basic.deliver consumer_tag=q delivery_tag=4 exchange=x routing_key=1 "three" headers={customer: "c2"}
    "#]])
}

#[test]
fn a_random_exchange_goes_to_one_of_its_queues() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=x-random
        a1 < exchange.declare-ok
        a1 > basic.publish exchange=x mandatory "nobody"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=x "nobody"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=x routing_key=any
        a1 < queue.bind-ok
        a1 > basic.publish exchange=x mandatory "hello"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 exchange=x "hello"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-empty
        a1 > exchange.declare exchange=y type=x-local-random
        a1 < exchange.declare-ok
        a1 > queue.bind queue=q exchange=y routing_key=any
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - Non empty binding 'any' key not permitted" class_id=50 method_id=20
        a2 > queue.bind queue=q exchange=y
        a2 < queue.bind-ok
        a2 > basic.publish exchange=y routing_key=k mandatory "hello"
        a2 > basic.get queue=q no_ack
        a2 < basic.get-ok delivery_tag=1 exchange=y routing_key=k "hello"
    "#]])
}

#[test]
fn who_is_bound_later_gets_the_recent_history() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=x-recent-history arguments={x-recent-history-length: 2}
        a1 < exchange.declare-ok
        a1 > queue.declare queue=early
        a1 < queue.declare-ok queue=early
        a1 > queue.bind queue=early exchange=x
        a1 < queue.bind-ok
        a1 > basic.publish exchange=x routing_key=a "one"
        a1 > basic.publish exchange=x routing_key=b "two"
        a1 > basic.publish exchange=x routing_key=c "three"
        a1 > basic.publish exchange=x routing_key=d "not kept" headers={x-recent-history-no-store: true}
        a1 > queue.declare queue=late
        a1 < queue.declare-ok queue=late
        a1 > queue.bind queue=late exchange=x
        a1 < queue.bind-ok
        a1 > queue.bind queue=late exchange=x
        a1 < queue.bind-ok
        a1 > basic.consume queue=early consumer_tag=early no_ack
        a1 < basic.consume-ok consumer_tag=early
        a1 > basic.consume queue=late consumer_tag=late no_ack
        a1 < basic.deliver consumer_tag=early delivery_tag=1 exchange=x routing_key=a "one"
        a1 < basic.deliver consumer_tag=early delivery_tag=2 exchange=x routing_key=b "two"
        a1 < basic.deliver consumer_tag=early delivery_tag=3 exchange=x routing_key=c "three"
        a1 < basic.deliver consumer_tag=early delivery_tag=4 exchange=x routing_key=d "not kept" headers={x-recent-history-no-store: true}
        a1 < basic.consume-ok consumer_tag=late
        a1 < basic.deliver consumer_tag=late delivery_tag=5 exchange=x routing_key=b "two"
        a1 < basic.deliver consumer_tag=late delivery_tag=6 exchange=x routing_key=c "three"
        # An exchange that is bound routes it.
        a1 > queue.declare queue=b
        a1 < queue.declare-ok queue=b
        a1 > queue.bind queue=b exchange=amq.direct routing_key=b
        a1 < queue.bind-ok
        a1 > exchange.bind source=x destination=amq.direct
        a1 < exchange.bind-ok
        a1 > basic.get queue=b no_ack
        a1 < basic.get-ok delivery_tag=7 exchange=x routing_key=b "two"
        a1 > basic.get queue=b no_ack
        a1 < basic.get-empty
    "#]])
}

#[test]
fn a_history_without_a_queue_is_no_route() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=x-recent-history
        a1 < exchange.declare-ok
        a1 > basic.publish exchange=x routing_key=a mandatory "one"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=x routing_key=a "one"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=x
        a1 < queue.bind-ok
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 exchange=x routing_key=a "one"
        # The history is the broker's own, and goes with the exchange.
        a1 > basic.get queue=amq.amphora.history.x no_ack
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - queue 'amq.amphora.history.x' in vhost '/' is the broker's own" class_id=60 method_id=70
        a1 > exchange.delete exchange=x
        a1 < exchange.delete-ok
        a1 > exchange.declare exchange=x type=x-recent-history
        a1 < exchange.declare-ok
        a1 > queue.bind queue=q exchange=x
        a1 < queue.bind-ok
        a1 > basic.get queue=q no_ack
        a1 < basic.get-empty
        a2 > exchange.declare exchange=y type=x-recent-history arguments={x-recent-history-length: 0}
        a2 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - Invalid argument 0, 'x-recent-history-length' must be a positive integer" class_id=40 method_id=10
        a3 > exchange.declare exchange=y type=x-recent-history arguments={x-recent-history-length: "many"}
        a3 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - Invalid argument <<\"many\">>, 'x-recent-history-length' must be a positive integer" class_id=40 method_id=10
    "#]])
}

#[test]
fn a_durable_history_outlives_a_crash() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=x-recent-history durable
        a1 < exchange.declare-ok
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish exchange=x routing_key=k "persistent" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish exchange=x routing_key=k "transient"
        a1 < basic.ack delivery_tag=2
        the broker crashes
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=x
        a1 < queue.bind-ok
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        # It is read back first.
        a1 < basic.deliver consumer_tag=c delivery_tag=1 exchange=x routing_key=k "persistent" delivery_mode=2
        a < nothing
    "#]])
}

#[test]
fn a_modulus_hash_exchange_goes_where_rabbitmq_goes() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=x-modulus-hash
        a1 < exchange.declare-ok
        a1 > queue.declare queue=c
        a1 < queue.declare-ok queue=c
        a1 > queue.declare queue=a
        a1 < queue.declare-ok queue=a
        a1 > queue.declare queue=b
        a1 < queue.declare-ok queue=b
        a1 > queue.bind queue=c exchange=x
        a1 < queue.bind-ok
        a1 > queue.bind queue=a exchange=x
        a1 < queue.bind-ok
        a1 > queue.bind queue=b exchange=x
        a1 < queue.bind-ok
        a1 > basic.consume queue=a consumer_tag=a no_ack
        a1 < basic.consume-ok consumer_tag=a
        a1 > basic.consume queue=b consumer_tag=b no_ack
        a1 < basic.consume-ok consumer_tag=b
        a1 > basic.consume queue=c consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish exchange=x routing_key=one "1"
        a1 < basic.deliver consumer_tag=b delivery_tag=1 exchange=x routing_key=one "1"
        a1 > basic.publish exchange=x routing_key=two "2"
        a1 < basic.deliver consumer_tag=a delivery_tag=2 exchange=x routing_key=two "2"
        a1 > basic.publish exchange=x routing_key=k7 "3"
        a1 < basic.deliver consumer_tag=c delivery_tag=3 exchange=x routing_key=k7 "3"
        a1 > basic.publish exchange=x "none"
        a1 < basic.deliver consumer_tag=a delivery_tag=4 exchange=x "none"
        a1 > basic.publish exchange=x routing_key=one "both" headers={CC: ["two"]}
        a1 < basic.deliver consumer_tag=b delivery_tag=5 exchange=x routing_key=one "both" headers={CC: ["two"]}
        a1 > queue.unbind queue=b exchange=x
        a1 < queue.unbind-ok
        a1 > basic.publish exchange=x routing_key=k6 "two are left"
        a1 < basic.deliver consumer_tag=a delivery_tag=6 exchange=x routing_key=k6 "two are left"
    "#]])
}

#[test]
fn what_expires_for_others_stays_in_a_history() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=x-recent-history arguments={x-recent-history-length: 2}
        a1 < exchange.declare-ok
        a1 > queue.declare queue=early
        a1 < queue.declare-ok queue=early
        a1 > queue.bind queue=early exchange=x
        a1 < queue.bind-ok
        a1 > basic.publish exchange=x routing_key=a "one" expiration=50
        a1 > basic.publish exchange=x routing_key=b "two"
        # What rings after 200 ms takes that time.
        a1 > queue.declare queue=clock arguments={x-message-ttl: 200, x-dead-letter-exchange: "", x-dead-letter-routing-key: "bell"}
        a1 < queue.declare-ok queue=clock
        a1 > queue.declare queue=bell
        a1 < queue.declare-ok queue=bell
        a1 > basic.consume queue=bell consumer_tag=bell no_ack
        a1 < basic.consume-ok consumer_tag=bell
        a1 > basic.publish routing_key=clock "now"
        a1 < basic.deliver consumer_tag=bell delivery_tag=1 routing_key=bell "now" headers={x-death: [{count: 1l, reason: "expired", queue: "clock", time: nowT, exchange: "", routing-keys: ["clock"]}], x-first-death-exchange: "", x-first-death-queue: "clock", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "clock", x-last-death-reason: "expired"}
        a1 > queue.declare queue=late
        a1 < queue.declare-ok queue=late
        b1 > basic.consume queue=late consumer_tag=late no_ack
        b1 < basic.consume-ok consumer_tag=late
        a1 > queue.bind queue=late exchange=x
        a1 < queue.bind-ok
        b1 < basic.deliver consumer_tag=late delivery_tag=1 exchange=x routing_key=a "one" expiration=50
        b1 < basic.deliver consumer_tag=late delivery_tag=2 exchange=x routing_key=b "two"
    "#]])
}
