//! A loyalty program as a document: read, checked, compiled, compared.

mod adjustments;
mod benefits;
mod campaigns;
mod cards;
mod challenges;
mod claims;
mod compile;
mod currencies;
mod decode;
mod definition;
mod diff;
mod event_types;
mod gift_cards;
mod gives;
mod households;
mod index;
mod inert;
mod ladders;
mod leaderboards;
mod limits;
mod lint;
mod made;
mod members;
mod membership;
mod node;
mod partners;
mod people;
mod prices;
mod problem;
mod proof;
mod referral;
mod rewards;
mod scalar;
mod spending;
mod stacking;
mod streaks;
mod transfers;
mod triggers;
mod validate;
mod velocity;
mod version;
mod vouchers;

pub use adjustments::{AdjustmentsDefinition, ReasonDefinition, RoleLimit, Sign};
pub(crate) use benefits::membership_year;
pub use benefits::{Benefit, BenefitDefinition, USE_FIELDS, UseOnReturn, UseWindow};
pub use cards::{CardDefinition, Gift, STAMPS_MAX};
pub use challenges::{
    BadgeDefinition, CHALLENGES_MAX, Challenge, ChallengeDefinition, Join, STEPS_MAX, StepDefinition, VALUE_BYTES_MAX,
    VALUES_MAX, Within,
};
pub use claims::ClaimsDefinition;
pub use compile::{Award, Campaign, Extra, LadderRules, Program, Rule};
pub use decode::{Mistakes, decode};
pub use definition::*;
pub use diff::{Difference, difference};
pub use gift_cards::{GIFT_CARD, GiftCardsDefinition};
pub use gives::{Donation, Experience, GivenBenefit, RewardGives};
pub use households::{Contributed, HoldoutPerson, HouseholdsDefinition, Inviters, PoolDefinition, Spenders};
pub use leaderboards::{
    BANDS, LeaderboardDefinition, Names, PLACES_MAX, PRIZES_MAX, PrizeDefinition, RankingDefinition,
};
pub(crate) use limits::key as limit_key;
pub use limits::{CapRule, Limits};
pub use members::{MembersDefinition, MergeDefinition};
pub use membership::{MembershipDefinition, PlanDefinition, Refund, RefundPolicy, Renews};
pub(crate) use membership::{from_minor, minor};
pub use node::{DOCUMENT_BYTES_MAX, Key, Kind, Node, Position, read as read_tree};
pub use partners::{EGift, PartnerDefinition, Shop};
pub use people::{IdentityDefinition, LeavingDefinition, LeavingPoints};
pub use prices::{Price, PriceDefinition};
pub use problem::{Problem, Severity, nearest};
pub use proof::{ProofDefinition, ProofKind};
pub use referral::{
    QualifiesDefinition, Referral, ReferralAward, ReferralDefinition, ReferralGift, ReferralGives, ReferralLimit,
    ReferralReturned,
};
pub use rewards::{ByHand, CauseDefinition, CodePoolDefinition, Early, Reward, RewardDefinition, Waitlist};
pub(crate) use scalar::id_or_empty;
pub use scalar::{Exact, Formula, Id, IdProblem, Share, Texts};
pub use spending::{CashRounding, Restored, SpendDefinition};
pub use streaks::{Every, MilestoneDefinition, StreakDefinition, StreakRules};
pub use transfers::{TransferDefinition, TransferTo};
pub use triggers::Trigger;
use validate::Strictness;
pub use velocity::{
    OwnPurchases, Per, StaffDefinition, Stretch, StretchError, Summed, VelocityAction, VelocityDefinition,
    VelocityRule, Watched, Who,
};
pub use version::Versions;
pub use vouchers::{Gives, ItemChoice, OnUndo, OnVoucherReturn, PercentOf, Stacks, Uses, Voucher, VoucherDefinition};

/// The JSON Schema of a program document, for editors and other tools.
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Definition);
    schema.insert("title".to_owned(), "Tessera program".into());
    schema.insert("$id".to_owned(), "https://tessera.example/program.schema.json".into());
    schema.to_value()
}

/// A document that was read and found valid.
#[derive(Clone, Debug)]
pub struct Document {
    pub tree: Node,
    pub definition: Definition,
    /// Warnings only.
    pub findings: Vec<Problem>,
}

/// Reads a YAML or JSON text and checks it, or lists every mistake in the order of its lines.
pub fn read_document(text: &str) -> Result<Document, Vec<Problem>> {
    check_document(node::read(text).map_err(|problem| vec![problem])?)
}

/// Checks a document that stands inside another text; what is wrong with it is told by the lines there.
pub fn check_document(tree: Node) -> Result<Document, Vec<Problem>> {
    let mut definition: Definition = match decode::decode(&tree, explain_unknown) {
        Ok(definition) => definition,
        Err(mistakes) => {
            let mut problems = mistakes.problems;
            if let Some(mut definition) = mistakes.without_unknown_keys {
                definition.complete();
                problems.extend(Program::compile(&definition, &tree, 0, Strictness::New).1);
            }
            problems.sort_by(|left, right| left.at.cmp(&right.at).then(left.message.cmp(&right.message)));
            return Err(problems);
        }
    };
    definition.complete();
    let (_, mut findings) = Program::compile(&definition, &tree, 0, Strictness::New);
    findings.sort_by(|left, right| left.at.cmp(&right.at).then(left.message.cmp(&right.message)));
    findings.dedup();
    if findings.iter().any(Problem::is_error) {
        return Err(findings);
    }
    Ok(Document { tree, definition, findings })
}

/// Reads a text that is published already, for deciding.
///
/// It was checked when it was published. What is refused of new documents since then goes on doing what it did, so that
/// a newer Tessera never keeps a program from starting; only what cannot be run at all is an error.
pub fn load_program(text: &str, version: u32) -> Result<Program, Vec<Problem>> {
    let document = load_document(text)?;
    let (program, findings) = Program::compile(&document.definition, &document.tree, version, Strictness::Published);
    program.ok_or(findings)
}

/// Reads a text that is published already, for comparing: as [`load_program`], without findings.
pub fn load_document(text: &str) -> Result<Document, Vec<Problem>> {
    let tree = node::read(text).map_err(|problem| vec![problem])?;
    let mut definition: Definition = match decode::decode(&tree, explain_unknown) {
        Ok(definition) => definition,
        Err(mistakes) => mistakes.without_unknown_keys.ok_or(mistakes.problems)?,
    };
    definition.complete();
    Ok(Document { tree, definition, findings: Vec::new() })
}

/// What to say of a key that belongs to a feature still to come.
fn explain_unknown(path: &[String], key: &str) -> Option<String> {
    let in_rule = path.len() == 4 && path[0] == "campaigns" && path[2] == "rules";
    if path.is_empty() && LATER_SECTIONS.contains(&key) {
        return Some(format!("`{key}` is not supported by this version yet: leave the section out"));
    }
    (in_rule && LATER_ACTIONS.contains(&key))
        .then(|| format!("`{key}` is not supported by this version yet: leave the action out"))
}
