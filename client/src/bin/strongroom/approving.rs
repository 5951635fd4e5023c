//! Signing an approval: with a key in a file or in a PKCS #11 token, or elsewhere (`openssl`, a browser with a passkey), in two steps.

mod token;

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use clap::Args;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use strongroom_client::Session;
use strongroom_client::approvals::{PublicKey, Statement, signed_by_key, signed_by_passkey};
use strongroom_client::file::NewFile;
use strongroom_wire::approval::{ApprovalKey, Decide};
use strongroom_wire::credential::PasskeyAssertion;
use strongroom_wire::encoding::{Base64, Timestamp};
use strongroom_wire::id::ApprovalKeyId;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::moment;
use crate::output::complain;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 * 1024;

/// What a decision is signed with.
#[derive(Args, Debug)]
pub(crate) struct Signing {
    #[command(flatten)]
    key: KeyArguments,
    /// Write what is to be signed to this file, and sign nothing: with an approval key by openssl, or with a passkey.
    #[arg(long, value_name = "FILE", group = "signer")]
    to_sign: Option<PathBuf>,
    /// With --to-sign: the approval key that will sign, by its identifier or name.
    #[arg(long, value_name = "KEY", requires = "to_sign")]
    by: Option<String>,
    /// With --to-sign: a passkey will sign.
    #[arg(long, requires = "to_sign", conflicts_with = "by")]
    passkey: bool,
    /// What was written by --to-sign and has been signed.
    #[arg(long, value_name = "FILE", group = "signer")]
    signed: Option<PathBuf>,
    /// With --signed: the file with the signature that openssl wrote.
    #[arg(long, value_name = "FILE", requires = "signed")]
    signature: Option<PathBuf>,
    /// With --signed: the file with the passkey's assertion, in JSON.
    #[arg(
        long,
        value_name = "FILE",
        requires = "signed",
        conflicts_with = "signature"
    )]
    assertion: Option<PathBuf>,
    /// For how long the decision counts towards a quorum that is not reached yet, such as 12h or 7d.
    #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = moment::span)]
    valid_for: u32,
}

/// A private key that is at hand.
#[derive(Args, Debug)]
pub(crate) struct KeyArguments {
    /// The private key, in PEM (PKCS #8): Ed25519 or P-256.
    #[arg(long, value_name = "FILE", group = "signer")]
    key: Option<PathBuf>,
    /// The PKCS #11 module of the token that holds the private key.
    #[arg(long, value_name = "MODULE", group = "signer", requires = "label")]
    pkcs11: Option<PathBuf>,
    /// The token, by its label; the only one of the module unless it is said.
    #[arg(long, value_name = "LABEL", requires = "pkcs11")]
    token: Option<String>,
    /// The key pair in the token, by its label.
    #[arg(long, value_name = "LABEL", requires = "pkcs11")]
    label: Option<String>,
    /// A file whose first line is the token's PIN, or - for standard input; asked for where it is not given.
    #[arg(long, value_name = "FILE", requires = "pkcs11")]
    pin_file: Option<PathBuf>,
}

/// Makes a signature.
type Sign = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, Failure>>;

/// A key that signs here.
pub(crate) struct Signer {
    pub(crate) public: PublicKey,
    sign: Sign,
}

/// What `--to-sign` writes beside what is signed itself, so that the second step needs nothing else.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToSign {
    /// The statement.
    statement: Base64,
    /// The approval key that signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<ApprovalKeyId>,
    /// For a passkey: the challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    challenge: Option<Base64>,
    /// For a passkey: the relying party.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rp_id: Option<String>,
    /// For a passkey: those that may sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow: Option<Vec<Base64>>,
}

/// Where signing led.
pub(crate) enum Signed {
    /// The decision can be handed in.
    Decision(Box<Decide>),
    /// It is written down and to be signed elsewhere.
    Written(PathBuf),
}

