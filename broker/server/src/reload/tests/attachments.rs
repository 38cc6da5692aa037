//! When attachments of a changed configuration are in force.

use super::{Setup, attach, logged, plugin};

#[test]
fn attachments_wait_for_a_plugin_that_cannot_be_loaded() -> anyhow::Result<()> {
    let config = plugin("a", "") + &attach("a", "^x");
    let setup = Setup::new(&[
        ("amphora.toml", &config),
        ("a.wasm", "one"),
        ("b.wasm", "broken"),
    ])?;
    let (mut reload, _) = setup.start()?;
    setup.write(
        "amphora.toml",
        &(config + &plugin("b", "") + &attach("b", "^y")),
    )?;
    let log = logged(|| reload.round());
    assert!(log.contains("attachments stay as they were"), "{log}");
    assert_eq!(setup.broker.take(), ["refused b broken"]);
    assert_eq!(logged(|| reload.round()), "");
    setup.write("b.wasm", "two")?;
    reload.round();
    let expected = ["load b two 10ms", "attach a ^x, b ^y"];
    assert_eq!(setup.broker.take(), expected);
    Ok(())
}

#[test]
fn attachments_do_not_wait_when_the_broker_starts() -> anyhow::Result<()> {
    let config = plugin("a", "") + &attach("a", "^x");
    let setup = Setup::new(&[("amphora.toml", &config)])?;
    let (_, told) = setup.start()?;
    assert_eq!(told, ["absent a", "attach a ^x"]);
    Ok(())
}

#[test]
fn a_plugin_that_is_attached_no_more_is_replaced_after_that() -> anyhow::Result<()> {
    let before = plugin("a", "") + &attach("a", "^x");
    let setup = Setup::new(&[
        ("amphora.toml", &before),
        ("a.wasm", "one"),
        ("b.wasm", "one"),
    ])?;
    let (mut reload, _) = setup.start()?;
    // Another one takes its place as a transform: it is there first.
    let after = plugin("a", "exchange-type = \"x-a\"") + &plugin("b", "") + &attach("b", "^x");
    setup.write("a.wasm", "two")?;
    setup.write("amphora.toml", &after)?;
    reload.round();
    let expected = ["load b one 10ms", "attach b ^x", "load a two 10ms"];
    assert_eq!(setup.broker.take(), expected);

    // A type and an attachment move to the same plugin: it has to be loaded before it is attached.
    let moved = plugin("a", "") + &plugin("b", "exchange-type = \"x-a\"") + &attach("a", "^x");
    setup.write("amphora.toml", &moved)?;
    reload.round();
    let expected = ["load a two 10ms with load b one 10ms", "attach a ^x"];
    assert_eq!(setup.broker.take(), expected);
    Ok(())
}

#[test]
fn what_attachments_kept_from_loading_is_tried_when_they_are_gone() -> anyhow::Result<()> {
    let before = plugin("a", "") + &attach("a", "^x");
    let setup = Setup::new(&[("amphora.toml", &before), ("a.wasm", "one")])?;
    let (mut reload, _) = setup.start()?;
    setup.write("a.wasm", "broken")?;
    reload.round();
    assert_eq!(setup.broker.take(), ["refused a broken"]);
    setup.write("amphora.toml", &plugin("a", ""))?;
    reload.round();
    assert_eq!(setup.broker.take(), ["attach ", "refused a broken"]);
    Ok(())
}
