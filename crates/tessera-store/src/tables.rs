//! The tables the verbs can write. What each is for: `docs/ARCHITECTURE.md`; how each is made: `migrations/`.

use crate::table::{Column, Table};

/// A member: state (a fold of events and entries), version and the next instant that needs attention.
pub static MEMBER: Table = Table {
    name: "member",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("member"),
        Column::int("version"),
        Column::int("wake_at").or_null(),
        Column::int("status"),
        Column::bytes("state"),
    ],
    key: 3,
    guard: Some(3),
    steady: Some(4),
    locked: true,
};

/// What happened to a member, in order, with its outcome and the basis of the decision.
pub static EVENT: Table = Table {
    name: "event",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("member"),
        Column::int("seq"),
        Column::text("type"),
        Column::int("status"),
        Column::int("effective_at"),
        Column::int("recorded_at"),
        Column::int("program_version"),
        Column::text("payload"),
        Column::text("record"),
    ],
    key: 4,
    guard: None,
    steady: None,
    locked: false,
};

/// The ledger: positive whole amounts moved between two accounts, chained by hashes.
pub static ENTRY: Table = Table {
    name: "entry",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("member"),
        Column::int("seq"),
        Column::int("event_seq"),
        Column::int("at"),
        Column::text("currency"),
        Column::int("kind"),
        Column::int("debit"),
        Column::int("credit"),
        Column::int("amount"),
        Column::text("lot").or_null(),
        Column::int("expires_at").or_null(),
        Column::text("campaign").or_null(),
        Column::int("program_version"),
        Column::bytes("hash"),
    ],
    key: 4,
    guard: None,
    steady: None,
    locked: false,
};

/// Which events were seen: the idempotency key, the hash of the command, and where its outcome is.
pub static EVENT_KEY: Table = Table {
    name: "event_key",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("key"),
        Column::bytes("hash"),
        Column::bytes("member").or_null(),
        Column::int("seq").or_null(),
        Column::text("refusal").or_null(),
    ],
    key: 3,
    guard: None,
    steady: None,
    locked: false,
};

/// Which member and event an order belongs to, and how much of it was returned.
pub static ORDER_KEY: Table = Table {
    name: "order_key",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("key"),
        Column::bytes("member"),
        Column::int("seq"),
        Column::int("version"),
        Column::text("progress").or_null(),
    ],
    key: 3,
    guard: Some(5),
    steady: None,
    locked: false,
};

/// Which member an identifier (a keyed hash of a phone number, a card …) belongs to; or that it leads to nobody any
/// more: its `state`, until when that is remembered, and what of whoever had it.
pub static MEMBER_IDENTIFIER: Table = Table {
    name: "member_identifier",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("key"),
        Column::bytes("member"),
        Column::int("state").or_null(),
        Column::int("ends_at").or_null(),
        Column::text("memory").or_null(),
    ],
    key: 3,
    guard: None,
    steady: None,
    locked: false,
};

/// The vouchers a member holds or held.
pub static VOUCHER: Table = Table {
    name: "voucher",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("member"),
        Column::text("code"),
        Column::text("voucher"),
        Column::int("event_seq"),
        Column::int("issued_at"),
        Column::int("expires_at").or_null(),
        Column::int("status"),
    ],
    key: 4,
    guard: None,
    steady: None,
    locked: false,
};

/// Every code of a voucher, by a keyed hash of its text, with how often it was used.
pub static VOUCHER_CODE: Table = Table {
    name: "voucher_code",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("key"),
        Column::int("version"),
        Column::text("voucher"),
        Column::int("program_version"),
        Column::bytes("member").or_null(),
        Column::bytes("batch").or_null(),
        Column::int("number"),
        Column::int("issued_at"),
        Column::int("expires_at").or_null(),
        Column::int("most").or_null(),
        Column::int("shared"),
        Column::int("status"),
        Column::int("uses"),
        Column::bytes("last_member").or_null(),
        Column::int("last_seq").or_null(),
    ],
    key: 3,
    guard: Some(3),
    steady: None,
    locked: false,
};

/// Codes that were made, taken in or shared together.
pub static VOUCHER_BATCH: Table = Table {
    name: "voucher_batch",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("batch"),
        Column::text("voucher"),
        Column::text("name"),
        Column::int("kind"),
        Column::int("length"),
        Column::int("codes"),
        Column::int("program_version"),
        Column::int("created_at"),
        Column::int("expires_at").or_null(),
        Column::bytes("hash"),
        Column::int("status"),
    ],
    key: 3,
    guard: None,
    steady: None,
    locked: false,
};

/// The text of codes that came from elsewhere, sealed, by their number in the batch.
pub static VOUCHER_TEXT: Table = Table {
    name: "voucher_text",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("batch"),
        Column::int("number"),
        Column::bytes("text"),
    ],
    key: 4,
    guard: None,
    steady: None,
    locked: false,
};

