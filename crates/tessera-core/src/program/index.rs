//! Which campaigns an event can concern, by what it names: the rest need not be looked at to know that they give nothing.
//!
//! A campaign gives nothing unless its audience and one of its rules hold, and what a condition asks for at the least is
//! known when a document is read (see [`Requirement`]). So each campaign is found by texts of which it needs one, and a
//! campaign for which there are none is found by every event.

use std::collections::BTreeMap;

use compact_str::CompactString;

use super::Campaign;
use crate::expression::{EventScope, FieldOf, FieldText, Requirement};

/// The campaigns of a trigger, by their places in its list.
#[derive(Debug)]
pub(crate) struct Index {
    /// Those that are found by nothing.
    always: Places,
    fields: Vec<Field>,
}

/// Which campaigns look for which texts in one field.
#[derive(Debug)]
struct Field {
    of: FieldOf,
    name: CompactString,
    by_text: BTreeMap<CompactString, Vec<usize>>,
}

impl Index {
    pub(super) fn new(campaigns: &[&Campaign]) -> Self {
        let required: Vec<Requirement> = campaigns.iter().map(|campaign| requirement(campaign)).collect();
        let mut often: BTreeMap<FieldText, usize> = BTreeMap::new();
        for required in &required {
            required.each_text(&mut |text| *often.entry(text.clone()).or_default() += 1);
        }
        let mut index = Self { always: Places::of(campaigns.len()), fields: Vec::new() };
        for (place, required) in required.iter().enumerate() {
            // Of what it asks for that which the fewest ask for too.
            match required.texts(&|text| often.get(text).copied().unwrap_or(0)) {
                Some(texts) => texts.into_iter().for_each(|text| index.add(place, text)),
                None => index.always.mark(place),
            }
        }
        index
    }

    fn add(&mut self, place: usize, text: FieldText) {
        let known = self.fields.iter().position(|field| field.of == text.of && field.name == text.field);
        let known = known.unwrap_or_else(|| {
            self.fields.push(Field { of: text.of, name: text.field, by_text: BTreeMap::new() });
            self.fields.len() - 1
        });
        self.fields[known].by_text.entry(text.text).or_default().push(place);
    }

    /// The places of all campaigns that an event can concern, in their order.
    pub fn find(&self, scope: &EventScope) -> Places {
        let mut found = self.always.clone();
        for field in &self.fields {
            scope.each_text(field.of, &field.name, |text| {
                for place in field.by_text.get(text).into_iter().flatten() {
                    found.mark(*place);
                }
            });
        }
        found
    }
}

/// What an event must have for a campaign to give anything.
fn requirement(campaign: &Campaign) -> Requirement {
    if !campaign.active {
        return Requirement::OneOf(Vec::new());
    }
    let audience = campaign.audience.as_ref().map(|audience| audience.requirement.clone()).unwrap_or_default();
    let rules = campaign.rules.iter();
    let rules = rules.map(|rule| rule.when.as_ref().map(|when| when.requirement.clone()).unwrap_or_default());
    Requirement::All(vec![Requirement::Any(rules.collect()), audience])
}

/// Some of so many places, a bit for each.
#[derive(Clone, Debug)]
pub(crate) struct Places(Vec<u64>);

const BITS: usize = 64;

impl Places {
    /// None of so many.
    fn of(count: usize) -> Self {
        Self(vec![0; count.div_ceil(BITS)])
    }

    pub(super) fn all(count: usize) -> Self {
        let mut all = Self::of(count);
        (0..count).for_each(|place| all.mark(place));
        all
    }

    fn mark(&mut self, place: usize) {
        self.0[place / BITS] |= 1 << (place % BITS);
    }

