//! `keys`.

mod material;
mod policy;
mod text;

use std::fs::File;
use std::path::Path;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};
use serde_json::json;
use strongroom_client::objects::Objects as _;
use strongroom_client::sign_in::account_name;
use strongroom_client::{ClientError, Session, object};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{
    Algorithm, ChangedKey, Key, KeyPage, KeyQuery, KeyState, NewKey, Protection, Releasable, Right,
    ShareKey, TightenKey,
};
use strongroom_wire::problem::Code;

use crate::failure::{Failure, elsewhere};
use crate::output::{complain, plain, spelling, spelt};
use crate::policy::{self as policies, Policy, right_parser};
use crate::step_up::with_recent_sign_in;
use crate::{Context, moment, prompt};

use text::{describe, describe_page, describe_rights};

const HINT: &str = "keys are used at the appliance's client address, and this home is signed in elsewhere: sign in there with \
                    strongroom login ACCOUNT --server URL, in another --home";

const STATES: [&str; 6] = [
    "pre-active",
    "active",
    "suspended",
    "deactivated",
    "compromised",
    "destroyed",
];

/// `strongroom keys`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// List keys, the newest first.
    List(List),
    /// Show what is known of a key, and who has it.
    Show {
        /// The key.
        key: String,
    },
    /// Have the appliance make a key.
    Create(Create),
    /// Bring an existing key.
    Import(material::Import),
    /// Write the public key of a key pair, in PEM.
    Public(material::Public),
    /// Give an account the key.
    Share(Share),
    /// Take the key back from an account.
    Revoke {
        /// The key.
        key: String,
        /// From whom.
        #[arg(long, value_name = "ACCOUNT")]
        from: String,
    },
    /// Make a new version of a key; earlier versions still open what they protect.
    Rotate {
        /// The key.
        key: String,
    },
    /// Change a key's state.
    State {
        /// The key.
        key: String,
        /// The state it shall have.
        #[arg(value_parser = PossibleValuesParser::new(&STATES[..5]).try_map(|text| spelt::<KeyState>(&text)))]
        state: KeyState,
    },
    /// Put restrictions on a key that nobody lifts.
    Tighten(Tighten),
    /// Show and change usage policies.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Say what would be decided for an account, and by which rule.
    Preview(policy::PreviewOf),
    /// Destroy a key: what it protects can never be opened again.
    Destroy {
        /// The key.
        key: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// `strongroom keys list`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Whose label contains this.
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// Whose sender is this account.
    #[arg(long, value_name = "ACCOUNT")]
    sender: Option<String>,
    /// One of whose recipients is this account.
    #[arg(long, value_name = "ACCOUNT")]
    recipient: Option<String>,
    /// In this state.
    #[arg(long, value_parser = PossibleValuesParser::new(STATES).try_map(|text| spelt::<KeyState>(&text)))]
    state: Option<KeyState>,
    /// Created at or after this time.
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_hyphen_values = true)]
    from: Option<Timestamp>,
    /// Created before this time; of a day, before its end.
    #[arg(long, value_name = "TIME", value_parser = moment::parse_end, allow_hyphen_values = true)]
    until: Option<Timestamp>,
    /// Go on after this key.
    #[arg(long, value_name = "KEY")]
    after: Option<KeyId>,
    /// At most so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// All of them.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// `strongroom keys create`.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// A name for people.
    #[arg(long, default_value = "")]
    label: String,
    /// What it is for.
    #[arg(long, default_value = "aes-256", value_parser = algorithm_parser())]
    algorithm: Algorithm,
    /// The length of a generic secret, in bytes [default: 32].
    #[arg(long, value_name = "BYTES")]
    length: Option<u16>,
    /// Never give its material to anybody: the appliance uses it for those who may. This cannot be changed later.
    #[arg(long)]
    no_release: bool,
    /// Whoever uses it has to show each time who they are: by a signed request, or a sign-in a few seconds ago. This cannot be lifted later.
    #[arg(long, requires = "no_release")]
    authenticate_each: bool,
    /// What keeps it: hsm for inside the appliance's HSM, which generates it and never gives it. It is lost with that HSM.
    #[arg(long, value_name = "LEVEL", default_value = "software", value_parser = PossibleValuesParser::new(["software", "hsm"]).try_map(|text| spelt::<Protection>(&text)))]
    protection: Protection,
    /// Who receives it, besides oneself; may be given several times.
    #[arg(long, value_name = "ACCOUNT", value_delimiter = ',')]
    to: Vec<String>,
    /// Not to be used yet: `keys state KEY active` puts it in use.
    #[arg(long)]
    pre_active: bool,
    #[command(flatten)]
    policy: Policy,
}

