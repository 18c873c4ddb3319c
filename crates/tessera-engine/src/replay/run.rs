//! One member living through their events again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use compact_str::CompactString;
use serde::Deserialize;
use tessera_core::decide::{
    self, Decision, Draws, FollowUp, Inputs, Memory, OrderProgress, OrderRecord, Recorded, Rejected,
};
use tessera_core::event::{
    Adjustment, Command, FulfilmentStep, HouseholdStep, Order, Origin, PartnerStep, Profile, RedemptionPart,
    RewardCard, Undone, What, read_event, read_follow_up, read_recorded,
};
use tessera_core::id::{EventId, MemberId};
use tessera_core::ledger::{Entry, Redemption};
use tessera_core::member::MemberState;
use tessera_core::program::{Id, Versions};
use tessera_core::time::Instant;
use tessera_core::voucher::CodeRecord;

use super::log::Logged;
use super::{Used, refusal_of};

/// A member under the draft: what tables hold for the executor is held here.
#[derive(Debug)]
pub(super) struct Run {
    id: MemberId,
    memory: Option<Memory>,
    referrer: Option<MemberId>,
    state: Option<MemberState>,
    history: Vec<Recorded>,
    orders: BTreeMap<CompactString, KnownOrder>,
    redemptions: BTreeMap<u64, Redemption>,
    /// What others name by its number, as it was numbered and as it is now: time and campaigns may bring other events between.
    renumbered: BTreeMap<u64, u64>,
    /// What was of those who were merged into the member, as it was recorded.
    former: Former,
    /// How far their orders have come since.
    former_progress: BTreeMap<CompactString, OrderProgress>,
    /// Redemptions of a household's pool that paid for the member's orders, as they are numbered now; `None` for one that
    /// the draft refused.
    paid_by_pool: BTreeMap<EventId, Option<u64>>,
    /// Events sent, accepted or not.
    pub sent: u64,
    /// When the last of them was recorded.
    recorded_at: Instant,
}

/// Redemptions of households' pools as they are numbered now, by the household and the number that was recorded.
#[derive(Debug, Default)]
pub(super) struct Pooled {
    pub households: BTreeSet<MemberId>,
    pub redemptions: BTreeMap<EventId, u64>,
}

/// What was decided of an event: its number now, and what it causes for others.
struct Decided {
    now: Option<u64>,
    follow_ups: Vec<FollowUp>,
}

#[derive(Debug)]
struct KnownOrder {
    event: u64,
    progress: Option<OrderProgress>,
}

/// What is used of budgets and limits over all members.
#[derive(Debug, Default)]
pub(super) struct Pools {
    used: Used,
    /// Everything ever taken of a pool, whatever was given back, and the most it may hold.
    asked: BTreeMap<CompactString, (i64, i64)>,
}

impl Pools {
    fn take(&mut self, decision: &Decision) {
        for change in &decision.pools {
            let used = self.used.entry(change.pool.clone()).or_default();
            *used = (*used + change.by).max(0);
            let (asked, most) = self.asked.entry(change.pool.clone()).or_insert((0, change.most));
            *asked = asked.saturating_add(change.by.max(0));
            *most = (*most).min(change.most);
        }
    }

    pub fn merge(&mut self, other: Self) {
        for (pool, (by, limit)) in other.asked {
            let (asked, most) = self.asked.entry(pool).or_insert((0, limit));
            *asked = asked.saturating_add(by);
            *most = (*most).min(limit);
        }
    }

    /// Whether the members together could have met an empty pool that none of them met alone. A member who found less
    /// room than wanted took the pool to its very end, so the end counts too.
    pub fn may_run_out(&self) -> bool {
        self.asked.values().any(|(asked, most)| asked >= most)
    }
}

impl Run {
    /// `memory`: what the program knew of somebody who came back (P3). `referrer`: who brought them, by whatever code.
    pub fn new(id: MemberId, memory: Option<Memory>, referrer: Option<MemberId>) -> Self {
        Self {
            id,
            memory,
            referrer,
            state: None,
            history: Vec::new(),
            orders: BTreeMap::new(),
            redemptions: BTreeMap::new(),
            renumbered: BTreeMap::new(),
            former: Former::default(),
            former_progress: BTreeMap::new(),
            paid_by_pool: BTreeMap::new(),
            sent: 0,
            recorded_at: Instant::MIN,
        }
    }