impl KeyArguments {
    /// The key, if one is at hand.
    pub(crate) fn signer(&self) -> Result<Option<Signer>, Failure> {
        if let Some(file) = &self.key {
            return of_file(file).map(Some);
        }
        let (Some(module), Some(label)) = (&self.pkcs11, &self.label) else {
            return Ok(None);
        };
        let token = self.token.as_deref();
        token::signer(module, token, label, self.pin_file.as_deref()).map(Some)
    }
}

impl Signing {
    /// Until when what is signed now counts.
    pub(crate) fn valid_until(&self) -> Timestamp {
        moment::now().plus_seconds(self.valid_for.into())
    }

    /// Whether the statement was made before, and what was signed is handed in now.
    pub(crate) fn is_second_step(&self) -> bool {
        self.signed.is_some()
    }

    /// Signs a statement, or writes it down to be signed elsewhere.
    pub(crate) fn sign(&self, session: &Session, statement: &Statement) -> Result<Signed, Failure> {
        if let Some(signer) = self.key.signer()? {
            let own = own_key(session, &signer.public)?;
            let message = signer.public.signing_input(&statement.to_bytes());
            let signature = (signer.sign)(&message)?;
            let decide = signed_by_key(statement, own.id, &signer.public, &signature)?;
            return Ok(Signed::Decision(Box::new(decide)));
        }
        if let Some(file) = &self.to_sign {
            self.write(session, statement, file)?;
            return Ok(Signed::Written(file.clone()));
        }
        Err(Failure::Usage(
            "say what signs: --key, --pkcs11, or --to-sign and then --signed".to_owned(),
        ))
    }

    /// The decision that was written down before and signed elsewhere.
    pub(crate) fn read(&self, session: &Session) -> Result<(Statement, Decide), Failure> {
        let file = self.signed.clone().unwrap_or_default();
        let unreadable = || {
            Failure::Usage(format!(
                "{} is not what --to-sign wrote",
                beside(&file).display()
            ))
        };
        let written: ToSign =
            serde_json::from_slice(&read(&beside(&file))?).map_err(|_| unreadable())?;
        let statement = Statement::from_bytes(&written.statement.0).map_err(|_| unreadable())?;
        if let Some(assertion) = &self.assertion {
            let assertion: PasskeyAssertion = serde_json::from_slice(&read(assertion)?)
                .map_err(|_| Failure::Usage("the assertion is not one in JSON".to_owned()))?;
            let decide = signed_by_passkey(&statement, assertion);
            return Ok((statement, decide));
        }
        let Some(signature) = &self.signature else {
            return Err(Failure::Usage(
                "say where the signature is: --signature or --assertion".to_owned(),
            ));
        };
        let id = written.key.ok_or_else(unreadable)?;
        let keys = session.approval_credentials()?.keys;
        let key = keys.into_iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| {
            Failure::Failed("the approval key that was to sign is gone".to_owned())
        })?;
        let public = public_of(&key)?;
        let decide = signed_by_key(&statement, id, &public, &read(signature)?)?;
        Ok((statement, decide))
    }

    fn write(&self, session: &Session, statement: &Statement, file: &Path) -> Result<(), Failure> {
        let credentials = session.approval_credentials()?;
        let mut written = ToSign {
            statement: statement.to_bytes().into(),
            key: None,
            challenge: None,
            rp_id: None,
            allow: None,
        };
        let challenge = statement.challenge();
        let message = if self.passkey {
            written.challenge = Some(challenge.as_slice().into());
            written.rp_id = Some(credentials.rp_id);
            written.allow = Some(credentials.passkeys);
            challenge.to_vec()
        } else {
            let key = choose(&credentials.keys, self.by.as_deref())?;
            written.key = Some(key.id);
            public_of(key)?.signing_input(&statement.to_bytes())
        };
        let json = serde_json::to_vec_pretty(&written)
            .map_err(|_| Failure::Failed("what is to be signed cannot be written".to_owned()))?;
        put(file, &message)?;
        put(&beside(file), &json)
    }
}

