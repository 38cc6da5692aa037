//! Streams: messages that stay when they are consumed.

use expect_test::expect;

use crate::script::check;

#[test]
fn every_consumer_reads_from_where_it_likes() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream"}
        a1 < queue.declare-ok queue=s
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=s "zero"
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=s "one" delivery_mode=2 headers={colour: "red"}
        a1 < basic.ack delivery_tag=2
        a1 > basic.publish routing_key=s "two"
        a1 < basic.ack delivery_tag=3
        a1 > queue.declare queue=s passive
        a1 < queue.declare-ok queue=s message_count=3
        b1 > basic.qos prefetch_count=2
        b1 < basic.qos-ok
        b1 > basic.consume queue=s consumer_tag=first arguments={x-stream-offset: "first"}
        b1 < basic.consume-ok consumer_tag=first
        b1 < basic.deliver consumer_tag=first delivery_tag=1 routing_key=s "zero" headers={x-stream-offset: 0l}
        b1 < basic.deliver consumer_tag=first delivery_tag=2 routing_key=s "one" headers={x-stream-offset: 1l, colour: "red"} delivery_mode=2
        # An acknowledgement is credit for one more.
        b < nothing
        b1 > basic.ack delivery_tag=1
        b1 < basic.deliver consumer_tag=first delivery_tag=3 routing_key=s "two" headers={x-stream-offset: 2l}
        c1 > basic.qos prefetch_count=10
        c1 < basic.qos-ok
        c1 > basic.consume queue=s consumer_tag=by-offset arguments={x-stream-offset: 1}
        c1 < basic.consume-ok consumer_tag=by-offset
        c1 < basic.deliver consumer_tag=by-offset delivery_tag=1 routing_key=s "one" headers={x-stream-offset: 1l, colour: "red"} delivery_mode=2
        c1 < basic.deliver consumer_tag=by-offset delivery_tag=2 routing_key=s "two" headers={x-stream-offset: 2l}
        c2 > basic.qos prefetch_count=10
        c2 < basic.qos-ok
        c2 > basic.consume queue=s consumer_tag=last arguments={x-stream-offset: "last"}
        c2 < basic.consume-ok consumer_tag=last
        c2 < basic.deliver consumer_tag=last delivery_tag=1 routing_key=s "two" headers={x-stream-offset: 2l}
        c3 > basic.qos prefetch_count=10
        c3 < basic.qos-ok
        c3 > basic.consume queue=s consumer_tag=next arguments={x-stream-offset: "next"}
        c3 < basic.consume-ok consumer_tag=next
        c4 > basic.qos prefetch_count=10
        c4 < basic.qos-ok
        c4 > basic.consume queue=s consumer_tag=last-one arguments={x-stream-offset: -1}
        c4 < basic.consume-ok consumer_tag=last-one
        c4 < basic.deliver consumer_tag=last-one delivery_tag=1 routing_key=s "two" headers={x-stream-offset: 2l}
        c5 > basic.qos prefetch_count=10
        c5 < basic.qos-ok
        c5 > basic.consume queue=s consumer_tag=recent arguments={x-stream-offset: "1h"}
        c5 < basic.consume-ok consumer_tag=recent
        c5 < basic.deliver consumer_tag=recent delivery_tag=1 routing_key=s "zero" headers={x-stream-offset: 0l}
        c5 < basic.deliver consumer_tag=recent delivery_tag=2 routing_key=s "one" headers={x-stream-offset: 1l, colour: "red"} delivery_mode=2
        c5 < basic.deliver consumer_tag=recent delivery_tag=3 routing_key=s "two" headers={x-stream-offset: 2l}
        c6 > basic.qos prefetch_count=10
        c6 < basic.qos-ok
        c6 > basic.consume queue=s consumer_tag=later arguments={x-stream-offset: 32503680000T}
        c6 < basic.consume-ok consumer_tag=later
        c < nothing
    "#]])
}

