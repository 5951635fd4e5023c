//! Mail: a message through a mail server to its addressees, of whom those in Bcc are seen by nobody, and a third who reads nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use strongroom_tests::console::Console;
use strongroom_tests::mail_server::MailServer;
use strongroom_tests::relay::Relay;
use strongroom_tests::{Appliance, Person};
use strongroom_wire::object::{CIPHERTEXT_HASH, ObjectPage};

const LETTER: &str = "\
From: \"Alice Liddell\" <alice@example.com>
To: \"Bob Marley\" <bob@example.com>
Cc: carol@example.com
Bcc: \"Theodora Secret\" <theodora@example.com>
Subject: the takeover of Acme
In-Reply-To: <42@laptop.example.com>
Date: Fri, 27 Nov 2026 19:00:00 +0100
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=\"part-0815\"

--part-0815
Content-Type: text/plain; charset=utf-8

We sign at noon.

--part-0815
Content-Type: application/pdf; name=\"plan.pdf\"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename=\"plan.pdf\"

JVBERi0xLjcgdGhlIHBsYW4=
--part-0815--
";

/// What identifies somebody or tells of the content, and stands outside of nothing.
const INSIDE: [&str; 9] = [
    "Alice Liddell",
    "Bob Marley",
    "takeover",
    "laptop.example",
    "19:00",
    "sign at noon",
    "plan.pdf",
    "JVBERi0xLjcgdGhlIHBsYW4",
    "part-0815",
];

fn without_bcc() -> String {
    LETTER.replace("Bcc: \"Theodora Secret\" <theodora@example.com>\n", "")
}

/// People who have enrolled and signed in at the command line.
fn people<const N: usize>(appliance: &Appliance, names: [&str; N]) -> [Person; N] {
    let mut admin = appliance.administrator();
    names.map(|name| {
        let name = format!("{name}@example.com");
        drop(appliance.person(&mut admin, &name));
        let person = Person::new(appliance, &name);
        let _ = person.login().success();
        person
    })
}

/// Whether these bytes, or those that stand in them in base64, have this in them, whatever the case of letters.
fn says(message: &[u8], what: &str) -> bool {
    let lower = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let what = what.to_ascii_lowercase();
    lower(message).contains(&what) || lower(&envelope(message)).contains(&what)
}

/// The ciphertexts of which somebody has told the appliance the SHA-256, in hexadecimal.
fn told(appliance: &Appliance, name: &str) -> BTreeSet<String> {
    let mut session = appliance.sign_in(name);
    let page: ObjectPage = session.get("/v1/objects?limit=1000").unwrap();
    page.objects
        .iter()
        .filter(|object| object.description.label.0 == CIPHERTEXT_HASH.as_bytes())
        .map(|object| hex::encode(&object.description.id.0))
        .collect()
}

/// The sealed part, decoded.
fn envelope(message: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(message);
    let (_, part) = text.split_once("application/cose").unwrap();
    let lines = part.lines().skip_while(|line| !line.trim().is_empty());
    let base64: String = lines
        .skip(1)
        .take_while(|line| !line.starts_with("--"))
        .flat_map(|line| line.trim().chars())
        .collect();
    STANDARD.decode(base64).unwrap()
}

