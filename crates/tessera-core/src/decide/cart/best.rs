//! The vouchers and member prices that save a customer most on a cart, with the proof of why (C3, C4).

use compact_str::CompactString;
use serde::Serialize;

use super::price::{self, LinePrice, PriceRule, Priced};
use super::search::{Found, PRICES_TRIED_MAX, Search, Usable, VOUCHERS_TRIED_MAX, Variant};
use crate::decide::outcome::LineDiscount;
use crate::decide::voucher::{VoucherLook, price_vouchers};
use crate::decide::{PricedVoucher, Rejected};
use crate::event::{Item, Order};
use crate::program::{Id, Program};
use crate::quantity::Amount;
use crate::time::Instant;
use crate::voucher::{CodeRecord, Left, VOUCHERS_MAX, as_shown};

/// How the best is chosen, for whoever asks why.
const RULE: &str = "the combination that saves most; of equal ones the one with the fewest vouchers, then with the fewest \
                    member prices, then with those that expire first, then by name and code";

/// The best combination for the customer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    /// What is paid less than without it.
    pub saving: Amount,
    pub prices: Vec<LinePrice>,
    pub vouchers: Vec<VoucherSaving>,
    /// Every code that was looked at, and why it is in it or not.
    pub considered: Vec<Considered>,
    /// The next best.
    pub runner_up: Option<RunnerUp>,
    /// Whether no combination can save more. Otherwise there were too many to look at all.
    pub proven: bool,
    /// How many vouchers were taken off in the search.
    pub tried: u32,
    pub words: String,
    /// The data of the cart as it is then paid: sent as the purchase, they save and bring exactly this.
    pub purchase: serde_json::Value,
    #[serde(skip)]
    pub order: Order,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VoucherSaving {
    pub code: CompactString,
    pub voucher: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub saving: Amount,
    pub lines: Vec<LineDiscount>,
    pub shipping: Amount,
}

/// One code, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Considered {
    pub code: CompactString,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voucher: Option<Id>,
    pub used: bool,
    /// What it would take off alone, beside the member prices of the best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alone: Option<Amount>,
    /// `used`, `saves-no-more`, `does-not-combine`, `not-tried`, or why a purchase would be refused with it.
    pub reason: CompactString,
    pub words: String,
}

/// The next best combination, and how much less it saves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunnerUp {
    pub vouchers: Vec<CompactString>,
    pub prices: Vec<Id>,
    pub saving: Amount,
    pub difference: Amount,
}

/// What a cart owes for goods.
pub(super) fn goods(order: &Order) -> Amount {
    (order.total - order.shipping - order.tip).max(Amount::ZERO)
}

/// A cart as it is paid when prices, then vouchers, take so much off its goods, and vouchers so much off its shipping.
/// Its tax shrinks with its goods (M3).
pub(super) fn paid(
    program: &Program,
    order: &Order,
    (prices, vouchers, shipping): (Amount, Amount, Amount),
    (items, codes): (Vec<Item>, Vec<CompactString>),
) -> Order {
    let (before, shipping) = (goods(order), shipping.min(order.shipping));
    let off = (prices + vouchers).min(before);
    let tax = order.tax.portion((before - off).millionths(), before.millionths());
    Order {
        total: order.total - off - shipping,
        tax: if off.is_zero() { order.tax } else { program.money.amount(program.money.units_within(tax)) },
        shipping: order.shipping - shipping,
        shipping_discount: order.shipping_discount + shipping,
        discount: order.discount + (off - prices).max(Amount::ZERO),
        items,
        vouchers: codes,
        ..order.clone()
    }
}

/// A code that was looked at before any combination.
struct Judged<'a> {
    usable: Vec<Usable<'a>>,
    refused: Vec<Considered>,
    /// Whether all that could be used are among the usable.
    complete: bool,
}

