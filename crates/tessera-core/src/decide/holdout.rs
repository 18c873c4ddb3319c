//! Who does not get an offer, so that what it brings can be measured (C9).

use rust_decimal::Decimal;

use crate::id::MemberId;
use crate::member::MemberState;
use crate::program::{Campaign, HoldoutPerson, Id, Program, Share, Trigger};

/// The campaigns that a member is held out of: by their own share, or by the program's control group.
///
/// Base earning and campaigns open to all are promises to everybody; the control group only stays out of targeted ones.
pub(super) fn held_out(program: &Program, trigger: &Trigger, member: &MemberState) -> Vec<Id> {
    let member = person(program, member);
    let salt = program.definition.program.as_str();
    let control = Id::constant("control-group");
    let controls = program.definition.control_group.filter(|_| !trigger.targeted.is_empty());
    let in_control = controls.is_some_and(|share| falls_within(salt, control.as_str(), member, share));
    let targeted = trigger.targeted.iter().map(|place| &program.campaigns[*place]);
    let held = targeted.filter(|campaign| {
        let own = |share| falls_within(salt, campaign.id.as_str(), member, share);
        in_control || campaign.holdout.is_some_and(own)
    });
    held.map(|campaign| campaign.id.clone()).collect()
}

/// Who is drawn: the member, or where the document says so the household they are in.
fn person(program: &Program, member: &MemberState) -> MemberId {
    let households = program.definition.households.as_ref();
    let together = households.is_some_and(|households| households.holdout == HoldoutPerson::Household);
    member.home().filter(|_| together).unwrap_or(member.id)
}

/// Whether some members are held out of a campaign, so that both groups are worth noting.
pub(super) fn is_measured(program: &Program, campaign: &Campaign) -> bool {
    campaign.may_hold_out() && (campaign.holdout.is_some() || program.definition.control_group.is_some())
}

/// `hash(salt, campaign, person) < share`: raising the share only adds people.
fn falls_within(salt: &str, campaign: &str, member: MemberId, share: Share) -> bool {
    let mut hasher = blake3::Hasher::new();
    for part in [salt.as_bytes(), campaign.as_bytes(), member.as_bytes()] {
        hasher.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hasher.update(part);
    }
    let hash = hasher.finalize();
    let bytes = hash.as_bytes();
    let draw = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    Decimal::from(draw) < share.decimal() * Decimal::from(u64::from(u32::MAX) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c9_raising_the_share_only_adds_and_the_share_is_kept() {
        let members: Vec<MemberId> = (0..2_000_u16)
            .map(|number| {
                let mut random = [0; 10];
                random[..2].copy_from_slice(&number.to_be_bytes());
                MemberId::new(1, random)
            })
            .collect();
        let held = |share: &str| -> Vec<bool> {
            let share: Share = serde_json::from_str(&format!("\"{share}\"")).unwrap();
            members.iter().map(|member| falls_within("salt", "offer", *member, share)).collect()
        };
        let (tenth, third) = (held("0.1"), held("0.3"));
        assert!(tenth.iter().zip(&third).all(|(small, large)| !small || *large));
        let count = tenth.iter().filter(|held| **held).count();
        assert!((140..=260).contains(&count), "{count} of 2,000 at a tenth");
        assert!(held("0").iter().all(|held| !held) && held("1").iter().all(|held| *held));
    }
}
