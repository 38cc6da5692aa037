//! Declaring and deleting.

use expect_test::expect;

use super::check;

#[test]
fn an_exchange_is_declared_once() {
    check(
        "
        exchange x topic durable
        exchange x topic durable
        exchange x topic passive
        exchange y fanout passive
        exchange x fanout durable
        exchange x topic
        exchange x topic durable auto-delete
        exchange x topic durable internal
        exchange x topic durable anything=1
        exchange x topic durable alternate-exchange=ae
        ",
        &expect![[r#"
            exchange x topic durable
                + exchange x, durable
            exchange x topic durable
                nothing changed
            exchange x topic passive
                nothing changed
            exchange y fanout passive
                404 NOT_FOUND - no exchange 'y' in vhost '/'
            exchange x fanout durable
                406 PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/': received 'fanout' but current is 'topic'
            exchange x topic
                406 PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'x' in vhost '/': received 'false' but current is 'true'
            exchange x topic durable auto-delete
                406 PRECONDITION_FAILED - inequivalent arg 'auto_delete' for exchange 'x' in vhost '/': received 'true' but current is 'false'
            exchange x topic durable internal
                406 PRECONDITION_FAILED - inequivalent arg 'internal' for exchange 'x' in vhost '/': received 'true' but current is 'false'
            exchange x topic durable anything=1
                nothing changed
            exchange x topic durable alternate-exchange=ae
                406 PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received the value 'ae' of type 'longstr' but current is none
        "#]],
    );
}

#[test]
fn the_alternate_exchange_is_compared() {
    check(
        "
        exchange x direct alternate-exchange=a
        exchange x direct alternate-exchange=a
        exchange x direct alternate-exchange=b
        exchange x direct
        exchange y direct alternate-exchange=1
        ",
        &expect![[r#"
            exchange x direct alternate-exchange=a
                + exchange x
            exchange x direct alternate-exchange=a
                nothing changed
            exchange x direct alternate-exchange=b
                406 PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received 'b' but current is 'a'
            exchange x direct
                406 PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received none but current is the value 'a' of type 'longstr'
            exchange y direct alternate-exchange=1
                406 PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' in exchange 'y' in vhost '/'
        "#]],
    );
}

#[test]
fn exchanges_that_nobody_may_declare() {
    check(
        "
        exchange '' direct
        exchange '' direct passive
        exchange amq.mine direct
        exchange amq.topic topic durable
        exchange amq.topic direct durable
        exchange amq.nothing direct passive
        exchange x x-unknown
        exchange x ''
        ",
        &expect![[r#"
            exchange '' direct
                403 ACCESS_REFUSED - operation not permitted on the default exchange
            exchange '' direct passive
                403 ACCESS_REFUSED - operation not permitted on the default exchange
            exchange amq.mine direct
                403 ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'
            exchange amq.topic topic durable
                nothing changed
            exchange amq.topic direct durable
                406 PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.topic' in vhost '/': received 'direct' but current is 'topic'
            exchange amq.nothing direct passive
                404 NOT_FOUND - no exchange 'amq.nothing' in vhost '/'
            exchange x x-unknown
                406 PRECONDITION_FAILED - unknown exchange type 'x-unknown'
            exchange x ''
                406 PRECONDITION_FAILED - invalid exchange type ''
        "#]],
    );
}

#[test]
fn an_exchange_is_deleted_with_its_bindings() {
    check(
        "
        exchange x direct durable
        exchange y fanout
        queue q durable
        bind x q k
        bind x >y k
        bind y q k
        delete-exchange x if-unused
        delete-exchange x
        delete-exchange x
        delete-exchange y
        delete-exchange amq.direct
        delete-exchange ''
        ",
        &expect![[r#"
            exchange x direct durable
                + exchange x, durable
            exchange y fanout
                + exchange y
            queue q durable
                + queue q, durable
            bind x q k
                + binding 'x' to queue q by 'k', durable
            bind x >y k
                + binding 'x' to exchange y by 'k'
            bind y q k
                + binding 'y' to queue q by 'k'
            delete-exchange x if-unused
                406 PRECONDITION_FAILED - exchange 'x' in vhost '/' in use
            delete-exchange x
                - binding 'x' to queue q by 'k', durable
                - binding 'x' to exchange y by 'k'
                - exchange x, durable
            delete-exchange x
                nothing changed
            delete-exchange y
                - binding 'y' to queue q by 'k'
                - exchange y
            delete-exchange amq.direct
                403 ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed
            delete-exchange ''
                403 ACCESS_REFUSED - operation not permitted on the default exchange
        "#]],
    );
}

#[test]
fn an_auto_delete_exchange_goes_with_its_last_binding() {
    check(
        "
        exchange x direct auto-delete
        queue q
        queue r
        bind x q a
        bind x q b
        unbind x q a
        unbind x q b
        exchange x direct auto-delete
        bind x q a
        bind x r a
        delete-queue q
        delete-queue r
        ",
        &expect![[r#"
            exchange x direct auto-delete
                + exchange x
            queue q
                + queue q
            queue r
                + queue r
            bind x q a
                + binding 'x' to queue q by 'a'
            bind x q b
                + binding 'x' to queue q by 'b'
            unbind x q a
                - binding 'x' to queue q by 'a'
            unbind x q b
                - binding 'x' to queue q by 'b'
                - exchange x
            exchange x direct auto-delete
                + exchange x
            bind x q a
                + binding 'x' to queue q by 'a'
            bind x r a
                + binding 'x' to queue r by 'a'
            delete-queue q
                - binding 'x' to queue q by 'a'
                - queue q
            delete-queue r
                - binding 'x' to queue r by 'a'
                - queue r
                - exchange x
        "#]],
    );
}

#[test]
fn auto_delete_exchanges_go_one_after_the_other() {
    check(
        "
        exchange a fanout auto-delete
        exchange b fanout auto-delete
        exchange c fanout auto-delete
        queue q
        bind a >b
        bind b >c
        bind c >a
        bind c q
        delete-queue q
        unbind c >a
        ",
        &expect![[r#"
            exchange a fanout auto-delete
                + exchange a
            exchange b fanout auto-delete
                + exchange b
            exchange c fanout auto-delete
                + exchange c
            queue q
                + queue q
            bind a >b
                + binding 'a' to exchange b by ''
            bind b >c
                + binding 'b' to exchange c by ''
            bind c >a
                + binding 'c' to exchange a by ''
            bind c q
                + binding 'c' to queue q by ''
            delete-queue q
                - binding 'c' to queue q by ''
                - queue q
            unbind c >a
                - binding 'c' to exchange a by ''
                - binding 'b' to exchange c by ''
                - exchange c
                - binding 'a' to exchange b by ''
                - exchange b
                - exchange a
        "#]],
    );
}

#[test]
fn a_queue_is_declared_once() {
    check(
        "
        queue q durable x-max-length=5
        queue q durable x-max-length=l:5
        queue q durable x-max-length=6
        queue q durable
        queue q x-max-length=5
        queue q durable auto-delete x-max-length=5
        queue q durable exclusive x-max-length=5
        queue q durable x-max-length=5 x-message-ttl=10
        queue q durable x-max-length=5 unknown=1
        queue q durable x-max-length=5 x-queue-type=classic
        queue q durable x-max-length=5 x-queue-type=quorum
        queue q passive
        queue r passive
        queue amq.mine
        queue amq.gen-1 server-named
        queue amq.gen-1
        ",
        &expect![[r#"
            queue q durable x-max-length=5
                + queue q, durable
            queue q durable x-max-length=l:5
                nothing changed
            queue q durable x-max-length=6
                406 PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received '6' but current is '5'
            queue q durable
                406 PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received none but current is the value '5' of type 'signedint'
            queue q x-max-length=5
                406 PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'
            queue q durable auto-delete x-max-length=5
                406 PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue 'q' in vhost '/': received 'true' but current is 'false'
            queue q durable exclusive x-max-length=5
                405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.
            queue q durable x-max-length=5 x-message-ttl=10
                406 PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received the value '10' of type 'signedint' but current is none
            queue q durable x-max-length=5 unknown=1
                nothing changed
            queue q durable x-max-length=5 x-queue-type=classic
                nothing changed
            queue q durable x-max-length=5 x-queue-type=quorum
                406 PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received 'quorum' but current is 'classic'
            queue q passive
                nothing changed
            queue r passive
                404 NOT_FOUND - no queue 'r' in vhost '/'
            queue amq.mine
                403 ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'
            queue amq.gen-1 server-named
                + queue amq.gen-1
            queue amq.gen-1
                nothing changed
        "#]],
    );
}

#[test]
fn an_exclusive_queue_is_one_connections() {
    check(
        "
        queue q exclusive durable
        queue q exclusive
        queue q
        as 2 queue q exclusive
        as 2 queue q passive
        as 2 find q
        as 2 bind amq.direct q k
        bind amq.direct q k
        as 2 unbind amq.direct q k
        find q
        find r
        ",
        &expect![[r#"
            queue q exclusive durable
                + queue q
            queue q exclusive
                nothing changed
            queue q
                405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.
            as 2 queue q exclusive
                405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.
            as 2 queue q passive
                405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.
            as 2 find q
                405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.
            as 2 bind amq.direct q k
                405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.
            bind amq.direct q k
                + binding 'amq.direct' to queue q by 'k'
            as 2 unbind amq.direct q k
                405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.
            find q
                nothing changed
            find r
                404 NOT_FOUND - no queue 'r' in vhost '/'
        "#]],
    );
}

#[test]
fn bad_limits_of_a_queue() {
    check(
        "
        queue q x-expires=0
        queue q x-expires=-1
        queue q x-expires=l:315360000001
        queue q x-expires=long
        queue q x-message-ttl=-1
        queue q x-message-ttl=0
        queue a x-max-length=-1
        queue a x-max-length-bytes=d:1.5
        queue a x-max-priority=256
        queue a x-max-priority=-1
        queue a x-overflow=drop
        queue a x-overflow=1
        ",
        &expect![[r#"
            queue q x-expires=0
                406 PRECONDITION_FAILED - invalid arg 'x-expires' for queue 'q' in vhost '/': {value_zero,0}
            queue q x-expires=-1
                406 PRECONDITION_FAILED - invalid arg 'x-expires' for queue 'q' in vhost '/': {value_negative,-1}
            queue q x-expires=l:315360000001
                406 PRECONDITION_FAILED - invalid arg 'x-expires' for queue 'q' in vhost '/': {value_too_large,315360000001}
            queue q x-expires=long
                406 PRECONDITION_FAILED - invalid arg 'x-expires' for queue 'q' in vhost '/': "expected integer, got longstr"
            queue q x-message-ttl=-1
                406 PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue 'q' in vhost '/': {value_negative,-1}
            queue q x-message-ttl=0
                + queue q
            queue a x-max-length=-1
                406 PRECONDITION_FAILED - invalid arg 'x-max-length' for queue 'a' in vhost '/': {value_negative,-1}
            queue a x-max-length-bytes=d:1.5
                406 PRECONDITION_FAILED - invalid arg 'x-max-length-bytes' for queue 'a' in vhost '/': "expected integer, got double"
            queue a x-max-priority=256
                406 PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'a' in vhost '/': {max_value_exceeded,256}
            queue a x-max-priority=-1
                406 PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'a' in vhost '/': {value_negative,-1}
            queue a x-overflow=drop
                406 PRECONDITION_FAILED - invalid arg 'x-overflow' for queue 'a' in vhost '/': invalid_overflow
            queue a x-overflow=1
                406 PRECONDITION_FAILED - invalid arg 'x-overflow' for queue 'a' in vhost '/': {unacceptable_type,signedint}
        "#]],
    );
}

#[test]
fn other_bad_arguments_of_a_queue() {
    check(
        "
        queue a x-dead-letter-exchange=1
        queue a x-dead-letter-routing-key=k
        queue a x-single-active-consumer=yes
        queue a x-queue-type=weird
        queue a x-queue-type=1
        queue a x-queue-version=3
        queue a x-queue-leader-locator=here
        ",
        &expect![[r#"
            queue a x-dead-letter-exchange=1
                406 PRECONDITION_FAILED - invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'a' in vhost '/'
            queue a x-dead-letter-routing-key=k
                406 PRECONDITION_FAILED - invalid arg 'x-dead-letter-routing-key' for queue 'a' in vhost '/': routing_key_but_no_dlx_defined
            queue a x-single-active-consumer=yes
                406 PRECONDITION_FAILED - invalid arg 'x-single-active-consumer' for queue 'a' in vhost '/': {unacceptable_type,longstr}
            queue a x-queue-type=weird
                406 PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue 'a' in vhost '/': "unsupported queue type 'weird'"
            queue a x-queue-type=1
                406 PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue 'a' in vhost '/': {unacceptable_type,signedint}
            queue a x-queue-version=3
                406 PRECONDITION_FAILED - invalid arg 'x-queue-version' for queue 'a' in vhost '/': "unsupported queue version '3'"
            queue a x-queue-leader-locator=here
                406 PRECONDITION_FAILED - invalid arg 'x-queue-leader-locator' for queue 'a' in vhost '/': invalid_queue_locator_arg
        "#]],
    );
}

#[test]
fn a_type_of_queue_has_its_own_arguments() {
    check(
        "
        queue a x-max-age=1h
        queue a durable x-queue-type=stream x-max-age=1x
        queue a durable x-queue-type=stream x-expires=1
        queue a durable x-queue-type=quorum x-max-priority=1
        queue a durable x-queue-type=quorum x-dead-letter-strategy=never
        queue a durable x-queue-type=quorum x-quorum-initial-group-size=0
        queue a x-queue-type=quorum
        queue a durable auto-delete x-queue-type=quorum
        queue a durable exclusive x-queue-type=stream
        queue a durable x-queue-type=quorum x-delivery-limit=two
        queue amq.gen-1 server-named durable x-queue-type=quorum
        queue b x-queue-mode=lazy x-queue-version=1 x-queue-master-locator=random x-delivery-limit=5
        ",
        &expect![[r#"
            queue a x-max-age=1h
                406 PRECONDITION_FAILED - invalid arg 'x-max-age' for queue 'a' in vhost '/' of queue type rabbit_classic_queue
            queue a durable x-queue-type=stream x-max-age=1x
                406 PRECONDITION_FAILED - invalid arg 'x-max-age' for queue 'a' in vhost '/': invalid_max_age
            queue a durable x-queue-type=stream x-expires=1
                406 PRECONDITION_FAILED - invalid arg 'x-expires' for queue 'a' in vhost '/' of queue type rabbit_stream_queue
            queue a durable x-queue-type=quorum x-max-priority=1
                406 PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'a' in vhost '/' of queue type rabbit_quorum_queue
            queue a durable x-queue-type=quorum x-dead-letter-strategy=never
                406 PRECONDITION_FAILED - invalid arg 'x-dead-letter-strategy' for queue 'a' in vhost '/': invalid_dlx_strategy
            queue a durable x-queue-type=quorum x-quorum-initial-group-size=0
                406 PRECONDITION_FAILED - invalid arg 'x-quorum-initial-group-size' for queue 'a' in vhost '/': {value_zero,0}
            queue a x-queue-type=quorum
                406 PRECONDITION_FAILED - invalid property 'non-durable' for queue 'a' in vhost '/'
            queue a durable auto-delete x-queue-type=quorum
                406 PRECONDITION_FAILED - invalid property 'auto-delete' for queue 'a' in vhost '/'
            queue a durable exclusive x-queue-type=stream
                406 PRECONDITION_FAILED - invalid property 'exclusive-owner' for queue 'a' in vhost '/'
            queue a durable x-queue-type=quorum x-delivery-limit=two
                + queue a, durable
            queue amq.gen-1 server-named durable x-queue-type=quorum
                406 PRECONDITION_FAILED - Cannot declare a server-named queue for type rabbit_quorum_queue
            queue b x-queue-mode=lazy x-queue-version=1 x-queue-master-locator=random x-delivery-limit=5
                + queue b
        "#]],
    );
}

#[test]
fn bindings_that_cannot_be() {
    check(
        "
        exchange h headers
        queue q
        bind nothing nowhere k
        bind h nowhere k
        bind h >nowhere k
        bind '' q k
        bind h >'' k
        bind h q k x-match=some
        bind h q k x-match=1
        bind h q k x-match=any-with-x
        bind h q k x-match=any-with-x
        unbind h q other x-match=any-with-x
        unbind h nowhere k
        unbind nothing q k
        unbind '' q q
        ",
        &expect![[r#"
            exchange h headers
                + exchange h
            queue q
                + queue q
            bind nothing nowhere k
                404 NOT_FOUND - no exchange 'nothing' in vhost '/'
            bind h nowhere k
                404 NOT_FOUND - no queue 'nowhere' in vhost '/'
            bind h >nowhere k
                404 NOT_FOUND - no exchange 'nowhere' in vhost '/'
            bind '' q k
                403 ACCESS_REFUSED - operation not permitted on the default exchange
            bind h >'' k
                403 ACCESS_REFUSED - operation not permitted on the default exchange
            bind h q k x-match=some
                406 PRECONDITION_FAILED - Invalid x-match field value <<"some">>; expected all, any, all-with-x, or any-with-x
            bind h q k x-match=1
                406 PRECONDITION_FAILED - Invalid x-match field type signedint (value 1); expected longstr
            bind h q k x-match=any-with-x
                + binding 'h' to queue q by 'k'
            bind h q k x-match=any-with-x
                nothing changed
            unbind h q other x-match=any-with-x
                nothing changed
            unbind h nowhere k
                nothing changed
            unbind nothing q k
                nothing changed
            unbind '' q q
                403 ACCESS_REFUSED - operation not permitted on the default exchange
        "#]],
    );
}

#[test]
fn a_binding_is_durable_if_both_ends_are() {
    check(
        "
        exchange d direct durable
        exchange t direct
        queue dq durable
        queue tq
        queue xq durable exclusive
        bind d dq
        bind d tq
        bind t dq
        bind d xq
        bind d >t
        bind d >d
        delete-queue dq
        ",
        &expect![[r#"
            exchange d direct durable
                + exchange d, durable
            exchange t direct
                + exchange t
            queue dq durable
                + queue dq, durable
            queue tq
                + queue tq
            queue xq durable exclusive
                + queue xq
            bind d dq
                + binding 'd' to queue dq by '', durable
            bind d tq
                + binding 'd' to queue tq by ''
            bind t dq
                + binding 't' to queue dq by ''
            bind d xq
                + binding 'd' to queue xq by ''
            bind d >t
                + binding 'd' to exchange t by ''
            bind d >d
                + binding 'd' to exchange d by '', durable
            delete-queue dq
                - binding 'd' to queue dq by '', durable
                - binding 't' to queue dq by ''
                - queue dq, durable
        "#]],
    );
}
