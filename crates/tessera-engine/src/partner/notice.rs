use std::sync::Arc;

use tessera_connect::partner::{NoticeKind, NoticeProblem, Partners};
use tessera_connect::signature::{SignatureProblem, SignedHeaders};
use tessera_core::id::EventId;
use tessera_core::ledger::PartnerState;
use tessera_store::StoreError;

use super::outgoing::{keep, stored};
use crate::executor::{Context, Executor};
use crate::programs::ProgramHandle;
use crate::submission::{Refusal, Submission};

/// What a partner's notice comes to.
#[derive(Debug)]
pub enum Received {
    /// To be sent through the door.
    Says(Box<Submission>),
    /// It was so already.
    Known,
    Refused(Refusal),
}

/// Reads a notice of a partner about one of their orders, once its signature is verified. What they delivered is sealed
/// and kept here; it stands in no event.
///
/// # Errors
/// If the database cannot be read or written.
pub fn receive(
    (context, executor): (&Context, &Executor),
    partners: &Partners,
    program: &Arc<ProgramHandle>,
    partner: &str,
    (headers, body): (&SignedHeaders, &[u8]),
) -> Result<Received, StoreError> {
    let now = context.clock.now();
    let refuse = |code: &str, detail: &str| Ok(Received::Refused(Refusal::new(code, detail.to_owned())));
    let Some(reached) = partners.get(partner) else {
        return refuse("unknown-partner", "this server knows no such partner: see [partners] in its settings");
    };
    let notice = match reached.adapter.read(headers, body, now) {
        Ok(notice) => notice,
        Err(problem) => {
            let code = match problem {
                NoticeProblem::Signature(SignatureProblem::Old) => "signature-too-old",
                NoticeProblem::Signature(_) => "wrong-signature",
                NoticeProblem::Unreadable(_) => "invalid-request",
            };
            return refuse(code, &problem.to_string());
        }
    };
    let number = program.number;
    let id = notice.order.parse::<EventId>().ok();
    let order = match id {
        Some(id) => context.database.read(|reader| stored(reader, number, id))?.map(|order| (id, order)),
        None => None,
    };
    // An order of another partner is nobody's business here.
    let Some((id, order)) = order.filter(|(_, order)| order.partner == partner) else {
        return refuse("unknown-partner-order", "this partner has no such order of this program");
    };
    let to = match notice.kind {
        NoticeKind::Delivered => PartnerState::Delivered,
        NoticeKind::Refused => PartnerState::Refused,
        NoticeKind::Used => PartnerState::Used,
        NoticeKind::Expired => PartnerState::Expired,
        NoticeKind::Refunded => PartnerState::Refunded,
    };
    if order.state == to {
        return Ok(Received::Known);
    }
    let (reference, code) = (notice.reference, notice.code.filter(|_| to == PartnerState::Delivered));
    if reference.is_some() || code.is_some() {
        let secrets = context.secrets.clone();
        let kept = executor.write(move |tx| keep(tx, &secrets, (number, id), reference.as_deref(), code.as_deref()))?;
        if !kept {
            return refuse("reference-used", "`reference` is the name of another order of this partner");
        }
    }
    let reason = notice.reason.as_deref().filter(|_| to == PartnerState::Refused);
    let reason = reason.or((to == PartnerState::Refused).then_some("refused"));
    let key = format!("notice/{partner}/{}", notice.id);
    let submission = Submission::partner_step(&context.secrets, program, id, (to, reason), &key, now);
    Ok(Received::Says(Box::new(submission)))
}
