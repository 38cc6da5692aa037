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
