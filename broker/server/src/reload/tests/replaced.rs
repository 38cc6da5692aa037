//! Plugins that take the place of others.

use super::{Setup, attach, plugin};

fn supplier(name: &str, exchange_type: &str) -> String {
    plugin(name, &format!("exchange-type = \"{exchange_type}\""))
}

#[test]
fn a_plugin_stays_as_long_as_attachments_in_force_name_it() -> anyhow::Result<()> {
    let config = plugin("a", "") + &attach("a", "^x");
    let setup = Setup::new(&[
        ("amphora.toml", &config),
        ("a.wasm", "one"),
        ("b.wasm", "broken"),
    ])?;
    let (mut reload, _) = setup.start()?;
    setup.write("amphora.toml", &(plugin("b", "") + &attach("b", "^x")))?;
    reload.round();
    assert_eq!(setup.broker.take(), ["refused b broken"]);
    reload.round();
    assert_eq!(setup.broker.take(), [""; 0]);
    setup.write("b.wasm", "two")?;
    reload.round();
    let expected = ["load b two 10ms", "attach b ^x", "unload a"];
    assert_eq!(setup.broker.take(), expected);
    Ok(())
}

#[test]
fn a_plugin_stays_until_another_supplies_its_type() -> anyhow::Result<()> {
    let setup = Setup::new(&[
        ("amphora.toml", &supplier("a", "x-one")),
        ("a.wasm", "one"),
        ("b.wasm", "broken"),
    ])?;
    let (mut reload, _) = setup.start()?;
    setup.write("amphora.toml", &supplier("b", "x-one"))?;
    reload.round();
    assert_eq!(setup.broker.take(), ["refused b broken"]);
    reload.round_again();
    assert_eq!(setup.broker.take(), ["refused b broken"]);
    setup.write("b.wasm", "two")?;
    reload.round();
    assert_eq!(setup.broker.take(), ["load b two 10ms", "unload a"]);
    // Nobody is to supply the type any more.
    setup.write("amphora.toml", "# nothing")?;
    reload.round();
    assert_eq!(setup.broker.take(), ["unload b"]);
    Ok(())
}

#[test]
fn a_type_moves_in_whichever_order_the_plugins_stand() -> anyhow::Result<()> {
    let before = supplier("receives", "x-three") + &supplier("gives", "x-one");
    let setup = Setup::new(&[
        ("amphora.toml", &before),
        ("receives.wasm", "one"),
        ("gives.wasm", "one"),
    ])?;
    let (mut reload, _) = setup.start()?;
    let after = supplier("receives", "x-one") + &supplier("gives", "x-two");
    setup.write("amphora.toml", &after)?;
    reload.round();
    let expected = ["load receives one 10ms with load gives one 10ms"];
    assert_eq!(setup.broker.take(), expected);

    // The giver fails, so that the receiver cannot have it yet, and gets it when the giver is mended.
    let next = supplier("gives", "x-one") + &supplier("receives", "x-three");
    setup.write("receives.wasm", "broken")?;
    setup.write("amphora.toml", &next)?;
    reload.round();
    assert_eq!(setup.broker.take(), ["refused receives broken"]);
    setup.write("receives.wasm", "two")?;
    reload.round();
    let expected = ["load gives one 10ms with load receives two 10ms"];
    assert_eq!(setup.broker.take(), expected);
    Ok(())
}

#[test]
fn types_that_change_places_in_one_edit_change_all_at_once_or_not_at_all() -> anyhow::Result<()> {
    let before = supplier("a", "x-one") + &supplier("b", "x-two") + &supplier("c", "x-three");
    let setup = Setup::new(&[
        ("amphora.toml", &before),
        ("a.wasm", "one"),
        ("b.wasm", "one"),
        ("c.wasm", "one"),
    ])?;
    let (mut reload, _) = setup.start()?;
    // Two that change places, and one that takes a new type meanwhile.
    let after = supplier("a", "x-two") + &supplier("c", "x-four") + &supplier("b", "x-one");
    setup.write("amphora.toml", &after)?;
    reload.round();
    let expected = ["load c one 10ms", "load a one 10ms with load b one 10ms"];
    assert_eq!(setup.broker.take(), expected);

    // Three in a circle, one of which is broken: none moves before it is mended, and each says why.
    let circle = supplier("a", "x-four") + &supplier("b", "x-two") + &supplier("c", "x-one");
    setup.write("b.wasm", "broken")?;
    setup.write("amphora.toml", &circle)?;
    let log = super::logged(|| reload.round());
    assert_eq!(setup.broker.take(), ["refused b broken"]);
    for name in ["a", "b", "c"] {
        let line = format!("a plugin cannot be loaded; what was in force stays plugin=\"{name}\"");
        assert!(log.contains(&line), "{log}");
    }
    reload.round();
    assert_eq!(setup.broker.take(), [""; 0]);
    setup.write("b.wasm", "two")?;
    reload.round();
    let expected = ["load a one 10ms with load b two 10ms with load c one 10ms"];
    assert_eq!(setup.broker.take(), expected);
    Ok(())
}

#[test]
fn what_somebody_else_unloaded_is_loaded_again_when_it_is_asked_for() -> anyhow::Result<()> {
    let config = plugin("a", "") + &plugin("b", "");
    let setup = Setup::new(&[
        ("amphora.toml", &config),
        ("a.wasm", "one"),
        ("b.wasm", "one"),
    ])?;
    let (mut reload, _) = setup.start()?;
    setup.broker.unloaded.lock().insert("a".to_owned());
    reload.round();
    assert_eq!(setup.broker.take(), [""; 0]);
    reload.round_again();
    assert_eq!(setup.broker.take(), ["load a one 10ms"]);
    Ok(())
}
