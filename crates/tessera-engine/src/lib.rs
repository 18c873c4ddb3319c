//! Everything between the pure core and the outside world: the executor that decides and writes in batches, programs and
//! their versions, keys and personal data, import, reports, verification, wake-ups.

pub mod access;
pub mod adjustment;
pub mod backup;
pub mod case;
pub mod challenge;
pub mod clock;
pub mod codes;
pub mod doctor;
pub mod engine;
pub mod executor;
pub mod folder;
pub mod gift_card;
pub mod household;
pub mod identifier;
pub mod installation;
mod keyed;
mod member_transfer;
mod merge;
mod new_file;
pub mod partner;
pub mod people;
pub mod possession;
pub mod profile;
pub mod programs;
pub mod query;
pub mod ranking;
pub mod record;
pub mod redemption;
pub mod referral;
pub mod relay;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod scheduler;
pub mod secret;
pub mod standing;
pub mod submission;
pub mod transfer;
pub mod verify;
pub mod voucher;
pub mod waitlist;

pub use engine::{Engine, EngineError};

/// The target of spans, which a trace is made of. At `debug`, so that nobody who does not ask for them pays for them.
pub const SPANS: &str = "tessera::spans";

/// How many reads of the database run at a time.
pub use tessera_store::READERS_MAX;
/// What reading and writing may end in, for those who only see the engine.
pub use tessera_store::StoreError;
