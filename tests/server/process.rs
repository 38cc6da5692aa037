//! How the process starts and how it ends.

use amphora_protocol::wire::method::{Method, connection};
use amphora_tests::{Broker, Settings};

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
