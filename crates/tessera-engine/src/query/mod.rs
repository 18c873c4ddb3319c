//! What the outside reads of members: always as settled to now, whatever jobs have run.

mod batch;
mod member;
mod redemption;
mod reward;
mod voucher;

pub use batch::{BatchCode, BatchView, batch, batch_codes, batches};
pub use member::{
    EntryView, EventView, LotView, MemberView, Page, PageRequest, entries, event, events, explain, find_member, lots,
    member, members,
};
pub use redemption::{explain_redemption, quote_redemption, redemption, redemptions};
pub use reward::{RewardView, rewards};
pub use voucher::{
    ClaimView, CodeView, DiscountView, VoucherPlace, VoucherState, VoucherView, code, last_user, validate, vouchers,
};
