use compact_str::CompactString;

use super::{HouseholdStep, What};

/// A member is frozen, or no longer: what they have stays, and nothing of it is spent or sent meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    pub frozen: bool,
    /// A word for why, or the id of a case. Nobody's name.
    pub reason: CompactString,
}

impl Freeze {
    /// The event type's name.
    pub const fn event_type(&self) -> &'static str {
        if self.frozen { "freeze" } else { "thaw" }
    }
}

impl What {
    /// Whether somebody gets something out of the account by this, or changes who it belongs to: not while it is frozen.
    pub fn is_stopped_by_freezing(&self) -> bool {
        match self {
            Self::Redeem(_)
            | Self::Capture(_)
            | Self::RedeemVoucher(_)
            | Self::Transfer(_)
            | Self::UseBenefit(_)
            | Self::Merge(_)
            | Self::Claim(_)
            | Self::WaitFor { .. }
            | Self::Household(HouseholdStep::PutIn { .. }) => true,
            Self::Purchase(_) | Self::Exchange(_) => self.voucher_codes().next().is_some(),
            _ => false,
        }
    }
}
