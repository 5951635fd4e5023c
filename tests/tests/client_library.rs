//! The client library against a real appliance: messages, objects by ranges, retries, several addresses, and its examples.
//!
//! | file | what lives there |
//! |---|---|
//! | `client_library/held.rs` | keys that are held and used again |
//! | `client_library/command_line.rs` | several addresses, and parts of objects, at the command line |

#[expect(dead_code, reason = "their main functions are for the command line")]
#[path = "../../client/examples/keys.rs"]
mod keys;
#[expect(dead_code, reason = "their main functions are for the command line")]
#[path = "../../client/examples/messages.rs"]
mod messages;
#[expect(dead_code, reason = "their main functions are for the command line")]
#[path = "../../client/examples/objects.rs"]
mod objects;

mod command_line;
mod held;

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use strongroom_client::message::{Envelope, MessageError, MessageHeader, Outgoing};
use strongroom_client::object::HttpRange;
use strongroom_client::{
    Client, ClientError, ErrorKind, Metadata, Protect as _, Protection, Retries, Roots, Session,
};
use strongroom_tests::storage::Storage;
use strongroom_tests::wire_cutter::WireCutter;
use strongroom_tests::{Appliance, Person};
use strongroom_wire::key::{KeyQuery, UsagePolicy};

/// An appliance and three people, each signed in with the library.
struct Scene {
    appliance: Appliance,
    alice: Session,
    bob: Session,
    carol: Session,
}

fn roots(appliance: &Appliance) -> Roots {
    Roots::from_pem(&fs::read(appliance.ca()).unwrap()).unwrap()
}

fn client(appliance: &Appliance) -> Client {
    Client::new(&appliance.client_url(), &roots(appliance))
        .unwrap()
        .retries(Retries::none())
}

fn sign_in(appliance: &Appliance, client: &Client, name: &str) -> Session {
    client
        .sign_in(name, appliance.password_of(name).as_bytes())
        .unwrap()
}

fn scene() -> Scene {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let [alice, bob, carol] =
        ["alice@example.com", "bob@example.com", "carol@example.com"].map(|name| {
            drop(appliance.person(&mut admin, name));
            sign_in(&appliance, &client(&appliance), name)
        });
    Scene {
        appliance,
        alice,
        bob,
        carol,
    }
}

fn kind<T>(outcome: Result<T, ClientError>) -> Option<ErrorKind> {
    outcome.err().map(|error| error.kind())
}

#[test]
fn a_message_is_for_its_recipients_and_says_what_they_can_trust() {
    let Scene {
        alice,
        bob,
        carol,
        appliance: _running,
    } = scene();
    let metadata = Metadata::new("offer 4711").of_type("text/plain");
    let sealed = alice
        .seal_message(
            b"at noon",
            &[" Bob@Example.com", "bob@example.com"],
            &metadata,
        )
        .unwrap();
    assert!(!sealed.bytes.windows(7).any(|window| window == b"at noon"));
    for reader in [&bob, &alice] {
        let opened = reader.open_message(&sealed.bytes).unwrap();
        assert_eq!(*opened.plaintext, b"at noon");
        let MessageHeader {
            key,
            content_type,
            sender,
            recipients,
            time,
            ..
        } = opened.header;
        assert_eq!((key, sender), (sealed.key.id, alice.account().id));
        assert_eq!(content_type.as_deref(), Some("text/plain"));
        assert_eq!(recipients, ["bob@example.com"]);
        assert_eq!(time, sealed.key.created);
        assert!(opened.leaf > sealed.leaf);
    }
    // The appliance has recorded what lawful access and owners' control work on.
    assert_eq!(sealed.key.label, "offer 4711");
    assert_eq!(sealed.key.sender, "alice@example.com");
    assert_eq!(
        kind(carol.open_message(&sealed.bytes)),
        Some(ErrorKind::NotFound)
    );
    // What cannot be sealed makes no key.
    let wrong = metadata.clone().of_type("text");
    assert_eq!(
        kind(alice.seal_message(b"", &[], &wrong)),
        Some(ErrorKind::Invalid)
    );
    assert_eq!(
        kind(alice.seal_message(b"", &["nobody@example.com"], &metadata)),
        Some(ErrorKind::NotFound)
    );
    assert_eq!(alice.find_keys(&KeyQuery::default()).unwrap().keys.len(), 1);

    // Bob has the key, and cannot use it in the name of somebody who did not make it.
    let mut released = bob.obtain(sealed.key.id, Some(1)).unwrap();
    let header = Envelope::parse(&sealed.bytes).unwrap().header().clone();
    let forged = MessageHeader {
        sender: carol.account().id,
        ..header
    };
    let forged = Envelope::seal(&forged, &released.material().unwrap(), b"at one").unwrap();
    let error = alice.open_message(&forged).unwrap_err();
    assert!(matches!(
        error,
        ClientError::Message(MessageError::WrongSender)
    ));

    alice.revoke_from(sealed.key.id, "bob@example.com").unwrap();
    assert_eq!(
        kind(bob.open_message(&sealed.bytes)),
        Some(ErrorKind::Revoked)
    );
    alice.destroy(sealed.key.id).unwrap();
    assert_eq!(
        kind(alice.open_message(&sealed.bytes)),
        Some(ErrorKind::Destroyed)
    );
}

