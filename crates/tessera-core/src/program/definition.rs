//! A program document as it is written, typed. `shared` spelling: the keys here are the keys of the YAML.
//!
//! Every setting's default is the first value that the rules name. What is accepted here acts; sections of features
//! that do not exist yet are refused by name (see [`LATER_SECTIONS`]).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::adjustments::AdjustmentsDefinition;
use super::benefits::BenefitDefinition;
pub use super::campaigns::*;
use super::cards::CardDefinition;
use super::challenges::{BadgeDefinition, ChallengeDefinition};
use super::claims::ClaimsDefinition;
pub use super::currencies::*;
pub use super::event_types::*;
use super::gift_cards::GiftCardsDefinition;
use super::households::HouseholdsDefinition;
pub use super::ladders::*;
use super::leaderboards::{LeaderboardDefinition, RankingDefinition};
use super::made::Made;
use super::members::MembersDefinition;
use super::membership::MembershipDefinition;
use super::partners::PartnerDefinition;
use super::people::{IdentityDefinition, LeavingDefinition};
use super::prices::PriceDefinition;
use super::proof::ProofDefinition;
use super::referral::ReferralDefinition;
use super::rewards::{CauseDefinition, CodePoolDefinition, RewardDefinition};
use super::scalar::{Exact, Id, Share, Texts, word_or_map};
use super::spending::CashRounding;
pub use super::stacking::*;
use super::streaks::StreakDefinition;
use super::transfers::TransferDefinition;
use super::velocity::{StaffDefinition, VelocityDefinition};
use super::vouchers::VoucherDefinition;
use crate::time::{Period, TimeOfDay};

/// Sections that belong to the document but to no feature of this version.
pub const LATER_SECTIONS: [&str; 6] = ["games", "journeys", "segments", "texts", "surveys", "catalogue"];

/// Actions of a rule that belong to no feature of this version.
pub const LATER_ACTIONS: [&str; 2] = ["set", "send"];

/// A loyalty program.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The program's key, used in every address and command.
    pub program: Id,
    pub name: Texts,
    /// An IANA zone such as `Asia/Ho_Chi_Minh`: days, months and expiry are counted in it.
    pub timezone: String,
    /// When a program day begins.
    #[serde(default)]
    pub day_starts: TimeOfDay,
    /// The ISO 4217 currency of amounts.
    pub currency: String,
    /// One unit of a foreign currency in the program's: `{ USD: 25000 }`. An event may carry its own rate (M5).
    #[serde(default)]
    pub exchange_rates: BTreeMap<String, Exact>,
    /// To what the money that is left to pay beside points is rounded, by the tender that pays it (M6).
    #[serde(default)]
    pub cash_rounding: BTreeMap<Id, CashRounding>,
    /// What happens to an event about a member nobody knows.
    #[serde(default)]
    pub unknown_member: UnknownMember,
    /// What happens to a return that names no order (R11).
    #[serde(default)]
    pub unlinked_returns: UnlinkedReturns,
    /// How old an event may be that arrives late (I5).
    #[serde(default = "backdate_max")]
    pub backdate_max: Period,
    /// What of a purchase earns, unless a rule says otherwise (M4).
    #[serde(default)]
    pub base: Base,
    pub currencies: BTreeMap<Id, CurrencyDefinition>,
    #[serde(default)]
    pub tiers: BTreeMap<Id, LadderDefinition>,
    #[serde(default)]
    pub benefits: BTreeMap<Id, BenefitDefinition>,
    /// Clubs that members pay to be in.
    #[serde(default)]
    pub membership: MembershipDefinition,
    /// Event types of your own, and fields of your own on the types every program has.
    #[serde(default)]
    pub events: BTreeMap<Id, EventDefinition>,
    #[serde(default)]
    pub campaigns: BTreeMap<Id, CampaignDefinition>,
    #[serde(default)]
    pub vouchers: BTreeMap<Id, VoucherDefinition>,
    /// What lines cost members less.
    #[serde(default)]
    pub prices: BTreeMap<Id, PriceDefinition>,
    /// What points can be spent on.
    #[serde(default)]
    pub rewards: BTreeMap<Id, RewardDefinition>,
    /// Which points members may send to each other, by currency; what is not listed cannot be sent.
    #[serde(default)]
    pub transfers: BTreeMap<Id, TransferDefinition>,
    /// When spending needs proof that the member is there (P4).
    #[serde(default)]
    pub proof: ProofDefinition,
    /// What bringing a friend is worth.
    #[serde(default)]
    pub referral: Option<ReferralDefinition>,
    /// Codes of partners that rewards give.
    #[serde(default)]
    pub code_pools: BTreeMap<Id, CodePoolDefinition>,
    /// Who delivers e-gifts, and is told when a benefit of theirs begins and ends.
    #[serde(default)]
    pub partners: BTreeMap<Id, PartnerDefinition>,
    /// What rewards donate to.
    #[serde(default)]
    pub causes: BTreeMap<String, CauseDefinition>,
    /// Money on cards: left out, none are sold or taken.
    #[serde(default)]
    pub gift_cards: Option<GiftCardsDefinition>,
    /// People who save together: left out, there are no households.
    #[serde(default)]
    pub households: Option<HouseholdsDefinition>,
    #[serde(default)]
    pub stacking: Stacking,
    /// Limits over all campaigns together, by currency (C7).
    #[serde(default)]
    pub limits: ProgramLimits,
    /// Guests' purchases that somebody claims later (P6). Left out, nobody does.
    #[serde(default)]
    pub claims: Option<ClaimsDefinition>,
    /// Which proof a change of a member's names needs (P4).
    #[serde(default)]
    pub identity: IdentityDefinition,
    /// What becomes of the points of somebody who leaves (P3).
    #[serde(default)]
    pub leaving: LeavingDefinition,
    /// What may be done with members themselves.
    #[serde(default)]
    pub members: MembersDefinition,
    /// The share of members who see no targeted offer at all (C9).
    #[serde(default)]
    pub control_group: Option<Share>,
    /// Why balances may be changed by hand, how much by whom, and from where on two people decide (A2).
    #[serde(default)]
    pub adjustments: Option<AdjustmentsDefinition>,
    /// Stamp cards.
    #[serde(default)]
    pub cards: BTreeMap<Id, CardDefinition>,
    /// Goals over events, with steps that give something.
    #[serde(default)]
    pub challenges: BTreeMap<Id, ChallengeDefinition>,
    /// Days, weeks or months in a row.
    #[serde(default)]
    pub streaks: BTreeMap<Id, StreakDefinition>,
    /// What challenges, streaks and rules give to be shown.
    #[serde(default)]
    pub badges: BTreeMap<Id, BadgeDefinition>,
    /// Who did most in a stretch of time.
    #[serde(default)]
    pub leaderboards: BTreeMap<Id, LeaderboardDefinition>,
    /// Who is among the best.
    #[serde(default)]
    pub ranking: Option<RankingDefinition>,
    /// How often and how much in how long a time, and what happens to what is more.
    #[serde(default)]
    pub velocity: BTreeMap<Id, VelocityDefinition>,
    /// What staff earn by their own purchases (P6).
    #[serde(default)]
    pub staff: StaffDefinition,
    /// What cards, challenges and streaks stand for.
    #[serde(skip)]
    pub made: Made,
}

