//! Signed requests: whose they are, and that each is made once.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use strongroom_session::signature::Covered;
use strongroom_session::{AccountSecret, RequestSignature, TransportKey};
use strongroom_wire::account::{AccountKind, AccountState};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::{Base64, Timestamp};
use strongroom_wire::id::AccountId;

use super::{device_of, open_secret};
use strongroom_wire::session::SignInStrength;

use crate::act::{Caller, Presented, Proof, Scope, View};
use crate::error::{Answer, Error};
use crate::hierarchy::Fetched;
use crate::keystore::Keystore;
use crate::seal;
use crate::store::{AccountRecord, SpentNonce};

/// A request that an account signed with its secret (RFC 9421). Its body has been held against its Content-Digest.
#[derive(Debug, Clone)]
pub struct SignedRequest {
    /// The signature.
    pub signature: RequestSignature,
    /// The method, in capitals.
    pub method: String,
    /// The path as it was sent, percent-encoded.
    pub path: String,
    /// The query as it was sent, without its question mark; empty where there is none.
    pub query: String,
    /// The content of the Content-Digest header.
    pub content_digest: String,
}

/// What a signature that was admitted stands for, for the one request that it was made for. Counts as long as the secret does.
#[derive(Clone)]
pub struct Admitted {
    account: AccountId,
    generation: u32,
    transport: TransportKey,
    /// What the account wraps what it brings under.
    import: TransportKey,
    /// What becomes durable with what the request does.
    pub(crate) nonce: SpentNonce,
}

/// An admitted request.
#[derive(Debug)]
pub struct Admission {
    /// What the request presents from here on.
    pub presented: Presented,
    /// The appliance's nonce, for the answer: from it and the request's the client derives the transport key.
    pub response_nonce: String,
}

impl Keystore {
    /// Admits a signed request: once, and within the permitted clock skew of its time. That it was made is durable with the first act that it
    /// asks for.
    ///
    /// The first request that is admitted of an account makes it active. A request that is admitted leaves no leaf of its own otherwise:
    /// what it asks for does. A refused one leaves one.
    pub fn admit(&self, source: IpAddr, request: SignedRequest) -> Answer<Admission> {
        if let Some(admission) = self.admit_at_once(source, &request) {
            return Ok(admission);
        }
        let core = Arc::clone(&self.core);
        self.core.act(Act::RequestAdmit, source, move |scope| {
            scope.record_strangers = true;
            let account = scope.view().account(request.signature.account)?;
            scope.detail.subject = account.as_ref().map(|account| account.id);
            let (account, signed) = signer(&scope.view(), account, &request)?;
            // Only who knows the secret is told more than that the request was refused.
            let nonce = in_time(&request, core.options.clock_skew, scope.now)?;
            if !core.spent_nonces.spend(&nonce, scope.now) {
                return Err(Error::Replayed);
            }
            scope.tx.keep_nonce(&nonce)?;
            scope.detail.actor = Some(account.id);
            scope.detail.subject = None;
            first_request(scope, account)?;
            forget_older(scope, nonce.account, signed.generation)?;
            admission(source, &request, &signed, nonce)
        })
    }

    /// The same, of an account whose requests were admitted before, without waiting for the HSM or for the writer. None where there is more to
    /// be done, or where it is refused: [`admit`](Self::admit) says why.
    #[must_use]
    pub fn admit_at_once(&self, source: IpAddr, request: &SignedRequest) -> Option<Admission> {
        let core = &self.core;
        let admitted = core.glimpse(&Fetched::default(), |view| {
            let account = view.account(request.signature.account)?;
            let (account, signed) = signer(view, account, request)?;
            let device = device_of(view, account.id)?;
            let is_known = account.state == AccountState::Active
                && device.is_none_or(|device| device.admitted.is_some())
                && signed.is_only;
            let nonce = in_time(request, core.options.clock_skew, view.now)?;
            if !is_known || !core.spent_nonces.spend(&nonce, view.now) {
                return Ok(None);
            }
            admission(source, request, &signed, nonce).map(Some)
        });
        admitted.ok().flatten()
    }
}

impl Admitted {
    /// Whose request it is, if the account and its secret still count.
    pub(crate) fn caller(&self, view: &View<'_>, source: IpAddr) -> Result<Caller, Error> {
        let account = view
            .account(self.account)?
            .filter(|account| account.state == AccountState::Active)
            .ok_or(Error::NotSignedIn)?;
        let secrets = view.snapshot.secrets_of(self.account)?;
        if !secrets
            .iter()
            .any(|secret| secret.generation == self.generation)
        {
            return Err(Error::NotSignedIn);
        }
        Ok(Caller {
            account,
            session: None,
            transport: self.transport.clone(),
            import: self.import.clone(),
            source,
            strength: SignInStrength::Secret,
            // Each request proves anew that its maker knows the secret.
            confirmed: view.now,
            proposal: None,
            policy: view.domain.record(view.snapshot)?.policy,
        })
    }