#[test]
fn a_thousand_messages_take_one_request_each_way() {
    let Scene {
        appliance,
        alice,
        bob,
        ..
    } = scene();
    let texts: Vec<String> = (0..1000)
        .map(|number| format!("message {number}"))
        .collect();
    let metadata = Metadata::new("in bulk");
    let outgoing: Vec<_> = texts
        .iter()
        .map(|text| Outgoing {
            plaintext: text.as_bytes(),
            recipients: &["bob@example.com"],
            metadata: &metadata,
        })
        .collect();
    let before = requests(&appliance);
    let sealed = alice.seal_messages(&outgoing).unwrap();
    assert_eq!(requests(&appliance), before + 1);
    let mut envelopes: Vec<_> = sealed.iter().map(|message| message.bytes.clone()).collect();
    // Some are damaged, and one was taken back: that stops no other.
    envelopes[3].truncate(50);
    *envelopes[4].last_mut().unwrap() ^= 1;
    alice
        .revoke_from(sealed[5].key.id, "bob@example.com")
        .unwrap();
    let before = requests(&appliance);
    let opened = bob.open_messages(&envelopes).unwrap();
    assert_eq!(requests(&appliance), before + 1);
    for (number, (opened, text)) in opened.into_iter().zip(&texts).enumerate() {
        match number {
            3 => assert_eq!(kind(opened), Some(ErrorKind::Truncated)),
            4 => assert_eq!(kind(opened), Some(ErrorKind::Altered)),
            5 => assert_eq!(kind(opened), Some(ErrorKind::Revoked)),
            _ => assert_eq!(*opened.unwrap().plaintext, text.as_bytes()),
        }
    }
    // Each has a key of its own.
    let mut keys: Vec<_> = sealed.iter().map(|message| message.key.id).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 1000);
    assert!(bob.open_messages::<Vec<u8>>(&[]).unwrap().is_empty());
}

/// How many requests the client listener has answered.
fn requests(appliance: &Appliance) -> u64 {
    let metrics = appliance.metrics();
    let lines = metrics.lines().filter(|line| {
        line.starts_with("strongroom_requests_total{") && line.contains("listener=\"client\"")
    });
    lines
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

#[test]
fn a_create_whose_answer_is_lost_makes_one_key() {
    let Scene {
        appliance, alice, ..
    } = scene();
    let wire = WireCutter::to(appliance.api().client);
    let client = Client::new(&wire.url(), &roots(&appliance)).unwrap();
    let session = sign_in(&appliance, &client, "alice@example.com");
    for (number, losses) in [(1, 1), (2, 2)] {
        wire.lose_answers(losses);
        let metadata = Metadata::new(&format!("once {number}"));
        let sealed = session.seal_message(b"one", &[], &metadata).unwrap();
        assert_eq!(wire.left(), 0, "the answers were lost");
        let query = KeyQuery {
            label: Some(metadata.label),
            ..KeyQuery::default()
        };
        let found = alice.find_keys(&query).unwrap().keys;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id, sealed.key.id);
        // The envelope names the address that its sender knows the appliance by.
        let known = client.origin();
        let opened = sign_in(
            &appliance,
            &self::client(&appliance).also_known_as(known).unwrap(),
            "alice@example.com",
        )
        .open_message(&sealed.bytes)
        .unwrap();
        assert_eq!(*opened.plaintext, b"one");
    }
    // A rotation might be done twice: it is not made again, and the error says so.
    let key = alice.find_keys(&KeyQuery::default()).unwrap().keys[0].id;
    wire.lose_answers(1);
    let error = session.rotate(key).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(!error.safe_to_retry());
    assert_eq!(alice.key(key).unwrap().version, 2);
}

