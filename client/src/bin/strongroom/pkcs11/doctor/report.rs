//! Checks, and how they are told.

use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Output, plain};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// All is well.
    Ok,
    /// It works, and something should be seen to.
    Warning,
    /// Applications cannot work like that, or not safely.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    subject: String,
    status: Status,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// All that was looked at.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    ok: bool,
    checks: Vec<Check>,
    #[serde(skip)]
    token: Option<String>,
}

impl Report {
    /// The token that the checks from here on are about.
    pub(super) fn about(&mut self, token: Option<&str>) {
        self.token = token.map(str::to_owned);
    }

    pub(super) fn ok(&mut self, subject: impl Into<String>, found: impl Into<String>) {
        self.add(Status::Ok, subject.into(), found.into(), None);
    }

    pub(super) fn warning(
        &mut self,
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let remedy = Some(remedy.into());
        self.add(Status::Warning, subject.into(), found.into(), remedy);
    }

    pub(super) fn failed(
        &mut self,
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let remedy = Some(remedy.into());
        self.add(Status::Failed, subject.into(), found.into(), remedy);
    }

    /// Whether something is wrong with this token.
    pub(super) fn is_at_fault(&self, token: &str) -> bool {
        self.checks
            .iter()
            .any(|check| check.status == Status::Failed && check.token.as_deref() == Some(token))
    }

    /// Tells it. Fails where a check did.
    pub(super) fn tell(mut self, output: Output) -> Result<(), Failure> {
        let verdict = self.verdict();
        self.ok = verdict.is_ok();
        output.answer(&self, || {
            let lines: Vec<String> = self.checks.iter().map(Check::line).collect();
            lines.join("\n")
        })?;
        verdict
    }

    fn verdict(&self) -> Result<(), Failure> {
        let failed = |check: &&Check| check.status == Status::Failed;
        match self.checks.iter().filter(failed).count() {
            0 => Ok(()),
            1 => Err(Failure::Failed("1 check failed".to_owned())),
            faults => Err(Failure::Failed(format!("{faults} checks failed"))),
        }
    }

    fn add(&mut self, status: Status, subject: String, found: String, remedy: Option<String>) {
        self.checks.push(Check {
            token: self.token.clone(),
            subject,
            status,
            found,
            remedy,
        });
    }
}

impl Check {
    fn line(&self) -> String {
        let status = match self.status {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Failed => "failed",
        };
        let token = self.token.as_ref().map(|token| format!("{token}: "));
        let remedy = self.remedy.as_ref().map(|remedy| format!("; {remedy}"));
        let line = format!(
            "{}{}: {}{}",
            token.unwrap_or_default(),
            self.subject,
            self.found,
            remedy.unwrap_or_default()
        );
        format!("{status:<7}  {}", plain(&line))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn each_check_is_one_line_and_a_failed_one_fails_the_whole() {
        let mut report = Report::default();
        report.ok("configuration", "all is\nwell");
        assert!(report.verdict().is_ok());
        report.about(Some("web"));
        report.failed("roots", "they are not there", "bring them");
        let lines: Vec<_> = report.checks.iter().map(Check::line).collect();
        assert_eq!(lines[0], "ok       configuration: all is\u{fffd}well");
        assert_eq!(
            lines[1],
            "failed   web: roots: they are not there; bring them"
        );
        let json = serde_json::to_value(&report.checks[1]).unwrap();
        assert_eq!(json["status"], "failed");
        assert_eq!(json["token"], "web");
        let failure = report.verdict().unwrap_err();
        assert_eq!(
            (failure.exit_code(), failure.sentence().as_str()),
            (1, "1 check failed")
        );
        assert!(report.is_at_fault("web") && !report.is_at_fault("mail"));
    }
}
