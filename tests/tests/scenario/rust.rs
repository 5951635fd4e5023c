//! The driver in Rust.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use strongroom_client::message::Outgoing;
use strongroom_client::operations::{Operate as _, Signing};
use strongroom_client::{Client, ClientError, Metadata, Protect as _, Protection, Roots, Session};
use strongroom_tests::Appliance;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Algorithm, KeyQuery, NewKey, Releasable, ShareKey, UsagePolicy};

use super::{Driver, Reply};

pub(crate) struct Rust {
    client: Client,
    sessions: HashMap<String, Session>,
}

impl Rust {
    pub(crate) fn new(appliance: &Appliance) -> Self {
        let roots = Roots::from_pem(&fs::read(appliance.ca()).unwrap()).unwrap();
        Self {
            client: Client::new(&appliance.client_url(), &roots).unwrap(),
            sessions: HashMap::new(),
        }
    }

    fn try_act(&mut self, who: &str, words: &[&str]) -> Result<String, ClientError> {
        if let ["sign-in", password] = words {
            let session = self.client.sign_in(who, &fs::read(password).unwrap())?;
            self.sessions.insert(who.to_owned(), session);
            return Ok(String::new());
        }
        let session = &self.sessions[who];
        let nothing = String::new();
        Ok(match words {
            ["seal-message", from, to, recipients @ ..] => {
                let metadata = Metadata::new("note").of_type("text/plain");
                let sealed =
                    session.seal_message(&fs::read(from).unwrap(), recipients, &metadata)?;
                fs::write(to, &sealed.bytes).unwrap();
                sealed.key.id.to_string()
            }
            ["open-message", from, to] => {
                let opened = session.open_message(&fs::read(from).unwrap())?;
                fs::write(to, &*opened.plaintext).unwrap();
                nothing
            }
            ["message-header", from] => {
                let header = session.open_message(&fs::read(from).unwrap())?.header;
                let content_type = header.content_type.unwrap_or_default();
                format!("{content_type} {}", header.recipients.join(","))
            }
            ["seal-batch", from, to, recipients @ ..] => {
                let text = fs::read_to_string(from).unwrap();
                let metadata = Metadata::new("reading");
                let outgoing: Vec<_> = text
                    .lines()
                    .map(|line| Outgoing {
                        plaintext: line.as_bytes(),
                        recipients,
                        metadata: &metadata,
                    })
                    .collect();
                let sealed = session.seal_messages(&outgoing)?;
                for (number, sealed) in sealed.iter().enumerate() {
                    fs::write(format!("{to}.{number}"), &sealed.bytes).unwrap();
                }
                sealed.len().to_string()
            }
            ["open-batch", from, count, to] => {
                let count: usize = count.parse().unwrap();
                let envelopes: Vec<_> = (0..count)
                    .map(|number| fs::read(format!("{from}.{number}")).unwrap())
                    .collect();
                let mut file = File::create(to).unwrap();
                for opened in session.open_messages(&envelopes)? {
                    match opened {
                        Ok(opened) => file.write_all(&opened.plaintext).unwrap(),
                        Err(error) => write!(file, "{}", error.kind().as_str()).unwrap(),
                    }
                    writeln!(file).unwrap();
                }
                nothing
            }
            _ => return objects(session, words),
        })
    }
}

