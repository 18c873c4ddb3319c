//! What is sent in a life, and how it is drawn.

use serde_json::{Value, json};
use tessera_core::decide::Outcome;
use tessera_core::event::{HouseholdStep, Merge, Redeem};
use tessera_core::id::MemberId;
use tessera_core::program::GIFT_CARD;
use tessera_core::time::Instant;
use tessera_engine::gift_card::{CardCode, CardStep, card_subject};
use tessera_engine::redemption::Step;
use tessera_engine::submission::Submission;
use tessera_testkit::app::{TestApp, event};
use tessera_testkit::shop::{id, json, reserve};

use super::{Life, MEMBERS, plus_hours};

/// Numbers that follow from a seed (SplitMix64, Steele et al. 2014).
#[derive(Default)]
pub(super) struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From 1 to `end`.
    pub fn amount(&mut self, end: u64) -> i64 {
        1 + i64::try_from(self.below(end)).unwrap()
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let end = u64::try_from(list.len()).ok().filter(|end| *end > 0)?;
        list.get(usize::try_from(self.below(end)).ok()?)
    }
}

/// A command as whoever sends it keeps it, to send it again.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Event(Value),
    Reserve {
        member: u64,
        points: i64,
        key: String,
    },
    Redemption {
        id: String,
        step: Step,
        key: String,
    },
    Household {
        about: MemberId,
        step: HouseholdStep,
        key: String,
    },
    /// Points of a pool, reserved by somebody of the household.
    Pool {
        household: MemberId,
        by: MemberId,
        points: i64,
        key: String,
    },
    Card {
        code: String,
        deed: Deed,
        key: String,
    },
    /// Money of a gift card, spent at once for an order or reserved.
    Pay {
        code: String,
        amount: i64,
        order_id: Option<String>,
        key: String,
    },
    Merge {
        from: MemberId,
        into: MemberId,
        key: String,
    },
    Unmerge {
        survivor: MemberId,
        from: MemberId,
        key: String,
    },
}

/// What is done with a gift card.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    Issue(i64),
    TopUp(i64),
    Block,
    Unblock,
    Void,
    /// Under this code from now on.
    Replace(String),
}

/// What became of a command, as far as its sender knows.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// No answer, or one that says "again".
    Open,
    Done(Box<Outcome>),
    Refused(String),
}

pub(super) struct Sent {
    pub command: Command,
    pub fate: Fate,
    /// Business time: it is not sent again while the clock stands before it.
    pub not_before: Instant,
}

impl Command {
    pub fn submission(&self, app: &TestApp) -> Submission {
        let (secrets, program, now) = (&app.engine().context.secrets, &app.program, app.now());
        match self {
            Self::Event(event) => app.read(event).unwrap(),
            Self::Reserve { member, points, key } => {
                app.redeeming(&format!("card:{member}"), reserve("point", *points), key)
            }
            Self::Redemption { id, step, key } => app.redemption_step(id, *step, key),
            Self::Household { about, step, key } => {
                let about = about.to_string().parse().unwrap();
                Submission::household(secrets, program, about, step.clone(), key, now)
            }
            Self::Pool { household, by, points, key } => {
                let redeem = Redeem { by: Some(*by), ..reserve("point", *points) };
                app.redeeming(&household.to_string(), redeem, key)
            }
            Self::Card { code, deed, key } => {
                let known = CardCode::printed(code).unwrap();
                let step = match deed {
                    Deed::Issue(amount) => {
                        CardStep::Issue { code: known, amount: *amount, buyer: None, order_id: None }
                    }
                    Deed::TopUp(amount) => CardStep::TopUp { amount: *amount, order_id: None },
                    Deed::Block => CardStep::Block { reason: None },
                    Deed::Unblock => CardStep::Unblock,
                    Deed::Void => CardStep::Void { reason: None },
                    Deed::Replace(code) => CardStep::Replace { code: CardCode::printed(code).unwrap() },
                };
                let card = match deed {
                    Deed::Issue(_) => None,
                    _ => Some(card_subject(code).unwrap()),
                };
                Submission::gift_card(secrets, program, card, step, key, now)
            }
            Self::Pay { code, amount, order_id, key } => {
                let capture = order_id.is_some();
                let order_id = order_id.as_deref().map(Into::into);
                let redeem = Redeem { currency: GIFT_CARD, capture, order_id, ..reserve("point", *amount) };
                Submission::redeem(secrets, program, card_subject(code).unwrap(), redeem, key, now)
            }
            Self::Merge { from, into, key } => {
                let merge = Merge { into: *into, reason: None };
                Submission::merge(secrets, program, *from, merge, key, now)
            }
            Self::Unmerge { survivor, from, key } => Submission::unmerge(secrets, program, *survivor, *from, key, now),
        }
    }
}

