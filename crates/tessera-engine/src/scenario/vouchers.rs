//! Vouchers of a story: codes are random, so a purchase names the voucher, and the member's own code is found.

use std::sync::Arc;

use serde_json::Value;
use tessera_core::id::MemberId;

use crate::engine::{Engine, EngineError};
use crate::identifier::Subject;
use crate::programs::ProgramHandle;
use crate::query::{self, PageRequest, VoucherState, VoucherView};

/// More vouchers of one member than this are not looked at.
const HELD_MAX: usize = 10_000;

/// What a member holds or held, newest first.
pub(super) fn held(
    engine: &Engine,
    program: &ProgramHandle,
    member: MemberId,
) -> Result<Vec<VoucherView>, crate::StoreError> {
    let page = PageRequest { limit: HELD_MAX, after: None };
    Ok(query::vouchers(&engine.context, program, member, (&page, None, "en"))?.items)
}

/// The data of an event with the member's codes in place of the names of vouchers: of those that are good the oldest,
/// else the newest, for a story that uses one twice.
pub(super) fn with_codes(
    engine: &Engine,
    program: &Arc<ProgramHandle>,
    subject: &Subject,
    data: &Value,
) -> Result<Value, EngineError> {
    let mut data = data.clone();
    let Some(member) = query::find_member(&engine.context, program, subject)? else { return Ok(data) };
    let held = held(engine, program, member)?;
    let mut taken = Vec::new();
    let mut name = |value: &mut Value| {
        let Some(wanted) = value.as_str() else { return };
        let of_kind = || held.iter().filter(|voucher| voucher.voucher == *wanted && !taken.contains(&voucher.code));
        let good = of_kind().rfind(|voucher| voucher.state == VoucherState::Open);
        if let Some(code) = good.or_else(|| of_kind().next()).map(|voucher| voucher.code.clone()) {
            *value = code.clone().into();
            taken.push(code);
        }
    };
    for place in ["/vouchers", "/bought/vouchers"] {
        let codes = data.pointer_mut(place).and_then(Value::as_array_mut);
        codes.into_iter().flatten().for_each(&mut name);
    }
    Ok(data)
}
