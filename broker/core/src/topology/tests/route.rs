//! Where messages go.

use expect_test::expect;

use super::check;

#[test]
fn the_default_exchange_knows_every_queue() {
    check(
        "
        queue q
        publish '' q
        publish '' r
        publish '' r,q,q
        publish x q
        delete-queue q
        publish '' q
        ",
        &expect![[r#"
            queue q
                + queue q
            publish '' q
                q
            publish '' r
                unroutable
            publish '' r,q,q
                q
            publish x q
                404 NOT_FOUND - no exchange 'x' in vhost '/'
            delete-queue q
                - queue q
            publish '' q
                unroutable
        "#]],
    );
}

#[test]
fn each_type_in_its_way() {
    check(
        "
        queue a
        queue b
        bind amq.direct a k
        bind amq.direct b k
        bind amq.fanout a anything
        bind amq.topic a *.k
        bind amq.topic b #
        bind amq.headers a '' n=1
        bind amq.match b '' n=1 m=2 x-match=any
        publish amq.direct k
        publish amq.direct other
        publish amq.fanout whatever
        publish amq.topic x.k
        publish amq.topic k
        publish amq.topic x.y
        publish amq.headers k n=1
        publish amq.headers k n=2
        publish amq.match k n=5 m=2
        publish amq.match k
        ",
        &expect![[r#"
            queue a
                + queue a
            queue b
                + queue b
            bind amq.direct a k
                + binding 'amq.direct' to queue a by 'k'
            bind amq.direct b k
                + binding 'amq.direct' to queue b by 'k'
            bind amq.fanout a anything
                + binding 'amq.fanout' to queue a by 'anything'
            bind amq.topic a *.k
                + binding 'amq.topic' to queue a by '*.k'
            bind amq.topic b #
                + binding 'amq.topic' to queue b by '#'
            bind amq.headers a '' n=1
                + binding 'amq.headers' to queue a by ''
            bind amq.match b '' n=1 m=2 x-match=any
                + binding 'amq.match' to queue b by ''
            publish amq.direct k
                a b
            publish amq.direct other
                unroutable
            publish amq.fanout whatever
                a
            publish amq.topic x.k
                a b
            publish amq.topic k
                b
            publish amq.topic x.y
                b
            publish amq.headers k n=1
                a (varies with properties)
            publish amq.headers k n=2
                unroutable (varies with properties)
            publish amq.match k n=5 m=2
                b (varies with properties)
            publish amq.match k
                unroutable (varies with properties)
        "#]],
    );
}

#[test]
fn a_queue_gets_one_copy() {
    check(
        "
        queue a
        exchange x topic
        exchange y fanout
        bind x a #
        bind x a k.*
        bind x a k.1 extra=1
        bind x a k.1 extra=2
        bind x >y k.#
        bind y a
        bind y >x
        publish x k.1
        publish x k.1,k.2
        publish y anything
        unbind x a k.1 extra=1
        publish x k.1
        ",
        &expect![[r#"
            queue a
                + queue a
            exchange x topic
                + exchange x
            exchange y fanout
                + exchange y
            bind x a #
                + binding 'x' to queue a by '#'
            bind x a k.*
                + binding 'x' to queue a by 'k.*'
            bind x a k.1 extra=1
                + binding 'x' to queue a by 'k.1'
            bind x a k.1 extra=2
                + binding 'x' to queue a by 'k.1'
            bind x >y k.#
                + binding 'x' to exchange y by 'k.#'
            bind y a
                + binding 'y' to queue a by ''
            bind y >x
                + binding 'y' to exchange x by ''
            publish x k.1
                a
            publish x k.1,k.2
                a
            publish y anything
                a
            unbind x a k.1 extra=1
                - binding 'x' to queue a by 'k.1'
            publish x k.1
                a
        "#]],
    );
}

#[test]
fn messages_without_a_destination_go_to_the_alternate_exchange() {
    check(
        "
        queue lost
        queue found
        exchange x direct alternate-exchange=y
        exchange y direct alternate-exchange=x
        publish x k
        bind x found k
        publish x k
        publish x other
        publish y k
        exchange z direct alternate-exchange=missing
        publish z k
        exchange missing fanout
        bind missing lost
        publish z k
        bind z >y dead-end
        publish z dead-end
        ",
        &expect![[r#"
            queue lost
                + queue lost
            queue found
                + queue found
            exchange x direct alternate-exchange=y
                + exchange x
            exchange y direct alternate-exchange=x
                + exchange y
            publish x k
                unroutable
            bind x found k
                + binding 'x' to queue found by 'k'
            publish x k
                found
            publish x other
                unroutable
            publish y k
                found
            exchange z direct alternate-exchange=missing
                + exchange z
            publish z k
                unroutable
            exchange missing fanout
                + exchange missing
            bind missing lost
                + binding 'missing' to queue lost by ''
            publish z k
                lost
            bind z >y dead-end
                + binding 'z' to exchange y by 'dead-end'
            publish z dead-end
                unroutable
        "#]],
    );
}

#[test]
fn an_internal_exchange_takes_messages_from_exchanges_only() {
    check(
        "
        queue q
        exchange i fanout internal
        exchange x direct alternate-exchange=i
        bind i q
        publish i k
        publish x k
        publish amq.rabbitmq.trace k
        ",
        &expect![[r#"
            queue q
                + queue q
            exchange i fanout internal
                + exchange i
            exchange x direct alternate-exchange=i
                + exchange x
            bind i q
                + binding 'i' to queue q by ''
            publish i k
                403 ACCESS_REFUSED - cannot publish to internal exchange 'i' in vhost '/'
            publish x k
                q
            publish amq.rabbitmq.trace k
                403 ACCESS_REFUSED - cannot publish to internal exchange 'amq.rabbitmq.trace' in vhost '/'
        "#]],
    );
}

#[test]
fn all_or_any_of_the_headers() {
    check(
        "
        exchange h headers
        queue all
        queue any
        queue present
        bind h all '' a=1 b=text
        bind h any '' a=1 b=text x-match=any
        bind h present '' c=V:
        publish h k
        publish h k a=1
        publish h k a=1 b=text
        publish h k a=l:1 b=text
        publish h k a=d:1 b=other
        publish h k c=V:
        publish h k c=5
        unbind h all '' b=text a=1
        publish h k a=1 b=text
        ",
        &expect![[r#"
            exchange h headers
                + exchange h
            queue all
                + queue all
            queue any
                + queue any
            queue present
                + queue present
            bind h all '' a=1 b=text
                + binding 'h' to queue all by ''
            bind h any '' a=1 b=text x-match=any
                + binding 'h' to queue any by ''
            bind h present '' c=V:
                + binding 'h' to queue present by ''
            publish h k
                unroutable (varies with properties)
            publish h k a=1
                any (varies with properties)
            publish h k a=1 b=text
                all any (varies with properties)
            publish h k a=l:1 b=text
                all any (varies with properties)
            publish h k a=d:1 b=other
                any (varies with properties)
            publish h k c=V:
                present (varies with properties)
            publish h k c=5
                present (varies with properties)
            unbind h all '' b=text a=1
                - binding 'h' to queue all by ''
            publish h k a=1 b=text
                any (varies with properties)
        "#]],
    );
}

#[test]
fn bindings_to_headers_without_arguments_and_with_those_that_do_not_count() {
    check(
        "
        exchange h headers
        queue everything
        queue nothing
        queue with-x
        bind h everything ''
        bind h nothing '' x-match=any
        bind h nothing '' x-a=1 x-match=any
        bind h with-x '' x-a=1 x-match=all-with-x
        publish h k
        publish h k x-a=1
        publish h k x-a=2
        unbind h everything ''
        bind h everything '' x-a=1
        publish h k
        ",
        &expect![[r#"
            exchange h headers
                + exchange h
            queue everything
                + queue everything
            queue nothing
                + queue nothing
            queue with-x
                + queue with-x
            bind h everything ''
                + binding 'h' to queue everything by ''
            bind h nothing '' x-match=any
                + binding 'h' to queue nothing by ''
            bind h nothing '' x-a=1 x-match=any
                + binding 'h' to queue nothing by ''
            bind h with-x '' x-a=1 x-match=all-with-x
                + binding 'h' to queue with-x by ''
            publish h k
                everything (varies with properties)
            publish h k x-a=1
                everything with-x (varies with properties)
            publish h k x-a=2
                everything (varies with properties)
            unbind h everything ''
                - binding 'h' to queue everything by ''
            bind h everything '' x-a=1
                + binding 'h' to queue everything by ''
            publish h k
                everything (varies with properties)
        "#]],
    );
}

#[test]
fn the_kind_of_number_does_not_matter_but_number_and_text_differ() {
    check(
        "
        exchange h headers
        queue one
        queue half
        queue true
        bind h one '' v=1
        bind h half '' v=f:0.5
        bind h true '' v=t:true
        queue zero
        bind h zero '' v=d:0
        publish h k v=f:-0
        publish h k v=b:1
        publish h k v=l:1
        publish h k v=d:1
        publish h k v=S:1
        publish h k v=t:true
        publish h k v=d:0.5
        ",
        &expect![[r#"
            exchange h headers
                + exchange h
            queue one
                + queue one
            queue half
                + queue half
            queue true
                + queue true
            bind h one '' v=1
                + binding 'h' to queue one by ''
            bind h half '' v=f:0.5
                + binding 'h' to queue half by ''
            bind h true '' v=t:true
                + binding 'h' to queue true by ''
            queue zero
                + queue zero
            bind h zero '' v=d:0
                + binding 'h' to queue zero by ''
            publish h k v=f:-0
                zero (varies with properties)
            publish h k v=b:1
                one (varies with properties)
            publish h k v=l:1
                one (varies with properties)
            publish h k v=d:1
                one (varies with properties)
            publish h k v=S:1
                unroutable (varies with properties)
            publish h k v=t:true
                true (varies with properties)
            publish h k v=d:0.5
                half (varies with properties)
        "#]],
    );
}

#[test]
fn headers_behind_another_exchange() {
    check(
        "
        exchange h headers
        queue q
        bind amq.topic >h #
        bind h q '' a=1
        publish amq.topic k a=1
        publish amq.topic k a=2
        publish amq.direct k a=1
        ",
        &expect![[r#"
            exchange h headers
                + exchange h
            queue q
                + queue q
            bind amq.topic >h #
                + binding 'amq.topic' to exchange h by '#'
            bind h q '' a=1
                + binding 'h' to queue q by ''
            publish amq.topic k a=1
                q (varies with properties)
            publish amq.topic k a=2
                unroutable (varies with properties)
            publish amq.direct k a=1
                unroutable
        "#]],
    );
}
