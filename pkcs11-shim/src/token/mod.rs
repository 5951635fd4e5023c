//! [`Token`]: what the appliance offers to one account, as the session and object model asks for it.
//!
//! A call may take as long as a request takes, and may be made by many threads at once. The model holds no lock while it makes one. An
//! implementation tries again by itself what can be tried again, within a bounded time; creating calls carry a [`RequestId`], under which the
//! appliance makes one object however often the request arrives.

mod error;

use std::fmt;
use std::time::{Duration, SystemTime};

use cryptoki_sys::{CK_MECHANISM_TYPE, CK_ULONG};
use uuid::Uuid;
use zeroize::Zeroizing;

pub use error::{TokenError, TokenErrorKind};

use crate::mechanism::Mechanism;
use crate::object::Attributes;

/// What a call of the token gives, or why not.
pub type TokenResult<T> = Result<T, TokenError>;

/// Which object of the account: the appliance's identifier, and which part of a key pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// The appliance's identifier. The two halves of a key pair that the appliance made share it.
    pub uuid: Uuid,
    /// Which part.
    pub part: Part,
}

/// What an [`ObjectId`] stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// A secret key.
    Secret,
    /// The private half of a key pair.
    Private,
    /// The public half of a key pair, or a public key of its own.
    Public,
    /// A certificate or a data object.
    Object,
}

/// Names one request that makes something, however often it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub Uuid);

/// The state of all that the account sees. It is another one after any change, whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Change(pub u64);

/// An answer, and the state of the account's objects with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// The state of all that the account sees, as the answer was made.
    pub change: Change,
}

/// Where a key's operations are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// By the appliance: protection level `software`, and no right to have the material.
    Appliance,
    /// By the appliance's HSM: protection level `hsm`.
    Hsm,
    /// In this process: the account may have the material released.
    Process,
}

impl Place {
    /// As the vendor attribute and the log say it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Appliance => "appliance",
            Self::Hsm => "hsm",
            Self::Process => "process",
        }
    }
}

/// An object of the account.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectRecord {
    /// Which one.
    pub id: ObjectId,
    /// Every attribute but the material of private and secret keys. The appliance sets those that follow from the key's making, rights and
    /// usage policies: `CKA_LOCAL`, `CKA_NEVER_EXTRACTABLE`, `CKA_KEY_GEN_MECHANISM` and their like, and usage that a right does not allow is
    /// false.
    pub attributes: Attributes,
    /// Where its operations are done.
    pub place: Place,
}

/// What the token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// The name that applications choose it by; at most 32 bytes count.
    pub label: String,
    /// Who made it; at most 32 bytes count.
    pub manufacturer: String,
    /// At most 16 bytes count.
    pub model: String,
    /// At most 16 bytes count.
    pub serial: String,
    /// Major and minor version of what answers.
    pub firmware: (u8, u8),
    /// Whether a PIN has to be given before private objects are seen: not, where a client certificate signs the account in.
    pub login_required: bool,
    /// The shortest and the longest PIN, in bytes.
    pub pin_length: (CK_ULONG, CK_ULONG),
    /// The mechanisms that the domain's usage policies do not allow: they are not in the mechanism list.
    pub forbidden: Vec<CK_MECHANISM_TYPE>,
    /// The smallest RSA modulus that the domain's usage policies allow, in bits.
    pub smallest_rsa: CK_ULONG,
}

/// Who signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// The account itself.
    Account,
    /// The account once more, for one operation of a key that asks for it each time (`CKA_ALWAYS_AUTHENTICATE`).
    ForOperation,
}

/// A PIN: the account's secret. Overwritten when dropped, never shown.
pub struct Pin(pub Zeroizing<Vec<u8>>);

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin")
    }
}

/// Which objects to find: those that have all of these attributes.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// What they have. Answered from an index where it says `CKA_CLASS`, `CKA_ID`, `CKA_LABEL`, `CKA_KEY_TYPE` or a certificate's names.
    pub template: &'a Attributes,
    /// Whether private objects count: the account has signed in.
    pub private: bool,
    /// At most so many in one page.
    pub limit: usize,
    /// Goes on after this: what [`Page::next`] said.
    pub after: Option<&'a str>,
}

