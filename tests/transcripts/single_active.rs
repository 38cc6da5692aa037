//! A single active consumer.

use expect_test::expect;

use crate::script::check;

#[test]
fn one_consumer_gets_all_until_it_goes() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-single-active-consumer: true}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=first
        a1 < basic.consume-ok consumer_tag=first
        a2 > basic.consume queue=q consumer_tag=second
        a2 < basic.consume-ok consumer_tag=second
        a1 > basic.publish routing_key=q "one"
        a1 < basic.deliver consumer_tag=first delivery_tag=1 routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 < basic.deliver consumer_tag=first delivery_tag=2 routing_key=q "two"
        a1 > basic.ack delivery_tag=1
        a1 > basic.cancel consumer_tag=first
        a1 < basic.cancel-ok consumer_tag=first
        a1 > basic.publish routing_key=q "three"
        a2 < basic.deliver consumer_tag=second delivery_tag=1 routing_key=q "three"
        # What the first one holds is still its own.
        a1 > basic.ack delivery_tag=2
    "#]])
}

#[test]
fn the_next_takes_over_when_the_connection_is_lost() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-single-active-consumer: true}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=first
        a1 < basic.consume-ok consumer_tag=first
        b1 > basic.consume queue=q consumer_tag=low arguments={x-priority: -1}
        b1 < basic.consume-ok consumer_tag=low
        b2 > basic.consume queue=q consumer_tag=high
        b2 < basic.consume-ok consumer_tag=high
        a1 > basic.publish routing_key=q "one"
        a1 < basic.deliver consumer_tag=first delivery_tag=1 routing_key=q "one"
        a hangs up
        b2 < basic.deliver consumer_tag=high delivery_tag=1 redelivered routing_key=q "one"
    "#]])
}

#[test]
fn nobody_may_be_exclusive() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-single-active-consumer: true}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=c exclusive
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use" class_id=60 method_id=20
    "#]])
}