/// What members redeemed, by its event, and how far each redemption has come.
pub static REDEMPTION: Table = Table {
    name: "redemption",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("member"),
        Column::int("seq"),
        Column::text("progress"),
    ],
    key: 4,
    guard: None,
    steady: None,
    locked: false,
};

/// How much of each scarce thing (stock, budget, code pool) is in use.
pub static POOL: Table = Table {
    name: "pool",
    columns: &[Column::int("bucket"), Column::int("program"), Column::text("pool"), Column::int("used")],
    key: 3,
    guard: None,
    steady: None,
    locked: true,
};

/// Personal data, encrypted under a key of the member's own.
pub static MEMBER_PROFILE: Table = Table {
    name: "member_profile",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("member"),
        Column::bytes("wrapped_key"),
        Column::bytes("data"),
    ],
    key: 3,
    guard: None,
    steady: None,
    locked: false,
};

/// What is to be sent or done after the commit.
pub static OUTBOX: Table = Table {
    name: "outbox",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("id"),
        Column::text("kind"),
        Column::bytes("topic").or_null(),
        Column::int("due_at"),
        Column::int("attempts"),
        Column::int("state"),
        Column::text("payload"),
        Column::int("created_at"),
    ],
    key: 3,
    guard: None,
    steady: None,
    locked: false,
};

/// The programs of this installation, and the version each is at.
pub static PROGRAM: Table = Table {
    name: "program",
    columns: &[Column::int("program"), Column::text("key"), Column::int("head"), Column::int("created_at")],
    key: 1,
    guard: None,
    steady: None,
    locked: false,
};

/// Every published version of a program's document.
pub static PROGRAM_VERSION: Table = Table {
    name: "program_version",
    columns: &[
        Column::int("program"),
        Column::int("version"),
        Column::int("valid_from"),
        Column::int("created_at"),
        Column::text("created_by"),
        Column::text("note"),
        Column::text("document"),
    ],
    key: 2,
    guard: None,
    steady: None,
    locked: false,
};

/// Who may call: keys stored as hashes.
pub static API_KEY: Table = Table {
    name: "api_key",
    columns: &[
        Column::int("program"),
        Column::text("id"),
        Column::text("name"),
        Column::bytes("hash"),
        Column::text("scopes"),
        Column::int("created_at"),
        Column::int("revoked_at").or_null(),
        Column::text("role").or_null(),
    ],
    key: 2,
    guard: None,
    steady: None,
    locked: false,
};

/// Adjustments that wait for a second person, and those that came with a note.
pub static ADJUSTMENT: Table = Table {
    name: "adjustment",
    columns: &[
        Column::int("program"),
        Column::text("id"),
        Column::bytes("hash"),
        Column::bytes("member"),
        Column::int("state"),
        Column::text("currency"),
        Column::int("amount"),
        Column::text("reason"),
        Column::text("note").or_null(),
        Column::int("undoes").or_null(),
        Column::text("asked_by"),
        Column::text("asked_name"),
        Column::text("asked_role").or_null(),
        Column::text("staff").or_null(),
        Column::int("asked_at"),
        Column::int("ends_at").or_null(),
        Column::text("decided_by").or_null(),
        Column::text("decided_name").or_null(),
        Column::int("decided_at").or_null(),
        Column::int("event_seq").or_null(),
        Column::text("refusal").or_null(),
    ],
    key: 2,
    guard: None,
    steady: None,
    locked: false,
};

/// How many codes of each partner's pool were ever brought in.
pub static CODE_POOL: Table = Table {
    name: "code_pool",
    columns: &[Column::int("bucket"), Column::int("program"), Column::text("pool"), Column::int("imported")],
    key: 3,
    guard: None,
    steady: None,
    locked: true,
};

/// Codes of partners, sealed: each is given once.
pub static POOL_CODE: Table = Table {
    name: "pool_code",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::text("pool"),
        Column::int("number"),
        Column::bytes("hash"),
        Column::bytes("sealed"),
        Column::bytes("member").or_null(),
        Column::int("seq").or_null(),
        Column::int("given_at").or_null(),
    ],
    key: 4,
    guard: None,
    steady: None,
    locked: false,
};

/// Redemptions that a person has to do something for, by state.
pub static FULFILMENT: Table = Table {
    name: "fulfilment",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("member"),
        Column::int("seq"),
        Column::text("reward"),
        Column::int("state"),
        Column::int("since"),
    ],
    key: 4,
    guard: None,
    steady: None,
    locked: false,
};

