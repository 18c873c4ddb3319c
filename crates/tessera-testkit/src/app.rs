//! An installation in a temporary folder: engine and router in this process, a clock that stands, no sockets.
//!
//! When a [`TestApp`] goes, every program in it is verified and replayed; a difference fails the test.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tessera_api::AppState;
use tessera_connect::partner::Partners;
use tessera_core::decide::{Effect, EffectKind, Outcome, OutcomeStatus};
use tessera_core::event::Redeem;
use tessera_core::time::Instant;
use tessera_engine::access::{self, Scope};
use tessera_engine::clock::FixedClock;
use tessera_engine::engine::Location;
use tessera_engine::programs::{ProgramHandle, Publication};
use tessera_engine::redemption::Step;
use tessera_engine::replay::differences;
use tessera_engine::submission::{Answer, CloudEvent, Refusal, Submission};
use tessera_engine::verify::{Verification, verify};
use tessera_engine::{Engine, EngineError, relay, scheduler, waitlist};
use tessera_store::Database;
use tower::ServiceExt;

use crate::partner::FakePartner;
use crate::postgres::{self, TestDatabase};
use crate::shop;

/// Where the clock of every app stands at first: a Monday morning in Hồ Chí Minh City.
pub const START: &str = "2026-03-02T10:00";

/// Over how many shards the databases of tests are spread, each transaction watched: `TESSERA_TEST_SHARDS=8`.
pub fn shards_asked_for() -> Option<u16> {
    std::env::var("TESSERA_TEST_SHARDS").ok()?.parse().ok()
}

/// Spreads the database of an installation that is not open yet.
fn spread(location: &Location, shards: u16) {
    std::fs::create_dir_all(&location.folder).expect("a folder for the installation");
    let database = match &location.database_url {
        Some(url) => Database::open_postgres(url),
        None => Database::open_sqlite(&location.database_file()),
    };
    let database = database.expect("the database of the test opens");
    // A database that is there has its key.
    location.secrets(true).expect("a key for the installation");
    tessera_engine::installation::spread(&database, shards).expect("a database can be spread");
}

/// An installation with a published program and a key that may do everything.
pub struct TestApp {
    pub clock: Arc<FixedClock>,
    /// The program that paths and events are about; the first one published.
    pub program: Arc<ProgramHandle>,
    /// The text of a key with all scopes.
    pub key: String,
    /// Who is behind the partners `giftly` and `airport` of documents.
    pub partner: Arc<FakePartner>,
    /// How partners are reached.
    pub partners: Arc<Partners>,
    router: Router,
    engine: Option<Engine>,
    location: Location,
    runtime: tokio::runtime::Runtime,
    verifies: bool,
    _database: Option<TestDatabase>,
    folder: TempDir,
}

impl TestApp {
    /// On the embedded database, or on PostgreSQL with `TESSERA_TEST_DATABASE=postgres`. The document's head may be left
    /// out, see [`shop::document`].
    ///
    /// # Panics
    /// If the document has mistakes, or PostgreSQL is asked for and not installed.
    pub fn new(document: &str) -> Self {
        if postgres::asked_for() {
            return Self::on_postgres(document).expect("PostgreSQL is asked for and installed");
        }
        Self::open(document, None)
    }

    /// Spread over eight shards, on the embedded database: what a batch writes on two of them in one transaction is refused.
    ///
    /// # Panics
    /// As [`TestApp::new`].
    pub fn on_shards(document: &str) -> Self {
        Self::open_over(document, None, Some(8))
    }

    /// The same on PostgreSQL; nothing (with a note) where it is not installed.
    pub fn on_shards_of_postgres(document: &str) -> Option<Self> {
        let migrate = |url: &str| drop(Database::open_postgres(url).expect("a new database can be migrated"));
        postgres::prepared_database(migrate).map(|database| Self::open_over(document, Some(database), Some(8)))
    }

    /// On PostgreSQL; nothing (with a note) where it is not installed.
    pub fn on_postgres(document: &str) -> Option<Self> {
        let migrate = |url: &str| drop(Database::open_postgres(url).expect("a new database can be migrated"));
        postgres::prepared_database(migrate).map(|database| Self::open(document, Some(database)))
    }

