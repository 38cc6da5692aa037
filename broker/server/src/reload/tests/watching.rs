//! What the thread notices by itself.

use std::io::Write;
use std::time::Duration;

use super::{Setup, plugin};

#[test]
fn changes_of_files_are_noticed() -> anyhow::Result<()> {
    let setup = Setup::new(&[("amphora.toml", &plugin("a", "")), ("a.wasm", "one")])?;
    let (reload, _) = setup.start()?;
    let watch = reload.watch()?;

    setup.write("a.wasm", "two")?;
    assert_eq!(
        setup.broker.wait_for("load a two 10ms"),
        ["load a two 10ms"]
    );
    setup.replace("a.wasm", "three")?;
    assert_eq!(
        setup.broker.wait_for("load a three 10ms"),
        ["load a three 10ms"]
    );
    setup.replace("amphora.toml", &plugin("a", "deadline = \"5ms\""))?;
    assert_eq!(
        setup.broker.wait_for("load a three 5ms"),
        ["load a three 5ms"]
    );
    watch.stop();
    Ok(())
}

#[test]
fn a_file_that_is_written_in_pieces_is_loaded_when_it_is_whole() -> anyhow::Result<()> {
    let setup = Setup::new(&[("amphora.toml", &plugin("a", "")), ("a.wasm", "one")])?;
    let (reload, _) = setup.start()?;
    let watch = reload.watch()?;
    let mut file = std::fs::File::create(setup.path("a.wasm"))?;
    for piece in ["t", "w", "o", "!"] {
        file.write_all(piece.as_bytes())?;
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(file);
    let told = setup.broker.wait_for("load a two! 10ms");
    // On a machine that stops this test for a while, half of it may have been seen before.
    assert_eq!(told.last().map(String::as_str), Some("load a two! 10ms"));
    watch.stop();
    Ok(())
}

#[test]
fn a_folder_that_appears_later_is_watched() -> anyhow::Result<()> {
    let config = "[[plugin]]\nname = \"a\"\npath = \"plugins/new/a.wasm\"\n";
    let setup = Setup::new(&[("amphora.toml", config)])?;
    let (reload, told) = setup.start()?;
    assert_eq!(told, ["absent a"]);
    let watch = reload.watch()?;
    std::fs::create_dir_all(setup.path("plugins/new"))?;
    std::thread::sleep(Duration::from_millis(500));
    setup.write("plugins/new/a.wasm", "one")?;
    assert_eq!(
        setup.broker.wait_for("load a one 10ms"),
        ["load a one 10ms"]
    );

    // Another folder in the place of the first.
    std::fs::rename(setup.path("plugins"), setup.path("old"))?;
    std::fs::create_dir_all(setup.path("plugins/new"))?;
    setup.write("plugins/new/a.wasm", "two")?;
    let told = setup.broker.wait_for("load a two 10ms");
    assert_eq!(told.last().map(String::as_str), Some("load a two 10ms"));
    watch.stop();
    Ok(())
}

#[test]
fn a_link_that_leads_elsewhere_is_noticed() -> anyhow::Result<()> {
    let setup = Setup::new(&[("amphora.toml", &plugin("a", ""))])?;
    for version in ["one", "two"] {
        std::fs::create_dir(setup.path(version))?;
        setup.write(&format!("{version}/a.wasm"), version)?;
    }
    std::os::unix::fs::symlink("one", setup.path("current"))?;
    std::os::unix::fs::symlink("current/a.wasm", setup.path("a.wasm"))?;
    let (reload, told) = setup.start()?;
    assert_eq!(told, ["load a one 10ms"]);
    let watch = reload.watch()?;

    std::os::unix::fs::symlink("two", setup.path("next"))?;
    std::fs::rename(setup.path("next"), setup.path("current"))?;
    assert_eq!(
        setup.broker.wait_for("load a two 10ms"),
        ["load a two 10ms"]
    );
    setup.write("two/a.wasm", "two, changed")?;
    assert_eq!(
        setup.broker.wait_for("load a two, changed 10ms"),
        ["load a two, changed 10ms"]
    );
    watch.stop();
    Ok(())
}

#[test]
fn a_trigger_tries_again_what_failed() -> anyhow::Result<()> {
    let setup = Setup::new(&[("amphora.toml", &plugin("a", "")), ("a.wasm", "broken")])?;
    let (reload, told) = setup.start()?;
    assert_eq!(told, ["refused a broken"]);
    let watch = reload.watch()?;
    let trigger = watch.trigger();
    trigger.reload();
    assert_eq!(
        setup.broker.wait_for("refused a broken"),
        ["refused a broken"]
    );
    watch.stop();
    trigger.reload();
    assert_eq!(setup.broker.take(), [""; 0]);
    Ok(())
}
