//! A shop in memory: takes events as JSON, decides them as an engine does, and checks the books after every one.
//!
//! What an engine keeps in tables is kept here in the forms that tables hold: states as bytes, records as JSON. So a
//! decision never sees anything that would not survive being stored.

mod books;
pub mod json;
mod links;

use std::collections::BTreeMap;
use std::sync::Arc;

use compact_str::CompactString;
use tessera_core::decide::{
    Balance, Cart, CartAsk, Decision, EffectKind, FollowUp, Inputs, Memory, OrderProgress, OrderRecord, Record,
    Recorded, Rejected, decide, decide_cart, needs, needs_history, settled_to,
};
use tessera_core::event::{
    Adjustment, Command, HouseholdStep, Order, Origin, Redeem, RedemptionPart, What, read_event,
};
use tessera_core::id::{EventId, MemberId};
use tessera_core::ledger::Redemption;
use tessera_core::member::MemberState;
use tessera_core::program::{Id, Program, Versions, load_program, read_document};
use tessera_core::time::Instant;
use tessera_core::voucher::{CodeRecord, CodeStatus, normalise};

pub use books::{check_books, check_redemptions};

/// An instant: RFC 3339, or without an offset the wall clock of Hồ Chí Minh City (`2026-03-01T10:00`).
pub fn at(text: &str) -> Instant {
    let with_zone = || format!("{text}:00+07:00").parse();
    text.parse().or_else(|_| with_zone()).unwrap_or_else(|_| panic!("{text:?} is no time such as 2026-03-01T10:00"))
}

/// A document with the head every test program shares; `rest` has the currencies and what follows.
pub fn document(rest: &str) -> String {
    let zone = if rest.contains("timezone:") { "" } else { "timezone: Asia/Ho_Chi_Minh\n" };
    let money = if rest.contains("\ncurrency:") || rest.starts_with("currency:") { "" } else { "currency: VND\n" };
    format!("program: test\nname: Test\n{zone}{money}{rest}")
}

/// A program of that document, or a panic that lists what is wrong with it.
pub fn program(rest: &str, version: u32) -> Arc<Program> {
    let text = document(rest);
    match read_document(&text).and_then(|_| load_program(&text, version)) {
        Ok(program) => Arc::new(program),
        Err(problems) => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{}\n{text}", problems.join("\n"));
        }
    }
}

/// A program's members, orders and pools.
#[derive(Clone, Debug)]
pub struct Shop {
    pub versions: Versions,
    /// What is used of limits and budgets over all members.
    pub pools: BTreeMap<CompactString, i64>,
    members: Vec<Member>,
    orders: BTreeMap<CompactString, StoredOrder>,
    /// By member and event, as JSON.
    redemptions: BTreeMap<(usize, u64), String>,
    /// Codes of vouchers, as they are looked up.
    codes: BTreeMap<CompactString, CodeRecord>,
    /// What decisions caused for other members, not yet brought to them.
    waiting: Vec<FollowUp>,
    current: usize,
    checked: bool,
    explains: bool,
    guest: bool,
    memory: Option<Memory>,
    /// From where commands come; from nowhere unless it says a key.
    pub origin: Origin,
}

/// One member as stored.
#[derive(Clone, Debug)]
pub struct Member {
    pub id: MemberId,
    /// The state's bytes; `None` until somebody joins.
    state: Option<Vec<u8>>,
    pub events: Vec<Recorded>,
}

#[derive(Clone, Debug)]
struct StoredOrder {
    member: usize,
    event: u64,
    progress: Option<String>,
}

impl Shop {
    /// With one version of a program; see [`document`].
    pub fn new(rest: &str) -> Self {
        Self {
            versions: Versions::new(program(rest, 1)),
            pools: BTreeMap::new(),
            members: vec![Member::new(0)],
            orders: BTreeMap::new(),
            redemptions: BTreeMap::new(),
            codes: BTreeMap::new(),
            waiting: Vec::new(),
            current: 0,
            checked: true,
            explains: true,
            guest: false,
            memory: None,
            origin: Origin::default(),
        }
    }

    /// Publishes another version, in force from an instant on.
    pub fn publish(&mut self, from: &str, rest: &str) {
        let version = self.versions.head().version + 1;
        self.versions.push(at(from), program(rest, version));
    }