#[test]
fn a_message_is_read_by_its_addressees_alone_and_nobody_learns_of_bcc() {
    let server = MailServer::start();
    let appliance = Appliance::start();
    let [alice, bob, carol, dora, mallory] =
        people(&appliance, ["alice", "bob", "carol", "theodora", "mallory"]);
    let sendmail = server.sendmail();
    let sendmail = sendmail.to_str().unwrap();
    let send = ["mail", "send", "--sendmail", sendmail, "-t"];
    let sent = alice.pipe(&send, LETTER.as_bytes()).success();
    assert_eq!((sent.stdout.as_str(), sent.stderr.as_str()), ("", ""));

    let arrived = |name: &str| {
        let mut messages = server.messages_to(&format!("{name}@example.com"));
        assert_eq!(messages.len(), 1, "{name}");
        messages.remove(0)
    };
    let public = arrived("bob");
    assert_eq!(public, arrived("carol"), "one message for To and Cc");
    let private = arrived("theodora");
    for message in [&public, &private] {
        for inside in INSIDE {
            assert!(!says(message, inside), "{inside}");
        }
        assert!(says(message, "Subject: [...]"));
    }
    // Every byte of what the others get, and what the appliance shows them.
    assert!(
        says(&private, "theodora@example.com"),
        "her envelope names her"
    );
    assert!(!says(&public, "theodora"));
    for person in [&bob, &carol, &mallory] {
        let keys = person.run(&["keys", "list", "--json"]).success().stdout;
        let log = person.run(&["audit", "tail", "--json"]).success().stdout;
        assert!(
            !keys.contains("theodora") && !log.contains("theodora"),
            "{keys}"
        );
    }
    let listed = bob.json(&["keys", "list"]);
    let listed = listed["keys"].as_array().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["label"], "mail");
    for inside in INSIDE {
        assert!(!appliance.log().contains(inside), "{inside}");
    }

    // Byte for byte, with who sealed it; hers says nothing of Bcc either.
    for (person, message) in [(&bob, &public), (&carol, &public), (&dora, &private)] {
        fs::write(person.file("in.eml"), message).unwrap();
        let opened = person.json(&["mail", "open", "in.eml", "-o", "out.eml"]);
        assert_eq!(
            fs::read_to_string(person.file("out.eml")).unwrap(),
            without_bcc()
        );
        assert_eq!(opened["sealed_by"], "alice@example.com");
        assert_eq!(opened["from"], "alice@example.com");
        assert_eq!(opened["from_its_sealer"], true);
    }
    // In a pipe, as from a mail program.
    let opened = bob.pipe(&["mail", "open"], &public).success();
    assert_eq!(opened.stdout, without_bcc());
    assert!(opened.stderr.contains("sealed by alice@example.com at "));
    // The sender can read what they sent.
    let own = alice.pipe(&["mail", "open"], &private).success();
    assert_eq!(own.stdout, without_bcc());

    // Whoever it is not for is refused by the appliance; so are they of the others' copies.
    for (person, message) in [(&mallory, &public), (&mallory, &private), (&bob, &private)] {
        fs::write(person.file("not-mine.eml"), message).unwrap();
        let open = ["mail", "open", "not-mine.eml", "-o", "out-of-reach.eml"];
        person.refused(&open, "key-not-found");
        assert!(!person.file("out-of-reach.eml").exists());
        let refused = person.pipe(&["mail", "open"], message).failure();
        assert_eq!(
            (refused.status.code(), refused.stdout.as_str()),
            (Some(3), "")
        );
    }
    // Altered on the way.
    let mut altered = public.clone();
    let text = String::from_utf8_lossy(&public);
    let end = text.trim_end().rfind("\r\n").unwrap();
    let last = text[..end].trim_end().rfind("\r\n").unwrap() + 2;
    altered[last] = if altered[last] == b'A' { b'B' } else { b'A' };
    let refused = bob.pipe(&["mail", "open"], &altered).failure();
    assert_eq!(
        (refused.status.code(), refused.stdout.as_str()),
        (Some(1), "")
    );
    assert!(refused.stderr.contains("altered"), "{}", refused.stderr);

    // Taken back: nobody opens it any more but the sender.
    let key = listed[0]["id"].as_str().unwrap();
    let revoke = ["keys", "revoke", key, "--from", "bob@example.com"];
    let _ = alice.run(&revoke).success();
    bob.refused(
        &["mail", "open", "in.eml", "-o", "again.eml"],
        "grant-revoked",
    );
    let _ = carol.json(&["mail", "open", "in.eml", "-o", "again.eml"]);
    assert_eq!(appliance.verify_audit()["verified"], true);
}

