//! From exchanges to queues.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_direct_exchange_compares_the_whole_key() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=amq.direct routing_key=k
        a1 < queue.bind-ok
        a1 > queue.bind queue=q exchange=amq.direct routing_key=k.k
        a1 < queue.bind-ok
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish exchange=amq.direct routing_key=k "one"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 exchange=amq.direct routing_key=k "one"
        a1 > basic.publish exchange=amq.direct routing_key=k.k "two"
        a1 < basic.deliver consumer_tag=c delivery_tag=2 exchange=amq.direct routing_key=k.k "two"
        a1 > basic.publish exchange=amq.direct routing_key=K mandatory "three"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=amq.direct routing_key=K "three"
    "#]])
}

#[test]
fn a_queue_gets_a_message_once_however_often_it_is_bound() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=amq.topic routing_key=a.*
        a1 < queue.bind-ok
        a1 > queue.bind queue=q exchange=amq.topic routing_key=#
        a1 < queue.bind-ok
        a1 > queue.bind queue=q exchange=amq.topic routing_key=# arguments={other: 1}
        a1 < queue.bind-ok
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish exchange=amq.topic routing_key=a.b "hello"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 exchange=amq.topic routing_key=a.b "hello"
        a < nothing
    "#]])
}

#[test]
fn a_topic_exchange_compares_words() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=one
        a1 < queue.declare-ok queue=one
        a1 > queue.declare queue=many
        a1 < queue.declare-ok queue=many
        a1 > queue.bind queue=one exchange=amq.topic routing_key=stock.*.nyse
        a1 < queue.bind-ok
        a1 > queue.bind queue=many exchange=amq.topic routing_key=#.nyse.#
        a1 < queue.bind-ok
        a1 > basic.consume queue=one consumer_tag=one no_ack
        a1 < basic.consume-ok consumer_tag=one
        b1 > basic.consume queue=many consumer_tag=many no_ack
        b1 < basic.consume-ok consumer_tag=many
        a1 > basic.publish exchange=amq.topic routing_key=stock.ibm.nyse "one"
        a1 < basic.deliver consumer_tag=one delivery_tag=1 exchange=amq.topic routing_key=stock.ibm.nyse "one"
        b1 < basic.deliver consumer_tag=many delivery_tag=1 exchange=amq.topic routing_key=stock.ibm.nyse "one"
        a1 > basic.publish exchange=amq.topic routing_key=nyse "two"
        b1 < basic.deliver consumer_tag=many delivery_tag=2 exchange=amq.topic routing_key=nyse "two"
        a1 > basic.publish exchange=amq.topic routing_key=stock..nyse "three"
        a1 < basic.deliver consumer_tag=one delivery_tag=2 exchange=amq.topic routing_key=stock..nyse "three"
        b1 < basic.deliver consumer_tag=many delivery_tag=3 exchange=amq.topic routing_key=stock..nyse "three"
        a1 > basic.publish exchange=amq.topic routing_key=stock.nyse.ibm "four"
        b1 < basic.deliver consumer_tag=many delivery_tag=4 exchange=amq.topic routing_key=stock.nyse.ibm "four"
        a1 > basic.publish exchange=amq.topic routing_key="" mandatory "five"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=amq.topic "five"
    "#]])
}

