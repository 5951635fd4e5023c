//! Keys for an application that does its own encryption: made, shared, found, rotated, taken back and destroyed.
//!
//! ```console
//! $ cargo run --example keys -- bob@example.com
//! ```

use std::error::Error;
use std::io::{self, Write as _};
use std::{env, fs};

use strongroom_client::{Client, ClientError, Protect as _, Roots, Session};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Algorithm, KeyQuery, NewKey, Right, ShareKey, UsagePolicy};

fn main() -> Result<(), Box<dyn Error>> {
    let roots = Roots::from_pem(&fs::read(env::var("STRONGROOM_CA")?)?)?;
    let client = Client::new(&env::var("STRONGROOM_SERVER")?, &roots)?;
    let password = fs::read_to_string(env::var("STRONGROOM_PASSWORD_FILE")?)?;
    let session = client.sign_in(
        &env::var("STRONGROOM_ACCOUNT")?,
        password.trim_end().as_bytes(),
    )?;
    let colleague = env::args().nth(1).ok_or("an account's name is needed")?;
    let key = life_of_a_key(&session, &colleague)?;
    writeln!(io::stdout(), "{key} lived and is destroyed")?;
    Ok(())
}

/// From its creation to its destruction.
pub(crate) fn life_of_a_key(session: &Session, colleague: &str) -> Result<KeyId, ClientError> {
    // Whoever obtains it forgets it after an hour; this library sees to that.
    let policy = UsagePolicy {
        keep_for: Some(3600),
        ..UsagePolicy::default()
    };
    let (created, mut first) = session.create_and_obtain(NewKey {
        label: "backup of the payroll database".to_owned(),
        policy,
        ..NewKey::new(Algorithm::Aes256)
    })?;
    let key = created.key.id;
    encrypt_something(&first.material()?);

    session.share(
        key,
        &ShareKey {
            grantee: colleague.to_owned(),
            rights: Some(vec![Right::Release]),
            policy: UsagePolicy::default(),
        },
    )?;
    let found = session.find_keys(&KeyQuery {
        label: Some("payroll".to_owned()),
        ..KeyQuery::default()
    })?;
    assert!(found.keys.iter().any(|found| found.id == key));

    // What the first version encrypted is still opened with it; new things go under the second.
    session.rotate(key)?;
    let mut second = session.obtain(key, None)?;
    assert_eq!((first.version(), second.version()), (1, 2));
    encrypt_something(&second.material()?);

    session.revoke_from(key, colleague)?;
    session.destroy(key)?;
    // Nothing of it is left here either.
    session.forget();
    assert!(second.material().is_err());
    Ok(key)
}

/// Stands for the application's own cipher.
fn encrypt_something(material: &[u8]) {
    assert_eq!(material.len(), 32);
}
