//! Evidence and documents: kept, shown to those who see the case, verified without the appliance; and what an edit of the database gains.

use rusqlite::Connection;
use strongroom_approval::{Evidence, Quorum, canonical, sha256};
use strongroom_keystore::Error;
use strongroom_wire::account::Role;
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::authorisation::{Authorisation, AuthorisationRecord};

use super::{Office, Officer, add_key};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "an_approval_is_verified_without_the_appliance",
        an_approval_is_verified_without_the_appliance,
    ),
    (
        "documents_are_shown_with_their_case_only",
        documents_are_shown_with_their_case_only,
    ),
    (
        "an_approval_key_is_its_holders",
        an_approval_key_is_its_holders,
    ),
    (
        "edited_authorisations_are_refused",
        edited_authorisations_are_refused,
    ),
    (
        "documents_are_not_readable_in_the_database",
        documents_are_not_readable_in_the_database,
    ),
];

fn document(office: &Office, of: &Authorisation, sha256: &str) -> Result<Vec<u8>, Error> {
    office
        .house
        .keystore
        .document_of_authorisation(&office.auditor.presented, of.id, sha256)
        .map(|document| document.content.0)
        .map_err(|refusal| refusal.error)
}

fn an_approval_is_verified_without_the_appliance() {
    let office = Office::new("lawful-evidence");
    let approved = office.approved();
    let record = document(&office, &approved, &approved.record_sha256).unwrap();
    assert_eq!(hex::encode(sha256(&record)), approved.record_sha256);
    let read: AuthorisationRecord = canonical::from_slice(&record).unwrap();
    assert_eq!(read, approved.record);
    let mut approvals = Vec::new();
    for given in &approved.approvals {
        let evidence = document(&office, &approved, &given.evidence_sha256).unwrap();
        let evidence = Evidence::from_bytes(&evidence).unwrap();
        let approval = evidence.verify().unwrap();
        // The key is bound to the account by a leaf, and so is the role.
        let all = RecordQuery::default();
        let records = office
            .house
            .keystore
            .records(&office.auditor.presented, all)
            .unwrap();
        let key = format!(" key {}", hex::encode(approval.key));
        assert!(records.records.iter().any(|record| {
            record.act == Act::CredentialAdd
                && record.actor == Some(approval.account)
                && record.note.as_deref().unwrap().ends_with(&key)
        }));
        assert!(records.records.iter().any(|record| {
            record.act == Act::AccountCreate
                && record.subject == Some(approval.account)
                && record
                    .note
                    .as_deref()
                    .unwrap()
                    .ends_with("roles [legal-approver]")
        }));
        approvals.push(approval);
    }
    let quorum = Quorum {
        count: 2,
        role: Role::LegalApprover,
    };
    let act = approvals[0].statement.clone();
    let excluded = [read.entered_by];
    assert!(quorum.met(&act, &approvals, &excluded, office.house.now()));
    assert!(!quorum.met(
        &act,
        &approvals,
        &[approvals[0].account],
        office.house.now()
    ));
}

fn documents_are_shown_with_their_case_only() {
    let office = Office::new("lawful-documents");
    let approved = office.approved();
    let warrant = approved.record.order.warrant.clone().unwrap().sha256;
    assert_eq!(
        document(&office, &approved, &warrant).unwrap(),
        b"In the name of the law"
    );
    let mut order = office.order(30);
    order.warrant = None;
    order.flags.emergency = true;
    let other = office.enter(order);
    let evidence = &approved.approvals[0].evidence_sha256;
    for sha256 in [
        &warrant,
        evidence,
        &approved.record_sha256,
        &"00".repeat(32),
    ] {
        let refused = document(&office, &other, sha256);
        assert!(matches!(refused, Err(Error::DocumentNotFound)), "{sha256}");
    }
    assert!(matches!(
        document(&office, &approved, "xyz"),
        Err(Error::Invalid(_))
    ));
}

fn an_approval_key_is_its_holders() {
    let office = Office::new("lawful-keys");
    let house = &office.house;
    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
    let add = |by: &Officer, request| {
        house
            .keystore
            .add_approval_key(&by.person.presented, request)
            .map_err(|refusal| refusal.error)
    };
    // What was signed for one account adds the key to no other.
    let stolen = add_key(house, office.ruben.account, &pair);
    assert!(matches!(
        add(&office.ruth, stolen),
        Err(Error::ApprovalRefused(_))
    ));
    // A key whose private half one does not have.
    let mut request = add_key(house, office.ruth.account, &pair);
    request.jws = add_key(
        house,
        office.ruth.account,
        &aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap(),
    )
    .jws;
    assert!(matches!(
        add(&office.ruth, request),
        Err(Error::ApprovalRefused(_))
    ));
    let added = add(&office.ruth, add_key(house, office.ruth.account, &pair))
        .unwrap()
        .key;
    assert_eq!(
        added.sha256,
        hex::encode(super::public(&pair).fingerprint())
    );
    // Nobody else's, once it is somebody's.
    let again = add(&office.ruben, add_key(house, office.ruben.account, &pair));
    assert!(matches!(again, Err(Error::Conflict(_))));
    let remove = |by: &Officer| {
        house
            .keystore
            .remove_approval_key(&by.person.presented, added.id)
    };
    assert!(matches!(
        remove(&office.ruben).unwrap_err().error,
        Error::CredentialNotFound
    ));
    remove(&office.ruth).unwrap();
    let left = house
        .keystore
        .approval_credentials(&office.ruth.person.presented)
        .unwrap();
    assert_eq!(left.keys.len(), 1);
    assert_eq!(left.keys[0].id, office.ruth.key);
}

