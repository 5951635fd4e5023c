//! `strongroomd openapi`.

use std::process::ExitCode;

use crate::routes::document;

/// Prints the OpenAPI document.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    super::print(document::text()?)?;
    Ok(ExitCode::SUCCESS)
}