impl Life {
    pub fn draw_some(&mut self, app: &TestApp) -> Vec<usize> {
        let mut drawn = Vec::new();
        let members: Vec<MemberId> = (0..self.cards()).filter_map(|member| id_of(app, member)).collect();
        let new = members.iter().filter(|member| !self.met.contains(member)).copied().collect::<Vec<_>>();
        self.met.extend(new);
        for _ in 0..1 + self.dice.below(10) {
            let (command, not_before) = self.draw(app.now(), &members);
            drawn.push(self.sent.len());
            self.sent.push(Sent { command, fate: Fate::Open, not_before });
        }
        // A return may come before its purchase, in the same batch or much later.
        for place in (1..drawn.len()).rev() {
            let other = usize::try_from(self.dice.below(u64::try_from(place).unwrap() + 1)).unwrap();
            drawn.swap(place, other);
        }
        drawn
    }

    /// Members' cards that are in use by now: somebody new comes now and then, for others become one.
    pub fn cards(&self) -> u64 {
        MEMBERS + self.steps / 8
    }

    fn draw(&mut self, now: Instant, members: &[MemberId]) -> (Command, Instant) {
        let key = format!("c-{}", self.sent.len());
        let command = match self.dice.below(20) {
            0..=3 => self.draw_together(members),
            4..=6 => Some(self.draw_card(&key)),
            7 => self.draw_merge(members),
            _ => None,
        };
        match command {
            Some(command) => (command, now),
            None => self.draw_alone(now, key),
        }
    }

    /// Something that a member does.
    fn draw_alone(&mut self, now: Instant, key: String) -> (Command, Instant) {
        let order = format!("o-{}", self.sent.len());
        let member = self.dice.below(self.cards());
        // Now and then by an id, which may be that of somebody who is one with another by now.
        let subject = match self.dice.pick(&self.met) {
            Some(met) if self.dice.0.is_multiple_of(7) => met.to_string(),
            _ => format!("card:{member}"),
        };
        let at =
            if self.dice.below(5) == 0 { plus_hours(now, -i64::try_from(self.dice.below(72)).unwrap()) } else { now };
        let of_kind = |kind: &str, subject: &str, data: &str| {
            let mut event = event(kind, &key, subject, data);
            event["time"] = at.to_string().into();
            Command::Event(event)
        };
        let command = match self.dice.below(16) {
            10 => of_kind("visit", &subject, "{}"),
            // A code of anybody's, used or not, by anybody.
            11 | 12 => {
                let Some(code) = self.dice.pick(&self.codes).cloned() else {
                    return (of_kind("visit", &subject, "{}"), at);
                };
                self.orders.push((subject.clone(), order.clone()));
                let vouchers = format!(", \"vouchers\": [\"{code}\"]");
                of_kind("purchase", &subject, &json::sale_with(&order, &[("A", "goods", 1, 40_000)], &vouchers))
            }
            // What a gift card paid for. It comes back more often than others.
            13..=15 => {
                let Some((redemption, amount, order)) = self.dice.pick(&self.paid).cloned() else {
                    return (of_kind("visit", &subject, "{}"), at);
                };
                self.orders.extend([(subject.clone(), order.clone()), (subject.clone(), order.clone())]);
                let card = json!({ "method": "gift_card", "amount": amount, "redemption": redemption });
                let payments = json!([card, { "method": "cash", "amount": 60_000 - amount }]);
                let payments = format!(", \"payments\": {payments}");
                of_kind("purchase", &subject, &json::sale_with(&order, &[("A", "goods", 2, 60_000)], &payments))
            }
            0..=3 => {
                self.orders.push((subject.clone(), order.clone()));
                let units = self.dice.amount(3);
                let price = 1000 * self.dice.amount(60);
                let lines = [("A", "goods", units, units * price), ("B", "goods", 1, 5000)];
                of_kind("purchase", &subject, &json::lines(&order, &lines))
            }
            4 | 5 => {
                // Sometimes one that nobody has delivered, or whose purchase comes only afterwards.
                let Some((subject, order)) = self.dice.pick(&self.orders).cloned() else {
                    return (of_kind("enrol", &subject, "{}"), at);
                };
                let data =
                    if self.dice.below(2) == 0 { json::back_all(&order) } else { json::back(&order, &[("A", 1)]) };
                of_kind("return", &subject, &data)
            }
            6 | 7 => Command::Reserve { member, points: self.dice.amount(60), key: key.clone() },
            _ => {
                let Some(id) = self.dice.pick(&self.redemptions).cloned() else {
                    return (of_kind("enrol", &subject, "{}"), at);
                };
                let step = match self.dice.below(5) {
                    0 => Step::Void,
                    1 => Step::Return { points: Some(1) },
                    2 => Step::Return { points: None },
                    _ => Step::Capture { points: None },
                };
                Command::Redemption { id, step, key: key.clone() }
            }
        };
        (command, at)
    }

