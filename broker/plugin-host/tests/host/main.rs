//! A host and guests of all kinds: good ones, hostile ones, and those that are replaced while they work.

mod blame;
mod grants;
mod guest;
mod hostile;
mod kept;
mod load;
mod rehearse;
mod route;
mod slow;
mod swap;
mod transform;
mod wasi;
mod world;