/// Who waits for a reward that is sold out, in the order in which they came.
pub static WAITLIST: Table = Table {
    name: "waitlist",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::text("reward"),
        Column::int("place"),
        Column::bytes("member"),
        Column::int("state"),
        Column::int("since"),
    ],
    key: 4,
    guard: None,
    steady: None,
    locked: false,
};

/// What partners are to deliver, and what became of it.
pub static PARTNER_ORDER: Table = Table {
    name: "partner_order",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("member"),
        Column::int("seq"),
        Column::text("partner"),
        Column::text("product"),
        Column::int("state"),
        Column::text("reference").or_null(),
        Column::bytes("sealed").or_null(),
        Column::int("ordered_at"),
        Column::int("changed_at"),
    ],
    key: 4,
    guard: None,
    steady: None,
    locked: false,
};

/// Proof that members are there: secrets of their cards, codes that were sent, wrong ones counted.
pub static POSSESSION: Table = Table {
    name: "possession",
    columns: &[
        Column::int("bucket"),
        Column::int("program"),
        Column::bytes("member"),
        Column::bytes("sealed"),
        Column::int("last_step"),
        Column::int("failures"),
        Column::int("blocked_until"),
        Column::bytes("one_time").or_null(),
        Column::int("one_time_until"),
    ],
    key: 3,
    guard: None,
    steady: None,
    locked: true,
};

/// Facts about the installation itself, such as which master key it belongs to.
pub static INSTALLATION: Table = Table {
    name: "installation",
    columns: &[Column::text("name"), Column::text("value")],
    key: 1,
    guard: None,
    steady: None,
    locked: false,
};

/// What rules with a chance drew, won or not.
pub static DRAW: Table = Table {
    name: "draw",
    columns: &[
        Column::int("program"),
        Column::text("campaign"),
        Column::int("at"),
        Column::bytes("member"),
        Column::int("seq"),
        Column::int("number"),
        Column::int("rule"),
        Column::text("chance"),
        Column::int("drawn"),
        Column::int("won"),
    ],
    key: 6,
    guard: None,
    steady: None,
    locked: false,
};

/// What was more than a velocity rule lets pass, by rule, subject and window.
pub static CASE_FILE: Table = Table {
    name: "case_file",
    columns: &[
        Column::int("program"),
        Column::text("id"),
        Column::text("rule"),
        Column::text("what"),
        Column::text("per"),
        Column::text("subject"),
        Column::bytes("member").or_null(),
        Column::int("began_at"),
        Column::int("ends_at"),
        Column::int("most"),
        Column::int("used"),
        Column::int("wanted"),
        Column::text("more"),
        Column::int("hits"),
        Column::text("action"),
        Column::int("state"),
        Column::int("opened_at"),
        Column::int("changed_at"),
        Column::text("taken_by").or_null(),
        Column::text("taken_name").or_null(),
        Column::int("taken_at").or_null(),
        Column::text("verdict").or_null(),
        Column::text("note").or_null(),
        Column::text("closed_by").or_null(),
        Column::text("closed_name").or_null(),
        Column::int("closed_at").or_null(),
    ],
    key: 2,
    guard: None,
    steady: None,
    locked: false,
};

/// The commands that belong to a case.
pub static CASE_HIT: Table = Table {
    name: "case_hit",
    columns: &[
        Column::int("program"),
        Column::text("id"),
        Column::bytes("command"),
        Column::int("at"),
        Column::bytes("member").or_null(),
        Column::int("event_seq").or_null(),
        Column::int("added"),
        Column::text("refusal").or_null(),
        Column::text("asked_by"),
        Column::text("staff").or_null(),
        Column::text("device").or_null(),
        Column::text("location").or_null(),
    ],
    key: 3,
    guard: None,
    steady: None,
    locked: false,
};

/// All tables of programs.
pub static ALL: [&Table; 27] = [
    &MEMBER,
    &EVENT,
    &ENTRY,
    &EVENT_KEY,
    &ORDER_KEY,
    &MEMBER_IDENTIFIER,
    &VOUCHER,
    &VOUCHER_CODE,
    &VOUCHER_BATCH,
    &VOUCHER_TEXT,
    &REDEMPTION,
    &POOL,
    &MEMBER_PROFILE,
    &OUTBOX,
    &PROGRAM,
    &PROGRAM_VERSION,
    &API_KEY,
    &DRAW,
    &CODE_POOL,
    &POOL_CODE,
    &FULFILMENT,
    &WAITLIST,
    &PARTNER_ORDER,
    &ADJUSTMENT,
    &POSSESSION,
    &CASE_FILE,
    &CASE_HIT,
];

/// Every table there is, those of programs and the one beside them: what an installation consists of.
pub fn every() -> impl Iterator<Item = &'static Table> {
    ALL.into_iter().chain([&INSTALLATION])
}
