use crate::time::Instant;

/// A guest's order that a member says is theirs (P6).
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The code of the receipt, in its canonical form.
    pub code: compact_str::CompactString,
    /// When it was claimed; business time is that of the purchase.
    pub claimed_at: Instant,
    /// Whether whoever claims it rang it up.
    pub is_own_sale: bool,
}

impl Claim {
    /// The name under which an order's code is kept among the keys of orders.
    pub fn key_of(code: &str) -> compact_str::CompactString {
        compact_str::format_compact!("claim code {code}")
    }
}