#[test]
fn what_was_sealed_at_another_address_of_the_appliance_opens() {
    let Scene { appliance, bob, .. } = scene();
    // The certificate is for localhost and for 127.0.0.1.
    let elsewhere = appliance.client_url().replace("127.0.0.1", "localhost");
    let there = Client::new(&elsewhere, &roots(&appliance)).unwrap();
    let alice = sign_in(&appliance, &there, "alice@example.com");
    let to_bob = ["bob@example.com"];
    let message = alice
        .seal_message(b"at noon", &to_bob, &Metadata::default())
        .unwrap();
    assert_eq!(
        *bob.open_message(&message.bytes).unwrap().plaintext,
        b"at noon"
    );
    let mut sealed = Vec::new();
    let protection = Protection::default().to("bob@example.com");
    let mut object = alice.writer(&protection, &mut sealed).unwrap();
    object.write_all(b"a map").unwrap();
    object.finish().unwrap();
    let mut opened = bob.open(&sealed[..]).unwrap();
    assert!(opened.header().server().contains("localhost"));
    let mut plaintext = Vec::new();
    let _ = opened.copy_to(&mut plaintext).unwrap();
    assert_eq!(plaintext, b"a map");
    // At another port it is the same host; a host that the certificate does not name is another appliance.
    for (named, known) in [
        ("https://localhost:1", true),
        ("https://keys.example.net", false),
    ] {
        let header = strongroom_client::object::Header::new(
            opened.header().key(),
            opened.header().key_version(),
            named,
            None,
        );
        let obtained = kind(bob.obtain_for(&header.unwrap()));
        let expected = (!known).then_some(ErrorKind::OtherAppliance);
        assert_eq!(obtained, expected, "{named}");
    }
}

#[test]
fn another_address_takes_over() {
    let Scene { appliance, .. } = scene();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&dead, &roots(&appliance))
        .unwrap()
        .or_at(&appliance.client_url())
        .unwrap();
    let session = sign_in(&appliance, &client, "bob@example.com");
    let sealed = session
        .seal_message(b"hello", &[], &Metadata::default())
        .unwrap();
    session.open_message(&sealed.bytes).unwrap();

    // All addresses dead: it ends, within the time that was said.
    let quick = Retries {
        first_pause: Duration::from_millis(10),
        ..Retries::default()
    };
    let client = Client::new(&dead, &roots(&appliance))
        .unwrap()
        .retries(quick);
    let started = Instant::now();
    let error = client.health().unwrap_err();
    assert!(error.safe_to_retry());
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_middle_of_an_object_is_read_from_a_store_that_can_read_nothing() {
    let Scene {
        appliance,
        alice,
        bob,
        carol,
    } = scene();
    let lines = 500_000;
    let object = objects::protect_log(&alice, "bob@example.com", lines, Vec::new()).unwrap();
    let size = object.len() as u64;
    assert!(size > 7_500_000);
    let storage = Storage::start();
    let url = storage.put("log.sealed", object.clone());
    let open = || HttpRange::new(&url, &roots(&appliance)).unwrap();

    let part = objects::middle(&bob, open(), 15 * 400_000, 30).unwrap();
    assert_eq!(part, b"line    400000\nline    400001\n");
    // The first chunks with the header, the last one for the length, and those with the part.
    assert!(storage.sent() < 150_000, "{} bytes", storage.sent());
    let mut whole = bob.open_at(open()).unwrap();
    assert_eq!(whole.length().unwrap(), 15 * u64::from(lines));
    let mut all = Vec::new();
    std::io::Read::read_to_end(&mut whole, &mut all).unwrap();
    assert!(all.starts_with(b"line         0\n") && all.ends_with(b"line    499999\n"));
    assert!(matches!(
        carol.open_at(open()),
        Err(error) if error.kind() == ErrorKind::NotFound
    ));
    // A local file does as well.
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&object).unwrap();
    assert_eq!(objects::middle(&bob, file, 5, 9).unwrap(), b"        0");

    // The store alters a chunk, or leaves out the end.
    let mut altered = object.clone();
    altered[1_000_000] ^= 1;
    let altered = HttpRange::new(&storage.put("altered", altered), &roots(&appliance)).unwrap();
    let mut altered = bob.open_at(altered).unwrap();
    let mut out = [0; 100];
    altered.read_at(2_000_000, &mut out).unwrap();
    let error = altered.read_at(995_000, &mut out).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Altered);
    let cut = object[..object.len() - 100_000].to_vec();
    let cut = HttpRange::new(&storage.put("cut", cut), &roots(&appliance)).unwrap();
    let error = bob.open_at(cut).err().unwrap();
    assert!(matches!(
        error.kind(),
        ErrorKind::Truncated | ErrorKind::Altered
    ));
}

