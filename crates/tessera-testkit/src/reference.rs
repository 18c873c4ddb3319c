//! A slow reference model: keeps everything that ever happened and works every answer out from scratch.
//!
//! It knows a small family of programs (see [`Rules`]) and shares no line with the code it checks, except for the
//! calendar. It answers by telling the whole story again up to an instant, so nothing in it can go stale; what it says
//! is what the rules say, a sentence a step.

use std::collections::BTreeMap;

use tessera_core::time::{Calendar, Day, Instant, Period, RoundTo, TimeOfDay};

/// A share of whole numbers, such as three halves.
pub type Ratio = (i64, i64);

/// A program of one currency: a point per so much money, and what may be added to that.
#[derive(Clone, Debug)]
pub struct Rules {
    pub money_per_point: i64,
    /// From how much money on, and how many points.
    pub bonus: Option<(i64, i64)>,
    /// Base points of coffee lines so many times.
    pub coffee_times: Option<Ratio>,
    /// The most a member earns in a day.
    pub day_cap: Option<i64>,
    /// Levels above the base, lowest first: base points in a calendar year, and the rate.
    pub levels: Vec<(i64, Ratio)>,
    /// Points live so many months, to the end of the month.
    pub months: i32,
    /// How long points stay reserved.
    pub reserve_minutes: i64,
}

#[derive(Clone, Debug)]
pub struct Line {
    pub coffee: bool,
    pub units: i64,
    pub unit_price: i64,
}

#[derive(Clone, Debug)]
pub enum Happening {
    Purchase {
        order: usize,
        lines: Vec<Line>,
    },
    /// Units by line.
    Return {
        order: usize,
        units: Vec<i64>,
    },
    /// Points taken by hand.
    Spending {
        points: i64,
    },
    /// Points reserved for a redemption. There are so many.
    Reserve {
        redemption: usize,
        points: i64,
    },
    /// So many points of an open reservation are spent, the rest is released.
    Capture {
        redemption: usize,
        points: i64,
    },
    Void {
        redemption: usize,
    },
    /// So many points that were spent come back.
    Cancel {
        redemption: usize,
        points: i64,
    },
}

/// What is true at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// What is left by last day.
    pub lots: BTreeMap<Day, i64>,
    pub debt: i64,
    /// 0 is the base.
    pub level: usize,
    pub issued: i64,
    pub taken_back: i64,
    pub expired: i64,
    pub held: i64,
    pub redeemed: i64,
}

impl Picture {
    pub fn balance(&self) -> i64 {
        self.lots.values().sum::<i64>() - self.debt
    }
}

impl Rules {
    /// The program document of these rules.
    pub fn document(&self) -> String {
        let mut text = format!(
            "
currencies: {{ point: {{ name: Point, expires: {{ after: P{}M, round: month }}, spend: {{ reserve: PT{}M }} }} }}
campaigns:
  base: {{ trigger: purchase, rules: [ {{ award: {{ currency: point, amount: event.net / {} }} }} ] }}
",
            self.months, self.reserve_minutes, self.money_per_point
        );
        if let Some((num, den)) = self.coffee_times {
            let times = decimal(num, den);
            text += &format!(
                "  coffee: {{ trigger: purchase, earning: bonus, rules: [ {{ each: event.items, when: item.category == \"coffee\", extra: {{ currency: point, times: {times} }} }} ] }}\n"
            );
        }
        if let Some((from, points)) = self.bonus {
            text += &format!(
                "  bonus: {{ trigger: purchase, earning: bonus, rules: [ {{ when: event.net >= {from}, award: {{ currency: point, amount: {points} }} }} ] }}\n"
            );
        }
        if let Some(cap) = self.day_cap {
            text += &format!("limits: {{ per_member: {{ point: {{ day: {cap} }} }} }}\n");
        }
        if !self.levels.is_empty() {
            text += "tiers: { club: { measure: { earned: point }, levels: [ { id: level-0, at: 0 }";
            for (place, (at, (num, den))) in self.levels.iter().enumerate() {
                text +=
                    &format!(", {{ id: level-{}, at: {at}, rate: {{ point: {} }} }}", place + 1, decimal(*num, *den));
            }
            text += " ] } }\n";
        }
        text
    }
}

/// Halves and quarters as decimals.
fn decimal(num: i64, den: i64) -> String {
    format!("{}.{:02}", num / den, num % den * 100 / den)
}

/// Everything that happened, in the order it was told.
#[derive(Clone, Debug)]
pub struct Reference {
    rules: Rules,
    calendar: Calendar,
    told: Vec<(Instant, Happening)>,
}

