//! What the event of one member causes for another: commands of our own, which nobody sends from outside.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{DataProblem, REWARD_CARD, RewardCard, What};
use crate::id::{EventId, MemberId, member_text};

/// Event types that only the event of another member causes.
pub const FOLLOW_UP_TYPES: &[&str] = &[
    "transfer-in",
    "follow-up-refused",
    "referral-joined",
    "referral-waits",
    "referral-qualified",
    "referral-paid",
    "referral-refused",
    "referral-reversed",
    "gift-card-refund",
    "gift-card-take-back",
    "gift-card-taken-back",
    "merge-in",
    "merge-back",
    "survivor-left",
    "household-made",
    "household-join",
    "household-gone",
    "household-put",
    "household-ask",
    "household-refund",
    "household-seat",
    "household-taken-in",
    "household-out",
    "household-back",
    "household-reward-ask",
    "household-reward-allowed",
    "household-reward-give",
    "household-reward-had",
    "household-reward-back",
];

/// What an event of this member caused for another member was refused there: its value comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedFollowUp {
    /// This member's event that caused it.
    pub cause: EventId,
    /// Who refused it.
    #[serde(with = "member_text")]
    pub by: MemberId,
    pub kind: CompactString,
    /// The data of what was refused, as JSON.
    pub data: String,
    /// Why: the refusal's code.
    pub code: CompactString,
}

impl RefusedFollowUp {
    /// The card that could not be made or taken back, where it is about one.
    pub fn reward_card(&self) -> Option<RewardCard> {
        let is_one = self.kind == REWARD_CARD || self.kind == "gift-card-take-back";
        is_one.then(|| serde_json::from_str(&self.data).ok()).flatten()
    }

    /// The redemption of its own that the refused word was about: whoever sent it has to look at it again.
    pub fn names_redemption(&self) -> Option<u64> {
        let of_reward = || match read_follow_up(&self.kind, &self.data) {
            Ok(What::HouseholdNews(news)) => news.of_reward(),
            _ => None,
        };
        self.reward_card().map(|card| card.redemption.seq).or_else(of_reward)
    }
}

/// Reads a follow-up's data, which we wrote ourselves.
pub fn read_follow_up(kind: &str, data: &str) -> Result<What, DataProblem> {
    let read = match kind {
        "transfer-in" => serde_json::from_str(data).map(What::Arrival),
        "follow-up-refused" => serde_json::from_str(data).map(What::FollowUpRefused),
        kind if kind.starts_with("referral-") => serde_json::from_str(data).map(What::Referral),
        kind if kind.starts_with("household-") => serde_json::from_str(data).map(What::HouseholdNews),
        "gift-card-refund" => serde_json::from_str(data).map(What::GiftCardRefund),
        "gift-card-take-back" => serde_json::from_str(data).map(What::GiftCardTakeBack),
        "gift-card-taken-back" => serde_json::from_str(data).map(What::GiftCardTakenBack),
        "merge-in" => serde_json::from_str(data).map(|brought| What::MergeIn(Box::new(brought))),
        "merge-back" => serde_json::from_str(data).map(What::MergeBack),
        "survivor-left" => serde_json::from_str(data).map(What::SurvivorLeft),
        _ => return Err(DataProblem::new("type", format!("no event causes a `{kind}` for another member"))),
    };
    read.map_err(|error| DataProblem::new("data", error.to_string()))
}

impl What {
    /// Whether another member's event caused this. It reaches whoever it names, whatever has become of them.
    pub const fn is_follow_up(&self) -> bool {
        matches!(
            self,
            Self::Arrival(_)
                | Self::Referral(_)
                | Self::FollowUpRefused(_)
                | Self::GiftCardRefund(_)
                | Self::GiftCardTakeBack(_)
                | Self::GiftCardTakenBack(_)
                | Self::MergeIn(_)
                | Self::MergeBack(_)
                | Self::SurvivorLeft(_)
                | Self::HouseholdNews(_)
        )
    }

    /// Whether this is about what a member has now. Such a command is never before what they have seen already.
    pub const fn is_never_past(&self) -> bool {
        self.is_about_now()
            || self.is_follow_up()
            || matches!(
                self,
                Self::Transfer(_)
                    | Self::Rename(_)
                    | Self::Leave { .. }
                    | Self::GiftCard(_)
                    | Self::Merge(_)
                    | Self::Unmerge(_)
                    | Self::Household(_)
            )
    }
}