impl Signed {
    /// What to do with what was written down.
    pub(crate) fn next_step(file: &Path) -> String {
        let shown = file.display();
        format!(
            "Sign {shown} with the key: openssl pkeyutl -sign -rawin -inkey KEY -in {shown} -out SIGNATURE for Ed25519, openssl dgst -sha256 -sign KEY -out \
             SIGNATURE {shown} for P-256; or have a passkey sign the challenge in {}. Then hand it in: the same command with --signed {shown} --signature \
             SIGNATURE, or --assertion ASSERTION.",
            beside(file).display()
        )
    }
}

impl Signer {
    /// Signs a statement's signing input.
    pub(crate) fn sign(&self, statement: &Statement) -> Result<Vec<u8>, Failure> {
        (self.sign)(&self.public.signing_input(&statement.to_bytes()))
    }
}

/// The caller's approval key with this public key.
fn own_key(session: &Session, public: &PublicKey) -> Result<ApprovalKey, Failure> {
    let keys = session.approval_credentials()?.keys;
    keys.into_iter()
        .find(|key| key.public_key.0 == public.spki())
        .ok_or_else(|| {
            Failure::Failed(
                "this key is no approval key of this account: add it with strongroom approval-keys add"
                    .to_owned(),
            )
        })
}

fn choose<'a>(keys: &'a [ApprovalKey], by: Option<&str>) -> Result<&'a ApprovalKey, Failure> {
    let wanted: Vec<_> = keys
        .iter()
        .filter(|key| by.is_none_or(|by| key.name == by || key.id.to_string() == by))
        .collect();
    match wanted.as_slice() {
        [key] => Ok(key),
        [] => Err(Failure::Usage(
            "there is no such approval key: see strongroom approval-keys list".to_owned(),
        )),
        _ => Err(Failure::Usage(
            "there are several approval keys: say which with --by".to_owned(),
        )),
    }
}

pub(crate) fn public_of(key: &ApprovalKey) -> Result<PublicKey, Failure> {
    PublicKey::from_spki(&key.public_key.0).map_err(|error| Failure::Failed(error.to_string()))
}

/// The key in a PEM file.
fn of_file(file: &Path) -> Result<Signer, Failure> {
    let unusable = || {
        Failure::Usage(format!(
            "{} has no Ed25519 or P-256 private key in PEM (PKCS #8)",
            file.display()
        ))
    };
    let pem = Zeroizing::new(read(file)?);
    let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|_| unusable())?;
    let der = der.secret_pkcs8_der();
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
        let public = spki(&ED25519, pair.public_key().as_ref())?;
        return Ok(Signer {
            public,
            sign: Box::new(move |message| Ok(pair.sign(message).as_ref().to_vec())),
        });
    }
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| unusable())?;
    let public = spki(&P256, pair.public_key().as_ref())?;
    Ok(Signer {
        public,
        sign: Box::new(move |message| {
            let signature = pair.sign(&SystemRandom::new(), message);
            signature
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| Failure::Failed("the key does not sign".to_owned()))
        }),
    })
}

/// `SubjectPublicKeyInfo` before an Ed25519 key (RFC 8410 section 4).
const ED25519: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// `SubjectPublicKeyInfo` before an uncompressed point of P-256 (RFC 5480 section 2).
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

fn spki(prefix: &[u8], key: &[u8]) -> Result<PublicKey, Failure> {
    PublicKey::from_spki(&[prefix, key].concat())
        .map_err(|error| Failure::Failed(error.to_string()))
}

/// The file beside the one that is signed.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".json");
    name.into()
}

pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::local(format!("{} cannot be read", file.display()), &error);
    let length = fs::metadata(file).map_err(failed)?.len();
    if length > LARGEST {
        return Err(Failure::Usage(format!("{} is too large", file.display())));
    }
    fs::read(file).map_err(failed)
}

pub(crate) fn put(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write as _;
    let failed = |error| Failure::local(format!("{} cannot be written", file.display()), &error);
    let mut output = NewFile::shared(file, false).map_err(failed)?;
    output.write_all(bytes).map_err(failed)?;
    output.complete().map(drop).map_err(failed)
}

/// Says what is about to be signed, where somebody is there to read it.
pub(crate) fn show(json: bool, text: &str) {
    if !json {
        complain(text.trim_end());
    }
}