/// An order as the story knows it.
#[derive(Clone, Debug)]
struct Bought {
    day: Day,
    lines: Vec<Line>,
    back: Vec<i64>,
    rate: Ratio,
    room: Option<i64>,
    full: Points,
    /// What it still counts for.
    counts: Points,
    /// What of it counts against the day's cap.
    usage: i64,
    /// How much of it went to its own lot and was not taken from there.
    own_left: i64,
    /// What was taken back from which lot, in order.
    taken: Vec<(Day, i64)>,
    /// What of it was not taken, because it had died in its own lot.
    dead: i64,
    /// What of it became debt.
    owed: i64,
}

/// What a basket earns.
#[derive(Clone, Copy, Debug, Default)]
struct Points {
    base: i64,
    all: i64,
}

/// The story while it is being told.
#[derive(Clone, Debug, Default)]
struct Story {
    picture: Picture,
    orders: BTreeMap<usize, Bought>,
    /// Earned against the cap, by day.
    used: BTreeMap<Day, i64>,
    /// Base points by calendar year.
    years: BTreeMap<i16, i64>,
    /// A level kept for one year whatever was earned: the soft landing of a review.
    landing: Option<(i16, usize)>,
    /// What died by last day, and was not yet counted for a return.
    graves: BTreeMap<Day, i64>,
    /// The latest business time so far.
    now: Option<Instant>,
    /// Open reservations: until when, and what of which lot.
    reserved: BTreeMap<usize, (Instant, Vec<(Day, i64)>)>,
    /// What is spent of which lot, by redemption.
    spent: BTreeMap<usize, Vec<(Day, i64)>>,
}

impl Bought {
    /// What the order has had from elsewhere because it was not in its own lot.
    fn elsewhere(&self, own_lot: Day) -> i64 {
        self.owed + self.taken.iter().filter(|(lot, _)| *lot != own_lot).map(|(_, taken)| taken).sum::<i64>()
    }
}

impl Reference {
    pub fn new(rules: Rules) -> Self {
        let calendar = Calendar::new("Asia/Ho_Chi_Minh", TimeOfDay::default()).unwrap();
        Self { rules, calendar, told: Vec::new() }
    }

    pub fn tell(&mut self, at: Instant, happening: Happening) {
        self.told.push((at, happening));
    }

    /// Tells the whole story up to an instant.
    pub fn at(&self, instant: Instant) -> Picture {
        let mut story = Story::default();
        for (at, happening) in &self.told {
            self.pass_time(&mut story, *at);
            match happening {
                Happening::Purchase { order, lines } => self.buy(&mut story, *at, *order, lines),
                Happening::Return { order, units } => self.bring_back(&mut story, *order, units),
                Happening::Spending { points } => spend(&mut story.picture, *points),
                Happening::Reserve { redemption, points } => self.reserve(&mut story, *redemption, *points),
                Happening::Capture { redemption, points } => self.capture(&mut story, *redemption, *points),
                Happening::Void { redemption } => self.capture(&mut story, *redemption, 0),
                Happening::Cancel { redemption, points } => self.cancel(&mut story, *redemption, *points),
            }
            self.bury(&mut story);
        }
        self.pass_time(&mut story, instant);
        story.picture
    }

    /// Points die at the end of their last day, and levels are looked at when a year begins.
    fn pass_time(&self, story: &mut Story, until: Instant) {
        let Some(now) = story.now else {
            story.now = Some(until);
            return;
        };
        let until = until.max(now);
        self.end_reservations(story, until);
        let (from, to) = (self.calendar.day(now).year(), self.calendar.day(until).year());
        story.now = Some(until);
        for year in from + 1..=to {
            self.review(story, year);
        }
        self.bury(story);
    }

    fn bury(&self, story: &mut Story) {
        let Some(now) = story.now else { return };
        let dead: Vec<Day> =
            story.picture.lots.keys().copied().filter(|last| self.calendar.end(*last) <= now).collect();
        for last in dead {
            let buried = story.picture.lots.remove(&last).unwrap_or(0);
            story.picture.expired += buried;
            *story.graves.entry(last).or_insert(0) += buried;
        }
    }

    /// On 1 January: a level that last year did not earn goes down by one, and stays there for this year.
    fn review(&self, story: &mut Story, year: i16) {
        let sustained = self.sustained(story, year);
        if sustained < story.picture.level {
            let landed = sustained.max(story.picture.level - 1);
            story.landing = (landed > sustained).then_some((year, landed));
            story.picture.level = landed;
        }
    }