#[test]
fn a_mail_program_names_addressees_beside_the_message() {
    let server = MailServer::start();
    let appliance = Appliance::start();
    let [alice, bob, dora] = people(&appliance, ["alice", "bob", "theodora"]);
    let sendmail = server.sendmail();
    let sendmail = sendmail.to_str().unwrap();
    // As mutt does: no Bcc field in the message, and all addresses as arguments.
    let letter = "From: alice@example.com\nTo: bob@example.com\nSubject: lunch\n\nAt one?\n";
    let send = [
        "mail",
        "send",
        "--sendmail",
        sendmail,
        "-oem",
        "-oi",
        "-f",
        "alice@example.com",
        "--",
        "bob@example.com",
        "theodora@example.com",
    ];
    let _ = alice.pipe(&send, letter.as_bytes()).success();
    let to = |name| server.messages_to(&format!("{name}@example.com"));
    let (public, private) = (to("bob"), to("theodora"));
    assert_eq!((public.len(), private.len()), (1, 1));
    assert!(!says(&public[0], "theodora"));
    let opened = dora.pipe(&["mail", "open"], &private[0]).success();
    assert_eq!(opened.stdout, letter);
    let opened = bob.pipe(&["mail", "open"], &public[0]).success();
    assert_eq!(opened.stdout, letter);

    // Whom the appliance does not know gets nothing, and neither does anybody else.
    let send = [&send[..], &["eve@rival.example"]].concat();
    let refused = alice.pipe(&send, letter.as_bytes()).failure();
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert_eq!(to("bob").len(), 1);
    // An address can be another account's.
    let mapped = [
        &send[..2],
        &["--account", "eve@rival.example=theodora@example.com"],
        &send[2..],
    ];
    let _ = alice.pipe(&mapped.concat(), letter.as_bytes()).success();
    let hers = server.messages_to("eve@rival.example");
    assert_eq!(
        dora.pipe(&["mail", "open"], &hers[0]).success().stdout,
        letter
    );
}

/// For orders: of each message the SHA-256 of its envelope, which is what stays the same on the way.
#[test]
fn the_hash_of_each_envelope_is_told_where_that_is_wanted() {
    let server = MailServer::start();
    let appliance = Appliance::start();
    let [alice, _, _, _] = people(&appliance, ["alice", "bob", "carol", "theodora"]);
    let bcc = ["--bcc-to", "bcc"];
    let protect = |more: &[&str]| {
        let words = [&["mail", "protect", "--force"], &bcc[..], more].concat();
        alice.pipe(&words, LETTER.as_bytes()).success().stdout
    };
    let of = |message: &[u8]| hex::encode(Sha256::digest(envelope(message)));
    drop(protect(&[]));
    assert!(told(&appliance, "alice@example.com").is_empty());

    let public = protect(&["--tell-hash"]);
    let private = fs::read(alice.file("bcc/theodora@example.com.eml")).unwrap();
    let mut expected = BTreeSet::from([of(public.as_bytes()), of(&private)]);
    assert_eq!(told(&appliance, "alice@example.com"), expected);

    let sendmail = server.sendmail();
    let send = ["mail", "send", "-t", "--tell-hash", "--sendmail"];
    let send = [&send[..], &[sendmail.to_str().unwrap()]].concat();
    let _ = alice.pipe(&send, LETTER.as_bytes()).success();
    for name in ["bob@example.com", "theodora@example.com"] {
        expected.extend(server.messages_to(name).iter().map(|message| of(message)));
    }
    assert_eq!(expected.len(), 4);
    assert_eq!(told(&appliance, "alice@example.com"), expected);
}

