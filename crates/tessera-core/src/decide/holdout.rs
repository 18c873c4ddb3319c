//! Who does not get an offer, so that what it brings can be measured (C9).

use rust_decimal::Decimal;

use crate::id::MemberId;
use crate::member::MemberState;
use crate::program::{Campaign, HoldoutPerson, Id, Program, Share};

/// Whether a member is held out of a campaign: by its own share, or by the program's control group.
///
/// Base earning and campaigns open to all are promises to everybody; the control group only stays out of targeted ones.
pub(super) fn is_held_out(program: &Program, campaign: &Campaign, member: &MemberState) -> bool {
    if campaign.is_base {
        return false;
    }
    let member = person(program, member);
    let salt = program.definition.program.as_str();
    let own = campaign.holdout.is_some_and(|share| falls_within(salt, campaign.id.as_str(), member, share));
    let control = Id::constant("control-group");
    own || is_targeted(campaign)
        && program.definition.control_group.is_some_and(|share| falls_within(salt, control.as_str(), member, share))
}

/// Who is drawn: the member, or where the document says so the household they are in.
fn person(program: &Program, member: &MemberState) -> MemberId {
    let households = program.definition.households.as_ref();
    let together = households.is_some_and(|households| households.holdout == HoldoutPerson::Household);
    member.home().filter(|_| together).unwrap_or(member.id)
}

fn is_targeted(campaign: &Campaign) -> bool {
    campaign.audience.is_some() || campaign.holdout.is_some()
}

/// Whether some members are held out of a campaign, so that both groups are worth noting.
pub(super) fn is_measured(program: &Program, campaign: &Campaign) -> bool {
    let by_control_group = program.definition.control_group.is_some() && is_targeted(campaign);
    !campaign.is_base && (campaign.holdout.is_some() || by_control_group)
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
