//! Who calls: by HTTP's basic authentication or a session of the web UI, and what that user may see.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use amphora_protocol::wire::types::VhostName;
use axum::extract::FromRequestParts;
use axum::http::Extensions;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::backend::{Administration, Backend};
use super::definitions::Progress;
use super::history::{Details, History, Of};
use super::listing::Listing;
use super::refused::Refused;
use super::{About, Api, sessions};
use crate::auth::{Denial, Identity, PeerInfo, Users, VhostAccess};

/// The other end of the HTTP connection; an extension of each request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// A user that logged in and may use the management API.
pub(super) struct Caller {
    api: Api,
    identity: Identity,
}

impl Caller {
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn backend(&self) -> &dyn Backend {
        self.api.backend()
    }

    pub(super) fn about(&self) -> &About {
        self.api.about()
    }

    /// How somebody's figures change.
    pub(super) fn details(&self, of: Of<'_>, listing: &Listing) -> Details {
        self.api.history().details(of, listing.windows())
    }

    /// How far imports of definitions are.
    pub(super) fn imports(&self) -> &Progress {
        self.api.imports()
    }

    pub(super) fn history(&self) -> &History {
        self.api.history()
    }

    pub(super) fn users(&self) -> &Users {
        self.api.users()
    }

    /// The virtual hosts that are open to the user.
    pub(super) fn vhosts(&self) -> Vec<VhostName> {
        let mut names = self.backend().vhost_names();
        names.retain(|name| self.may_enter(name));
        names
    }

    /// Enters a virtual host, to change something there or to look around.
    pub(super) fn enter(&self, vhost: &str) -> Result<VhostAccess, Refused> {
        let name = VhostName::new(vhost).map_err(|_| Refused::not_found())?;
        if !self.backend().vhost_names().contains(&name) {
            return Err(Refused::no_vhost());
        }
        let closed = |_| Refused::not_authorised("User not authorised to access virtual host");
        self.identity.enter(name).map_err(closed)
    }

    /// Whether the user may see what belongs to another: that one's connections, channels and consumers.
    pub(super) fn may_see(&self, user: &str, vhost: &str) -> bool {
        if self.identity.may_monitor() {
            return true;
        }
        self.identity.user().as_ref() == user && self.may_enter(vhost)
    }

    pub(super) fn must_monitor(&self) -> Result<(), Refused> {
        if self.identity.may_monitor() {
            Ok(())
        } else {
            Err(self.refuse("Not monitor user"))
        }
    }

    pub(super) fn must_administrate(&self) -> Result<(), Refused> {
        if self.identity.is_administrator() {
            Ok(())
        } else {
            Err(self.refuse("Not administrator user"))
        }
    }

    /// Policies and parameters of a virtual host, or of the broker, are for those who make policies.
    pub(super) fn must_make_policies(&self, vhost: Option<&str>) -> Result<(), Refused> {
        let open = vhost.is_none_or(|vhost| {
            let there = |name: &VhostName| name.as_str() == vhost;
            // One that is not there is told as such.
            self.may_enter(vhost) || !self.backend().vhost_names().iter().any(there)
        });
        if self.identity.may_make_policies() && open {
            Ok(())
        } else {
            Err(self.refuse("User not authorised to access object"))
        }
    }

    pub(super) fn administration(&self) -> &dyn Administration {
        self.backend().administration()
    }

    fn refuse(&self, reason: &str) -> Refused {
        let user = self.identity.user();
        tracing::warn!(target: "amphora::audit", %user, reason, "refused at the management API");
        Refused::not_authorised(reason)
    }

    pub(super) fn may_enter(&self, vhost: &str) -> bool {
        self.identity.permissions(vhost).is_some()
    }
}

impl Caller {
    /// Who shows this password.
    pub(super) async fn of_password(
        api: &Api,
        extensions: &Extensions,
        user: &str,
        password: &[u8],
    ) -> Result<Self, Refused> {
        let peer = peer_of(extensions);
        let users = api.users();
        let checked = users.check_password(user, password, &peer).await;
        let identity = match users.http_attempts.count(checked) {
            Ok(identity) => identity,
            Err(denial) => {
                if let Some(Peer(address)) = extensions.get::<Peer>() {
                    api.pace().note_failure(address.ip(), Instant::now());
                }
                tracing::warn!(%denial, "refused a login to the management API");
                return Err(Refused::not_authenticated(match denial {
                    Denial::OnlyLoopback(_) => "User can only log in via localhost",
                    _ => "Login failed",
                }));
            }
        };
        Self::new(api, identity)
    }

    fn new(api: &Api, identity: Identity) -> Result<Self, Refused> {
        if !identity.may_manage() {
            return Err(Refused::not_authorised("Not management user"));
        }
        Ok(Self {
            api: api.clone(),
            identity,
        })
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Refused;

    /// By a password that comes along, or by a session of the web UI.
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        if let Some((user, password)) = credentials(parts) {
            return Self::of_password(api, &parts.extensions, &user, &password).await;
        }
        match sessions::identify(api, parts)? {
            Some(identity) => Self::new(api, identity),
            None => Err(Refused::not_authenticated("Login failed")),
        }
    }
}

/// Without a known peer the caller may be anywhere.
pub(super) fn peer_of(extensions: &Extensions) -> PeerInfo {
    let peer = extensions.get::<Peer>();
    PeerInfo {
        loopback: peer.is_some_and(|peer| is_loopback(peer.0.ip())),
        certificate: None,
    }
}

/// What `Authorization: Basic …` carries.
fn credentials(parts: &Parts) -> Option<(String, Vec<u8>)> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (user, password) = decoded.split_at(colon);
    Some((
        String::from_utf8(user.to_vec()).ok()?,
        password.get(1..)?.to_vec(),
    ))
}

/// An IPv4 address may come dressed as an IPv6 one.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