#[test]
fn mutt_sends_with_it() {
    let server = MailServer::start();
    let appliance = Appliance::start();
    let [alice, bob, dora] = people(&appliance, ["alice", "bob", "theodora"]);
    let settings = format!(
        "set sendmail = \"strongroom mail send --sendmail {}\"\nset use_envelope_from = yes\nset copy = no\n\
         set from = alice@example.com\nset realname = \"Alice Liddell\"\n",
        server.sendmail().display()
    );
    fs::write(alice.file("muttrc"), settings).unwrap();
    fs::write(alice.file("plan.pdf"), "%PDF-1.7 the plan").unwrap();
    let sent = alice.shell(
        "echo 'At one?' | mutt -n -F muttrc -s luncheon -b theodora@example.com -a plan.pdf -- bob@example.com",
    );
    let sent = sent.success();
    assert_eq!(sent.stderr, "");
    let to = |name| server.messages_to(&format!("{name}@example.com"));
    let (public, private) = (to("bob"), to("theodora"));
    assert_eq!((public.len(), private.len()), (1, 1));
    for leak in [
        "theodora",
        "Alice Liddell",
        "luncheon",
        "plan.pdf",
        "User-Agent",
    ] {
        assert!(!says(&public[0], leak), "{leak}");
    }
    for (person, message) in [(&bob, &public[0]), (&dora, &private[0])] {
        let opened = person.pipe(&["mail", "open"], message).success().stdout;
        assert!(opened.contains("Subject: luncheon\n"), "{opened}");
        assert!(opened.contains("At one?"), "{opened}");
        assert!(opened.contains("filename=\"plan.pdf\""), "{opened}");
        assert!(!opened.contains("theodora"), "{opened}");
    }
}

/// As the guide sets it up: a sealed message is opened where mutt shows it.
#[test]
fn mutt_shows_what_is_sealed() {
    let appliance = Appliance::start();
    let [alice, bob] = people(&appliance, ["alice", "bob"]);
    let letter =
        "From: alice@example.com\nTo: bob@example.com\nSubject: lunch\n\nAt one, by the river.\n";
    let sealed = alice.pipe(&["mail", "protect"], letter.as_bytes());
    let sealed = sealed.success().stdout;
    let mailbox = format!("From alice@example.com Fri Nov 27 18:00:00 2026\n{sealed}\n");
    fs::write(bob.file("inbox"), mailbox).unwrap();

    // The lines of the guide, and a pager that keeps what it is to show.
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mail.md");
    let guide = fs::read_to_string(guide).unwrap();
    let mailcap = "application/cose; strongroom mail open %s 2>&1; copiousoutput";
    for line in ["auto_view application/cose", mailcap] {
        assert!(guide.lines().any(|other| other == line), "{line}");
    }
    fs::write(bob.file("mailcap"), format!("{mailcap}\n")).unwrap();
    let settings = "set folder = .\nauto_view application/cose\nset mailcap_path = mailcap\nset pager = \"sh keep.sh\"\nset prompt_after = no\n\
                    set mbox_type = mbox\nset quit = yes\n";
    fs::write(bob.file("muttrc"), settings).unwrap();
    fs::write(bob.file("keep.sh"), "cp \"$1\" shown\n").unwrap();
    let mutt = "TERM=vt100 exec mutt -n -R -F muttrc -f inbox -e 'push <first-entry><display-message><exit>'";
    let (status, screen) = Console::run(bob.shell_command(mutt)).end();
    assert!(status.success(), "{screen}");
    let shown = fs::read_to_string(bob.file("shown")).unwrap();
    for wanted in [
        "Subject: lunch",
        "At one, by the river.",
        "sealed by alice@example.com at ",
    ] {
        assert!(shown.contains(wanted), "{shown}");
    }
}

