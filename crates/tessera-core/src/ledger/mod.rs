//! The double-entry ledger: entries between accounts, the lots that hold what is spendable, and the chain over both.

mod account;
mod entry;
mod fulfilment;
mod lot;
mod partner;
mod purse;
mod redemption;

pub use account::Account;
pub use entry::{Entry, EntryKind};
pub use fulfilment::{Fulfilment, FulfilmentState};
pub use lot::{Lot, LotRef, LotRefError};
pub use partner::{AtPartner, PartnerState};
pub use purse::{Purse, Totals, Wait};
pub use redemption::{
    AtMember, AtMemberState, Bill, Given, GivenCard, GivenCardState, GivenDonation, Hold, LotPart, OwnedPart,
    Redemption, RedemptionStatus, Terms,
};