/// Finds the best. `named`: the codes that the cart names; those that are the member's own are in `look`.
pub(super) fn best(
    look: &VoucherLook<'_>,
    program: &Program,
    order: &Order,
    prices: &[PriceRule<'_>],
    language: &str,
) -> Best {
    let bare = Order { vouchers: Vec::new(), ..order.clone() };
    let Judged { mut usable, mut refused, mut complete } = judged(look, order);
    let (sets, all_sets) = sets_of_prices(&bare, prices, usable.is_empty());
    complete &= all_sets;
    let priced: Vec<(Vec<usize>, Priced)> =
        sets.into_iter().filter_map(|set| Some((set.clone(), price::priced(&bare, prices, &set)?))).collect();
    let mut variants = variants(look, program, &bare, &priced, &usable);
    if usable.len() > VOUCHERS_TRIED_MAX {
        complete = false;
        refused.extend(leave_out(&mut usable, &variants));
        variants = self::variants(look, program, &bare, &priced, &usable);
    }
    let usable = &usable;
    let mut search = Search { look, program, order: &bare, usable, variants: &variants, top: Vec::new(), work: 0 };
    let proven = search.run() && complete;
    let tried = search.work;
    let top = search.top.clone();
    // The cart as it is is always one of them.
    let Some(chosen) = top.first() else { return Best::nothing(order) };
    let variant = &variants[chosen.variant];
    let taken = search.taken_of(chosen);
    let order = search.paid(variant, taken, &chosen.vouchers);
    let taken = price_vouchers(look, &order).unwrap_or_default();
    let mut considered = refused;
    for place in 0..usable.len() {
        considered.push(why(&mut search, place, chosen, &taken));
    }
    considered
        .sort_by(|one, other| (!one.used, &one.voucher, &one.code).cmp(&(!other.used, &other.voucher, &other.code)));
    let runner_up = top.get(1).map(|next| RunnerUp {
        vouchers: codes_of(usable, &next.vouchers).iter().map(|code| as_shown(code)).collect(),
        prices: next.prices.iter().map(|rule| prices[*rule].id.clone()).collect(),
        saving: next.saving,
        difference: chosen.saving - next.saving,
    });
    let of_price = |set: &Vec<usize>| priced.iter().find(|(known, _)| known == set).map(|(_, priced)| priced);
    let lines = of_price(&chosen.prices).map(|priced| price::views(&bare, prices, priced, language));
    Best {
        saving: chosen.saving,
        prices: lines.unwrap_or_default(),
        vouchers: taken.iter().map(|one| saving_of(look, one, language)).collect(),
        considered,
        runner_up,
        proven,
        tried,
        words: words(proven, chosen.saving),
        purchase: serde_json::Value::Null,
        order,
    }
}

fn words(proven: bool, saving: Amount) -> String {
    match (proven, saving.is_zero()) {
        (true, true) => format!("proven: nothing saves anything on this cart ({RULE})"),
        (true, false) => format!("proven: {RULE}"),
        (false, _) => {
            format!("not proven, there were too many to look at every combination: of those looked at {RULE}")
        }
    }
}

impl Best {
    fn nothing(order: &Order) -> Self {
        Self {
            saving: Amount::ZERO,
            prices: Vec::new(),
            vouchers: Vec::new(),
            considered: Vec::new(),
            runner_up: None,
            proven: true,
            tried: 0,
            words: words(true, Amount::ZERO),
            purchase: serde_json::Value::Null,
            order: order.clone(),
        }
    }
}

fn codes_of(usable: &[Usable<'_>], places: &[usize]) -> Vec<CompactString> {
    places.iter().map(|place| usable[*place].record.code.clone()).collect()
}

fn saving_of(look: &VoucherLook<'_>, one: &PricedVoucher, language: &str) -> VoucherSaving {
    let rules = look.versions.number(one.code.version).unwrap_or_else(|| look.versions.head());
    let name = rules.voucher(one.code.voucher.as_str()).and_then(|terms| terms.definition.name.in_language(language));
    let lines = one.lines.iter();
    VoucherSaving {
        code: as_shown(&one.code.code),
        voucher: one.code.voucher.clone(),
        name: name.map(str::to_owned),
        saving: one.total,
        lines: lines.map(|(line, amount)| LineDiscount { line: line.clone(), amount: *amount }).collect(),
        shipping: one.shipping,
    }
}

/// Which of the codes the member may use at all, in their turn.
fn judged<'a>(look: &VoucherLook<'a>, order: &Order) -> Judged<'a> {
    let mut found = Judged { usable: Vec::new(), refused: Vec::new(), complete: true };
    let unknown = order.vouchers.iter().filter(|code| !look.codes.iter().any(|known| known.code == **code));
    for code in unknown.chain(look.codes.iter().map(|known| &known.code)) {
        let named = order.vouchers.contains(code);
        match look.usable(code) {
            // What is claimed, and what the member no longer has, is only told to whoever names it.
            Ok((record, _, terms)) if terms.definition.is_claimed() => {
                let why = Rejected::VoucherIsClaimed { code: code.clone(), voucher: record.voucher.clone() };
                found.refused.extend(named.then(|| Considered::refused(code, Some(record), &why)));
            }
            Ok((record, rules, terms)) => {
                let room = look.room(record, rules, &terms.definition);
                let room = room.map_or(VOUCHERS_MAX, |room| usize::try_from(room).unwrap_or(0));
                let reads =
                    |when: &crate::expression::Expression| PAID.iter().any(|field| when.fields.event.contains(*field));
                let late = terms.when.as_ref().is_some_and(reads);
                found.usable.push(Usable { record, rules, terms, room, late, twin: false });
            }
            Err(why) => {
                let is_over = matches!(
                    why,
                    Rejected::VoucherUsedUp { .. }
                        | Rejected::VoucherExpired { .. }
                        | Rejected::VoucherCancelled { .. }
                );
                let record = look.codes.iter().find(|known| known.code == *code);
                found.refused.extend((named || !is_over).then(|| Considered::refused(code, record, &why)));
            }
        }
    }
    in_turn(&mut found.usable);
    found
}

