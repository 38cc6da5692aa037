//! Logging in, from the mechanism's bytes to a permission.

use amphora_protocol::wire::types::VhostName;

use super::*;
use crate::config::{Credential, LoginFrom, Permission, User as Configured};
use crate::tls::PeerCertificate;

const LOCAL: PeerInfo = PeerInfo {
    loopback: true,
    certificate: None,
};
const REMOTE: PeerInfo = PeerInfo {
    loopback: false,
    certificate: None,
};

/// `guest` from this machine only, `shop` with few rights, `CN=robot,O=Example` by certificate.
fn users(login_from: LoginFrom) -> anyhow::Result<Users> {
    let shop = Configured {
        name: "shop".to_owned(),
        credential: Some(Credential::Hash(
            // The hash of `test12` that RabbitMQ's own documentation works through.
            "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR".to_owned(),
        )),
        tags: vec!["management".to_owned()],
        loopback_only: false,
        permissions: vec![Permission {
            vhost: "/".to_owned(),
            configure: String::new(),
            write: "^orders$".to_owned(),
            read: ".*".to_owned(),
        }],
    };
    let robot = Configured {
        name: match login_from {
            LoginFrom::DistinguishedName => "CN=robot,O=Example".to_owned(),
            LoginFrom::CommonName => "robot".to_owned(),
        },
        credential: None,
        ..shop.clone()
    };
    Users::seeded(&[Configured::guest(), shop, robot], login_from)
}

async fn log_in(mechanism: &str, response: &[u8], peer: &PeerInfo) -> anyhow::Result<String> {
    let outcome = users(LoginFrom::default())?
        .authenticate(mechanism, response, peer)
        .await;
    Ok(match outcome {
        Ok(identity) => identity.user().to_string(),
        Err(refusal) => format!("{refusal} | {}", refusal.exception()),
    })
}

#[tokio::test]
async fn passwords_are_checked_by_either_hash() -> anyhow::Result<()> {
    assert_eq!(log_in("PLAIN", b"\0guest\0guest", &LOCAL).await?, "guest");
    assert_eq!(log_in("PLAIN", b"\0shop\0test12", &REMOTE).await?, "shop");
    let amqplain = b"\x05LOGINS\0\0\0\x04shop\x08PASSWORDS\0\0\0\x06test12";
    assert_eq!(log_in("AMQPLAIN", amqplain, &REMOTE).await?, "shop");
    Ok(())
}

#[tokio::test]
async fn every_refusal_has_its_text_for_the_log_and_for_the_client() -> anyhow::Result<()> {
    let told = "403 ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.";
    for (response, peer, logged) in [
        (
            "\0guest\0wrong",
            &LOCAL,
            "user 'guest' - invalid credentials",
        ),
        ("\0shop\0", &LOCAL, "user 'shop' - invalid credentials"),
        (
            "\0nobody\0guest",
            &LOCAL,
            "user 'nobody' - invalid credentials",
        ),
        (
            "\0CN=robot,O=Example\0x",
            &LOCAL,
            "user 'CN=robot,O=Example' - invalid credentials",
        ),
        (
            "\0guest\0guest",
            &REMOTE,
            "user 'guest' can only connect via localhost",
        ),
    ] {
        let expected = format!("PLAIN login refused: {logged} | {told}");
        assert_eq!(log_in("PLAIN", response.as_bytes(), peer).await?, expected);
    }
    let unknown = log_in("SCRAM", b"", &LOCAL).await?;
    let expected = "unknown authentication mechanism 'SCRAM'";
    assert_eq!(
        unknown,
        format!("{expected} | 503 COMMAND_INVALID - {expected}")
    );
    Ok(())
}

#[tokio::test]
async fn a_certificate_names_the_user() -> anyhow::Result<()> {
    let certificate = PeerCertificate {
        distinguished_name: "CN=robot,O=Example".to_owned(),
        common_name: Some("robot".to_owned()),
    };
    let peer = PeerInfo {
        loopback: false,
        certificate: Some(certificate),
    };
    for login_from in [LoginFrom::DistinguishedName, LoginFrom::CommonName] {
        let users = users(login_from)?;
        assert!(
            users.authenticate("EXTERNAL", b"", &peer).await.is_ok(),
            "{login_from:?}"
        );
        assert!(
            users.authenticate("EXTERNAL", b"", &REMOTE).await.is_err(),
            "{login_from:?}"
        );
    }
    assert_eq!(Users::mechanisms(&peer), "PLAIN AMQPLAIN EXTERNAL");
    assert_eq!(Users::mechanisms(&REMOTE), "PLAIN AMQPLAIN");
    Ok(())
}

#[tokio::test]
async fn permissions_are_refused_in_the_words_of_rabbitmq() -> anyhow::Result<()> {
    let shop = users(LoginFrom::default())?
        .check_password("shop", b"test12", &REMOTE)
        .await?;
    let refused = |result: Result<(), _>| {
        result.map_err(|e: amphora_protocol::exception::ChannelException| e.to_string())
    };

    let entered = shop.enter(VhostName::new("/")?)?;
    assert_eq!(
        refused(entered.check(Access::Write, Resource::Exchange("orders"))),
        Ok(())
    );
    assert_eq!(
        refused(entered.check(Access::Configure, Resource::Queue("q"))),
        Err("403 ACCESS_REFUSED - configure access to queue 'q' in vhost '/' refused for user 'shop'".to_owned())
    );
    assert_eq!(
        refused(entered.check(Access::Write, Resource::Exchange(""))),
        Err("403 ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' refused for user 'shop'".to_owned())
    );
    let closed = shop
        .enter(VhostName::new("blue")?)
        .map(|_| ())
        .map_err(|e| e.to_string());
    assert_eq!(
        closed,
        Err("530 NOT_ALLOWED - access to vhost 'blue' refused for user 'shop'".to_owned())
    );
    Ok(())
}
