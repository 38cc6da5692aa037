//! What no compiler checks: which crate may know which, how large files may grow, what every file has to say, and that
//! the README's commands are the ones that are run.

mod files;
mod layers;
mod readme;
mod sizes;
mod words;
