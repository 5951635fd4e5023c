//! The edits, one a line: what is edited, how, what it is meant to gain, and how that comes out.
//!
//! `{alice}`, `{key.shared}`, `{grant.shared}` and so on stand for identifiers of the prepared appliance.

use strongroom_wire::problem::Code;

use super::law::Lawful;

use super::world::Who::{self, Alice, Bob, Mallory, Suspended};

/// What is attempted. Keys are called by their names in [`super::world`].
#[derive(Debug)]
pub(crate) enum Attempt {
    Release(Who, &'static str),
    /// To make the request that alice made with an idempotency key again.
    Repeat(Who),
    ReleaseVersion(Who, &'static str, u32),
    Show(Who, &'static str),
    List(Who, &'static str),
    Share(Who, &'static str, &'static str),
    Grants(Who, &'static str),
    Rotate(Who, &'static str),
    Destroy(Who, &'static str),
    OwnAccount(Who),
    Sessions(Who),
    /// To see alice's certificate.
    ShowObject(Who),
    /// To find it.
    FindObject(Who),
    /// To say something else of it.
    PutObject(Who),
    Accounts(Who),
    /// To see leaves of others.
    Audit(Who),
    Members(Who),
    AddMember(Who, &'static str),
    /// As this account, with that one's password.
    SignIn(&'static str, &'static str),
    /// As this account, with that one's code.
    Enrol(&'static str, &'static str),
    /// Something of a case of lawful access, or of a proposal.
    Law(Lawful),
    Nothing,
}

/// How an attempt comes out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// Refused with this code, a leaf says so, and the answer names the leaf.
    Refused(Code),
    /// As a wrong password would be, with a leaf; the log says that a record was edited.
    SignInRefused,
    /// What was edited is left out of the list, and a leaf says that it does not match its seal.
    LeftOut,
    /// Refused or left out as before; there is nothing to tell.
    NothingMore,
    /// Nothing is gained by what there is now, and the scrub finds that the database does not follow from the log.
    Scrubbed,
    /// The appliance does not start, and says why.
    DoesNotServe,
}

/// An edit and what it is meant to gain.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// SQL statements, each of which must change something.
    pub(crate) edit: &'static str,
    pub(crate) attempt: Attempt,
    pub(crate) outcome: Outcome,
}

pub(crate) const fn case(
    name: &'static str,
    edit: &'static str,
    attempt: Attempt,
    outcome: Outcome,
) -> Case {
    Case {
        name,
        edit,
        attempt,
        outcome,
    }
}

use Attempt::{
    Accounts, AddMember, Audit, Destroy, Enrol, FindObject, Grants, List, Members, Nothing,
    OwnAccount, PutObject, Release, ReleaseVersion, Repeat, Rotate, Sessions, Share, Show,
    ShowObject, SignIn,
};
use Outcome::{DoesNotServe, LeftOut, NothingMore, SignInRefused};

/// The record that was edited is met and found not to match its seal.
pub(crate) const FOUND: Outcome = Outcome::Refused(Code::IntegrityFailure);

/// Every case.
#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    // Grants: rights, policies, who has them and who gave them.
    case("grant.rights widened", "UPDATE grants SET rights = 2047 WHERE id = {grant.shared}", Destroy(Bob, "shared"), FOUND),
    case("grant.rights widened, read", "UPDATE grants SET rights = 2047 WHERE id = {grant.shared}", Show(Bob, "shared"), FOUND),
    case("grant.grantee is mallory", "UPDATE grants SET grantee = {mallory} WHERE id = {grant.shared}", Release(Mallory, "shared"), FOUND),
    case("grant.grantee is mallory's group", "UPDATE grants SET grantee = {gang} WHERE id = {grant.for_group}", Release(Mallory, "for_group"), FOUND),
    case("grant.grantee is bob instead of the group", "UPDATE grants SET grantee = {bob} WHERE id = {grant.for_group}", Release(Bob, "for_group"), FOUND),
    case("grant.granted_by is bob", "UPDATE grants SET granted_by = {bob} WHERE id = {grant.shared}", Release(Bob, "shared"), FOUND),
    case("grant.key is another", "UPDATE grants SET key = {key.other} WHERE id = {grant.shared}", Release(Bob, "other"), FOUND),
    case("grant.id is another", "UPDATE grants SET id = {new} WHERE id = {grant.shared}; UPDATE grant_copies SET grant_id = {new} WHERE grant_id = {grant.shared}", Release(Bob, "shared"), FOUND),
    case("grant.state is active again", "UPDATE grants SET state = 1 WHERE id = {grant.revoked}", Release(Bob, "revoked"), FOUND),
    case("grant.state is active again, with the owner's copy", "UPDATE grants SET state = 1 WHERE id = {grant.revoked}; INSERT INTO grant_copies SELECT {grant.revoked}, version, kek_version, sealed FROM grant_copies WHERE grant_id = {own.revoked}", Release(Bob, "revoked"), FOUND),
    case("grant.state has no meaning", "UPDATE grants SET state = 7 WHERE id = {grant.shared}", Release(Bob, "shared"), FOUND),
    case("grant.rights have no meaning", "UPDATE grants SET rights = 4096 WHERE id = {grant.shared}", Release(Bob, "shared"), FOUND),
    case("grant.not_before removed", "UPDATE grants SET not_before = NULL WHERE id = {grant.grant_too_early}", Release(Bob, "grant_too_early"), FOUND),
    case("grant.not_before earlier", "UPDATE grants SET not_before = 1 WHERE id = {grant.grant_too_early}", Release(Bob, "grant_too_early"), FOUND),
    case("grant.not_after removed", "UPDATE grants SET not_after = NULL WHERE id = {grant.grant_too_late}", Release(Bob, "grant_too_late"), FOUND),
    case("grant.not_after later", "UPDATE grants SET not_after = not_after + 31536000000 WHERE id = {grant.grant_too_late}", Release(Bob, "grant_too_late"), FOUND),
    case("grant.max_releases removed", "UPDATE grants SET max_releases = NULL WHERE id = {grant.grant_used_up}", Release(Bob, "grant_used_up"), FOUND),
    case("grant.max_releases raised", "UPDATE grants SET max_releases = 1000 WHERE id = {grant.grant_used_up}", Release(Bob, "grant_used_up"), FOUND),
    case("grant.releases reset", "UPDATE grants SET releases = 0 WHERE id = {grant.grant_used_up}", Release(Bob, "grant_used_up"), FOUND),
    case("grant.restrictions removed", "UPDATE grants SET restrictions = NULL WHERE id = {grant.grant_elsewhere}", Release(Bob, "grant_elsewhere"), FOUND),
    case("grant.restrictions of every network", "UPDATE grants SET restrictions = x'87814500000000f6f680f6f4f6' WHERE id = {grant.grant_elsewhere}", Release(Bob, "grant_elsewhere"), FOUND),
    case("grant.restrictions have no meaning", "UPDATE grants SET restrictions = x'00' WHERE id = {grant.shared}", Release(Bob, "shared"), FOUND),
    case("grant.created earlier", "UPDATE grants SET created = created - 1 WHERE id = {grant.shared}", Release(Bob, "shared"), FOUND),
    case("grant.mac of another grant", "UPDATE grants SET mac = (SELECT mac FROM grants WHERE id = {own.shared}) WHERE id = {grant.shared}", Release(Bob, "shared"), FOUND),
    case("the owner's grant is mallory's", "UPDATE grants SET grantee = {mallory} WHERE id = {own.shared}", Destroy(Mallory, "shared"), FOUND),
    case("a grant forged from bob's", "INSERT INTO grants SELECT {new}, key, {mallory}, granted_by, state, rights, not_before, not_after, max_releases, releases, created, mac, restrictions FROM grants WHERE id = {grant.shared}; INSERT INTO grant_copies SELECT {new}, version, kek_version, sealed FROM grant_copies WHERE grant_id = {grant.shared}", Release(Mallory, "shared"), FOUND),
    case("a grant forged from mallory's own", "INSERT INTO grants SELECT {new}, {key.shared}, grantee, granted_by, state, rights, not_before, not_after, max_releases, releases, created, mac, restrictions FROM grants WHERE id = {own.mallorys}; INSERT INTO grant_copies SELECT {new}, version, kek_version, sealed FROM grant_copies WHERE grant_id = {own.mallorys}", Show(Mallory, "shared"), FOUND),
    case("a revoked grant forged, to see the key", "INSERT INTO grants SELECT {new}, {key.shared}, grantee, granted_by, 2, rights, not_before, not_after, max_releases, releases, created, mac, restrictions FROM grants WHERE id = {own.mallorys}", Show(Mallory, "shared"), FOUND),
    case("all grants shown to the owner", "UPDATE grants SET rights = 1 WHERE id = {grant.shared}", Grants(Alice, "shared"), FOUND),

    // Sealed copies: swapped between accounts, keys and versions.
    case("copy.sealed of another account", "UPDATE grant_copies SET sealed = (SELECT sealed FROM grant_copies WHERE grant_id = {own.shared}) WHERE grant_id = {grant.shared}", Release(Bob, "shared"), FOUND),
    case("copy.sealed of another key", "UPDATE grant_copies SET sealed = (SELECT sealed FROM grant_copies WHERE grant_id = {grant.compromised}) WHERE grant_id = {grant.shared}", Release(Bob, "shared"), FOUND),
    case("copy.sealed of another version", "UPDATE grant_copies SET sealed = (SELECT sealed FROM grant_copies WHERE grant_id = {grant.rotated} AND version = 1) WHERE grant_id = {grant.rotated} AND version = 2", Release(Bob, "rotated"), FOUND),
    case("copy.sealed of an older version, asked for", "UPDATE grant_copies SET sealed = (SELECT sealed FROM grant_copies WHERE grant_id = {grant.rotated} AND version = 2) WHERE grant_id = {grant.rotated} AND version = 1", ReleaseVersion(Bob, "rotated", 1), FOUND),
    case("copy.sealed of alice's key under mallory's grant", "UPDATE grant_copies SET sealed = (SELECT sealed FROM grant_copies WHERE grant_id = {own.shared}) WHERE grant_id = {own.mallorys}", Release(Mallory, "mallorys"), FOUND),
    case("copy.grant_id is mallory's", "DELETE FROM grant_copies WHERE grant_id = {own.mallorys}; UPDATE grant_copies SET grant_id = {own.mallorys} WHERE grant_id = {grant.shared}", Release(Mallory, "mallorys"), FOUND),
    case("copy.version is another", "UPDATE grant_copies SET version = version + 10 WHERE grant_id = {grant.shared}", Release(Bob, "shared"), FOUND),
    case("copy.version exchanged", "UPDATE grant_copies SET version = 9 WHERE grant_id = {grant.rotated} AND version = 2; UPDATE grant_copies SET version = 2 WHERE grant_id = {grant.rotated} AND version = 1", Release(Bob, "rotated"), FOUND),
    case("copy.kek_version is another", "UPDATE grant_copies SET kek_version = 2 WHERE grant_id = {grant.shared}", Release(Bob, "shared"), FOUND),
    case("copy removed", "DELETE FROM grant_copies WHERE grant_id = {grant.shared}", Release(Bob, "shared"), FOUND),
    case("copy cut short", "UPDATE grant_copies SET sealed = substr(sealed, 1, 5) WHERE grant_id = {grant.shared}", Release(Bob, "shared"), FOUND),

    // Keys: states, policies, owners, versions and what people see of them.
    case("key.state is active, not destroyed", "UPDATE keys SET state = 2 WHERE id = {key.destroyed}", Release(Bob, "destroyed"), FOUND),
    case("key.state is active, not suspended", "UPDATE keys SET state = 2 WHERE id = {key.suspended}", Release(Bob, "suspended"), FOUND),
    case("key.state is active, not compromised", "UPDATE keys SET state = 2 WHERE id = {key.compromised}", Release(Bob, "compromised"), FOUND),
    case("key.state has no meaning", "UPDATE keys SET state = 9 WHERE id = {key.shared}", Release(Bob, "shared"), FOUND),
    case("key.owner is bob", "UPDATE keys SET owner = {bob} WHERE id = {key.compromised}", Release(Bob, "compromised"), FOUND),
    case("key.owner is mallory", "UPDATE keys SET owner = {mallory} WHERE id = {key.shared}", Release(Mallory, "shared"), Outcome::Refused(Code::KeyNotFound)),
    case("key.domain is another", "UPDATE keys SET domain = 2 WHERE id = {key.shared}", Release(Bob, "shared"), Outcome::Refused(Code::KeyNotFound)),
    case("key.version is an older one", "UPDATE keys SET version = 1 WHERE id = {key.rotated}", Release(Bob, "rotated"), FOUND),
    case("key.version is one to come", "UPDATE keys SET version = 9 WHERE id = {key.shared}", Release(Bob, "shared"), FOUND),
    case("key.algorithm is another", "UPDATE keys SET algorithm = 2 WHERE id = {key.shared}", Release(Bob, "shared"), FOUND),
    case("key.length where there is none", "UPDATE keys SET length = 32 WHERE id = {key.shared}", Release(Bob, "shared"), FOUND),
    case("key.releasable is another", "UPDATE keys SET releasable = 2 WHERE id = {key.shared}", Show(Bob, "shared"), FOUND),
    case("key.releasable has no meaning", "UPDATE keys SET releasable = 9 WHERE id = {key.shared}", Release(Bob, "shared"), FOUND),
    case("key.authenticate_each where it is not so", "UPDATE keys SET authenticate_each = 1 WHERE id = {key.shared}", Show(Bob, "shared"), FOUND),
    case("key.authenticate_each has no meaning", "UPDATE keys SET authenticate_each = 2 WHERE id = {key.shared}", Show(Bob, "shared"), FOUND),
    case("key.restrictions with other mechanisms", "UPDATE keys SET restrictions = CAST(x'88' || substr(restrictions, 2) || x'816465636468' AS BLOB) WHERE id = {key.elsewhere}", Show(Alice, "elsewhere"), FOUND),
    case("key.origin is another", "UPDATE keys SET origin = 2 WHERE id = {key.shared}", Release(Bob, "shared"), FOUND),
    case("key.protection is another", "UPDATE keys SET protection = 2 WHERE id = {key.shared}", Release(Bob, "shared"), FOUND),
    case("key.algorithm is of key pairs, without a public key", "UPDATE keys SET algorithm = 20 WHERE id = {key.shared}", Show(Bob, "shared"), FOUND),
    case("key.label", "UPDATE keys SET label = 'harmless' WHERE id = {key.shared}", Show(Bob, "shared"), FOUND),
    case("key.label in a list", "UPDATE keys SET label = 'harmless' WHERE id = {key.shared}", List(Bob, "shared"), LeftOut),
    case("key.content_type", "UPDATE keys SET content_type = 'text/html' WHERE id = {key.shared}", Show(Bob, "shared"), FOUND),
    case("key.sender", "UPDATE keys SET sender = {bob} WHERE id = {key.shared}", Show(Bob, "shared"), FOUND),
    case("key.recipients", "UPDATE keys SET recipients = CAST(recipients || {mallory} AS BLOB) WHERE id = {key.shared}", Show(Bob, "shared"), FOUND),
    case("key.recipients cut short", "UPDATE keys SET recipients = substr(recipients, 1, 7) WHERE id = {key.shared}", Show(Bob, "shared"), FOUND),
    case("key.created", "UPDATE keys SET created = created - 1 WHERE id = {key.shared}", Show(Bob, "shared"), FOUND),
    case("key.not_before removed", "UPDATE keys SET not_before = NULL WHERE id = {key.too_early}", Release(Bob, "too_early"), FOUND),
    case("key.restrictions removed", "UPDATE keys SET restrictions = NULL WHERE id = {key.elsewhere}", Release(Bob, "elsewhere"), FOUND),
    case("key.restrictions of another network", "UPDATE keys SET restrictions = x'8781457f00000008f6f680f6f4f6' WHERE id = {key.elsewhere}", Release(Bob, "elsewhere"), FOUND),
    case("key.restrictions with something behind them", "UPDATE keys SET restrictions = CAST(restrictions || x'00' AS BLOB) WHERE id = {key.elsewhere}", Release(Bob, "elsewhere"), FOUND),
    case("key.not_after removed", "UPDATE keys SET not_after = NULL WHERE id = {key.too_late}", Release(Bob, "too_late"), FOUND),
    case("key.max_releases removed", "UPDATE keys SET max_releases = NULL WHERE id = {key.used_up}", Release(Bob, "used_up"), FOUND),
    case("key.max_releases raised", "UPDATE keys SET max_releases = 1000 WHERE id = {key.used_up}", Release(Bob, "used_up"), FOUND),
    case("key.releases reset", "UPDATE keys SET releases = 0 WHERE id = {key.used_up}", Release(Bob, "used_up"), FOUND),
    case("key.mac of another key", "UPDATE keys SET mac = (SELECT mac FROM keys WHERE id = {key.other}) WHERE id = {key.shared}", Release(Bob, "shared"), FOUND),
    case("key.id exchanged with another's", "UPDATE keys SET id = {new} WHERE id = {key.shared}; UPDATE keys SET id = {key.shared} WHERE id = {key.other}", Release(Bob, "shared"), FOUND),
    case("key shared after an edit", "UPDATE keys SET label = 'other label' WHERE id = {key.other}", Share(Alice, "other", "mallory@example.com"), FOUND),
    case("key rotated after an edit", "UPDATE keys SET label = 'other label' WHERE id = {key.shared}", Rotate(Alice, "shared"), FOUND),
    case("key destroyed after an edit", "UPDATE keys SET owner = {bob} WHERE id = {key.shared}", Destroy(Alice, "shared"), FOUND),

    // Objects: whose they are, what is said of them, and that one was removed.
    case("object.owner is mallory", "UPDATE objects SET owner = {mallory} WHERE id = {object}", ShowObject(Mallory), FOUND),
    case("object.owner is mallory, in a list", "UPDATE objects SET owner = {mallory} WHERE id = {object}", FindObject(Mallory), LeftOut),
    case("object.id is another", "UPDATE objects SET id = {new} WHERE id = {object}", FindObject(Alice), LeftOut),
    case("object.part is another", "UPDATE objects SET part = 3 WHERE id = {object}", FindObject(Alice), LeftOut),
    case("object.domain is another", "UPDATE objects SET domain = 2 WHERE id = {object}", ShowObject(Alice), FOUND),
    case("object.key is alice's", "UPDATE objects SET key = {key.shared} WHERE id = {object}", ShowObject(Alice), FOUND),
    case("object.class is another", "UPDATE objects SET class = 0 WHERE id = {object}", ShowObject(Alice), FOUND),
    case("object.kind is another", "UPDATE objects SET kind = 1 WHERE id = {object}", ShowObject(Alice), FOUND),
    case("object.label is another", "UPDATE objects SET label = x'776562' WHERE id = {object}", FindObject(Alice), LeftOut),
    case("object.cka_id is another", "UPDATE objects SET cka_id = x'02' WHERE id = {object}", ShowObject(Alice), FOUND),
    case("object.attributes are another certificate", "UPDATE objects SET attributes = x'00' WHERE id = {object}", ShowObject(Alice), FOUND),
    case("object.attributes, written over", "UPDATE objects SET attributes = x'00' WHERE id = {object}", PutObject(Alice), FOUND),
    case("object.gone no more", "UPDATE objects SET gone = 0 WHERE id = {object.hidden} AND part = 3", FindObject(Bob), LeftOut),
    case("object.created earlier", "UPDATE objects SET created = created - 1 WHERE id = {object}", ShowObject(Alice), FOUND),
    case("object.updated earlier", "UPDATE objects SET updated = updated - 1 WHERE id = {object}", ShowObject(Alice), FOUND),
    case("object.mac of another", "UPDATE objects SET mac = (SELECT mac FROM keys LIMIT 1) WHERE id = {object}", ShowObject(Alice), FOUND),

    // Remembered requests: what they created and for whom.
    case("request.keys are another's", "UPDATE requests SET keys = CAST({key.other} || x'0000000000000000' AS BLOB)", Repeat(Alice), FOUND),
    case("request.keys have no meaning", "UPDATE requests SET keys = substr(keys, 1, 7)", Repeat(Alice), FOUND),
    case("request.account is mallory's", "UPDATE requests SET account = {mallory}", Repeat(Mallory), FOUND),
    case("request.digest of another", "UPDATE requests SET digest = zeroblob(32)", Repeat(Alice), FOUND),
    case("request.expires later", "UPDATE requests SET expires = expires + 31536000000", Repeat(Alice), FOUND),
    case("request.mac of a key", "UPDATE requests SET mac = (SELECT mac FROM keys LIMIT 1)", Repeat(Alice), FOUND),

    // Accounts: roles, states, names, kinds.
    case("account.roles with administrator", "UPDATE accounts SET roles = 1 WHERE id = {mallory}", Accounts(Mallory), FOUND),
    case("account.roles with auditor", "UPDATE accounts SET roles = 2 WHERE id = {mallory}", Audit(Mallory), FOUND),
    case("account.roles have no meaning", "UPDATE accounts SET roles = 64 WHERE id = {mallory}", OwnAccount(Mallory), FOUND),
    case("account.state is active again, with its old session", "UPDATE accounts SET state = 2 WHERE id = {suspended}; INSERT INTO sessions VALUES ({suspended_session_row})", OwnAccount(Suspended), FOUND),
    case("account.state is active again, to sign in", "UPDATE accounts SET state = 2 WHERE id = {suspended}", SignIn("suspended@example.com", "suspended@example.com"), SignInRefused),
    case("account.state is active, with mallory's credential", "UPDATE accounts SET state = 2 WHERE name = 'carol@example.com'; INSERT INTO credentials (account, kind, data, expires, created, used, second_factor, mac) SELECT (SELECT id FROM accounts WHERE name = 'carol@example.com'), 2, data, expires, created, used, second_factor, mac FROM credentials WHERE account = {mallory} AND kind = 2", SignIn("carol@example.com", "mallory@example.com"), SignInRefused),
    case("account.state is pending, with another's code", "UPDATE accounts SET state = 1 WHERE id = {alice}; INSERT INTO credentials (account, kind, data, expires, created, used, second_factor, mac) SELECT {alice}, 1, data, expires, created, used, second_factor, mac FROM credentials WHERE account = (SELECT id FROM accounts WHERE name = 'carol@example.com') AND kind = 1", Enrol("alice@example.com", "carol@example.com"), FOUND),
    case("account.name exchanged, to receive a key", "UPDATE accounts SET name = 'x' WHERE id = {bob}; UPDATE accounts SET name = 'bob@example.com' WHERE id = {mallory}", Share(Alice, "other", "bob@example.com"), FOUND),
    case("account.name exchanged, to sign in", "UPDATE accounts SET name = 'x' WHERE id = {alice}; UPDATE accounts SET name = 'alice@example.com' WHERE id = {mallory}", SignIn("alice@example.com", "mallory@example.com"), SignInRefused),
    case("account.kind is service", "UPDATE accounts SET kind = 3 WHERE id = {mallory}", OwnAccount(Mallory), FOUND),
    case("account.kind of a group is person, with mallory's credential", "UPDATE accounts SET kind = 1 WHERE id = {team}; INSERT INTO credentials (account, kind, data, expires, created, used, second_factor, mac) SELECT {team}, 2, data, expires, created, used, second_factor, mac FROM credentials WHERE account = {mallory} AND kind = 2", SignIn("team", "mallory@example.com"), SignInRefused),
    case("account.kek_version is another", "UPDATE accounts SET kek_version = 2 WHERE id = {mallory}", OwnAccount(Mallory), FOUND),
    case("account.oldest_kek_version is another", "UPDATE accounts SET oldest_kek_version = 2 WHERE id = {mallory}", OwnAccount(Mallory), FOUND),
    case("account.domain is another", "UPDATE accounts SET domain = 2 WHERE id = {mallory}", OwnAccount(Mallory), FOUND),
    case("account.created", "UPDATE accounts SET created = created - 1 WHERE id = {mallory}", OwnAccount(Mallory), FOUND),
    case("account.id exchanged", "UPDATE accounts SET id = {new} WHERE id = {mallory}; UPDATE accounts SET id = {mallory} WHERE id = {admin}", Accounts(Mallory), FOUND),
    case("account.mac of another", "UPDATE accounts SET mac = (SELECT mac FROM accounts WHERE id = {admin}) WHERE id = {mallory}", OwnAccount(Mallory), FOUND),
    case("an account forged from the administrator's", "INSERT INTO accounts (id, domain, name, kind, state, roles, kek_version, created, mac) SELECT {new}, domain, 'eve@example.com', kind, state, roles, kek_version, created, mac FROM accounts WHERE id = {admin}; INSERT INTO credentials (account, kind, data, expires, created, used, second_factor, mac) SELECT {new}, 2, data, expires, created, used, second_factor, mac FROM credentials WHERE account = {mallory} AND kind = 2", SignIn("eve@example.com", "mallory@example.com"), SignInRefused),
    case("a group's state", "UPDATE accounts SET state = 3 WHERE id = {team}", Release(Bob, "for_group"), FOUND),

    // Account KEKs: exchanged between accounts.
    case("kek.wrapped is alice's", "UPDATE account_keks SET wrapped = (SELECT wrapped FROM account_keks WHERE account = {alice}) WHERE account = {mallory}", OwnAccount(Mallory), FOUND),
    case("kek.wrapped and kek.mac are alice's", "UPDATE account_keks SET (wrapped, mac) = (SELECT wrapped, mac FROM account_keks WHERE account = {alice}) WHERE account = {mallory}", OwnAccount(Mallory), FOUND),
    case("kek.account is another", "DELETE FROM account_keks WHERE account = {mallory}; UPDATE account_keks SET account = {mallory} WHERE account = {alice}", OwnAccount(Mallory), FOUND),
    case("kek.version is another", "UPDATE account_keks SET version = 2 WHERE account = {mallory}", OwnAccount(Mallory), FOUND),
    case("kek.wrapped damaged", "UPDATE account_keks SET wrapped = CAST(substr(wrapped, 1, length(wrapped) - 8) || x'0000000000000000' AS BLOB) WHERE account = {mallory}", OwnAccount(Mallory), FOUND),
    case("kek.wrapped of a grantee", "UPDATE account_keks SET wrapped = (SELECT wrapped FROM account_keks WHERE account = {mallory}) WHERE account = {bob}", Share(Alice, "other", "bob@example.com"), FOUND),
    case("kek forged as a newer version", "UPDATE accounts SET kek_version = 2 WHERE id = {bob}; INSERT INTO account_keks SELECT {bob}, 2, wrapped, mac FROM account_keks WHERE account = {mallory}", Share(Alice, "other", "bob@example.com"), FOUND),

    // Memberships of groups.
    case("membership.membership is manager", "UPDATE memberships SET membership = 2 WHERE group_id = {team} AND member = {bob}", AddMember(Bob, "mallory@example.com"), FOUND),
    case("membership.member is mallory", "UPDATE memberships SET member = {mallory} WHERE group_id = {team} AND member = {bob}", Release(Mallory, "for_group"), FOUND),
    case("membership.group_id is another, to release", "UPDATE memberships SET group_id = {team} WHERE member = {mallory}", Release(Mallory, "for_group"), FOUND),
    case("membership.group_id is another, to see a key", "UPDATE memberships SET group_id = {team} WHERE member = {mallory}", Show(Mallory, "for_group"), FOUND),
    case("membership.group_id is another, to see a key that was the group's", "UPDATE memberships SET group_id = {team} WHERE member = {mallory}", Show(Mallory, "once_groups"), FOUND),
    case("membership.group_id is another, to list a key that was the group's", "UPDATE memberships SET group_id = {team} WHERE member = {mallory}", List(Mallory, "once_groups"), LeftOut),
    case("membership.group_id is another, to see the members", "UPDATE memberships SET group_id = {team} WHERE member = {mallory}", Members(Mallory), FOUND),
    case("membership forged from a manager's", "INSERT INTO memberships SELECT group_id, {mallory}, membership, group_kek_version, member_kek_version, sealed FROM memberships WHERE group_id = {team} AND member = {alice}", AddMember(Mallory, "mallory@example.com"), FOUND),
    case("membership.group_kek_version", "UPDATE memberships SET group_kek_version = 2 WHERE group_id = {team} AND member = {bob}", Release(Bob, "for_group"), FOUND),
    case("membership.member_kek_version", "UPDATE memberships SET member_kek_version = 2 WHERE group_id = {team} AND member = {bob}", Release(Bob, "for_group"), FOUND),
    case("membership.sealed of another member", "UPDATE memberships SET sealed = (SELECT sealed FROM memberships WHERE member = {alice}) WHERE group_id = {team} AND member = {bob}", Release(Bob, "for_group"), FOUND),

    // Credentials.
    case("credential.data is mallory's", "UPDATE credentials SET data = (SELECT data FROM credentials WHERE account = {mallory}) WHERE account = {alice} AND kind = 2", SignIn("alice@example.com", "mallory@example.com"), SignInRefused),
    case("credential.data and credential.mac are mallory's", "UPDATE credentials SET (data, mac) = (SELECT data, mac FROM credentials WHERE account = {mallory}) WHERE account = {alice} AND kind = 2", SignIn("alice@example.com", "mallory@example.com"), SignInRefused),
    case("credential.account is another", "DELETE FROM credentials WHERE account = {alice}; UPDATE credentials SET account = {alice} WHERE account = {mallory}", SignIn("alice@example.com", "mallory@example.com"), SignInRefused),
    case("credential.data damaged", "UPDATE credentials SET data = substr(data, 1, 20) WHERE account = {alice}", SignIn("alice@example.com", "mallory@example.com"), SignInRefused),
    case("credential.kind is another", "DELETE FROM credentials WHERE account = {alice}; UPDATE credentials SET account = {alice}, kind = 2 WHERE account = (SELECT id FROM accounts WHERE name = 'carol@example.com')", SignIn("alice@example.com", "mallory@example.com"), SignInRefused),
    case("credential.created earlier", "UPDATE credentials SET created = created - 1 WHERE account = {alice}", SignIn("alice@example.com", "alice@example.com"), SignInRefused),
    case("credential.used is another", "UPDATE credentials SET used = 1 WHERE account = {alice}", SignIn("alice@example.com", "alice@example.com"), SignInRefused),
    case("credential.second_factor is another", "UPDATE credentials SET second_factor = 1 WHERE account = {alice}", SignIn("alice@example.com", "alice@example.com"), SignInRefused),
    case("credential.expires later", "UPDATE credentials SET expires = expires + 31536000000 WHERE account = (SELECT id FROM accounts WHERE name = 'late@example.com')", Enrol("late@example.com", "late@example.com"), FOUND),
    case("credential.expires removed", "UPDATE credentials SET expires = NULL WHERE account = (SELECT id FROM accounts WHERE name = 'late@example.com')", Enrol("late@example.com", "late@example.com"), FOUND),
    case("credential of another code", "UPDATE credentials SET (data, expires) = (SELECT data, expires + 31536000000 FROM credentials WHERE account = (SELECT id FROM accounts WHERE name = 'late@example.com')) WHERE account = (SELECT id FROM accounts WHERE name = 'carol@example.com')", Enrol("carol@example.com", "late@example.com"), FOUND),
    case("a code forged for an enrolled account", "INSERT INTO credentials (account, kind, data, expires, created, used, second_factor, mac) SELECT {alice}, 1, data, expires, created, used, second_factor, mac FROM credentials WHERE account = (SELECT id FROM accounts WHERE name = 'carol@example.com') AND kind = 1", Enrol("alice@example.com", "carol@example.com"), FOUND),

    // Sessions.
    case("session.account is alice", "UPDATE sessions SET account = {alice} WHERE id = {session.mallory}", Release(Mallory, "shared"), FOUND),
    case("session.account and session.sealed are alice's", "UPDATE sessions SET (account, sealed) = (SELECT account, sealed FROM sessions WHERE id = {session.alice}) WHERE id = {session.mallory}", Release(Mallory, "shared"), FOUND),
    case("session.token_hash of mallory in alice's session", "DELETE FROM sessions WHERE id = {session.mallory}; UPDATE sessions SET token_hash = {token.mallory} WHERE id = {session.alice}", Release(Mallory, "shared"), FOUND),
    case("session.expires is another", "UPDATE sessions SET expires = expires + 31536000000 WHERE id = {session.mallory}", OwnAccount(Mallory), FOUND),
    case("session.created is another", "UPDATE sessions SET created = created - 1 WHERE id = {session.mallory}", OwnAccount(Mallory), FOUND),
    case("session.source is another", "UPDATE sessions SET source = '192.0.2.1' WHERE id = {session.mallory}", OwnAccount(Mallory), FOUND),
    case("session.kek_version is another", "UPDATE sessions SET kek_version = 2 WHERE id = {session.mallory}", OwnAccount(Mallory), FOUND),
    case("session.id is another", "UPDATE sessions SET id = {new} WHERE id = {session.mallory}", OwnAccount(Mallory), FOUND),
    case("session.strength is a passkey's", "UPDATE sessions SET strength = 40 WHERE id = {session.mallory}", OwnAccount(Mallory), FOUND),
    case("session.confirmed later", "UPDATE sessions SET confirmed = confirmed + 3600000 WHERE id = {session.mallory}", OwnAccount(Mallory), FOUND),
    case("session.seen later", "UPDATE sessions SET seen = seen + 3600000 WHERE id = {session.mallory}", OwnAccount(Mallory), FOUND),
    case("session.seen_from is another", "UPDATE sessions SET seen_from = '192.0.2.1' WHERE id = {session.mallory}", OwnAccount(Mallory), FOUND),
    case("session.seen_mac of another session", "UPDATE sessions SET (seen, seen_from, seen_mac) = (SELECT seen, seen_from, seen_mac FROM sessions WHERE id = {session.admin}) WHERE id = {session.mallory}", OwnAccount(Mallory), FOUND),
    case("session.sealed is another", "UPDATE sessions SET sealed = zeroblob(length(sealed)) WHERE id = {session.mallory}", OwnAccount(Mallory), FOUND),
    case("session.sealed is empty", "UPDATE sessions SET sealed = x'' WHERE id = {session.mallory}", OwnAccount(Mallory), FOUND),
    case("a session forged from the administrator's", "DELETE FROM sessions WHERE id = {session.mallory}; INSERT INTO sessions SELECT {token.mallory}, {new}, account, created, expires, source, kek_version, sealed, strength, confirmed, seen, seen_from, seen_mac FROM sessions WHERE id = {session.admin}", Accounts(Mallory), FOUND),
    case("session.expires of another in the list", "UPDATE sessions SET expires = expires + 31536000000 WHERE id = {session.mallory}", Sessions(Mallory), FOUND),

    // The domain: with an edited one the appliance does not serve.
    case("domain.name", "UPDATE domains SET name = 'other'", Nothing, DoesNotServe),
    case("domain.number", "UPDATE domains SET number = 2", Nothing, DoesNotServe),
    case("domain.origin", "UPDATE domains SET origin = 'elsewhere.example/default'", Nothing, DoesNotServe),
    case("domain.domain_key of an account", "UPDATE domains SET domain_key = (SELECT wrapped FROM account_keks WHERE account = {mallory})", Nothing, DoesNotServe),
    case("domain.domain_key", "UPDATE domains SET domain_key = CAST(substr(domain_key, 1, length(domain_key) - 8) || x'0000000000000000' AS BLOB)", Nothing, DoesNotServe),
    case("domain.opaque_setup", "UPDATE domains SET opaque_setup = zeroblob(length(opaque_setup))", Nothing, DoesNotServe),
    case("domain.checkpoint_key", "UPDATE domains SET checkpoint_key = randomblob(32)", Nothing, DoesNotServe),
    case("domain.policy removed", "UPDATE domains SET policy = NULL", Nothing, DoesNotServe),
    case("domain.policy has no meaning", "UPDATE domains SET policy = x'00'", Nothing, DoesNotServe),
    case("domain.settings removed", "UPDATE domains SET settings = NULL", Nothing, DoesNotServe),
    case("domain.settings with other quotas", "UPDATE domains SET settings = x'86f41a000f4241f6f6f6f6'", Nothing, DoesNotServe),
    case("domain.settings that suspend it", "UPDATE domains SET settings = x'86f51a000f4240f6f6f6f6'", Nothing, DoesNotServe),
    case("domain.settings have no meaning", "UPDATE domains SET settings = x'00'", Nothing, DoesNotServe),
    case("domain.created", "UPDATE domains SET created = created - 1", Nothing, DoesNotServe),
    case("checkpoint_key.inserted", "INSERT INTO checkpoint_keys VALUES (1, randomblob(32), 0, NULL, randomblob(32))", Nothing, DoesNotServe),
    case("checkpoint_key.ended", "INSERT INTO checkpoint_keys SELECT number, checkpoint_key, 0, 1, mac FROM domains", Nothing, DoesNotServe),
    case("recovery_kek.inserted", "INSERT INTO recovery_keks VALUES (1, 1, 7, 2, 'Mallory', x'0102030405060708', 0, randomblob(32))", Nothing, DoesNotServe),
    case("recovery_blob.inserted", "INSERT INTO recovery_blobs VALUES (1, 1, x'010000000100', randomblob(32))", Nothing, DoesNotServe),
    case("domain.mac", "UPDATE domains SET mac = zeroblob(32)", Nothing, DoesNotServe),

    // Indexes, which decide nothing: what they bring up is checked itself.
    case("key_recipients with mallory", "INSERT INTO key_recipients VALUES ({mallory}, {key.shared})", List(Mallory, "shared"), NothingMore),
    case("leaves_by_account with mallory", "INSERT OR IGNORE INTO leaves_by_account SELECT {mallory}, domain, idx FROM leaves", Audit(Mallory), NothingMore),
];
