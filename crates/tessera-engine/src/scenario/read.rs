//! From a file to a scenario that can run, or every mistake in it with its line.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tessera_core::event::Freeze;
use tessera_core::program::{self, Definition, Key, Kind, Node, Position, Problem, nearest};
use tessera_core::time::{Calendar, Instant};

use super::STEPS_MAX;
use super::documents::documents;
use super::expect::Expectation;
use super::names::Names;
use super::shape::{self, EVENT, EXPECT_KEYS, SEEN, SEEN_KEYS};
use super::step::{ACTIONS, Action, Doing, EVENT_TYPES, Person, Published, SETTINGS, Step as Told, UNSENT};
use crate::identifier::Subject;
use crate::redemption::Step;

/// A scenario that can run.
#[derive(Debug)]
pub struct Scenario {
    pub title: String,
    /// What it shows, for whoever reads the guide.
    pub text: String,
    /// Ids of rules.
    pub shows: Vec<String>,
    pub(super) document: Published,
    pub(super) calendar: Calendar,
    /// Decides what is random: which group a member is in, for one.
    pub(super) chance: u64,
    /// Whether the scheduler runs before and after each step.
    pub(super) wake_ups: bool,
    pub(super) steps: Vec<Told>,
}

/// Why a file cannot be used.
#[derive(Clone, Debug, Serialize)]
pub struct FileProblem {
    pub file: PathBuf,
    #[serde(flatten)]
    pub problem: Problem,
}

impl FileProblem {
    /// A problem of the file as a whole.
    pub(super) fn whole(file: &Path, message: String) -> Self {
        let problem = Problem::error(Position { line: 1, column: 1 }, &[], message);
        Self { file: file.to_owned(), problem }
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.problem)
    }
}

pub(super) type Problems = Vec<FileProblem>;

impl Scenario {
    /// Reads a file and the documents that it names.
    ///
    /// # Errors
    /// Every mistake in it, in the order of its lines.
    pub fn read(file: &Path) -> Result<Self, Problems> {
        let text = std::fs::read_to_string(file).map_err(|error| vec![FileProblem::whole(file, error.to_string())])?;
        let here = |problems: Vec<Problem>| -> Problems {
            problems.into_iter().map(|problem| FileProblem { file: file.to_owned(), problem }).collect()
        };
        let mut tree = program::read_tree(&text).map_err(|problem| here(vec![problem]))?;
        let documents = documents(file, &tree)?;
        let names = Names::of(documents.iter().map(|(_, definition)| definition));
        single_out_events(&mut tree, &names);
        let written: shape::File = program::decode(&tree, |path, key| explain_unknown(path, key, &names))
            .map_err(|mistakes| here(mistakes.problems.into_iter().map(without_marks).collect()))?;
        let Some((document, first)) = documents.first() else { return Err(Problems::new()) };
        let calendar = Calendar::new(&first.timezone, first.day_starts)
            .map_err(|error| vec![FileProblem::whole(file, error.to_string())])?;
        let mut reader = Reader { problems: Vec::new(), people: Vec::new(), redeemed: Vec::new(), calendar: &calendar };
        reader.people(tree.get("members"));
        let steps = reader.steps(&tree, &written.steps, documents.iter().skip(1).map(|(document, _)| document));
        let mut problems = reader.problems;
        names.check(&tree, &mut problems);
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.at);
            return Err(here(problems));
        }
        Ok(Self {
            title: written.scenario,
            text: written.text.trim().to_owned(),
            shows: written.shows,
            document: document.clone(),
            calendar,
            chance: written.chance,
            wake_ups: written.wake_ups,
            steps,
        })
    }
}

