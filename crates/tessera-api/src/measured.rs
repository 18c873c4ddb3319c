//! What is measured, in the words that `/metrics` has for it. `docs/operations.md` has the same list.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};

/// Says what each metric is. Those without labels begin at 0, so that a dashboard finds them before anything happens.
pub fn describe_metrics() {
    let counters = [
        ("tessera_batches_failed_total", "Batches that could not be written; their callers were told to come back"),
        ("tessera_connections_turned_away_total", "Connections that were one too many"),
    ];
    let gauges = [
        ("tessera_queue_depth", "Commands that wait for the writing thread"),
        ("tessera_connections", "Connections open"),
        ("tessera_wake_up_lag_seconds", "How long the oldest member that is due has waited"),
        ("tessera_outbox_lag_seconds", "How long the oldest command in the outbox that is due has waited"),
    ];
    for (name, text) in counters {
        describe_counter!(name, text);
        counter!(name).increment(0);
    }
    for (name, text) in gauges {
        describe_gauge!(name, text);
        gauge!(name).set(0.0);
    }
    describe_counter!("tessera_requests_total", "Requests answered, by route and status");
    describe_counter!("tessera_refusals_total", "Commands refused by a rule, by the code of the refusal");
    describe_counter!("tessera_partner_failures_total", "Calls of a partner that failed");
    describe_counter!("tessera_case_hits_total", "Signs of abuse that were noted");
    describe_counter!("tessera_cases_closed_total", "Cases of abuse that were closed");
    describe_counter!(
        "tessera_crossings_total",
        "Batches of a spread database that were one transaction over several shards"
    );
    describe_gauge!("tessera_codes_left", "Codes of a pool that nobody has yet");
    describe_histogram!("tessera_batch_size", "Commands in one transaction");
    describe_histogram!(
        "tessera_commit_seconds",
        "Time until a commit is on the disk: the disk, or the way to PostgreSQL and its disk"
    );
}
