//! What goes with what: exclusive and auto-delete queues, auto-delete exchanges, what outlives the broker.

use expect_test::expect;

use crate::script::check;

#[test]
fn an_exclusive_queue_goes_with_its_connection() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q exclusive
        a1 < queue.declare-ok queue=q
        # Not with its channel.
        a1 > channel.close reply_code=200
        a1 < channel.close-ok
        a1 > queue.declare queue=q exclusive
        a1 < queue.declare-ok queue=q
        a0 > connection.close reply_code=200
        a < connection.close-ok
        b1 > queue.declare queue=q passive
        b1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'q' in vhost '/'" class_id=50 method_id=10
    "#]])
}

#[test]
fn an_exclusive_queue_goes_when_its_connection_is_lost() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q exclusive
        a1 < queue.declare-ok queue=q
        b1 > queue.declare queue=witness
        b1 < queue.declare-ok queue=witness
        b1 > queue.bind queue=witness exchange=amq.fanout
        b1 < queue.bind-ok
        b1 > basic.consume queue=witness consumer_tag=w
        b1 < basic.consume-ok consumer_tag=w
        a1 > basic.consume queue=witness consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish exchange=amq.fanout "one"
        b1 < basic.deliver consumer_tag=w delivery_tag=1 exchange=amq.fanout "one"
        a1 > basic.publish exchange=amq.fanout "two"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 exchange=amq.fanout "two"
        a hangs up
        # What the lost connection held comes back when it is gone.
        b1 < basic.deliver consumer_tag=w delivery_tag=2 redelivered exchange=amq.fanout "two"
        b1 > queue.declare queue=q passive
        b1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'q' in vhost '/'" class_id=50 method_id=10
    "#]])
}

#[test]
fn an_auto_delete_queue_goes_with_its_last_consumer() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q auto_delete
        a1 < queue.declare-ok queue=q
        # It waits for a first one.
        a1 > queue.declare queue=q auto_delete
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.consume queue=q consumer_tag=d
        a1 < basic.consume-ok consumer_tag=d
        a1 > basic.cancel consumer_tag=c
        a1 < basic.cancel-ok consumer_tag=c
        a1 > queue.declare queue=q passive
        a1 < queue.declare-ok queue=q consumer_count=1
        a1 > basic.cancel consumer_tag=d
        a1 < basic.cancel-ok consumer_tag=d
        a1 > queue.declare queue=q passive
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'q' in vhost '/'" class_id=50 method_id=10
    "#]])
}

#[test]
fn an_auto_delete_queue_goes_when_its_consumers_channel_is_closed() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q auto_delete
        a1 < queue.declare-ok queue=q
        a2 > basic.consume queue=q consumer_tag=c
        a2 < basic.consume-ok consumer_tag=c
        a2 > channel.close reply_code=200
        a2 < channel.close-ok
        a1 > queue.declare queue=q passive
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'q' in vhost '/'" class_id=50 method_id=10
    "#]])
}

#[test]
fn getting_is_not_consuming() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q auto_delete
        a1 < queue.declare-ok queue=q
        a1 > basic.get queue=q
        a1 < basic.get-empty
        a1 > queue.declare queue=q auto_delete
        a1 < queue.declare-ok queue=q
    "#]])
}

#[test]
fn an_auto_delete_exchange_goes_with_its_last_binding() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=fanout auto_delete
        a1 < exchange.declare-ok
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=x
        a1 < queue.bind-ok
        a1 > exchange.bind source=x destination=amq.fanout
        a1 < exchange.bind-ok
        a1 > queue.unbind queue=q exchange=x
        a1 < queue.unbind-ok
        a1 > exchange.declare exchange=x type=fanout passive
        a1 < exchange.declare-ok
        a1 > exchange.unbind source=x destination=amq.fanout
        a1 < exchange.unbind-ok
        a1 > exchange.declare exchange=x type=fanout passive
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no exchange 'x' in vhost '/'" class_id=40 method_id=10
    "#]])
}

#[test]
fn an_auto_delete_exchange_goes_when_the_last_queue_is_deleted() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=fanout auto_delete
        a1 < exchange.declare-ok
        a1 > exchange.declare exchange=y type=fanout auto_delete
        a1 < exchange.declare-ok
        a1 > exchange.bind source=x destination=y
        a1 < exchange.bind-ok
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=y
        a1 < queue.bind-ok
        # One takes the other along.
        a1 > queue.delete queue=q
        a1 < queue.delete-ok
        a1 > exchange.declare exchange=y type=fanout passive
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no exchange 'y' in vhost '/'" class_id=40 method_id=10
        a1 > exchange.declare exchange=x type=fanout passive
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no exchange 'x' in vhost '/'" class_id=40 method_id=10
    "#]])
}

#[test]
fn a_consumer_is_told_that_its_queue_is_gone() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        b1 > basic.consume queue=q consumer_tag=c
        b1 < basic.consume-ok consumer_tag=c
        a1 > queue.delete queue=q
        a1 < queue.delete-ok
        b1 < basic.cancel consumer_tag=c no_wait
        # The channel goes on, and the tag is free.
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        b1 > basic.consume queue=q consumer_tag=c
        b1 < basic.consume-ok consumer_tag=c
    "#]])
}

#[test]
fn a_client_that_does_not_know_of_cancelling_is_not_told() -> anyhow::Result<()> {
    check(&expect![[r#"
        b connects without=consumer_cancel_notify
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        b1 > basic.consume queue=q consumer_tag=c
        b1 < basic.consume-ok consumer_tag=c
        a1 > queue.delete queue=q
        a1 < queue.delete-ok
        b < nothing
    "#]])
}

#[test]
fn acknowledging_what_went_with_its_queue_is_no_error() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "hello"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "hello"
        a1 > queue.delete queue=q
        a1 < queue.delete-ok
        a1 > basic.ack delivery_tag=1
        a < nothing
    "#]])
}
