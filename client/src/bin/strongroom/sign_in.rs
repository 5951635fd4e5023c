//! `enrol`, `login`, `logout`, `status`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use strongroom_client::sign_in::{SignIn, account_name};
use strongroom_client::{Client, ClientError, Identity, Session};
use strongroom_wire::health::{Health, State, Status};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::home::{self, Profile};
use crate::oidc::{self, Browser};
use crate::output::{complain, facts, plain, spelling, spellings};
use crate::second_factor::{self, Given};
use crate::{Context, agent, prompt};

/// The appliance to talk to; remembered in the home.
#[derive(Args, Debug)]
pub(crate) struct Appliance {
    /// The appliance's address, such as <https://keys.example.com:8443>; may be given several times where it has several, which are tried in turn
    /// [default: the profile's].
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    server: Vec<String>,
    /// The domain of the appliance [default: the profile's, or the one that the address stands for].
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// The certificates of the authority that vouches for it, in PEM [default: the profile's].
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// `strongroom enrol`.
#[derive(Args, Debug)]
pub(crate) struct Enrol {
    /// The account's name.
    account: String,
    #[command(flatten)]
    appliance: Appliance,
    /// The one-time code; asked for where it is not given.
    #[arg(long)]
    code: Option<String>,
    /// A file whose first line is the new password, or - for standard input; asked for where it is not given.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Enrol {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let chosen = self.appliance.choose(context, Some(&self.account))?;
        let code = match self.code {
            Some(code) => code,
            None if prompt::is_possible() => prompt::ask("One-time code: ")?,
            None => {
                return Err(Failure::Usage(
                    "nobody is there to type the one-time code: give it with --code".to_owned(),
                ));
            }
        };
        let password = prompt::new_password(self.password_file.as_deref())?;
        let client = chosen.client()?;
        let done = client.enrol(&self.account, &code, password.as_bytes())?;
        // Whoever was signed in here until now is not the profile's account any more.
        end_previous(context);
        chosen.save(context)?;
        let profile = &chosen.profile;
        context.output.answer(
            &json!({ "account": profile.account, "server": client.origin(), "leaf": done.leaf }),
            || {
                format!(
                    "{} is enrolled at {}. Sign in with: strongroom login {}",
                    profile.account,
                    client.origin(),
                    profile.account
                )
            },
        )
    }
}

/// `strongroom login`.
#[derive(Args, Debug)]
pub(crate) struct Login {
    /// The account's name [default: the profile's].
    account: Option<String>,
    #[command(flatten)]
    appliance: Appliance,
    /// A file whose first line is the password, or - for standard input; asked for where it is not given.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The code that the authenticator app shows, if the account has one; asked for where it is not given.
    #[arg(long, value_name = "CODE", conflicts_with = "recovery_code")]
    totp: Option<String>,
    /// A recovery code in place of the second factor.
    #[arg(long, value_name = "CODE")]
    recovery_code: Option<String>,
    /// Sign in by this client certificate (PEM, with its chain) and no password: services and devices.
    #[arg(
        long,
        value_name = "FILE",
        requires = "key",
        conflicts_with = "password_file"
    )]
    certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Sign in at this OpenID provider, with a browser and no password; without a name, at the only one there is.
    #[arg(
        long,
        value_name = "PROVIDER",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with_all = ["account", "password_file", "certificate", "totp", "recovery_code"]
    )]
    oidc: Option<String>,
    /// Have the provider ask to sign in although one has: for what needs a recent sign-in.
    #[arg(long, requires = "oidc")]
    fresh: bool,
    #[command(flatten)]
    browser: Browser,
}

impl Login {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        // At a provider, who somebody is turns out at the end.
        let account = self
            .oidc
            .as_ref()
            .map_or(self.account.as_deref(), |_| Some(""));
        let mut chosen = self.appliance.choose(context, account)?;
        let client = chosen.client()?;
        let identity = match self.certificate.as_deref().zip(self.key.as_deref()) {
            None => None,
            Some((certificate, key)) => {
                let key = Zeroizing::new(read(key)?);
                Some(Identity::from_pem(&read(certificate)?, &key)?)
            }
        };
        let session = if let Some(identity) = identity {
            home::client(&chosen.profile, &chosen.ca, Some(&identity))?.sign_in_by_certificate()?
        } else if let Some(provider) = &self.oidc {
            oidc::sign_in(
                &client,
                (provider, self.fresh),
                &self.browser,
                context.output,
            )?
        } else {
            let password = prompt::password(self.password_file.as_deref())?;
            match client.begin_sign_in(&chosen.profile.account, password.as_bytes())? {
                SignIn::Done(session) => *session,
                SignIn::SecondFactor(waiting) => {
                    let given = Given {
                        totp: self.totp,
                        recovery_code: self.recovery_code,
                    };
                    second_factor::prove(waiting.needed(), given, |proof| waiting.prove(proof))?
                }
            }
        };
        chosen.profile.account.clone_from(&session.account().name);
        end_previous(context);
        let held = chosen
            .save(context)
            .and_then(|()| agent::start(&context.home, &session));
        if let Err(failure) = held {
            // Nobody holds it: it shall not stay open at the appliance. What went wrong before is the news.
            let _ = session.end();
            return Err(failure);
        }
        warn_of_recovery(&session);
        context.output.answer(
            &json!({
                "account": session.account(),
                "server": client.origin(),
                "session": session.id(),
                "expires": session.expires(),
            }),
            || {
                format!(
                    "Signed in as {} at {} until {}.",
                    session.account().name,
                    client.origin(),
                    session.expires()
                )
            },
        )
    }
}