    /// The generation of the secret that signed, where it is this account's.
    pub(super) fn generation_of(&self, account: AccountId) -> Option<u32> {
        (self.account == account).then_some(self.generation)
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// The secret that made a signature.
struct Signed {
    generation: u32,
    secret: AccountSecret,
    /// Whether the account has no other.
    is_only: bool,
}

/// The account whose secret made the signature, and that secret. One error for every reason why there is none.
fn signer(
    view: &View<'_>,
    account: Option<AccountRecord>,
    request: &SignedRequest,
) -> Result<(AccountRecord, Signed), Error> {
    let signature = &request.signature;
    let covered = Covered {
        method: &request.method,
        path: &request.path,
        query: &request.query,
        content_digest: &request.content_digest,
    };
    let account = account.filter(may_sign);
    let secrets = match &account {
        Some(account) => view
            .snapshot
            .secrets_of(account.id)?
            .iter()
            .map(|record| Ok((record.generation, open_secret(view, account, record)?)))
            .collect::<Result<Vec<_>, Error>>()?,
        None => Vec::new(),
    };
    let Some(account) = account.filter(|_| !secrets.is_empty()) else {
        // As long as it takes for an account that there is.
        let nobody = AccountSecret::from_bytes([0; 32]);
        let _ = signature.verify(&nobody, &covered);
        return Err(Error::SignatureRefused);
    };
    let is_only = secrets.len() == 1;
    secrets
        .into_iter()
        .find(|(_, secret)| signature.verify(secret, &covered).is_ok())
        .map(|(generation, secret)| Signed {
            generation,
            secret,
            is_only,
        })
        .map(|signed| (account, signed))
        .ok_or(Error::SignatureRefused)
}

/// The nonce of a request that is in time.
fn in_time(request: &SignedRequest, skew: Duration, now: Timestamp) -> Result<SpentNonce, Error> {
    let signature = &request.signature;
    let created = Timestamp::from_millis(signature.created.saturating_mul(1000));
    let expires = created.plus_seconds(skew.as_secs());
    if created > now.plus_seconds(skew.as_secs()) || expires < now {
        return Err(Error::ClockSkew(now));
    }
    Ok(SpentNonce {
        account: signature.account,
        sha256: seal::sha256(signature.nonce.as_bytes()),
        expires,
    })
}

/// What a request presents that is admitted.
fn admission(
    source: IpAddr,
    request: &SignedRequest,
    signed: &Signed,
    nonce: SpentNonce,
) -> Result<Admission, Error> {
    let response_nonce = Base64(seal::random::<16>()?.to_vec()).to_text();
    let secret = &signed.secret;
    let admitted = Admitted {
        account: nonce.account,
        generation: signed.generation,
        transport: secret.transport_key(&request.signature.nonce, &response_nonce),
        import: secret.import_key(),
        nonce,
    };
    Ok(Admission {
        presented: Presented {
            proof: Proof::Signature(admitted),
            source,
            proposal: None,
        },
        response_nonce,
    })
}

pub(super) fn may_sign(account: &AccountRecord) -> bool {
    matches!(account.kind, AccountKind::Device | AccountKind::Service)
        && matches!(account.state, AccountState::Pending | AccountState::Active)
}

/// The first request of a device or service shows that its secret has arrived: from now on it is its own.
pub(super) fn first_request(
    scope: &mut Scope<'_>,
    mut account: AccountRecord,
) -> Result<(), Error> {
    if let Some(mut device) = device_of(&scope.view(), account.id)?
        && device.admitted.is_none()
    {
        device.admitted = Some(scope.now);
        scope.domain.authenticate_device(&mut device);
        scope.tx.put_device(&device)?;
        if account.state != AccountState::Pending {
            scope.detail.note = Some("admitted".to_owned());
            scope.record(Act::DeviceUpdate)?;
            scope.detail.note = None;
        }
    }
    if account.state == AccountState::Pending {
        account.state = AccountState::Active;
        scope.domain.authenticate_account(&mut account);
        scope.tx.update_account(&account)?;
        scope.record(Act::AccountEnrol)?;
    }
    Ok(())
}

/// A secret that has been used takes the place of those before it.
fn forget_older(scope: &mut Scope<'_>, account: AccountId, used: u32) -> Result<(), Error> {
    let secrets = scope.tx.secrets_of(account)?;
    let is_newest = secrets
        .first()
        .is_some_and(|newest| newest.generation == used);
    if is_newest && secrets.len() > 1 {
        scope.tx.forget_secrets_but(account, Some(used))?;
        scope.detail.note = Some(format!("account-secret before {used}"));
        scope.record(Act::CredentialRemove)?;
        scope.detail.note = None;
    }
    Ok(())
}
