//! SASL: from a mechanism and its response to who the client says it is.

use amphora_protocol::wire::table::FieldTable;

use super::refusal::Refusal;

/// Who the client says it is, and by what it would prove that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// By a password.
    Password {
        /// The name of the mechanism that it came by.
        mechanism: &'static str,
        /// The login name.
        user: String,
        /// The password.
        password: Vec<u8>,
    },
    /// By the certificate of its TLS connection.
    Certificate,
}

impl Claim {
    /// Reads the response of a mechanism.
    pub(super) fn read(mechanism: &str, response: &[u8]) -> Result<Self, Refusal> {
        match mechanism {
            "PLAIN" => plain(response).ok_or(Refusal::Malformed("PLAIN")),
            "AMQPLAIN" => amqplain(response).ok_or(Refusal::Malformed("AMQPLAIN")),
            "EXTERNAL" => Ok(Self::Certificate),
            _ => Err(Refusal::UnknownMechanism(mechanism.to_owned())),
        }
    }
}

/// RFC 4616: whom to act for, who it is, password, with zeros between. Nobody may act for another.
fn plain(response: &[u8]) -> Option<Claim> {
    let mut parts = response.split(|byte| *byte == 0);
    let (acts_for, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !(acts_for.is_empty() || acts_for == user) {
        return None;
    }
    claim("PLAIN", user, password)
}

/// The fields of a table, without the table's length: the response's own length stands for it.
fn amqplain(response: &[u8]) -> Option<Claim> {
    let mut table = u32::try_from(response.len()).ok()?.to_be_bytes().to_vec();
    table.extend_from_slice(response);
    let table = FieldTable::decode(&table).ok()?;
    let field = |name| table.get(name)?.as_str();
    claim(
        "AMQPLAIN",
        field("LOGIN")?.as_bytes(),
        field("PASSWORD")?.as_bytes(),
    )
}

fn claim(mechanism: &'static str, user: &[u8], password: &[u8]) -> Option<Claim> {
    let user = String::from_utf8(user.to_vec()).ok()?;
    Some(Claim::Password {
        mechanism,
        user,
        password: password.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(mechanism: &'static str) -> Claim {
        Claim::Password {
            mechanism,
            user: "guest".to_owned(),
            password: b"secret".to_vec(),
        }
    }

    #[test]
    fn plain_is_two_or_three_strings() {
        assert_eq!(Claim::read("PLAIN", b"\0guest\0secret"), Ok(guest("PLAIN")));
        assert_eq!(
            Claim::read("PLAIN", b"guest\0guest\0secret"),
            Ok(guest("PLAIN"))
        );
        for response in [
            "",
            "guest",
            "\0guest",
            "other\0guest\0secret",
            "\0guest\0sec\0ret",
        ] {
            let refused = Claim::read("PLAIN", response.as_bytes());
            assert_eq!(refused, Err(Refusal::Malformed("PLAIN")), "{response:?}");
        }
    }

    #[test]
    fn amqplain_is_a_table_without_its_length() {
        let response = b"\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x06secret";
        assert_eq!(Claim::read("AMQPLAIN", response), Ok(guest("AMQPLAIN")));
        for response in [
            &b""[..],
            b"\x05LOGINS\0\0\0\x05guest",
            b"\x05LOGINS\0\0\0\xffguest",
        ] {
            let refused = Claim::read("AMQPLAIN", response);
            assert_eq!(refused, Err(Refusal::Malformed("AMQPLAIN")), "{response:?}");
        }
    }

    #[test]
    fn the_names_of_mechanisms_are_exact() {
        let refused = Claim::read("plain", b"\0guest\0secret");
        assert_eq!(refused, Err(Refusal::UnknownMechanism("plain".to_owned())));
    }
}
