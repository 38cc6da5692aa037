//! Users, virtual hosts and parameters are administered at the real broker, also in tests of the API: the fake one has what it was made with.

use serde_json::{Map, Value};

use super::FakeBroker;
use crate::auth::Identity;
use crate::management::backend::{
    Administration, AdministrationRefusal, AdministrationReply, Parameter, PermissionPatterns,
    Place, Put, PutUser, PutVhost,
};

fn refuse<'a, T: Send + 'a>() -> AdministrationReply<'a, T> {
    let refusal = AdministrationRefusal::Failed("the fake broker is not administered".to_owned());
    Box::pin(std::future::ready(Err(refusal)))
}

impl Administration for FakeBroker {
    fn put_user<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a str,
        _: PutUser,
    ) -> AdministrationReply<'a, Put> {
        refuse()
    }

    fn delete_users<'a>(&'a self, _: &'a Identity, _: &'a [String]) -> AdministrationReply<'a, ()> {
        refuse()
    }

    fn put_permissions<'a>(
        &'a self,
        _: &'a Identity,
        _: Place<'a>,
        _: PermissionPatterns<'a>,
    ) -> AdministrationReply<'a, Put> {
        refuse()
    }

    fn delete_permissions<'a>(
        &'a self,
        _: &'a Identity,
        _: Place<'a>,
    ) -> AdministrationReply<'a, ()> {
        refuse()
    }

    fn put_topic_permissions<'a>(
        &'a self,
        _: &'a Identity,
        _: Place<'a>,
        _: &'a str,
        _: [&'a str; 2],
    ) -> AdministrationReply<'a, Put> {
        refuse()
    }

    fn delete_topic_permissions<'a>(
        &'a self,
        _: &'a Identity,
        _: Place<'a>,
        _: Option<&'a str>,
    ) -> AdministrationReply<'a, ()> {
        refuse()
    }

    fn set_user_limits<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a str,
        _: &'a Map<String, Value>,
    ) -> AdministrationReply<'a, ()> {
        refuse()
    }

    fn put_vhost<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a str,
        _: PutVhost,
    ) -> AdministrationReply<'a, Put> {
        refuse()
    }

    fn delete_vhost<'a>(&'a self, _: &'a Identity, _: &'a str) -> AdministrationReply<'a, ()> {
        refuse()
    }

    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    fn put_parameter<'a>(&'a self, _: &'a Identity, _: Parameter) -> AdministrationReply<'a, Put> {
        refuse()
    }

    fn delete_parameter<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a str,
        _: &'a str,
        _: &'a str,
    ) -> AdministrationReply<'a, ()> {
        refuse()
    }

    fn global_parameters(&self) -> Vec<(String, Value)> {
        Vec::new()
    }

    fn set_global_parameter<'a>(
        &'a self,
        _: &'a Identity,
        _: &'a str,
        _: Option<Value>,
    ) -> AdministrationReply<'a, Put> {
        refuse()
    }
}
