//! A member's state: one bounded row, a fold of entries and changes.

mod change;
mod club;
mod household;
mod merge;
mod play;
mod referral;
mod shortfall;
mod standing;
mod state;
mod velocity;
mod waiting;

pub use change::{Change, ParkedEvent};
pub use club::{Club, ClubStatus, UsedOfClub};
pub use household::{Ask, AskState, Belonging, Household, Invitation, Person, PoolPart};
pub use merge::Merged;
pub use play::{Badge, Progress, Ranked, Reward, Run, StepVoucher, Streak};
pub use referral::{Paid, Referral, ReferralCredit, ReferralStatus};
pub use shortfall::{CameHome, Shortfall};
pub use standing::{BenefitUse, Condition, Placement, Told};
pub use state::{Bucketed, Counter, Fraction, GiftCard, Grant, Ladder, MemberState, StateError, Statistics, Status};
pub use velocity::{Frozen, Velocity};
pub use waiting::{WaitState, Waiting};