/// A page of objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The objects, whole: nothing more is asked for to read their attributes.
    pub objects: Vec<ObjectRecord>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// What an operation works on.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// All of the data.
    Data(&'a [u8]),
    /// The digest of the data, for a mechanism that begins with one.
    Digest(&'a [u8]),
    /// Whole blocks of longer data, of which more follow: no padding yet. For AES in the modes ECB, CBC and CTR; the mechanism's
    /// initialisation vector or counter is that of these blocks.
    Blocks(&'a [u8]),
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Makes a signature or a MAC.
    Sign,
    /// Makes a signature from which the data can be recovered.
    SignRecover,
    /// Encrypts.
    Encrypt,
    /// Decrypts.
    Decrypt,
}

/// A key's material, released for use in this process.
pub struct Released {
    /// The material: of a secret key its bytes.
    pub material: Zeroizing<Vec<u8>>,
    /// The moment at which it must be forgotten, if there is one.
    pub not_after: Option<SystemTime>,
    /// For how long it may be kept, by this process's own clock, if that is limited.
    pub keep_for: Option<Duration>,
    /// Whether it is for one use: a policy says what the appliance alone can judge, how often the key is released or from where.
    pub ask_again: bool,
}

impl fmt::Debug for Released {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Released")
            .field("not_after", &self.not_after)
            .field("keep_for", &self.keep_for)
            .field("ask_again", &self.ask_again)
            .finish_non_exhaustive()
    }
}

/// A shared secret that a key encapsulation made, as an object, and what goes to the other side.
#[derive(Debug, Clone, PartialEq)]
pub struct Encapsulated {
    /// The secret key.
    pub object: ObjectRecord,
    /// What the other side decapsulates.
    pub ciphertext: Vec<u8>,
}

/// What the appliance offers to one account.
pub trait Token: Send + Sync {
    /// What it is.
    fn info(&self) -> TokenResult<Answer<TokenInfo>>;

    /// Signs in. Without a PIN, by what the configuration says, such as a client certificate.
    fn login(&self, user: User, pin: Option<&Pin>) -> TokenResult<()>;

    /// Signs out.
    fn logout(&self) -> TokenResult<()>;

    /// Gives the account another PIN.
    fn set_pin(&self, old: &Pin, new: &Pin) -> TokenResult<()>;

    /// The state of all that the account sees: a small request.
    fn change(&self) -> TokenResult<Change>;

    /// A page of the objects that match: one request, answered from an index.
    fn find(&self, query: &Query<'_>) -> TokenResult<Answer<Page>>;

    /// One object.
    fn object(&self, id: ObjectId) -> TokenResult<Answer<ObjectRecord>>;

    /// Makes an object of these attributes, material among them. All attributes are kept.
    fn create(
        &self,
        request: RequestId,
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>>;

    /// Makes an object like another one but for these attributes.
    fn copy(
        &self,
        request: RequestId,
        id: ObjectId,
        changes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>>;

    /// Sets attributes of an object.
    fn set(&self, id: ObjectId, changes: &Attributes) -> TokenResult<Answer<ObjectRecord>>;

    /// Destroys an object.
    fn destroy(&self, id: ObjectId) -> TokenResult<Answer<()>>;

    /// Has a secret key made.
    fn generate_key(
        &self,
        request: RequestId,
        mechanism: &Mechanism,
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>>;

    /// Has a key pair made: the public half and the private one.
    fn generate_key_pair(
        &self,
        request: RequestId,
        mechanism: &Mechanism,
        public: &Attributes,
        private: &Attributes,
    ) -> TokenResult<Answer<(ObjectRecord, ObjectRecord)>>;

    /// Has a key sign, encrypt or decrypt.
    fn operate(
        &self,
        id: ObjectId,
        what: Use,
        mechanism: &Mechanism,
        input: Input<'_>,
    ) -> TokenResult<Answer<Zeroizing<Vec<u8>>>>;

    /// Has a secret key verify a MAC. Signatures of public keys are verified in this process.
    ///
    /// # Errors
    /// [`TokenErrorKind::SignatureInvalid`] when it is another's.
    fn verify(
        &self,
        id: ObjectId,
        mechanism: &Mechanism,
        data: &[u8],
        signature: &[u8],
    ) -> TokenResult<Answer<()>>;

    /// Has a key wrap another one.
    fn wrap(
        &self,
        wrapping: ObjectId,
        mechanism: &Mechanism,
        key: ObjectId,
    ) -> TokenResult<Answer<Zeroizing<Vec<u8>>>>;

    /// Has a key unwrap another one, which becomes an object with these attributes.
    fn unwrap(
        &self,
        request: RequestId,
        unwrapping: ObjectId,
        mechanism: &Mechanism,
        wrapped: &[u8],
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>>;

    /// Has a key derived from another one. It becomes an object with these attributes.
    fn derive(
        &self,
        request: RequestId,
        base: ObjectId,
        mechanism: &Mechanism,
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>>;

    /// Has a shared secret made and encapsulated to a public key. It becomes an object with these attributes.
    fn encapsulate(
        &self,
        request: RequestId,
        public: ObjectId,
        mechanism: &Mechanism,
        attributes: &Attributes,
    ) -> TokenResult<Answer<Encapsulated>>;

    /// Has a shared secret decapsulated. It becomes an object with these attributes.
    fn decapsulate(
        &self,
        request: RequestId,
        private: ObjectId,
        mechanism: &Mechanism,
        ciphertext: &[u8],
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>>;

    /// The secret that a key derives, decapsulates or unwraps, for a session object: it goes to this process and is kept nowhere else. Only
    /// where the key's rights and usage policies allow the outcome to leave the appliance.
    fn secret_of(
        &self,
        id: ObjectId,
        outcome: Outcome,
        mechanism: &Mechanism,
        data: &[u8],
    ) -> TokenResult<Answer<Zeroizing<Vec<u8>>>>;

    /// Releases a key's material: of a secret key, or of an extractable private key as PKCS #8.
    fn release(&self, id: ObjectId) -> TokenResult<Answer<Released>>;

    /// Ends every connection and every thread. Nothing is asked afterwards.
    fn close(&self);
}

/// What [`Token::secret_of`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What the key derives.
    Derived {
        /// How many bytes of it, where a function gives as many as are asked for.
        length: Option<usize>,
    },
    /// What the key decapsulates.
    Decapsulated,
    /// What the key unwraps.
    Unwrapped,
}