/// Tells a person that their account is being recovered, which they may not have asked for.
pub(crate) fn warn_of_recovery(session: &Session) {
    // Whoever cannot ask is told by what they ask next.
    if let Ok(present) = session.own_recovery()
        && let Some(recovery) = present.recovery
    {
        complain(&format!(
            "strongroom: a recovery of this account was started by {} and takes effect at {}: if you did not ask for it, \
             strongroom recovery cancel",
            plain(&recovery.started_by_name),
            recovery.effective
        ));
    }
}

/// `strongroom logout`.
pub(crate) fn logout(context: &Context) -> Result<(), Failure> {
    let ended = held_session(context)?.map(Session::end);
    // Whatever the appliance says, this device forgets.
    agent::stop(&context.home)?;
    let (was_signed_in, leaf) = match ended {
        None => (false, None),
        Some(Ok(done)) => (true, Some(done.leaf)),
        Some(Err(ClientError::NotSignedIn)) => (true, None),
        Some(Err(error)) => {
            complain(
                "strongroom: this device has forgotten the session; at the appliance it ends when it expires",
            );
            return Err(error.into());
        }
    };
    context.output.answer(
        &json!({ "signed_in": false, "was_signed_in": was_signed_in, "leaf": leaf }),
        || {
            if was_signed_in {
                "Signed out.".to_owned()
            } else {
                "Nobody was signed in.".to_owned()
            }
        },
    )
}

/// `strongroom status`.
pub(crate) fn status(context: &Context) -> Result<(), Failure> {
    let session = context.session()?;
    let account = session.own_account()?;
    let health = session.client().health()?;
    warn_of_recovery(&session);
    let answer = json!({
        "signed_in": true,
        "server": session.client().origin(),
        "domain": session.client().domain(),
        "account": account,
        "session": session.id(),
        "expires": session.expires(),
        "appliance": health,
    });
    context.output.answer(&answer, || {
        facts(&[
            ("account", account.name.clone()),
            ("kind", spelling(&account.kind)),
            ("roles", spellings(&account.roles)),
            ("signed in at", session.client().origin().to_owned()),
            ("until", session.expires().to_string()),
            ("appliance", describe(&health)),
        ])
    })
}

fn describe(health: &Health) -> String {
    if health.status == Status::Ok {
        return format!("version {}, well", health.version);
    }
    match health.state {
        State::Serving => {}
        State::Opening => return format!("version {}, waiting for its HSM", health.version),
        State::Sealed => return format!("version {}, sealed", health.version),
    }
    let parts = [("HSM", health.hsm), ("storage", health.storage)];
    let failing = parts.iter().filter(|(_, status)| *status != Status::Ok);
    let failing: Vec<&str> = failing.map(|(name, _)| *name).collect();
    format!(
        "version {}, failing: {}",
        health.version,
        failing.join(" and ")
    )
}

