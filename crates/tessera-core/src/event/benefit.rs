use compact_str::CompactString;

use super::FieldValue;
use crate::program::Id;
use crate::quantity::Amount;
use crate::time::Instant;

/// A wish to use a benefit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseBenefit {
    pub benefit: Id,
    /// The order it is used for: a return of all of it may give the use back.
    pub order_id: Option<CompactString>,
    pub situation: Situation,
}

/// What is known of the moment a benefit is used, or asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// What the order comes to, in the program's currency.
    pub total: Option<Amount>,
    pub shipping: Option<Amount>,
    pub location: Option<CompactString>,
    pub channel: Option<CompactString>,
    /// When what is asked for is open to everybody: early access counts from it.
    pub public_at: Option<Instant>,
}

impl Situation {
    /// The fields that conditions read, as far as they were said.
    pub(crate) fn fields(&self) -> Vec<(CompactString, FieldValue)> {
        let amounts = [("total", self.total), ("shipping", self.shipping)];
        let texts = [("location", &self.location), ("channel", &self.channel)];
        let amounts = amounts.into_iter().filter_map(|(name, value)| Some((name, FieldValue::Number(value?))));
        let texts =
            texts.into_iter().filter_map(|(name, value)| Some((name, FieldValue::Text(value.as_ref()?.clone()))));
        amounts.chain(texts).map(|(name, value)| (CompactString::const_new(name), value)).collect()
    }
}
