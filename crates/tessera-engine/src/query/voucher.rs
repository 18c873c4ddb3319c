use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use serde::Serialize;
use tessera_core::decide::{LineDiscount, PricedVoucher, Rejected, VoucherLook, price_vouchers, priced_in};
use tessera_core::event::Order;
use tessera_core::id::{Bucket, MemberId};
use tessera_core::member::MemberState;
use tessera_core::program::{Id, Texts, VoucherDefinition};
use tessera_core::quantity::Amount;
use tessera_core::time::{Day, Instant};
use tessera_core::voucher::{CodeRecord, as_shown, normalise};
use tessera_store::{Reader, Row, StoreError, Value, tables};

use super::member::{Page, PageRequest, settled};
use crate::executor::Context;
use crate::programs::ProgramHandle;
use crate::record::{Rows, member_key, own_key};
use crate::submission::Refusal;
use crate::voucher::{KnownCode, issued_before};

/// A voucher that a member was given.
#[derive(Clone, Debug, Serialize)]
pub struct VoucherView {
    pub code: String,
    pub voucher: Id,
    pub name: Option<String>,
    /// The terms in words.
    pub text: Option<String>,
    pub issued_at: Instant,
    pub expires_at: Option<Instant>,
    pub state: VoucherState,
    pub uses: i64,
    pub uses_left: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VoucherState {
    Open,
    Used,
    Expired,
    Cancelled,
}

impl VoucherState {
    pub const ALL: [Self; 4] = [Self::Open, Self::Used, Self::Expired, Self::Cancelled];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn of(record: &CodeRecord, now: Instant) -> Self {
        let word = record.state(now);
        Self::ALL.into_iter().find(|state| state.word() == word).unwrap_or(Self::Open)
    }
}

impl FromStr for VoucherState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|state| state.word() == text);
        known.ok_or_else(|| "open, used, expired or cancelled is expected".to_owned())
    }
}

/// A place in a member's list of vouchers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoucherPlace {
    issued_at: i64,
    code: String,
}

impl FromStr for VoucherPlace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (issued_at, code) = text.split_once('.').ok_or(())?;
        Ok(Self { issued_at: issued_at.parse().map_err(|_| ())?, code: code.to_owned() })
    }
}

impl fmt::Display for VoucherPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.issued_at, self.code)
    }
}

/// Vouchers of a member, newest first; with `state` only those.
pub fn vouchers(
    context: &Context,
    program: &ProgramHandle,
    member: MemberId,
    (page, state, language): (&PageRequest, Option<VoucherState>, &str),
) -> Result<Page<VoucherView>, StoreError> {
    let mut after = page.after.as_deref().and_then(|after| after.parse::<VoucherPlace>().ok());
    let mut items: Vec<VoucherView> = Vec::new();
    context.database.read(|reader| {
        // Those of whoever was merged into the member are the member's.
        let holder = super::member::settled(context, reader, program, member)?;
        let merged = holder.iter().flat_map(|holder| holder.merged_now()).map(|merged| merged.id);
        let owners: Vec<MemberId> = std::iter::once(member).chain(merged).collect();
        loop {
            let rows = voucher_rows(reader, program.number, &owners, after.as_ref(), page.limit + 1)?;
            let whole = rows.len() <= page.limit;
            for view in voucher_views(context, reader, program, (member, &rows), language)? {
                if state.is_some_and(|wanted| wanted != view.state) {
                    continue;
                }
                if items.len() == page.limit {
                    let last = items.last().map(|last| place_of(last).to_string());
                    return Ok(Page { items: std::mem::take(&mut items), next: last });
                }
                items.push(view);
            }
            match rows.last() {
                Some(last) if !whole => {
                    after = Some(VoucherPlace { issued_at: last[6].int()?, code: last[3].text()?.to_owned() });
                }
                _ => return Ok(Page { items: std::mem::take(&mut items), next: None }),
            }
        }
    })
}

