//! Vouchers that go with what they were given for: a redemption that is cancelled, a step that a return takes back.

use compact_str::CompactString;

use super::outcome::{Effect, EffectKind};
use super::working::Working;
use super::{IssuedVoucher, Rejected};
use crate::event::What;
use crate::ledger::Redemption;
use crate::member::{Change, MemberState, StepVoucher};
use crate::program::{Id, OnUndo, Versions};
use crate::voucher::{CodeRecord, CodeStatus, normalise};

/// The codes that a command may make void, besides those it names. They are to be read before a decision.
pub fn undone_codes(what: &What, state: Option<&MemberState>, redemptions: &[(u64, Redemption)]) -> Vec<CompactString> {
    match what {
        What::ReturnRedemption(part) => {
            let found = redemptions.iter().find(|(seq, _)| *seq == part.redemption);
            let given = found.and_then(|(_, found)| found.given.as_ref()?.voucher.as_ref());
            given.and_then(|code| normalise(code).ok()).into_iter().collect()
        }
        What::Return(_) | What::Amend(_) | What::Exchange(_) => {
            state.map(|state| state.step_vouchers.iter().map(|known| known.code.clone()).collect()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

fn goes(versions: &Versions, version: u32, voucher: &Id) -> bool {
    let terms = versions.number(version).and_then(|rules| rules.definition.vouchers.get(voucher));
    terms.is_some_and(|terms| terms.on_undo == OnUndo::Void)
}

impl Working<'_> {
    /// A code as this decision knows it, where it goes with what it was given for.
    fn undone(&self, code: &str) -> Option<CodeRecord> {
        let known = self.voucher_codes.iter().chain(self.inputs.codes).find(|known| known.code == code)?;
        goes(self.inputs.versions, known.version, &known.voucher).then(|| known.clone())
    }

    fn void_code(&mut self, known: CodeRecord) {
        let effect = Effect {
            voucher: Some(known.voucher.clone()),
            code: Some(crate::voucher::as_shown(&known.code)),
            ..Effect::of(EffectKind::VoucherVoided)
        };
        self.effect(effect);
        self.voucher_codes.retain(|other| other.code != known.code);
        self.voucher_codes.push(CodeRecord { status: CodeStatus::Cancelled, ..known });
    }

    /// The voucher that goes with a redemption; one that was used keeps it from being cancelled.
    pub(super) fn voucher_to_void(&self, redemption: u64, found: &Redemption) -> Result<Option<CodeRecord>, Rejected> {
        let given = found.given.as_ref().and_then(|given| given.voucher.as_ref());
        let Some(known) = given.and_then(|code| self.undone(&normalise(code).ok()?)) else { return Ok(None) };
        if known.uses > 0 {
            let redemption = self.redemption_id(redemption);
            let (code, voucher) = (crate::voucher::as_shown(&known.code), known.voucher);
            return Err(Rejected::GivenVoucherUsed { redemption, code, voucher });
        }
        Ok((known.status == CodeStatus::Open).then_some(known))
    }

    pub(super) fn void_given(&mut self, known: Option<CodeRecord>) {
        if let Some(known) = known {
            self.void_code(known);
        }
    }

    /// Remembers what a step gave since so many vouchers were issued, as far as it goes with the step.
    pub(super) fn remember_vouchers(&mut self, of: &Id, (event, place): (u64, u32), before: usize) {
        let issued: Vec<IssuedVoucher> = self.issued_since(before);
        let versions = self.inputs.versions;
        for voucher in issued.into_iter().filter(|issued| goes(versions, issued.version, &issued.voucher)) {
            let code = normalise(&voucher.code).unwrap_or_default();
            let voucher = StepVoucher { event, of: of.clone(), place, code };
            self.change(Change::StepVoucher { voucher });
        }
    }

    /// A step is taken back: what was not used of its vouchers is void.
    pub(super) fn void_vouchers_of(&mut self, of: &Id, (event, place): (u64, u32)) {
        let is_its = |known: &&StepVoucher| known.of == *of && (known.event, known.place) == (event, place);
        let its: Vec<CompactString> =
            self.state.step_vouchers.iter().filter(is_its).map(|known| known.code.clone()).collect();
        for code in its {
            if let Some(known) = self.undone(&code).filter(|known| known.uses == 0 && known.status == CodeStatus::Open)
            {
                self.void_code(known);
            }
            self.change(Change::StepVoucherGone { code });
        }
    }
}
