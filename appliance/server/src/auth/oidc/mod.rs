//! Sign-in at the enterprise's OpenID providers: the appliance as a relying party (OpenID Connect Core 1.0, authorization code flow with
//! PKCE, RFC 7636).
//!
//! ```text
//! start    the client gives its ephemeral key and where the browser comes back to, and gets the address to send its user to
//! finish   the client hands over the code; the appliance redeems it, verifies the ID token and asks the keystore
//! ```
//!
//! | module | what lives there |
//! |---|---|
//! | `provider` | one provider: what it says of itself, redeeming a code, verifying its ID token |
//! | `claims` | what a verified ID token says, in the keystore's words |
//! | `http` | speaking HTTPS to it, within a deadline |
//!
//! What must never happen here: the verifier of PKCE leaving the appliance; a request waiting for a provider without a deadline; a code or a
//! token in the log.

mod claims;
mod http;
mod provider;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use openidconnect::{CsrfToken, PkceCodeVerifier};
use strongroom_keystore::identities::{Claimed, IdentityRules};
use strongroom_keystore::{Clock as _, SystemClock};
use strongroom_session::{oidc, passkey};
use strongroom_wire::id::{AccountId, SignInId};
use strongroom_wire::oidc::{FinishOidc, OidcProvider, OidcProviders, OidcStarted, StartOidc};
use strongroom_wire::problem::{Code, Problem};
use subtle::ConstantTimeEq as _;
use url::{Host, Url};

use self::provider::{Provider, ProviderError, Sent};
use crate::config;
use crate::problems::Failure;

pub(crate) use self::provider::SetupError;

/// How long a sign-in waits for its end: people look for their second factor in the meantime.
const LIFETIME: Duration = Duration::from_mins(10);
/// How long a provider may take to answer one request.
const DEADLINE: Duration = Duration::from_secs(10);
/// The most sign-ins that are under way at once.
const MOST: usize = 10_000;
/// After how many seconds it makes sense to ask a provider again that did not answer.
const RETRY: u64 = 10;

/// The providers, and the sign-ins at them that are under way.
#[derive(Default)]
pub(crate) struct Oidc {
    providers: Vec<Provider>,
    /// The appliance's own pages that browsers may come back to, at each provider.
    pages: Vec<String>,
    /// They hold one-time secrets, so they live in memory only.
    pending: Mutex<HashMap<SignInId, Pending>>,
}

/// A sign-in that has been started.
struct Pending {
    /// Its place among the providers.
    provider: usize,
    state: CsrfToken,
    nonce: String,
    verifier: PkceCodeVerifier,
    redirect_uri: String,
    client_key: Vec<u8>,
    /// Whether its user was to sign in anew at the provider.
    fresh: bool,
    /// The account that is to be linked, where no session is to be opened.
    link: Option<AccountId>,
    expires: Instant,
}

/// A sign-in whose ID token holds.
#[derive(Debug)]
pub(crate) struct Proved {
    /// The client's ephemeral public key, which the token's nonce commits to.
    pub(crate) client_key: Vec<u8>,
    pub(crate) claimed: Claimed,
    pub(crate) rules: IdentityRules,
}

/// Why a sign-in did not get so far.
#[derive(Debug)]
pub(crate) enum Unproved {
    /// It is to be refused and recorded, for this reason.
    Refused(&'static str),
    /// The provider does not answer as it should.
    Failure(Failure),
}

impl Oidc {
    /// The providers that the configuration names.
    pub(crate) fn new(settings: &[config::OidcProvider]) -> Result<Self, SetupError> {
        Self::within(settings, DEADLINE)
    }

    fn within(settings: &[config::OidcProvider], deadline: Duration) -> Result<Self, SetupError> {
        let providers = settings
            .iter()
            .map(|settings| Provider::new(settings, deadline));
        Ok(Self {
            providers: providers.collect::<Result<_, _>>()?,
            pages: Vec::new(),
            pending: Mutex::default(),
        })
    }

    /// With pages of the appliance itself that browsers may come back to.
    pub(crate) fn with_pages(mut self, pages: impl IntoIterator<Item = String>) -> Self {
        self.pages.extend(pages);
        self
    }

    /// Whether the address is a page of the appliance that browsers may come back to.
    pub(crate) fn is_page(&self, address: &str) -> bool {
        self.pages.iter().any(|page| page == address)
    }

    /// The names of a domain's providers.
    pub(crate) fn names(&self, domain: &str) -> OidcProviders {
        let of_domain = self
            .providers
            .iter()
            .filter(|provider| provider.settings.domain == domain);
        let names = of_domain.map(|provider| OidcProvider {
            name: provider.settings.name.clone(),
        });
        OidcProviders {
            providers: names.collect(),
        }
    }

