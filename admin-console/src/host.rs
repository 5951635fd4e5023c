//! What the console needs of whoever serves it.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, web};
use strongroom_keystore::{Keystore, Presented};
use strongroom_wire::account::{Done, EnrolmentStarted, FinishEnrolment, StartEnrolment};
use strongroom_wire::credential::{FinishPassword, StartPassword};
use strongroom_wire::device::{DecidePairing, DecidedPairing, ImportQuery, Pairing};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::health::Health;
use strongroom_wire::oidc::{FinishOidc, OidcSignedIn, OidcStarted, StartOidc};
use strongroom_wire::problem::Problem;
use strongroom_wire::recovery::{FinishRecovery, StartRecovery};
use strongroom_wire::session::{
    FinishPasskeySignIn, FinishSecondFactor, FinishSignIn, PasskeySignInStarted, PasskeySignedIn,
    SignInFinished, SignInStarted, SignedIn, StartPasskeySignIn, StartSignIn, StartStepUp,
    SteppedUp,
};
use strongroom_wire::update::{ApplianceRelease, OrderedInstall};
use tokio::sync::mpsc::Receiver;

/// With what operators verify a backup: nothing of it is left behind. The folder must not be there, or be empty.
pub const VERIFY_BACKUP: &str = "strongroomd restore FILE --data NEW-FOLDER --dry-run";

/// Which of the two web interfaces it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Owners' self-service, on the client listener.
    Owners,
    /// The console of those with a role, on the administration listener.
    Administration,
}

impl Side {
    /// The side that a request is on.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        request
            .app_data::<web::Data<Self>>()
            .map_or(Self::Owners, |side| ***side)
    }

    /// The name of the cookie with the session's token. Cookies do not tell ports apart, so each listener has its own.
    pub(crate) const fn session_cookie(self) -> &'static str {
        match self {
            Self::Owners => "__Host-strongroom",
            Self::Administration => "__Host-strongroom-administration",
        }
    }

    /// The name of the cookie to which forms are bound before anybody has signed in.
    pub(crate) const fn visit_cookie(self) -> &'static str {
        match self {
            Self::Owners => "__Host-strongroom-visit",
            Self::Administration => "__Host-strongroom-visit-administration",
        }
    }

    /// The name of the cookie with the sign-in that is under way at an OpenID provider.
    pub(crate) const fn provider_cookie(self) -> &'static str {
        match self {
            Self::Owners => "__Host-strongroom-provider",
            Self::Administration => "__Host-strongroom-provider-administration",
        }
    }

    /// The page that one comes to.
    pub(crate) const fn home(self) -> &'static str {
        match self {
            Self::Owners => "/keys",
            Self::Administration => "/overview",
        }
    }
}

/// Whoever serves the console.
pub trait Host: Send + Sync {
    /// What a request is to be answered with.
    ///
    /// # Errors
    /// The problem that answers it where the appliance is sealed or serves no such domain.
    fn visit(&self, request: &HttpRequest) -> Result<Visit, Problem>;
}

/// What one request is answered with.
#[derive(Clone)]
pub struct Visit {
    /// The keystore of the domain that it is for.
    pub keystore: Arc<Keystore>,
    /// The address that it came from.
    pub source: IpAddr,
    /// Sign-in, with failures counted as the API counts them.
    pub sign_ins: Arc<dyn SignIns>,
    /// The appliance as its operators' administrators see it; none for those of a domain other than the first.
    pub appliance: Option<Arc<dyn Appliance>>,
}

