//! Messages that say the same id as one before them.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_queue_takes_each_id_once() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-message-deduplication: true, x-cache-size: 2}
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=all
        a1 < queue.declare-ok queue=all
        a1 > queue.bind queue=q exchange=amq.fanout
        a1 < queue.bind-ok
        a1 > queue.bind queue=all exchange=amq.fanout
        a1 < queue.bind-ok
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish exchange=amq.fanout routing_key=k "one" headers={x-deduplication-header: "1"}
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish exchange=amq.fanout routing_key=k mandatory "one again" headers={x-deduplication-header: "1"}
        a1 < basic.ack delivery_tag=2
        a1 > basic.publish exchange=amq.fanout routing_key=k "a number" headers={x-deduplication-header: 1}
        a1 < basic.ack delivery_tag=3
        a1 > basic.publish exchange=amq.fanout routing_key=k "without"
        a1 < basic.ack delivery_tag=4
        a1 > basic.publish exchange=amq.fanout routing_key=k "without"
        a1 < basic.ack delivery_tag=5
        a1 > basic.publish exchange=amq.fanout routing_key=k "two" headers={x-deduplication-header: "2"}
        a1 < basic.ack delivery_tag=6
        a1 > basic.publish exchange=amq.fanout routing_key=k "three" headers={x-deduplication-header: "3"}
        a1 < basic.ack delivery_tag=7
        # The window holds two.
        a1 > basic.publish exchange=amq.fanout routing_key=k "one at last" headers={x-deduplication-header: "1"}
        a1 < basic.ack delivery_tag=8
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=1 exchange=amq.fanout routing_key=k "one" headers={x-deduplication-header: "1"}
        a1 < basic.deliver consumer_tag=c delivery_tag=2 exchange=amq.fanout routing_key=k "without"
        a1 < basic.deliver consumer_tag=c delivery_tag=3 exchange=amq.fanout routing_key=k "without"
        a1 < basic.deliver consumer_tag=c delivery_tag=4 exchange=amq.fanout routing_key=k "two" headers={x-deduplication-header: "2"}
        a1 < basic.deliver consumer_tag=c delivery_tag=5 exchange=amq.fanout routing_key=k "three" headers={x-deduplication-header: "3"}
        a1 < basic.deliver consumer_tag=c delivery_tag=6 exchange=amq.fanout routing_key=k "one at last" headers={x-deduplication-header: "1"}
        a1 > queue.purge queue=all
        a1 < queue.purge-ok message_count=8
    "#]])
}

#[test]
fn an_exchange_takes_each_id_once_if_it_reaches_somebody() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=fanout arguments={x-message-deduplication: true, x-deduplication-header: "id"}
        a1 < exchange.declare-ok
        a1 > basic.publish exchange=x routing_key=k mandatory "nobody" headers={id: "1"}
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=x routing_key=k "nobody" headers={id: "1"}
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=x
        a1 < queue.bind-ok
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish exchange=x routing_key=k mandatory "one" headers={id: "1"}
        a1 > basic.publish exchange=x routing_key=other mandatory "again" headers={id: "1"}
        a1 > basic.publish exchange=x routing_key=k mandatory "with copies" headers={id: "1", CC: ["c"]}
        a1 > basic.publish exchange=x routing_key=k mandatory "two" headers={id: "2", x-deduplication-header: "1"}
        a1 < basic.deliver consumer_tag=c delivery_tag=1 exchange=x routing_key=k "one" headers={id: "1"}
        a1 < basic.deliver consumer_tag=c delivery_tag=2 exchange=x routing_key=k "two" headers={id: "2", x-deduplication-header: "1"}
    "#]])
}

#[test]
fn what_reaches_nobody_takes_no_place_in_the_window() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=direct arguments={x-message-deduplication: true, x-cache-size: 1}
        a1 < exchange.declare-ok
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=x routing_key=k
        a1 < queue.bind-ok
        a1 > basic.publish exchange=x routing_key=k "one" headers={x-deduplication-header: "1"}
        a1 > basic.publish exchange=x routing_key=other mandatory "nobody" headers={x-deduplication-header: "2"}
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=x routing_key=other "nobody" headers={x-deduplication-header: "2"}
        a1 > basic.publish exchange=x routing_key=k mandatory "one again" headers={x-deduplication-header: "1"}
        # The window holds one.
        a1 > basic.publish exchange=x routing_key=k "two" headers={x-deduplication-header: "2"}
        a1 > basic.publish exchange=x routing_key=k "one at last" headers={x-deduplication-header: "1"}
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=1 exchange=x routing_key=k "one" headers={x-deduplication-header: "1"}
        a1 < basic.deliver consumer_tag=c delivery_tag=2 exchange=x routing_key=k "two" headers={x-deduplication-header: "2"}
        a1 < basic.deliver consumer_tag=c delivery_tag=3 exchange=x routing_key=k "one at last" headers={x-deduplication-header: "1"}
    "#]])
}