/// What is done with objects.
fn objects(session: &Session, words: &[&str]) -> Result<String, ClientError> {
    let nothing = String::new();
    Ok(match words {
        ["protect-file", from, to, recipients @ ..] => {
            let (from, to) = (Path::new(from), Path::new(to));
            let protection = recipients
                .iter()
                .fold(Protection::of_file(from), |protection, name| {
                    protection.to(name)
                });
            session
                .protect_file(from, to, &protection)?
                .key
                .id
                .to_string()
        }
        ["open-file", from, to] => {
            session.open_file(Path::new(from), Path::new(to))?;
            nothing
        }
        ["protect-stream", from, to, recipients @ ..] => {
            let protection = recipients
                .iter()
                .fold(Protection::default(), |protection, name| {
                    protection.to(name)
                });
            let mut object = session.writer(&protection, File::create(to).unwrap())?;
            for piece in fs::read(from).unwrap().chunks(7000) {
                object.write_all(piece).unwrap();
            }
            let key = object.key().id.to_string();
            object.finish()?;
            key
        }
        ["open-stream", from, to] => {
            let mut object = session.open(File::open(from).unwrap())?;
            object.copy_to(&mut File::create(to).unwrap())?;
            nothing
        }
        ["read-range", from, offset, length, to] => {
            let mut object = session.open_at(File::open(from).unwrap())?;
            object
                .seek(SeekFrom::Start(offset.parse().unwrap()))
                .unwrap();
            let mut part = object.take(length.parse().unwrap());
            io::copy(&mut part, &mut File::create(to).unwrap()).unwrap();
            nothing
        }
        _ => return keys(session, words),
    })
}

/// What is done with keys.
fn keys(session: &Session, words: &[&str]) -> Result<String, ClientError> {
    let nothing = String::new();
    Ok(match words {
        ["create-key", label, recipients @ ..] => {
            let new = NewKey {
                label: (*label).to_owned(),
                content_type: None,
                recipients: recipients.iter().map(|&name| name.to_owned()).collect(),
                policy: UsagePolicy::default(),
                ..NewKey::new(Algorithm::Aes256)
            };
            session.create_keys(vec![new])?[0].key.id.to_string()
        }
        ["create-pair", label, algorithm, recipients @ ..] => {
            let mut known = Algorithm::ALL.iter();
            let algorithm = known.find(|known| known.as_str() == *algorithm).unwrap();
            let new = NewKey {
                label: (*label).to_owned(),
                recipients: recipients.iter().map(|&name| name.to_owned()).collect(),
                releasable: Releasable::Never,
                ..NewKey::new(*algorithm)
            };
            session.create_keys(vec![new])?[0].key.id.to_string()
        }
        ["sign", key, from, to] => {
            let signing = Signing::new(session.key(id(key))?.algorithm)?;
            let signature = session.sign(id(key), signing, &fs::read(from).unwrap())?;
            fs::write(to, &signature.bytes).unwrap();
            nothing
        }
        ["verify", key, version, from, signature] => {
            let public_key = session.public_key(id(key), version.parse().ok())?;
            let signing = Signing::new(public_key.algorithm)?;
            let (message, signature) = (fs::read(from).unwrap(), fs::read(signature).unwrap());
            let valid = public_key.verify(signing, &message, &signature)?;
            if valid { "valid" } else { "invalid" }.to_owned()
        }
        ["obtain", key, version, to] => {
            let mut released = session.obtain(id(key), version.parse().ok())?;
            fs::write(to, &*released.material()?).unwrap();
            nothing
        }
        ["find", label] => {
            let query = KeyQuery {
                label: Some((*label).to_owned()),
                ..KeyQuery::default()
            };
            let keys: Result<Vec<_>, _> = session.all_keys(query).collect();
            keys?.len().to_string()
        }
        ["share", key, grantee] => {
            let share = ShareKey {
                grantee: (*grantee).to_owned(),
                rights: None,
                policy: UsagePolicy::default(),
            };
            session.share(id(key), &share)?;
            nothing
        }
        ["revoke", key, account] => {
            session.revoke_from(id(key), account)?;
            nothing
        }
        ["rotate", key] => session.rotate(id(key))?.key.version.to_string(),
        ["destroy", key] => {
            session.destroy(id(key))?;
            nothing
        }
        _ => panic!("{words:?}"),
    })
}

fn id(key: &str) -> KeyId {
    key.parse().unwrap()
}

impl Driver for Rust {
    fn act(&mut self, who: &str, words: &[&str]) -> Option<Reply> {
        let done = self.try_act(who, words);
        Some(done.map_err(|error| error.kind().as_str().to_owned()))
    }
}