/// Gives the event of each step, whose key is its type, one name; and puts what is expected of the member together.
fn single_out_events(tree: &mut Node, names: &Names) {
    let Kind::Map(entries) = &mut tree.kind else { return };
    let steps = entries.iter_mut().find(|(key, _)| key.text == "steps").map(|(_, steps)| &mut steps.kind);
    let Some(Kind::List(steps)) = steps else { return };
    for step in steps {
        let Kind::Map(entries) = &mut step.kind else { continue };
        // A redemption comes back as an order does; it is a command, not an event.
        let is_command = |key: &Key, value: &Node| key.text == "return" && value.get("redemption").is_some();
        let mut events = entries.iter_mut().filter(|(key, value)| names.is_event(&key.text) && !is_command(key, value));
        if let Some((key, value)) = events.next() {
            // The type stays with its data, for whoever makes the event of it.
            let kind = Node { at: key.at, kind: Kind::Text(key.text.clone()) };
            let data = std::mem::replace(value, Node { at: key.at, kind: Kind::Null });
            *value = Node { at: key.at, kind: Kind::List(vec![kind, data]) };
            EVENT.clone_into(&mut key.text);
        }
        let expect = entries.iter_mut().find(|(key, _)| key.text == "expect").map(|(_, expect)| expect);
        if let Some(Node { at, kind: Kind::Map(entries) }) = expect {
            let (seen, answer): (Vec<_>, Vec<_>) =
                std::mem::take(entries).into_iter().partition(|(key, _)| SEEN_KEYS.contains(&key.text.as_str()));
            *entries = answer;
            if !seen.is_empty() {
                let key = Key { at: *at, text: SEEN.to_owned() };
                entries.push((key, Node { at: *at, kind: Kind::Map(seen) }));
            }
        }
    }
}

fn explain_unknown(path: &[String], key: &str, names: &Names) -> Option<String> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let known: Vec<&str> = match path.as_slice() {
        ["steps", _] if names.is_event(key) => {
            return Some(format!("a step does one thing: give `{key}` a step of its own"));
        }
        ["steps", _] => SETTINGS.into_iter().chain(ACTIONS.iter().copied()).chain(names.events()).collect(),
        ["steps", _, "expect"] => EXPECT_KEYS.into_iter().chain(SEEN_KEYS.iter().copied()).collect(),
        _ => return None,
    };
    Some(match nearest(key, known.iter().copied()) {
        Some(near) => format!("unknown key `{key}`: did you mean `{near}`?"),
        None => format!("unknown key `{key}`: one of {} is expected", known.join(", ")),
    })
}

/// A problem as the file's reader knows its path.
fn without_marks(problem: Problem) -> Problem {
    Problem { path: problem.path.replace(&format!(".{SEEN}"), ""), ..problem }
}

struct Reader<'a> {
    problems: Vec<Problem>,
    people: Vec<Person>,
    /// Steps that redeem, by their ids, with the member they name.
    redeemed: Vec<(String, Node)>,
    calendar: &'a Calendar,
}

