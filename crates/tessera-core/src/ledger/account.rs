use serde::{Deserialize, Serialize};

/// Where points are, or come from and go to.
///
/// The first four are the member's; the rest are the program's. Over all accounts a currency sums to zero:
/// issued + imported ± adjusted + debt = active + pending + held + redeemed + expired + taken back + written off ± clearing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// Spendable, in lots.
    Active,
    /// Earned, not yet spendable.
    Pending,
    /// Reserved for a redemption that is under way.
    Held,
    /// Owed by the member: taken back after it was spent.
    Debt,
    Issued,
    Redeemed,
    Expired,
    /// On the way between two members.
    Clearing,
    Adjusted,
    Imported,
    WrittenOff,
}

impl Account {
    pub const ALL: [Self; 11] = [
        Self::Active,
        Self::Pending,
        Self::Held,
        Self::Debt,
        Self::Issued,
        Self::Redeemed,
        Self::Expired,
        Self::Clearing,
        Self::Adjusted,
        Self::Imported,
        Self::WrittenOff,
    ];

    /// The number stored for it; never changes.
    pub const fn code(self) -> u8 {
        match self {
            Self::Active => 1,
            Self::Pending => 2,
            Self::Held => 3,
            Self::Debt => 4,
            Self::Issued => 10,
            Self::Redeemed => 11,
            Self::Expired => 12,
            Self::Clearing => 13,
            Self::Adjusted => 14,
            Self::Imported => 15,
            Self::WrittenOff => 16,
        }
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|account| account.code() == code)
    }

    /// Whether the account is the member's own.
    pub const fn is_members(self) -> bool {
        matches!(self, Self::Active | Self::Pending | Self::Held | Self::Debt)
    }
}
