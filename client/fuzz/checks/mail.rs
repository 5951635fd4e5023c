//! What must hold of bytes that are said to be mail: each addressee stands in one place, and what is found in it as its sealed part stands in it.

use std::sync::LazyLock;

use strongroom_client::mail::{self, Mail};

/// A message of mail that carries what stands for a sealed one, and has all the fields that name somebody.
pub(crate) static SEALED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    b"From: \"Alice\" <alice@example.com>\r\nTo: bob@example.com,\r\n carol@example.com\r\nCc: A group: dan@example.com;\r\n\
      Bcc: erin@example.com\r\nResent-Bcc: =?utf-8?q?F?= <frank@example.com>\r\nSubject: [...]\r\n\
      Date: Fri, 27 Nov 2026 18:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
      --b\r\nContent-Type: text/plain\r\n\r\nsealed\r\n--b\r\nContent-Type: application/cose\r\n\
      Content-Transfer-Encoding: base64\r\n\r\n0INAQUJD\r\n--b--\r\n"
        .to_vec()
});

/// Holds these bytes against it.
pub(crate) fn check(data: &[u8]) {
    if let Ok(mail) = Mail::parse(data) {
        assert!(mail.from().contains('@'));
        let mut all: Vec<_> = mail.visible().iter().chain(mail.hidden()).collect();
        assert!(all.iter().all(|address| address.contains('@')));
        let count = all.len();
        all.sort_unstable_by_key(|address| address.to_ascii_lowercase());
        all.dedup_by_key(|address| address.to_ascii_lowercase());
        assert_eq!(all.len(), count, "somebody stands in it twice");
    }
    if let Ok(part) = mail::sealed_part(data) {
        assert!(part.len() <= data.len());
    }
}
