//! How much there may be: of queues in a virtual host, and what a message may have.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_virtual_host_has_so_many_queues_at_most() -> anyhow::Result<()> {
    check(&expect![[r#"
        the operator puts vhost-limits/VHOST/max-queues {"value":1}
        the operator < 204
        a1 > queue.declare queue=one
        a1 < queue.declare-ok queue=one
        # One that is there is found.
        a1 > queue.declare queue=one
        a1 < queue.declare-ok queue=one
        a1 > queue.declare queue=two
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - cannot declare queue 'two': queue limit in vhost '/' (1) is reached" class_id=50 method_id=10
        a1 > queue.delete queue=one
        a1 < queue.delete-ok
        a1 > queue.declare queue=two
        a1 < queue.declare-ok queue=two
        the operator deletes vhost-limits/VHOST/max-queues
        the operator < 204
        a1 > queue.declare queue=three
        a1 < queue.declare-ok queue=three
    "#]])
}

#[test]
fn a_limit_is_a_number() -> anyhow::Result<()> {
    check(&expect![[r#"
        the operator puts vhost-limits/VHOST/max-queues {"value":"many"}
        the operator < 400 "Validation failed\n\nmax-queues should be a number, actually was <<\"many\">>\n"
        the operator puts vhost-limits/VHOST/max-colours {"value":5}
        the operator < 400 "Validation failed\n\nUnrecognised terms [{<<\"max-colours\">>,5}] in limits\n"
    "#]])
}
