//! A host and guests of all kinds: good ones, hostile ones, and those that are replaced while they work.

mod grants;
mod guest;
mod hostile;
mod load;
mod route;
mod swap;
mod transform;
mod wasi;
mod world;
