//! Signing in as the module does, and what the account has.

use std::path::Path;

use strongroom_client::device::AccountSecret;
use strongroom_client::objects::Objects;
use strongroom_client::pkcs11::TokenConfig;
use strongroom_client::{Client, ClientError, Device, Retries};
use strongroom_wire::account::{Account, AccountKind, AccountState};
use strongroom_wire::id::AccountId;
use strongroom_wire::key::{Key, KeyState};
use strongroom_wire::object::{AccountObject, ObjectPart, ObjectQuery};
use strongroom_wire::problem::Code;

use super::report::Report;
use crate::failure::Failure;
use crate::output::{plain, spelling};
use crate::{Context, moment, prompt};

const SIGN_IN: &str = "sign-in";
const OBJECTS: &str = "objects";
/// What it means that what answers does not know of accounts that sign in as applications do.
const ELSEWHERE: &str = "this is the administration address, which serves no applications";
const CLIENT_ADDRESS: &str = "put the appliance's client address into the member addresses";
/// The objects of one page.
const PAGE: u32 = 1000;
/// So many pages are counted.
const MOST_PAGES: usize = 50;

/// Signs in at the addresses that are reached, and looks at what the account has.
pub(super) fn sign_in(
    context: &Context,
    report: &mut Report,
    token: &TokenConfig,
    reached: &[&str],
    pin_file: Option<&Path>,
) {
    // That these can be had was told before.
    let (Ok(client), Ok(account), Ok(secret)) = (
        token.client_at(reached),
        token.account_id(),
        token.read_secret(),
    ) else {
        return;
    };
    let client = client.retries(Retries::none());
    match (account, secret) {
        (Some(account), Some(secret)) => by_secret(context, report, client, account, secret),
        _ if token.certificate.is_some() => by_certificate(context, report, &client, account),
        (Some(account), None) => match ask_pin(token, pin_file) {
            Ok(Some(pin)) => by_secret(context, report, client, account, pin),
            Ok(None) => report.warning(
                SIGN_IN,
                "not tried: the token needs a PIN, and nobody is there to type it",
                "give it with --pin-file",
            ),
            Err(failure) => report.failed(
                SIGN_IN,
                failure.sentence(),
                "the PIN is the account's secret, as strongroom accounts secret printed it",
            ),
        },
        (None, _) => {}
    }
}

fn ask_pin(token: &TokenConfig, file: Option<&Path>) -> Result<Option<AccountSecret>, Failure> {
    if file.is_none() && !prompt::is_possible() {
        return Ok(None);
    }
    let question = format!("PIN of the token {}: ", plain(&token.label));
    let pin = prompt::pin(&question, file)?;
    AccountSecret::from_text(&pin)
        .map(Some)
        .ok_or_else(|| Failure::Failed("the PIN is no secret of an account".to_owned()))
}

fn by_secret(
    context: &Context,
    report: &mut Report,
    client: Client,
    account: AccountId,
    secret: AccountSecret,
) {
    let device = Device::new(client, account, secret);
    match device.own_account() {
        Ok(account) => {
            tell_account(report, &account, "by the account's secret");
            look_through(report, &device);
        }
        Err(error) => refused(
            context,
            report,
            &error,
            Some(account),
            "the secret is not the account's newest",
            "strongroom accounts show ACCOUNT tells an administrator the account's state; strongroom accounts secret makes a new secret",
        ),
    }
}

fn by_certificate(
    context: &Context,
    report: &mut Report,
    client: &Client,
    wanted: Option<AccountId>,
) {
    let session = match client.sign_in_by_certificate() {
        Ok(session) => session,
        Err(error) => {
            return refused(
                context,
                report,
                &error,
                wanted,
                "the certificate stands for no account",
                "strongroom accounts certificates list ACCOUNT tells an administrator which certificates stand for it",
            );
        }
    };
    let account = session.account().clone();
    if wanted.is_some_and(|wanted| wanted != account.id) {
        report.failed(
            SIGN_IN,
            format!(
                "the certificate stands for {} ({}), which is not the account that the configuration names",
                account.name, account.id
            ),
            "correct the member account, or leave it out",
        );
    } else {
        tell_account(report, &account, "by the client certificate");
        look_through(report, &session);
    }
    // Nobody else has it. What cannot be ended now ends by itself.
    let _ = session.end();
}

fn tell_account(report: &mut Report, account: &Account, how: &str) {
    let found = format!(
        "{} {how}: a {}, {}",
        account.name,
        spelling(&account.kind),
        spelling(&account.state)
    );
    match account.kind {
        AccountKind::Service | AccountKind::Device => report.ok(SIGN_IN, found),
        _ => report.warning(
            SIGN_IN,
            found,
            "applications are better served by an account of kind service: strongroom accounts create NAME --kind service",
        ),
    }
}

