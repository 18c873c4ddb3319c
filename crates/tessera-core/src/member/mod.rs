//! A member's state: one bounded row, a fold of entries and changes.

mod change;
mod play;
mod referral;
mod state;

pub use change::{Change, ParkedEvent};
pub use play::{Badge, Progress, Ranked, Reward, Run, Streak};
pub use referral::{Paid, Referral, ReferralCredit, ReferralStatus};
pub use state::{Bucketed, Counter, Fraction, Grant, Ladder, MemberState, StateError, Statistics, Status};