/// Facts of an order that its vouchers change.
const PAID: [&str; 6] = ["total", "net", "tax", "discount", "shipping", "shipping_discount"];

/// In their turn; of a voucher whose codes are all the same, those that expire first come first.
fn in_turn(usable: &mut [Usable<'_>]) {
    let is_one = |voucher: &Id, usable: &[Usable<'_>]| {
        let mut versions = usable.iter().filter(|one| one.record.voucher == *voucher).map(|one| one.record.version);
        let first = versions.next();
        versions.all(|version| Some(version) == first)
    };
    let same: Vec<(Id, bool)> =
        usable.iter().map(|one| (one.record.voucher.clone(), is_one(&one.record.voucher, usable))).collect();
    let is_same = |voucher: &Id| same.iter().any(|(known, same)| known == voucher && *same);
    usable.sort_by(|one, other| {
        let key = |one: &Usable<'_>| {
            let expiry = one.record.expires_at.filter(|_| is_same(&one.record.voucher));
            (one.terms.definition.priority, expiry.unwrap_or(Instant::MAX))
        };
        let ((priority, expiry), (other_priority, other_expiry)) = (key(one), key(other));
        (std::cmp::Reverse(priority), &one.record.voucher, expiry, &one.record.code).cmp(&(
            std::cmp::Reverse(other_priority),
            &other.record.voucher,
            other_expiry,
            &other.record.code,
        ))
    });
    for place in 1..usable.len() {
        let voucher = &usable[place].record.voucher;
        usable[place].twin = usable[place - 1].record.voucher == *voucher && is_same(voucher);
    }
}

