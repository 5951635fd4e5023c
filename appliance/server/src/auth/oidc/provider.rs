//! One provider: what it says of itself (OpenID Connect Discovery 1.0), redeeming a code, and verifying its ID token.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod,
    CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenClaims,
    IdTokenFields, IdTokenVerifier, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RequestTokenError, Scope, SignatureVerificationError, StandardErrorResponse,
    StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use strongroom_keystore::identities::Claimed;
use strongroom_keystore::{Clock as _, SystemClock};
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;
use zeroize::Zeroizing;

use super::LIFETIME;
use super::claims::{self, Extra};
use super::http::{Http, NoAnswer};
use crate::config;
use crate::https::FileError;

/// How many conversations there are with one provider at once: one that does not answer shall not take all threads.
const MOST_CONVERSATIONS: usize = 16;
/// How long what a provider says of itself is kept. A key that is not in it is asked for at once.
const KEPT: Duration = Duration::from_hours(1);
/// The most seconds by which the provider's clock may be ahead.
const CLOCK_AHEAD: u64 = 60;
/// The oldest ID token that is taken, in seconds: it has just been asked for.
const OLDEST_TOKEN: u64 = 600;

/// The algorithms that an ID token may be signed with: those of public keys alone.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

type TokenResponse = StandardTokenResponse<
    IdTokenFields<
        Extra,
        EmptyExtraTokenFields,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >,
    CoreTokenType,
>;

type Client = openidconnect::Client<
    Extra,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    TokenResponse,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

type Claims = IdTokenClaims<Extra, CoreGenderClaim>;

/// One provider.
pub(super) struct Provider {
    pub(super) settings: config::OidcProvider,
    issuer: IssuerUrl,
    secret: Option<ClientSecret>,
    http: Http,
    known: Mutex<Option<Known>>,
    conversations: Semaphore,
}

/// What a provider said of itself, and when.
struct Known {
    metadata: Arc<CoreProviderMetadata>,
    asked: Instant,
}

/// Where to send a browser, and what goes with it.
pub(super) struct Asked {
    pub(super) url: Url,
    pub(super) state: CsrfToken,
    pub(super) verifier: PkceCodeVerifier,
}

/// How a browser was sent to the provider.
pub(super) struct Sent<'a> {
    pub(super) redirect_uri: &'a str,
    pub(super) nonce: &'a str,
    /// Whether its user was to sign in anew.
    pub(super) fresh: bool,
}

/// Why a provider cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the OpenID provider {provider} cannot be used: {problem}")]
pub(crate) struct SetupError {
    provider: String,
    problem: SetupProblem,
}

