//! `sign` and `verify`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde_json::json;
use strongroom_client::file::NewFile;
use strongroom_client::operations::{Hashing, Operate as _, PublicKey, Signing};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::Algorithm;
use strongroom_wire::operation::{Mechanism, SignatureEncoding};

use crate::Context;
use crate::failure::Failure;
use crate::keys::{here, identify};
use crate::objects::{Target, check_output, is_stream, open_input, shown, tell};
use crate::output::spelt;

/// The ending of a signature's name.
const ENDING: &str = ".sig";
/// The longest message that is signed whole, in bytes: what the appliance takes, with room for its encoding.
const LONGEST_WHOLE: u64 = 2 * 1024 * 1024;
/// The longest signature, in bytes: far above that of ML-DSA.
const LONGEST_SIGNATURE: u64 = 64 * 1024;

/// By which mechanism, and how the signature is written.
#[derive(Args, Debug)]
struct How {
    /// The mechanism [default: ecdsa with the hash function that goes with the curve, rsa-pkcs1-sha-256, ed25519, ml-dsa-65].
    #[arg(long, value_parser = PossibleValuesParser::new(signing()).try_map(|text| spelt::<Mechanism>(&text)))]
    mechanism: Option<Mechanism>,
    /// How an ECDSA signature is written: der as OpenSSL has it, fixed as PKCS #11 and JWS have it.
    #[arg(long, default_value = "der", value_parser = PossibleValuesParser::new(["der", "fixed"]).try_map(|text| spelt::<SignatureEncoding>(&text)))]
    encoding: SignatureEncoding,
}

/// `strongroom sign`.
#[derive(Args, Debug)]
pub(crate) struct Sign {
    /// The key.
    key: String,
    /// The file to sign, or - for standard input.
    file: PathBuf,
    /// Where to write the signature, or - for standard output [default: FILE.sig].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    how: How,
    /// Replace the output where it exists.
    #[arg(long)]
    force: bool,
}

/// `strongroom verify`.
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// The key.
    key: String,
    /// The file that was signed, or - for standard input.
    file: PathBuf,
    /// The signature [default: FILE.sig].
    #[arg(short, long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// The version of the key that signed [default: the newest].
    #[arg(long = "key-version", value_name = "NUMBER")]
    version: Option<u32>,
    #[command(flatten)]
    how: How,
}

/// The names of the mechanisms of signatures of messages.
fn signing() -> Vec<&'static str> {
    let of_messages = |mechanism: &&Mechanism| {
        matches!(mechanism, Mechanism::Ed25519 | Mechanism::MlDsa65)
            || Hashing::new(**mechanism).is_ok()
    };
    let all = Mechanism::ALL.iter().filter(of_messages);
    all.map(|mechanism| mechanism.as_str()).collect()
}

impl How {
    fn of(&self, algorithm: Algorithm) -> Result<Signing, Failure> {
        let mechanism = match self.mechanism {
            Some(mechanism) => mechanism,
            None => Signing::new(algorithm)?.mechanism,
        };
        Ok(Signing {
            mechanism,
            encoding: self.encoding,
        })
    }
}

/// What is signed: a digest, or the message itself.
enum Message {
    Digest(Vec<u8>),
    Whole(Vec<u8>),
}

impl Message {
    fn read(file: &Path, signing: Signing) -> Result<Self, Failure> {
        let (mut input, _) = open_input(file)?;
        let cannot_read = |error: &std::io::Error| {
            Failure::local(format!("{} cannot be read", file.display()), error)
        };
        if signing.takes_digest() {
            let mut hashing = Hashing::new(signing.mechanism)?;
            let mut part = vec![0; 64 * 1024];
            loop {
                match input.read(&mut part).map_err(|error| cannot_read(&error))? {
                    0 => return Ok(Self::Digest(hashing.finish())),
                    length => hashing.update(&part[..length]),
                }
            }
        }
        let mut whole = Vec::new();
        let length = input
            .take(LONGEST_WHOLE + 1)
            .read_to_end(&mut whole)
            .map_err(|error| cannot_read(&error))?;
        if length as u64 > LONGEST_WHOLE {
            return Err(Failure::Failed(format!(
                "{} signs messages whole, and this one is longer than {LONGEST_WHOLE} bytes: sign its digest instead",
                signing.mechanism
            )));
        }
        Ok(Self::Whole(whole))
    }
}

impl Sign {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let output = match self.output {
            Some(output) => output,
            None if is_stream(&self.file) => PathBuf::from("-"),
            None => with_ending(&self.file),
        };
        check_output(context, &output)?;
        let id = identify(&self.key)?;
        let session = context.session()?;
        let key = session.key(id).map_err(here)?;
        let signing = self.how.of(key.algorithm)?;
        let message = Message::read(&self.file, signing)?;
        let mut target = Target::new(&output, self.force, NewFile::shared)?;
        let signature = match &message {
            Message::Digest(digest) => session.sign_digest(id, signing, digest),
            Message::Whole(whole) => session.sign(id, signing, whole),
        };
        let signature = signature.map_err(here)?;
        std::io::Write::write_all(&mut target, &signature.bytes).map_err(|error| {
            Failure::local(format!("{} cannot be written", shown(&output)), &error)
        })?;
        target.complete(&output)?;
        let answer = json!({
            "key_id": id,
            "version": signature.version,
            "mechanism": signing.mechanism,
            "output": shown(&output),
            "leaf": signature.leaf,
        });
        tell(context, &output, &answer, || {
            format!(
                "{} is the signature by key {id}, version {}, with {}.",
                shown(&output),
                signature.version,
                signing.mechanism
            )
        })
    }
}

impl Verify {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let path = match self.signature {
            Some(path) => path,
            None if is_stream(&self.file) => {
                return Err(Failure::Usage(
                    "name the signature of standard input with --signature".to_owned(),
                ));
            }
            None => with_ending(&self.file),
        };
        let id: KeyId = identify(&self.key)?;
        let signature = read_signature(&path)?;
        let session = context.session()?;
        let public_key: PublicKey = session.public_key(id, self.version).map_err(here)?;
        let signing = self.how.of(public_key.algorithm)?;
        let valid = match Message::read(&self.file, signing)? {
            Message::Digest(digest) => public_key.verify_digest(signing, &digest, &signature),
            Message::Whole(whole) => public_key.verify(signing, &whole, &signature),
        }?;
        if !valid {
            return Err(Failure::Failed(format!(
                "{} is not the signature of {} by key {id}, version {}, with {}",
                shown(&path),
                shown(&self.file),
                public_key.version,
                signing.mechanism
            )));
        }
        let answer = json!({
            "key_id": id,
            "version": public_key.version,
            "mechanism": signing.mechanism,
            "valid": true,
        });
        context.output.answer(&answer, || {
            format!(
                "{} is the signature of {} by key {id}, version {}.",
                shown(&path),
                shown(&self.file),
                public_key.version
            )
        })
    }
}

fn read_signature(path: &Path) -> Result<Vec<u8>, Failure> {
    let cannot_read = |error: &std::io::Error| {
        Failure::local(format!("{} cannot be read", path.display()), error)
    };
    let mut signature = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(LONGEST_SIGNATURE).read_to_end(&mut signature))
        .map_err(|error| cannot_read(&error))?;
    Ok(signature)
}

fn with_ending(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ENDING);
    name.into()
}
