//! How a session gets in: the login, and the virtual host.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use amphora_protocol::exception::ConnectionException;
use amphora_protocol::wire::method::connection;
use amphora_protocol::wire::types::{ChannelNumber, ShortString, VhostName};

use super::announce::Fields;
use super::ingress::Ingress;
use super::session::{End, Entered, Session};
use crate::auth::Refusal;

impl Session {
    pub(super) async fn login(
        &mut self,
        mechanism: &ShortString,
        response: &[u8],
    ) -> Result<(), End> {
        let users = Arc::clone(&self.broker.users);
        match users
            .authenticate(mechanism, response, &self.peer_info)
            .await
        {
            Ok(identity) => {
                let client = self.conversation.client();
                let peer = &self.peer;
                peer.cancel_notify
                    .store(client.consumer_cancel_notify, Ordering::Relaxed);
                peer.blocked_notify
                    .store(client.connection_blocked, Ordering::Relaxed);
                self.info.logged_in(&identity, mechanism, client);
                self.broker.events.emit("user.authentication.success", || {
                    self.attempt(mechanism, identity.user())
                });
                self.identity = Some(identity);
                self.conversation.accept_login(&mut self.replies);
                Ok(())
            }
            Err(refusal) => {
                tracing::warn!(connection = %self.info.name, %refusal, "login refused");
                self.broker.events.emit("user.authentication.failure", || {
                    self.attempt(mechanism, "")
                        .text("error", &refusal.to_string())
                });
                let exception = refusal.exception();
                let told = match &refusal {
                    Refusal::Denied { .. } => self
                        .conversation
                        .refuse_login(exception.text, &mut self.replies),
                    Refusal::Malformed(_) | Refusal::UnknownMechanism(_) => {
                        self.conversation.close(exception, &mut self.replies);
                        true
                    }
                };
                self.send_replies();
                self.finish();
                if told { Ok(()) } else { Err(End::Silence) }
            }
        }
    }

    /// What events say of a login.
    fn attempt(&self, mechanism: &str, user: &str) -> Fields {
        let fields = self.info.fields_of_peer().text("name", user);
        fields
            .text("connection_type", "network")
            .text("connection_name", &self.info.name)
            .text("auth_mechanism", mechanism)
    }

    pub(super) fn open(&mut self, name: &VhostName) {
        let entered = match &self.identity {
            None => Err(ConnectionException::not_allowed("not logged in")),
            Some(identity) => self.broker.enter(identity, name),
        };
        match entered {
            Ok((vhost, access, admission)) => {
                let mut outbox = self.peer.outbox.lock();
                outbox.frame_max = self.conversation.tuned().frame_max as usize;
                drop(outbox);
                let user = Arc::clone(access.user());
                self.info.entered(&vhost, self.conversation.tuned());
                self.broker
                    .events
                    .emit("connection.created", || self.info.fields(&self.broker.node));
                self.entered = Some(Entered {
                    access,
                    ingress: Ingress::new(vhost, Arc::clone(&user)),
                    exclusive: Vec::new(),
                    _admission: admission,
                });
                self.conversation.accept_open(&mut self.replies);
                tracing::info!(connection = %self.info.name, vhost = %name, user = %user, "connection opened");
            }
            Err(exception) => {
                let exception = exception.at(connection::CLASS_ID, connection::Open::METHOD_ID);
                self.raise(ChannelNumber(0), exception);
            }
        }
    }
}