impl Reader<'_> {
    fn wrong(&mut self, at: Position, message: impl Into<String>) {
        self.problems.push(Problem::error(at, &[], message.into()));
    }

    /// `[an, binh]`, who get cards; or `{ an: { phone: "+84…" }, binh: "card:4711" }`.
    fn people(&mut self, members: Option<&Node>) {
        let Some(members) = members else { return };
        match &members.kind {
            Kind::List(names) => {
                for name in names {
                    match &name.kind {
                        Kind::Text(alias) => self.person(alias, name.at, &format!("card:{alias}")),
                        _ => self.wrong(name.at, "a member's name in this story is expected"),
                    }
                }
            }
            Kind::Map(entries) => {
                for (key, value) in entries {
                    let alias = &key.text;
                    match &value.kind {
                        Kind::Null => self.person(alias, key.at, &format!("card:{alias}")),
                        Kind::Text(identifier) => self.person(alias, value.at, identifier),
                        Kind::Map(pairs) => match pairs.as_slice() {
                            [(kind, Node { kind: Kind::Text(text) | Kind::Number(text), at })] => {
                                self.person(alias, *at, &format!("{}:{text}", kind.text));
                            }
                            _ => {
                                self.wrong(value.at, "one identifier is expected, such as { phone: \"+84901234567\" }")
                            }
                        },
                        _ => self.wrong(value.at, "an identifier is expected, such as \"card:4711\""),
                    }
                }
            }
            _ => self.wrong(members.at, "members are listed, or named with their identifiers"),
        }
    }

    fn person(&mut self, alias: &str, at: Position, identifier: &str) {
        match identifier.parse::<Subject>() {
            Ok(subject) => self.people.push(Person { alias: alias.to_owned(), subject }),
            Err(error) => self.wrong(at, error.to_string()),
        }
    }

    /// The member that a step names: by the name in the story, or as the API does.
    fn subject(&mut self, named: &Node) -> Subject {
        let Kind::Text(name) = &named.kind else {
            self.wrong(named.at, "the name of a member is expected");
            return Subject::Nobody;
        };
        if let Some(place) = self.place(name) {
            return self.people[place].subject.clone();
        }
        if name.contains(':') || name.starts_with("mem_") {
            match name.parse() {
                Ok(subject) => return subject,
                Err(error) => self.wrong(named.at, format!("{error}")),
            }
            return Subject::Nobody;
        }
        let near = nearest(name, self.people.iter().map(|person| person.alias.as_str()));
        let advice = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name everybody under `members` first".to_owned(),
        };
        self.wrong(named.at, format!("there is no member `{name}` in this story: {advice}"));
        Subject::Nobody
    }

    fn place(&self, alias: &str) -> Option<usize> {
        self.people.iter().position(|person| person.alias == alias)
    }

    fn steps<'a>(
        &mut self,
        tree: &Node,
        written: &[shape::Step],
        mut published: impl Iterator<Item = &'a Published>,
    ) -> Vec<Told> {
        let nodes = match tree.get("steps").map(|steps| &steps.kind) {
            Some(Kind::List(nodes)) if !nodes.is_empty() => nodes.as_slice(),
            _ => {
                self.wrong(tree.at, "a scenario has at least one step");
                return Vec::new();
            }
        };
        if nodes.len() > STEPS_MAX {
            self.wrong(nodes[STEPS_MAX].at, format!("a scenario has at most {STEPS_MAX} steps"));
            return Vec::new();
        }
        let mut steps: Vec<Told> = Vec::with_capacity(nodes.len());
        for (place, (node, written)) in nodes.iter().zip(written).enumerate() {
            let before = steps.last().map(|step| step.now);
            let now = self.now(node, written, before);
            let about = self.named(node);
            let (action, words) = self.action(node, written, place, &mut published);
            let expectation = self.expectation(node, about);
            let title = written.say.clone().unwrap_or(words);
            let origin = written.from.clone().unwrap_or_default().origin();
            steps.push(Told { line: node.at.line, title, now, origin, action, expectation });
        }
        steps
    }

    fn now(&mut self, node: &Node, written: &shape::Step, before: Option<Instant>) -> Instant {
        let at = written.at.map(|moment| moment.at(self.calendar));
        match (at, before) {
            (None, None) => {
                self.wrong(node.at, "`at` is missing: the first step says when it is");
                Instant::MIN
            }
            (None, Some(before)) => before,
            (Some(at), Some(before)) if at < before => {
                let place = node.get("at").map_or(node.at, |at| at.at);
                self.wrong(place, "this is before the last step: `happened` is for what becomes known late");
                at
            }
            (Some(at), _) => at,
        }
    }

    /// The node that names the member a step is about.
    fn named(&self, node: &Node) -> Option<Node> {
        let action = ACTIONS.iter().copied().chain(["return"]).find_map(|word| node.get(word));
        let earlier = |action: &Node| action.get("redemption").or(action.get("use")).cloned();
        if let Some(Node { kind: Kind::Text(redemption), .. }) = &action.and_then(earlier) {
            let known = self.redeemed.iter().find(|(id, _)| id == redemption).map(|(_, member)| member.clone());
            // A gift card is nobody of the story.
            return known.filter(|member| matches!(&member.kind, Kind::Text(_)));
        }
        let data = match node.get(EVENT).map(|event| &event.kind) {
            Some(Kind::List(parts)) => parts.get(1),
            _ => action,
        };
        data.and_then(|data| data.get("member")).cloned()
    }

    fn action<'a>(
        &mut self,
        node: &Node,
        written: &shape::Step,
        place: usize,
        published: &mut impl Iterator<Item = &'a Published>,
    ) -> (Action, String) {
        let subject = self.named(node).map_or(Subject::Nobody, |named| self.subject(&named));
        let whose = match self.named(node).map(|named| named.kind) {
            Some(Kind::Text(name)) => format!(" of {name}"),
            _ => String::new(),
        };
        let id = written.id.clone().unwrap_or_else(|| format!("step-{}", place + 1));
        let publication = node.get("publish").and_then(|_| published.next());
        let things = [EVENT, "return"].into_iter().chain(ACTIONS.iter().copied()).map(|word| node.get(word).is_some());
        if things.filter(|does| *does).count() > 1 {
            self.wrong(node.at, "a step does one thing: give the other a step of its own");
        }
        if let Some(Kind::List(parts)) = node.get(EVENT).map(|event| &event.kind)
            && let [Node { kind: Kind::Text(kind), .. }, data] = parts.as_slice()
        {
            let mut data = data.clone();
            if matches!(data.kind, Kind::Null) {
                data.kind = Kind::Map(Vec::new());
            }
            if !matches!(data.kind, Kind::Map(_)) {
                self.wrong(data.at, format!("the data of the {kind} are expected, as the API takes them"));
            }
            data.remove(&["member".to_owned()]);
            self.bring(&mut data);
            let event = Action::Event {
                kind: kind.clone(),
                subject,
                data: data.to_json(),
                happened: written.happened.map(|moment| moment.at(self.calendar)),
                id,
                source: written.source.clone().unwrap_or_else(|| "scenario".to_owned()),
            };
            return (event, format!("{kind}{whose}"));
        }
        let misplaced = ["happened", "source"].into_iter().find_map(|key| node.get(key));
        if let Some(misplaced) = misplaced {
            self.wrong(misplaced.at, "only an event has this");
        }
        if let Some(settings) = written.adjust.clone() {
            return (Action::Adjust { subject, settings, id }, format!("adjustment{whose}"));
        }
        let quoted = written.quote.as_ref().map(super::step::Quote::redemption);
        for redemption in [&quoted, &written.redeem].into_iter().flatten() {
            if redemption.payable.is_some() && redemption.payable().is_none() {
                self.wrong(node.at, "`payable` has at most 6 decimals");
            }
        }
        if let Some(quote) = &written.quote {
            if quote.is_mixed() {
                let message = "a quote is of a redemption (`member` and `points` or `reward`), or of a `cart` with `best`, \
                               `missing`, `rewards` and `lang`";
                self.wrong(node.at, message);
            }
            let title = format!("quote{whose}");
            let cart = node.get("quote").and_then(|settings| settings.get("cart"));
            return match cart.filter(|_| quote.cart.is_some()) {
                Some(cart) => (Action::QuoteCart { subject, data: cart.to_json(), ask: quote.ask(), id }, title),
                None => (Action::Quote { subject, settings: quote.redemption() }, title),
            };
        }
        if let Some(settings) = written.redeem.clone() {
            let member = self.named(node).unwrap_or_else(|| node.clone());
            self.redeemed.push((id.clone(), member));
            return (Action::Redeem { subject, settings, id }, format!("redemption{whose}"));
        }
        if let Some(settings) = written.transfer.clone() {
            let to = node.get("transfer").and_then(|settings| settings.get("to")).cloned();
            let to = to.map_or(Subject::Nobody, |to| self.subject(&to));
            return (Action::Transfer { subject, to, settings, id }, format!("transfer{whose}"));
        }
        if let Some(settings) = written.household.clone() {
            let who = node.get("household").and_then(|settings| settings.get("who")).cloned();
            let who = who.map_or(Subject::Nobody, |who| self.subject(&who));
            return (Action::Household { subject, who, settings, id }, format!("household{whose}"));
        }
        if let Some(settings) = written.uses.clone() {
            let member = self.named(node).unwrap_or_else(|| node.clone());
            self.redeemed.push((id.clone(), member));
            return (Action::Use { subject, settings, id }, format!("use of a benefit{whose}"));
        }
        if let Some(wish) = written.gift_card.clone() {
            let words = format!("gift card {}", wish.card);
            return (Action::Card { wish, id }, words);
        }
        if let Some(pay) = written.pay.clone() {
            if pay.payable.is_some() && pay.as_written().payable().is_none() {
                self.wrong(node.at, "`payable` has at most 6 decimals");
            }
            self.redeemed.push((id.clone(), Node { at: node.at, kind: Kind::Null }));
            let words = format!("payment with the gift card {}", pay.card);
            return (Action::Pay { pay, id }, words);
        }
        if let Some(wanted) = written.make_codes.clone() {
            let words = format!("codes of {}", wanted.voucher);
            return (Action::MakeCodes { wanted, id }, words);
        }
        for (settings, back) in [(&written.redeem_code, false), (&written.rollback_code, true)] {
            if let Some(settings) = settings.clone() {
                let words = format!("code {}{whose}", settings.code);
                return (Action::UseCode { subject, settings, back, id }, words);
            }
        }
        if let Some(settings) = &written.use_back {
            if !self.redeemed.iter().any(|(known, _)| *known == settings.used) {
                let message =
                    format!("no step before this one has the id `{}`: give the step with `use` one", settings.used);
                self.wrong(node.at, message);
            }
            return (Action::UseBack { used: settings.used.clone(), id }, format!("{} is taken back", settings.used));
        }
        if let Some(settings) = written.tier.clone() {
            return (Action::Tier { subject, settings, id }, format!("a level{whose}"));
        }
        let done = [
            ("capture", written.capture.as_ref().map(|of| (&of.redemption, Step::Capture { points: of.points }))),
            ("void", written.void.as_ref().map(|of| (&of.redemption, Step::Void))),
            ("return", written.give_back.as_ref().map(|of| (&of.redemption, Step::Return { points: of.points }))),
        ];
        for (word, done) in done {
            if let Some((redemption, step)) = done {
                return self.of_redemption(node, word, redemption, Doing::Step(step), id);
            }
        }
        if let Some(settings) = &written.fulfil {
            return self.of_redemption(node, "fulfil", &settings.redemption, Doing::Fulfil(settings.to), id);
        }
        if let Some(settings) = &written.partner {
            return self.of_redemption(node, "partner", &settings.redemption, Doing::Partner(settings.to), id);
        }
        if let Some(settings) = written.waitlist.clone() {
            return (Action::Waitlist { subject, settings, id }, format!("waiting list{whose}"));
        }
        if let Some(settings) = &written.join {
            return (Action::Join { subject, challenge: settings.challenge.clone(), id }, format!("joining{whose}"));
        }
        if let Some(settings) = &written.claim {
            return (Action::Claim { subject, order_id: settings.order_id.clone(), id }, format!("claim{whose}"));
        }
        if let Some(settings) = &written.leave {
            return (Action::Leave { subject, erase: settings.erase, id }, format!("leaving{whose}"));
        }
        for (word, merge, undo) in [("merge", &written.merge, false), ("merge-undo", &written.merge_undo, true)] {
            if merge.is_some() {
                let from = node.get(word).and_then(|settings| settings.get("from")).cloned();
                let from = from.map_or(Subject::Nobody, |from| self.subject(&from));
                let words = if undo { "merge undone" } else { "merge" };
                return (Action::Merge { subject, from, undo, id }, format!("{words}{whose}"));
            }
        }
        for (settings, frozen) in [(&written.freeze, true), (&written.thaw, false)] {
            if let Some(settings) = settings {
                let freeze = Freeze { frozen, reason: settings.reason.as_str().into() };
                let word = if frozen { "freezing" } else { "thawing" };
                return (Action::Freeze { subject, freeze, id }, format!("{word}{whose}"));
            }
        }
        match publication {
            Some(publication) => (Action::Publish { text: publication.text.clone() }, "a new version".to_owned()),
            None => (Action::Wait, "time passes".to_owned()),
        }
    }

    /// `referred_by` names a member of the story, whose code is then known.
    fn bring(&self, data: &mut Node) {
        let Kind::Map(entries) = &mut data.kind else { return };
        for (_, value) in entries.iter_mut().filter(|(key, _)| key.text == "referred_by") {
            if let Kind::Text(name) = &value.kind
                && let Some(text) = self.place(name).and_then(|place| self.people[place].subject.to_text())
            {
                value.kind = Kind::Text(format!("{}{text}", super::step::BROUGHT_BY));
            }
        }
    }

    fn of_redemption(
        &mut self,
        node: &Node,
        word: &str,
        redemption: &str,
        doing: Doing,
        id: String,
    ) -> (Action, String) {
        let redemption = redemption.to_owned();
        if !self.redeemed.iter().any(|(known, _)| *known == redemption) {
            let near = nearest(&redemption, self.redeemed.iter().map(|(known, _)| known.as_str()));
            let advice = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "give the step that redeems an `id`, and name it here".to_owned(),
            };
            let at = node.get(word).and_then(|settings| settings.get("redemption")).map_or(node.at, |named| named.at);
            self.wrong(at, format!("no step before this one redeemed `{redemption}`: {advice}"));
        }
        let words = format!("{word} of {redemption}");
        (Action::OfRedemption { redemption, doing, id }, words)
    }

    /// What is expected, and of whom: the member of the step, or the only one there is.
    fn expectation(&mut self, node: &Node, named: Option<Node>) -> Expectation {
        let Some(expect) = node.get("expect").cloned() else { return Expectation::default() };
        let alone = match self.people.as_slice() {
            [person] => Some(person.subject.clone()),
            _ => None,
        };
        let named = named.filter(|named| matches!(&named.kind, Kind::Text(_)));
        let about = match named {
            // A name that is wrong is told already.
            Some(named) => {
                let told = self.problems.len();
                let subject = self.subject(&named);
                self.problems.truncate(told);
                Some(subject)
            }
            None => alone,
        };
        if about.is_none() && expect.get(SEEN).is_some() {
            self.wrong(expect.at, "whose? Say it under `members`, such as { members: { an: { balances: … } } }");
        }
        let mut others = Vec::new();
        if let Some(Kind::Map(entries)) = expect.get("members").map(|members| &members.kind) {
            for (key, value) in entries {
                match self.place(&key.text) {
                    Some(place) => others.push((self.people[place].clone(), value.clone())),
                    None => {
                        self.subject(&Node { at: key.at, kind: Kind::Text(key.text.clone()) });
                    }
                }
            }
        }
        let has = |word: &str| node.get(word).is_some();
        // `return` is an action too where it is about a redemption.
        let mut sent = ACTIONS.iter().filter(|word| !UNSENT.contains(word)).chain(&["return", EVENT]);
        let sends = sent.any(|word| has(word));
        if !sends {
            let (publishes, asks) = (has("publish") || has("make-codes"), has("quote"));
            let answered = ["status", "refused", "effects", "without", "because", "answer", "version"];
            let is_meant = |key: &str| (key == "refused" && (publishes || asks)) || (key == "answer" && asks);
            for key in answered.into_iter().filter(|key| !is_meant(key)) {
                if let Some(value) = expect.get(key) {
                    self.wrong(value.at, format!("`{key}` is about an answer, and nothing is sent in this step"));
                }
            }
        }
        Expectation { seen: expect.get(SEEN).cloned(), answer: Some(expect), about, others }
    }
}

/// Every event type that a program has.
pub(super) fn event_types(definition: &Definition) -> BTreeSet<String> {
    let own = definition.events.keys().map(|kind| kind.as_str().to_owned());
    let clubs: &[&str] =
        if definition.membership.plans.is_empty() { &[] } else { &tessera_core::event::MEMBERSHIP_TYPES };
    let built_in = EVENT_TYPES.into_iter().chain(clubs.iter().copied());
    built_in.map(str::to_owned).chain(own).collect()
}