    /// Starts a sign-in; or, with an account, to link that account. It may ask the provider what it says of itself.
    pub(crate) fn start(
        &self,
        domain: &str,
        request: StartOidc,
        link: Option<AccountId>,
    ) -> Result<OidcStarted, Failure> {
        let place = self.providers.iter().position(|provider| {
            provider.settings.domain == domain && provider.settings.name == request.provider
        });
        let (place, provider) = place
            .and_then(|place| Some((place, self.providers.get(place)?)))
            .ok_or_else(|| {
                Failure::new(
                    Code::ProviderNotFound,
                    "The appliance knows no OpenID provider with this name.",
                )
            })?;
        if !passkey::is_public_key(&request.client_key.0) {
            return Err(Failure::new(
                Code::Invalid,
                "The client's ephemeral key is no X-Wing public key.",
            ));
        }
        if !self.is_page(&request.redirect_uri)
            && !may_come_back_to(&request.redirect_uri, &provider.settings.redirect_uris)
        {
            return Err(Failure::new(
                Code::Invalid,
                "The browser may come back to a loopback address of the client or to an address that the configuration names, and this is neither.",
            ));
        }
        let mut random = [0; oidc::RANDOM];
        fill_with_random(&mut random)?;
        let nonce = oidc::nonce(&random, &request.client_key.0);
        let asked = provider
            .authorization_url(&request.redirect_uri, &nonce, request.fresh)
            .map_err(|error| unavailable(&provider.settings.name, &error))?;
        let sign_in = SignInId::generate();
        let started = OidcStarted {
            sign_in,
            suite: passkey::SUITE.to_owned(),
            random: random.as_slice().into(),
            authorization_url: asked.url.into(),
            state: asked.state.secret().clone(),
            expires: SystemClock.now().plus_seconds(LIFETIME.as_secs()),
        };
        self.put(
            sign_in,
            Pending {
                provider: place,
                state: asked.state,
                nonce,
                verifier: asked.verifier,
                redirect_uri: request.redirect_uri,
                client_key: request.client_key.0,
                fresh: request.fresh,
                link,
                expires: Instant::now() + LIFETIME,
            },
        )?;
        Ok(started)
    }

    /// Redeems the code that the browser came back with. Each started sign-in is good for one try.
    pub(crate) fn finish(
        &self,
        domain: &str,
        request: &FinishOidc,
        link: Option<AccountId>,
    ) -> Result<Proved, Unproved> {
        let pending = self
            .pending()
            .remove(&request.sign_in)
            .filter(|pending| Instant::now() < pending.expires)
            .ok_or(Unproved::Refused("no such sign-in is under way"))?;
        // What was started to link an account opens no session, nor the other way round, nor for somebody else.
        if pending.link != link {
            return Err(Unproved::Refused("the sign-in is for something else"));
        }
        let state = pending.state.secret().as_bytes();
        if !bool::from(state.ct_eq(request.state.as_bytes())) {
            return Err(Unproved::Refused(
                "the state is not the one it was started with",
            ));
        }
        let provider = self
            .providers
            .get(pending.provider)
            .filter(|provider| provider.settings.domain == domain)
            .ok_or(Unproved::Refused("no such provider"))?;
        if request
            .issuer
            .as_ref()
            .is_some_and(|issuer| *issuer != provider.settings.issuer)
        {
            return Err(Unproved::Refused(
                "the browser came back from another provider",
            ));
        }
        let claimed = provider
            .redeem(
                &request.code,
                pending.verifier,
                &Sent {
                    redirect_uri: &pending.redirect_uri,
                    nonce: &pending.nonce,
                    fresh: pending.fresh,
                },
            )
            .map_err(|error| match error {
                ProviderError::Refused(reason) => Unproved::Refused(reason),
                error => Unproved::Failure(unavailable(&provider.settings.name, &error)),
            })?;
        Ok(Proved {
            client_key: pending.client_key,
            claimed,
            rules: provider.settings.rules(),
        })
    }

    fn put(&self, sign_in: SignInId, started: Pending) -> Result<(), Failure> {
        let mut pending = self.pending();
        if pending.len() >= MOST {
            let now = Instant::now();
            pending.retain(|_, pending| now < pending.expires);
        }
        if pending.len() >= MOST {
            return Err(Failure::new(
                Code::Unavailable,
                "Too many sign-ins are under way; try again later.",
            ));
        }
        pending.insert(sign_in, started);
        Ok(())
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<SignInId, Pending>> {
        // A panic while the map was held leaves a whole map behind.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the browser may be sent back there: to a loopback address (RFC 8252 section 7.3), or where the configuration says.
fn may_come_back_to(uri: &str, allowed: &[String]) -> bool {
    if allowed.iter().any(|allowed| allowed == uri) {
        return true;
    }
    let Ok(uri) = Url::parse(uri) else {
        return false;
    };
    let loopback = match uri.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // A name may be made to stand for something else.
        Some(Host::Domain(_)) | None => false,
    };
    let plain = uri.username().is_empty() && uri.password().is_none();
    uri.scheme() == "http" && loopback && plain && uri.query().is_none() && uri.fragment().is_none()
}

fn fill_with_random(bytes: &mut [u8]) -> Result<(), Failure> {
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(bytes)
        .map_err(|_| Failure::internal())
}

/// Why is for the log: it helps whoever sets a site up.
fn unavailable(provider: &str, error: &ProviderError) -> Failure {
    tracing::warn!(provider, %error, "the OpenID provider cannot be used");
    let mut problem = Problem::new(
        Code::ProviderUnavailable,
        "The OpenID provider cannot be reached or does not answer as it should; nothing was done. Try again later.",
    );
    problem.retry_after = Some(RETRY);
    problem.into()
}
