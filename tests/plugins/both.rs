//! A component that is both a type of exchange and a transform.

use amphora_tests::{Broker, Settings, workspace};
use anyhow::ensure;

use crate::built::component;
use crate::channel::{Channel, none};
use crate::exchange::table;

#[test]
fn one_component_routes_and_transforms() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("both.wasm");
    std::fs::write(
        &file,
        component(&workspace().join("tests/plugins/hostile"))?,
    )?;
    let config = format!(
        "[[plugin]]\nname = \"both\"\npath = \"{}\"\nexchange-type = \"x-both\"\ngrants = [\"config\", \"log\"]\n\
         [[attach]]\nplugin = \"both\"\nqueue = \"^audited\"\n",
        file.display()
    );
    let broker = Broker::with(Settings {
        config,
        ..Settings::default()
    })?;
    let mut channel = Channel::open(&broker)?;
    channel.exchange("all", "x-both", none())?;
    channel.queue("audited", none())?;
    channel.queue("named", table([("x-transform", "both".into())]))?;
    channel.queue("plain", none())?;
    for queue in ["audited", "named", "plain"] {
        ensure!(channel.publish(("", queue), none(), "goes on")?, "{queue}");
    }
    channel.bind_with("plain", "all", "a")?;
    ensure!(channel.publish(("all", "stop"), none(), "routed")?);
    for queue in ["audited", "named"] {
        channel.bind_with(queue, "all", "a")?;
        ensure!(
            !channel.publish(("all", "stop"), none(), "rejected")?,
            "{queue}"
        );
        ensure!(channel.publish(("all", "go"), none(), "routed")?, "{queue}");
    }
    Ok(())
}