#[test]
fn a_device_seals_and_opens_as_a_person_does() {
    let Scene {
        appliance, alice, ..
    } = scene();
    let person = Person::new(&appliance, "alice@example.com");
    let _ = person.login().success();
    let client = client(&appliance);
    let codes = client.start_pairing("thermometer").unwrap();
    let _ = person.json(&["devices", "pair", codes.user_code(), "--yes"]);
    let paired = client.finish_pairing(codes).unwrap();
    let device = strongroom_client::Device::new(client, paired.account, paired.secret);

    let sealed = device
        .seal_message(b"21.5", &["alice@example.com"], &Metadata::new("reading"))
        .unwrap();
    let opened = alice.open_message(&sealed.bytes).unwrap();
    assert_eq!(*opened.plaintext, b"21.5");
    assert_eq!(opened.header.sender, paired.account);
    let order = alice
        .seal_message(b"off", &["thermometer"], &Metadata::new("order"))
        .unwrap();
    let orders = device
        .open_messages(&[&order.bytes, &sealed.bytes])
        .unwrap();
    let texts: Vec<_> = orders
        .into_iter()
        .map(|order| order.unwrap().plaintext.to_vec())
        .collect();
    assert_eq!(texts, [b"off".to_vec(), b"21.5".to_vec()]);

    let mut object = Vec::new();
    let protection = Protection::default().to("alice@example.com");
    device
        .protect(&protection, &mut vec![7; 20_000].as_slice(), &mut object)
        .unwrap();
    let mut content = Vec::new();
    alice
        .open(object.as_slice())
        .unwrap()
        .copy_to(&mut content)
        .unwrap();
    assert_eq!(content, vec![7; 20_000]);
}

#[test]
fn the_examples_do_what_they_say() {
    let Scene {
        appliance: _running,
        alice,
        bob,
        carol,
    } = scene();
    let note = messages::seal(&alice, "bob@example.com", "at noon").unwrap();
    assert_eq!(messages::open(&bob, &note), "at noon");
    assert_eq!(messages::open(&carol, &note), "It is for somebody else.");
    assert_eq!(
        messages::open(&bob, &note[..40]),
        "It is damaged: ask for it again."
    );
    let readings = messages::readings(&alice, &bob).unwrap();
    assert_eq!((readings.len(), readings[99].as_str()), (100, "99 W"));

    let key = keys::life_of_a_key(&alice, "bob@example.com").unwrap();
    assert_eq!(kind(bob.obtain(key, None)), Some(ErrorKind::Destroyed));
}

#[test]
fn a_refusal_by_policy_names_its_rule_to_the_owner() {
    let Scene {
        appliance: _running,
        alice,
        bob,
        ..
    } = scene();
    let once = Metadata::new("read once").under(UsagePolicy {
        max_releases: Some(1),
        ..UsagePolicy::default()
    });
    let sealed = alice
        .seal_message(b"burn this", &["bob@example.com"], &once)
        .unwrap();
    bob.open_message(&sealed.bytes).unwrap();
    let his = bob.open_message(&sealed.bytes).unwrap_err();
    assert_eq!((his.kind(), his.rule()), (ErrorKind::RefusedByPolicy, None));
    let hers = alice.open_message(&sealed.bytes).unwrap_err();
    assert_eq!(hers.kind(), ErrorKind::RefusedByPolicy);
    assert_eq!(hers.rule(), Some("policy:key:max-releases"));
}
