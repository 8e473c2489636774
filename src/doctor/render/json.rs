//! JSON, an interface: fields are added but not renamed.

use serde_json::{Value, json};

use crate::doctor::{Context, Outcome, Report, Status};

/// The report as one JSON object.
pub(crate) fn json(context: &Context, report: &Report) -> Value {
    let result = match (report.count(Status::Failed), report.count(Status::Warning)) {
        (0, 0) => "passed",
        (0, _) => "warning",
        _ => "failed",
    };
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "server": context.server,
        "namespace": context.home(),
        "deployment": context.deployment,
        "result": result,
        "passed": report.count(Status::Passed),
        "warnings": report.count(Status::Warning),
        "failed": report.count(Status::Failed),
        "skipped": report.count(Status::Skipped),
        "checks": report.outcomes.iter().map(check).collect::<Vec<_>>(),
    })
}

fn check(outcome: &Outcome) -> Value {
    let check = outcome.check;
    json!({
        "id": check.id,
        "group": check.group.title(),
        "description": check.description,
        "status": outcome.status.as_str(),
        "expected": check.expected,
        "found": outcome.found,
        "action": outcome.action,
        "docs": check.group.docs(),
        "milliseconds": u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
    })
}