    /// Something that somebody does about a household.
    fn draw_together(&mut self, members: &[MemberId]) -> Option<Command> {
        let key = format!("c-{}", self.sent.len());
        let by = *self.dice.pick(members)?;
        let what = self.dice.below(12);
        let founded = self.dice.pick(&self.households).copied();
        let household = founded.map(|(household, _)| household);
        // Mostly by somebody who belongs there.
        let by = founded.map(|(_, founder)| founder).filter(|_| self.dice.below(4) > 0).unwrap_or(by);
        let (about, step) = match what {
            _ if household.is_none() => (by, HouseholdStep::Found { known: None }),
            0 => (by, HouseholdStep::Found { known: None }),
            1..=3 => {
                let (to, code) = (*self.dice.pick(members)?, [u8::try_from(self.sent.len() % 256).unwrap(); 16]);
                self.invited.push((household?, to));
                (household?, HouseholdStep::Invite { by, to: Some(to), code })
            }
            4..=6 => {
                let (household, to) = self.invited.last().copied()?;
                (to, HouseholdStep::Accept { household, code: None })
            }
            7 => (*self.dice.pick(members)?, HouseholdStep::Leave),
            8 => (by, HouseholdStep::PutIn { currency: id("point"), amount: self.dice.amount(20) }),
            _ => return Some(Command::Pool { household: household?, by, points: self.dice.amount(20), key }),
        };
        Some(Command::Household { about, step, key })
    }

    /// Something that somebody does with a gift card, which may be another's, or none any more.
    fn draw_card(&mut self, key: &str) -> Command {
        let key = key.to_owned();
        let known = self.dice.pick(&self.cards).cloned();
        let new = format!("GIFT{:04}", self.cards.len());
        let (code, deed) = match (self.dice.below(16), known) {
            (0, Some(code)) => (code, Deed::Issue(10_000)),
            (0 | 1, _) | (_, None) => {
                self.cards.push(new.clone());
                (new, Deed::Issue(10_000 * i64::try_from(self.dice.below(12)).unwrap()))
            }
            (2..=4, Some(code)) => (code, Deed::TopUp(5_000 * self.dice.amount(20))),
            (5, Some(code)) => (code, Deed::Block),
            (6 | 7, Some(code)) => (code, Deed::Unblock),
            (8, Some(code)) if self.dice.below(3) == 0 => (code, Deed::Void),
            (8, Some(code)) => {
                self.cards.push(new.clone());
                (code, Deed::Replace(new))
            }
            (what, Some(code)) => {
                let amount = 1_000 * self.dice.amount(40);
                let order_id = (what > 11).then(|| format!("g-{}", self.sent.len()));
                return Command::Pay { code, amount, order_id, key };
            }
        };
        Command::Card { code, deed, key }
    }

    /// Two become one, or are two again.
    fn draw_merge(&mut self, members: &[MemberId]) -> Option<Command> {
        let key = format!("c-{}", self.sent.len());
        if self.dice.below(5) < 2
            && let Some((survivor, from)) = self.dice.pick(&self.merges).copied()
        {
            return Some(Command::Unmerge { survivor, from, key });
        }
        // Mostly of people as they are now; also of those who are one with another, and into nobody.
        let from = if self.dice.below(6) == 0 { self.dice.pick(&self.met) } else { self.dice.pick(members) };
        let from = *from?;
        let into = match self.dice.below(12) {
            0 => MemberId::from_bytes([7; 16]),
            1 => *self.dice.pick(&self.met)?,
            _ => *self.dice.pick(members)?,
        };
        Some(Command::Merge { from, into, key })
    }
}

fn id_of(app: &TestApp, member: u64) -> Option<MemberId> {
    let reply = app.get(&format!("members/card:{member}"));
    reply.status.is_success().then(|| reply.json()["id"].as_str().unwrap().parse().unwrap())
}