#[test]
fn files_and_filters() {
    let appliance = Appliance::start();
    let [alice, bob, dora] = people(&appliance, ["alice", "bob", "theodora"]);
    fs::write(alice.file("letter.eml"), LETTER.replace("carol@", "bob@")).unwrap();
    // Those in Bcc are not left out in silence.
    alice.refused(&["mail", "protect", "letter.eml", "-o", "x.eml"], "usage");
    assert!(!alice.file("x.eml").exists());
    let protect = ["mail", "protect", "letter.eml", "--bcc-to", "bcc"];
    let protected = alice.run(&protect).success();
    let private = fs::read(alice.file("bcc/theodora@example.com.eml")).unwrap();
    // Where one of the files cannot be written, nothing is sealed.
    let keys = || {
        alice.json(&["keys", "list"])["keys"]
            .as_array()
            .unwrap()
            .len()
    };
    let before = keys();
    let again = alice.run(&[&protect[..], &["-o", "y.eml"]].concat());
    assert!(
        again
            .failure()
            .stderr
            .contains("theodora@example.com.eml exists")
    );
    assert!(!alice.file("y.eml").exists());
    assert_eq!((before, keys()), (2, 2));
    assert!(!protected.stdout.contains("theodora") && !protected.stdout.contains('\r'));
    let expected = without_bcc().replace("carol@", "bob@");
    let opened = bob.pipe(&["mail", "open"], protected.stdout.as_bytes());
    assert_eq!(opened.success().stdout, expected);
    let opened = dora.pipe(&["mail", "open"], &private).success();
    assert_eq!(opened.stdout, expected);

    // A filter sees messages that are not sealed, too.
    let plain = "From: bob@example.com\nTo: alice@example.com\n\nhello\n";
    let refused = alice.pipe(&["mail", "open"], plain.as_bytes()).failure();
    assert_eq!(
        (refused.status.code(), refused.stdout.as_str()),
        (Some(1), "")
    );
    let passed = alice.pipe(&["mail", "open", "--pass"], plain.as_bytes());
    let passed = passed.success();
    assert_eq!(passed.stdout, plain);
    assert!(passed.stderr.contains("was not sealed"));

    // Whoever writes another's name into From is found out.
    let forged = "From: bob@example.com\nTo: alice@example.com\n\nPay at once.\n";
    let forged = dora.pipe(&["mail", "protect"], forged.as_bytes()).success();
    let opened = alice.pipe(&["mail", "open"], forged.stdout.as_bytes());
    let opened = opened.success();
    assert!(
        opened.stderr.contains("sealed by theodora@example.com at ")
            && opened.stderr.contains("NOT by bob@example.com"),
        "{}",
        opened.stderr
    );
    // A message that is sealed and no mail is not shown as mail.
    let nobody = "From: alice@example.com\nSubject: to nobody\n\n";
    let refused = alice
        .pipe(&["mail", "protect"], nobody.as_bytes())
        .failure();
    assert!(refused.stderr.contains("for nobody"), "{refused:?}");
}

#[test]
fn an_address_without_an_account_is_invited_and_reads_it_after_enrolment() {
    let relay = Relay::plain();
    let settings = format!(
        "[mail]\nrelay = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nca = \"{}\"\nfrom = \"keys@example.com\"\n",
        relay.port,
        Path::new("none").display()
    );
    let appliance = Appliance::start_with(&settings);
    let [alice, bob] = people(&appliance, ["alice", "bob"]);
    let admin = Person::administrator(&appliance);
    let _ = admin.login().success();
    let policy = [
        "domain",
        "policy",
        "set",
        "--inviter",
        "*@example.com",
        "--invitee",
        "*@partner.example",
    ];
    let _ = admin.json(&policy);
    let letter = "From: alice@example.com\nTo: bob@example.com, gina@partner.example\n\nWelcome.\n";
    let refused = alice
        .pipe(&["mail", "protect"], letter.as_bytes())
        .failure();
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let invited = alice.pipe(&["mail", "protect", "--invite"], letter.as_bytes());
    let sealed = invited.success().stdout;
    let code = relay.wait_for("gina@partner.example", 1).code();
    assert!(relay.messages_to("bob@example.com").is_empty());
    let gina = Person::new(&appliance, "gina@partner.example");
    let _ = gina.enrol(&code).success();
    let _ = gina.login().success();
    for person in [&bob, &gina] {
        let opened = person.pipe(&["mail", "open"], sealed.as_bytes()).success();
        assert_eq!(opened.stdout, letter);
    }
}