/// Sign-in and what else can be guessed at: the keystore's functions, with failures counted against account and address. All of them may block.
#[expect(missing_docs, reason = "each is the keystore's function of this name")]
pub trait SignIns: Send + Sync {
    fn start_sign_in(&self, request: StartSignIn) -> Result<SignInStarted, Problem>;
    fn finish_sign_in(&self, request: FinishSignIn) -> Result<SignInFinished, Problem>;
    fn finish_second_factor(&self, request: FinishSecondFactor) -> Result<SignedIn, Problem>;
    fn start_passkey_sign_in(
        &self,
        request: StartPasskeySignIn,
    ) -> Result<PasskeySignInStarted, Problem>;
    fn finish_passkey_sign_in(
        &self,
        request: FinishPasskeySignIn,
    ) -> Result<PasskeySignedIn, Problem>;
    /// The names of the OpenID providers from which a browser may come back to this page of the appliance.
    fn oidc_providers(&self, page: &str) -> Vec<String>;
    fn start_oidc(&self, request: StartOidc) -> Result<OidcStarted, Problem>;
    fn finish_oidc(&self, request: FinishOidc) -> Result<OidcSignedIn, Problem>;
    fn start_identity_link(
        &self,
        caller: &Presented,
        request: StartOidc,
    ) -> Result<OidcStarted, Problem>;
    fn finish_identity_link(
        &self,
        caller: &Presented,
        request: FinishOidc,
    ) -> Result<Done, Problem>;
    fn start_step_up(
        &self,
        caller: &Presented,
        request: StartStepUp,
    ) -> Result<SignInStarted, Problem>;
    fn finish_step_up(
        &self,
        caller: &Presented,
        request: FinishSignIn,
    ) -> Result<SteppedUp, Problem>;
    fn finish_second_factor_step_up(
        &self,
        caller: &Presented,
        request: FinishSecondFactor,
    ) -> Result<SteppedUp, Problem>;
    fn start_password(
        &self,
        caller: &Presented,
        request: StartPassword,
    ) -> Result<EnrolmentStarted, Problem>;
    fn finish_password(&self, caller: &Presented, request: FinishPassword)
    -> Result<Done, Problem>;
    fn start_enrolment(&self, request: StartEnrolment) -> Result<EnrolmentStarted, Problem>;
    fn finish_enrolment(&self, request: FinishEnrolment) -> Result<Done, Problem>;
    fn start_recovered_password(&self, request: StartRecovery)
    -> Result<EnrolmentStarted, Problem>;
    fn finish_recovery(&self, request: FinishRecovery) -> Result<Done, Problem>;
    fn pairing(&self, caller: &Presented, code: &str) -> Result<Pairing, Problem>;
    fn decide_pairing(
        &self,
        caller: &Presented,
        code: &str,
        request: DecidePairing,
    ) -> Result<DecidedPairing, Problem>;
    /// Begins an import of devices from CSV and answers its lines as they come.
    fn import_devices(
        &self,
        caller: &Presented,
        query: ImportQuery,
        csv: &[u8],
    ) -> Result<Receiver<Bytes>, Problem>;
}

/// The appliance, for the pages of those who administer it. Every function may block.
pub trait Appliance: Send + Sync {
    /// Whether it works.
    fn health(&self) -> Health;
    /// Its HSMs, the primary first.
    fn hsms(&self) -> Vec<HsmView>;
    /// What it counted in the last minutes, the oldest first.
    fn minutes(&self) -> Vec<Minute>;
    /// What looks at the logs from outside, and the scrub; none while the appliance does not serve.
    fn watched(&self) -> Option<WatchView>;
    /// Seals the appliance, a moment after it answers. Whoever looks after the machine may, with a recent sign-in, and the leaf says who it was.
    ///
    /// # Errors
    /// The problem that says why not.
    fn seal(&self, keystore: &Keystore, caller: &Presented) -> Result<(), Problem>;
    /// How much the appliance's own log says.
    fn log_level(&self) -> LogLevelView;
    /// Has the appliance's own log say so much, one of [`LOG_LEVELS`], for so many seconds or until it is restarted.
    ///
    /// # Errors
    /// One sentence.
    fn set_log_level(&self, level: &str, seconds: u64) -> Result<(), String>;
    /// The configuration as it was loaded: settings in the order of the file. Nothing secret is among them.
    fn configuration(&self) -> Vec<(String, Vec<(String, String)>)>;
    /// The certificates that it shows to clients, its own first.
    fn certificates(&self) -> Vec<CertificateView>;
    /// Scheduled backups.
    fn backups(&self) -> BackupsView;
    /// Makes a backup now, in the folder of the schedule, and reads its header back. It may take minutes. That somebody asked for it is recorded before.
    ///
    /// # Errors
    /// One sentence.
    fn make_backup(&self) -> Result<String, String>;
    /// Which release of the image runs, and what becomes of updates; none where the appliance does not run from an image.
    ///
    /// # Errors
    /// The problem that says why it cannot be told.
    fn release(&self) -> Result<Option<ApplianceRelease>, Problem>;
    /// Has the staged update installed, by this caller of the first domain's keystore.
    ///
    /// # Errors
    /// The problem that says why not.
    fn install_update(
        &self,
        keystore: &Keystore,
        caller: &Presented,
    ) -> Result<OrderedInstall, Problem>;
    /// Drops what has arrived of an update.
    ///
    /// # Errors
    /// The problem that says why not.
    fn drop_update(&self, keystore: &Keystore, caller: &Presented) -> Result<Done, Problem>;
    /// Restarts the machine.
    ///
    /// # Errors
    /// The problem that says why not.
    fn restart(&self, keystore: &Keystore, caller: &Presented) -> Result<Done, Problem>;
}

