//! How the process starts and how it ends.

use std::time::{Duration, Instant};

use amphora_protocol::wire::method::{Method, connection};
use amphora_protocol::wire::types::ShortString;
use amphora_tests::{Broker, PATIENCE, Settings};

#[test]
fn it_says_goodbye_when_it_is_asked_to_stop() -> anyhow::Result<()> {
    let mut broker = Broker::start()?;
    let mut client = broker.connect()?;
    broker.terminate()?;
    let Method::Connection(connection::Method::Close(close)) = client
        .method(0)
        .unwrap_or_else(|_| panic!("{:?}", broker.end()))
    else {
        panic!("no connection.close");
    };
    assert_eq!(close.reply_code, 320);
    assert_eq!(
        close.reply_text,
        "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
    );
    client.send(0, &connection::CloseOk {})?;
    client.expect_end()?;
    let (status, log) = broker.end()?;
    assert_eq!(status.code(), Some(0), "{log}");
    Ok(())
}

#[test]
fn a_client_that_does_not_answer_does_not_keep_it() -> anyhow::Result<()> {
    let mut broker = Broker::start()?;
    let _silent = broker.connect()?;
    broker.terminate()?;
    let (status, log) = broker.end()?;
    assert_eq!(status.code(), Some(0), "{log}");
    Ok(())
}

#[test]
fn a_second_broker_on_the_same_data_is_refused() -> anyhow::Result<()> {
    let first = Broker::start()?;
    let mut second = Broker::prepare(Settings {
        data_dir: Some(first.data_dir()),
        ..Settings::default()
    })?;
    let (status, log) = second.refuse()?;
    assert_eq!(status.code(), Some(1), "{log}");
    let complaint = format!(
        "the data directory {} is in use by process {}",
        first.data_dir().display(),
        first.pid()?
    );
    assert!(log.contains(&complaint), "{log}");
    // The first one is none the worse for it.
    first.connect()?.open(1)
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named_with_the_reason() -> anyhow::Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    let data_dir = file.path().join("data");
    let mut broker = Broker::prepare(Settings {
        data_dir: Some(data_dir.clone()),
        ..Settings::default()
    })?;
    let (status, log) = broker.refuse()?;
    assert_eq!(status.code(), Some(1), "{log}");
    let complaint = format!("cannot create {}: Not a directory", data_dir.display());
    assert!(log.contains(&complaint), "{log}");
    assert_eq!(log.matches("Not a directory").count(), 1, "{log}");
    Ok(())
}

#[test]
fn an_address_that_is_taken_is_named() -> anyhow::Result<()> {
    let first = Broker::start()?;
    let mut second = Broker::prepare(Settings {
        amqp: Some(first.amqp()?),
        ..Settings::default()
    })?;
    let (status, log) = second.refuse()?;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(
        log.contains(&format!("cannot listen on {}", first.amqp()?)),
        "{log}"
    );
    Ok(())
}

#[test]
fn a_bad_configuration_is_refused_by_line() -> anyhow::Result<()> {
    let mut broker = Broker::prepare(Settings {
        config: "[limits]\nframe_max = 1\n".to_owned(),
        ..Settings::default()
    })?;
    let (status, log) = broker.refuse()?;
    assert_eq!(status.code(), Some(2), "{log}");
    assert!(log.contains("amphora.toml:2"), "{log}");
    Ok(())
}