/// Whoever edits the database gains nothing: what was edited is refused, and the log says so.
#[expect(clippy::too_many_lines, reason = "one edit after the other")]
fn edited_authorisations_are_refused() {
    let office = Office::new("lawful-edits");
    let waiting = office.enter(office.order(30));
    office.approve(&office.ruth, &waiting).unwrap();
    let database = Connection::open(office.house.database()).unwrap();
    let newest = || office.newest();
    let show = || {
        let shown = office
            .house
            .keystore
            .authorisation(&office.officer.presented, waiting.id);
        shown.map_err(|refusal| refusal.error)
    };
    for (what, edit, undo) in [
        (
            "approved by hand",
            "UPDATE authorisations SET state = 2",
            "UPDATE authorisations SET state = 1",
        ),
        (
            "a longer timespan",
            "UPDATE authorisations SET ends = ends + 1",
            "UPDATE authorisations SET ends = ends - 1",
        ),
        (
            "another record",
            "UPDATE authorisations SET record = zeroblob(32)",
            "",
        ),
    ] {
        let saved: Vec<u8> = database
            .query_row("SELECT record FROM authorisations", [], |row| row.get(0))
            .unwrap();
        database.execute_batch(edit).unwrap();
        let shown = show();
        assert!(
            matches!(shown, Err(Error::Integrity(_))),
            "{what}: {shown:?}"
        );
        let leaf = newest();
        assert!(
            !leaf.done && leaf.note.as_deref() == Some("integrity-failure"),
            "{what}: {leaf:?}"
        );
        if undo.is_empty() {
            database
                .execute("UPDATE authorisations SET record = ?1", [saved])
                .unwrap();
        } else {
            database.execute_batch(undo).unwrap();
        }
        show().unwrap();
    }
    for (what, edit) in [
        (
            "an approval of another",
            "UPDATE approvals SET account = (SELECT id FROM accounts WHERE name = 'ruben@example.com')",
        ),
        (
            "an approval that lasts",
            "UPDATE approvals SET valid_until = valid_until + 1",
        ),
        (
            "another's evidence",
            "UPDATE approvals SET evidence = zeroblob(32)",
        ),
        (
            "who entered it",
            "UPDATE authorisation_generations SET entered_by = (SELECT id FROM accounts WHERE name = 'admin@example.com')",
        ),
        (
            "a document",
            "UPDATE documents SET created = created + 1 WHERE kind = 3",
        ),
        (
            "an approval key",
            "UPDATE approval_keys SET account = (SELECT id FROM accounts WHERE name = 'ruben@example.com') WHERE account = (SELECT id FROM accounts WHERE name = 'ruth@example.com')",
        ),
    ] {
        database.execute_batch("SAVEPOINT edit").unwrap();
        database.execute_batch(edit).unwrap();
        database.execute_batch("RELEASE edit").unwrap();
        let refused = office.approve(&office.ruben, &waiting);
        assert!(
            matches!(refused, Err(Error::Integrity(_))),
            "{what}: {refused:?}"
        );
        office.expect_refused(Act::AuthorisationApprove, "integrity-failure case");
        // As it was.
        let undo = match what {
            "an approval of another" => {
                "UPDATE approvals SET account = (SELECT id FROM accounts WHERE name = 'ruth@example.com')"
            }
            "an approval that lasts" => "UPDATE approvals SET valid_until = valid_until - 1",
            "another's evidence" => {
                "UPDATE approvals SET evidence = (SELECT sha256 FROM documents WHERE kind = 3)"
            }
            "who entered it" => {
                "UPDATE authorisation_generations SET entered_by = (SELECT id FROM accounts WHERE name = 'carl@example.com')"
            }
            "a document" => "UPDATE documents SET created = created - 1 WHERE kind = 3",
            _ => continue,
        };
        database.execute_batch(undo).unwrap();
    }
}

fn documents_are_not_readable_in_the_database() {
    let office = Office::new("lawful-sealed");
    office.approved();
    let database = Connection::open(office.house.database()).unwrap();
    database
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let bytes = std::fs::read(office.house.database()).unwrap();
    for secret in ["In the name of the law", "GS 17/2027", "Nothing milder"] {
        let found = bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "{secret}");
    }
}
