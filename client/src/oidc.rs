//! Signing in at the enterprise's OpenID provider, and linking one's account with an identity there.
//!
//! This library talks to the appliance; whoever uses it sends their user's browser to the provider and says where it came back to.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let client = strongroom_client::Client::new("https://keys.example.com:8443", &strongroom_client::Roots::from_pem(b"")?)?;
//! # fn open_browser(_: &str) {}
//! # fn wait_for_browser() -> String { String::new() }
//! let waiting = client.begin_oidc_sign_in("corp", "http://127.0.0.1:49152/signed-in", false)?;
//! open_browser(waiting.authorization_url());
//! let session = waiting.finish(&wait_for_browser())?;
//! # Ok(())
//! # }
//! ```

use std::fmt;

use strongroom_session::oidc::{self, RANDOM};
use strongroom_session::passkey::{self, EphemeralKey, SealedTransportKey};
use strongroom_wire::account::Done;
use strongroom_wire::encoding::{Base64, Timestamp};
use strongroom_wire::oidc::{
    FinishOidc, Identities, IdentityName, OidcProviders, OidcSignedIn, OidcStarted, StartOidc,
};
use url::Url;

use crate::ClientError;
use crate::api::{Call, Client};
use crate::session::Session;

/// A sign-in at an OpenID provider that waits for the browser to come back.
///
/// ```no_run
/// # fn run(client: &strongroom_client::Client, came_back_to: &str) -> Result<(), strongroom_client::ClientError> {
/// let waiting = client.begin_oidc_sign_in("corp", "http://127.0.0.1:49152/signed-in", false)?;
/// println!("Open {} in a browser.", waiting.authorization_url());
/// let session = waiting.finish(came_back_to)?;
/// # Ok(())
/// # }
/// ```
pub struct OidcSignIn {
    client: Client,
    key: EphemeralKey,
    started: OidcStarted,
}

/// The linking of an account with an identity, which waits for the browser to come back.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session, came_back_to: &str) -> Result<(), strongroom_client::ClientError> {
/// let waiting = session.begin_identity_link("corp", "http://127.0.0.1:49152/linked")?;
/// println!("Open {} in a browser.", waiting.authorization_url());
/// waiting.finish(came_back_to)?;
/// # Ok(())
/// # }
/// ```
pub struct IdentityLink<'a> {
    session: &'a Session,
    started: OidcStarted,
}

impl Client {
    /// The OpenID providers at which one can sign in.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
    /// for provider in client.oidc_providers()?.providers {
    ///     println!("Sign in with {}", provider.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn oidc_providers(&self) -> Result<OidcProviders, ClientError> {
        self.call(&Call::get("/v1/oidc"), None)
    }

    /// Begins a sign-in at an OpenID provider. The browser comes back to `redirect_uri`: `http://127.0.0.1:PORT/PATH`, where the caller listens
    /// (RFC 8252 section 7.3). A `fresh` one makes the provider ask its user to sign in although they have done so already: for what needs a
    /// recent sign-in.
    ///
    /// The nonce of the ID token commits to a key that this end has made for this sign-in, to which the appliance seals the session's
    /// transport key: a proxy between the two ends can neither read what is released in the session nor put its own key in.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
    /// let waiting = client.begin_oidc_sign_in("corp", "http://127.0.0.1:49152/signed-in", false)?;
    /// println!("Open {} in a browser.", waiting.authorization_url());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] with [`Code::ProviderNotFound`](strongroom_wire::problem::Code::ProviderNotFound) or
    /// [`Code::ProviderUnavailable`](strongroom_wire::problem::Code::ProviderUnavailable). [`ClientError::UnexpectedAnswer`] when the nonce
    /// that came is not that of this end's key.
    pub fn begin_oidc_sign_in(
        &self,
        provider: &str,
        redirect_uri: &str,
        fresh: bool,
    ) -> Result<OidcSignIn, ClientError> {
        let key = EphemeralKey::generate();
        let request = StartOidc {
            fresh,
            ..start(provider, &key, redirect_uri)
        };
        let started = self.call(&Call::post("/v1/sessions/oidc/start").with(&request)?, None)?;
        self.check_nonce(&started, &key)?;
        Ok(OidcSignIn {
            client: self.clone(),
            key,
            started,
        })
    }

    /// Whether the provider will sign the nonce of this end's key.
    fn check_nonce(&self, started: &OidcStarted, key: &EphemeralKey) -> Result<(), ClientError> {
        if started.suite != passkey::SUITE {
            return Err(self.unexpected("a suite that this client does not know"));
        }
        let random = <&[u8; RANDOM]>::try_from(started.random.0.as_slice())
            .map_err(|_| self.unexpected("random bytes of another length"))?;
        let expected = oidc::nonce(random, key.public());
        let mut nonces = Vec::new();
        if let Ok(url) = Url::parse(&started.authorization_url)
            && url.scheme() == "https"
        {
            let all = url.query_pairs().filter(|(name, _)| name == "nonce");
            nonces.extend(all.map(|(_, nonce)| nonce.into_owned()));
        }
        if nonces != [expected] {
            return Err(self.unexpected("a nonce that is not that of this client's key"));
        }
        Ok(())
    }
}