/// Which member prices are tried together, and whether these are all that could be best: each is taken or left as a
/// whole. Where no voucher minds, the lowest of all is best.
fn sets_of_prices(order: &Order, prices: &[PriceRule<'_>], alone: bool) -> (Vec<Vec<usize>>, bool) {
    let lowest = price::lowest(order, prices);
    if alone {
        return (if lowest.is_empty() { vec![lowest] } else { vec![lowest, Vec::new()] }, true);
    }
    if prices.len() <= PRICES_TRIED_MAX {
        let mut sets = vec![Vec::new()];
        for price in 0..prices.len() {
            let more = sets.iter().map(|set: &Vec<usize>| set.iter().copied().chain([price]).collect());
            let more: Vec<Vec<usize>> = more.collect();
            sets.extend(more);
        }
        sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
        return (sets, true);
    }
    let without = |left: &usize| lowest.iter().copied().filter(|price| price != left).collect();
    let mut sets: Vec<Vec<usize>> = lowest.iter().map(without).collect();
    sets.extend([lowest.clone(), Vec::new()]);
    sets.sort();
    sets.dedup();
    (sets, false)
}

fn variants(
    look: &VoucherLook<'_>,
    program: &Program,
    order: &Order,
    priced: &[(Vec<usize>, Priced)],
    usable: &[Usable<'_>],
) -> Vec<Variant> {
    let decimals = u32::try_from(program.money.decimals()).unwrap_or_default();
    let variant = |(set, priced): &(Vec<usize>, Priced)| {
        let none = (priced.off, Amount::ZERO, Amount::ZERO);
        let order = paid(program, order, none, (priced.items.clone(), Vec::new()));
        let alone = |one: &Usable<'_>| {
            fits(look, one, &order).ok()?;
            Some(Left::of(&order, &program.prices, decimals).take(one.terms)?.total())
        };
        let alone = usable.iter().map(alone).collect();
        Variant { prices: set.clone(), off: priced.off, alone, order }
    };
    priced.iter().map(variant).collect()
}

/// Whether a voucher may be used on a cart, as far as the cart alone tells.
fn fits(look: &VoucherLook<'_>, one: &Usable<'_>, order: &Order) -> Result<(), Rejected> {
    look.fits_place(one.record, one.terms, order)?;
    if one.late { Ok(()) } else { look.meets(one.record, one.rules, one.terms, order) }
}

/// Of too many vouchers those stay that take most alone.
fn leave_out(usable: &mut Vec<Usable<'_>>, variants: &[Variant]) -> Vec<Considered> {
    let most = |place: usize| variants.iter().filter_map(|variant| variant.alone[place]).max();
    let mut order: Vec<usize> = (0..usable.len()).collect();
    order.sort_by_key(|place| (std::cmp::Reverse(most(*place)), *place));
    let mut kept = order[..VOUCHERS_TRIED_MAX].to_vec();
    kept.sort_unstable();
    let (mut place, mut left) = (0, Vec::new());
    usable.retain(|one| {
        let stays = kept.contains(&place);
        if !stays {
            let words = format!("not looked at in combinations: more than {VOUCHERS_TRIED_MAX} vouchers could be used");
            left.push(Considered { alone: most(place), ..Considered::of(one.record, "not-tried", words) });
        }
        place += 1;
        stays
    });
    in_turn(usable);
    left
}

/// Why a voucher is in the best or not.
fn why(search: &mut Search<'_>, place: usize, chosen: &Found, taken: &[PricedVoucher]) -> Considered {
    let (one, variant) = (&search.usable[place], &search.variants[chosen.variant]);
    let alone = variant.alone[place];
    let of = |reason: &str, words: String| Considered { alone, ..Considered::of(one.record, reason, words) };
    if let Some(used) = taken.iter().find(|used| used.code.code == one.record.code) {
        return Considered { used: true, ..of("used", format!("takes {} off", used.total)) };
    }
    if alone.is_none() {
        let nothing =
            || Rejected::VoucherMatchesNothing { code: one.record.code.clone(), voucher: one.record.voucher.clone() };
        let refused = fits(search.look, one, &variant.order).err().unwrap_or_else(nothing);
        return Considered::refused(&one.record.code, Some(one.record), &refused);
    }
    if let Some(other) = chosen.vouchers.iter().find(|other| !search.go_together(**other, place)) {
        let other = as_shown(&search.usable[*other].record.code);
        return of("does-not-combine", format!("does not go together with {other}, which is in the best"));
    }
    let mut set: Vec<usize> = chosen.vouchers.iter().copied().chain([place]).collect();
    set.sort_unstable();
    match search.saving_of(chosen.variant, &set) {
        Some(more) if more > chosen.saving => {
            of("voucher-condition-not-met", "its condition does not hold for what would then be paid".to_owned())
        }
        _ => of("saves-no-more", format!("with it no more than {} is saved", chosen.saving)),
    }
}

impl Considered {
    fn of(record: &CodeRecord, reason: &str, words: String) -> Self {
        let (code, voucher) = (as_shown(&record.code), Some(record.voucher.clone()));
        Self { code, voucher, used: false, alone: None, reason: reason.into(), words }
    }

    fn refused(code: &str, record: Option<&CodeRecord>, why: &Rejected) -> Self {
        let voucher = record.map(|record| record.voucher.clone());
        let (reason, words) = (why.code().into(), why.to_string());
        Self { code: as_shown(code), voucher, used: false, alone: None, reason, words }
    }
}
