//! Currencies and campaigns that short spellings stand for: cards, challenges and streaks are written shortly and decided
//! by what every document has, so that there is one way inside.

use super::definition::{CampaignDefinition, Definition, RuleDefinition};
use super::{Id, IdProblem};

/// What was made of short spellings, and where each part stands in the document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Made {
    /// From the path of what was made to the path of what it was made of.
    places: Vec<(Vec<String>, Vec<String>)>,
    /// What could not be made, with its path.
    pub(super) clashes: Vec<(Vec<String>, String)>,
}

impl Made {
    fn note(&mut self, made: &[&str], written: &[&str]) {
        self.places.push((owned(made), owned(written)));
    }

    /// The path in the document that a path is about.
    pub(super) fn place(&self, path: &[String]) -> Vec<String> {
        let of = self.places.iter().filter(|(made, _)| path.starts_with(made)).max_by_key(|(made, _)| made.len());
        match of {
            Some((made, written)) => written.iter().chain(&path[made.len()..]).cloned().collect(),
            None => path.to_vec(),
        }
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|part| (*part).to_owned()).collect()
}

impl Definition {
    /// Adds what cards, challenges and streaks stand for. Done once, when the document is read.
    pub(super) fn complete(&mut self) {
        super::cards::complete(self);
        super::challenges::complete(self);
        super::streaks::complete(self);
    }

    /// Adds a currency, unless the document has one of the name.
    pub(super) fn make_currency(&mut self, id: &Id, currency: super::CurrencyDefinition, written: &[&str]) {
        if self.currencies.contains_key(id) {
            let message = format!("the document has a currency `{id}` already: choose another name");
            return self.made.clashes.push((owned(written), message));
        }
        self.made.note(&["currencies", id.as_str()], written);
        self.currencies.insert(id.clone(), currency);
    }

    /// Adds a campaign, unless the document has one of the name. `rules`: each with where it was written.
    pub(super) fn make_campaign(
        &mut self,
        id: Result<Id, IdProblem>,
        campaign: CampaignDefinition,
        rules: Vec<(RuleDefinition, Vec<String>)>,
        written: &[&str],
    ) {
        let id = match id {
            Ok(id) => id,
            Err(problem) => return self.made.clashes.push((owned(written), problem.to_string())),
        };
        if self.campaigns.contains_key(&id) {
            let message = format!("the document has a campaign `{id}` already: choose another name");
            return self.made.clashes.push((owned(written), message));
        }
        self.made.note(&["campaigns", id.as_str()], written);
        for (place, (_, at)) in rules.iter().enumerate() {
            let (place, at): (String, Vec<&str>) = (place.to_string(), at.iter().map(String::as_str).collect());
            self.made.note(&["campaigns", id.as_str(), "rules", &place], &at);
        }
        let rules = rules.into_iter().map(|(rule, _)| rule).collect();
        self.campaigns.insert(id, CampaignDefinition { rules, ..campaign });
    }
}
