//! What was ordered from a partner in a month, and how it stands against the partner's own list.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tessera_core::id::EventId;
use tessera_core::ledger::PartnerState;
use tessera_core::program::Id;
use tessera_core::time::{Day, Instant, Window};
use tessera_store::{StoreError, Value};

use crate::executor::Context;
use crate::programs::{ProgramHandle, member_id};
use crate::query::{Page, PageRequest};
use crate::record::{number, redemption_key, unsigned};

/// An order as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderView {
    /// Its redemption: the id that the partner got.
    pub order: String,
    pub partner: String,
    pub product: String,
    pub state: PartnerState,
    /// What the partner calls it.
    pub reference: Option<String>,
    pub ordered_at: Instant,
    pub changed_at: Instant,
}

/// The orders of one product in a month, by what became of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartnerMonth {
    pub partner: String,
    pub product: String,
    pub orders: i64,
    pub by_state: BTreeMap<&'static str, i64>,
}

const COLUMNS: &str = "member, seq, partner, product, state, reference, ordered_at, changed_at";

/// The first instant of the month of a day in the program's zone, and that of the next.
fn bounds(context: &Context, program: &ProgramHandle, day: Day) -> (i64, i64) {
    let rules = program.versions().at(context.clock.now()).clone();
    let start = |day| rules.calendar.start(day).micros();
    (start(day.start_of(Window::Month)), start(day.end_of(Window::Month)))
}

fn view(row: &[Value]) -> Result<OrderView, StoreError> {
    let state = PartnerState::from_code(row[4].int()?);
    Ok(OrderView {
        order: EventId { member: member_id(row[0].bytes()?)?, seq: unsigned(row[1].int()?) }.to_string(),
        partner: row[2].text()?.to_owned(),
        product: row[3].text()?.to_owned(),
        state: state.ok_or_else(|| StoreError::corrupt("partner_order", "state", "not a value of ours"))?,
        reference: row[5].opt_text()?.map(str::to_owned),
        ordered_at: Instant::from_micros(row[6].int()?),
        changed_at: Instant::from_micros(row[7].int()?),
    })
}

/// The orders of the month of a day, in the program's zone: of one partner, or of all.
///
/// # Errors
/// If the database cannot be read.
pub fn month(
    context: &Context,
    program: &ProgramHandle,
    partner: Option<&Id>,
    day: Day,
) -> Result<Vec<OrderView>, StoreError> {
    let (from, until) = bounds(context, program, day);
    let sql = format!(
        "SELECT {COLUMNS} FROM partner_order \
         WHERE program = $1 AND ordered_at >= $2 AND ordered_at < $3 AND (partner = $4 OR $4 = '') \
         ORDER BY partner, ordered_at, member, seq"
    );
    let named = partner.map_or("", Id::as_str);
    let params = [program.number.into(), from.into(), until.into(), named.into()];
    context.database.read(|reader| reader.query(&sql, &params))?.iter().map(|row| view(row)).collect()
}

/// A part of one partner's orders of a month, oldest first, each page beginning after an order.
///
/// # Errors
/// If the database cannot be read.
pub fn month_page(
    context: &Context,
    program: &ProgramHandle,
    (partner, day): (&Id, Day),
    page: &PageRequest,
) -> Result<Page<OrderView>, StoreError> {
    let (from, until) = bounds(context, program, day);
    let after: Option<EventId> = page.after.as_deref().and_then(|after| after.parse().ok());
    let key = "SELECT ordered_at FROM partner_order \
               WHERE bucket = $1 AND program = $2 AND member = $3 AND seq = $4 AND partner = $5";
    let sql = format!(
        "SELECT {COLUMNS} FROM partner_order \
         WHERE program = $1 AND partner = $2 AND ordered_at >= $3 AND ordered_at < $4 \
         AND (ordered_at, member, seq) > ($5, $6, $7) ORDER BY ordered_at, member, seq LIMIT $8"
    );
    let rows = context.database.read(|reader| {
        // Before every order there is, unless it goes on behind one.
        let mut place: [Value; 3] = [i64::MIN.into(), [0; 16].as_slice().into(), 0.into()];
        if let Some(after) = after {
            let mut known = redemption_key(program.number, after);
            known.push(partner.as_str().into());
            let Some(row) = reader.query(key, &known)?.pop() else { return Ok(Vec::new()) };
            place = [row[0].clone(), after.member.as_bytes().as_slice().into(), number(after.seq).into()];
        }
        let [at, member, seq] = place;
        let limit = i64::try_from(page.limit + 1).unwrap_or(i64::MAX);
        let params =
            [program.number.into(), partner.as_str().into(), from.into(), until.into(), at, member, seq, limit.into()];
        reader.query(&sql, &params)
    })?;
    let mut items = rows.iter().map(|row| view(row)).collect::<Result<Vec<_>, _>>()?;
    let more = items.len() > page.limit;
    items.truncate(page.limit);
    let next = items.last().filter(|_| more).map(|last| last.order.clone());
    Ok(Page { items, next })
}