fn place_of(view: &VoucherView) -> VoucherPlace {
    VoucherPlace { issued_at: view.issued_at.micros(), code: view.code.clone() }
}

fn voucher_rows(
    reader: &mut Reader<'_>,
    program: i64,
    owners: &[MemberId],
    after: Option<&VoucherPlace>,
    most: usize,
) -> Result<Vec<Row>, StoreError> {
    let columns: Vec<&str> = tables::VOUCHER.columns.iter().map(|column| column.name).collect();
    let sql = format!(
        "SELECT {} FROM voucher WHERE bucket = $1 AND program = $2 AND member = $3 \
         AND (issued_at < $4 OR (issued_at = $4 AND code > $5)) ORDER BY issued_at DESC, code LIMIT {most}",
        columns.join(", ")
    );
    let (issued_at, code) = after.map_or((i64::MAX, ""), |after| (after.issued_at, after.code.as_str()));
    let mut rows = Vec::new();
    for owner in owners {
        let mut params = member_key(program, *owner);
        params.extend([issued_at.into(), code.into()]);
        rows.append(&mut reader.query(&sql, &params)?);
    }
    let place = |row: &Row| Ok::<_, StoreError>((std::cmp::Reverse(row[6].int()?), row[3].text()?.to_owned()));
    let mut placed = rows.into_iter().map(|row| Ok((place(&row)?, row))).collect::<Result<Vec<_>, StoreError>>()?;
    placed.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(placed.into_iter().map(|(_, row)| row).take(most).collect())
}

fn voucher_views(
    context: &Context,
    reader: &mut Reader<'_>,
    program: &ProgramHandle,
    (member, rows): (MemberId, &[Row]),
    language: &str,
) -> Result<Vec<VoucherView>, StoreError> {
    let mut codes = Vec::with_capacity(rows.len());
    for row in rows {
        codes.push(normalise(row[3].text()?).unwrap_or_default());
    }
    let known = known_codes(context, reader, program, Some(member), &codes)?;
    let (now, versions) = (context.clock.now(), program.versions());
    let view = |record: &CodeRecord| {
        let rules = versions.number(record.version).unwrap_or_else(|| versions.head());
        let terms = rules.voucher(record.voucher.as_str()).map(|terms| &terms.definition);
        let words = |texts: fn(&VoucherDefinition) -> &Texts| {
            terms.and_then(|terms| texts(terms).in_language(language)).map(str::to_owned)
        };
        VoucherView {
            code: as_shown(&record.code).into(),
            voucher: record.voucher.clone(),
            name: words(|terms| &terms.name),
            text: words(|terms| &terms.text),
            issued_at: record.issued_at,
            expires_at: record.expires_at,
            state: VoucherState::of(record, now),
            uses: record.uses,
            uses_left: record.most.map(|most| (most - record.uses).max(0)),
        }
    };
    let mut views = Vec::with_capacity(rows.len());
    for (row, code) in rows.iter().zip(&codes) {
        let shown = row[3].text()?;
        if let Some(record) = known.get(code) {
            // As it was printed and sent.
            views.push(VoucherView { code: shown.to_owned(), ..view(record) });
        }
    }
    Ok(views)
}

/// Those of the codes that there are. `member`: whose older vouchers are looked through too.
fn known_codes(
    context: &Context,
    reader: &mut Reader<'_>,
    program: &ProgramHandle,
    member: Option<MemberId>,
    codes: &[CompactString],
) -> Result<HashMap<CompactString, CodeRecord>, StoreError> {
    let key = |code: &CompactString| context.secrets.code_key(program.number, code);
    let keys: Vec<Row> = codes.iter().map(|code| own_key(program.number, &key(code))).collect();
    let mut rows: HashMap<Vec<u8>, Row> = HashMap::new();
    for row in reader.fetch_by_keys(&tables::VOUCHER_CODE, &keys)? {
        rows.insert(row[2].bytes()?.to_vec(), row);
    }
    let mut known = HashMap::with_capacity(rows.len());
    for code in codes {
        let key = key(code);
        let row = match (rows.remove(key.as_slice()), member) {
            (Some(row), _) => Some(KnownCode::read(row)?),
            (None, Some(member)) => issued_before(reader, program, member, (code, key))?,
            (None, None) => None,
        };
        if let Some(row) = row {
            known.insert(code.clone(), row.record(code.clone(), &key)?);
        }
    }
    Ok(known)
}

