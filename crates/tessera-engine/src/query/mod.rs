//! What the outside reads of members: always as settled to now, whatever jobs have run.

mod batch;
mod club;
mod donation;
mod draw;
mod entitlement;
mod gift_card;
mod household;
mod leaderboard;
mod member;
mod merge;
mod people;
mod progress;
mod redemption;
mod reward;
mod seen;
mod transfer;
mod voucher;

pub use batch::{BatchCode, BatchView, batch, batch_codes, batches};
pub use club::{NamedClub, clubs, quote_refund};
pub use donation::{CauseView, Settlement, causes, settlements};
pub use draw::{DrawPlace, DrawView, draws};
pub use entitlement::{BenefitView, EntitlementView, LevelOf, benefits, entitlements};
pub use gift_card::{
    CardStatus, GiftCardView, MovementView, gift_card, gift_card_movements, gift_cards, quote_gift_card,
};
pub use household::{HouseholdOfMember, HouseholdView, household, may_ask_for, may_join};
pub use leaderboard::{LeaderboardQuery, LeaderboardView, PlaceView, leaderboard};
pub use member::{
    EntryView, EventView, LotView, MemberView, MergedView, Page, PageRequest, entries, event, events, explain, lots,
    member, members,
};
pub use merge::{MergePreview, preview_merge};
pub use people::{Located, find_member, identifiers, locate, own_id};
pub use progress::progress;
pub use redemption::{
    FulfilmentPlace, FulfilmentView, code_of, explain_redemption, fulfilments, quote_redemption, redemption,
    redemptions,
};
pub use reward::{Catalogue, RewardPage, RewardQuery, RewardSort, RewardView, rewards};
pub use seen::{Seen, Wanted, see};
pub use transfer::{Direction, TransferView, transfers};
pub use voucher::{
    ClaimView, CodeView, DiscountView, VoucherPlace, VoucherState, VoucherView, code, last_user, validate, vouchers,
};
