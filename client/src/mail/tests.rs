#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::addressees::Addressees;
use super::*;

const LETTER: &str = "Received: by laptop.corp.example with love\r\n\
    From: \"Alice Liddell\" <Alice@Example.com>\r\n\
    To: Bob Marley <bob@example.com>,\r\n carol@partner.example\r\n\
    Bcc: \"Dora\" <dora@example.com>,\r\n\tErin <erin@partner.example>\r\n\
    CC: =?utf-8?q?J=C3=BCrg?= <juerg@example.com>, bob@example.com\r\n\
    bCC : frank@example.com\r\n\
    Subject: the takeover\r\n\
    Message-ID: <1@laptop.corp.example>\r\n\
    In-Reply-To: <0@example.com>\r\n\
    Date: Fri, 27 Nov 2026 19:00:00 +0100\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\
    \r\n\
    --b\r\n\r\nAt noon. Bcc: nobody\r\n--b\r\nContent-Type: application/pdf; name=plan.pdf\r\n\r\n\x00\x7f\r\n--b--\r\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn addressees_stand_once_each_and_the_hidden_ones_nowhere() {
    let mail = Mail::parse(LETTER.as_bytes()).unwrap();
    assert_eq!(mail.from(), "Alice@Example.com");
    assert_eq!(
        mail.visible(),
        [
            "bob@example.com",
            "carol@partner.example",
            "juerg@example.com"
        ]
    );
    assert_eq!(
        mail.hidden(),
        [
            "dora@example.com",
            "erin@partner.example",
            "frank@example.com"
        ]
    );
    let hidden = "Bcc: \"Dora\" <dora@example.com>,\r\n\tErin <erin@partner.example>\r\n";
    let expected = LETTER
        .replace(hidden, "")
        .replace("bCC : frank@example.com\r\n", "");
    assert_eq!(text(&mail.bytes), expected, "the rest is untouched");
}

#[test]
fn whom_a_program_names_beside_the_message_is_hidden_unless_it_says_so() {
    let named = ["BOB@example.com", "grace@example.com"].map(str::to_owned);
    let mail = Mail::parse(LETTER.as_bytes()).unwrap();
    let more = mail.and_for(&named).unwrap();
    assert_eq!(more.visible().len(), 3);
    assert_eq!(more.hidden().last().unwrap(), "grace@example.com");
    assert_eq!(more.hidden().len(), 4);
    let mail = Mail::parse(LETTER.as_bytes()).unwrap();
    let only = mail.only_for(&named).unwrap();
    assert_eq!(only.visible(), ["bob@example.com"]);
    assert_eq!(only.hidden(), ["grace@example.com"]);
}

#[test]
fn the_outside_says_what_delivery_takes_and_no_more() {
    let (addressees, _) = Addressees::of(LETTER.as_bytes()).unwrap();
    let id = outside::new_id(&addressees.from).unwrap();
    let outside = outside::wrap(&addressees, &id, b"\x00envelope\xff");
    let shown = text(&outside);
    for secret in [
        "Alice Liddell",
        "Bob Marley",
        "takeover",
        "noon",
        "plan",
        "laptop",
        "<0@",
        "19:00",
        "+0100",
        "dora",
        "erin",
        "frank",
        "rg?=",
    ] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
    let (head, _) = shown.split_once("\r\n\r\n").unwrap();
    let names: Vec<_> = head
        .lines()
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split(':').next().unwrap())
        .collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            "Cc",
            "Content-Type",
            "Date",
            "From",
            "MIME-Version",
            "Message-ID",
            "Subject",
            "To"
        ]
    );
    assert!(head.contains("Subject: [...]\r\n"));
    // What is random in it is the identifier, and nothing else is made up.
    let (random, _) = id.split_once('@').unwrap();
    assert!(head.contains(&format!("boundary=\"{random}\"")), "{head}");
    assert_eq!(shown.matches(&format!("\r\n--{random}")).count(), 3);
    assert!(head.contains("Fri, 27 Nov 2026 18:00:00 +0000"), "{head}");
    assert_eq!(outside::unwrap(&outside).unwrap(), b"\x00envelope\xff");
    // Another reader of mail finds the same addresses in it.
    let (again, _) = Addressees::of(&outside).unwrap();
    assert_eq!((again.to, again.cc), (addressees.to, addressees.cc));
}