#[test]
fn an_id_is_known_for_its_time() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-message-deduplication: true, x-cache-ttl: 2000}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one" headers={x-deduplication-header: "1"}
        a1 > basic.publish routing_key=q "again" headers={x-deduplication-header: "1"}
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one" headers={x-deduplication-header: "1"}
        # What waits for 2500 ms takes that time.
        a1 > queue.declare queue=clock
        a1 < queue.declare-ok queue=clock
        a1 > exchange.declare exchange=x type=fanout arguments={x-delayed-exchange: true}
        a1 < exchange.declare-ok
        a1 > queue.bind queue=clock exchange=x
        a1 < queue.bind-ok
        a1 > basic.consume queue=clock consumer_tag=clock no_ack
        a1 < basic.consume-ok consumer_tag=clock
        a1 > basic.publish exchange=x "tick" headers={x-delay: 2500}
        a1 < basic.deliver consumer_tag=clock delivery_tag=2 exchange=x "tick" headers={x-delay: -2500}
        a1 > basic.publish routing_key=q "once more" headers={x-deduplication-header: "1"}
        a1 < basic.deliver consumer_tag=c delivery_tag=3 routing_key=q "once more" headers={x-deduplication-header: "1"}
    "#]])
}

#[test]
fn what_was_confirmed_is_a_duplicate_after_a_crash() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=fanout durable arguments={x-message-deduplication: true}
        a1 < exchange.declare-ok
        a1 > queue.declare queue=q durable
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=own durable arguments={x-message-deduplication: true}
        a1 < queue.declare-ok queue=own
        a1 > queue.bind queue=q exchange=x
        a1 < queue.bind-ok
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish exchange=x routing_key=k "one" delivery_mode=2 headers={x-deduplication-header: "1"}
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=own "one" delivery_mode=2 headers={x-deduplication-header: "1"}
        a1 < basic.ack delivery_tag=2
        the broker crashes
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish exchange=x routing_key=k "again" delivery_mode=2 headers={x-deduplication-header: "1"}
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=own "again" delivery_mode=2 headers={x-deduplication-header: "1"}
        a1 < basic.ack delivery_tag=2
        a1 > basic.publish routing_key=own "two" delivery_mode=2 headers={x-deduplication-header: "2"}
        a1 < basic.ack delivery_tag=3
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 exchange=x routing_key=k "one" headers={x-deduplication-header: "1"} delivery_mode=2
        a1 > basic.get queue=q no_ack
        a1 < basic.get-empty
        a1 > basic.get queue=own no_ack
        a1 < basic.get-ok delivery_tag=2 routing_key=own message_count=1 "one" headers={x-deduplication-header: "1"} delivery_mode=2
        a1 > basic.get queue=own no_ack
        a1 < basic.get-ok delivery_tag=3 routing_key=own "two" headers={x-deduplication-header: "2"} delivery_mode=2
        a1 > basic.get queue=own no_ack
        a1 < basic.get-empty
    "#]])
}

#[test]
fn what_a_full_queue_has_refused_may_come_again() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=fanout arguments={x-message-deduplication: true}
        a1 < exchange.declare-ok
        a1 > queue.declare queue=full arguments={x-max-length: 1, x-overflow: "reject-publish"}
        a1 < queue.declare-ok queue=full
        a1 > queue.declare queue=once arguments={x-message-deduplication: true}
        a1 < queue.declare-ok queue=once
        a1 > queue.declare queue=twice
        a1 < queue.declare-ok queue=twice
        a1 > queue.bind queue=full exchange=x
        a1 < queue.bind-ok
        a1 > queue.bind queue=once exchange=x
        a1 < queue.bind-ok
        a1 > queue.bind queue=twice exchange=x
        a1 < queue.bind-ok
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish exchange=x "one" headers={x-deduplication-header: "1"}
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish exchange=x "two" headers={x-deduplication-header: "2"}
        a1 < basic.nack delivery_tag=2
        a1 > basic.get queue=full no_ack
        a1 < basic.get-ok delivery_tag=1 exchange=x "one" headers={x-deduplication-header: "1"}
        # It is routed to all of them once more, and the one that takes each id once takes it only once.
        a1 > basic.publish exchange=x "two" headers={x-deduplication-header: "2"}
        a1 < basic.ack delivery_tag=3
        a1 > basic.publish exchange=x "two" headers={x-deduplication-header: "2"}
        a1 < basic.ack delivery_tag=4
        a1 > basic.get queue=full no_ack
        a1 < basic.get-ok delivery_tag=2 exchange=x "two" headers={x-deduplication-header: "2"}
        a1 > queue.purge queue=full
        a1 < queue.purge-ok
        a1 > queue.purge queue=once
        a1 < queue.purge-ok message_count=2
        a1 > queue.purge queue=twice
        a1 < queue.purge-ok message_count=3
    "#]])
}