fn backdate_max() -> Period {
    Period::days(90)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownMember {
    #[default]
    Refuse,
    /// The event makes the member, who joins at its business time.
    Enrol,
    /// The event waits until somebody joins with that identifier.
    Park,
}

/// R11: `match | refuse | take_back`, as a word or with settings.
#[derive(Clone, Debug, PartialEq)]
pub struct UnlinkedReturns {
    pub policy: UnlinkedPolicy,
    /// How far back `match` looks for the purchase.
    pub within: Period,
    /// What becomes of units that `match` does not find.
    pub unmatched: Unmatched,
}

impl Default for UnlinkedReturns {
    fn default() -> Self {
        Self { policy: UnlinkedPolicy::Match, within: Period::days(30), unmatched: Unmatched::Refuse }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnlinkedPolicy {
    /// Finds the member's own unreturned units, newest purchase first.
    Match,
    Refuse,
    /// Takes what the items would earn at the return's own time.
    TakeBack,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    #[default]
    Refuse,
    /// Takes what the items would earn, at most the balance.
    Clamp,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UnlinkedReturnsMap {
    #[serde(default)]
    policy: Option<UnlinkedPolicy>,
    #[serde(default)]
    within: Option<Period>,
    #[serde(default)]
    unmatched: Unmatched,
}

word_or_map!(
    UnlinkedReturns,
    "match, refuse, take_back or their settings",
    |word| {
        let policy = match word {
            "match" => Some(UnlinkedPolicy::Match),
            "refuse" => Some(UnlinkedPolicy::Refuse),
            "take_back" => Some(UnlinkedPolicy::TakeBack),
            _ => None,
        };
        policy.map(|policy| UnlinkedReturns { policy, ..UnlinkedReturns::default() })
    },
    UnlinkedReturnsMap,
    |read| {
        let usual = UnlinkedReturns::default();
        Ok::<_, String>(UnlinkedReturns {
            policy: read.policy.unwrap_or(usual.policy),
            within: read.within.unwrap_or(usual.within),
            unmatched: read.unmatched,
        })
    }
);

/// What of a purchase earns (M4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Base {
    pub tax: bool,
    pub shipping: bool,
    pub tips: bool,
    /// The part paid for gift cards (lines of category `gift_card`).
    pub gift_cards_sold: bool,
    /// The part paid with a gift card (payments of method `gift_card`).
    pub paid_with_gift_card: bool,
    /// The part paid with points (payments of method `points`).
    pub paid_with_points: bool,
    pub discount: DiscountBase,
}

impl Default for Base {
    fn default() -> Self {
        Self {
            tax: false,
            shipping: false,
            tips: false,
            gift_cards_sold: false,
            paid_with_gift_card: true,
            paid_with_points: false,
            discount: DiscountBase::After,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiscountBase {
    #[default]
    After,
    Before,
}