/// One partner's orders of a month, summed up by product.
///
/// # Errors
/// If the database cannot be read.
pub fn month_products(
    context: &Context,
    program: &ProgramHandle,
    (partner, day): (&Id, Day),
) -> Result<Vec<PartnerMonth>, StoreError> {
    let (from, until) = bounds(context, program, day);
    let sql = "SELECT product, state, COUNT(*) FROM partner_order \
               WHERE program = $1 AND partner = $2 AND ordered_at >= $3 AND ordered_at < $4 \
               GROUP BY product, state ORDER BY product, state";
    let params = [program.number.into(), partner.as_str().into(), from.into(), until.into()];
    let mut found: Vec<PartnerMonth> = Vec::new();
    for row in context.database.read(|reader| reader.query(sql, &params))? {
        let (product, count) = (row[0].text()?, row[2].int()?);
        let state = PartnerState::from_code(row[1].int()?);
        let state = state.ok_or_else(|| StoreError::corrupt("partner_order", "state", "not a value of ours"))?;
        if found.last().is_none_or(|last| last.product != product) {
            let (partner, product) = (partner.to_string(), product.to_owned());
            found.push(PartnerMonth { partner, product, orders: 0, by_state: BTreeMap::new() });
        }
        if let Some(last) = found.last_mut() {
            last.orders += count;
            last.by_state.insert(state.word(), count);
        }
    }
    Ok(found)
}

impl PartnerMonth {
    /// Orders by partner and product.
    pub fn of(orders: &[OrderView]) -> Vec<Self> {
        let mut found: BTreeMap<(&str, &str), BTreeMap<&'static str, i64>> = BTreeMap::new();
        for order in orders {
            *found.entry((&order.partner, &order.product)).or_default().entry(order.state.word()).or_default() += 1;
        }
        let sum = |((partner, product), by_state): ((&str, &str), BTreeMap<&'static str, i64>)| Self {
            partner: partner.to_owned(),
            product: product.to_owned(),
            orders: by_state.values().sum(),
            by_state,
        };
        found.into_iter().map(sum).collect()
    }
}

/// Our orders against a partner's list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reconciliation {
    pub ours: usize,
    pub theirs: usize,
    /// The same on both sides.
    pub agree: usize,
    pub differences: Vec<Difference>,
}

/// One thing that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `missing-there`, `missing-here`, `state`, `product`, `reference` or `twice`.
    pub kind: &'static str,
    pub order: String,
    pub ours: Option<String>,
    pub theirs: Option<String>,
}

/// A list that cannot be read, with the line that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ReportProblem {
    pub line: u64,
    pub problem: String,
}

/// A line of a partner's list.
struct Theirs {
    order: String,
    state: String,
    product: Option<String>,
    reference: Option<String>,
}