/// `strongroom keys tighten`.
#[derive(Args, Debug)]
#[command(group(
    clap::ArgGroup::new("stricter")
        .required(true)
        .multiple(true)
        .args(["no_release", "authenticate_each"])
))]
pub(crate) struct Tighten {
    /// The key.
    key: String,
    /// Give its material to nobody any more: the appliance uses it for those who may.
    #[arg(long)]
    no_release: bool,
    /// Whoever uses it has to show each time who they are. Its material goes to nobody, or no more.
    #[arg(long)]
    authenticate_each: bool,
}

/// `strongroom keys share`.
#[derive(Args, Debug)]
pub(crate) struct Share {
    /// The key.
    key: String,
    /// With whom.
    #[arg(long, value_name = "ACCOUNT")]
    with: String,
    /// Invite the address if it has no account yet: it gets a one-time code by mail.
    #[arg(long)]
    invite: bool,
    /// What they may do with it [default: release, decrypt, verify].
    #[arg(long, value_name = "RIGHTS", value_delimiter = ',', value_parser = right_parser())]
    rights: Option<Vec<Right>>,
    #[command(flatten)]
    policy: Policy,
}

/// What a key may be for.
fn algorithm_parser() -> impl clap::builder::TypedValueParser<Value = Algorithm> {
    let names = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str());
    PossibleValuesParser::new(names).try_map(|text| spelt::<Algorithm>(&text))
}

const fn releasable(no_release: bool) -> Releasable {
    if no_release {
        Releasable::Never
    } else {
        Releasable::ByPolicy
    }
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(context),
            Self::Show { key } => show(context, &key),
            Self::Create(create) => create.run(context),
            Self::Import(import) => import.run(context),
            Self::Public(public) => public.run(context),
            Self::Share(share) => share.run(context),
            Self::Revoke { key, from } => revoke(context, &key, &from),
            Self::Rotate { key } => change(context, &key, Session::rotate, |key| {
                format!("Key {} has version {} now.", key.id, key.version)
            }),
            Self::State { key, state } => change(
                context,
                &key,
                |session, key| session.change_state(key, state),
                |key| format!("Key {} is {} now.", key.id, spelling(&key.state)),
            ),
            Self::Tighten(tighten) => tighten.run(context),
            Self::Policy(command) => command.run(context),
            Self::Preview(preview) => preview.run(context),
            Self::Destroy { key, yes } => destroy(context, &key, yes),
        }
    }
}

impl List {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        let query = KeyQuery {
            label: self.label,
            sender: self.sender.as_deref().map(account_name),
            recipient: self.recipient.as_deref().map(account_name),
            state: self.state,
            from: self.from,
            until: self.until,
            after: self.after,
            limit: Some(if self.all { 1000 } else { self.limit }),
        };
        let page = if self.all {
            let keys: Result<Vec<Key>, ClientError> = session.all_keys(query).collect();
            keys.map(|keys| KeyPage { keys, next: None })
        } else {
            session.find_keys(&query)
        };
        let page = page.map_err(here)?;
        context.output.answer(&page, || describe_page(&page))
    }
}

fn show(context: &Context, key: &str) -> Result<(), Failure> {
    let id = identify(key)?;
    let session = context.session()?;
    let key = session.key(id).map_err(here)?;
    let grants = if key.rights.contains(&Right::Administer) {
        Some(session.grants(id).map_err(here)?.grants)
    } else {
        None
    };
    context
        .output
        .answer(&json!({ "key": key, "grants": grants }), || {
            describe(&key, grants.as_deref())
        })
}

impl Create {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        let state = if self.pre_active {
            KeyState::PreActive
        } else {
            KeyState::Active
        };
        let created = session.create_keys(vec![NewKey {
            label: self.label,
            recipients: self.to.iter().map(|name| account_name(name)).collect(),
            policy: self.policy.into_wire(),
            state,
            length: self.length,
            releasable: releasable(self.no_release || self.protection == Protection::Hsm),
            protection: self.protection,
            authenticate_each: self.authenticate_each,
            ..NewKey::new(self.algorithm)
        }]);
        for created in created.map_err(here)? {
            context
                .output
                .answer(&created, || format!("Key {} is created.", created.key.id))?;
        }
        Ok(())
    }
}

impl Tighten {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let id = identify(&self.key)?;
        let session = context.session()?;
        let request = TightenKey {
            releasable: self.no_release.then_some(Releasable::NoMore),
            authenticate_each: self.authenticate_each.then_some(true),
        };
        let changed = with_recent_sign_in(context, &session, || session.tighten_key(id, &request));
        let changed = changed.map_err(Failure::at_clients)?;
        context.output.answer(&changed, || {
            let restrictions = text::restrictions(&changed.key);
            format!("Key {id}: {}.", restrictions.join(", "))
        })
    }
}