#[test]
fn who_declares_again_says_the_same_of_duplicates() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-message-deduplication: true, x-cache-size: 5}
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=q arguments={x-message-deduplication: true, x-cache-size: 5l}
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=q arguments={x-message-deduplication: true, x-cache-size: 6}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-cache-size' for queue 'q' in vhost '/': received '6' but current is '5'" class_id=50 method_id=10
        a2 > queue.declare queue=q
        a2 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-message-deduplication' for queue 'q' in vhost '/': received none but current is the value 'true' of type 'bool'" class_id=50 method_id=10
        a3 > queue.declare queue=q arguments={x-message-deduplication: true, x-cache-size: 5, x-cache-ttl: 1000}
        a3 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-cache-ttl' for queue 'q' in vhost '/': received the value '1000' of type 'signedint' but current is none" class_id=50 method_id=10
        a4 > exchange.declare exchange=x type=fanout arguments={x-message-deduplication: true, x-deduplication-header: "id"}
        a4 < exchange.declare-ok
        a4 > exchange.declare exchange=x type=fanout arguments={x-message-deduplication: true, x-deduplication-header: "id"}
        a4 < exchange.declare-ok
        a4 > exchange.declare exchange=x type=fanout arguments={x-message-deduplication: true, x-deduplication-header: "other"}
        a4 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-deduplication-header' for exchange 'x' in vhost '/': received 'other' but current is 'id'" class_id=40 method_id=10
        a5 > exchange.declare exchange=x type=fanout
        a5 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-message-deduplication' for exchange 'x' in vhost '/': received none but current is the value 'true' of type 'bool'" class_id=40 method_id=10
    "#]])
}

#[test]
fn what_means_nothing_is_refused() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=direct arguments={x-message-deduplication: true, x-cache-size: 0}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-cache-size' for exchange 'x' in vhost '/': 0 is not positive" class_id=40 method_id=10
        a2 > exchange.declare exchange=x type=direct arguments={x-message-deduplication: "yes"}
        a2 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-message-deduplication' for exchange 'x' in vhost '/': {unacceptable_type,longstr}" class_id=40 method_id=10
        a3 > queue.declare queue=q arguments={x-message-deduplication: true, x-cache-ttl: "soon"}
        a3 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-cache-ttl' for queue 'q' in vhost '/': \"expected integer, got longstr\"" class_id=50 method_id=10
        a4 > queue.declare queue=q arguments={x-message-deduplication: true, x-deduplication-header: ""}
        a4 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-deduplication-header' for queue 'q' in vhost '/': the name is empty" class_id=50 method_id=10
        a6 > queue.declare queue=q arguments={x-message-deduplication: true, x-cache-size: 10000001}
        a6 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-cache-size' for queue 'q' in vhost '/': {value_too_large,10000001}" class_id=50 method_id=10
        a5 > exchange.declare exchange=x type=fanout arguments={x-message-deduplication: true, x-deduplication-header: ""}
        a5 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-deduplication-header' for exchange 'x' in vhost '/': the name is empty" class_id=40 method_id=10
    "#]])
}

#[test]
fn a_duplicate_takes_no_room_in_a_full_queue() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-message-deduplication: true, x-max-length: 1, x-overflow: "reject-publish"}
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one" headers={x-deduplication-header: "1"}
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "one" headers={x-deduplication-header: "1"}
        a1 < basic.ack delivery_tag=2
        a1 > basic.publish routing_key=q "two" headers={x-deduplication-header: "2"}
        a1 < basic.nack delivery_tag=3
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=q "one" headers={x-deduplication-header: "1"}
        # One that was refused is none.
        a1 > basic.publish routing_key=q "two" headers={x-deduplication-header: "2"}
        a1 < basic.ack delivery_tag=4
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=2 routing_key=q "two" headers={x-deduplication-header: "2"}
    "#]])
}
