//! The broker as the management API sees it.
//!
//! Listings take one lock after the other, each for as long as it takes to copy what is behind it. Commands go the way that
//! methods go: see [`Principal`](super::principal::Principal).

mod browsing;
mod clients;
mod commands;
mod contents;
mod delayed;
mod figures;
mod messages;
mod moving;
mod queues;
mod topology;

use amphora_protocol::wire::types::{QueueName, VhostName};

use super::broker::Broker;
use super::peer::Letter;
use crate::auth::{Identity, VhostAccess};
use crate::management::backend::{
    Administration, Bind, BindingFilter, Browsing, ChangeSettings, DeclareExchange, DeclareQueue,
    DelayedMessages, DeleteExchange, DeleteQueue, Get, Got, MoveMessages, Moved, Plugins, Publish,
    Published, Reply, Settings,
};
use crate::management::snapshot::{
    BindingSnapshot, ChannelSnapshot, ConnectionSnapshot, ConsumerSnapshot, ExchangeSnapshot,
    NodeSnapshot, Overview, QueueFigures, QueueSnapshot, RouteReport, StoreSnapshot,
    UnackedSnapshot, VhostSnapshot,
};
use crate::management::{Backend, Stirring};

impl Backend for Broker {
    fn overview(&self) -> Overview {
        figures::overview(self)
    }

    fn stirring(&self) -> &Stirring {
        &self.committer.stirring
    }

    fn node(&self) -> NodeSnapshot {
        figures::node(self)
    }

    fn store(&self) -> StoreSnapshot {
        figures::store(self)
    }

    fn vhost_names(&self) -> Vec<VhostName> {
        let vhosts = self.vhosts();
        vhosts.iter().map(|vhost| vhost.name.clone()).collect()
    }

    fn vhosts(&self) -> Vec<VhostSnapshot> {
        figures::vhosts(self)
    }

    fn exchanges(&self, vhost: &str) -> Vec<ExchangeSnapshot> {
        let vhost = self.vhost(vhost);
        vhost.map_or_else(Vec::new, |vhost| topology::exchanges(&vhost))
    }

    fn exchange(&self, vhost: &str, name: &str) -> Option<ExchangeSnapshot> {
        topology::exchange(&*self.vhost(vhost)?, name)
    }

    fn queues(&self, vhost: &str) -> Vec<QueueSnapshot> {
        let vhost = self.vhost(vhost);
        vhost.map_or_else(Vec::new, |vhost| queues::queues(self, &vhost))
    }

    fn queue_names(&self, vhost: &str) -> Vec<QueueName> {
        let vhost = self.vhost(vhost);
        vhost.map_or_else(Vec::new, |vhost| queues::names(&vhost))
    }

    fn queues_named(&self, vhost: &str, names: &[QueueName]) -> Vec<QueueSnapshot> {
        let vhost = self.vhost(vhost);
        vhost.map_or_else(Vec::new, |vhost| queues::named(self, &vhost, names))
    }

    fn queue_figures(&self, vhost: &str) -> Vec<QueueFigures> {
        let vhost = self.vhost(vhost);
        vhost.map_or_else(Vec::new, |vhost| queues::figures(&vhost))
    }

    fn queue(&self, vhost: &str, name: &str) -> Option<QueueSnapshot> {
        queues::queue(self, &*self.vhost(vhost)?, name)
    }

    fn bindings(&self, vhost: &str, filter: &BindingFilter) -> Vec<BindingSnapshot> {
        let vhost = self.vhost(vhost);
        vhost.map_or_else(Vec::new, |vhost| topology::bindings(&vhost, filter))
    }

    fn connections(&self) -> Vec<ConnectionSnapshot> {
        clients::connections(self)
    }

    fn channels(&self) -> Vec<ChannelSnapshot> {
        clients::channels(self)
    }

    fn consumers(&self, vhost: &str) -> Vec<ConsumerSnapshot> {
        let vhost = self.vhost(vhost);
        vhost.map_or_else(Vec::new, |vhost| queues::consumers(self, &vhost))
    }