impl Share {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let id = identify(&self.key)?;
        let session = context.session()?;
        let share = ShareKey {
            grantee: account_name(&self.with),
            rights: self.rights,
            policy: self.policy.into_wire(),
        };
        let give = || with_recent_sign_in(context, &session, || session.share(id, &share));
        let shared = match give() {
            Err(Failure::Client(ClientError::Refused(problem)))
                if self.invite && problem.code == Code::AccountNotFound =>
            {
                let invited = session.invite(&share.grantee).map_err(here)?;
                complain(&format!(
                    "strongroom: {} is invited by mail; the code is good until {}",
                    plain(&invited.name),
                    invited.expires
                ));
                give()
            }
            shared => shared,
        };
        let shared = shared.map_err(Failure::at_clients)?;
        context.output.answer(&shared, || {
            let policy = policies::describe(&shared.grant.policy, None);
            let policy = if policy.is_empty() {
                policy
            } else {
                format!("; {policy}")
            };
            format!(
                "Key {id} is shared with {}: {}{policy}.",
                plain(&shared.grant.grantee_name),
                describe_rights(&shared.grant.rights)
            )
        })
    }
}

fn revoke(context: &Context, key: &str, from: &str) -> Result<(), Failure> {
    let id = identify(key)?;
    let session = context.session()?;
    let (grant, done) = session.revoke_from(id, from).map_err(here)?;
    context.output.answer(
        &json!({ "key_id": id, "grant": grant.id, "grantee": grant.grantee_name, "leaf": done.leaf }),
        || {
            format!(
                "{} can obtain key {id} no more.",
                plain(&grant.grantee_name)
            )
        },
    )
}

fn change(
    context: &Context,
    key: &str,
    act: impl FnOnce(&Session, KeyId) -> Result<ChangedKey, ClientError>,
    text: impl FnOnce(&Key) -> String,
) -> Result<(), Failure> {
    let id = identify(key)?;
    let session = context.session()?;
    let changed = act(&session, id).map_err(here)?;
    context.output.answer(&changed, || text(&changed.key))
}

fn destroy(context: &Context, key: &str, yes: bool) -> Result<(), Failure> {
    let id = identify(key)?;
    let session = context.session()?;
    if !yes {
        confirm(&session.key(id).map_err(here)?)?;
    }
    let destroyed = with_recent_sign_in(context, &session, || session.destroy(id));
    let destroyed = destroyed.map_err(Failure::at_clients)?;
    context.output.answer(&destroyed, || {
        format!("Key {id} is destroyed: what it protected can never be opened again.")
    })
}

/// Asks before what cannot be undone.
fn confirm(key: &Key) -> Result<(), Failure> {
    if !prompt::is_possible() {
        return Err(Failure::Usage(
            "destroying a key cannot be undone, and nobody is there to be asked: say --yes"
                .to_owned(),
        ));
    }
    let label = plain(&key.label);
    let (name, word) = if label.is_empty() {
        (String::new(), "yes")
    } else {
        (format!(" {label:?}"), label.as_str())
    };
    let answer = prompt::ask(&format!(
        "Key {}{name}, version {}, made by {} for {}.\n\
         This cannot be undone: what the key protects can never be opened again, by nobody.\n\
         Type {word} to destroy it: ",
        key.id,
        key.version,
        plain(&key.sender),
        if key.recipients.is_empty() {
            "nobody else".to_owned()
        } else {
            plain(&key.recipients.join(", "))
        },
    ))?;
    if answer == word || answer == "yes" {
        Ok(())
    } else {
        Err(Failure::Failed("the key was not destroyed".to_owned()))
    }
}

/// The key that is named: by its identifier, or by the path of an object it protects.
pub(crate) fn identify(text: &str) -> Result<KeyId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let path = Path::new(text);
    let file = File::open(path).map_err(|error| {
        Failure::Usage(format!(
            "{text} is neither a key's identifier nor a protected file that can be read ({error})"
        ))
    })?;
    let object = object::open(file).map_err(|error| Failure::from(ClientError::Object(error)))?;
    Ok(object.header().key())
}

pub(crate) fn here(error: ClientError) -> Failure {
    elsewhere(error, HINT)
}

impl Failure {
    /// What it means for a command that only the client address serves.
    fn at_clients(self) -> Self {
        match self {
            Self::Client(error) => here(error),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_client::object::{Header, ObjectKey};
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn a_key_is_named_by_identifier_or_by_its_object() {
        let id = KeyId::generate();
        assert_eq!(identify(&id.to_string()).unwrap(), id);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.pdf.sealed");
        let header = Header::new(id, 1, "https://keys.example.com", None).unwrap();
        let mut file = File::create(&path).unwrap();
        let material = ObjectKey::new(Zeroizing::new([7; 32]));
        object::protect(&material, &header, &mut &b"report"[..], &mut file).unwrap();
        assert_eq!(identify(path.to_str().unwrap()).unwrap(), id);

        assert_eq!(identify("no-such-file").unwrap_err().exit_code(), 2);
        std::fs::write(&path, "plain").unwrap();
        let failure = identify(path.to_str().unwrap()).unwrap_err();
        assert_eq!(failure.sentence(), "this is not a protected object");
    }
}