    /// The level that this year, last year (a level holds to the end of the next) or a soft landing sustains.
    fn sustained(&self, story: &Story, year: i16) -> usize {
        let earned = |year: i16| {
            let sum = story.years.get(&year).copied().unwrap_or(0);
            self.rules.levels.iter().filter(|(at, _)| sum >= *at).count()
        };
        let landing = story.landing.filter(|(of, _)| *of == year).map_or(0, |(_, level)| level);
        earned(year).max(earned(year - 1)).max(landing)
    }

    /// Points are set aside, soonest expiry first.
    fn reserve(&self, story: &mut Story, redemption: usize, points: i64) {
        let Some(now) = story.now else { return };
        let (mut due, mut lots) = (points, Vec::new());
        while let Some(first) = story.picture.lots.keys().next().copied().filter(|_| due > 0) {
            let taken = take(&mut story.picture.lots, first, due);
            lots.push((first, taken));
            due -= taken;
        }
        story.picture.held += points;
        story.reserved.insert(redemption, (now.plus_seconds(self.rules.reserve_minutes * 60), lots));
    }

    /// Soonest expiry pays; what is not captured comes home.
    fn capture(&self, story: &mut Story, redemption: usize, points: i64) {
        let (Some(now), Some((_, lots))) = (story.now, story.reserved.remove(&redemption)) else { return };
        let (mut due, mut paid) = (points, Vec::new());
        for (last, amount) in lots {
            let pays = due.min(amount);
            due -= pays;
            paid.extend((pays > 0).then_some((last, pays)));
            story.picture.held -= amount;
            self.come_home(story, now, last, amount - pays);
        }
        story.picture.redeemed += points;
        story.spent.insert(redemption, paid);
    }

    /// Last spent, first back.
    fn cancel(&self, story: &mut Story, redemption: usize, points: i64) {
        let (Some(now), Some(spent)) = (story.now, story.spent.get_mut(&redemption)) else { return };
        let (mut due, mut home) = (points, Vec::new());
        while let Some((last, amount)) = spent.last_mut().filter(|_| due > 0) {
            let back = due.min(*amount);
            due -= back;
            *amount -= back;
            home.push((*last, back));
            if *amount == 0 {
                spent.pop();
            }
        }
        story.picture.redeemed -= points;
        for (last, back) in home {
            self.come_home(story, now, last, back);
        }
    }

    /// Orders that came back and missed them have them first. Then dead points are dead, what is owed is repaid, and the
    /// rest is where it was.
    fn come_home(&self, story: &mut Story, now: Instant, last: Day, amount: i64) {
        let dead = self.calendar.end(last) <= now;
        let (mut left, mut back) = (amount, Vec::new());
        for bought in story.orders.values_mut().filter(|bought| self.last_day(bought.day) == last) {
            let missed = left.min(bought.own_left).min(bought.elsewhere(last)).max(0);
            if missed == 0 {
                continue;
            }
            left -= missed;
            bought.own_left -= missed;
            if dead {
                bought.dead += missed;
            } else {
                bought.taken.push((last, missed));
            }
            bought.taken.sort_by_key(|(lot, _)| *lot != last);
            let repaid = missed.min(bought.owed);
            bought.owed -= repaid;
            story.picture.debt -= repaid;
            story.picture.issued += if dead { repaid } else { 0 };
            let mut rest = missed - repaid;
            while rest > 0
                && let Some((lot, taken)) = bought.taken.pop()
            {
                let again = rest.min(taken);
                back.push((lot, again));
                bought.taken.extend((taken > again).then_some((lot, taken - again)));
                rest -= again;
            }
        }
        if dead {
            story.picture.expired += amount;
            *story.graves.entry(last).or_insert(0) += left;
        } else {
            let rest = left - self.repay(story, last, left);
            if rest > 0 {
                *story.picture.lots.entry(last).or_insert(0) += rest;
            }
        }
        for (lot, again) in back {
            story.picture.taken_back += if dead { 0 } else { again };
            story.picture.issued += again;
            self.come_home(story, Instant::MIN, lot, again);
        }
    }

    /// Repays what is owed, and says how much that was. What orders owed that came back is from then on taken from the lot
    /// that the points would have gone to.
    fn repay(&self, story: &mut Story, last: Day, amount: i64) -> i64 {
        let repaid = amount.min(story.picture.debt);
        story.picture.debt -= repaid;
        let waits = |bought: &Bought| if bought.own_left > 0 { bought.owed } else { 0 };
        let mut excess = story.orders.values().map(waits).sum::<i64>() - story.picture.debt;
        for bought in story.orders.values_mut() {
            let part = excess.min(waits(bought));
            if part <= 0 {
                continue;
            }
            excess -= part;
            bought.owed -= part;
            let own_lot = self.last_day(bought.day);
            let own = if own_lot == last { part.min(bought.own_left) } else { 0 };
            bought.own_left -= own;
            bought.taken.extend((own > 0).then_some((own_lot, own)));
            bought.taken.sort_by_key(|(lot, _)| *lot != own_lot);
            bought.taken.extend((part > own).then_some((last, part - own)));
        }
        repaid
    }