/// Why the appliance signs nobody in: it tells strangers one thing for all reasons, and an administrator who is signed in here more.
fn refused(
    context: &Context,
    report: &mut Report,
    error: &ClientError,
    account: Option<AccountId>,
    or_else: &str,
    remedy: &str,
) {
    if is_elsewhere(error) {
        return report.failed(SIGN_IN, ELSEWHERE, CLIENT_ADDRESS);
    }
    if error.code() != Some(Code::SignInRefused) {
        let remedy = match error.code() {
            Some(Code::TooManyAttempts) => {
                "wait as long as it says, and correct the secret meanwhile"
            }
            Some(Code::DomainUnavailable) => {
                "see the token's member domain, and strongroomd domain list"
            }
            Some(Code::ClockSkew) => "set this machine's clock by a time server",
            _ => "see the appliance's log",
        };
        return report.failed(SIGN_IN, error.to_string(), remedy);
    }
    let known = account.and_then(|account| {
        let session = context.session().ok()?;
        session.account_with(account).ok()
    });
    match known {
        Some(account) if account.state == AccountState::Suspended => report.failed(
            SIGN_IN,
            format!("the account {} is suspended", account.name),
            format!("strongroom accounts activate {}, if it shall be used again", account.name),
        ),
        Some(account) => report.failed(
            SIGN_IN,
            format!("the appliance refuses it: {or_else} (the account {} is {})", account.name, spelling(&account.state)),
            remedy,
        ),
        None => report.failed(
            SIGN_IN,
            format!(
                "the appliance refuses it: there is no such account in this domain, it is suspended or revoked, or {or_else}; it does not say which"
            ),
            remedy,
        ),
    }
}

/// Whether it was the administration listener that answered: it looks at no signatures, and has no route for what applications do.
fn is_elsewhere(error: &ClientError) -> bool {
    matches!(
        error.code(),
        Some(Code::NotSignedIn | Code::NoSuchRoute | Code::MethodNotAllowed)
    )
}

/// Counts the account's objects and its keys that cannot be used.
fn look_through(report: &mut Report, who: &impl Objects) {
    let mut query = ObjectQuery {
        limit: Some(PAGE),
        ..ObjectQuery::default()
    };
    let mut objects: Vec<AccountObject> = Vec::new();
    for _ in 0..MOST_PAGES {
        match who.find_objects(&query) {
            Ok(page) => {
                objects.extend(page.objects);
                query.after = page.next;
            }
            Err(error) => {
                let (found, remedy) = if is_elsewhere(&error) {
                    (ELSEWHERE.to_owned(), CLIENT_ADDRESS)
                } else {
                    (error.to_string(), "see the appliance's log")
                };
                return report.failed(OBJECTS, found, remedy);
            }
        }
        if query.after.is_none() {
            break;
        }
    }
    report.ok(OBJECTS, counted(&objects, query.after.is_some()));
    let now = moment::now();
    let unusable: Vec<String> = objects
        .iter()
        .filter(|object| matches!(object.part, ObjectPart::Secret | ObjectPart::Private))
        .filter_map(|object| object.key.as_ref())
        .filter_map(|key| Some(format!("{} ({})", key.id, why_unusable(key, now)?)))
        .collect();
    if let Some(first) = unusable.first() {
        let what = match unusable.len() {
            1 => format!("the key {first} is found and cannot be used"),
            count => format!("{count} keys are found and cannot be used, such as {first}"),
        };
        report.warning(
            OBJECTS,
            what,
            "strongroom keys show KEY says more, and strongroom keys policy what its owner may change",
        );
    }
}

/// Why a key that is found cannot be used now, as far as its record says.
fn why_unusable(key: &Key, now: strongroom_wire::encoding::Timestamp) -> Option<String> {
    if !matches!(key.state, KeyState::Active) {
        return Some(spelling(&key.state));
    }
    if key.rights.is_empty() {
        return Some("without any right to it".to_owned());
    }
    let policy = key.policy.as_ref()?;
    if let Some(end) = policy.not_after.filter(|end| *end <= now) {
        return Some(format!("its policy allowed it until {end}"));
    }
    if let Some(start) = policy.not_before.filter(|start| *start > now) {
        return Some(format!("its policy allows it from {start}"));
    }
    None
}

fn counted(objects: &[AccountObject], are_more: bool) -> String {
    let of = |part| objects.iter().filter(|object| object.part == part).count();
    let kinds = [
        ("secret keys", of(ObjectPart::Secret)),
        ("private keys", of(ObjectPart::Private)),
        ("public keys", of(ObjectPart::Public)),
        ("certificates and other objects", of(ObjectPart::Object)),
    ];
    let kinds: Vec<String> = kinds
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    let more = if are_more { "more than " } else { "" };
    match objects.len() {
        0 => "none yet".to_owned(),
        count => format!("{more}{count}: {}", kinds.join(", ")),
    }
}