#[test]
fn a_headers_exchange_compares_headers() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=all
        a1 < queue.declare-ok queue=all
        a1 > queue.declare queue=any
        a1 < queue.declare-ok queue=any
        a1 > queue.declare queue=x
        a1 < queue.declare-ok queue=x
        a1 > queue.bind queue=all exchange=amq.headers arguments={x-match: "all", a: 1, b: "two"}
        a1 < queue.bind-ok
        a1 > queue.bind queue=any exchange=amq.match arguments={x-match: "any", a: 1, b: void}
        a1 < queue.bind-ok
        a1 > queue.bind queue=x exchange=amq.headers arguments={x-match: "any-with-x", x-a: 1}
        a1 < queue.bind-ok
        a1 > basic.publish exchange=amq.headers mandatory "all" headers={a: 1, b: "two", c: 3}
        a1 > basic.publish exchange=amq.headers mandatory "not all" headers={a: 1}
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=amq.headers "not all" headers={a: 1}
        # Numbers are compared as numbers.
        a1 > basic.publish exchange=amq.headers mandatory "wide" headers={a: 1l, b: "two"}
        a1 > basic.publish exchange=amq.headers mandatory "a time" headers={a: 1T, b: "two"}
        a1 > basic.publish exchange=amq.headers mandatory "not a number" headers={a: "1", b: "two"}
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=amq.headers "not a number" headers={a: "1", b: "two"}
        a1 > basic.publish exchange=amq.match mandatory "one of them" headers={a: 1}
        a1 > basic.publish exchange=amq.match mandatory "it is there" headers={b: 7}
        a1 > basic.publish exchange=amq.match mandatory "none" headers={a: 2}
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=amq.match "none" headers={a: 2}
        a1 > basic.publish exchange=amq.match mandatory "no headers"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=amq.match "no headers"
        a1 > basic.publish exchange=amq.headers mandatory "x" headers={x-a: 1}
        a1 > basic.consume queue=all consumer_tag=all no_ack
        a1 < basic.consume-ok consumer_tag=all
        a1 < basic.deliver consumer_tag=all delivery_tag=1 exchange=amq.headers "all" headers={a: 1, b: "two", c: 3}
        a1 < basic.deliver consumer_tag=all delivery_tag=2 exchange=amq.headers "wide" headers={a: 1l, b: "two"}
        a1 < basic.deliver consumer_tag=all delivery_tag=3 exchange=amq.headers "a time" headers={a: 1T, b: "two"}
        a1 > basic.consume queue=any consumer_tag=any no_ack
        a1 < basic.consume-ok consumer_tag=any
        a1 < basic.deliver consumer_tag=any delivery_tag=4 exchange=amq.match "one of them" headers={a: 1}
        a1 < basic.deliver consumer_tag=any delivery_tag=5 exchange=amq.match "it is there" headers={b: 7}
        a1 > basic.consume queue=x consumer_tag=x no_ack
        a1 < basic.consume-ok consumer_tag=x
        a1 < basic.deliver consumer_tag=x delivery_tag=6 exchange=amq.headers "x" headers={x-a: 1}
    "#]])
}

#[test]
fn exchanges_may_be_bound_in_a_circle() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=fanout
        a1 < exchange.declare-ok
        a1 > exchange.declare exchange=y type=fanout
        a1 < exchange.declare-ok
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > exchange.bind source=x destination=y
        a1 < exchange.bind-ok
        a1 > exchange.bind source=y destination=x
        a1 < exchange.bind-ok
        a1 > exchange.bind source=x destination=x
        a1 < exchange.bind-ok
        a1 > queue.bind queue=q exchange=y
        a1 < queue.bind-ok
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish exchange=x "hello"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 exchange=x "hello"
        a < nothing
        a1 > exchange.unbind source=x destination=y
        a1 < exchange.unbind-ok
        a1 > exchange.unbind source=x destination=y
        a1 < exchange.unbind-ok
        a1 > basic.publish exchange=x mandatory "hello"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=x "hello"
    "#]])
}

#[test]
fn an_internal_exchange_is_reached_through_another() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=inner type=direct internal
        a1 < exchange.declare-ok
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=inner routing_key=k
        a1 < queue.bind-ok
        a1 > exchange.bind source=amq.fanout destination=inner
        a1 < exchange.bind-ok
        a1 > basic.publish exchange=amq.fanout routing_key=k "hello"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 exchange=amq.fanout routing_key=k "hello"
    "#]])
}