    /// Each reservation ends at its own time.
    fn end_reservations(&self, story: &mut Story, until: Instant) {
        let mut over: Vec<(Instant, usize)> = story.reserved.iter().map(|(which, (end, _))| (*end, *which)).collect();
        over.retain(|(end, _)| *end <= until);
        over.sort_unstable();
        for (end, which) in over {
            story.now = Some(end);
            self.bury(story);
            self.capture(story, which, 0);
        }
    }

    /// Up at once; down only when a return undid what sustained the level.
    fn judge(&self, story: &mut Story) {
        if let Some(now) = story.now {
            story.picture.level = self.sustained(story, self.calendar.day(now).year());
        }
    }

    fn buy(&self, story: &mut Story, at: Instant, order: usize, lines: &[Line]) {
        let day = self.calendar.day(at);
        let rate = match story.picture.level {
            0 => (1, 1),
            level => self.rules.levels[level - 1].1,
        };
        let room = self.rules.day_cap.map(|cap| (cap - story.used.get(&day).copied().unwrap_or(0)).max(0));
        let full = self.points(lines, rate, room);
        *story.used.entry(day).or_insert(0) += full.all;
        *story.years.entry(day.year()).or_insert(0) += full.base;
        story.picture.issued += full.all;
        let owed = |story: &Story| story.orders.values().map(|bought| bought.owed).sum::<i64>();
        let owed_before = owed(story);
        let repaid = self.repay(story, self.last_day(day), full.all);
        if full.all > repaid {
            *story.picture.lots.entry(self.last_day(day)).or_insert(0) += full.all - repaid;
        }
        let bought = Bought {
            day,
            lines: lines.to_vec(),
            back: vec![0; lines.len()],
            rate,
            room,
            full,
            counts: full,
            usage: full.all,
            own_left: full.all - repaid + owed_before - owed(story),
            taken: Vec::new(),
            dead: 0,
            owed: 0,
        };
        story.orders.insert(order, bought);
        self.judge(story);
    }

    fn bring_back(&self, story: &mut Story, order: usize, units: &[i64]) {
        let Some(now) = story.now else { return };
        let today = self.calendar.day(now);
        let Some(mut bought) = story.orders.remove(&order) else { return };
        for (back, units) in bought.back.iter_mut().zip(units) {
            *back += units;
        }
        let rest: Vec<Line> = bought
            .lines
            .iter()
            .zip(&bought.back)
            .map(|(line, back)| Line { units: line.units - back, ..line.clone() })
            .filter(|line| line.units > 0)
            .collect();
        let left = if rest.is_empty() { Points::default() } else { self.points(&rest, bought.rate, bought.room) };
        // A return never earns.
        let counts = Points { base: left.base.min(bought.full.base), all: left.all.min(bought.full.all) };
        if bought.day == today {
            *story.used.entry(today).or_insert(0) += left.all - bought.usage;
        }
        bought.usage = left.all;
        *story.years.entry(bought.day.year()).or_insert(0) += counts.base - bought.counts.base;
        let due = bought.counts.all - counts.all;
        let own_lot = self.last_day(bought.day);
        if due >= 0 {
            let due = due - bury_own(&mut story.graves, &mut bought, own_lot, due);
            take_back(&mut story.picture, &mut bought, own_lot, due);
        } else {
            let due = -due - unbury_own(&mut story.graves, &mut bought, own_lot, -due);
            story.picture.issued += due;
            story.orders.insert(order, bought);
            let repaid = self.repay(story, self.last_day(today), due);
            let Some(again) = story.orders.remove(&order) else { return };
            bought = again;
            give_again(&mut story.picture, &mut bought, own_lot, due - repaid);
        }
        bought.counts = counts;
        story.orders.insert(order, bought);
        self.judge(story);
    }

