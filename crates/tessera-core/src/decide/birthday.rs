//! Birthdays (P8): a gift once per birthday, in the program's zone, ahead of the day as the campaign says.

use super::working::Working;
use super::{EventStatus, Rejected};
use crate::event::Profile;
use crate::member::{Change, MemberState};
use crate::program::{Id, Versions};
use crate::time::{Day, Instant, MonthDay};

/// A birthday gift that is due: when, by which campaign, for which birthday.
pub(super) struct DueGift {
    pub at: Instant,
    pub campaign: Id,
    pub birthday: Day,
}

/// Birthday gifts not yet given that are due at or before an instant.
pub(super) fn due(versions: &Versions, member: &MemberState, until: Instant) -> Vec<DueGift> {
    let (Some(_), Some(since)) = (member.birthday, member.birthday_since) else { return Vec::new() };
    let mut found = Vec::new();
    for (from, end, program) in versions.within(since, until) {
        let places = program.trigger("birthday").into_iter().flat_map(|trigger| &trigger.campaigns);
        let campaigns = places.map(|place| &program.campaigns[*place]).filter(|campaign| campaign.active);
        for campaign in campaigns {
            let given = member.gifts.iter().find(|(known, _)| *known == campaign.id).map(|(_, day)| *day);
            let since_day = program.calendar.day(since);
            // From the first birthday that can still be given; one is enough, the next follows once it is given.
            let first_day = program.calendar.day(since.max(from)).max(given.unwrap_or(since_day));
            for year in first_day.year()..first_day.year().saturating_add(3) {
                let Some(birthday) = birthday_in(member, year) else { continue };
                let passed = birthday < since_day || given.is_some_and(|given| birthday <= given);
                let at = program.calendar.start(birthday.plus(-campaign.days_before)).max(since);
                // Each due date belongs to the version in force then.
                let in_force = versions.at(at).version == program.version && at < end;
                if !passed && in_force {
                    if at <= until {
                        found.push(DueGift { at, campaign: campaign.id.clone(), birthday });
                    }
                    break;
                }
            }
        }
    }
    found
}

fn birthday_in(member: &MemberState, year: i16) -> Option<Day> {
    let birthday = match member.birthday_next {
        Some((from, next)) if year >= from => Some(next),
        _ => member.birthday,
    };
    birthday.and_then(|birthday| birthday.in_year(year))
}

impl Working<'_> {
    /// Gives one campaign's gift for the birthday that is due.
    pub(super) fn celebrate(&mut self, campaign: &Id, birthday: Day, at: Instant) {
        self.open("birthday", EventStatus::Derived, at, None);
        self.change(Change::Gift { campaign: campaign.clone(), birthday });
        self.run_trigger("birthday", &Vec::new(), at, Some(campaign));
        self.follow_causes();
    }

    /// Notes a birthday: the first one at once; after a first gift a new one holds from next year on.
    pub(super) fn note_birthday(&mut self, profile: &Profile) -> Result<(), Rejected> {
        let Some(birthday) = profile.birthday else { return Ok(()) };
        let birthday: MonthDay = birthday.0;
        let known = self.state.birthday_next.map(|(_, birthday)| birthday).or(self.state.birthday);
        if known == Some(birthday) {
            return Ok(());
        }
        if self.state.gifts.is_empty() {
            self.change(Change::Birthday { birthday, at: self.at() });
        } else {
            // The birthday of this year, or one given ahead for the next, is not celebrated twice.
            let given = self.state.gifts.iter().map(|(_, birthday)| birthday.year()).max().unwrap_or(0);
            if self.state.birthday.is_some() {
                let from_year = self.day().year().max(given) + 1;
                self.change(Change::BirthdayNext { from_year, birthday });
            } else {
                // Whoever came back is remembered by their gifts, not by their day (P3): it counts from the year behind
                // the last gift on.
                let first = Day::new(given + 1, 1, 1).map(|first| self.program.calendar.start(first));
                let at = first.map_or(self.at(), |first| first.max(self.at()));
                self.change(Change::Birthday { birthday, at });
            }
        }
        Ok(())
    }
}
