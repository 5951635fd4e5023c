//! Every column of the schema is covered by a seal or MAC, or listed here with the reason why it decides nothing.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::schema;

/// How a column is kept honest.
enum Column {
    /// It stands in the record's canonical encoding, which a MAC or seal covers.
    Covered,
    /// It is the MAC, or the sealed or wrapped value, itself.
    Proof,
    /// It decides nothing, for this reason.
    Irrelevant(&'static str),
}
use Column::{Covered, Irrelevant, Proof};

const NODES: &str =
    "the tree's own hashes; recomputed from the leaves by `strongroomd audit verify`";
const COUNTS: &str = "it is drawn in charts; the leaves say what was done";
const TRANSCRIPT: &str = "the note is signed by the HSM, and its leaf has its SHA-256";
const LEAVES: &str = "covered by the Merkle tree and its signed checkpoints";
const NONCES: &str = "it can only take a request away; without it, one that was captured under TLS is good until it is out of date";
const INDEX: &str = "repeats what covered columns say so that rows are found; what is found through it is checked itself";

const CHANGES: &str =
    "it tells clients when to ask anew; what they are told then is checked itself";

const ATTEMPTS: &str = "when mail is tried again; what it says and to whom is sealed";

const COLUMNS: &[(&str, &str, Column)] = &[
    ("domains", "number", Covered),
    ("domains", "name", Covered),
    ("domains", "origin", Covered),
    ("domains", "domain_key", Covered),
    ("domains", "opaque_setup", Covered),
    ("domains", "checkpoint_key", Covered),
    ("domains", "created", Covered),
    ("domains", "policy", Covered),
    ("domains", "settings", Covered),
    ("domains", "mac", Proof),
    ("accounts", "id", Covered),
    ("accounts", "domain", Covered),
    ("accounts", "name", Covered),
    ("accounts", "kind", Covered),
    ("accounts", "state", Covered),
    ("accounts", "roles", Covered),
    ("accounts", "kek_version", Covered),
    ("accounts", "oldest_kek_version", Covered),
    ("accounts", "created", Covered),
    ("accounts", "mac", Proof),
    ("account_keks", "account", Covered),
    ("account_keks", "version", Covered),
    ("account_keks", "wrapped", Covered),
    ("account_keks", "mac", Proof),
    ("retired_master_keks", "domain", Covered),
    ("retired_master_keks", "version", Covered),
    ("retired_master_keks", "retired", Covered),
    ("retired_master_keks", "mac", Proof),
    ("recovery_keks", "domain", Covered),
    ("recovery_keks", "version", Covered),
    ("recovery_keks", "share_set", Covered),
    ("recovery_keks", "threshold", Covered),
    ("recovery_keks", "custodians", Covered),
    ("recovery_keks", "check_value", Covered),
    ("recovery_keks", "created", Covered),
    ("recovery_keks", "mac", Proof),
    ("recovery_blobs", "domain", Covered),
    ("recovery_blobs", "master_kek", Covered),
    ("recovery_blobs", "blob", Covered),
    ("recovery_blobs", "mac", Proof),
    ("checkpoint_keys", "domain", Covered),
    ("checkpoint_keys", "key", Covered),
    ("checkpoint_keys", "from_size", Covered),
    ("checkpoint_keys", "to_size", Covered),
    ("checkpoint_keys", "mac", Proof),
    ("transcripts", "domain", Irrelevant(TRANSCRIPT)),
    ("transcripts", "leaf", Irrelevant(TRANSCRIPT)),
    ("transcripts", "note", Irrelevant(TRANSCRIPT)),
    ("memberships", "group_id", Covered),
    ("memberships", "member", Covered),
    ("memberships", "membership", Covered),
    ("memberships", "group_kek_version", Covered),
    ("memberships", "member_kek_version", Covered),
    ("memberships", "sealed", Proof),
    ("credentials", "account", Covered),
    ("credentials", "kind", Covered),
    ("credentials", "data", Covered),
    ("credentials", "expires", Covered),
    ("credentials", "created", Covered),
    ("credentials", "used", Covered),
    ("credentials", "second_factor", Covered),
    ("credentials", "mac", Proof),
    ("passkeys", "id", Covered),
    ("passkeys", "account", Covered),
    ("passkeys", "credential", Covered),
    ("passkeys", "public_key", Covered),
    ("passkeys", "sign_count", Covered),
    ("passkeys", "name", Covered),
    ("passkeys", "created", Covered),
    ("passkeys", "used", Covered),
    ("passkeys", "mac", Proof),
    ("account_recoveries", "account", Covered),
    ("account_recoveries", "started_by", Covered),
    ("account_recoveries", "started", Covered),
    ("account_recoveries", "code", Covered),
    ("account_recoveries", "approved_by", Covered),
    ("account_recoveries", "approval", Covered),
    ("account_recoveries", "effective", Covered),
    ("account_recoveries", "expires", Covered),
    ("account_recoveries", "mac", Proof),
    ("invitations", "account", Covered),
    ("invitations", "created", Covered),
    ("invitations", "inviter", Covered),
    ("invitations", "mac", Proof),
    ("outbox", "id", Covered),
    ("outbox", "domain", Covered),
    ("outbox", "account", Covered),
    ("outbox", "expires", Covered),
    ("outbox", "sealed", Proof),
    ("outbox", "attempts", Irrelevant(ATTEMPTS)),
    ("outbox", "next_attempt", Irrelevant(ATTEMPTS)),
    ("sessions", "token_hash", Covered),
    ("sessions", "id", Covered),
    ("sessions", "account", Covered),
    ("sessions", "created", Covered),
    ("sessions", "expires", Covered),
    ("sessions", "source", Covered),
    ("sessions", "kek_version", Covered),
    ("sessions", "strength", Covered),
    ("sessions", "confirmed", Covered),
    ("sessions", "sealed", Proof),
    ("sessions", "seen", Covered),
    ("sessions", "seen_from", Covered),
    ("sessions", "seen_mac", Proof),
    ("devices", "account", Covered),
    ("devices", "domain", Covered),
    ("devices", "serial", Covered),
    ("devices", "fleet", Covered),
    ("devices", "paired_by", Covered),
    ("devices", "admitted", Covered),
    ("devices", "revoked", Covered),
    ("devices", "mac", Proof),
    ("account_secrets", "account", Covered),
    ("account_secrets", "generation", Covered),
    ("account_secrets", "created", Covered),
    ("account_secrets", "kek_version", Covered),
    ("account_secrets", "sealed", Proof),
    ("certificate_names", "domain", Covered),
    ("certificate_names", "kind", Covered),
    ("certificate_names", "value", Covered),
    ("certificate_names", "account", Covered),
    ("certificate_names", "created", Covered),
    ("certificate_names", "mac", Proof),
    ("identity_links", "domain", Covered),
    ("identity_links", "issuer", Covered),
    ("identity_links", "subject", Covered),
    ("identity_links", "account", Covered),
    ("identity_links", "created", Covered),
    ("identity_links", "used", Covered),
    ("identity_links", "mac", Proof),
    ("identity_memberships", "group_id", Covered),
    ("identity_memberships", "member", Covered),
    ("identity_memberships", "issuer", Covered),
    ("identity_memberships", "created", Covered),
    ("identity_memberships", "mac", Proof),
    ("directories", "id", Covered),
    ("directories", "domain", Covered),
    ("directories", "name", Covered),
    ("directories", "token_hash", Covered),
    ("directories", "token_created", Covered),
    ("directories", "expires", Covered),
    ("directories", "networks", Covered),
    ("directories", "created", Covered),
    ("directories", "mac", Proof),
    ("directory_accounts", "account", Covered),
    ("directory_accounts", "directory", Covered),
    ("directory_accounts", "kind", Covered),
    ("directory_accounts", "name", Covered),
    ("directory_accounts", "external_id", Covered),
    ("directory_accounts", "document", Covered),
    ("directory_accounts", "suspended", Covered),
    ("directory_accounts", "invited", Covered),
    ("directory_accounts", "created", Covered),
    ("directory_accounts", "updated", Covered),
    ("directory_accounts", "mac", Proof),
    ("spent_nonces", "account", Irrelevant(NONCES)),
    ("spent_nonces", "nonce", Irrelevant(NONCES)),
    ("spent_nonces", "expires", Irrelevant(NONCES)),
    ("requests", "account", Covered),
    ("requests", "idempotency_key", Covered),
    ("requests", "digest", Covered),
    ("requests", "keys", Covered),
    ("requests", "expires", Covered),
    ("requests", "mac", Proof),
    ("keys", "id", Covered),
    ("keys", "domain", Covered),
    ("keys", "owner", Covered),
    ("keys", "sender", Covered),
    ("keys", "recipients", Covered),
    ("keys", "algorithm", Covered),
    ("keys", "state", Covered),
    ("keys", "label", Covered),
    ("keys", "content_type", Covered),
    ("keys", "version", Covered),
    ("keys", "not_before", Covered),
    ("keys", "not_after", Covered),
    ("keys", "max_releases", Covered),
    ("keys", "restrictions", Covered),
    ("keys", "releases", Covered),
    ("keys", "created", Covered),
    ("keys", "length", Covered),
    ("keys", "releasable", Covered),
    ("keys", "origin", Covered),
    ("keys", "protection", Covered),
    ("keys", "authenticate_each", Covered),
    ("keys", "mac", Proof),
    ("public_keys", "key", Covered),
    ("public_keys", "version", Covered),
    ("public_keys", "public_key", Covered),
    ("public_keys", "mac", Proof),
    ("objects", "owner", Covered),
    ("objects", "id", Covered),
    ("objects", "part", Covered),
    ("objects", "domain", Covered),
    ("objects", "key", Covered),
    ("objects", "class", Covered),
    ("objects", "kind", Covered),
    ("objects", "label", Covered),
    ("objects", "cka_id", Covered),
    ("objects", "attributes", Covered),
    ("objects", "gone", Covered),
    ("objects", "created", Covered),
    ("objects", "updated", Covered),
    ("objects", "mac", Proof),
    ("changes", "account", Irrelevant(CHANGES)),
    ("changes", "number", Irrelevant(CHANGES)),
    ("key_recipients", "recipient", Irrelevant(INDEX)),
    ("key_recipients", "key", Irrelevant(INDEX)),
    ("grants", "id", Covered),
    ("grants", "key", Covered),
    ("grants", "grantee", Covered),
    ("grants", "granted_by", Covered),
    ("grants", "state", Covered),
    ("grants", "rights", Covered),
    ("grants", "not_before", Covered),
    ("grants", "not_after", Covered),
    ("grants", "max_releases", Covered),
    ("grants", "restrictions", Covered),
    ("grants", "releases", Covered),
    ("grants", "created", Covered),
    ("grants", "mac", Proof),
    ("grant_copies", "grant_id", Covered),
    ("grant_copies", "version", Covered),
    ("grant_copies", "kek_version", Covered),
    ("grant_copies", "sealed", Proof),
    ("leaves", "domain", Irrelevant(LEAVES)),
    ("leaves", "idx", Irrelevant(LEAVES)),
    ("leaves", "envelope", Irrelevant(LEAVES)),
    ("leaves", "salt", Irrelevant(LEAVES)),
    ("leaves", "detail", Irrelevant(LEAVES)),
    ("leaves_by_account", "account", Irrelevant(INDEX)),
    ("leaves_by_account", "domain", Irrelevant(INDEX)),
    ("leaves_by_account", "idx", Irrelevant(INDEX)),
    ("leaves_by_key", "key", Irrelevant(INDEX)),
    ("leaves_by_key", "domain", Irrelevant(INDEX)),
    ("leaves_by_key", "idx", Irrelevant(INDEX)),
    ("leaf_counts", "domain", Irrelevant(COUNTS)),
    ("leaf_counts", "hour", Irrelevant(COUNTS)),
    ("leaf_counts", "act", Irrelevant(COUNTS)),
    ("leaf_counts", "done", Irrelevant(COUNTS)),
    ("leaf_counts", "count", Irrelevant(COUNTS)),
    ("tree_nodes", "domain", Irrelevant(NODES)),
    ("tree_nodes", "idx", Irrelevant(NODES)),
    ("tree_nodes", "hash", Irrelevant(NODES)),
    (
        "checkpoints",
        "domain",
        Irrelevant("the note is signed by the HSM"),
    ),
    (
        "checkpoints",
        "size",
        Irrelevant("the note is signed by the HSM"),
    ),
    (
        "checkpoints",
        "note",
        Irrelevant("the note is signed by the HSM"),
    ),
];

#[test]
fn every_column_is_accounted_for() {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
        )
        .unwrap();
    let in_schema: BTreeSet<(String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let listed: BTreeSet<(String, String)> = COLUMNS
        .iter()
        .map(|(table, column, _)| ((*table).to_owned(), (*column).to_owned()))
        .collect();
    assert_eq!(in_schema, listed);
}

#[test]
fn covered_columns_stand_beside_their_proof() {
    for (table, column, kind) in COLUMNS {
        match kind {
            Covered => assert!(
                COLUMNS
                    .iter()
                    .any(|(other, _, kind)| other == table && matches!(kind, Proof)),
                "{table}.{column} is said to be covered in a table without a proof"
            ),
            Irrelevant(reason) => assert!(!reason.is_empty()),
            Proof => {}
        }
    }
}
