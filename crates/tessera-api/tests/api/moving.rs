//! `POST …/moving-in`.

use serde_json::{Value, json};
use tessera_testkit::app::TestApp;

use crate::common::{SHOP, call, sale};

fn stream(app: &TestApp, lines: &[Value]) -> Vec<Value> {
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    call(app, "POST", "moving-in").header("content-type", "application/x-ndjson").send(body).lines()
}

fn line(kind: &str, id: &str, subject: &str, data: Value) -> Value {
    json!({ "type": kind, "source": "old", "id": id, "subject": subject, "data": data })
}

#[test]
fn l9_members_lots_and_vouchers_move_in_over_the_api_and_nothing_fires() {
    let app = TestApp::new(SHOP);
    let lot = |id: &str| {
        let data = json!({ "currency": "point", "amount": 25, "expires": "2027-01-31" });
        let mut lot = line("import", id, "old:1", data);
        lot["time"] = json!("2021-05-01T00:00:00+07:00");
        lot
    };
    let member = json!({ "joined": "2019-05-06", "phone": "+84901234567", "name": "Minh", "balances": { "point": 40 },
        "tiers": { "club": { "level": "gold", "holds_until": "2026-06-30" } } });
    let lines = [
        line("move-in", "1", "old:1", member),
        lot("l-1"),
        line("move-voucher", "v-1", "old:1", json!({ "voucher": "cup", "code": "old-01", "expires": "2026-12-31" })),
        line("import", "l-2", "old:2", json!({ "currency": "point", "amount": 1 })),
        sale("r-1", "old:1", 5_000),
        line("move-in", "3", "old:3", json!({ "balances": { "point": "many" } })),
        line("move-in", "4", "old:4", json!({ "balances": { "point": -7 } })),
    ];
    let answers = stream(&app, &lines);
    let status: Vec<&str> = answers.iter().map(|answer| answer["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["applied", "applied", "applied", "refused", "refused", "refused", "applied"], "{answers:#?}");
    assert!(answers[3]["problem"]["type"].as_str().unwrap().ends_with("unknown-member"), "nobody joins by a lot");
    assert!(answers[5]["problem"]["detail"].as_str().unwrap().contains("data.balances.point"));
    assert_eq!(answers[6]["balances"]["point"]["debt"], 7, "what was owed there is owed here (R6)");
    assert_eq!(stream(&app, &lines[..3])[1]["status"], "duplicate");

    let known = app.member("phone:+84901234567");
    assert_eq!(
        (&known["balances"]["point"]["available"], &known["balances"]["stamp"]["available"]),
        (&json!(65), &json!(0))
    );
    assert_eq!(known["joined_at"], "2019-05-05T17:00:00Z");
    assert_eq!(
        (&known["tiers"][0]["level"], &known["tiers"][0]["holds_until"]),
        (&json!("gold"), &json!("2026-06-30T17:00:00Z"))
    );
    assert_eq!(app.get("members/old:1/vouchers").ok()["items"][0]["code"], "old-01");
    let events = app.query("SELECT payload FROM event");
    assert!(events.iter().all(|row| !row[0].text().unwrap().contains("Minh")), "personal data are in no event");
    app.post("events", &lines[0]).problem(400, "unknown-event-type");
}