    fn unacked(&self, vhost: &str, queue: &str) -> Option<Vec<UnackedSnapshot>> {
        clients::unacked(self, &*self.vhost(vhost)?, queue)
    }

    fn stream_offsets(&self, vhost: &str, queue: &str) -> Option<Vec<(String, u64)>> {
        queues::stream_offsets(&*self.vhost(vhost)?, queue)
    }

    fn declare_exchange<'a>(
        &'a self,
        by: &'a VhostAccess,
        command: DeclareExchange,
    ) -> Reply<'a, ()> {
        Box::pin(commands::declare_exchange(self, by, command))
    }

    fn delete_exchange<'a>(
        &'a self,
        by: &'a VhostAccess,
        command: DeleteExchange,
    ) -> Reply<'a, ()> {
        Box::pin(commands::delete_exchange(self, by, command))
    }

    fn declare_queue<'a>(&'a self, by: &'a VhostAccess, command: DeclareQueue) -> Reply<'a, ()> {
        Box::pin(commands::declare_queue(self, by, command))
    }

    fn delete_queue<'a>(&'a self, by: &'a VhostAccess, command: DeleteQueue) -> Reply<'a, ()> {
        Box::pin(commands::delete_queue(self, by, command))
    }

    fn purge_queue<'a>(&'a self, by: &'a VhostAccess, queue: QueueName) -> Reply<'a, u64> {
        Box::pin(async move { commands::purge_queue(self, by, &queue) })
    }

    fn pause_queue<'a>(
        &'a self,
        by: &'a VhostAccess,
        queue: QueueName,
        paused: bool,
    ) -> Reply<'a, ()> {
        Box::pin(async move { commands::pause_queue(self, by, &queue, paused).await })
    }

    fn bind<'a>(&'a self, by: &'a VhostAccess, command: Bind) -> Reply<'a, ()> {
        Box::pin(commands::bind(self, by, command))
    }

    fn unbind<'a>(&'a self, by: &'a VhostAccess, command: Bind) -> Reply<'a, ()> {
        Box::pin(commands::unbind(self, by, command))
    }

    fn publish<'a>(&'a self, by: &'a VhostAccess, command: Publish) -> Reply<'a, Published> {
        Box::pin(messages::publish(self, by, command))
    }

    fn route<'a>(&'a self, by: &'a VhostAccess, command: Publish) -> Reply<'a, RouteReport> {
        Box::pin(messages::route(self, by, command))
    }

    fn get<'a>(&'a self, by: &'a VhostAccess, command: Get) -> Reply<'a, Vec<Got>> {
        Box::pin(messages::get(self, by, command))
    }

    fn move_messages<'a>(&'a self, by: &'a VhostAccess, command: MoveMessages) -> Reply<'a, Moved> {
        Box::pin(moving::move_messages(self, by, command))
    }

    fn settings(&self) -> Settings {
        Settings {
            log_level: crate::logging::level(),
            limits: (**self.limits()).clone(),
            memory_mark: self.alarms.memory_mark(),
            disk_free_limit: self.alarms.disk_mark(),
        }
    }

    fn change_settings(&self, by: &Identity, change: &ChangeSettings) -> Result<(), String> {
        commands::change_settings(self, by, change)
    }

    fn administration(&self) -> &dyn Administration {
        self
    }

    fn plugins(&self) -> &dyn Plugins {
        &self.plugins
    }

    fn trace(&self, vhost: &str, on: bool) -> bool {
        let vhost = self.vhost(vhost);
        if let Some(vhost) = &vhost {
            vhost.tap.turn(on);
        }
        vhost.is_some()
    }

    fn delayed(&self) -> &dyn DelayedMessages {
        self
    }

    fn browsing(&self) -> &dyn Browsing {
        self
    }

    fn close_connection(&self, name: &str, reason: &str) -> bool {
        let connections = self.connections();
        let found = connections
            .iter()
            .find(|connection| *connection.name == *name);
        if let Some(connection) = found {
            connection.peer.post(Letter::Close(reason.to_owned()));
        }
        found.is_some()
    }
}