/// An HSM as administrators see it.
#[derive(Debug, Clone)]
pub struct HsmView {
    /// `primary` or `replica`.
    pub place: &'static str,
    /// Its kind and address, or token.
    pub device: Vec<(&'static str, String)>,
    /// What it is doing; none while the appliance is sealed.
    pub state: Option<HsmState>,
    /// The mechanisms that the appliance needs of it or could use; none of one that does not answer, or has no PKCS #11.
    pub mechanisms: Vec<MechanismView>,
}

/// A mechanism that the appliance needs of an HSM or could use.
#[derive(Debug, Clone, Copy)]
pub struct MechanismView {
    /// The name that PKCS #11 gives it.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Whether the HSM offers it for that.
    pub offered: bool,
    /// Whether the appliance uses it there.
    pub used: bool,
}

/// What an HSM is doing.
#[derive(Debug, Clone)]
pub struct HsmState {
    /// Whether it answers.
    pub usable: bool,
    /// Whether calls go to it.
    pub serving: bool,
    /// Why it does not answer.
    pub reason: Option<String>,
    /// Since when it is so.
    pub since: Timestamp,
    /// Calls that it is answering.
    pub at_work: u64,
    /// Calls that were given up and have not come back.
    pub abandoned: u64,
    /// Calls that were not answered in time since it was opened.
    pub timed_out: u64,
}

/// How much the appliance's own log may say, the least first.
pub const LOG_LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];

/// How much the appliance's own log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLevelView {
    /// As the configuration has it.
    pub configured: &'static str,
    /// As it is.
    pub now: &'static str,
    /// Until when it is as it is; none where that is as the configuration has it.
    pub until: Option<Timestamp>,
}

/// What looks at the logs from outside, and the scrub.
#[derive(Debug, Clone, Default)]
pub struct WatchView {
    /// The witnesses, in the order of the configuration.
    pub witnesses: Vec<OutsideView>,
    /// The receivers of the log, in the order of the configuration.
    pub receivers: Vec<OutsideView>,
    /// The newest scrubs, of all domains together.
    pub scrub: ScrubView,
}

/// Somebody outside who takes something of the logs.
#[derive(Debug, Clone)]
pub struct OutsideView {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// Since when it fails, and why.
    pub failing: Option<(Timestamp, String)>,
    /// When it last took something, since the start.
    pub last: Option<Timestamp>,
    /// How many leaves of all domains it lacks.
    pub behind: u64,
}

/// What the newest scrubs found.
#[derive(Debug, Clone, Default)]
pub struct ScrubView {
    /// Hours from one to the next; 0: none is made by itself.
    pub every_hours: u32,
    /// When the newest one ended; none has yet since the start where it is absent.
    pub last: Option<Timestamp>,
    /// How many rows were held against the logs.
    pub rows: u64,
    /// How many do not follow from them.
    pub findings: u64,
    /// The first of them.
    pub first: Vec<String>,
    /// Why the newest one did not come to its end.
    pub failed: Option<String>,
}

/// What was counted in a minute.
#[derive(Debug, Clone, Copy)]
pub struct Minute {
    /// Its end.
    pub at: Timestamp,
    /// Requests answered, on both listeners.
    pub requests: u64,
    /// Requests refused.
    pub refused: u64,
    /// The time by which 95 of 100 requests were answered, in microseconds; 0 where there were none.
    pub most_took: u64,
    /// Acts that waited for the writer at its end.
    pub queued: u64,
}

/// A certificate.
#[derive(Debug, Clone)]
pub struct CertificateView {
    /// Whom it is for.
    pub subject: String,
    /// Its names.
    pub names: Vec<String>,
    /// Who vouches for it.
    pub issuer: String,
    /// From when on it holds.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// SHA-256 of it, in hexadecimal.
    pub fingerprint: String,
    /// The file that it was read from.
    pub file: String,
}

/// Scheduled backups.
#[derive(Debug, Clone, Default)]
pub struct BackupsView {
    /// The folder; none where the configuration names none.
    pub folder: Option<String>,
    /// Hours from one to the next.
    pub every_hours: u32,
    /// How many are kept.
    pub keep: u32,
    /// Those that are there, the newest first.
    pub made: Vec<BackupView>,
    /// Why the folder cannot be read.
    pub failed: Option<String>,
    /// The URL of the folder that they are sent to, if they are.
    pub target: Option<String>,
    /// Since when that does not take them, and why.
    pub target_failing: Option<(Timestamp, String)>,
}

/// A backup that was made.
#[derive(Debug, Clone)]
pub struct BackupView {
    /// The file's name.
    pub name: String,
    /// Bytes.
    pub length: u64,
    /// When it was begun.
    pub created: Timestamp,
    /// How many leaves it holds.
    pub leaves: Option<u64>,
    /// When the target had taken it.
    pub sent: Option<Timestamp>,
}
