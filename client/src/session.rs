//! A session: who is signed in where, and the two secrets of it.

use std::fmt;
use std::io;

use serde::de::DeserializeOwned;
use strongroom_session::TransportKey;
use strongroom_wire::account::{Account, Done};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, SessionId};
use strongroom_wire::session::Sessions;
use zeroize::Zeroizing;

use crate::ClientError;
use crate::api::{Call, Client, TOKEN_LEN, Token};
use crate::held::HeldKeys;
use crate::requester::Requester;

/// An account signed in at an appliance. Made by [`Client::sign_in`].
///
/// What can be done in it stands where the subject is: [`crate::protection`], [`crate::keys`], [`crate::accounts`],
/// [`crate::audit`]. Dropping it forgets its secrets and does not end it at the appliance; [`Self::end`] does.
///
/// ```no_run
/// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::{Metadata, Protect};
///
/// let session = client.sign_in("alice@example.com", b"correct horse battery staple")?;
/// session.seal_message(b"at noon", &["bob@example.com"], &Metadata::new("meeting"))?;
/// session.end()?;
/// # Ok(())
/// # }
/// ```
pub struct Session {
    client: Client,
    id: SessionId,
    account: Account,
    expires: Timestamp,
    secrets: Secrets,
    held: HeldKeys,
}

impl Session {
    /// The session that was described and whose secrets were kept elsewhere in memory, such as by another process.
    /// Whether the appliance still knows it shows with the first request.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client, first: &strongroom_client::Session, kept: &[u8; strongroom_client::Secrets::LEN]) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::{Secrets, Session};
    ///
    /// let (id, account, expires) = (first.id(), first.account().clone(), first.expires());
    /// let session = Session::resume(client.clone(), id, account, expires, Secrets::from_bytes(kept));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn resume(
        client: Client,
        id: SessionId,
        account: Account,
        expires: Timestamp,
        secrets: Secrets,
    ) -> Self {
        Self {
            client,
            id,
            account,
            expires,
            secrets,
            held: HeldKeys::default(),
        }
    }

    /// The appliance.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// println!("signed in at {}", session.client().origin());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The session's identifier. No secret.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let own = session.id();
    /// let others = session.sessions()?.sessions.into_iter().filter(|other| other.id != own);
    /// println!("{} other sessions", others.count());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Who is signed in.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// println!("signed in as {}", session.account().name);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// When the session ends by itself.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// println!("signed in until {}", session.expires());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The session's secrets, to be handed to another process of the same person. They belong in memory alone.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, memory: &mut impl std::io::Write) -> Result<(), Box<dyn std::error::Error>> {
    /// memory.write_all(&*session.secrets().to_bytes())?; // a pipe to the other process, and never a file
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The caller's sessions that have not ended, the newest first.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// for other in session.sessions()?.sessions {
    ///     println!("from {}, last seen {}", other.last_source, other.last_seen);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn sessions(&self) -> Result<Sessions, ClientError> {
        self.call(&Call::get("/v1/sessions"))
    }

    /// Ends another session of the same account, such as one on a lost device.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, lost: strongroom_wire::id::SessionId) -> Result<(), strongroom_client::ClientError> {
    /// session.end_session(lost)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn end_session(&self, session: SessionId) -> Result<Done, ClientError> {
        self.call(&Call::delete(format!("/v1/sessions/{session}")))
    }

    /// Ends this session at the appliance: from now on its token opens nothing.
    ///
    /// ```no_run
    /// # fn run(session: strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let done = session.end()?;
    /// println!("ended; leaf {} of the audit log", done.leaf);
    /// # Ok(())
    /// # }
    /// ```
    pub fn end(self) -> Result<Done, ClientError> {
        self.call(&Call::delete("/v1/sessions/current"))
    }

    /// Makes a request whose answer comes in lines.
    pub(crate) fn lines(
        &self,
        call: &Call<'_>,
    ) -> Result<impl Iterator<Item = Result<Vec<u8>, ClientError>> + use<>, ClientError> {
        self.client.lines(call, &self.secrets.token)
    }

    /// Makes a request whose answer is no JSON.
    #[cfg(feature = "disclosure")]
    pub(crate) fn bytes(&self, call: &Call<'_>) -> Result<Vec<u8>, ClientError> {
        self.client.bytes(call, &self.secrets.token)
    }

    /// Makes a request whose answer comes for as long as it takes.
    pub(crate) fn stream(&self, call: &Call<'_>) -> Result<impl io::Read + use<>, ClientError> {
        self.client.stream(call, &self.secrets.token)
    }

    pub(crate) fn transport_key(&self) -> &TransportKey {
        &self.secrets.transport_key
    }

    pub(crate) fn call<A: DeserializeOwned>(&self, call: &Call<'_>) -> Result<A, ClientError> {
        self.client.call(call, Some(&self.secrets.token))
    }
}

impl Requester for Session {
    fn client(&self) -> &Client {
        &self.client
    }

    fn account_id(&self) -> AccountId {
        self.account.id
    }

    fn held(&self) -> &HeldKeys {
        &self.held
    }

