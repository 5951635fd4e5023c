//! The guide ([README](../README.md)) as a program: what it shows stands here word for word, and the tests run it.
//!
//! ```console
//! $ guide http://127.0.0.1:8080/film.mp4.sealed
//! ```
//!
//! It runs where `ca.pem` and `film.mp4` are, reads the middle of the film from that address, and finds the appliance under the name that the guide gives it:
//! where that is no name of an appliance, a proxy that `HTTPS_PROXY` names leads there. Messages that something came of are printed.

#![expect(clippy::print_stdout, reason = "as the guide shows it")]

use std::env;
use std::error::Error;

use strongroom_client::{Client, ClientError, Roots, Session};

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args()
        .nth(1)
        .ok_or("the address of film.mp4.sealed is needed")?;
    let (session, roots) = sign_in()?;
    let bob = sign_in_as_bob(&roots)?;

    let envelope = message(&session)?;
    when_something_goes_wrong(&bob, &envelope);
    when_something_goes_wrong(&bob, &envelope[..40]);
    objects(&session, &roots, &url)?;
    keys_of_ones_own(&session)?;
    keys_that_stay(&session)?;
    mail(
        &session,
        b"From: alice@example.com\nTo: bob@example.com\nSubject: lunch\n\nAt one?\n",
        |to, bytes| println!("{} bytes of mail for {}", bytes.len(), to.join(", ")),
    )?;
    session.end()?;
    Ok(())
}

fn sign_in() -> Result<(Session, Roots), Box<dyn Error>> {
    use strongroom_client::{Client, Roots};

    let roots = Roots::from_pem(&std::fs::read("ca.pem")?)?; // who vouches for the appliance
    let client = Client::new("https://keys.example.com:8443", &roots)?
        .or_at("https://keys-2.example.com:8443")?; // further addresses, tried in turn
    let session = client.sign_in("alice@example.com", b"correct horse battery staple")?;
    Ok((session, roots))
}

fn sign_in_as_bob(roots: &Roots) -> Result<Session, ClientError> {
    let client = Client::new("https://keys.example.com:8443", roots)?;
    client.sign_in("bob@example.com", b"correct horse battery staple")
}

fn message(session: &Session) -> Result<Vec<u8>, ClientError> {
    use strongroom_client::{Metadata, Protect};

    let sealed =
        session.seal_message(b"at noon", &["bob@example.com"], &Metadata::new("meeting"))?;
    let opened = session.open_message(&sealed.bytes)?; // as bob, in his session
    assert_eq!(*opened.plaintext, b"at noon");
    Ok(sealed.bytes)
}

fn objects(session: &Session, roots: &Roots, url: &str) -> Result<(), Box<dyn Error>> {
    use std::io::{Read, Seek, SeekFrom, Write};
    use std::path::Path;
    use strongroom_client::object::HttpRange;
    use strongroom_client::{Protect, Protection};

    // Files. The new file appears when it is complete.
    let film = Path::new("film.mp4");
    let protection = Protection::of_file(film).to("bob@example.com");
    session.protect_file(film, Path::new("film.mp4.sealed"), &protection)?;
    session.open_file(Path::new("film.mp4.sealed"), Path::new("again.mp4"))?;

    // Anything that can be written to, as it is written.
    let file = std::fs::File::create("log.sealed")?;
    let mut log = session.writer(&Protection::default(), file)?;
    writeln!(log, "started")?;
    log.finish()?; // without this it is truncated, and readers say so

    // The middle of an object in somebody's cloud storage: only the chunks that are needed are fetched.
    let stored = HttpRange::new(url, roots)?; // such as https://storage.example/film.mp4.sealed
    let mut film = session.open_at(stored)?;
    film.seek(SeekFrom::Start(1_000_000))?;
    let mut scene = vec![0; 65536];
    film.read_exact(&mut scene)?;

    std::fs::write("scene", scene)?;
    Ok(())
}

fn keys_of_ones_own(session: &Session) -> Result<(), ClientError> {
    use strongroom_client::Protect;
    use strongroom_wire::key::{Algorithm, KeyQuery, NewKey};

    let new = NewKey {
        label: "payroll".to_owned(),
        recipients: vec!["bob@example.com".to_owned()],
        ..NewKey::new(Algorithm::Aes256)
    };
    let (created, mut released) = session.create_and_obtain(new)?;
    let material = released.material()?; // 32 bytes; drop them as soon as you have used them
    let mut again = session.obtain(created.key.id, None)?; // later, or as bob

    let query = KeyQuery {
        label: Some("payroll".to_owned()),
        ..KeyQuery::default()
    };
    for key in session.all_keys(query) {
        session.rotate(key?.id)?; // what the first version encrypted still opens
    }
    session.forget(); // whatever was obtained in this session is overwritten

    assert_eq!(material.len(), 32);
    assert!(again.material().is_err());
    assert_eq!(session.obtain(created.key.id, None)?.version(), 2);
    Ok(())
}

fn keys_that_stay(session: &Session) -> Result<(), ClientError> {
    use strongroom_client::operations::{Operate, Signing};
    use strongroom_wire::key::{Algorithm, NewKey, Releasable};

    let new = NewKey {
        releasable: Releasable::Never,
        ..NewKey::new(Algorithm::EcP256)
    };
    let key = session.create_keys(vec![new])?.remove(0).key;
    let signing = Signing::new(key.algorithm)?;
    let signature = session.sign(key.id, signing, b"the contract")?;

    let public_key = session.public_key(key.id, Some(signature.version))?; // anyone's: .pem() for OpenSSL
    assert!(public_key.verify(signing, b"the contract", &signature.bytes)?);
    Ok(())
}

fn when_something_goes_wrong(session: &Session, bytes: &[u8]) {
    use strongroom_client::{ErrorKind, Protect};

    match session.open_message(bytes) {
        Ok(message) => println!("{} bytes", message.plaintext.len()),
        Err(error) => match error.kind() {
            ErrorKind::NotSignedIn => println!("sign in again"),
            ErrorKind::Revoked | ErrorKind::Destroyed => println!("it was taken back"),
            ErrorKind::RefusedByPolicy => println!("not now: {error} {:?}", error.rule()),
            ErrorKind::Altered | ErrorKind::Truncated => println!("fetch it again"),
            ErrorKind::Unreachable if error.safe_to_retry() => println!("nothing was done: later"),
            _ => println!("{error}"),
        },
    }
}

fn mail(
    session: &Session,
    letter: &[u8],
    relay: impl Fn(&[String], &[u8]),
) -> Result<(), ClientError> {
    use strongroom_client::mail::{Mail, Sealing};

    for sealed in Mail::parse(letter)?.seal(session, &Sealing::default())? {
        relay(&sealed.to, &sealed.bytes); // one message for To and Cc, and one for each in Bcc
    }
    Ok(())
}