#[test]
fn lines_end_as_they_came() {
    let letter = "From: a@example.com\nBcc: b@example.com\n\nhello\n";
    let (addressees, stripped) = Addressees::of(letter.as_bytes()).unwrap();
    assert_eq!(text(&stripped), "From: a@example.com\n\nhello\n");
    let outside = outside::wrap(&addressees, "1@example.com", &[b'\r'; 100]);
    assert!(!outside.contains(&b'\r'));
    assert!(text(&outside).contains("\nTo: \"undisclosed-recipients\":;\n"));
    assert_eq!(outside::unwrap(&outside).unwrap(), [b'\r'; 100]);
}

#[test]
fn a_list_may_add_a_part_and_a_relay_fields() {
    let (addressees, _) = Addressees::of(LETTER.as_bytes()).unwrap();
    let outside = outside::wrap(&addressees, "1@example.com", b"envelope");
    let shown = text(&outside);
    let added = format!(
        "Received: from a by b\r\nList-Id: <l.example.com>\r\nContent-Type: multipart/mixed; boundary=list\r\n\r\n--list\r\n\r\nfooter\r\n\
         --list\r\n{}\r\n--list--\r\n",
        &shown[shown.find("Content-Type").unwrap()..]
    );
    assert_eq!(outside::unwrap(added.as_bytes()).unwrap(), b"envelope");
}

#[test]
fn a_sealed_part_alone_does() {
    let part = [0xd0, 0x83, 0x40];
    assert_eq!(outside::unwrap(&part).unwrap(), part);
}

#[test]
fn what_cannot_be_sealed_or_opened_is_refused_with_the_reason() {
    let refused = |message: &str| Mail::parse(message.as_bytes()).unwrap_err();
    assert_eq!(refused(""), MailError::NotMail);
    assert_eq!(refused("To: b@example.com\n\n"), MailError::NoSender);
    assert_eq!(
        refused("From: a@example.com, b@example.com\n\n"),
        MailError::NoSender
    );
    for address in [
        "bob",
        "j\u{fc}rg@example.com",
        "a@b@c d",
        "\"a b\"@c.example",
    ] {
        let message = format!("From: a@example.com\nTo: {address}\n\n");
        assert!(
            matches!(refused(&message), MailError::Address(_)),
            "{address}"
        );
    }
    let unwrapped = outside::unwrap(LETTER.as_bytes());
    assert_eq!(unwrapped.unwrap_err(), MailError::NotSealed);
}

#[test]
fn accounts_can_be_called_otherwise_than_addresses() {
    let sealing = Sealing::default().with_account("Bob@Example.com", "Bob ");
    assert_eq!(sealing.account("bob@example.com"), "bob");
    assert_eq!(sealing.account("Carol@example.com"), "carol@example.com");
}

proptest! {
    #[test]
    fn nobody_in_bcc_is_left_in_the_message(
        name in "[bB][cC][cC] {0,2}",
        folding in prop::sample::select(vec![" ", "\r\n ", "\r\n\t", "\n  "]),
        before in "[A-Z][a-z]{1,9}: [ -~]{0,40}\r\n",
        after in "[A-Z][a-z]{1,9}: [ -~]{0,40}\r\n",
        body in "[ -~\r\n]{0,80}",
    ) {
        let message = format!(
            "{before}From: a@example.com\r\n{name}:{folding}<secret-1@example.com>,{folding}secret-2@example.com\r\n{after}\r\n{body}"
        );
        if let Ok(mail) = Mail::parse(message.as_bytes()) {
            prop_assert!(!text(&mail.bytes).contains("secret-"));
            prop_assert_eq!(mail.hidden(), ["secret-1@example.com", "secret-2@example.com"]);
            prop_assert!(mail.bytes.ends_with(body.as_bytes()));
        }
    }

    #[test]
    fn strangers_bytes_make_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Mail::parse(&bytes);
        let _ = outside::unwrap(&bytes);
        let mut message = b"From: a@example.com\nTo: b@example.com\n".to_vec();
        message.extend_from_slice(&bytes);
        let _ = Mail::parse(&message);
    }
}
