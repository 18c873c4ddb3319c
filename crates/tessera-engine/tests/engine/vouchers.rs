//! V1, V2: codes through the executor: batches, restarts, verification.

use rstest::rstest;
use serde_json::{Value, json};
use tessera_engine::submission::Answer;
use tessera_engine::voucher::{
    Batch, BatchError, BatchKind, NewBatch, cancel_batch, import_chunk, make_chunk, open_batch,
};
use tessera_testkit::app::{TestApp, accepted, event, refused};
use tessera_testkit::shop::json as data;

/// A cup for each visit; it can go round, and comes back with its order.
pub const CUPS: &str = "
unknown_member: enrol
currencies: { bean: { name: Bean, expires: never } }
events: { visit: { data: {} } }
campaigns:
  base: { trigger: purchase, rules: [ { award: { currency: bean, amount: event.net / 1000 } } ] }
  come-in: { trigger: visit, rules: [ { issue: { voucher: cup } } ] }
vouchers: { cup: { gives: { amount_off: 20000 }, valid: P30D, on_return: rearm, transferable: true } }
";

fn visit(app: &TestApp, id: &str, subject: &str) -> String {
    let outcome = app.send(&event("visit", id, subject, "{}"));
    outcome.effects.iter().find_map(|effect| effect.code.clone()).unwrap().into()
}

fn sale(id: &str, subject: &str, code: &str) -> Value {
    let purchase = data::sale_with(id, &[("A", "goods", 1, 50_000)], &format!(", \"vouchers\": [\"{code}\"]"));
    event("purchase", id, subject, &purchase)
}

fn on_both() -> Vec<TestApp> {
    [Some(TestApp::new(CUPS)), TestApp::on_postgres(CUPS)].into_iter().flatten().collect()
}

#[test]
fn v1_one_code_in_one_batch_wins_once() {
    for app in on_both() {
        let code = visit(&app, "v-1", "card:0");
        let sales: Vec<Value> =
            (0..64).map(|number| sale(&format!("s-{number}"), &format!("card:{number}"), &code)).collect();
        let answers = app.send_together(&sales);
        let codes: Vec<String> = answers
            .into_iter()
            .map(|answer| match answer {
                Answer::Done { .. } => "applied".to_owned(),
                Answer::Refused(refusal) => refusal.code,
                Answer::Unavailable => "unavailable".to_owned(),
            })
            .collect();
        assert_eq!(codes.iter().filter(|code| *code == "applied").count(), 1);
        assert_eq!(codes.iter().filter(|code| *code == "voucher-used-up").count(), 63, "{codes:?}");
    }
}

#[test]
fn v2_a_batch_gives_what_one_by_one_gives() {
    for app in on_both() {
        let code = visit(&app, "v-1", "card:1");
        let back = |id: &str, order: &str| event("return", id, "card:1", &data::back_all(order));
        let story = [
            sale("s-1", "card:1", &code),
            sale("s-2", "card:2", &code),
            back("b-1", "s-1"),
            sale("s-3", "card:2", &code),
        ];
        let codes: Vec<String> = app
            .send_together(&story)
            .into_iter()
            .map(|answer| match answer {
                Answer::Done { outcome, .. } => format!("{:?}", outcome.status),
                Answer::Refused(refusal) => refusal.code,
                Answer::Unavailable => "unavailable".to_owned(),
            })
            .collect();
        assert_eq!(codes, ["Applied", "voucher-used-up", "Applied", "Applied"]);
    }
}

#[test]
fn i1_a_sale_with_a_voucher_may_be_sent_again() {
    let app = TestApp::new(CUPS);
    let code = visit(&app, "v-1", "card:1");
    let first = accepted(app.submit(&sale("s-1", "card:1", &code)));
    let again = accepted(app.submit(&sale("s-1", "card:1", &code)));
    assert_eq!(first.effects, again.effects);
    let refused = refused(app.submit(&sale("s-2", "card:2", &code)));
    assert_eq!((refused.code.as_str(), &refused.facts["most"]), ("voucher-used-up", &json!(1)));
}

#[test]
fn a_code_from_before_codes_had_rows_is_still_good() {
    let app = TestApp::new(CUPS);
    let code = visit(&app, "v-1", "card:1");
    app.engine()
        .executor()
        .write::<_, tessera_engine::StoreError>(|tx| tx.execute("DELETE FROM voucher_code", &[]))
        .unwrap();
    let held = app.get("members/card:1/vouchers").ok();
    assert_eq!((&held["items"][0]["code"], &held["items"][0]["state"]), (&json!(code), &json!("open")));
    app.send(&sale("s-1", "card:1", &code));
    assert_eq!(refused(app.submit(&sale("s-2", "card:1", &code))).code, "voucher-used-up");
}

#[rstest]
#[case::a_use_that_was_not("UPDATE voucher_code SET uses = 1, version = version + 1")]
#[case::a_code_that_is_gone("DELETE FROM voucher_code")]
fn verification_counts_the_uses_of_codes(#[case] damage: &'static str) {
    let mut app = TestApp::new(CUPS);
    let used = visit(&app, "v-1", "card:1");
    visit(&app, "v-2", "card:1");
    app.send(&sale("s-1", "card:1", &used));
    assert!(app.verify().differences.is_empty());
    app.engine().executor().write::<_, tessera_engine::StoreError>(move |tx| tx.execute(damage, &[])).unwrap();
    let differences = app.verify().differences;
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert!(differences[0].what.contains("uses, events say"), "{differences:?}");
    app.skip_verification();
}

#[test]
fn c6_a_batch_that_is_made_void_while_codes_come_gets_no_more() {
    for app in on_both() {
        let (context, executor) = (&app.engine().context, app.engine().executor());
        let new = |kind, count, length| NewBatch {
            voucher: "cup".parse().unwrap(),
            kind,
            name: String::new(),
            count,
            length,
            expires_on: None,
            code: None,
        };
        let open = |new, key| open_batch(context, executor, &app.program, (&new, key)).unwrap();
        let void = |batch: &Batch| cancel_batch(context, executor, &app.program, batch, &mut |_| {}).unwrap();
        let (made, taken_in) = (open(new(BatchKind::Made, 2, 16), "k-1"), open(new(BatchKind::Imported, 0, 0), "k-2"));
        let make = |numbers| make_chunk(context, executor, &app.program, (&made, numbers));
        let import = |line, code: &str| {
            import_chunk(context, executor, &app.program, (&taken_in, vec![(line, code.to_owned())]))
        };
        make(1..2).unwrap();
        import(1, "SUMMER-1").unwrap();
        // Whoever makes it void knows the batch as it was when they looked.
        assert_eq!((void(&made), void(&taken_in)), (1, 1));
        let refused =
            |error: BatchError| matches!(error, BatchError::Refused(refusal) if refusal.code == "batch-cancelled");
        assert!(refused(make(2..3).unwrap_err()));
        assert!(refused(import(2, "SUMMER-2").unwrap_err()));
        assert_eq!(app.count("SELECT COUNT(*) FROM voucher_code"), 2);
    }
}