    /// With what was of those who were merged into the member.
    #[must_use]
    pub fn with_former(self, former: Former) -> Self {
        Self { former, ..self }
    }

    /// Decides an event by the versions; answers what it causes for others, or the refusal's code where it is refused.
    pub fn send(
        &mut self,
        versions: &Versions,
        event: &Logged,
        pools: &mut Pools,
        pooled: &mut Pooled,
    ) -> Result<Vec<FollowUp>, String> {
        self.sent += 1;
        let what = self.read(versions, event, pooled)?;
        let is_named_later = matches!(what, What::Redeem(_) | What::UseBenefit(_) | What::Adjust(_));
        let decision = self.decide_and_store(versions, what, event, pools)?;
        if let (true, Some(now)) = (is_named_later, decision.now) {
            self.renumbered.insert(event.seq, now);
            if pooled.households.contains(&self.id) {
                pooled.redemptions.insert(EventId { member: self.id, seq: event.seq }, now);
            }
        }
        Ok(decision.follow_ups)
    }

    /// Hears what another member's event causes under the draft.
    pub fn hear(
        &mut self,
        versions: &Versions,
        news: &FollowUp,
        recorded_at: Instant,
        pools: &mut Pools,
    ) -> Result<Vec<FollowUp>, String> {
        self.sent += 1;
        let what = read_follow_up(&news.kind, &news.data).map_err(|_| "invalid-event".to_owned())?;
        // Its number may be another than the one that was recorded; it only draws by it.
        let (seq, kind, data) = (news.cause.seq, news.kind.to_string(), news.data.clone());
        let event = Logged { seq, kind, effective_at: news.effective_at, recorded_at, data, ..Logged::default() };
        Ok(self.decide_and_store(versions, what, &event, pools)?.follow_ups)
    }

    /// Lets everything fall due that does by then; answers what it causes for others.
    pub fn settle(&mut self, versions: &Versions, to: Instant, pools: &mut Pools) -> Vec<FollowUp> {
        if self.state.as_ref().is_none_or(|state| to < state.clock) {
            return Vec::new();
        }
        let event = Logged { effective_at: to, recorded_at: to, data: "{}".to_owned(), ..Logged::default() };
        // A wake-up has nothing that could be refused.
        let settled = self.decide_and_store(versions, What::WakeUp, &event, pools);
        settled.map(|settled| settled.follow_ups).unwrap_or_default()
    }

    fn decide_and_store(
        &mut self,
        versions: &Versions,
        what: What,
        event: &Logged,
        pools: &mut Pools,
    ) -> Result<Decided, String> {
        let command = Command { effective_at: event.effective_at, recorded_at: event.recorded_at, what };
        self.recorded_at = event.recorded_at;
        let mut decision =
            self.decide(versions, &command, event, &pools.used).map_err(|rejected| refusal_of(&rejected))?;
        pools.take(&decision);
        let now = decision.events.get(decision.main).map(|main| main.seq);
        let follow_ups = std::mem::take(&mut decision.follow_ups);
        self.store(decision, &event.data);
        Ok(Decided { now, follow_ups })
    }