#[derive(Debug, thiserror::Error)]
enum SetupProblem {
    #[error("client_secret_file {0} cannot be read: {1}")]
    Secret(PathBuf, io::Error),
    #[error("ca: {0}")]
    Authorities(#[from] FileError),
    #[error("its issuer is no URL")]
    Issuer,
}

/// What can go wrong with a provider.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProviderError {
    /// The sign-in is to be refused, for this reason.
    #[error("{0}")]
    Refused(&'static str),
    /// It cannot be reached.
    #[error("no answer: {0}")]
    NoAnswer(#[from] NoAnswer),
    /// What it says of itself cannot be used.
    #[error("what it says of itself cannot be used: {0}")]
    Metadata(String),
    /// It refuses to redeem codes, such as because it does not take the appliance for its client.
    #[error("it redeems no code (invalid_client: client_id and its secret are wrong): {0}")]
    Redeeming(String),
    /// Its answer to a code cannot be read.
    #[error("its answer to a code cannot be read")]
    Answer,
    /// It is slow, and enough requests wait for it already.
    #[error("{MOST_CONVERSATIONS} requests wait for it already")]
    Busy,
}

impl Provider {
    pub(super) fn new(
        settings: &config::OidcProvider,
        deadline: Duration,
    ) -> Result<Self, SetupError> {
        let failed = |problem| SetupError {
            provider: settings.name.clone(),
            problem,
        };
        let file = &settings.client_secret_file;
        let secret = if file.as_os_str().is_empty() {
            None
        } else {
            let text = fs::read_to_string(file)
                .map_err(|error| failed(SetupProblem::Secret(file.clone(), error)))?;
            let text = Zeroizing::new(text);
            Some(ClientSecret::new(text.trim().to_owned()))
        };
        Ok(Self {
            issuer: IssuerUrl::new(settings.issuer.clone())
                .map_err(|_| failed(SetupProblem::Issuer))?,
            secret,
            http: Http::new(&settings.ca, deadline).map_err(|error| failed(error.into()))?,
            settings: settings.clone(),
            known: Mutex::default(),
            conversations: Semaphore::new(MOST_CONVERSATIONS),
        })
    }

    /// Where to send a browser whose user is to sign in (OpenID Connect Core section 3.1.2.1).
    pub(super) fn authorization_url(
        &self,
        redirect_uri: &str,
        nonce: &str,
        fresh: bool,
    ) -> Result<Asked, ProviderError> {
        let _conversation = self.converse()?;
        let client = self.client(&*self.metadata()?, redirect_uri)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let nonce = nonce.to_owned();
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                move || Nonce::new(nonce),
            )
            .set_pkce_challenge(challenge);
        for scope in &self.settings.scopes {
            if scope != "openid" {
                request = request.add_scope(Scope::new(scope.clone()));
            }
        }
        if fresh {
            // The age makes the token say when it was. None at all would send some browsers round in circles.
            request = request
                .add_prompt(CoreAuthPrompt::Login)
                .set_max_age(LIFETIME);
        } else if self.settings.max_age > 0 {
            request = request.set_max_age(Duration::from_secs(self.settings.max_age.into()));
        }
        let (url, state, _) = request.url();
        Ok(Asked {
            url,
            state,
            verifier,
        })
    }

    /// Redeems a code and verifies the ID token that it is worth.
    pub(super) fn redeem(
        &self,
        code: &str,
        verifier: PkceCodeVerifier,
        sent: &Sent<'_>,
    ) -> Result<Claimed, ProviderError> {
        let redirect_uri = sent.redirect_uri;
        let _conversation = self.converse()?;
        let metadata = self.metadata()?;
        let client = self.client(&metadata, redirect_uri)?;
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|_| ProviderError::Metadata("it names no token endpoint".to_owned()))?
            .set_pkce_verifier(verifier)
            .request(&self.http)
            .map_err(not_redeemed)?;
        let token = answer
            .id_token()
            .ok_or(ProviderError::Refused("the provider answered no ID token"))?;
        let nonce = Nonce::new(sent.nonce.to_owned());
        let claims = match token.claims(&Self::verifier(&client), &nonce) {
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            )) => {
                // It may have begun to sign with another key.
                let client = self.client(&*self.ask()?, redirect_uri)?;
                token.claims(&Self::verifier(&client), &nonce)
            }
            outcome => outcome,
        };
        let claims = claims.map_err(|error| {
            // It names a value of the token at most, such as another audience.
            tracing::info!(provider = self.settings.name, %error, "an ID token was refused");
            ProviderError::Refused(why(&error))
        })?;
        self.check_further(claims, sent.fresh)?;
        claims::claimed(&self.settings, claims).map_err(ProviderError::Refused)
    }

    /// What the library leaves to its user: who the token is for, and how long ago its holder signed in (OpenID Connect Core section 3.1.3.7).
    fn check_further(&self, claims: &Claims, fresh: bool) -> Result<(), ProviderError> {
        let party = claims.authorized_party();
        if party.is_some_and(|party| **party != self.settings.client_id) {
            return Err(ProviderError::Refused("the ID token is for another party"));
        }
        let max_age = match u64::from(self.settings.max_age) {
            _ if fresh => LIFETIME.as_secs(),
            age => age,
        };
        if max_age > 0 {
            let oldest = now_seconds().saturating_sub(max_age + CLOCK_AHEAD);
            let signed_in = claims
                .auth_time()
                .and_then(|at| at.timestamp().try_into().ok());
            if signed_in.is_none_or(|at: u64| at < oldest) {
                return Err(ProviderError::Refused(
                    "the sign-in at the provider was too long ago",
                ));
            }
        }
        Ok(())
    }

    fn verifier(client: &Client) -> IdTokenVerifier<'_, CoreJsonWebKey> {
        client
            .id_token_verifier()
            .set_allowed_algs(ALGORITHMS)
            .set_issue_time_verifier_fn(|issued| {
                let now = now_seconds();
                let taken = now.saturating_sub(OLDEST_TOKEN)..=now + CLOCK_AHEAD;
                match u64::try_from(issued.timestamp()) {
                    Ok(issued) if taken.contains(&issued) => Ok(()),
                    _ => Err("the token is of another time".to_owned()),
                }
            })
    }

    fn client(
        &self,
        metadata: &CoreProviderMetadata,
        redirect_uri: &str,
    ) -> Result<Client, ProviderError> {
        let client_id = ClientId::new(self.settings.client_id.clone());
        let redirect_uri = RedirectUrl::new(redirect_uri.to_owned())
            .map_err(|_| ProviderError::Refused("the redirect URI is none"))?;
        // Basic is what there is where a provider says nothing (OpenID Connect Discovery section 3).
        let in_body = metadata
            .token_endpoint_auth_methods_supported()
            .is_some_and(|methods| {
                !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
                    && methods.contains(&CoreClientAuthMethod::ClientSecretPost)
            });
        let how = if in_body || self.secret.is_none() {
            AuthType::RequestBody
        } else {
            AuthType::BasicAuth
        };
        Ok(
            Client::from_provider_metadata(metadata.clone(), client_id, self.secret.clone())
                .set_redirect_uri(redirect_uri)
                .set_auth_type(how),
        )
    }

    /// What it says of itself, as it was said not long ago.
    fn metadata(&self) -> Result<Arc<CoreProviderMetadata>, ProviderError> {
        let known = self
            .known()
            .as_ref()
            .filter(|known| known.asked.elapsed() < KEPT)
            .map(|known| Arc::clone(&known.metadata));
        known.map_or_else(|| self.ask(), Ok)
    }

    /// Asks what it says of itself, its keys with it.
    fn ask(&self) -> Result<Arc<CoreProviderMetadata>, ProviderError> {
        let metadata = CoreProviderMetadata::discover(&self.issuer, &self.http).map_err(
            |error| match error {
                openidconnect::DiscoveryError::Request(error) => error.into(),
                error => ProviderError::Metadata(error.to_string()),
            },
        )?;
        for (what, url) in [
            (
                "authorization_endpoint",
                Some(metadata.authorization_endpoint().url()),
            ),
            (
                "token_endpoint",
                metadata.token_endpoint().map(TokenUrl::url),
            ),
        ] {
            if url.is_none_or(|url| url.scheme() != "https") {
                return Err(ProviderError::Metadata(format!("{what} is not of HTTPS")));
            }
        }
        let metadata = Arc::new(metadata);
        *self.known() = Some(Known {
            metadata: Arc::clone(&metadata),
            asked: Instant::now(),
        });
        Ok(metadata)
    }

    fn converse(&self) -> Result<SemaphorePermit<'_>, ProviderError> {
        self.conversations
            .try_acquire()
            .map_err(|_| ProviderError::Busy)
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        // A panic while it was held leaves a whole value behind.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a code that was not redeemed means.
fn not_redeemed(
    error: RequestTokenError<NoAnswer, StandardErrorResponse<CoreErrorResponseType>>,
) -> ProviderError {
    match error {
        RequestTokenError::ServerResponse(answer) => match answer.error() {
            CoreErrorResponseType::InvalidGrant => {
                ProviderError::Refused("the provider does not take the code")
            }
            // The kind alone: a description may say more than belongs in a log.
            kind => ProviderError::Redeeming(kind.to_string()),
        },
        RequestTokenError::Request(error) => error.into(),
        // The answer holds tokens, so that it is not shown.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => ProviderError::Answer,
    }
}

/// Why an ID token does not hold, for the leaf.
fn why(error: &ClaimsVerificationError) -> &'static str {
    match error {
        ClaimsVerificationError::Expired(_) => "the ID token has expired, or is of another time",
        ClaimsVerificationError::InvalidAudience(_) => "the ID token is for another client",
        ClaimsVerificationError::InvalidIssuer(_) => "the ID token is of another issuer",
        ClaimsVerificationError::InvalidNonce(_) => {
            "the ID token's nonce is not the one of the client's key"
        }
        ClaimsVerificationError::SignatureVerification(
            SignatureVerificationError::DisallowedAlg(_)
            | SignatureVerificationError::NoSignature
            | SignatureVerificationError::UnsupportedAlg(_),
        ) => "the ID token is signed in a way that is not taken",
        ClaimsVerificationError::SignatureVerification(_) => "the ID token's signature is wrong",
        _ => "the ID token does not hold",
    }
}

fn now_seconds() -> u64 {
    SystemClock.now().as_millis() / 1000
}
