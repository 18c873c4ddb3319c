use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a decimal becomes a whole number (M2). The rule names it; nothing rounds silently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Down: 1.99 is 1.
    #[default]
    Floor,
    /// To the nearest, halves up: 1.5 is 2.
    HalfUp,
    /// To the nearest, halves to the even neighbour: 1.5 and 2.5 are 2.
    HalfEven,
}

impl Rounding {
    /// The whole number; beyond `i64` the nearest end.
    pub fn whole(self, value: Decimal) -> i64 {
        let strategy = match self {
            Self::Floor => RoundingStrategy::ToNegativeInfinity,
            Self::HalfUp => RoundingStrategy::MidpointAwayFromZero,
            Self::HalfEven => RoundingStrategy::MidpointNearestEven,
        };
        let rounded = value.round_dp_with_strategy(0, strategy);
        rounded.to_i64().unwrap_or(if rounded.is_sign_negative() { i64::MIN } else { i64::MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m2_each_rounding_is_what_it_says() {
        let case = |text: &str, rounding: Rounding| rounding.whole(text.parse().unwrap());
        assert_eq!([case("1.99", Rounding::Floor), case("-1.5", Rounding::Floor)], [1, -2]);
        assert_eq!([case("1.5", Rounding::HalfUp), case("2.5", Rounding::HalfUp)], [2, 3]);
        assert_eq!([case("1.5", Rounding::HalfEven), case("2.5", Rounding::HalfEven)], [2, 2]);
    }
}
