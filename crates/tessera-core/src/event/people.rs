use super::Birthday;
use crate::program::Id;

/// A name under which somebody is known, as decisions see it: its kind, and a keyed hash that tells nobody who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameKey {
    pub kind: Id,
    pub key: [u8; 16],
}

/// A change of the names under which a member is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Renaming {
    /// Kinds of the names that come to the member.
    pub added: Vec<Id>,
    /// Names that no longer lead to the member.
    pub removed: Vec<NameKey>,
    pub why: Removal,
    /// Whether a one-time code to the new name was right.
    pub proof: bool,
    pub second: Option<SecondFact>,
}

/// Why names no longer lead to a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Removal {
    /// The name is free again.
    #[default]
    Given,
    /// Lost, and another takes its place: the old one is blocked for ever.
    Replaced,
    /// The number is somebody else's by now.
    Reused,
}

impl Removal {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Given => "removed",
            Self::Replaced => "replaced",
            Self::Reused => "reused",
        }
    }
}

impl super::What {
    /// Whether the person is forgotten by this.
    pub const fn erases(&self) -> bool {
        match self {
            Self::Leave { erase } => *erase,
            Self::SurvivorLeft(left) => left.erase,
            _ => false,
        }
    }

    /// Whether this may happen to somebody who has left.
    pub const fn may_follow_leaving(&self) -> bool {
        matches!(
            self,
            Self::Leave { erase: true }
                | Self::FollowUpRefused(_)
                | Self::GiftCardTakenBack(_)
                | Self::SurvivorLeft(_)
                | Self::WakeUp
        )
    }
}

/// Something that only the member knows or has, besides the name that is changed (P4).
#[derive(Clone, Debug, PartialEq)]
pub enum SecondFact {
    /// Another name; `is_own`: whether it leads to the member.
    Name {
        name: NameKey,
        is_own: bool,
    },
    Birthday(Birthday),
}