    fn open(document: &str, database: Option<TestDatabase>) -> Self {
        Self::open_over(document, database, shards_asked_for())
    }

    fn open_over(document: &str, database: Option<TestDatabase>, shards: Option<u16>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let location = Location {
            folder: folder.path().join("data"),
            database_url: database.as_ref().map(TestDatabase::url),
            master_key: None,
        };
        let clock = Arc::new(FixedClock::at(shop::at(START)));
        if let Some(shards) = shards {
            spread(&location, shards);
        }
        let engine = Engine::open_with(&location, clock.clone()).expect("a new installation opens");
        let program = publish(&engine, document).expect("the test's document is valid").0;
        let key = access::create(&engine.context, engine.executor(), program.number, "test", &Scope::ALL);
        let partner = Arc::new(FakePartner::default());
        let known = |partners: Partners, name: &str| partners.with(shop::id(name), partner.clone());
        let partners = Arc::new(["giftly", "airport"].into_iter().fold(Partners::default(), known));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self {
            clock,
            program,
            key: key.expect("a key is made").key,
            router: router(&engine, &partners),
            partner,
            partners,
            engine: Some(engine),
            location,
            runtime,
            verifies: true,
            _database: database,
            folder,
        }
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("the engine is only out while it restarts")
    }

    /// The data folder, with the master key and the embedded database.
    pub fn data(&self) -> &Path {
        &self.location.folder
    }

    /// A folder for files of the test's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file of the embedded database.
    pub fn database_file(&self) -> PathBuf {
        self.location.folder.join("tessera.db")
    }

    /// Puts the clock to a time as [`shop::at`] reads it.
    pub fn set_clock(&self, time: &str) {
        self.clock.set(shop::at(time));
    }

    pub fn now(&self) -> Instant {
        self.engine().context.clock.now()
    }

    /// Publishes a document, of this program or another. Says its version and whether that is new.
    ///
    /// # Errors
    /// As publishing answers.
    pub fn publish(&self, document: &str) -> Result<(Arc<ProgramHandle>, u32, bool), EngineError> {
        publish(self.engine(), document)
    }

    /// Closes the installation and opens it again, as a new process would find it.
    pub fn restart(&mut self) {
        self.router = Router::new();
        drop(self.engine.take());
        let engine = Engine::open_with(&self.location, self.clock.clone()).expect("the installation opens again");
        self.program = engine.program(self.program.key.as_str()).expect("the program is still there");
        self.router = router(&engine, &self.partners);
        self.engine = Some(engine);
    }

    /// Another process at the same PostgreSQL database.
    ///
    /// # Panics
    /// On the embedded database, which one process has to itself.
    pub fn neighbour(&self) -> Engine {
        assert!(self.location.database_url.is_some(), "only PostgreSQL is shared");
        Engine::open_with(&self.location, self.clock.clone()).expect("another engine opens")
    }

