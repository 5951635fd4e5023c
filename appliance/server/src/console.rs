//! What the web console needs of the appliance: who visits, sign-in with failures counted, the machine itself.
//!
//! | module | what lives there |
//! |---|---|
//! | `machine` | the machine as its administrators see it: HSMs, backups, certificates, configuration |
//! | `minutes` | what was counted in the last minutes |

mod machine;
pub(crate) mod minutes;

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::web::Bytes;
use actix_web::{FromRequest as _, HttpRequest};
use strongroom_console::{Appliance, Host, PROVIDER_PAGE, SignIns, Visit};
use strongroom_keystore::Presented;
use strongroom_wire::account::{Done, EnrolmentStarted, FinishEnrolment, StartEnrolment};
use strongroom_wire::credential::{FinishPassword, StartPassword};
use strongroom_wire::device::{DecidePairing, DecidedPairing, ImportQuery, Pairing};
use strongroom_wire::oidc::{FinishOidc, OidcSignedIn, OidcStarted, StartOidc};
use strongroom_wire::problem::Problem;
use strongroom_wire::recovery::{FinishRecovery, StartRecovery};
use strongroom_wire::session::{
    FinishPasskeySignIn, FinishSecondFactor, FinishSignIn, PasskeySignInStarted, PasskeySignedIn,
    SignInFinished, SignInStarted, SignedIn, StartPasskeySignIn, StartSignIn, StartStepUp,
    SteppedUp,
};
use tokio::sync::mpsc::Receiver;

use crate::auth::desk::Desk;
use crate::config::Config;
use crate::gate::Gate;
use crate::routes::devices::import_csv;
use crate::routes::health::NewestStorage;
use crate::routes::updates::Image;
use machine::Machine;

/// The appliance as the console knows it.
struct Console {
    machine: Arc<dyn Appliance>,
}

/// What serves the console of this appliance.
pub(crate) fn host(
    config: &Config,
    gate: Arc<Gate>,
    storage: Arc<NewestStorage>,
    image: Image,
) -> Arc<dyn Host> {
    Arc::new(Console {
        machine: Arc::new(Machine::new(config.clone(), gate, storage, image)),
    })
}

/// The page of an origin that browsers come back to from OpenID providers.
pub(crate) fn provider_page(origin: &str) -> String {
    format!("{}{PROVIDER_PAGE}", origin.trim_end_matches('/'))
}

impl Host for Console {
    fn visit(&self, request: &HttpRequest) -> Result<Visit, Problem> {
        let desk = Desk::from_request(request, &mut Payload::None).into_inner()?;
        Ok(Visit {
            keystore: desk.keystore.keystore(),
            source: desk.source,
            appliance: desk.keystore.is_first().then(|| Arc::clone(&self.machine)),
            sign_ins: Arc::new(desk),
        })
    }
}

macro_rules! at_the_desk {
    ($( $name:ident ( $( $argument:ident : $type:ty ),* ) -> $answer:ty; )*) => {
        impl SignIns for Desk {
            $(
                fn $name(&self, $( $argument: $type ),*) -> Result<$answer, Problem> {
                    Ok(Self::$name(self, $( $argument ),*)?)
                }
            )*

            fn oidc_providers(&self, page: &str) -> Vec<String> {
                Self::oidc_providers(self, page)
            }

            fn import_devices(
                &self,
                caller: &Presented,
                query: ImportQuery,
                csv: &[u8],
            ) -> Result<Receiver<Bytes>, Problem> {
                Ok(import_csv(&self.keystore, caller, query, csv)?)
            }
        }
    };
}

at_the_desk! {
    start_sign_in(request: StartSignIn) -> SignInStarted;
    finish_sign_in(request: FinishSignIn) -> SignInFinished;
    finish_second_factor(request: FinishSecondFactor) -> SignedIn;
    start_passkey_sign_in(request: StartPasskeySignIn) -> PasskeySignInStarted;
    finish_passkey_sign_in(request: FinishPasskeySignIn) -> PasskeySignedIn;
    start_oidc(request: StartOidc) -> OidcStarted;
    finish_oidc(request: FinishOidc) -> OidcSignedIn;
    start_identity_link(caller: &Presented, request: StartOidc) -> OidcStarted;
    finish_identity_link(caller: &Presented, request: FinishOidc) -> Done;
    start_step_up(caller: &Presented, request: StartStepUp) -> SignInStarted;
    finish_step_up(caller: &Presented, request: FinishSignIn) -> SteppedUp;
    finish_second_factor_step_up(caller: &Presented, request: FinishSecondFactor) -> SteppedUp;
    start_password(caller: &Presented, request: StartPassword) -> EnrolmentStarted;
    finish_password(caller: &Presented, request: FinishPassword) -> Done;
    start_enrolment(request: StartEnrolment) -> EnrolmentStarted;
    finish_enrolment(request: FinishEnrolment) -> Done;
    start_recovered_password(request: StartRecovery) -> EnrolmentStarted;
    finish_recovery(request: FinishRecovery) -> Done;
    pairing(caller: &Presented, code: &str) -> Pairing;
    decide_pairing(caller: &Presented, code: &str, request: DecidePairing) -> DecidedPairing;
}
