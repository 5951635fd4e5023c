//! What the command line leaves out, taken from the credentials, the session and the profile.

use strongroom_client::Session;
use strongroom_client::objects::Objects as _;
use strongroom_client::sign_in::account_name;
use strongroom_wire::account::AccountKind;
use strongroom_wire::id::AccountId;
use strongroom_wire::object::ObjectQuery;
use strongroom_wire::problem::Code;

use super::Configure;
use crate::accounts;
use crate::failure::Failure;
use crate::home::Profile;
use crate::output::plain;
use crate::pkcs11::credentials::Credentials;

/// Who the token is for, as far as is known.
pub(super) struct Subject {
    pub(super) account: Option<AccountId>,
    pub(super) name: Option<String>,
}

impl Configure {
    /// The account that the token is for.
    pub(super) fn subject(
        &self,
        session: Option<&Session>,
        credentials: Option<&Credentials>,
    ) -> Result<Subject, Failure> {
        let named = self.account.as_deref();
        let id = named.and_then(|named| named.parse::<AccountId>().ok());
        let name = named.filter(|_| id.is_none()).map(account_name);
        if let Some(credentials) = credentials {
            let other = id.is_some_and(|id| id != credentials.account)
                || name
                    .as_ref()
                    .zip(credentials.name.as_ref())
                    .is_some_and(|(name, said)| name != said);
            if other {
                return Err(Failure::Usage(
                    "the credentials are another account's".to_owned(),
                ));
            }
            return Ok(Subject {
                account: Some(credentials.account),
                name: credentials.name.clone().or(name),
            });
        }
        let own = session.map(Session::account);
        if let Some(id) = id {
            let own = own.filter(|own| own.id == id);
            return Ok(Subject {
                account: Some(id),
                name: own.map(|own| own.name.clone()),
            });
        }
        let by_certificate = self.sign_in.certificate.is_some();
        match (name, own, session) {
            (Some(name), Some(own), _) if own.name == name => Ok(Subject {
                account: Some(own.id),
                name: Some(name),
            }),
            (Some(name), _, Some(session)) => {
                let found = accounts::find(session, &name)?;
                Ok(Subject {
                    account: Some(found.id),
                    name: Some(found.name),
                })
            }
            // A certificate says by itself whose it is.
            (name, _, None) if by_certificate => Ok(Subject {
                account: None,
                name,
            }),
            (Some(name), _, None) => Err(Failure::Usage(format!(
                "nobody is signed in here to ask for the identifier of {}: give the identifier, which strongroom accounts show prints, or \
                 --credentials",
                plain(&name)
            ))),
            (None, Some(own), _)
                if matches!(own.kind, AccountKind::Service | AccountKind::Device) =>
            {
                Ok(Subject {
                    account: Some(own.id),
                    name: Some(own.name.clone()),
                })
            }
            (None, ..) if by_certificate => Ok(Subject {
                account: None,
                name: None,
            }),
            (None, ..) => Err(Failure::Usage(
                "say which service account it is: by its identifier, or with --credentials or --certificate"
                    .to_owned(),
            )),
        }
    }

    pub(super) fn addresses(
        &self,
        profile: Option<&Profile>,
        session: Option<&Session>,
    ) -> Result<Vec<String>, Failure> {
        if !self.addresses.is_empty() {
            return Ok(self.addresses.clone());
        }
        let profile = profile.ok_or_else(|| missing("--address"))?;
        let nothing = ObjectQuery {
            limit: Some(0),
            ..ObjectQuery::default()
        };
        // Whatever else it answers, applications are served there.
        let asked = session.and_then(|session| session.find_objects(&nothing).err());
        if asked.is_some_and(|error| error.code() == Some(Code::NoSuchRoute)) {
            return Err(Failure::Usage(format!(
                "this home is signed in at {}, the administration address, and applications use the appliance's client address: give that with \
                 --address",
                profile.server
            )));
        }
        Ok(vec![profile.server.clone()])
    }

    pub(super) fn domain(&self, profile: Option<&Profile>) -> Option<String> {
        let same = |profile: &&Profile| {
            self.addresses.is_empty() || self.addresses.contains(&profile.server)
        };
        let profiles = profile.filter(same);
        let profiles = profiles.and_then(|profile| profile.domain.clone());
        self.domain.clone().or(profiles)
    }
}

/// What has to be given, as there is no profile.
pub(super) fn missing(what: &str) -> Failure {
    Failure::Usage(format!(
        "this home has no profile to take it from: give {what}"
    ))
}