    fn decide(
        &self,
        versions: &Versions,
        command: &Command,
        event: &Logged,
        used: &Used,
    ) -> Result<Decision, Rejected> {
        let needs = decide::needs(versions, self.state.as_ref(), command);
        let made = command.what.makes_order();
        let named = needs.order.iter().chain(&needs.awaited).map(CompactString::as_str).chain(made);
        let mut orders: Vec<OrderRecord> = named.filter_map(|name| self.order(versions, name)).collect();
        if let Some(since) = needs.purchases_since {
            orders.extend(self.purchases_since(versions, since));
        }
        let named = decide::redemptions(&command.what, self.state.as_ref(), &orders);
        let redemptions: Vec<(u64, Redemption)> =
            named.into_iter().filter_map(|seq| Some((seq, self.redemption(seq)?.clone()))).collect();
        // A code that was good is good under the draft, with the draft's terms.
        let good = |voucher: &Id| crate::voucher::good_code(versions, command, voucher);
        let codes: Vec<CodeRecord> = event.voucher.iter().filter_map(good).collect();
        let late = self.state.as_ref().is_some_and(|state| decide::needs_history(versions, state, &orders, command));
        let staff = match &command.what {
            What::Purchase(order) => order.staff.clone(),
            What::Exchange(exchange) => exchange.bought.staff.clone(),
            _ => None,
        };
        // Without a key: what velocity rules let pass is not asked again.
        let origin = Origin { own_staff: staff.filter(|_| event.is_own_purchase), ..Origin::default() };
        let inputs = Inputs {
            versions,
            state: self.state.as_ref(),
            new_member: self.id,
            guest: false,
            pools: used,
            orders: &orders,
            redemptions: &redemptions,
            codes: &codes,
            history: (needs.history || late).then_some(self.history.as_slice()),
            former: self.former.history_of(&orders, self.state.as_ref(), self.recorded_at),
            memory: self.memory.as_ref(),
            entropy: entropy(self.id, event.seq),
            draws: Draws::Stored(&event.draws),
            payload: &event.data,
            origin: &origin,
            explain: false,
        };
        decide::decide(&inputs, command)
    }

    fn store(&mut self, decision: Decision, data: &str) {
        let main = decision.main;
        for (place, mut event) in decision.events.into_iter().enumerate() {
            if place == main && event.data.is_none() {
                event.data = Some(data.to_owned());
            }
            self.history.push(event);
        }
        for (order, event) in decision.orders {
            self.orders.insert(order, KnownOrder { event, progress: None });
        }
        for (order, progress) in decision.progress {
            match self.orders.get_mut(&order) {
                Some(known) => known.progress = Some(progress),
                None => drop(self.former_progress.insert(order, progress)),
            }
        }
        self.redemptions.extend(decision.redemptions);
        self.state = Some(decision.state);
    }

    /// Who the member was merged into by now.
    pub fn merged_into(&self) -> Option<MemberId> {
        self.state.as_ref()?.into
    }

    /// Every entry of the run, and the member at its end.
    pub fn finished(self) -> (Vec<Entry>, Option<MemberState>) {
        (self.history.into_iter().flat_map(|event| event.entries).collect(), self.state)
    }

    fn redemption(&self, number: u64) -> Option<&Redemption> {
        let former = || {
            let known = self.former.redemptions.get(&self.state.as_ref()?.event_id(number))?;
            by_then(known, self.recorded_at)
        };
        self.redemptions.get(&number).or_else(former)
    }

    /// An order of somebody who was merged into the member.
    fn former_order(&self, versions: &Versions, name: &str) -> Option<OrderRecord> {
        let (record, names) = by_then(self.former.orders.get(name)?, self.recorded_at)?;
        let state = self.state.as_ref()?;
        let Some(progress) = self.former_progress.get(name) else { return record.clone().of_survivor(names, state) };
        let content = state.event_id(progress.content);
        let corrected = (content.member == self.id).then(|| content_of(versions, self.event(content.seq)?)).flatten();
        let content = corrected.unwrap_or_else(|| record.content.clone());
        OrderRecord { content, progress: Some(progress.clone()), ..record.clone() }.of_survivor(state, state)
    }

    fn order(&self, versions: &Versions, name: &str) -> Option<OrderRecord> {
        let Some(known) = self.orders.get(name) else { return self.former_order(versions, name) };
        let made_by = self.event(known.event)?;
        let content = known.progress.as_ref().map_or(known.event, |progress| progress.content);
        Some(OrderRecord {
            order_id: name.into(),
            member: self.id,
            made_by: self.id,
            event: known.event,
            effective_at: made_by.effective_at,
            basis: made_by.record.basis.clone().unwrap_or_default(),
            content: self.paid_now(content_of(versions, self.event(content)?)?),
            credits: made_by.record.credits.clone(),
            vouchers: made_by.record.vouchers.clone(),
            progress: known.progress.clone(),
        })
    }

