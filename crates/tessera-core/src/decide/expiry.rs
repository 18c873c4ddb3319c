//! When what is earned dies (L3, L4).

use crate::program::{Expires, Program};
use crate::time::{Day, Instant};

/// The last day of points earned on a day, with its end; none for currencies without a date of their own.
pub(super) fn last_day(program: &Program, expires: &Expires, earned_on: Day) -> Option<(Day, Instant)> {
    let last = match expires {
        Expires::Never | Expires::Inactivity { .. } => return None,
        // The period first, then the rounding.
        Expires::After { after, round } => round.last_day(after.after(earned_on)),
        Expires::Fixed { fixed } => {
            let in_year =
                |year: i16| Day::new(year, fixed.month, fixed.day).or_else(|| Day::new(year, fixed.month, 28));
            let this_year = in_year(earned_on.year())?;
            if this_year >= earned_on { this_year } else { in_year(earned_on.year() + 1)? }
        }
    };
    Some((last, program.calendar.end(last)))
}