impl OidcSignIn {
    /// Where to send the user's browser.
    ///
    /// ```no_run
    /// # fn run(waiting: &strongroom_client::oidc::OidcSignIn) -> Result<(), strongroom_client::ClientError> {
    /// println!("Open {} in a browser.", waiting.authorization_url());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn authorization_url(&self) -> &str {
        &self.started.authorization_url
    }

    /// The parameter `state` with which the browser comes back.
    ///
    /// ```no_run
    /// # fn run(waiting: &strongroom_client::oidc::OidcSignIn, came_back_to: &str) -> Result<(), strongroom_client::ClientError> {
    /// if !came_back_to.contains(waiting.state()) {
    ///     println!("That is another sign-in's answer.");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn state(&self) -> &str {
        &self.started.state
    }

    /// Until when the sign-in waits.
    ///
    /// ```no_run
    /// # fn run(waiting: &strongroom_client::oidc::OidcSignIn) -> Result<(), strongroom_client::ClientError> {
    /// println!("Sign in there before {}.", waiting.expires());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.started.expires
    }

    /// Opens the session. `came_back_to` is the address that the browser came back to, with its parameters.
    ///
    /// ```no_run
    /// # fn run(waiting: strongroom_client::oidc::OidcSignIn) -> Result<(), strongroom_client::ClientError> {
    /// let session = waiting.finish("http://127.0.0.1:49152/signed-in?code=x1y2&state=z3")?;
    /// println!("signed in as {}", session.account().name);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::ProviderRefused`] when the provider signed nobody in; [`ClientError::Refused`] with
    /// [`Code::SignInRefused`](strongroom_wire::problem::Code::SignInRefused) when no account goes with whoever it signed in.
    pub fn finish(self, came_back_to: &str) -> Result<Session, ClientError> {
        let request = finish(&self.started, came_back_to)?;
        let answer: OidcSignedIn = self.client.call(
            &Call::post("/v1/sessions/oidc/finish").with(&request)?,
            None,
        )?;
        let sealed = SealedTransportKey {
            encapsulated: answer.transport_key.encapsulated.0,
            ciphertext: answer.transport_key.ciphertext.0,
        };
        let session = answer.signed_in.session;
        let transport_key =
            oidc::open(&self.key, self.started.sign_in, session, &sealed).map_err(|_| {
                self.client
                    .unexpected("a transport key that was not sealed to this client")
            })?;
        self.client.session(answer.signed_in, transport_key)
    }
}

impl Session {
    /// The identities at OpenID providers that one's account is linked with.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// for identity in session.identities()?.identities {
    ///     println!("{} at {}", identity.subject, identity.issuer);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn identities(&self) -> Result<Identities, ClientError> {
        self.call(&Call::get("/v1/accounts/me/identities"))
    }

    /// Begins to link one's account with an identity, as [`Client::begin_oidc_sign_in`] begins a sign-in. Whoever signs in at the provider with
    /// that identity signs in to the account from then on.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let waiting = session.begin_identity_link("corp", "http://127.0.0.1:49152/linked")?;
    /// println!("Open {} in a browser.", waiting.authorization_url());
    /// # Ok(())
    /// # }
    /// ```
    pub fn begin_identity_link(
        &self,
        provider: &str,
        redirect_uri: &str,
    ) -> Result<IdentityLink<'_>, ClientError> {
        let key = EphemeralKey::generate();
        let request = start(provider, &key, redirect_uri);
        let call = Call::post("/v1/accounts/me/identities/start").with(&request)?;
        let started = self.call(&call)?;
        self.client().check_nonce(&started, &key)?;
        Ok(IdentityLink {
            session: self,
            started,
        })
    }

    /// Removes the link with the identity of this issuer.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// session.unlink_identity("https://login.example.com")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn unlink_identity(&self, issuer: &str) -> Result<Done, ClientError> {
        let name = IdentityName {
            issuer: issuer.to_owned(),
        };
        self.call(&Call::find("/v1/accounts/me/identities", &name).by_delete())
    }
}

