//! The types of exchange that AMQP does not have and that need no plugin.

use expect_test::expect;

use super::check;

#[test]
fn arguments_of_a_consistent_hash_exchange() {
    check(
        "
        exchange a x-consistent-hash
        exchange b x-consistent-hash hash-header=customer
        exchange c x-consistent-hash hash-property=message_id
        exchange d x-consistent-hash hash-property=app_id
        exchange d x-consistent-hash hash-header=customer hash-property=message_id
        exchange d x-consistent-hash x-hash-on=customer
        exchange e x-consistent-hash hash-header=5
        queue q
        bind a q 10
        bind a q 0
        bind a q -3
        bind a q heavy
        bind a q ''
        ",
        &expect![[r#"
            exchange a x-consistent-hash
                + exchange a
            exchange b x-consistent-hash hash-header=customer
                + exchange b
            exchange c x-consistent-hash hash-property=message_id
                + exchange c
            exchange d x-consistent-hash hash-property=app_id
                406 PRECONDITION_FAILED - Unsupported property: app_id
            exchange d x-consistent-hash hash-header=customer hash-property=message_id
                406 PRECONDITION_FAILED - hash-header and hash-property are mutually exclusive
            exchange d x-consistent-hash x-hash-on=customer
                + exchange d
            exchange e x-consistent-hash hash-header=5
                406 PRECONDITION_FAILED - invalid type 'signedint' for arg 'hash-header': 5
            queue q
                + queue q
            bind a q 10
                + binding 'a' to queue q by '10'
            bind a q 0
                406 PRECONDITION_FAILED - The binding key must be greater than 0
            bind a q -3
                406 PRECONDITION_FAILED - The binding key must be greater than 0
            bind a q heavy
                406 PRECONDITION_FAILED - The binding key must be an integer: <<"heavy">>
            bind a q ''
                406 PRECONDITION_FAILED - The binding key must be an integer: <<"">>
        "#]],
    );
}

#[test]
fn a_consistent_hash_exchange_has_one_answer_for_a_key() {
    check(
        "
        exchange x x-consistent-hash
        exchange y x-consistent-hash hash-header=h
        publish x key
        queue a
        queue b
        bind x a 1
        bind x b 1
        bind y a 1
        bind y b 1
        publish x 1
        publish x 2
        publish x 3
        publish x 1,2,3
        publish y 1 h=1
        publish y 2 h=1
        publish y 2
        unbind x a 1
        publish x 1
        publish x 2
        publish x 3
        ",
        &expect![[r#"
            exchange x x-consistent-hash
                + exchange x
            exchange y x-consistent-hash hash-header=h
                + exchange y
            publish x key
                unroutable
            queue a
                + queue a
            queue b
                + queue b
            bind x a 1
                + binding 'x' to queue a by '1'
            bind x b 1
                + binding 'x' to queue b by '1'
            bind y a 1
                + binding 'y' to queue a by '1'
            bind y b 1
                + binding 'y' to queue b by '1'
            publish x 1
                a
            publish x 2
                b
            publish x 3
                a
            publish x 1,2,3
                a
            publish y 1 h=1
                a (varies with properties)
            publish y 2 h=1
                a (varies with properties)
            publish y 2
                a (varies with properties)
            unbind x a 1
                - binding 'x' to queue a by '1'
            publish x 1
                b
            publish x 2
                b
            publish x 3
                b
        "#]],
    );
}

#[test]
fn a_modulus_hash_exchange_has_one_answer_for_a_key() {
    check(
        "
        exchange x x-modulus-hash
        publish x 1
        queue a
        queue b
        bind x a
        bind x b any
        publish x 1
        publish x 2
        publish x 3
        publish x 4
        ",
        &expect![[r#"
            exchange x x-modulus-hash
                + exchange x
            publish x 1
                unroutable
            queue a
                + queue a
            queue b
                + queue b
            bind x a
                + binding 'x' to queue a by ''
            bind x b any
                + binding 'x' to queue b by 'any'
            publish x 1
                a
            publish x 2
                b
            publish x 3
                a
            publish x 4
                a
        "#]],
    );
}

#[test]
fn a_random_exchange_answers_anew_for_each_message() {
    check(
        "
        exchange x x-random
        publish x k
        queue a
        bind x a any
        publish x k
        exchange y x-local-random
        bind y a
        bind y a key
        bind y >x
        queue b x-queue-type=quorum durable
        bind y b
        publish y k
        ",
        &expect![[r#"
            exchange x x-random
                + exchange x
            publish x k
                unroutable (varies)
            queue a
                + queue a
            bind x a any
                + binding 'x' to queue a by 'any'
            publish x k
                a (varies)
            exchange y x-local-random
                + exchange y
            bind y a
                + binding 'y' to queue a by ''
            bind y a key
                406 PRECONDITION_FAILED - Non empty binding 'key' key not permitted
            bind y >x
                406 PRECONDITION_FAILED - Destination not found
            queue b x-queue-type=quorum durable
                + queue b, durable
            bind y b
                406 PRECONDITION_FAILED - Queue type rabbit_quorum_queue not valid for this exchange type
            publish y k
                a (varies)
        "#]],
    );
}

#[test]
fn a_recent_history_exchange_says_what_it_keeps() {
    check(
        "
        exchange x x-recent-history
        exchange y x-recent-history x-recent-history-length=5
        exchange z x-recent-history x-recent-history-length=0
        exchange z x-recent-history x-recent-history-length=five
        queue q
        bind x q
        bind amq.fanout >x
        bind amq.fanout >y
        publish x k
        publish y k
        publish amq.fanout k
        ",
        &expect![[r#"
            exchange x x-recent-history
                + exchange x
            exchange y x-recent-history x-recent-history-length=5
                + exchange y
            exchange z x-recent-history x-recent-history-length=0
                406 PRECONDITION_FAILED - Invalid argument 0, 'x-recent-history-length' must be a positive integer
            exchange z x-recent-history x-recent-history-length=five
                406 PRECONDITION_FAILED - Invalid argument <<"five">>, 'x-recent-history-length' must be a positive integer
            queue q
                + queue q
            bind x q
                + binding 'x' to queue q by ''
            bind amq.fanout >x
                + binding 'amq.fanout' to exchange x by ''
            bind amq.fanout >y
                + binding 'amq.fanout' to exchange y by ''
            publish x k
                q, kept by x
            publish y k
                unroutable, kept by y
            publish amq.fanout k
                q, kept by y, kept by x
        "#]],
    );
}

#[test]
fn arguments_of_a_delayed_exchange() {
    check(
        "
        exchange x x-delayed-message
        exchange x x-delayed-message x-delayed-type=5
        exchange x x-delayed-message x-delayed-type=nothing
        exchange x x-delayed-message x-delayed-type=x-delayed-message
        exchange x x-delayed-message x-delayed-type=x-consistent-hash hash-property=app_id
        exchange x x-delayed-message x-delayed-type=x-consistent-hash
        exchange y direct x-delayed-exchange=t:true
        exchange z direct x-delayed-exchange=yes
        queue q
        bind x q weight
        bind x q 5
        ",
        &expect![[r#"
            exchange x x-delayed-message
                406 PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing exchange type
            exchange x x-delayed-message x-delayed-type=5
                406 PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing exchange type
            exchange x x-delayed-message x-delayed-type=nothing
                406 PRECONDITION_FAILED - unknown exchange type 'nothing'
            exchange x x-delayed-message x-delayed-type=x-delayed-message
                406 PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing exchange type
            exchange x x-delayed-message x-delayed-type=x-consistent-hash hash-property=app_id
                406 PRECONDITION_FAILED - Unsupported property: app_id
            exchange x x-delayed-message x-delayed-type=x-consistent-hash
                + exchange x
            exchange y direct x-delayed-exchange=t:true
                + exchange y
            exchange z direct x-delayed-exchange=yes
                406 PRECONDITION_FAILED - invalid type 'longstr' for arg 'x-delayed-exchange'
            queue q
                + queue q
            bind x q weight
                406 PRECONDITION_FAILED - The binding key must be an integer: <<"weight">>
            bind x q 5
                + binding 'x' to queue q by '5'
        "#]],
    );
}

#[test]
fn a_delayed_exchange_routes_what_need_not_wait() {
    check(
        "
        exchange x x-delayed-message x-delayed-type=topic
        exchange y fanout x-delayed-exchange=t:true
        exchange z fanout x-delayed-exchange=t:false
        exchange p x-delayed-message x-delayed-type=x-backwards
        queue q
        bind x q a.#
        bind y q
        bind z q
        bind p q abc
        bind amq.fanout >x
        bind amq.fanout >y
        publish x a.b
        publish x a.b x-delay=0
        publish x a.b x-delay=-5
        publish x a.b x-delay=5
        publish x b x-delay=5
        publish y b x-delay=l:5000000000
        publish z b x-delay=5
        publish p cba
        publish p cba x-delay=5
        publish amq.fanout a x-delay=5
        ",
        &expect![[r#"
            exchange x x-delayed-message x-delayed-type=topic
                + exchange x
            exchange y fanout x-delayed-exchange=t:true
                + exchange y
            exchange z fanout x-delayed-exchange=t:false
                + exchange z
            exchange p x-delayed-message x-delayed-type=x-backwards
                + exchange p
            queue q
                + queue q
            bind x q a.#
                + binding 'x' to queue q by 'a.#'
            bind y q
                + binding 'y' to queue q by ''
            bind z q
                + binding 'z' to queue q by ''
            bind p q abc
                + binding 'p' to queue q by 'abc'
            bind amq.fanout >x
                + binding 'amq.fanout' to exchange x by ''
            bind amq.fanout >y
                + binding 'amq.fanout' to exchange y by ''
            publish x a.b
                q (varies)
            publish x a.b x-delay=0
                q (varies)
            publish x a.b x-delay=-5
                q (varies)
            publish x a.b x-delay=5
                unroutable (varies), waits 5 ms at x
            publish x b x-delay=5
                unroutable (varies), waits 5 ms at x
            publish y b x-delay=l:5000000000
                unroutable (varies), waits 5000000000 ms at y
            publish z b x-delay=5
                q
            publish p cba
                q (varies)
            publish p cba x-delay=5
                unroutable (varies), waits 5 ms at p
            publish amq.fanout a x-delay=5
                unroutable (varies), waits 5 ms at y, waits 5 ms at x
        "#]],
    );
}