/// A code that may be used, and what it gives.
#[derive(Clone, Debug, Serialize)]
pub struct CodeView {
    pub code: String,
    pub voucher: Id,
    pub name: Option<String>,
    pub text: Option<String>,
    pub state: VoucherState,
    pub expires_at: Option<Instant>,
    /// The last day it can be used on.
    pub expires_on: Option<Day>,
    pub uses: i64,
    /// `None`: as often as members like.
    pub uses_left: Option<i64>,
    /// What it takes off the order; `None` where it was not said what is bought, or it is claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<DiscountView>,
    /// What a claim gives; `None` where it takes something off an order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimView>,
    /// The other vouchers on the same order, with what each takes off.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub together: Vec<DiscountView>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DiscountView {
    pub code: String,
    pub voucher: Id,
    pub total: Amount,
    pub lines: Vec<LineDiscount>,
    pub shipping: Amount,
}

#[derive(Clone, Debug, Serialize)]
pub struct ClaimView {
    pub points: BTreeMap<Id, i64>,
    pub benefit: Option<Id>,
    pub prize: Option<String>,
}

fn discount_view(priced: &PricedVoucher) -> DiscountView {
    let lines = priced.lines.iter();
    DiscountView {
        code: as_shown(&priced.code.code).into(),
        voucher: priced.code.voucher.clone(),
        total: priced.total,
        lines: lines.map(|(line, amount)| LineDiscount { line: line.clone(), amount: *amount }).collect(),
        shipping: priced.shipping,
    }
}

/// Whether a code may be used by a member now, and what it would give: what a redemption would be refused for is told
/// the same, and nothing is written. `order`: what is bought, with the other vouchers used on it.
pub fn validate(
    context: &Context,
    program: &ProgramHandle,
    (code, member, order): (&CompactString, Option<MemberId>, Option<Order>),
    language: &str,
) -> Result<Result<CodeView, Refusal>, StoreError> {
    let (now, versions) = (context.clock.now(), program.versions());
    let order = order.map(|mut order| {
        if !order.vouchers.contains(code) {
            order.vouchers.push(code.clone());
        }
        order
    });
    context.database.read(|reader| {
        let state = match member {
            Some(member) => settled(context, reader, program, member)?,
            None => None,
        };
        let named = order.as_ref().map_or_else(|| vec![code.clone()], |order| order.vouchers.clone());
        let known: Vec<CodeRecord> = known_codes(context, reader, program, member, &named)?.into_values().collect();
        let used_of_pools = uses_of_shared(reader, program.number, &known)?;
        let pool = |pool: &str| used_of_pools.get(pool).copied().unwrap_or(0);
        let look = VoucherLook {
            versions: &versions,
            codes: &known,
            pool: &pool,
            member: state.as_ref(),
            used: &|limit, from| state.as_ref().map_or(0, |state: &MemberState| state.used(limit, from)),
            at: now,
        };
        Ok(judge(&look, code, order.as_ref(), language).map_err(Refusal::from))
    })
}

