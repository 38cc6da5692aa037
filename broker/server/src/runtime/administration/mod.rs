//! Users, virtual hosts, policies and other parameters, as they are changed: each change is checked, in force and noted for the store
//! before the next one is looked at.

mod events;
mod limits;
mod parameters;
mod policies;
mod stored;
mod users;
mod vhosts;

use amphora_core::store::Write;
use serde_json::{Map, Value};

pub(super) use self::limits::{Admission, ChannelAdmission, VhostLimits};
pub(super) use self::parameters::Parameters;
pub(super) use self::policies::recovered as recovered_policies;
pub(super) use self::vhosts::VhostMetadata;
use super::broker::Broker;
use super::vhost::Changed;
use crate::auth::{Account, Identity};
use crate::management::backend::{
    Administration, AdministrationRefusal, AdministrationReply, Parameter, PermissionPatterns,
    Place, Put, PutUser, PutVhost,
};

type Outcome<T> = Result<Changed<T>, AdministrationRefusal>;

/// One line for each change: who did what to what.
fn audit(by: &Identity, action: &str, what: std::fmt::Arguments<'_>) {
    let by = by.user();
    tracing::info!(target: "amphora::audit", %by, %what, "{action}");
}

impl Broker {
    /// Notes a change for the store.
    fn changed<T>(&self, result: T, writes: Vec<Write>) -> Changed<T> {
        let epoch = self.committer.define(writes);
        Changed { result, epoch }
    }

    /// Gives a user another account. What the user was allowed, and what was routed because of that, is looked at again.
    fn store_user(&self, name: &str, account: Account) -> Write {
        let write = self.users.put(name, account);
        self.forget_routes();
        write
    }

    fn forget_routes(&self) {
        self.vhosts().iter().for_each(|vhost| vhost.touch());
    }

    /// The outcome of a command, once it is durable.
    async fn settle<T>(&self, outcome: Outcome<T>) -> Result<T, AdministrationRefusal> {
        Ok(outcome?.durable(&self.committer).await)
    }
}

impl Administration for Broker {
    fn put_user<'a>(
        &'a self,
        by: &'a Identity,
        name: &'a str,
        command: PutUser,
    ) -> AdministrationReply<'a, Put> {
        Box::pin(async move {
            let outcome = users::put(self, by, name, command).await;
            self.settle(outcome).await
        })
    }

    fn delete_users<'a>(
        &'a self,
        by: &'a Identity,
        names: &'a [String],
    ) -> AdministrationReply<'a, ()> {
        Box::pin(self.settle(users::delete(self, by, names)))
    }

    fn put_permissions<'a>(
        &'a self,
        by: &'a Identity,
        place: Place<'a>,
        patterns: PermissionPatterns<'a>,
    ) -> AdministrationReply<'a, Put> {
        Box::pin(self.settle(users::permit(self, by, place, patterns)))
    }

    fn delete_permissions<'a>(
        &'a self,
        by: &'a Identity,
        place: Place<'a>,
    ) -> AdministrationReply<'a, ()> {
        Box::pin(self.settle(users::forbid(self, by, place)))
    }

    fn put_topic_permissions<'a>(
        &'a self,
        by: &'a Identity,
        place: Place<'a>,
        exchange: &'a str,
        patterns: [&'a str; 2],
    ) -> AdministrationReply<'a, Put> {
        let outcome = users::permit_topics(self, by, place, exchange, patterns);
        Box::pin(self.settle(outcome))
    }

    fn delete_topic_permissions<'a>(
        &'a self,
        by: &'a Identity,
        place: Place<'a>,
        exchange: Option<&'a str>,
    ) -> AdministrationReply<'a, ()> {
        Box::pin(self.settle(users::open_topics(self, by, place, exchange)))
    }

    fn set_user_limits<'a>(
        &'a self,
        by: &'a Identity,
        user: &'a str,
        limits: &'a Map<String, Value>,
    ) -> AdministrationReply<'a, ()> {
        Box::pin(self.settle(users::limit(self, by, user, limits)))
    }

    fn put_vhost<'a>(
        &'a self,
        by: &'a Identity,
        name: &'a str,
        command: PutVhost,
    ) -> AdministrationReply<'a, Put> {
        Box::pin(self.settle(vhosts::put(self, by, name, command)))
    }

    fn delete_vhost<'a>(&'a self, by: &'a Identity, name: &'a str) -> AdministrationReply<'a, ()> {
        Box::pin(self.settle(vhosts::delete(self, by, name)))
    }

    fn parameters(&self) -> Vec<Parameter> {
        self.parameters.all()
    }

    fn put_parameter<'a>(
        &'a self,
        by: &'a Identity,
        parameter: Parameter,
    ) -> AdministrationReply<'a, Put> {
        Box::pin(self.settle(parameters::put(self, by, parameter)))
    }

    fn delete_parameter<'a>(
        &'a self,
        by: &'a Identity,
        component: &'a str,
        vhost: &'a str,
        name: &'a str,
    ) -> AdministrationReply<'a, ()> {
        let outcome = parameters::delete(self, by, component, vhost, name);
        Box::pin(self.settle(outcome))
    }

    fn global_parameters(&self) -> Vec<(String, Value)> {
        self.parameters.all_global()
    }

    fn set_global_parameter<'a>(
        &'a self,
        by: &'a Identity,
        name: &'a str,
        value: Option<Value>,
    ) -> AdministrationReply<'a, Put> {
        Box::pin(self.settle(parameters::set_global(self, by, name, value)))
    }
}