    /// Events are numbered from 1 without a gap.
    fn event(&self, seq: u64) -> Option<&Recorded> {
        self.history.get(usize::try_from(seq).ok()?.checked_sub(1)?)
    }

    /// The orders made since an instant, newest first, as the executor finds them.
    fn purchases_since(&self, versions: &Versions, since: Instant) -> Vec<OrderRecord> {
        let mut orders: Vec<OrderRecord> = self.orders.keys().filter_map(|name| self.order(versions, name)).collect();
        orders.retain(|order| order.effective_at >= since);
        orders.sort_by_key(|order| std::cmp::Reverse((order.effective_at, order.event)));
        orders
    }
}

/// What falls due for a member until an instant, and the member then.
pub(super) fn settled(versions: &Versions, state: &MemberState, to: Instant) -> (Vec<Recorded>, MemberState) {
    let command = Command { effective_at: to, recorded_at: to, what: What::WakeUp };
    let inputs = Inputs { entropy: entropy(state.id, 0), draws: Draws::Fresh, ..Inputs::of_member(versions, state) };
    // A wake-up has nothing that could be refused.
    match decide::decide(&inputs, &command) {
        Ok(decision) => (decision.events, decision.state),
        Err(_) => (Vec::new(), state.clone()),
    }
}

/// The order in the data of an event that made or corrected one.
fn content_of(versions: &Versions, event: &Recorded) -> Option<Order> {
    let definition = &versions.at(event.effective_at).definition;
    match read_event(definition, &event.kind, event.data.as_deref()?).ok()? {
        What::Purchase(order) | What::Amend(order) => Some(order),
        What::Exchange(exchange) => Some(exchange.bought),
        _ => None,
    }
}

impl Run {
    /// Reads an event as the version of its business time does; redemptions are named as they are numbered now.
    fn read(&mut self, versions: &Versions, event: &Logged, pooled: &Pooled) -> Result<What, String> {
        let definition = &versions.at(event.effective_at).definition;
        let what = match read_recorded(definition, &event.kind, &event.data) {
            Ok(what) => what,
            Err(problem) if problem.path == "type" => return Err("unknown-event-type".to_owned()),
            Err(_) => return Err("invalid-event".to_owned()),
        };
        self.know_pool_payments(&what, pooled);
        let now = |redemption: u64| {
            let known = self.former_event(&event.data).or_else(|| self.renumbered.get(&redemption).copied());
            known.ok_or_else(|| "unknown-redemption".to_owned())
        };
        let part_now =
            |part: RedemptionPart| Ok::<_, String>(RedemptionPart { redemption: now(part.redemption)?, ..part });
        Ok(match what {
            What::Purchase(order) => What::Purchase(self.paid_now(order)),
            What::Amend(order) => What::Amend(self.paid_now(order)),
            What::Exchange(mut exchange) => {
                exchange.bought = self.paid_now(exchange.bought);
                What::Exchange(exchange)
            }
            What::Enrol(profile) => What::Enrol(Profile { referrer: self.referrer, ..profile }),
            What::Profile(profile) => What::Profile(Profile { referrer: self.referrer, ..profile }),
            What::Capture(part) => What::Capture(part_now(part)?),
            What::Void { redemption } => What::Void { redemption: now(redemption)? },
            What::Fulfil(step) => What::Fulfil(FulfilmentStep { redemption: now(step.redemption)?, ..step }),
            What::PartnerStep(step) => What::PartnerStep(PartnerStep { redemption: now(step.redemption)?, ..step }),
            What::GiftCardTakenBack(card) => {
                let redemption = EventId { seq: now(card.redemption.seq)?, ..card.redemption };
                What::GiftCardTakenBack(RewardCard { redemption, ..card })
            }
            What::ReturnBenefit { used } => What::ReturnBenefit { used: now(used)? },
            What::Adjust(adjustment) => What::Adjust(Adjustment { undoes: self.undone(&event.data), ..adjustment }),
            What::Household(HouseholdStep::Found { .. }) => {
                What::Household(HouseholdStep::Found { known: event.household })
            }
            What::Household(HouseholdStep::Accept { household, .. }) => {
                What::Household(HouseholdStep::Accept { household, code: event.invitation })
            }
            What::Household(HouseholdStep::Invite { by, to, code }) => {
                What::Household(HouseholdStep::Invite { by, to, code: event.invitation.unwrap_or(code) })
            }
            What::ReturnRedemption(part) => What::ReturnRedemption(part_now(part)?),
            what => what,
        })
    }