    /// The lowest first.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(word, bits)| {
            let mut left = *bits;
            std::iter::from_fn(move || {
                let lowest = usize::try_from(left.trailing_zeros()).ok().filter(|lowest| *lowest < BITS)?;
                left &= left - 1;
                Some(word * BITS + lowest)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{What, read_event};
    use crate::expression::Facts;
    use crate::program::{Program, load_program};

    fn program(campaigns: &str) -> Program {
        let text = format!(
            "{{ program: p, name: P, timezone: Asia/Ho_Chi_Minh, currency: VND, currencies: {{ point: {{ name: P, expires: never }} }}, campaigns: {{ {campaigns} }} }}"
        );
        load_program(&text, 1).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    /// The campaigns that a purchase of these lines can concern.
    fn found(program: &Program, channel: &str, lines: &[(&str, &str)]) -> Vec<String> {
        let items: Vec<String> = lines
            .iter()
            .map(|(sku, category)| {
                format!(r#"{{"sku": "{sku}", "category": "{category}", "quantity": 1, "amount": 10}}"#)
            })
            .collect();
        let data = format!(
            r#"{{"order_id": "1", "total": {}, "channel": "{channel}", "items": [{}]}}"#,
            10 * lines.len(),
            items.join(", ")
        );
        let Ok(What::Purchase(order)) = read_event(&program.definition, "purchase", &data) else { panic!("{data}") };
        let trigger = program.trigger("purchase").unwrap();
        let scope = EventScope::new(&trigger.fields, Some(&order), &order.extra, &Facts::new(), None);
        let found = trigger.concerned(&scope);
        found.iter().map(|place| program.campaigns[trigger.campaigns[place]].id.to_string()).collect()
    }

    const AWARD: &str = "award: { currency: point, amount: 1 }";

    fn offer(id: &str, when: &str) -> String {
        format!("{id}: {{ trigger: purchase, earning: bonus, rules: [ {{ {when} {AWARD} }} ] }}, ")
    }

    #[test]
    fn an_event_finds_what_names_one_of_its_texts_and_what_names_none() {
        let program = program(&[
            offer("all", ""),
            offer("app", "when: event.channel == 'app',"),
            offer("b", "each: event.items, when: 'item.sku in [\"B\", \"B2\"]',"),
            offer("a", "each: event.items, when: item.sku == 'A',"),
            offer("large", "when: event.total > 15,"),
            offer("tea", "when: 'some(event.items, #.category == \"tea\")',"),
            "off: { trigger: purchase, active: false, rules: [ { award: { currency: point, amount: 1 } } ] }, ".to_owned(),
            offer("either", "when: \"event.channel == 'shop' or len(filter(event.items, #.sku == 'A')) > 0\","),
            format!(
                "both: {{ trigger: purchase, earning: bonus, rules: [ {{ each: event.items, when: item.sku == 'C', {AWARD} }}, {{ each: event.items, when: item.category == 'tea', {AWARD} }} ] }}"
            ),
        ].concat());
        for (channel, lines, expected) in [
            ("counter", vec![("Z", "cake")], "all large"),
            ("app", vec![("A", "cake")], "a all app either large"),
            ("counter", vec![("Z", "cake"), ("B2", "cake")], "all b large"),
            ("counter", vec![("Z", "tea"), ("B", "cake")], "all b both large tea"),
            ("shop", vec![("C", "cake")], "all both either large"),
            ("counter", vec![], "all large"),
        ] {
            assert_eq!(found(&program, channel, &lines).join(" "), expected, "{channel} {lines:?}");
        }
    }

    #[test]
    fn what_an_audience_asks_for_is_looked_up_where_that_is_rarer() {
        let campaign = |id: &str, channel: &str| {
            format!(
                "{id}: {{ trigger: purchase, earning: bonus, audience: event.channel == '{channel}', rules: [ {{ {AWARD} }} ] }}, "
            )
        };
        let program = program(&[campaign("app", "app"), campaign("shop", "shop")].concat());
        assert_eq!(found(&program, "app", &[("A", "tea")]), ["app"]);
    }

    #[test]
    fn places_are_told_in_their_order() {
        let mut places = Places::of(200);
        for place in [199, 3, 64, 63, 0, 3] {
            places.mark(place);
        }
        assert_eq!(places.iter().collect::<Vec<_>>(), [0, 3, 63, 64, 199]);
        assert_eq!(Places::all(130).iter().count(), 130);
        assert_eq!(Places::all(0).iter().count(), 0);
    }
}
