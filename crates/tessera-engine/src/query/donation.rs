use std::collections::BTreeMap;

use serde::Serialize;
use tessera_core::program::Program;
use tessera_core::quantity::Amount;
use tessera_core::time::Day;
use tessera_store::{Reader, StoreError};

use crate::executor::Context;
use crate::programs::ProgramHandle;

/// What a cause was given, over all time.
#[derive(Clone, Debug, Serialize)]
pub struct CauseView {
    pub cause: String,
    pub name: Option<String>,
    pub text: Option<String>,
    /// Given less what was taken back, in the program's currency.
    pub total: Amount,
    pub currency: String,
    pub public: bool,
}

/// What a cause was given in a month of the program's, and what was taken back in it. A month that is over stays as it
/// is: what is taken back later stands in the month it is taken back in.
#[derive(Clone, Debug, Serialize)]
pub struct Settlement {
    pub cause: String,
    /// `2026-03`.
    pub month: String,
    pub given: Amount,
    pub taken_back: Amount,
    /// What is to be paid to the cause.
    pub due: Amount,
    pub currency: String,
}

type Months = BTreeMap<(String, Day), (Amount, Amount)>;

/// Every cause of the document, and those that were given to before.
pub fn causes(context: &Context, program: &ProgramHandle, language: &str) -> Result<Vec<CauseView>, StoreError> {
    let rules = program.versions().at(context.clock.now()).clone();
    let mut totals: BTreeMap<String, Amount> = BTreeMap::new();
    for cause in rules.definition.causes.keys() {
        totals.insert(cause.clone(), Amount::ZERO);
    }
    for ((cause, _), (given, back)) in context.database.read(|reader| months(reader, program.number, &rules))? {
        *totals.entry(cause).or_default() += given - back;
    }
    let view = |(cause, total): (String, Amount)| {
        let settings = rules.definition.causes.get(&cause);
        let text = |texts: &tessera_core::program::Texts| texts.in_language(language).map(str::to_owned);
        CauseView {
            name: settings.and_then(|settings| text(&settings.name)),
            text: settings.and_then(|settings| text(&settings.text)),
            public: settings.is_some_and(|settings| settings.public),
            currency: rules.definition.currency.clone(),
            total,
            cause,
        }
    };
    Ok(totals.into_iter().map(view).collect())
}

/// What is to be paid to each cause for the months between two days, both included, in the order of cause and month.
pub fn settlements(
    context: &Context,
    program: &ProgramHandle,
    from: Option<Day>,
    until: Option<Day>,
) -> Result<Vec<Settlement>, StoreError> {
    let rules = program.versions().at(context.clock.now()).clone();
    let months = context.database.read(|reader| months(reader, program.number, &rules))?;
    let wanted = |month: Day| {
        let first = |day: Day| day.start_of(tessera_core::time::Window::Month);
        from.is_none_or(|from| first(from) <= month) && until.is_none_or(|until| month <= until)
    };
    let months = months.into_iter().filter(|((_, month), _)| wanted(*month));
    let settlement = |((cause, month), (given, taken_back)): ((String, Day), (Amount, Amount))| Settlement {
        cause,
        month: month.to_string().chars().take(7).collect(),
        given,
        taken_back,
        due: given - taken_back,
        currency: rules.definition.currency.clone(),
    };
    Ok(months.map(settlement).collect())
}

/// By cause and first day of the month, what was given and taken back.
fn months(reader: &mut Reader<'_>, program: i64, rules: &Program) -> Result<Months, StoreError> {
    let (given, back) = tessera_core::decide::donation_prefixes();
    let mut months = Months::new();
    for (prefix, is_back) in [(given, false), (back, true)] {
        // `0` stands right behind the `/` that ends both prefixes.
        let end = format!("{}0", prefix.trim_end_matches('/'));
        let sql = "SELECT pool, used FROM pool WHERE program = $1 AND pool >= $2 AND pool < $3";
        for row in reader.query(sql, &[program.into(), prefix.into(), end.as_str().into()])? {
            let name = row[0].text()?.strip_prefix(prefix).unwrap_or_default();
            // What shards were given of it has a name with a `#`.
            let Some((month, cause)) = name.split_once('/').filter(|(_, cause)| !cause.contains('#')) else { continue };
            let Ok(month) = month.parse::<Day>() else { continue };
            let decimals = u32::try_from(rules.money.decimals()).unwrap_or_default();
            let money = Amount::from_millionths(i128::from(row[1].int()?) * 10_i128.pow(6 - decimals.min(6)));
            let sums = months.entry((cause.to_owned(), month)).or_default();
            *(if is_back { &mut sums.1 } else { &mut sums.0 }) += money;
        }
    }
    Ok(months)
}