fn judge(
    look: &VoucherLook<'_>,
    code: &CompactString,
    order: Option<&Order>,
    language: &str,
) -> Result<CodeView, Rejected> {
    let (record, rules, terms) = look.usable(code)?;
    let definition = &terms.definition;
    let mut view = code_view(look, record, language);
    if definition.is_claimed() {
        let gives = &definition.gives;
        view.claim = Some(ClaimView {
            points: gives.points.clone(),
            benefit: gives.grant.as_ref().map(|grant| grant.benefit.clone()),
            prize: gives.prize.in_language(language).map(str::to_owned),
        });
    } else if let Some(order) = order {
        let order = priced_in(look.versions.at(look.at), order)?;
        let (own, together) = price_vouchers(look, &order)?
            .iter()
            .map(discount_view)
            .partition::<Vec<_>, _>(|discount| discount.code == view.code);
        (view.discount, view.together) = (own.into_iter().next(), together);
    } else if definition.is_about_the_order() {
        return Err(Rejected::VoucherNeedsOrder { code: code.clone(), voucher: record.voucher.clone() });
    }
    view.expires_on = record.expires_at.map(|end| rules.calendar.day(end.before()));
    Ok(view)
}

fn code_view(look: &VoucherLook<'_>, record: &CodeRecord, language: &str) -> CodeView {
    let rules = look.versions.number(record.version).unwrap_or_else(|| look.versions.head());
    let terms = rules.voucher(record.voucher.as_str()).map(|terms| &terms.definition);
    let uses = record.pool.as_ref().map_or(record.uses, |pool| (look.pool)(pool));
    let counted = CodeRecord { uses, ..record.clone() };
    CodeView {
        code: as_shown(&record.code).into(),
        voucher: record.voucher.clone(),
        name: terms.and_then(|terms| terms.name.in_language(language)).map(str::to_owned),
        text: terms.and_then(|terms| terms.text.in_language(language)).map(str::to_owned),
        state: VoucherState::of(&counted, look.at),
        expires_at: record.expires_at,
        expires_on: record.expires_at.map(|end| rules.calendar.day(end.before())),
        uses,
        uses_left: record.most.map(|most| (most - uses).max(0)),
        discount: None,
        claim: None,
        together: Vec::new(),
    }
}

/// A code as it is now; `None` where there is none.
pub fn code(
    context: &Context,
    program: &ProgramHandle,
    code: &CompactString,
    language: &str,
) -> Result<Option<CodeView>, StoreError> {
    let (now, versions) = (context.clock.now(), program.versions());
    context.database.read(|reader| {
        let known: Vec<CodeRecord> =
            known_codes(context, reader, program, None, std::slice::from_ref(code))?.into_values().collect();
        let used_of_pools = uses_of_shared(reader, program.number, &known)?;
        let look = VoucherLook {
            versions: &versions,
            codes: &known,
            pool: &|pool| used_of_pools.get(pool).copied().unwrap_or(0),
            member: None,
            used: &|_, _| 0,
            at: now,
        };
        Ok(known.first().map(|record| code_view(&look, record, language)))
    })
}

/// The member who used a code last, where the code is not shared.
pub fn last_user(
    context: &Context,
    program: &ProgramHandle,
    code: &CompactString,
) -> Result<Option<MemberId>, StoreError> {
    context.database.read(|reader| {
        let known = known_codes(context, reader, program, None, std::slice::from_ref(code))?;
        Ok(known.into_values().find_map(|record| record.last).map(|last| last.member))
    })
}

fn uses_of_shared(
    reader: &mut Reader<'_>,
    program: i64,
    codes: &[CodeRecord],
) -> Result<HashMap<CompactString, i64>, StoreError> {
    let key = |pool: &CompactString| -> Row {
        vec![i64::from(Bucket::of(pool.as_bytes()).get()).into(), program.into(), Value::from(pool.as_str())]
    };
    let keys: Vec<Row> = codes.iter().filter_map(|code| code.pool.as_ref()).map(key).collect();
    let mut used = HashMap::new();
    for row in Rows::fetch_by_keys(reader, &tables::POOL, &keys)? {
        used.insert(row[2].text()?.into(), row[3].int()?);
    }
    Ok(used)
}
