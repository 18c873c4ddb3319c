//! Making one member of two, and two of one, on their way to the executor.

use std::sync::Arc;

use serde_json::json;
use tessera_core::event::{Merge, Unmerge, What};
use tessera_core::id::MemberId;
use tessera_core::time::Instant;

use crate::identifier::Subject;
use crate::keyed::by_key;
use crate::programs::ProgramHandle;
use crate::secret::Secrets;
use crate::submission::Submission;

impl Submission {
    /// Makes a member one with another. It is decided about the one who ends. `key`: the caller's idempotency key.
    pub fn merge(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        from: MemberId,
        merge: Merge,
        key: &str,
        now: Instant,
    ) -> Self {
        let mut data = json!({ "into": merge.into.to_string() });
        if let Some(reason) = &merge.reason {
            data["reason"] = reason.as_str().into();
        }
        by_key(secrets, program, Subject::Member(from), What::Merge(merge), &data, key, now)
    }

    /// Makes two of one again. It is decided about the survivor. `key`: the caller's idempotency key.
    pub fn unmerge(
        secrets: &Secrets,
        program: &Arc<ProgramHandle>,
        survivor: MemberId,
        from: MemberId,
        key: &str,
        now: Instant,
    ) -> Self {
        let data = json!({ "from": from.to_string() });
        by_key(secrets, program, Subject::Member(survivor), What::Unmerge(Unmerge { from }), &data, key, now)
    }
}