    fn import_key(&self) -> TransportKey {
        self.secrets.transport_key.clone()
    }

    fn request<A: DeserializeOwned>(
        &self,
        call: &Call<'_>,
    ) -> Result<(A, TransportKey), ClientError> {
        Ok((self.call(call)?, self.secrets.transport_key.clone()))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("client", &self.client)
            .field("id", &self.id)
            .field("account", &self.account.name)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// The two secrets of a session: its token and its transport key. Zeroised when dropped.
///
/// ```
/// use strongroom_client::Secrets;
///
/// let secrets = Secrets::from_bytes(&[7; Secrets::LEN]);
/// assert_eq!(*secrets.to_bytes(), [7; Secrets::LEN]);
/// assert_eq!(format!("{secrets:?}"), "Secrets(hidden)");
/// ```
pub struct Secrets {
    token: Token,
    transport_key: TransportKey,
}

impl Secrets {
    /// The length of [`Self::to_bytes`]: token and transport key.
    ///
    /// ```
    /// use strongroom_client::Secrets;
    ///
    /// let mut received = [0; Secrets::LEN]; // what the other process reads into
    /// ```
    pub const LEN: usize = TOKEN_LEN + 32;

    pub(crate) fn new(token: &[u8], transport_key: TransportKey) -> Option<Self> {
        let mut copy = Zeroizing::new([0; TOKEN_LEN]);
        if token.len() != TOKEN_LEN {
            return None;
        }
        copy.copy_from_slice(token);
        Some(Self {
            token: Token::from_bytes(copy),
            transport_key,
        })
    }

    #[cfg(test)]
    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    /// The secrets that [`Self::to_bytes`] gave.
    ///
    /// ```
    /// use strongroom_client::Secrets;
    ///
    /// # let received = [7; Secrets::LEN];
    /// let secrets = Secrets::from_bytes(&received);
    /// assert_eq!(*secrets.to_bytes(), received);
    /// ```
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let (token_bytes, key_bytes) = bytes.split_at(TOKEN_LEN);
        let mut token = Zeroizing::new([0; TOKEN_LEN]);
        token.copy_from_slice(token_bytes);
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(key_bytes);
        Self {
            token: Token::from_bytes(token),
            transport_key: TransportKey::from_bytes(*key),
        }
    }

    /// The token, then the transport key.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let bytes = session.secrets().to_bytes(); // overwritten when dropped
    /// assert_eq!(bytes.len(), strongroom_client::Secrets::LEN);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; Self::LEN]> {
        let mut bytes = Zeroizing::new([0; Self::LEN]);
        let (token, key) = bytes.split_at_mut(TOKEN_LEN);
        token.copy_from_slice(self.token.as_bytes());
        key.copy_from_slice(self.transport_key.as_bytes());
        bytes
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(hidden)")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_wire::account::{AccountKind, AccountState};
    use strongroom_wire::id::AccountId;

    use crate::api::Roots;

    use super::*;

    /// A session of alice at this appliance.
    pub(crate) fn session_at(client: Client) -> Session {
        Session::resume(
            client,
            SessionId::generate(),
            Account {
                id: AccountId::generate(),
                name: "alice@example.com".to_owned(),
                kind: AccountKind::Person,
                state: AccountState::Active,
                roles: Vec::new(),
                created: "2026-11-27T18:00:00Z".parse().unwrap(),
            },
            "2026-11-28T18:00:00Z".parse().unwrap(),
            Secrets::new(&[1; 32], TransportKey::from_bytes([2; 32])).unwrap(),
        )
    }

    /// A session at an appliance that is never asked.
    pub(crate) fn session() -> Session {
        let certificate = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
        let roots = Roots::from_pem(certificate.cert.pem().as_bytes()).unwrap();
        session_at(Client::new("https://keys.example.com:8443", &roots).unwrap())
    }

    #[test]
    fn secrets_survive_their_bytes_and_hide_in_debug() {
        let secrets = Secrets::new(&[0xfb; 32], TransportKey::from_bytes([9; 32])).unwrap();
        let again = Secrets::from_bytes(&secrets.to_bytes());
        assert_eq!(*again.to_bytes(), *secrets.to_bytes());
        assert_eq!(again.to_bytes()[..32], [0xfb; 32]);
        assert_eq!(again.to_bytes()[32..], [9; 32]);
        assert_eq!(format!("{secrets:?}"), "Secrets(hidden)");
        assert!(Secrets::new(&[1; 31], TransportKey::from_bytes([9; 32])).is_none());
    }

    #[test]
    fn a_session_shows_no_secret() {
        let shown = format!("{:?}", session());
        assert!(shown.contains("alice@example.com"), "{shown}");
        assert!(
            !shown.contains("1, 1") && !shown.contains("2, 2") && !shown.contains("AQEB"),
            "{shown}"
        );
    }

    #[test]
    fn the_token_stands_in_base64url_in_the_header() {
        let secrets = Secrets::new(&[0xff; 32], TransportKey::from_bytes([0; 32])).unwrap();
        let header = secrets.token.header();
        assert_eq!(*header, format!("Bearer {}8", "_".repeat(42)));
    }
}
