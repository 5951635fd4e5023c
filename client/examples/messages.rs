//! Seals messages for somebody, and opens what others sealed.
//!
//! ```console
//! $ export STRONGROOM_SERVER=https://keys.example.com:8443 STRONGROOM_CA=ca.pem
//! $ export STRONGROOM_ACCOUNT=alice@example.com STRONGROOM_PASSWORD_FILE=password
//! $ cargo run --example messages -- bob@example.com "at noon" > message
//! $ cargo run --example messages < message        # as bob
//! $ cargo run --example messages -- --readings    # a hundred at once, to oneself
//! ```

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::{env, fs, io};

use strongroom_client::message::Outgoing;
use strongroom_client::{Client, ClientError, ErrorKind, Metadata, Protect as _, Roots, Session};

fn main() -> Result<(), Box<dyn Error>> {
    let session = sign_in()?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--readings"] => {
            let readings = readings(&session, &session)?;
            writeln!(io::stdout(), "{}", readings.join("\n"))?;
        }
        [recipient, text] => io::stdout().write_all(&seal(&session, recipient, text)?)?,
        _ => {
            let mut envelope = Vec::new();
            io::stdin().read_to_end(&mut envelope)?;
            writeln!(io::stdout(), "{}", open(&session, &envelope))?;
        }
    }
    Ok(())
}

fn sign_in() -> Result<Session, Box<dyn Error>> {
    let roots = Roots::from_pem(&fs::read(env::var("STRONGROOM_CA")?)?)?;
    let client = Client::new(&env::var("STRONGROOM_SERVER")?, &roots)?;
    let password = fs::read_to_string(env::var("STRONGROOM_PASSWORD_FILE")?)?;
    Ok(client.sign_in(
        &env::var("STRONGROOM_ACCOUNT")?,
        password.trim_end().as_bytes(),
    )?)
}

/// Seals a text for one recipient: this is all it takes.
pub(crate) fn seal(session: &Session, recipient: &str, text: &str) -> Result<Vec<u8>, ClientError> {
    let metadata = Metadata::new("a note").of_type("text/plain");
    Ok(session
        .seal_message(text.as_bytes(), &[recipient], &metadata)?
        .bytes)
}

/// Opens an envelope, or says what to do about it.
pub(crate) fn open(session: &Session, envelope: &[u8]) -> String {
    match session.open_message(envelope) {
        Ok(message) => String::from_utf8_lossy(&message.plaintext).into_owned(),
        Err(error) => match error.kind() {
            ErrorKind::NotSignedIn => "Sign in again.".to_owned(),
            ErrorKind::Revoked => "The sender took it back.".to_owned(),
            ErrorKind::Destroyed => "Nobody can open it any more.".to_owned(),
            ErrorKind::NotFound | ErrorKind::NotPermitted => "It is for somebody else.".to_owned(),
            ErrorKind::RefusedByPolicy => "Not now, or not from here.".to_owned(),
            ErrorKind::Altered | ErrorKind::Truncated | ErrorKind::NotReadable => {
                "It is damaged: ask for it again.".to_owned()
            }
            ErrorKind::Unreachable => "The appliance is away: try again later.".to_owned(),
            _ => error.to_string(),
        },
    }
}

/// Seals a hundred readings in one request, and opens them in one.
pub(crate) fn readings(sensor: &Session, gateway: &Session) -> Result<Vec<String>, ClientError> {
    let texts: Vec<String> = (0..100).map(|number| format!("{number} W")).collect();
    let metadata = Metadata::new("meter reading").of_type("text/plain");
    let recipients = [gateway.account().name.as_str()];
    let outgoing: Vec<_> = texts
        .iter()
        .map(|text| Outgoing {
            plaintext: text.as_bytes(),
            recipients: &recipients,
            metadata: &metadata,
        })
        .collect();
    let sealed = sensor.seal_messages(&outgoing)?;

    let envelopes: Vec<_> = sealed.into_iter().map(|message| message.bytes).collect();
    let opened = gateway.open_messages(&envelopes)?;
    opened
        .into_iter()
        .map(|message| Ok(String::from_utf8_lossy(&message?.plaintext).into_owned()))
        .collect()
}
