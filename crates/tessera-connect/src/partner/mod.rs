//! Partners: an adapter orders e-gifts from them and tells them of entitlements; what they say is verified and read.

mod circuit;
mod http;
mod translate;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tessera_core::program::Id;
use tessera_core::time::Instant;

pub use circuit::Circuit;
pub use http::{AddressProblem, HttpPartner, TIMEOUT};
pub use translate::{NoticeKind, NoticeProblem, PartnerNotice, read_notice};

use crate::signature::SignedHeaders;

/// An order of an e-gift. The same id is the same order, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// The redemption it is for.
    pub id: String,
    pub program: String,
    pub product: String,
    pub ordered_at: Instant,
    /// Given up then: what is delivered later is not taken.
    pub until: Instant,
}

/// What became of an order.
#[derive(Clone, PartialEq, Eq)]
pub enum OrderAnswer {
    Delivered {
        /// The partner's own name for it.
        reference: Option<String>,
        /// What the member gets: a code or an address.
        code: String,
    },
    /// It comes later, by a notice or when the order is sent again.
    Accepted { reference: Option<String> },
    /// It does not come; `reason` is a code.
    Refused { reason: String },
}

impl fmt::Debug for OrderAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered { reference, .. } => f.debug_struct("Delivered").field("reference", reference).finish(),
            Self::Accepted { reference } => f.debug_struct("Accepted").field("reference", reference).finish(),
            Self::Refused { reason } => f.debug_struct("Refused").field("reason", reason).finish(),
        }
    }
}

/// What became of an order that is not wanted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// It does not come, or was never known.
    Cancelled,
    /// It was delivered before.
    TooLate,
    /// The partner cancels nothing.
    NotTaken,
}

/// An entitlement of a member begins or ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entitlement {
    /// The same id is the same notice, however often it is sent.
    pub id: String,
    pub program: String,
    /// The member, by an id that says nothing about the person.
    pub member: String,
    pub entitlement: String,
    pub granted: bool,
    /// Counts up for each member and entitlement: what comes with a lower one is older.
    pub number: u32,
    pub at: Instant,
}

/// Why a call was in vain. It may be made again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The text has no address and nothing that was sent.
    #[error("the partner cannot be reached: {0}")]
    Unreachable(String),
    #[error("the partner answered {0}")]
    Status(u16),
    #[error("the partner's answer cannot be read: {0}")]
    Unreadable(String),
}

/// Somebody else's system. Calls block, for a bounded time.
pub trait Partner: Send + Sync + fmt::Debug {
    /// Orders an e-gift, or asks what became of it.
    ///
    /// # Errors
    /// When nobody knows whether it was taken: the same order is sent again.
    fn order(&self, order: &Order, now: Instant) -> Result<OrderAnswer, CallError>;

    /// Cancels an order that was given up.
    ///
    /// # Errors
    /// When nobody knows whether it was heard: the same is cancelled again.
    fn cancel(&self, order: &Order, now: Instant) -> Result<Cancellation, CallError>;

    /// Tells that an entitlement begins or ends.
    ///
    /// # Errors
    /// When nobody knows whether it was heard: the same is told again.
    fn tell(&self, entitlement: &Entitlement, now: Instant) -> Result<(), CallError>;

    /// Reads what the partner says, once it is verified.
    ///
    /// # Errors
    /// For what is not from the partner, or cannot be understood.
    fn read(&self, headers: &SignedHeaders, body: &[u8], now: Instant) -> Result<PartnerNotice, NoticeProblem>;
}

/// The partners that this server can reach, by their names in documents, each with what is known of its being there.
#[derive(Clone, Debug, Default)]
pub struct Partners(BTreeMap<Id, Arc<Reached>>);

/// A partner with its circuit.
#[derive(Debug)]
pub struct Reached {
    pub adapter: Arc<dyn Partner>,
    pub circuit: Circuit,
}

impl Partners {
    #[must_use]
    pub fn with(mut self, name: Id, adapter: Arc<dyn Partner>) -> Self {
        self.0.insert(name, Arc::new(Reached { adapter, circuit: Circuit::default() }));
        self
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Reached>> {
        self.0.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &Id> {
        self.0.keys()
    }
}