    /// The event of somebody who was merged that an event names, as the state names it.
    fn former_event(&self, data: &str) -> Option<u64> {
        let named: Named = serde_json::from_str(data).ok()?;
        let event = named.redemption.or(named.used).filter(|event| event.member != self.id)?;
        self.state.as_ref()?.number_of(event)
    }

    /// Redemptions of a pool are numbered by the household, which the member does not look into.
    fn know_pool_payments(&mut self, what: &What, pooled: &Pooled) {
        let paid = what.paid_by().filter(|redemption| pooled.households.contains(&redemption.member));
        self.paid_by_pool.extend(paid.map(|redemption| (redemption, pooled.redemptions.get(&redemption).copied())));
    }

    /// What an adjustment moved that another one undoes.
    fn undone(&self, data: &str) -> Option<Undone> {
        let named: Named = serde_json::from_str(data).ok()?;
        let event = named.undoes.filter(|event| event.member == self.id)?;
        let first = self.event(*self.renumbered.get(&event.seq)?)?;
        Some(Undone { event: first.seq, entries: first.entries.clone() })
    }

    /// An order with the redemptions that paid it as they are numbered now; one that the draft refused paid nothing.
    fn paid_now(&self, mut order: Order) -> Order {
        // The receipt says what was paid, whatever took something off it.
        order.vouchers.clear();
        for payment in &mut order.payments {
            if let Some((redemption, now)) = payment.redemption.and_then(|paid| self.paid_by_pool.get_key_value(&paid))
            {
                payment.redemption = now.map(|seq| EventId { seq, ..*redemption });
            } else if let Some(redemption) = payment.redemption.filter(|redemption| redemption.member == self.id) {
                let seq = self.renumbered.get(&redemption.seq);
                payment.redemption = seq.map(|seq| EventId { seq: *seq, ..redemption });
            }
        }
        order
    }
}

/// What an event is about besides its member.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    redemption: Option<EventId>,
    #[serde(default, rename = "use")]
    used: Option<EventId>,
    #[serde(default)]
    undoes: Option<EventId>,
}

/// What is left to a survivor of those who were merged into them, as it stood from when on: after an undo they live on.
#[derive(Debug, Default)]
pub(super) struct Former {
    /// Each with whose events it names.
    pub orders: BTreeMap<CompactString, Since<(OrderRecord, Arc<MemberState>)>>,
    pub redemptions: BTreeMap<EventId, Since<Redemption>>,
    /// Every event, and when each was recorded.
    pub history: BTreeMap<MemberId, (Vec<Recorded>, Vec<Instant>)>,
}

impl Former {
    /// What became of the points of an order before its maker was merged.
    fn history_of(&self, orders: &[OrderRecord], state: Option<&MemberState>, by: Instant) -> &[Recorded] {
        let order = orders.iter().find(|order| order.made_by != order.member);
        let Some((order, state)) = order.zip(state) else { return &[] };
        let since = state.event_id(order.event).seq;
        let Some((history, recorded)) = self.history.get(&order.made_by) else { return &[] };
        let until = recorded.iter().take_while(|recorded| **recorded <= by).count();
        let history = &history[..until];
        &history[history.partition_point(|event| event.seq < since)..]
    }
}

/// How something stood, each since it was recorded, the oldest first.
pub(super) type Since<T> = Vec<(Instant, T)>;

fn by_then<T>(known: &Since<T>, by: Instant) -> Option<&T> {
    known.iter().rev().find(|(since, _)| *since <= by).map(|(_, known)| known)
}

/// The same bytes for the same event, whenever it is replayed: voucher codes are drawn from them, and what a rule draws
/// that drew nothing then.
fn entropy(member: MemberId, seq: u64) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(member.as_bytes());
    hasher.update(&seq.to_be_bytes());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}