    /// Reads an event as the door does.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self, event: &Value) -> Result<Submission, Refusal> {
        self.read_for(&self.program, event)
    }

    /// Reads an event of another program.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read_for(&self, program: &Arc<ProgramHandle>, event: &Value) -> Result<Submission, Refusal> {
        let text = event.to_string();
        let event: CloudEvent<'_> = serde_json::from_str(&text).expect("the test's event is a CloudEvent");
        Submission::from_event(&self.engine().context.secrets, program, &event, self.now())
    }

    /// Sends an event and waits for its answer.
    pub fn submit(&self, event: &Value) -> Answer {
        match self.read(event) {
            Ok(submission) => self.engine().submit(submission).expect("there is room in the queue"),
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    /// Sends an event that must be accepted.
    pub fn send(&self, event: &Value) -> Outcome {
        accepted(self.submit(event))
    }

    /// Sends an event that must be refused.
    pub fn refused(&self, event: &Value) -> Refusal {
        refused(self.submit(event))
    }

    /// Sends events so that the executor finds them together, and waits for all answers.
    pub fn send_together(&self, events: &[Value]) -> Vec<Answer> {
        self.submit_together(events.iter().map(|event| self.read(event)).collect())
    }

    /// Submits commands so that the executor finds them together, and waits for all answers.
    pub fn submit_together(&self, submissions: Vec<Result<Submission, Refusal>>) -> Vec<Answer> {
        let (waiting, held) = mpsc::channel::<()>();
        let held = std::sync::Mutex::new(held);
        // While the writing thread waits in this job, what comes after it queues up.
        let executor = self.engine().executor().clone();
        std::thread::scope(|scope| {
            let (entered, inside) = mpsc::channel();
            let gate = scope.spawn(move || {
                executor.write(move |_| {
                    entered.send(()).expect("the test waits");
                    let _ended = held.lock().expect("nobody else has it").recv();
                    Ok::<_, tessera_engine::StoreError>(())
                })
            });
            inside.recv().expect("the job runs");
            let answers: Vec<_> = submissions
                .into_iter()
                .map(|submission| {
                    let (answer, answered) = mpsc::channel();
                    match submission {
                        Ok(submission) => {
                            let reply = Box::new(move |done| answer.send(done).expect("the test waits"));
                            self.engine()
                                .executor()
                                .submit_in_order(submission, reply)
                                .expect("there is room in the queue");
                        }
                        Err(refusal) => answer.send(Answer::Refused(refusal)).expect("the test waits"),
                    }
                    answered
                })
                .collect();
            drop(waiting);
            gate.join().expect("the job does not panic").expect("an empty transaction commits");
            answers.into_iter().map(|answered| answered.recv().expect("every command has its answer")).collect()
        })
    }

    /// A redemption of points by a member, as the door reads it.
    pub fn redeeming(&self, member: &str, redeem: Redeem, key: &str) -> Submission {
        let member = member.parse().expect("the test's subject is one");
        Submission::redeem(&self.engine().context.secrets, &self.program, member, redeem, key, self.now())
    }

    /// What is done with a redemption, as the door reads it.
    pub fn redemption_step(&self, redemption: &str, step: Step, key: &str) -> Submission {
        let redemption = redemption.parse().expect("the test's redemption is the id of one");
        Submission::redemption_step(&self.engine().context.secrets, &self.program, redemption, step, key, self.now())
    }

    /// Sends what events caused for other members, as the relay does right after a commit. Says how much there was.
    pub fn relay(&self) -> usize {
        let (context, executor) = (&self.engine().context, self.engine().executor());
        relay::relay_all(context, executor).expect("follow-ups can be sent")
    }

    /// Sends what waits for partners, as the server does by itself. Says how much there was.
    pub fn relay_to_partners(&self) -> usize {
        let (context, executor) = (&self.engine().context, self.engine().executor());
        tessera_engine::partner::relay_due(context, executor, &self.partners).expect("what waits can be read")
    }

    /// Wakes members and releases follow-ups until nothing is due, as the scheduler does. Says how much there was.
    pub fn run_scheduler(&self) -> usize {
        let (context, executor) = (&self.engine().context, self.engine().executor());
        let mut done = 0;
        loop {
            let woken = scheduler::wake_due(context, executor).expect("members can be woken");
            let sent = relay::relay_due(context, executor).expect("follow-ups can be sent");
            let offered = waitlist::offer_free(context, executor).expect("what is free can be offered");
            let told = self.relay_to_partners();
            let swept = tessera_engine::executor::sweep_now(context, executor).expect("shards can be tidied up");
            if woken + sent + offered + told + swept == 0 {
                return done;
            }
            done += woken + sent + offered + told;
            assert!(done < 100_000, "the scheduler never comes to rest");
        }
    }

    /// A new key of the program.
    pub fn new_key(&self, scopes: &[Scope]) -> access::NewKey {
        let engine = self.engine();
        access::create(&engine.context, engine.executor(), self.program.number, "", scopes).expect("a key is made")
    }

    /// The address of something in the program: `members/…`.
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/programs/{}/{rest}", self.program.key)
    }

    /// A request with the app's key, about something in its program; a path from the root on begins with `/`.
    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        let path = if path.starts_with('/') { path.to_owned() } else { self.path(path) };
        let call = Call { app: self, request: Request::builder().method(method).uri(path), key: None };
        call.key(&self.key)
    }

    pub fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path).send("")
    }

    /// Posts JSON.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::POST, path).json(body)
    }

    /// Posts a text as JSON, whatever it is.
    pub fn post_text(&self, path: &str, body: &str) -> Reply {
        let call = self.call(Method::POST, path).header("content-type", "application/json");
        call.header("idempotency-key", "key").send(body.to_owned())
    }

    /// A member as the API shows them.
    pub fn member(&self, identifier: &str) -> Value {
        self.get(&format!("members/{identifier}")).ok()
    }

    /// What a member can spend of a currency now.
    pub fn available(&self, identifier: &str, currency: &str) -> i64 {
        let member = self.member(identifier);
        member["balances"][currency]["available"].as_i64().unwrap_or_else(|| panic!("no {currency} in {member}"))
    }

    /// Verifies the app's program.
    pub fn verify(&self) -> Verification {
        verify(&self.engine().context, &self.program, &mut |_| {}).expect("the ledger can be read")
    }

    /// The rows of a query; for looking only.
    pub fn query(&self, sql: &str) -> Vec<Vec<tessera_store::Value>> {
        self.engine().context.database.read(|reader| reader.query(sql, &[])).expect("the test's query is right")
    }

    /// The one number that a query gives: a count.
    pub fn count(&self, sql: &str) -> i64 {
        self.query(sql)[0][0].int().expect("a count")
    }

    /// For tests that break the ledger on purpose: it is not verified in the end.
    pub fn skip_verification(&mut self) {
        self.verifies = false;
    }

    fn check(&self) {
        let context = &self.engine().context;
        for key in context.programs.list(&context.database).expect("the programs can be listed") {
            let program = context.programs.get(&context.database, &key).expect("a listed program is there");
            let found = verify(context, &program, &mut |_| {}).expect("the ledger can be read");
            assert!(found.differences.is_empty(), "the ledger of {key} is broken: {:#?}", found.differences);
            self.check_replay(&program);
        }
    }

    /// What happened, decided again under the same document, comes to the same: whatever a test did is read again from
    /// how it was recorded, and nothing but what was recorded decides.
    fn check_replay(&self, program: &Arc<ProgramHandle>) {
        if program.versions().head().version == 1 {
            self.replay_is_the_same(program, None);
        }
    }

    /// The same of a program of several versions, each of which was published later than everything before it happened:
    /// the last one is decided again, and what is left of what was before.
    ///
    /// # Panics
    /// If the replay comes to something else.
    pub fn check_replay_of_all_versions(&self) {
        let versions = self.program.versions();
        let since = versions.within(Instant::MIN, Instant::MAX).last().map(|(since, ..)| since);
        self.replay_is_the_same(&self.program, since.filter(|_| versions.head().version > 1));
    }

    fn replay_is_the_same(&self, program: &Arc<ProgramHandle>, from: Option<Instant>) {
        let found = differences(&self.engine().context, program, from).expect("the history can be read");
        let advice = "every command has to be read again by `read_recorded` (tessera-core, event/recorded.rs)";
        assert!(found.is_empty(), "a replay of {} comes to something else; {advice}: {found:#?}", program.key);
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if self.verifies && !std::thread::panicking() && self.engine.is_some() {
            self.check();
        }
        // The router holds the executor, which ends when its last handle goes.
        self.router = Router::new();
    }
}

