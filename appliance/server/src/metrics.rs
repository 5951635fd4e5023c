//! What `/metrics` shows. Labels are of a fixed set: listeners, methods, route templates, statuses, problem codes, states, and which
//! HSM it is (`primary`, `replica`), numbers of domains up to a bound; never a name or an identifier.

use std::time::Duration;

use metrics::{
    SetRecorderError, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use strongroom_hsm::supervised::{MemberStatus, State as HsmState};
use strongroom_keystore::Statistics;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::health::{Health, State, Status};
use strongroom_wire::problem::Code;

use crate::domains::Tally;
use crate::watch;

const REQUESTS: &str = "strongroom_requests_total";
const REQUEST_SECONDS: &str = "strongroom_request_seconds";
const REFUSALS: &str = "strongroom_refusals_total";
const SIGN_IN_FAILURES: &str = "strongroom_sign_in_failures_total";
const PANICS: &str = "strongroom_panics_total";
const STATE: &str = "strongroom_state";
const HSM_USABLE: &str = "strongroom_hsm_usable";
const HSM_SERVING: &str = "strongroom_hsm_serving";
const HSM_ABANDONED: &str = "strongroom_hsm_abandoned_calls";
const HSM_TIMED_OUT: &str = "strongroom_hsm_timed_out_calls";
const HSM_UP: &str = "strongroom_hsm_up";
const STORAGE_UP: &str = "strongroom_storage_up";
const TREE_SIZE: &str = "strongroom_tree_size";
const CACHED_KEKS: &str = "strongroom_cached_keks";
const NEWEST_BACKUP: &str = "strongroom_newest_backup_timestamp_seconds";
const QUEUED_ACTS: &str = "strongroom_queued_acts";
const REWRAPS_LEFT: &str = "strongroom_rotation_rewraps_left";
const RESEALS_LEFT: &str = "strongroom_rotation_reseals_left";
const DOMAINS: &str = "strongroom_domains";
const DOMAIN_REQUESTS: &str = "strongroom_domain_requests_total";
const CERTIFICATE_UP: &str = "strongroom_certificate_up";
const CERTIFICATE_LAPSES: &str = "strongroom_certificate_lapses_timestamp_seconds";
const STORAGE_FULL: &str = "strongroom_storage_full";
const WITNESS_UP: &str = "strongroom_witness_up";
const WITNESS_BEHIND: &str = "strongroom_witness_behind_leaves";
const SIEM_UP: &str = "strongroom_siem_up";
const SIEM_BEHIND: &str = "strongroom_siem_behind_leaves";
const BACKUP_TARGET_UP: &str = "strongroom_backup_target_up";
const BACKUP_TARGET_BEHIND: &str = "strongroom_backup_target_behind_backups";
const SCRUB_FINDINGS: &str = "strongroom_scrub_findings";
const SCRUB_ROWS: &str = "strongroom_scrub_rows";
const NEWEST_SCRUB: &str = "strongroom_newest_scrub_timestamp_seconds";
const NOTIFICATIONS_DUE: &str = "strongroom_notifications_due";
const ROTATION_DAMAGE: &str = "strongroom_rotation_damaged_records";

/// Upper bounds of the latency histogram in seconds: from a cached read to a request that waits for a slow disk.
const LATENCIES: [f64; 14] = [
    0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 4.0, 16.0,
];

/// The highest number of a domain that has a label of its own.
const MOST_DOMAINS: u32 = 2000;

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetricsError {
    /// The histogram cannot be set up.
    #[error("the metrics cannot be set up: {0}")]
    Build(#[from] BuildError),
    /// The process has metrics already.
    #[error("the metrics were set up twice")]
    Twice(#[from] SetRecorderError<PrometheusRecorder>),
}

/// Starts counting, and gives what renders the counts.
pub(crate) fn start() -> Result<PrometheusHandle, MetricsError> {
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    describe();
    Ok(handle)
}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    Ok(PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(REQUEST_SECONDS.to_owned()), &LATENCIES)?
        .build_recorder())
}

fn describe() {
    describe_counter!(REQUESTS, "Requests answered.");
    describe_histogram!(REQUEST_SECONDS, "Seconds from a request to its answer.");
    describe_counter!(REFUSALS, "Requests refused, by problem code.");
    describe_counter!(SIGN_IN_FAILURES, "Sign-ins and enrolments that failed.");
    describe_counter!(PANICS, "Requests during which the appliance panicked.");
    describe_gauge!(STATE, "1 for the state that the appliance is in.");
    describe_gauge!(HSM_UP, "Whether an HSM answers: 1 or 0.");
    describe_gauge!(HSM_USABLE, "Whether this HSM answers: 1 or 0.");
    describe_gauge!(HSM_SERVING, "Whether calls go to this HSM: 1 or 0.");
    describe_gauge!(
        HSM_ABANDONED,
        "Calls to this HSM that were given up and have not come back."
    );
    describe_gauge!(
        HSM_TIMED_OUT,
        "Calls that this HSM did not answer in time since it was unsealed."
    );
    describe_gauge!(STORAGE_UP, "Whether the database takes writes: 1 or 0.");
    describe_gauge!(TREE_SIZE, "Leaves in the audit tree.");
    describe_gauge!(CACHED_KEKS, "Account KEKs in memory.");
    describe_gauge!(
        NEWEST_BACKUP,
        "When the schedule last made a backup, in seconds since 1970."
    );
    describe_gauge!(QUEUED_ACTS, "Acts waiting for the database's writer.");
    describe_gauge!(
        REWRAPS_LEFT,
        "Keys wrapped by older versions of the master KEK."
    );
    describe_gauge!(
        RESEALS_LEFT,
        "Values sealed under older versions of rotated account KEKs."
    );
    describe_gauge!(
        STORAGE_FULL,
        "Whether nothing can be written because the disk is full: 1 or 0."
    );
    describe_gauge!(
        WITNESS_UP,
        "Whether a witness cosigns, by its place in the configuration: 1 or 0."
    );
    describe_gauge!(
        WITNESS_BEHIND,
        "Leaves under signed checkpoints that a witness has not cosigned."
    );
    describe_gauge!(
        SIEM_UP,
        "Whether a receiver takes the log, by its place in the configuration: 1 or 0."
    );
    describe_gauge!(SIEM_BEHIND, "Leaves that a receiver has not confirmed.");
    describe_gauge!(
        BACKUP_TARGET_UP,
        "Whether the target of backups takes them: 1 or 0."
    );
    describe_gauge!(
        BACKUP_TARGET_BEHIND,
        "Backups in the folder that the target has not taken."
    );
    describe_gauge!(
        SCRUB_FINDINGS,
        "Rows that do not follow from the log, by the newest scrubs."
    );
    describe_gauge!(
        SCRUB_ROWS,
        "Rows that the newest scrubs held against the log."
    );
    describe_gauge!(
        NEWEST_SCRUB,
        "When a scrub last came to its end, in seconds since 1970."
    );
    describe_gauge!(
        NOTIFICATIONS_DUE,
        "Notifications of disclosures that are due and were not sent."
    );
    describe_gauge!(
        CERTIFICATE_UP,
        "Whether the files of the certificate that is shown can be used and it does not lapse soon: 1 or 0."
    );
    describe_gauge!(
        CERTIFICATE_LAPSES,
        "When the certificate that is shown lapses, in seconds since 1970."
    );
    describe_gauge!(DOMAINS, "Domains, the first one counted.");
    describe_counter!(
        DOMAIN_REQUESTS,
        "Requests answered, by the domain's number."
    );
    describe_gauge!(
        ROTATION_DAMAGE,
        "Records that keep a rotation from ending because they do not match their seals."
    );
}

/// A request was answered.
pub(crate) fn request(
    listener: &'static str,
    method: &'static str,
    route: &str,
    status: u16,
    took: Duration,
) {
    let status = [status / 100, status / 10 % 10, status % 10]
        .map(|digit| char::from_digit(digit.into(), 10).unwrap_or('?'));
    let status = String::from_iter(status);
    counter!(REQUESTS, "listener" => listener, "method" => method, "route" => route.to_owned(), "status" => status)
        .increment(1);
    histogram!(REQUEST_SECONDS, "method" => method, "route" => route.to_owned()).record(took);
}

/// A request to a domain was answered.
pub(crate) fn domain_request(number: u32) {
    // No more labels than this, however many domains an appliance has had.
    let domain = if number <= MOST_DOMAINS {
        number.to_string()
    } else {
        "others".to_owned()
    };
    counter!(DOMAIN_REQUESTS, "domain" => domain).increment(1);
}

/// How many domains there are; none are known of while the appliance does not serve.
pub(crate) fn domains(tally: Option<&Tally>) {
    let tally = tally.copied().unwrap_or_default();
    for (state, count) in [
        ("all", tally.domains),
        ("open", tally.open),
        ("suspended", tally.suspended),
        ("failing", tally.failing),
    ] {
        gauge!(DOMAINS, "state" => state).set(approximate(count));
    }
}

/// A request was refused.
pub(crate) fn refusal(code: Code) {
    counter!(REFUSALS, "code" => code.as_str()).increment(1);
    let act = match code {
        Code::SignInRefused => "sign-in",
        Code::SecondFactorRefused => "second-factor",
        Code::EnrolmentRefused => "enrolment",
        Code::RecoveryRefused => "recovery",
        _ => return,
    };
    counter!(SIGN_IN_FAILURES, "act" => act).increment(1);
}

/// The schedule made a backup.
pub(crate) fn backup(at: Timestamp) {
    gauge!(NEWEST_BACKUP).set(seconds(at));
}

/// The appliance panicked during a request.
pub(crate) fn panic() {
    counter!(PANICS).increment(1);
}

/// How the appliance is at this moment.
pub(crate) fn state(health: &Health, statistics: Option<&Statistics>) {
    gauge!(HSM_UP).set(yes(health.hsm == Status::Ok));
    gauge!(STORAGE_UP).set(yes(health.storage == Status::Ok));
    gauge!(CERTIFICATE_UP).set(yes(health.certificate == Status::Ok));
    if let Some(lapses) = health.certificate_lapses {
        gauge!(CERTIFICATE_LAPSES).set(seconds(lapses));
    }
    for (name, state) in [
        ("serving", State::Serving),
        ("opening", State::Opening),
        ("sealed", State::Sealed),
    ] {
        gauge!(STATE, "state" => name).set(yes(health.state == state));
    }
    if health.state != State::Serving {
        gauge!(CACHED_KEKS).set(0.0);
    }
    // Where the storage cannot say, the newest figures stay.
    if let Some(statistics) = statistics {
        gauge!(TREE_SIZE).set(approximate(statistics.tree_size));
        gauge!(CACHED_KEKS).set(approximate(statistics.cached_keks));
        gauge!(QUEUED_ACTS).set(approximate(statistics.queued_acts));
        gauge!(REWRAPS_LEFT).set(approximate(statistics.rewraps_left));
        gauge!(NOTIFICATIONS_DUE).set(approximate(statistics.notifications_due));
        gauge!(RESEALS_LEFT).set(approximate(statistics.reseals_left));
        gauge!(ROTATION_DAMAGE).set(approximate(statistics.rotation_damage));
    }
}

/// How witnesses, receivers, the target of backups and the scrub are; nothing is known of them while the appliance does not serve.
pub(crate) fn watch(report: Option<&watch::Report>) {
    let Some(report) = report else {
        return;
    };
    for (reports, up, behind) in [
        (&report.witnesses, WITNESS_UP, WITNESS_BEHIND),
        (&report.siem, SIEM_UP, SIEM_BEHIND),
        (
            &report.backup_targets,
            BACKUP_TARGET_UP,
            BACKUP_TARGET_BEHIND,
        ),
    ] {
        for (place, report) in (1..).zip(reports) {
            let place: u32 = place;
            gauge!(up, "place" => place.to_string()).set(yes(report.failing.is_none()));
            gauge!(behind, "place" => place.to_string()).set(approximate(report.behind));
        }
    }
    gauge!(SCRUB_FINDINGS).set(approximate(report.scrub.findings));
    gauge!(SCRUB_ROWS).set(approximate(report.scrub.rows));
    if let Some(last) = report.scrub.last {
        gauge!(NEWEST_SCRUB).set(seconds(last));
    }
}

/// Whether nothing can be written because the disk is full.
pub(crate) fn storage_full(full: bool) {
    gauge!(STORAGE_FULL).set(yes(full));
}

/// What an HSM is doing; nothing is known of it while the appliance is sealed.
pub(crate) fn hsm(hsm: &'static str, status: Option<&MemberStatus>) {
    let usable = status.is_some_and(|status| status.state == HsmState::Usable);
    gauge!(HSM_USABLE, "hsm" => hsm).set(yes(usable));
    gauge!(HSM_SERVING, "hsm" => hsm).set(yes(status.is_some_and(|status| status.serving)));
    let abandoned = status.map_or(0, |status| status.abandoned as u64);
    gauge!(HSM_ABANDONED, "hsm" => hsm).set(approximate(abandoned));
    let timed_out = status.map_or(0, |status| status.timed_out);
    gauge!(HSM_TIMED_OUT, "hsm" => hsm).set(approximate(timed_out));
}

/// Whole seconds since 1970.
fn seconds(at: Timestamp) -> f64 {
    Duration::from_millis(at.as_millis()).as_secs_f64().trunc()
}

fn yes(so: bool) -> f64 {
    f64::from(u8::from(so))
}

/// Exact up to 2^53, as Prometheus counts in floating point.
#[expect(clippy::cast_precision_loss, reason = "a metric")]
fn approximate(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_happens_is_shown() {
        let recorder = recorder().unwrap();
        let shown = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            let took = Duration::from_micros(1500);
            request("client", "POST", "/v1/keys/{key}/release", 200, took);
            refusal(Code::KeyNotFound);
            refusal(Code::SignInRefused);
            let health = Health {
                status: Status::Failing,
                state: State::Serving,
                hsm: Status::Failing,
                storage: Status::Ok,
                failing_domains: 0,
                failing_witnesses: 0,
                failing_receivers: 0,
                scrub_findings: 0,
                certificate: Status::Ok,
                certificate_lapses: Some(Timestamp::from_millis(1_800_000_000_900)),
                version: "1".to_owned(),
            };
            let statistics = Statistics {
                tree_size: 12,
                cached_keks: 3,
                queued_acts: 0,
                rewraps_left: 7,
                reseals_left: 8,
                rotation_damage: 9,
                notifications_due: 9,
            };
            state(&health, Some(&statistics));
            let primary = MemberStatus {
                name: "the primary HSM".to_owned(),
                state: HsmState::Probing,
                since: std::time::SystemTime::now(),
                serving: false,
                retried: true,
                at_work: 0,
                abandoned: 2,
                timed_out: 5,
                opened: 0,
            };
            let replica = MemberStatus {
                state: HsmState::Usable,
                serving: true,
                abandoned: 0,
                ..primary.clone()
            };
            hsm("primary", Some(&primary));
            hsm("replica", Some(&replica));
            domain_request(1);
            domain_request(7);
            domain_request(MOST_DOMAINS + 1);
            domain_request(MOST_DOMAINS + 2);
            domains(Some(&Tally {
                domains: 1000,
                open: 64,
                failing: 2,
                suspended: 3,
            }));
        });
        let text = shown.render();
        for line in [
            r#"strongroom_requests_total{listener="client",method="POST",route="/v1/keys/{key}/release",status="200"} 1"#,
            r#"strongroom_request_seconds_bucket{method="POST",route="/v1/keys/{key}/release",le="0.002"} 1"#,
            r#"strongroom_request_seconds_bucket{method="POST",route="/v1/keys/{key}/release",le="0.001"} 0"#,
            r#"strongroom_refusals_total{code="key-not-found"} 1"#,
            r#"strongroom_sign_in_failures_total{act="sign-in"} 1"#,
            r#"strongroom_state{state="serving"} 1"#,
            r#"strongroom_state{state="sealed"} 0"#,
            "strongroom_hsm_up 0",
            r#"strongroom_hsm_usable{hsm="primary"} 0"#,
            r#"strongroom_hsm_usable{hsm="replica"} 1"#,
            r#"strongroom_hsm_serving{hsm="replica"} 1"#,
            r#"strongroom_hsm_abandoned_calls{hsm="primary"} 2"#,
            r#"strongroom_hsm_timed_out_calls{hsm="primary"} 5"#,
            "strongroom_storage_up 1",
            "strongroom_certificate_up 1",
            "strongroom_certificate_lapses_timestamp_seconds 1800000000",
            r#"strongroom_domain_requests_total{domain="7"} 1"#,
            r#"strongroom_domain_requests_total{domain="others"} 2"#,
            r#"strongroom_domains{state="all"} 1000"#,
            r#"strongroom_domains{state="failing"} 2"#,
            "strongroom_tree_size 12",
            "strongroom_cached_keks 3",
            "strongroom_queued_acts 0",
            "strongroom_rotation_rewraps_left 7",
            "strongroom_notifications_due 9",
            "strongroom_rotation_reseals_left 8",
            "strongroom_rotation_damaged_records 9",
            "# HELP strongroom_tree_size Leaves in the audit tree.",
        ] {
            assert!(
                text.lines().any(|shown| shown == line),
                "{line}\nin\n{text}"
            );
        }
    }
}