#[test]
fn what_is_not_acknowledged_does_not_come_again() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream"}
        a1 < queue.declare-ok queue=s
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=s "zero"
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=s "one"
        a1 < basic.ack delivery_tag=2
        b1 > basic.qos prefetch_count=1
        b1 < basic.qos-ok
        b1 > basic.consume queue=s consumer_tag=c arguments={x-stream-offset: "first"}
        b1 < basic.consume-ok consumer_tag=c
        b1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=s "zero" headers={x-stream-offset: 0l}
        b1 > basic.nack delivery_tag=1 requeue
        b1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=s "one" headers={x-stream-offset: 1l}
        b1 > channel.close reply_code=200
        b1 < channel.close-ok
        # They are there for whoever comes.
        b1 > basic.qos prefetch_count=1
        b1 < basic.qos-ok
        b1 > basic.consume queue=s consumer_tag=c arguments={x-stream-offset: "first"}
        b1 < basic.consume-ok consumer_tag=c
        b1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=s "zero" headers={x-stream-offset: 0l}
    "#]])
}

#[test]
fn what_a_stream_does_not_have_is_refused() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=s durable exclusive arguments={x-queue-type: "stream"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid property 'exclusive-owner' for queue 's' in vhost '/'" class_id=50 method_id=10
        a1 > queue.declare queue=s durable auto_delete arguments={x-queue-type: "stream"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid property 'auto-delete' for queue 's' in vhost '/'" class_id=50 method_id=10
        a1 > queue.declare queue=s arguments={x-queue-type: "stream"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid property 'non-durable' for queue 's' in vhost '/'" class_id=50 method_id=10
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream"}
        a1 < queue.declare-ok queue=s
        a1 > basic.consume queue=s consumer_tag=c
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - consumer prefetch count is not set for stream queue 's' in vhost '/'" class_id=60 method_id=20
        a1 > basic.qos prefetch_count=1
        a1 < basic.qos-ok
        a1 > basic.consume queue=s consumer_tag=c arguments={x-stream-offset: "yesterday"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - failed consuming from stream queue 's' in vhost '/': invalid arg 'x-stream-offset': \"yesterday\"" class_id=60 method_id=20
        a1 > basic.qos prefetch_count=1
        a1 < basic.qos-ok
        a1 > basic.consume queue=s consumer_tag=c arguments={x-stream-filter: 5}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - failed consuming from stream queue 's' in vhost '/': invalid arg 'x-stream-filter': {unacceptable_type,signedint}" class_id=60 method_id=20
        a1 > basic.qos prefetch_count=1
        a1 < basic.qos-ok
        a1 > basic.consume queue=s consumer_tag=c no_ack
        a < connection.close reply_code=540 reply_text="NOT_IMPLEMENTED - automatic acknowledgement not supported by stream queue 's' in vhost '/'" class_id=60 method_id=20
        a1 > basic.get queue=s
        a < connection.close reply_code=540 reply_text="NOT_IMPLEMENTED - basic.get not supported by stream queues queue 's' in vhost '/'" class_id=60 method_id=70
        a1 > queue.purge queue=s
        a < connection.close reply_code=540 reply_text="NOT_IMPLEMENTED - queue.purge not supported by stream queues queue 's' in vhost '/'" class_id=50 method_id=30
        # A prefetch of the channel is none of the consumer.
        a1 > basic.qos prefetch_count=1 global
        a1 < basic.qos-ok
        a1 > basic.consume queue=s consumer_tag=c
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - consumer prefetch count is not set for stream queue 's' in vhost '/'" class_id=60 method_id=20
        a1 > basic.qos prefetch_count=1
        a1 < basic.qos-ok
        a1 > basic.qos prefetch_count=1 global
        a1 < basic.qos-ok
        a1 > basic.consume queue=s consumer_tag=c
        a < connection.close reply_code=540 reply_text="NOT_IMPLEMENTED - queue 's' in vhost '/' does not support global qos" class_id=60 method_id=20
        # Conditions are not looked at.
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=s "one"
        a1 < basic.ack delivery_tag=1
        a1 > queue.delete queue=s if_empty if_unused
        a1 < queue.delete-ok message_count=1
    "#]])
}

#[test]
fn a_consumer_gets_what_it_filters_for() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream"}
        a1 < queue.declare-ok queue=s
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=s "red" headers={x-stream-filter-value: "red"}
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=s "none"
        a1 < basic.ack delivery_tag=2
        a1 > basic.publish routing_key=s "blue" headers={x-stream-filter-value: "blue"}
        a1 < basic.ack delivery_tag=3
        a1 > basic.publish routing_key=s "green" headers={x-stream-filter-value: "green"}
        a1 < basic.ack delivery_tag=4
        b1 > basic.qos prefetch_count=10
        b1 < basic.qos-ok
        b1 > basic.consume queue=s consumer_tag=blue arguments={x-stream-offset: "first", x-stream-filter: "blue"}
        b1 < basic.consume-ok consumer_tag=blue
        b1 < basic.deliver consumer_tag=blue delivery_tag=1 routing_key=s "blue" headers={x-stream-offset: 2l, x-stream-filter-value: "blue"}
        b2 > basic.qos prefetch_count=10
        b2 < basic.qos-ok
        b2 > basic.consume queue=s consumer_tag=some arguments={x-stream-offset: "first", x-stream-filter: ["red", "green"], x-stream-match-unfiltered: true}
        b2 < basic.consume-ok consumer_tag=some
        b2 < basic.deliver consumer_tag=some delivery_tag=1 routing_key=s "red" headers={x-stream-offset: 0l, x-stream-filter-value: "red"}
        b2 < basic.deliver consumer_tag=some delivery_tag=2 routing_key=s "none" headers={x-stream-offset: 1l}
        b2 < basic.deliver consumer_tag=some delivery_tag=3 routing_key=s "green" headers={x-stream-offset: 3l, x-stream-filter-value: "green"}
        b < nothing
    "#]])
}

#[test]
fn a_consumer_that_comes_back_goes_on_where_it_was() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream"}
        a1 < queue.declare-ok queue=s
        b1 > basic.qos prefetch_count=10
        b1 < basic.qos-ok
        # The first time there is nothing to go on from.
        b1 > basic.consume queue=s consumer_tag=worker
        b1 < basic.consume-ok consumer_tag=worker
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=s "zero"
        a1 < basic.ack delivery_tag=1
        b1 < basic.deliver consumer_tag=worker delivery_tag=1 routing_key=s "zero" headers={x-stream-offset: 0l}
        a1 > basic.publish routing_key=s "one"
        a1 < basic.ack delivery_tag=2
        b1 < basic.deliver consumer_tag=worker delivery_tag=2 routing_key=s "one" headers={x-stream-offset: 1l}
        b1 > basic.ack delivery_tag=1
        b1 > channel.close reply_code=200
        b1 < channel.close-ok
        a1 > basic.publish routing_key=s "two"
        a1 < basic.ack delivery_tag=3
        b1 > basic.qos prefetch_count=10
        b1 < basic.qos-ok
        b1 > basic.consume queue=s consumer_tag=worker
        b1 < basic.consume-ok consumer_tag=worker
        b1 < basic.deliver consumer_tag=worker delivery_tag=1 routing_key=s "one" headers={x-stream-offset: 1l}
        b1 < basic.deliver consumer_tag=worker delivery_tag=2 routing_key=s "two" headers={x-stream-offset: 2l}
        b1 > basic.ack delivery_tag=2 multiple
        b1 > channel.close reply_code=200
        b1 < channel.close-ok
        # Also after a crash; whoever asks not to be remembered begins with what comes next.
        a1 > basic.publish routing_key=s "three"
        a1 < basic.ack delivery_tag=4
        the broker crashes
        b1 > basic.qos prefetch_count=10
        b1 < basic.qos-ok
        b1 > basic.consume queue=s consumer_tag=worker
        b1 < basic.consume-ok consumer_tag=worker
        b1 < basic.deliver consumer_tag=worker delivery_tag=1 routing_key=s "three" headers={x-stream-offset: 3l}
        b2 > basic.qos prefetch_count=10
        b2 < basic.qos-ok
        b2 > basic.consume queue=s consumer_tag=worker arguments={x-stream-automatic-offset-tracking: false}
        b2 < basic.consume-ok consumer_tag=worker
        b < nothing
    "#]])
}

#[test]
fn old_segments_go_and_the_active_one_stays() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream", x-max-length-bytes: 40, x-stream-max-segment-size-bytes: 20}
        a1 < queue.declare-ok queue=s
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=s "a message of 30 bytes or nearly"
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=s "a message of 30 bytes or nearly"
        a1 < basic.ack delivery_tag=2
        a1 > basic.publish routing_key=s "a message of 30 bytes or nearly"
        a1 < basic.ack delivery_tag=3
        a1 > queue.declare queue=s passive
        a1 < queue.declare-ok queue=s message_count=1
        b1 > basic.qos prefetch_count=10
        b1 < basic.qos-ok
        b1 > basic.consume queue=s consumer_tag=c arguments={x-stream-offset: 0}
        b1 < basic.consume-ok consumer_tag=c
        b1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=s "a message of 30 bytes or nearly" headers={x-stream-offset: 2l}
    "#]])
}