#[test]
fn the_environment_says_what_the_flags_say() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("broken.toml");
    std::fs::write(&file, "[limits]\nframe_max = 1\n")?;
    let refused = |name: &str, value: &std::ffi::OsStr| {
        let mut serve = std::process::Command::new(amphora_tests::binary()?);
        serve.arg("serve").current_dir(folder.path());
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"AMPHORA_") {
                serve.env_remove(name);
            }
        }
        let output = serve.env(name, value).output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::Ok((output.status.code(), text))
    };
    let (code, text) = refused("AMPHORA_CONFIG", file.as_os_str())?;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("broken.toml:2: limits.frame_max"), "{text}");
    let (code, text) = refused("AMPHORA_AMQP_LISTEN", "somewhere".as_ref())?;
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("invalid value 'somewhere' for 'AMPHORA_AMQP_LISTEN': give an address"),
        "{text}"
    );
    let (code, text) = refused("AMPHORA_LOG_FORMAT", "xml".as_ref())?;
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("invalid value 'xml' for 'AMPHORA_LOG_FORMAT'"),
        "{text}"
    );
    let (code, text) = refused("AMPHORA_DATADIR", "data".as_ref())?;
    assert_eq!(code, Some(2), "{text}");
    let complaint =
        "unknown environment variable `AMPHORA_DATADIR`; did you mean `AMPHORA_DATA_DIR`?";
    assert!(text.contains(complaint), "{text}");
    // Nothing was left behind where it was started.
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
    Ok(())
}

#[test]
fn the_log_level_of_a_changed_file_is_in_force_without_a_restart() -> anyhow::Result<()> {
    let mut broker = Broker::start()?;
    broker.configure("[logging]\nlevel = \"debug\"")?;
    broker.logged("changed the log level")?;
    let mut client = broker.connect()?;
    client.call(0, &connection::Close::default())?;
    // Said at debug, and to nobody before.
    broker.logged("closed by the client")?;
    broker.configure("[logging]\nlevel = \"error\"")?;
    // A client that comes is worth a line until that is in force.
    let begun = Instant::now();
    loop {
        let before = broker.count_logged("connection opened")?;
        let mut client = broker.connect()?;
        client.open(1)?;
        // The line takes its time from one process to the other.
        std::thread::sleep(Duration::from_millis(200));
        if broker.count_logged("connection opened")? == before {
            return Ok(());
        }
        assert!(begun.elapsed() < PATIENCE, "it goes on at debug");
    }
}

#[test]
fn a_hangup_has_everything_tried_again() -> anyhow::Result<()> {
    let component = tempfile::NamedTempFile::new()?;
    std::fs::write(&component, "this is no component")?;
    let broker = Broker::with(Settings {
        config: format!(
            "[[plugin]]\nname = \"nonsense\"\npath = {:?}",
            component.path()
        ),
        ..Settings::default()
    })?;
    let refused = "\"plugin\":\"nonsense\"";
    let before = broker.count_logged(refused)?;
    assert!(before > 0, "it is not loaded, and that is said");
    broker.hang_up()?;
    broker.logged("reading the configuration again")?;
    // Nothing has changed about it.
    let begun = Instant::now();
    while broker.count_logged(refused)? == before {
        assert!(begun.elapsed() < PATIENCE, "it is not tried again");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[test]
fn a_hangup_does_not_end_a_broker_without_a_plugin() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    broker.hang_up()?;
    broker.logged("reading the configuration again")?;
    broker.connect()?.open(1)
}

#[test]
fn who_does_not_read_its_log_does_not_hold_it_up() -> anyhow::Result<()> {
    // Two lines each, which are several times as much as a pipe takes.
    const CLIENTS: usize = 600;
    let mut broker = Broker::start()?;
    let open_and_close = |broker: &Broker| {
        let mut client = broker.connect()?;
        client.call(0, &closing())
    };
    broker.leave_log_unread(true)?;
    for _ in 0..CLIENTS {
        open_and_close(&broker)?;
    }
    broker.leave_log_unread(false)?;
    broker.lines_logged("connection closed", CLIENTS)?;
    broker.leave_log_unread(true)?;
    for _ in 0..CLIENTS {
        open_and_close(&broker)?;
    }
    broker.terminate()?;
    broker.end_unread()?;
    broker.leave_log_unread(false)?;
    let (status, log) = broker.end()?;
    assert_eq!(status.code(), Some(0), "{log}");
    Ok(())
}

fn closing() -> connection::Close {
    connection::Close {
        reply_code: 200,
        reply_text: ShortString::cut("done"),
        class_id: 0,
        method_id: 0,
    }
}