    /// Leaves the checks after each event out, for long histories; call [`Shop::check`] at the end.
    #[must_use]
    pub fn unchecked(mut self) -> Self {
        self.checked = false;
        self
    }

    /// Decides without saying for every rule why it did or did not apply, as an engine does.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.explains = false;
        self
    }

    /// Everybody is the shadow of an order without a member.
    #[must_use]
    pub fn guest(mut self) -> Self {
        self.guest = true;
        self
    }

    /// Whoever joins from now on was a member before, of whom this is remembered.
    pub fn remembering(&mut self, memory: Memory) -> &mut Self {
        self.memory = Some(memory);
        self
    }

    /// The events that follow are about another member.
    pub fn of_member(&mut self, number: usize) -> &mut Self {
        while self.members.len() <= number {
            self.members.push(Member::new(self.members.len()));
        }
        self.current = number;
        self
    }

    /// Sends an event that must be accepted.
    pub fn send(&mut self, time: &str, kind: &str, data: &str) -> Decision {
        self.send_at(at(time), kind, data)
    }

    /// Sends an event that must be accepted.
    pub fn send_at(&mut self, time: Instant, kind: &str, data: &str) -> Decision {
        self.offer(time, time.max(self.latest()), kind, data)
            .unwrap_or_else(|rejected| panic!("{kind} of {time} was refused: {rejected}\n{data}"))
    }

    /// Sends an event that must be refused.
    pub fn refused(&mut self, time: &str, kind: &str, data: &str) -> Rejected {
        let time = at(time);
        match self.offer(time, time.max(self.latest()), kind, data) {
            Ok(decision) => panic!("{kind} of {time} was taken: {:#?}", decision.outcome),
            Err(rejected) => rejected,
        }
    }

    /// Sends an event with its record time.
    pub fn offer(
        &mut self,
        effective_at: Instant,
        recorded_at: Instant,
        kind: &str,
        data: &str,
    ) -> Result<Decision, Rejected> {
        let program = self.versions.at(effective_at).clone();
        let what =
            read_event(&program.definition, kind, data).unwrap_or_else(|problem| panic!("{kind}: {problem}\n{data}"));
        self.apply(Command { effective_at, recorded_at, what }, data)
    }

    /// Gives or takes points by hand.
    pub fn adjust(&mut self, time: &str, currency: &str, amount: i64) -> Result<Decision, Rejected> {
        let time = at(time);
        let what = What::Adjust(Adjustment::new(id(currency), amount, "by hand"));
        self.apply(Command { effective_at: time, recorded_at: time.max(self.latest()), what }, "{}")
    }

    /// Spends or reserves points of a currency: see [`spend`], [`reserve`] and [`pay`].
    pub fn redeem(&mut self, time: &str, redeem: Redeem) -> Result<Decision, Rejected> {
        self.ask(at(time), What::Redeem(redeem))
    }

    /// Captures a redemption, or so many points of it.
    pub fn capture(&mut self, time: &str, redemption: u64, points: Option<i64>) -> Result<Decision, Rejected> {
        self.ask(at(time), What::Capture(RedemptionPart { redemption, points }))
    }

    pub fn void(&mut self, time: &str, redemption: u64) -> Result<Decision, Rejected> {
        self.ask(at(time), What::Void { redemption })
    }

    /// Cancels a redemption, or so many points of it.
    pub fn cancel(&mut self, time: &str, redemption: u64, points: Option<i64>) -> Result<Decision, Rejected> {
        self.ask(at(time), What::ReturnRedemption(RedemptionPart { redemption, points }))
    }

    /// Something about a household, done by the member or with the household that the shop looks at.
    pub fn household(&mut self, time: &str, step: HouseholdStep) -> Result<Decision, Rejected> {
        self.ask(at(time), What::Household(step))
    }

    /// A command that is no event from outside.
    pub fn ask(&mut self, time: Instant, what: What) -> Result<Decision, Rejected> {
        let recorded_at = time.max(self.latest());
        self.apply(Command { effective_at: time, recorded_at, what }, "{}")
    }

    /// How far a redemption has come, as stored.
    pub fn redemption(&self, redemption: u64) -> Option<Redemption> {
        let event = self.member().stored().map(|state| state.event_id(redemption));
        let text = self.redemptions.get(&self.place_of(event?))?;
        Some(serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// A payment of an order with the points of a redemption, as JSON.
    pub fn payment(&self, redemption: u64, amount: i64) -> String {
        let id = EventId { member: self.member().id, seq: redemption };
        format!(r#"{{"method": "points", "amount": {amount}, "redemption": "{id}"}}"#)
    }

    /// Makes a code that whoever has it may use, as a batch of them is made.
    pub fn issue(&mut self, code: &str, voucher: &str) -> &mut CodeRecord {
        let code = normalise(code).unwrap_or_else(|error| panic!("{code}: {error}"));
        let head = self.versions.head();
        let terms = head.voucher(voucher).unwrap_or_else(|| panic!("there is no voucher {voucher}"));
        let record = CodeRecord {
            code: code.clone(),
            voucher: id(voucher),
            version: head.version,
            owner: None,
            issued_at: Instant::from_micros(0),
            expires_at: terms.definition.until.map(|until| head.calendar.end(until)),
            status: CodeStatus::Open,
            most: Some(terms.definition.uses.per_code),
            pool: None,
            uses: 0,
            last: None,
        };
        self.codes.entry(code).or_insert(record)
    }

    /// A code as stored.
    pub fn code(&self, code: &str) -> &CodeRecord {
        let normal = normalise(code).unwrap_or_default();
        self.codes.get(&normal).unwrap_or_else(|| panic!("there is no code {code}"))
    }

    /// Lets the scheduler look at the member.
    pub fn wake(&mut self, time: &str) -> Decision {
        self.wake_at(at(time))
    }

    pub fn wake_at(&mut self, time: Instant) -> Decision {
        let command = Command { effective_at: time, recorded_at: time, what: What::WakeUp };
        self.apply(command, "{}").unwrap_or_else(|rejected| panic!("a wake-up was refused: {rejected}"))
    }

    /// Evaluates a purchase that nothing is kept of, with every code that there is.
    pub fn cart(&self, time: &str, data: &str, ask: &CartAsk) -> Result<(Decision, Cart), Rejected> {
        let what = read_event(&self.versions.at(at(time)).definition, "purchase", data);
        let what = what.unwrap_or_else(|problem| panic!("{data} was not read: {problem}"));
        let command = Command { effective_at: at(time), recorded_at: at(time), what };
        let codes = self.codes.values().cloned().collect();
        self.with_inputs(&command, data, Some(codes), |inputs| decide_cart(inputs, &command, ask))
    }

    /// Reads what a command needs, decides it, checks the decision and stores it.
    pub fn apply(&mut self, command: Command, payload: &str) -> Result<Decision, Rejected> {
        self.go_to_survivor(&command.what);
        let decision = self.with_inputs(&command, payload, None, |inputs| {
            let decision = decide(inputs, &command)?;
            if self.checked {
                // Explained or not: what is looked at for an explanation alone changes nothing.
                let again = Inputs { explain: !inputs.explain, ..*inputs };
                let again = decide(&again, &command)
                    .unwrap_or_else(|rejected| panic!("the same inputs decided differently: {rejected}"));
                assert_eq!(
                    (&again.events, &again.state, &again.voucher_codes),
                    (&decision.events, &decision.state, &decision.voucher_codes),
                    "the same inputs decided differently"
                );
            }
            Ok::<_, Rejected>(decision)
        })?;
        self.store(&decision, payload);
        if self.checked {
            self.check();
        }
        Ok(decision)
    }

    /// What a command is decided with; `codes` in place of those that it names.
    fn with_inputs<T>(
        &self,
        command: &Command,
        payload: &str,
        codes: Option<Vec<CodeRecord>>,
        work: impl FnOnce(&Inputs<'_>) -> T,
    ) -> T {
        let member = &self.members[self.current];
        let state = member.stored();
        let needs = needs(&self.versions, state.as_ref(), command);
        let named =
            needs.order.iter().chain(&needs.awaited).map(CompactString::as_str).chain(command.what.makes_order());
        let mut orders: Vec<OrderRecord> = named.filter_map(|order_id| self.order(order_id)).collect();
        if let Some(since) = needs.purchases_since {
            orders = self.purchases_since(since);
        }
        let named = tessera_core::decide::redemptions(&command.what, state.as_ref(), &orders);
        let redemptions: Vec<(u64, Redemption)> =
            named.into_iter().filter_map(|seq| Some((seq, self.redemption(seq)?))).collect();
        let mut named = tessera_core::decide::voucher_codes(&command.what, &orders);
        named.extend(tessera_core::decide::undone_codes(&command.what, state.as_ref(), &redemptions));
        named.sort_unstable();
        named.dedup();
        let named = || named.iter().filter_map(|code| self.codes.get(code).cloned()).collect();
        let codes: Vec<CodeRecord> = codes.unwrap_or_else(named);
        let needs_history =
            needs.history || state.as_ref().is_some_and(|state| needs_history(&self.versions, state, &orders, command));
        let former = if needs_history { self.former(&orders) } else { Vec::new() };
        work(&Inputs {
            versions: &self.versions,
            state: state.as_ref(),
            new_member: member.id,
            guest: self.guest,
            pools: &self.pools,
            orders: &orders,
            redemptions: &redemptions,
            codes: &codes,
            history: needs_history.then_some(member.events.as_slice()),
            former: &former,
            memory: self.memory.as_ref(),
            entropy: [7; 16],
            draws: tessera_core::decide::Draws::Fresh,
            payload,
            origin: &self.origin,
            explain: self.explains,
        })
    }

    fn store(&mut self, decision: &Decision, payload: &str) {
        let number = self.current;
        let member = &mut self.members[number];
        for (place, event) in decision.events.iter().enumerate() {
            let mut event = event.clone();
            assert_eq!(event.seq, u64::try_from(member.events.len()).unwrap() + 1, "events are numbered without a gap");
            event.record = through_json::<Record>(&event.record);
            if place == decision.main {
                event.data.get_or_insert_with(|| payload.to_owned());
            }
            member.events.push(event);
        }
        member.state = Some(decision.state.to_bytes());
        through_json(&decision.outcome);
        for (order_id, event) in &decision.orders {
            let order = StoredOrder { member: number, event: *event, progress: None };
            assert!(self.orders.insert(order_id.clone(), order).is_none(), "the order {order_id} was made twice");
        }
        for (order_id, progress) in &decision.progress {
            let order = self.orders.get_mut(order_id).unwrap_or_else(|| panic!("there is no order {order_id}"));
            order.progress = Some(serde_json::to_string(progress).unwrap());
        }
        for (seq, redemption) in &decision.redemptions {
            let text = serde_json::to_string(&through_json(redemption)).unwrap();
            let key = self.place_of(decision.state.event_id(*seq));
            self.redemptions.insert(key, text);
        }
        for issued in &decision.vouchers {
            let code = normalise(&issued.code).unwrap();
            let record = CodeRecord {
                code: code.clone(),
                voucher: issued.voucher.clone(),
                version: issued.version,
                owner: Some(decision.state.id),
                issued_at: issued.issued_at,
                expires_at: issued.expires_at,
                status: CodeStatus::Open,
                most: Some(issued.uses),
                pool: None,
                uses: 0,
                last: None,
            };
            assert!(self.codes.insert(code, record).is_none(), "a code was issued twice");
        }
        for code in &decision.voucher_codes {
            assert!(self.codes.insert(code.code.clone(), code.clone()).is_some(), "a code from nowhere");
        }
        self.waiting.extend(decision.follow_ups.iter().map(through_json));
        for change in &decision.pools {
            let used = self.pools.entry(change.pool.clone()).or_insert(0);
            *used += change.by;
            assert!(
                change.by <= 0 || *used <= change.most,
                "the pool {} is overdrawn: {used} of {}",
                change.pool,
                change.most
            );
            assert!(*used >= 0, "the pool {} was given back more than was used", change.pool);
        }
    }

    /// Checks the books of every member.
    pub fn check(&self) {
        let mut uses: BTreeMap<&CompactString, i64> = BTreeMap::new();
        let events = self.members.iter().flat_map(|member| &member.events);
        for used in events.flat_map(|event| &event.record.vouchers) {
            *uses.entry(&used.code).or_default() += used.by();
        }
        for code in self.codes.values() {
            let used = uses.get(&code.code).copied().unwrap_or(0);
            let counted = code.pool.as_ref().map_or(code.uses, |pool| self.pools.get(pool).copied().unwrap_or(0));
            assert_eq!(counted, used, "the uses of {} are those of the events", code.code);
            assert!(code.most.is_none_or(|most| counted <= most), "{} is used {counted} times", code.code);
        }
        for (number, member) in self.members.iter().enumerate() {
            if let Some(state) = member.stored() {
                check_books(&self.versions, &state, &member.events);
                let of_member = self.redemptions.range((number, 0)..(number + 1, 0));
                let stored = of_member.map(|((_, seq), text)| (*seq, serde_json::from_str(text).unwrap())).collect();
                // What a merged member had spent may come back to the survivor.
                if state.into.is_none() && state.merged.is_empty() && !self.was_merged(member.id) {
                    check_redemptions(&state, &member.events, &stored);
                }
            }
        }
    }

    pub fn member(&self) -> &Member {
        &self.members[self.current]
    }

    /// The state as stored.
    pub fn state(&self) -> MemberState {
        self.member().stored().unwrap_or_else(|| panic!("nobody has joined"))
    }

    /// The member with everything settled until a time, as anybody would read them.
    pub fn seen_at(&self, time: &str) -> MemberState {
        settled_to(&self.versions, &self.state(), at(time))
    }

    pub fn balance(&self, currency: &str) -> Balance {
        balance(&self.state(), currency)
    }

    /// Spendable now, as stored.
    pub fn available(&self, currency: &str) -> i64 {
        self.balance(currency).available
    }

    /// Open lots as stored, in spending order: last day, and what is left.
    pub fn lots(&self, currency: &str) -> Vec<(String, i64)> {
        lots(&self.state(), currency)
    }

    /// The level on a ladder as stored; the base where none was ever set.
    pub fn level(&self, ladder: &str) -> String {
        level(&self.versions, &self.state(), ladder)
    }

    /// What a ladder with one measure has counted in its buckets.
    pub fn measured(&self, ladder: &str) -> Vec<(String, String)> {
        let state = self.state();
        let buckets =
            state.ladder(ladder).into_iter().flat_map(|ladder| &ladder.measures).flat_map(|measure| &measure.buckets);
        buckets.map(|(day, amount)| (day.to_string(), amount.to_string())).collect()
    }

    /// An order as a later event finds it.
    pub fn order(&self, order_id: &str) -> Option<OrderRecord> {
        let stored = self.orders.get(order_id)?;
        let member = &self.members[stored.member];
        let event = member.event(stored.event);
        let progress: Option<OrderProgress> = stored.progress.as_ref().map(|text| serde_json::from_str(text).unwrap());
        let by = progress.as_ref().and_then(|progress| progress.by).map_or(stored.member, |by| self.number_of(by));
        let names = self.members[by].stored()?;
        let content = progress
            .as_ref()
            .map_or(EventId { member: member.id, seq: stored.event }, |progress| names.event_id(progress.content));
        let content = self.members[self.number_of(content.member)].event(content.seq);
        let owner = self.members[self.survivor(by)].stored()?;
        let record = OrderRecord {
            order_id: order_id.into(),
            member: member.id,
            made_by: member.id,
            event: stored.event,
            effective_at: event.effective_at,
            basis: event.record.basis.clone().unwrap_or_else(|| panic!("the order {order_id} has no basis")),
            content: self.content(content),
            credits: event.record.credits.clone(),
            vouchers: event.record.vouchers.clone(),
            progress,
        };
        if owner.id == member.id { Some(record) } else { record.of_survivor(&names, &owner) }
    }

    pub fn progress(&self, order_id: &str) -> Option<OrderProgress> {
        self.order(order_id).and_then(|order| order.progress)
    }

    fn content(&self, event: &Recorded) -> Order {
        let data = event.data.as_deref().unwrap_or_else(|| panic!("event {} has no data", event.seq));
        let program = self.versions.at(event.effective_at);
        match read_event(&program.definition, &event.kind, data) {
            Ok(What::Purchase(order) | What::Amend(order)) => order,
            Ok(What::Exchange(exchange)) => exchange.bought,
            other => panic!("event {} holds no order: {other:?}", event.seq),
        }
    }

    fn purchases_since(&self, since: Instant) -> Vec<OrderRecord> {
        let own = self.orders.iter().filter(|(_, order)| self.survivor(order.member) == self.current);
        let mut orders: Vec<OrderRecord> = own.filter_map(|(order_id, _)| self.order(order_id)).collect();
        orders.retain(|order| order.effective_at >= since);
        orders.sort_by_key(|order| std::cmp::Reverse((order.effective_at, order.event)));
        orders
    }

    /// The latest business time this member has seen, or the earliest possible.
    fn latest(&self) -> Instant {
        self.member().stored().map_or(Instant::MIN, |state| state.clock)
    }
}

impl Member {
    fn new(number: usize) -> Self {
        let mut random = [0; 10];
        random[..2].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
        Self { id: MemberId::new(1_767_225_600_000, random), state: None, events: Vec::new() }
    }

    /// The state, read back from its bytes.
    pub fn stored(&self) -> Option<MemberState> {
        self.state.as_ref().map(|bytes| MemberState::from_bytes(bytes).unwrap_or_else(|error| panic!("{error}")))
    }

    fn event(&self, seq: u64) -> &Recorded {
        self.events.iter().find(|event| event.seq == seq).unwrap_or_else(|| panic!("there is no event {seq}"))
    }
}

pub fn balance(state: &MemberState, currency: &str) -> Balance {
    match state.purse(currency) {
        Some(purse) => {
            let held = state.held(currency).get();
            Balance { available: purse.active().get(), pending: purse.pending().get(), held, debt: purse.debt.get() }
        }
        None => Balance::default(),
    }
}

/// Points to be spent at once.
pub fn spend(currency: &str, points: i64) -> Redeem {
    Redeem { capture: true, ..reserve(currency, points) }
}

/// Points to be reserved.
pub fn reserve(currency: &str, points: i64) -> Redeem {
    Redeem {
        reward: None,
        currency: id(currency),
        points: Some(points),
        payable: None,
        tender: None,
        order_id: None,
        capture: false,
        proven: None,
        by: None,
    }
}

/// A reward to be reserved.
pub fn reward(reward: &str) -> Redeem {
    Redeem { reward: Some(id(reward)), points: None, ..reserve(reward, 0) }
}

/// As many points as there are to be reserved for a bill, or so many of them.
pub fn pay(currency: &str, payable: &str, points: Option<i64>) -> Redeem {
    Redeem { points, payable: Some(payable.parse().unwrap()), ..reserve(currency, 0) }
}

/// Open lots in spending order: last day (`-` for none), and what is left.
pub fn lots(state: &MemberState, currency: &str) -> Vec<(String, i64)> {
    let lots = state.purse(currency).map(|purse| purse.lots.clone()).unwrap_or_default();
    lots.iter().map(|lot| (lot.last_day.map_or("-".to_owned(), |day| day.to_string()), lot.remaining.get())).collect()
}

pub fn level(versions: &Versions, state: &MemberState, ladder: &str) -> String {
    let known = state.ladder(ladder).map(|known| known.level.to_string()).filter(|level| !level.is_empty());
    known.unwrap_or_else(|| {
        let rules = versions.head().ladder(ladder).unwrap_or_else(|| panic!("there is no ladder {ladder}"));
        rules.level(0).id.to_string()
    })
}

/// What a decision's effects of a kind amount to.
pub fn sum_of(decision: &Decision, kind: EffectKind, currency: &str) -> i64 {
    let effects = decision.outcome.effects.iter();
    let of_kind = effects
        .filter(|effect| effect.kind == kind && effect.currency.as_ref().is_some_and(|known| *known == *currency));
    of_kind.filter_map(|effect| effect.amount).sum()
}

/// How often an effect of a kind stands in a decision.
pub fn count_of(decision: &Decision, kind: EffectKind) -> usize {
    decision.outcome.effects.iter().filter(|effect| effect.kind == kind).count()
}

pub fn id(text: &str) -> Id {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// A value as it comes back from its JSON, which must be the same.
pub fn through_json<T>(value: &T) -> T
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let text = serde_json::to_string(value).unwrap_or_else(|error| panic!("{error}: {value:?}"));
    let read: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(read, *value, "changed on its way through JSON:\n{text}");
    read
}