/// Compares our orders of a month with a partner's list of it: CSV with the columns `order` and `state`, and where they
/// have them `product` and `reference`. Every difference is listed.
///
/// # Errors
/// For a list that is none.
pub fn reconcile(ours: &[OrderView], csv: &str) -> Result<Reconciliation, ReportProblem> {
    let theirs = read(csv)?;
    let known: BTreeMap<&str, &OrderView> = ours.iter().map(|order| (order.order.as_str(), order)).collect();
    let mut told = Reconciliation { ours: ours.len(), theirs: theirs.len(), ..Reconciliation::default() };
    let mut seen = BTreeSet::new();
    for line in &theirs {
        let difference = |kind, ours: Option<&str>, theirs: Option<&str>| Difference {
            kind,
            order: line.order.clone(),
            ours: ours.map(str::to_owned),
            theirs: theirs.map(str::to_owned),
        };
        if !seen.insert(line.order.as_str()) {
            told.differences.push(difference("twice", None, Some(&line.state)));
            continue;
        }
        let Some(order) = known.get(line.order.as_str()) else {
            told.differences.push(difference("missing-here", None, Some(&line.state)));
            continue;
        };
        let before = told.differences.len();
        if !is_same(order.state, &line.state) {
            told.differences.push(difference("state", Some(order.state.word()), Some(&line.state)));
        }
        if line.product.as_ref().is_some_and(|product| *product != order.product) {
            told.differences.push(difference("product", Some(&order.product), line.product.as_deref()));
        }
        if line.reference.is_some() && line.reference != order.reference {
            let (ours, theirs) = (order.reference.as_deref(), line.reference.as_deref());
            told.differences.push(difference("reference", ours, theirs));
        }
        told.agree += usize::from(told.differences.len() == before);
    }
    for order in ours.iter().filter(|order| !seen.contains(order.order.as_str())) {
        // What was refused they need not have heard of.
        if order.state == PartnerState::Refused {
            told.agree += 1;
            continue;
        }
        told.differences.push(Difference {
            kind: "missing-there",
            order: order.order.clone(),
            ours: Some(order.state.word().to_owned()),
            theirs: None,
        });
    }
    Ok(told)
}

/// What we refused or gave up they may have given back.
fn is_same(ours: PartnerState, theirs: &str) -> bool {
    let is_given_back = ours.gives_back() && matches!(theirs, "refused" | "refunded" | "cancelled");
    ours.word() == theirs || is_given_back || (ours == PartnerState::Ordered && theirs == "accepted")
}

fn read(text: &str) -> Result<Vec<Theirs>, ReportProblem> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let wrong = |line, problem: &str| ReportProblem { line, problem: problem.to_owned() };
    let head = reader.headers().map_err(|_| wrong(1, "a CSV file with a first line of names is expected"))?.clone();
    let column = |name: &str| head.iter().position(|known| known.eq_ignore_ascii_case(name));
    let (Some(order), Some(state)) = (column("order"), column("state")) else {
        return Err(wrong(1, "the columns `order` and `state` are expected"));
    };
    let (product, reference) = (column("product"), column("reference"));
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            wrong(error.position().map_or(0, csv::Position::line), "as many fields as the first line has are expected")
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |column: usize| record.get(column).filter(|text| !text.is_empty()).map(str::to_owned);
        lines.push(Theirs {
            order: field(order).ok_or_else(|| wrong(line, "`order` is empty"))?,
            state: field(state).ok_or_else(|| wrong(line, "`state` is empty"))?.to_lowercase(),
            product: product.and_then(field),
            reference: reference.and_then(field),
        });
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(order: &str, state: PartnerState) -> OrderView {
        OrderView {
            order: order.to_owned(),
            partner: "giftly".to_owned(),
            product: "COFFEE".to_owned(),
            state,
            reference: Some(format!("R-{order}")),
            ordered_at: Instant::MIN,
            changed_at: Instant::MIN,
        }
    }

    #[test]
    fn every_difference_is_listed_and_nothing_else() {
        let orders = [
            ours("a", PartnerState::Delivered),
            ours("b", PartnerState::Used),
            ours("c", PartnerState::Refused),
            ours("d", PartnerState::Refused),
            ours("e", PartnerState::Expired),
            ours("f", PartnerState::Delivered),
        ];
        let theirs = "Order,State,Product,Reference\na,delivered,COFFEE,R-a\nb,delivered,TEA,R-b\nd,refunded,,\n\
                      e,expired,COFFEE,R-x\nz,used,COFFEE,R-z\na,delivered,,\n";
        let found = reconcile(&orders, theirs).unwrap();
        let differences: Vec<_> = found.differences.iter().map(|found| (found.kind, found.order.as_str())).collect();
        let expected = [
            ("state", "b"),
            ("product", "b"),
            ("reference", "e"),
            ("missing-here", "z"),
            ("twice", "a"),
            ("missing-there", "f"),
        ];
        assert_eq!(differences, expected);
        assert_eq!((found.ours, found.theirs, found.agree), (6, 6, 3), "a, c and d");
    }

    #[test]
    fn a_list_that_is_none_says_so() {
        assert_eq!(reconcile(&[], "reference\nR-1\n").unwrap_err().line, 1);
        assert_eq!(reconcile(&[], "order,state\na,\n").unwrap_err().to_string(), "line 2: `state` is empty");
        assert_eq!(reconcile(&[], "order,state\na\n").unwrap_err().line, 2);
    }
}