fn router(engine: &Engine, partners: &Arc<Partners>) -> Router {
    let state = AppState::new(engine.context.clone(), engine.executor().clone(), None);
    tessera_api::router(state.with_partners(partners.clone()))
}

fn publish(engine: &Engine, document: &str) -> Result<(Arc<ProgramHandle>, u32, bool), EngineError> {
    let has_head = document.lines().any(|line| line.starts_with("program:"));
    let text = if has_head { document.to_owned() } else { shop::document(document) };
    engine.publish(Publication { text, by: "test".to_owned(), ..Publication::default() })
}

/// A CloudEvent of `till-1` with data such as those of [`shop::json`]; an empty subject is none.
pub fn event(kind: &str, id: &str, subject: &str, data: &str) -> Value {
    let data: Value = serde_json::from_str(data).expect("the test's data are JSON");
    let mut event = json!({ "specversion": "1.0", "source": "till-1", "id": id, "type": kind, "data": data });
    if !subject.is_empty() {
        event["subject"] = subject.into();
    }
    event
}

/// The same at a time as [`shop::at`] reads it.
pub fn event_at(time: &str, kind: &str, id: &str, subject: &str, data: &str) -> Value {
    let mut event = event(kind, id, subject, data);
    event["time"] = shop::at(time).to_string().into();
    event
}

