//! What the web console knows of a session before it shows a page.

use strongroom_wire::account::Account;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{SessionId, SignInId};
use strongroom_wire::session::SignInStrength;

use crate::accounts::to_wire;
use crate::act::Presented;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;

/// Whoever holds a session, and how they signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Whose session it is.
    pub account: Account,
    /// The session.
    pub session: SessionId,
    /// How strongly its holder signed in.
    pub strength: SignInStrength,
    /// When its holder last signed in in it.
    pub confirmed: Timestamp,
    /// Within so many seconds of a sign-in the domain's policy allows sharing, destroying and policies; 0: at any time.
    pub step_up_within: u32,
    /// The appliance's time.
    pub now: Timestamp,
}

impl Keystore {
    /// Who holds the session that a request is made in.
    pub fn presence(&self, caller: &Presented) -> Answer<Presence> {
        self.core.look(caller, |view, caller, _| {
            let session = caller.session.ok_or_else(|| {
                Error::Invalid("The request is signed and not made in a session.".to_owned())
            })?;
            Ok(Presence {
                account: to_wire(&caller.account),
                session,
                strength: caller.strength,
                confirmed: caller.confirmed,
                step_up_within: caller.policy.step_up_within,
                now: view.now,
            })
        })
    }

    /// The challenge that a passkey signs for a sign-in or a session that waits for its second factor. Clients make it from their own
    /// transport key; the console's browser has none, and the console itself keeps none.
    #[must_use]
    pub fn second_factor_challenge(&self, sign_in: SignInId) -> Option<[u8; 32]> {
        self.core.waiting.challenge_of(sign_in)
    }
}
