//! Paying with points (M6): how many pay for how much of a bill, and how the rest is rounded by tender.

use rust_decimal::Decimal;
use serde::Serialize;

use super::{Amount, Points, Rounding};

/// In which amounts points of a currency can be spent, and what they are worth then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointTender {
    /// Money that one is worth, in the major unit.
    pub value: Decimal,
    /// Digits behind the point of the currency: at a scale of 2, a hundred units are one.
    pub scale: u32,
    /// Only multiples of so many units are spent.
    pub step: i64,
    /// Never fewer units than this, unless none.
    pub min: i64,
    /// Digits behind the point of the money: 0 for VND, 2 for THB.
    pub decimals: u32,
}

/// A bill paid with points and money. The parts are exactly the payable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointPayment {
    pub points: Points,
    /// What the points pay.
    pub covered: Amount,
    /// What is left to pay in money, before its tender rounds it.
    pub remainder: Amount,
}

impl PointPayment {
    fn none(payable: Amount) -> Self {
        Self { points: Points::ZERO, covered: Amount::ZERO, remainder: payable }
    }
}

/// As many points as are there and wanted, in whole steps, at most the exact payable: points never pay for rounding,
/// and nothing is paid twice. No points where the least that may be spent is out of reach.
///
/// Where a step's worth is no whole number of the money's smallest unit, only as many steps go together as are.
pub fn pay_with_points(payable: Amount, wanted: Points, tender: &PointTender) -> PointPayment {
    let step = tender.step.max(1);
    let Some(worth) = tender.worth_of_step() else { return PointPayment::none(payable) };
    let affordable = payable.to_decimal().checked_div(worth).map_or(0, |steps| Rounding::Floor.whole(steps));
    let steps = affordable.clamp(0, wanted.get() / step);
    let together = steps_together(worth, tender.decimals);
    let steps = steps - steps % together;
    let covered = worth.checked_mul(Decimal::from(steps)).and_then(|covered| Amount::try_from(covered).ok());
    match (covered, Points::new(steps * step)) {
        (Some(covered), Ok(points)) if steps > 0 && points.get() >= tender.min => {
            PointPayment { points, covered, remainder: payable - covered }
        }
        _ => PointPayment::none(payable),
    }
}

impl PointTender {
    /// What one step pays; `None` where points are worth nothing.
    fn worth_of_step(&self) -> Option<Decimal> {
        let units = Decimal::from(self.step.max(1)).checked_div(Decimal::from(10_i64.pow(self.scale.min(6))))?;
        units.checked_mul(self.value).map(|worth| worth.normalize()).filter(|worth| *worth > Decimal::ZERO)
    }

    /// The least number of units, above 0, whose multiples can be spent: for a bill, such as are worth whole money.
    pub fn step_of(&self, pays_a_bill: bool) -> i64 {
        let step = self.step.max(1);
        match self.worth_of_step().filter(|_| pays_a_bill) {
            Some(worth) => step.saturating_mul(steps_together(worth, self.decimals)),
            None => step,
        }
    }

    /// From where to where points can be spent, for a bill or without one.
    pub fn choices(&self, payable: Option<Amount>, available: Points) -> Choices {
        let step = self.step_of(payable.is_some());
        let least = self.min.max(1);
        let min = step.saturating_mul(least / step + i64::from(least % step != 0));
        let max = match payable {
            Some(payable) => pay_with_points(payable, available, self).points.get(),
            None => available.get() - available.get() % step,
        };
        Choices { min, max: if max < min { 0 } else { max }, step }
    }
}

/// The numbers of points that can be chosen: `min`, and every `step` more up to `max`. Where `max` is 0, none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Choices {
    pub min: i64,
    pub max: i64,
    pub step: i64,
}

/// The least number of steps that is worth a whole number of the money's smallest unit.
fn steps_together(worth: Decimal, decimals: u32) -> i64 {
    let digits = worth.scale().saturating_sub(decimals);
    // More digits than an amount keeps never come out even in any number of points.
    let Some(whole) = 10_i128.checked_pow(digits) else { return i64::MAX };
    i64::try_from(whole / common_divisor(worth.mantissa(), whole)).unwrap_or(i64::MAX)
}

fn common_divisor(mut left: i128, mut right: i128) -> i128 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left.abs().max(1)
}

/// How a tender rounds what is paid in it: cash to 500 or 1,000 ₫, or to 25 satang; a card not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenderRounding {
    pub step: Amount,
    pub rounding: Rounding,
}

