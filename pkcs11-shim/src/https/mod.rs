//! The token over HTTPS: where a configured token comes from.
//!
//! [`connect`] is the one place that chooses what stands behind [`Token`].

use std::sync::Arc;

use crate::config::TokenConfig;
use crate::token::{Token, TokenError, TokenErrorKind, TokenResult};

/// The token that a configuration names. Asks nothing of the appliance: that is done when the token is first used.
///
/// # Errors
/// [`TokenErrorKind::Configuration`]: the slot is there, its token is not, and the log says this.
pub fn connect(config: &TokenConfig) -> TokenResult<Arc<dyn Token>> {
    Err(TokenError::new(
        TokenErrorKind::Configuration,
        format!(
            "the token {:?} cannot be reached: this build of the module has no connection to an appliance",
            config.label
        ),
    ))
}