/// The outcome of a command that must be accepted.
pub fn accepted(answer: Answer) -> Outcome {
    match answer {
        Answer::Done { outcome, .. } => *outcome,
        Answer::Refused(refusal) => panic!("refused: {}: {}", refusal.code, refusal.detail),
        Answer::Unavailable => panic!("the database did not take it"),
    }
}

/// The refusal of a command that must be refused.
pub fn refused(answer: Answer) -> Refusal {
    match answer {
        Answer::Refused(refusal) => refusal,
        Answer::Done { outcome, .. } => panic!("it was taken: {outcome:#?}"),
        Answer::Unavailable => panic!("the database did not take it"),
    }
}

/// The first outcome, as its duplicates should give it.
pub fn as_duplicate(first: &Outcome) -> Outcome {
    Outcome { status: OutcomeStatus::Duplicate, first_status: Some(first.status), ..first.clone() }
}

/// The amounts of effects of a kind in a currency.
pub fn amounts(effects: &[Effect], kind: EffectKind, currency: &str) -> Vec<i64> {
    let wanted = |effect: &&Effect| {
        effect.kind == kind && effect.currency.as_ref().is_some_and(|found| found.as_str() == currency)
    };
    effects.iter().filter(wanted).filter_map(|effect| effect.amount).collect()
}

/// A request that is being put together.
pub struct Call<'a> {
    app: &'a TestApp,
    request: axum::http::request::Builder,
    key: Option<String>,
}

impl Call<'_> {
    /// Sends another key; an empty one is none.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key).filter(|key| !key.is_empty()).map(|key| format!("Bearer {key}"));
        self
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// As if it came from this address, such as `10.0.0.1`.
    ///
    /// # Panics
    /// If that is no address.
    #[must_use]
    pub fn from_address(mut self, address: &str) -> Self {
        let address: IpAddr = address.parse().expect("an address such as 10.0.0.1");
        self.request = self.request.extension(ConnectInfo(SocketAddr::new(address, 443)));
        self
    }

    /// Sends JSON as `application/json`.
    pub fn json(self, body: &Value) -> Reply {
        self.header("content-type", "application/json").send(body.to_string())
    }

    pub fn send(mut self, body: impl Into<Body>) -> Reply {
        if let Some(key) = &self.key {
            self.request = self.request.header(header::AUTHORIZATION, key);
        }
        let request = self.request.body(body.into()).expect("the test's request is well-formed");
        let router = self.app.router.clone();
        self.app.runtime.block_on(async move {
            let response = router.oneshot(request).await.expect("the router answers everything");
            let (parts, body) = response.into_parts();
            let body = body.collect().await.expect("the answer is whole").to_bytes();
            let body = String::from_utf8(body.to_vec()).unwrap_or_default();
            Reply { status: parts.status, headers: parts.headers, body }
        })
    }
}

/// What the API answered.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.body))
    }

    /// The body of an answer that must be a success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.body);
        self.json()
    }

    /// The body of an answer that must be this problem.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!((self.status.as_u16(), problem["status"].as_u64()), (status, Some(u64::from(status))), "{problem}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{problem}");
        let kind = problem["type"].as_str().unwrap_or_default();
        assert_eq!(kind, format!("https://tessera.example/problems/{code}"), "{problem}");
        for text in ["title", "detail"] {
            assert!(problem[text].as_str().is_some_and(|text| !text.is_empty()), "no {text} in {problem}");
        }
        problem
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The lines of an NDJSON answer.
    pub fn lines(&self) -> Vec<Value> {
        self.body.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

/// Writes tests of `fn(&mut TestApp)` for both databases: `…::sqlite` and `…::postgres`.
#[macro_export]
macro_rules! on_both_databases {
    ($document:expr => $($test:ident),+ $(,)?) => {$(
        mod $test {
            #[allow(unused_imports)]
            use super::*;

            #[test]
            fn sqlite() {
                super::$test(&mut $crate::app::TestApp::new($document));
            }

            #[test]
            fn postgres() {
                if let Some(mut app) = $crate::app::TestApp::on_postgres($document) {
                    super::$test(&mut app);
                }
            }
        }
    )+};
}
