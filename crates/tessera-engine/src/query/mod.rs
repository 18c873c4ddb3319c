//! What the outside reads of members: always as settled to now, whatever jobs have run.

mod gift_card;
mod member;
mod redemption;
mod reward;

pub use gift_card::{GiftCardView, MovementView, gift_card, gift_card_movements, quote_gift_card};
pub use member::{
    EntryView, EventView, LotView, MemberView, Page, PageRequest, VoucherView, entries, event, events, explain,
    find_member, lots, member, members, vouchers,
};
pub use redemption::{explain_redemption, quote_redemption, redemption, redemptions};
pub use reward::{RewardView, rewards};