/// The session that the agent holds, at the appliance of the profile.
fn held_session(context: &Context) -> Result<Option<Session>, Failure> {
    match context.session() {
        Ok(session) => Ok(Some(session)),
        Err(Failure::NotSignedIn(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Ends the session that this home held until now. A device that cannot reach its old appliance may still sign in anew.
fn end_previous(context: &Context) {
    if let Ok(Some(session)) = held_session(context) {
        let _ = session.end();
    }
    let _ = agent::stop(&context.home);
}

/// An appliance and an account to use it as, not yet remembered.
pub(crate) struct Chosen {
    profile: Profile,
    ca: Vec<u8>,
}

impl Chosen {
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        home::client(&self.profile, &self.ca, None)
    }

    /// The account's name.
    pub(crate) fn account(&self) -> &str {
        &self.profile.account
    }

    /// Ends the session that this home held, which is not the account's any more, and remembers this.
    pub(crate) fn forget_and_save(&self, context: &Context) -> Result<(), Failure> {
        end_previous(context);
        self.save(context)
    }

    fn save(&self, context: &Context) -> Result<(), Failure> {
        let mut profile = self.profile.clone();
        self.client()?.origin().clone_into(&mut profile.server);
        context.home.save(&profile, &self.ca)
    }
}

impl Appliance {
    /// What the command line says, and what the profile says where it is silent.
    pub(crate) fn choose(
        &self,
        context: &Context,
        account: Option<&str>,
    ) -> Result<Chosen, Failure> {
        let profile = context.home.profile()?;
        let missing = |what: &str| {
            Failure::Usage(format!("this home has no profile yet: give {what} as well"))
        };
        let server = self.server.first().cloned();
        let server = server.or_else(|| profile.as_ref().map(|profile| profile.server.clone()));
        let server = server.ok_or_else(|| missing("--server"))?;
        let account = account.map(account_name);
        let account = account.or_else(|| profile.as_ref().map(|profile| profile.account.clone()));
        let ca = match &self.ca {
            Some(file) => read(file)?,
            None if profile.is_some() => context.home.ca()?,
            None => return Err(missing("--ca")),
        };
        let account = account.ok_or_else(|| missing("the account's name"))?;
        let same = profile.filter(|profile| {
            profile.server == server && (self.domain.is_none() || self.domain == profile.domain)
        });
        let mut profile = match same {
            Some(profile) => Profile { account, ..profile },
            None => Profile {
                server,
                domain: self.domain.clone(),
                account,
                verifier_keys: Vec::new(),
                tpm: None,
                or_at: Vec::new(),
                also_known_as: Vec::new(),
            },
        };
        if let [_, further @ ..] = self.server.as_slice()
            && !further.is_empty()
        {
            profile.or_at = further.to_vec();
        }
        Ok(Chosen { profile, ca })
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file)
        .map_err(|error| Failure::local(format!("{} cannot be read", file.display()), &error))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::home::Home;
    use crate::output::Output;

    #[test]
    fn the_profile_fills_in_what_the_command_line_leaves_out() {
        let temp = tempfile::tempdir().unwrap();
        let context = Context {
            home: Home::find(Some(temp.path().join("home"))).unwrap(),
            output: Output::new(false),
            proposal: None,
        };
        let nothing = Appliance {
            server: Vec::new(),
            domain: None,
            ca: None,
        };
        let failure = nothing.choose(&context, Some("alice")).err().unwrap();
        assert_eq!(failure.exit_code(), 2);

        let ca = temp.path().join("ca.pem");
        fs::write(&ca, "one").unwrap();
        let given = Appliance {
            server: ["https://keys.example.com:8443", "https://10.0.0.4:8443"]
                .map(str::to_owned)
                .into(),
            domain: Some("acme".to_owned()),
            ca: Some(ca),
        };
        let chosen = given.choose(&context, Some(" Alice@Example.com ")).unwrap();
        assert_eq!(chosen.profile.account, "alice@example.com");
        assert_eq!(chosen.profile.domain.as_deref(), Some("acme"));
        assert_eq!(chosen.ca, b"one");
        assert_eq!(chosen.profile.or_at, ["https://10.0.0.4:8443"]);

        let mut profile = chosen.profile;
        profile.also_known_as = vec!["https://10.0.0.5:8443".to_owned()];
        context.home.save(&profile, b"two").unwrap();
        let chosen = nothing.choose(&context, None).unwrap();
        assert_eq!(chosen.profile, profile);
        assert_eq!(chosen.ca, b"two");

        let elsewhere = Appliance {
            server: vec!["https://other.example.com".to_owned()],
            domain: None,
            ca: None,
        };
        let chosen = elsewhere.choose(&context, Some("bob")).unwrap();
        assert_eq!(chosen.profile.account, "bob");
        assert_eq!(chosen.profile.domain, None);
        assert!(chosen.profile.also_known_as.is_empty() && chosen.profile.or_at.is_empty());
    }

    #[test]
    fn what_fails_is_named() {
        let health = |hsm, storage| Health {
            status: Status::Failing,
            state: State::Serving,
            hsm,
            storage,
            failing_domains: 0,
            failing_witnesses: 0,
            failing_receivers: 0,
            scrub_findings: 0,
            certificate: Status::Ok,
            certificate_lapses: None,
            version: "0.1.0".to_owned(),
        };
        assert_eq!(
            describe(&health(Status::Failing, Status::Ok)),
            "version 0.1.0, failing: HSM"
        );
        assert_eq!(
            describe(&health(Status::Failing, Status::Failing)),
            "version 0.1.0, failing: HSM and storage"
        );
        let sealed = Health {
            state: State::Sealed,
            ..health(Status::Failing, Status::Ok)
        };
        assert_eq!(describe(&sealed), "version 0.1.0, sealed");
    }
}