#[test]
fn an_alternate_exchange_takes_what_nobody_else_does() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=rest type=fanout
        a1 < exchange.declare-ok
        a1 > exchange.declare exchange=x type=direct arguments={alternate-exchange: "rest"}
        a1 < exchange.declare-ok
        a1 > queue.declare queue=rest
        a1 < queue.declare-ok queue=rest
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=x routing_key=k
        a1 < queue.bind-ok
        a1 > basic.publish exchange=x routing_key=other mandatory "nobody"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=x routing_key=other "nobody"
        a1 > queue.bind queue=rest exchange=rest
        a1 < queue.bind-ok
        a1 > basic.consume queue=rest consumer_tag=rest no_ack
        a1 < basic.consume-ok consumer_tag=rest
        a1 > basic.publish exchange=x routing_key=k mandatory "q"
        a1 > basic.publish exchange=x routing_key=other mandatory "rest"
        a1 < basic.deliver consumer_tag=rest delivery_tag=1 exchange=x routing_key=other "rest"
        a1 > exchange.delete exchange=rest
        a1 < exchange.delete-ok
        a1 > basic.publish exchange=x routing_key=other mandatory "gone"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=x routing_key=other "gone"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=2 exchange=x routing_key=k "q"
    "#]])
}

#[test]
fn an_alternate_exchange_need_not_exist_and_may_lead_in_a_circle() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=direct arguments={alternate-exchange: "y"}
        a1 < exchange.declare-ok
        a1 > basic.publish exchange=x mandatory "nowhere"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=x "nowhere"
        a1 > exchange.declare exchange=y type=direct arguments={alternate-exchange: "x"}
        a1 < exchange.declare-ok
        a1 > basic.publish exchange=x mandatory "nowhere"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=x "nowhere"
    "#]])
}

#[test]
fn copies_go_to_further_keys_and_blind_ones_are_not_shown() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=to
        a1 < queue.declare-ok queue=to
        a1 > queue.declare queue=cc
        a1 < queue.declare-ok queue=cc
        a1 > queue.declare queue=bcc
        a1 < queue.declare-ok queue=bcc
        a1 > basic.publish routing_key=to "hello" headers={CC: ["cc", "to"], BCC: ["bcc"], n: 1}
        a1 > basic.get queue=to no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=to "hello" headers={CC: ["cc", "to"], n: 1}
        a1 > basic.get queue=cc no_ack
        a1 < basic.get-ok delivery_tag=2 routing_key=to "hello" headers={CC: ["cc", "to"], n: 1}
        a1 > basic.get queue=bcc no_ack
        a1 < basic.get-ok delivery_tag=3 routing_key=to "hello" headers={CC: ["cc", "to"], n: 1}
        a1 > basic.get queue=to no_ack
        a1 < basic.get-empty
        a1 > basic.publish routing_key=nowhere mandatory "hello" headers={CC: ["cc"]}
        a1 > basic.get queue=cc no_ack
        a1 < basic.get-ok delivery_tag=4 routing_key=nowhere "hello" headers={CC: ["cc"]}
    "#]])
}

#[test]
fn a_binding_is_known_by_all_that_it_is_made_of() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=amq.direct routing_key=k
        a1 < queue.bind-ok
        a1 > queue.bind queue=q exchange=amq.direct routing_key=k arguments={a: 1}
        a1 < queue.bind-ok
        a1 > queue.unbind queue=q exchange=amq.direct routing_key=k
        a1 < queue.unbind-ok
        a1 > basic.publish exchange=amq.direct routing_key=k mandatory "hello"
        a < nothing
        a1 > queue.unbind queue=q exchange=amq.direct routing_key=k arguments={a: 1}
        a1 < queue.unbind-ok
        a1 > queue.unbind queue=q exchange=amq.direct routing_key=k arguments={a: 1}
        a1 < queue.unbind-ok
        a1 > basic.publish exchange=amq.direct routing_key=k mandatory "hello"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=amq.direct routing_key=k "hello"
    "#]])
}

#[test]
fn bindings_go_with_the_exchange_and_with_the_queue() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=fanout
        a1 < exchange.declare-ok
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=x
        a1 < queue.bind-ok
        a1 > exchange.delete exchange=x
        a1 < exchange.delete-ok
        a1 > exchange.declare exchange=x type=fanout
        a1 < exchange.declare-ok
        a1 > basic.publish exchange=x mandatory "one"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=x "one"
        a1 > queue.bind queue=q exchange=x
        a1 < queue.bind-ok
        a1 > queue.delete queue=q
        a1 < queue.delete-ok
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish exchange=x mandatory "two"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=x "two"
    "#]])
}
