use std::sync::Arc;

use compact_str::CompactString;
use serde_json::json;
use serde_json::value::RawValue;
use tessera_core::event::{RedeemVoucher, RollbackVoucher, What, read_event};
use tessera_core::time::Instant;

use crate::identifier::Subject;
use crate::keyed::by_key;
use crate::programs::ProgramHandle;
use crate::secret::Secrets;
use crate::submission::{Refusal, Submission};

impl Submission {
    /// Uses a code by itself. `order`: what is bought, as the data of a purchase. `key`: the caller's idempotency key.
    ///
    /// # Errors
    /// Where what is bought is no purchase of this program.
    pub fn redeem_voucher(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        member: Subject,
        (code, order_id, order): (CompactString, Option<CompactString>, Option<&RawValue>),
        key: &str,
        now: Instant,
    ) -> Result<Self, Refusal> {
        let mut data = json!({ "code": code.as_str() });
        if let Some(order_id) = &order_id {
            data["order_id"] = order_id.as_str().into();
        }
        let mut cart = None;
        if let Some(text) = order {
            data["order"] = serde_json::from_str(text.get()).unwrap_or_default();
            cart = Some(crate::voucher::cart(program, text.get(), now)?);
        }
        let order_id = order_id.or_else(|| cart.as_ref().map(|cart| cart.order_id.clone()).filter(|id| id != "cart"));
        let what = What::RedeemVoucher(RedeemVoucher { code, order_id, order: cart });
        Ok(by_key(secrets, program, member, what, &data, key, now))
    }

    /// Takes a use of a code back. `key`: the caller's idempotency key.
    pub fn rollback_voucher(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        member: Subject,
        (code, order_id): (CompactString, Option<CompactString>),
        key: &str,
        now: Instant,
    ) -> Self {
        let mut data = json!({ "code": code.as_str() });
        if let Some(order_id) = &order_id {
            data["order_id"] = order_id.as_str().into();
        }
        let what = What::RollbackVoucher(RollbackVoucher { code, order_id });
        by_key(secrets, program, member, what, &data, key, now)
    }
}

/// What is bought, as the data of a purchase; a cart needs no number yet.
///
/// # Errors
/// Where it is no purchase of this program.
pub fn cart(program: &ProgramHandle, data: &str, now: Instant) -> Result<tessera_core::event::Order, Refusal> {
    let wrong = |detail: &str| Refusal::new("invalid-event", format!("order: {detail}")).with("path", "order");
    let mut value: serde_json::Value = serde_json::from_str(data).map_err(|error| wrong(&error.to_string()))?;
    let fields = value.as_object_mut().ok_or_else(|| wrong("the data of a purchase are expected"))?;
    fields.entry("order_id").or_insert_with(|| "cart".into());
    let versions = program.versions();
    match read_event(&versions.at(now).definition, "purchase", &value.to_string()) {
        Ok(What::Purchase(order)) => Ok(order),
        Ok(_) => Err(wrong("the data of a purchase are expected")),
        Err(problem) => {
            let path = problem.path.replacen("data", "order", 1);
            Err(Refusal::new("invalid-event", format!("{path}: {}", problem.message)).with("path", path))
        }
    }
}
