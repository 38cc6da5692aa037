//! Direct reply-to: answers without a queue.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_requester_gets_its_answer_directly() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > basic.consume queue=amq.rabbitmq.reply-to consumer_tag=answers no_ack
        a1 < basic.consume-ok consumer_tag=answers
        b1 > queue.declare queue=requests
        b1 < queue.declare-ok queue=requests
        b1 > basic.consume queue=requests consumer_tag=r no_ack
        b1 < basic.consume-ok consumer_tag=r
        a1 > basic.publish routing_key=requests "3 * 3" reply_to=amq.rabbitmq.reply-to correlation_id=1
        b1 < basic.deliver consumer_tag=r delivery_tag=1 routing_key=requests "3 * 3" correlation_id=1 reply_to=amq.rabbitmq.reply-to.$1
        b1 > basic.publish routing_key=amq.rabbitmq.reply-to.$1 mandatory "9" correlation_id=1
        a1 < basic.deliver consumer_tag=answers delivery_tag=1 routing_key=amq.rabbitmq.reply-to.$1 "9" correlation_id=1
        b < nothing
    "#]])
}

#[test]
fn a_responder_can_ask_whether_its_requester_is_still_there() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > basic.consume queue=amq.rabbitmq.reply-to no_ack
        a1 < basic.consume-ok consumer_tag=amq.ctag-$1
        b1 > queue.declare queue=requests
        b1 < queue.declare-ok queue=requests
        a1 > basic.publish routing_key=requests "?" reply_to=amq.rabbitmq.reply-to
        b1 > basic.consume queue=requests consumer_tag=r no_ack
        b1 < basic.consume-ok consumer_tag=r
        b1 < basic.deliver consumer_tag=r delivery_tag=1 routing_key=requests "?" reply_to=amq.rabbitmq.reply-to.$2
        b1 > queue.declare queue=amq.rabbitmq.reply-to.$2 passive
        b1 < queue.declare-ok queue=amq.rabbitmq.reply-to.$2 consumer_count=1
        a1 > channel.close reply_code=200
        a1 < channel.close-ok
        b1 > queue.declare queue=amq.rabbitmq.reply-to.$2 passive
        b1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'amq.rabbitmq.reply-to.$2' in vhost '/'" class_id=50 method_id=10
    "#]])
}

#[test]
fn answers_cannot_be_acknowledged() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > basic.consume queue=amq.rabbitmq.reply-to
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - reply consumer cannot acknowledge" class_id=60 method_id=20
    "#]])
}

#[test]
fn there_is_one_consumer_of_answers_on_a_channel() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > basic.consume queue=amq.rabbitmq.reply-to no_ack
        a1 < basic.consume-ok consumer_tag=amq.ctag-$1
        a1 > basic.consume queue=amq.rabbitmq.reply-to no_ack
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - reply consumer already set" class_id=60 method_id=20
        a1 > basic.consume queue=amq.rabbitmq.reply-to consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.cancel consumer_tag=c
        a1 < basic.cancel-ok consumer_tag=c
        a1 > basic.consume queue=amq.rabbitmq.reply-to consumer_tag=d no_ack
        a1 < basic.consume-ok consumer_tag=d
    "#]])
}

#[test]
fn who_asks_for_an_answer_has_to_wait_for_it() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=requests
        a1 < queue.declare-ok queue=requests
        a1 > basic.publish routing_key=requests "?" reply_to=amq.rabbitmq.reply-to
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - fast reply consumer does not exist" class_id=60 method_id=40
        # Another channel's consumer does not count.
        a2 > basic.consume queue=amq.rabbitmq.reply-to no_ack
        a2 < basic.consume-ok consumer_tag=amq.ctag-$1
        a1 > basic.publish routing_key=requests "?" reply_to=amq.rabbitmq.reply-to
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - fast reply consumer does not exist" class_id=60 method_id=40
    "#]])
}

#[test]
fn the_queue_of_answers_is_no_queue() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > basic.consume queue=amq.rabbitmq.reply-to no_ack
        a1 < basic.consume-ok consumer_tag=amq.ctag-$1
        a1 > basic.get queue=amq.rabbitmq.reply-to no_ack
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'amq.rabbitmq.reply-to' in vhost '/'" class_id=60 method_id=70
        a1 > queue.delete queue=amq.rabbitmq.reply-to
        a1 < queue.delete-ok
        a1 > queue.purge queue=amq.rabbitmq.reply-to
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'amq.rabbitmq.reply-to' in vhost '/'" class_id=50 method_id=30
        a1 > queue.bind queue=amq.rabbitmq.reply-to exchange=amq.fanout
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'amq.rabbitmq.reply-to' in vhost '/'" class_id=50 method_id=20
    "#]])
}

/// Spring asks with a passive declaration, and does without direct replies if that is refused.
#[test]
fn whether_there_are_answers_is_asked_by_a_declaration() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=amq.rabbitmq.reply-to passive
        a1 < queue.declare-ok queue=amq.rabbitmq.reply-to consumer_count=1
        a1 > queue.declare queue=amq.rabbitmq.reply-to
        a1 < queue.declare-ok queue=amq.rabbitmq.reply-to consumer_count=1
        a1 > queue.declare queue=amq.rabbitmq.reply-to.nobody passive
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'amq.rabbitmq.reply-to.$1' in vhost '/'" class_id=50 method_id=10
    "#]])
}