    /// Base, floored once at the level's rate; the coffee's share of it again; a bonus; each as far as the cap allows.
    fn points(&self, lines: &[Line], rate: Ratio, room: Option<i64>) -> Points {
        let worth = |line: &Line| line.units * line.unit_price;
        let net: i64 = lines.iter().map(worth).sum();
        let base = net * rate.0 / (self.rules.money_per_point * rate.1);
        let extra = self.rules.coffee_times.map_or(0, |(num, den)| {
            let shares = shares(base, &lines.iter().map(worth).collect::<Vec<_>>());
            let coffee: i64 = lines.iter().zip(shares).filter(|(line, _)| line.coffee).map(|(_, share)| share).sum();
            coffee * (num - den) / den
        });
        let bonus = self.rules.bonus.filter(|(from, _)| net >= *from).map_or(0, |(_, points)| points);
        let mut room = room.unwrap_or(i64::MAX);
        let given = [base, extra, bonus].map(|wanted| {
            let given = wanted.min(room);
            room -= given;
            given
        });
        Points { base: given[0], all: given.iter().sum() }
    }

    fn last_day(&self, day: Day) -> Day {
        RoundTo::Month.last_day(Period::months(self.rules.months).after(day))
    }
}

/// Of an order's own points those that died in their lot are gone: nothing is taken for them.
fn bury_own(graves: &mut BTreeMap<Day, i64>, bought: &mut Bought, own_lot: Day, due: i64) -> i64 {
    let dead = take(graves, own_lot, due.min(bought.own_left));
    bought.own_left -= dead;
    bought.dead += dead;
    dead
}

/// They were the first that a return counted, so they are the last that come to life for it, and stay dead.
fn unbury_own(graves: &mut BTreeMap<Day, i64>, bought: &mut Bought, own_lot: Day, due: i64) -> i64 {
    let living = bought.owed + bought.taken.iter().map(|(_, taken)| taken).sum::<i64>();
    let dead = (due - living).clamp(0, bought.dead);
    bought.owed = (bought.owed - due).max(0);
    bought.dead -= dead;
    bought.own_left += dead;
    *graves.entry(own_lot).or_insert(0) += dead;
    dead
}

/// First from the order's own lot as far as it went there, then from the soonest expiry on, then it is owed.
fn take_back(picture: &mut Picture, bought: &mut Bought, own_lot: Day, due: i64) {
    picture.taken_back += due;
    let own = take(&mut picture.lots, own_lot, due.min(bought.own_left));
    let mut due = due - own;
    bought.own_left -= own;
    bought.taken.extend((own > 0).then_some((own_lot, own)));
    while let Some(first) = picture.lots.keys().next().copied().filter(|_| due > 0) {
        let taken = take(&mut picture.lots, first, due);
        if first == own_lot {
            bought.own_left -= taken;
        }
        bought.taken.push((first, taken));
        due -= taken;
    }
    picture.debt += due;
    bought.owed += due;
}

/// A basket of which less came back than it seemed: what repaid no debt goes to where it was taken from, last taken first.
fn give_again(picture: &mut Picture, bought: &mut Bought, own_lot: Day, mut due: i64) {
    while due > 0
        && let Some((lot, taken)) = bought.taken.pop()
    {
        let again = due.min(taken);
        *picture.lots.entry(lot).or_insert(0) += again;
        if lot == own_lot {
            bought.own_left += again;
        }
        bought.taken.extend((taken > again).then_some((lot, taken - again)));
        due -= again;
    }
    if due > 0 {
        *picture.lots.entry(own_lot).or_insert(0) += due;
        bought.own_left += due;
    }
}

/// By hand: soonest expiry first, and the rest is owed.
fn spend(picture: &mut Picture, points: i64) {
    let mut due = points;
    while let Some(first) = picture.lots.keys().next().copied().filter(|_| due > 0) {
        due -= take(&mut picture.lots, first, due);
    }
    picture.debt += due;
}

/// Takes what is there of a lot, at most so much.
fn take(lots: &mut BTreeMap<Day, i64>, last: Day, most: i64) -> i64 {
    let Some(left) = lots.get_mut(&last) else { return 0 };
    let taken = most.min(*left);
    *left -= taken;
    if *left == 0 {
        lots.remove(&last);
    }
    taken
}

/// A whole number in parts like the weights: the largest remainders get one more, the earlier of equal ones first.
fn shares(whole: i64, weights: &[i64]) -> Vec<i64> {
    let sum: i64 = weights.iter().sum();
    if sum == 0 {
        return weights.iter().enumerate().map(|(place, _)| if place == 0 { whole } else { 0 }).collect();
    }
    let mut parts: Vec<i64> = weights.iter().map(|weight| whole * weight / sum).collect();
    let mut places: Vec<usize> = (0..weights.len()).collect();
    places.sort_by_key(|place| std::cmp::Reverse(whole * weights[*place] % sum));
    for place in places.into_iter().take(usize::try_from(whole - parts.iter().sum::<i64>()).unwrap()) {
        parts[place] += 1;
    }
    parts
}
