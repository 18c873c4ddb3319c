//! What the outside reads of members: always as settled to now, whatever jobs have run.

mod donation;
mod entitlement;
mod member;
mod people;
mod progress;
mod redemption;
mod reward;

pub use donation::{CauseView, Settlement, causes, settlements};
pub use entitlement::{BenefitView, EntitlementView, LevelOf, benefits, entitlements};
pub use member::{
    EntryView, EventView, LotView, MemberView, Page, PageRequest, VoucherView, entries, event, events, explain, lots,
    member, members, vouchers,
};
pub use people::{Located, find_member, identifiers, locate};
pub use progress::progress;
pub use redemption::{code_of, explain_redemption, quote_redemption, redemption, redemptions};
pub use reward::{RewardPage, RewardQuery, RewardSort, RewardView, rewards};