impl IdentityLink<'_> {
    /// Where to send the user's browser.
    ///
    /// ```no_run
    /// # fn run(waiting: &strongroom_client::oidc::IdentityLink<'_>) -> Result<(), strongroom_client::ClientError> {
    /// println!("Open {} in a browser.", waiting.authorization_url());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn authorization_url(&self) -> &str {
        &self.started.authorization_url
    }

    /// The parameter `state` with which the browser comes back.
    ///
    /// ```no_run
    /// # fn run(waiting: &strongroom_client::oidc::IdentityLink<'_>, came_back_to: &str) -> Result<(), strongroom_client::ClientError> {
    /// if !came_back_to.contains(waiting.state()) {
    ///     println!("That is another sign-in's answer.");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn state(&self) -> &str {
        &self.started.state
    }

    /// Until when it waits.
    ///
    /// ```no_run
    /// # fn run(waiting: &strongroom_client::oidc::IdentityLink<'_>) -> Result<(), strongroom_client::ClientError> {
    /// println!("Sign in there before {}.", waiting.expires());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.started.expires
    }

    /// Links the account. `came_back_to` is the address that the browser came back to, with its parameters.
    ///
    /// ```no_run
    /// # fn run(waiting: strongroom_client::oidc::IdentityLink<'_>) -> Result<(), strongroom_client::ClientError> {
    /// waiting.finish("http://127.0.0.1:49152/linked?code=x1y2&state=z3")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`OidcSignIn::finish`]; [`Code::Conflict`](strongroom_wire::problem::Code::Conflict) when the identity is linked already.
    pub fn finish(self, came_back_to: &str) -> Result<Done, ClientError> {
        let request = finish(&self.started, came_back_to)?;
        self.session
            .call(&Call::post("/v1/accounts/me/identities/finish").with(&request)?)
    }
}

impl fmt::Debug for OidcSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OidcSignIn(hidden)")
    }
}

impl fmt::Debug for IdentityLink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityLink(hidden)")
    }
}

fn start(provider: &str, key: &EphemeralKey, redirect_uri: &str) -> StartOidc {
    StartOidc {
        provider: provider.to_owned(),
        client_key: Base64(key.public().to_vec()),
        redirect_uri: redirect_uri.to_owned(),
        fresh: false,
    }
}

/// What the address says that the browser came back to.
fn finish(started: &OidcStarted, came_back_to: &str) -> Result<FinishOidc, ClientError> {
    let refused = |why: &str| ClientError::ProviderRefused(why.to_owned());
    let url =
        Url::parse(came_back_to).map_err(|_| refused("the browser came back to no address"))?;
    let parameter = |name: &str| {
        let mut all = url.query_pairs().filter(|(key, _)| key == name);
        let value = all.next().map(|(_, value)| value.into_owned());
        value.filter(|_| all.next().is_none())
    };
    // What did not come with this sign-in's state is not an answer to it.
    if parameter("state").as_ref() != Some(&started.state) {
        return Err(refused("the browser came back from another sign-in"));
    }
    if let Some(error) = parameter("error") {
        let known: String = error
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
            .take(64)
            .collect();
        return Err(refused(&known));
    }
    Ok(FinishOidc {
        sign_in: started.sign_in,
        state: started.state.clone(),
        code: parameter("code").ok_or_else(|| refused("the browser came back without a code"))?,
        issuer: parameter("iss"),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_wire::id::SignInId;

    use super::*;
    use crate::Roots;

    fn started(url: &str, random: [u8; RANDOM]) -> OidcStarted {
        OidcStarted {
            sign_in: SignInId::generate(),
            suite: passkey::SUITE.to_owned(),
            random: random.as_slice().into(),
            authorization_url: url.to_owned(),
            state: "the-state".to_owned(),
            expires: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn a_nonce_of_another_key_is_noticed() {
        let ca = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let roots = Roots::from_pem(ca.cert.pem().as_bytes()).unwrap();
        let client = Client::new("https://localhost", &roots).unwrap();
        let (key, random) = (EphemeralKey::generate(), [3; RANDOM]);
        let nonce = oidc::nonce(&random, key.public());
        let good = started(
            &format!("https://login.example.com/?nonce={nonce}&a=b"),
            random,
        );
        client.check_nonce(&good, &key).unwrap();
        for bad in [
            started(
                &format!("https://login.example.com/?nonce={nonce}"),
                [4; RANDOM],
            ),
            started(
                &format!("https://login.example.com/?nonce={nonce}&nonce=x"),
                random,
            ),
            started(&format!("http://login.example.com/?nonce={nonce}"), random),
            started("https://login.example.com/", random),
        ] {
            let error = client.check_nonce(&bad, &key).unwrap_err();
            assert!(matches!(error, ClientError::UnexpectedAnswer { .. }));
        }
        let stranger = EphemeralKey::generate();
        client.check_nonce(&good, &stranger).unwrap_err();
    }

    #[test]
    fn what_the_browser_came_back_with_is_read_strictly() {
        let started = started("https://login.example.com/", [0; RANDOM]);
        let at = |query: &str| finish(&started, &format!("http://127.0.0.1:1/?{query}"));
        let good = at("state=the-state&code=a%20b&iss=https%3A%2F%2Flogin.example.com").unwrap();
        assert_eq!(good.code, "a b");
        assert_eq!(good.issuer.unwrap(), "https://login.example.com");
        for (query, said) in [
            ("state=other&code=c", "another sign-in"),
            ("code=c", "another sign-in"),
            ("state=the-state&state=the-state&code=c", "another sign-in"),
            ("state=the-state", "without a code"),
            ("state=the-state&code=1&code=2", "without a code"),
            ("state=the-state&error=access_denied%1B[2J", "access_denied"),
        ] {
            let error = at(query).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains('\u{1b}'), "{error}");
        }
    }
}
