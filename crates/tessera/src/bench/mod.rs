//! How fast this machine is with Tessera: the whole path, on an installation made for it and thrown away afterwards.
//!
//! Every figure comes from the real thing: the router that `serve` serves, the executor, commits flushed to the disk.
//! The load comes from the same process over the loopback, so its own share of the processors is in the figures, and is
//! told apart. The same seed gives the same members and baskets; the clock and the network decide their order. Only for its
//! memory the server is a process of its own.

mod client;
mod figures;
mod floor;
pub mod http;
pub mod import;
mod installation;
mod load;
pub mod memory;
pub mod quote;
mod random;
pub mod retail;
mod till;

pub use figures::Cpu;
pub use installation::Place;
pub use load::Load;