impl TenderRounding {
    /// What is asked for, and by how much that is more than what was owed (less when negative). The difference is
    /// nobody's spending: it never earns.
    pub fn round(&self, remainder: Amount) -> (Amount, Amount) {
        let step = self.step.to_decimal();
        let Some(steps) = remainder.to_decimal().checked_div(step) else { return (remainder, Amount::ZERO) };
        let asked = Amount::from_millionths(i128::from(self.rounding.whole(steps)) * self.step.millionths());
        (asked, asked - remainder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    /// A bean is worth 100 ₫; 10 at a time, at least 50.
    const BEAN: PointTender = PointTender { value: Decimal::ONE_HUNDRED, scale: 0, step: 10, min: 50, decimals: 0 };

    #[test]
    fn m6_points_pay_up_to_the_exact_payable_in_whole_steps() {
        let pay = |payable: &str, wanted: i64| {
            let paid = pay_with_points(amount(payable), Points::new(wanted).unwrap(), &BEAN);
            assert_eq!(paid.covered + paid.remainder, amount(payable), "the parts are the whole");
            (paid.points.get(), paid.remainder.to_string())
        };
        assert_eq!(pay("54500", 1_000), (540, "500".into()), "only the rest of 500 is money");
        assert_eq!(pay("50000", 1_000), (500, "0".into()));
        assert_eq!(pay("50000", 129), (120, "38000".into()), "no more than are there, in tens");
        assert_eq!(pay("50000", 49), (0, "50000".into()), "fewer than 50 are not spent");
        assert_eq!(pay("4900", 1_000), (0, "4900".into()), "49 would do, but 50 are the least");
        assert_eq!(pay("5000", 1_000), (50, "0".into()));
        assert_eq!(pay("0", 1_000), (0, "0".into()));
    }

    #[test]
    fn m6_a_currency_with_digits_behind_the_point_pays_by_its_units() {
        let cashback = PointTender { value: Decimal::ONE, scale: 2, step: 1, min: 0, decimals: 2 };
        let paid = pay_with_points(amount("99.50"), Points::new(10_000).unwrap(), &cashback);
        assert_eq!((paid.points.get(), paid.remainder), (9_950, Amount::ZERO));
    }

    #[test]
    fn m6_a_value_that_does_not_divide_money_leaves_no_fraction_behind() {
        let pay = |value: &str, decimals: u32| {
            let tender = PointTender { value: value.parse().unwrap(), scale: 0, step: 1, min: 0, decimals };
            let paid = pay_with_points(amount("10"), Points::MAX, &tender);
            (paid.points.get(), paid.covered.to_string())
        };
        assert_eq!(pay("0.35", 0), (20, "7".into()), "20 are worth 7 exactly; 28 would be 9.80");
        assert_eq!(pay("0.35", 2), (28, "9.8".into()));
        assert_eq!(pay("0.3333333333", 2), (0, "0".into()), "no number of them is worth an exact amount");
        assert_eq!(pay("0", 2), (0, "0".into()));
        assert_eq!(pay("0.000001", 2), (10_000_000, "10".into()));
    }

    #[test]
    fn m6_the_choices_are_whole_steps_from_the_least_to_what_is_there_and_payable() {
        let choices = |payable: Option<&str>, available: i64| {
            let choices = BEAN.choices(payable.map(amount), Points::new(available).unwrap());
            (choices.min, choices.max, choices.step)
        };
        assert_eq!(choices(Some("54500"), 1_000), (50, 540, 10));
        assert_eq!(choices(Some("54500"), 129), (50, 120, 10));
        assert_eq!(choices(Some("4900"), 1_000), (50, 0, 10), "49 would do, but 50 are the least");
        assert_eq!(choices(None, 129), (50, 120, 10));
        assert_eq!(choices(None, 49), (50, 0, 10));
        let odd = PointTender { step: 7, min: 50, ..BEAN };
        assert_eq!(odd.choices(None, Points::new(100).unwrap()), Choices { min: 56, max: 98, step: 7 });
        let third = PointTender { value: "0.35".parse().unwrap(), step: 1, min: 0, ..BEAN };
        assert_eq!(third.choices(Some(amount("10")), Points::MAX), Choices { min: 20, max: 20, step: 20 });
        assert_eq!(third.choices(None, Points::new(3).unwrap()), Choices { min: 1, max: 3, step: 1 });
    }

    #[test]
    fn m6_only_the_money_remainder_is_rounded_by_its_tender() {
        let round = |step: &str, rounding: Rounding, owed: &str| {
            let (asked, difference) = TenderRounding { step: amount(step), rounding }.round(amount(owed));
            assert_eq!(asked - difference, amount(owed));
            (asked.to_string(), difference.to_string())
        };
        assert_eq!(round("500", Rounding::HalfUp, "54700"), ("54500".into(), "-200".into()));
        assert_eq!(round("1000", Rounding::HalfUp, "54500"), ("55000".into(), "500".into()));
        assert_eq!(round("1000", Rounding::HalfEven, "54500"), ("54000".into(), "-500".into()));
        assert_eq!(round("0.25", Rounding::Floor, "99.40"), ("99.25".into(), "-0.15".into()));
        assert_eq!(round("0.25", Rounding::HalfUp, "99.40"), ("99.5".into(), "0.1".into()));
        assert_eq!(round("0", Rounding::HalfUp, "99.40"), ("99.4".into(), "0".into()), "a card is not rounded");
    }
}
