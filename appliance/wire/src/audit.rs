//! Acts, outcomes, leaves and checkpoints as the API shows them.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::encoding::{Base64, Timestamp};
use crate::id::{AccountId, GrantId, KeyId, SessionId};

macro_rules! acts {
    ($( $(#[$doc:meta])* $name:ident = $number:literal, $text:literal; )*) => {
        /// What was done or attempted. The numbers stand in leaves: they are added, never changed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[non_exhaustive]
        pub enum Act {
            $( $(#[$doc])* #[serde(rename = $text)] $name, )*
            /// An act of a newer appliance.
            #[serde(other)]
            #[serde(rename = "unknown")]
            Unknown,
        }

        impl Act {
            /// Every act.
            pub const ALL: &'static [Self] = &[$( Self::$name, )*];

            /// The act's number in a leaf; 0, which no leaf has, where it is unknown.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $( Self::$name => $number, )* Self::Unknown => 0 }
            }

            /// The act with this number.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $( $number => Some(Self::$name), )* _ => None }
            }

            /// The act's name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$name => $text, )* Self::Unknown => "unknown" }
            }
        }
    };
}

acts! {
    /// A domain was initialised: the first leaf of its tree.
    DomainInitialise = 1, "domain.initialise";
    /// The appliance began to serve the domain.
    DomainServe = 2, "domain.serve";
    /// An account was created.
    AccountCreate = 10, "account.create";
    /// An account's state or roles were changed.
    AccountUpdate = 11, "account.update";
    /// A new enrolment code was made for an account.
    AccountInvite = 12, "account.invite";
    /// An account's holder enrolled.
    AccountEnrol = 13, "account.enrol";
    /// A group got a member.
    GroupAdd = 14, "group.add";
    /// A group lost a member.
    GroupRemove = 15, "group.remove";
    /// A session was opened.
    SessionOpen = 20, "session.open";
    /// A session was ended.
    SessionEnd = 21, "session.end";
    /// A key was created.
    KeyCreate = 30, "key.create";
    /// A key's material went to a client.
    KeyRelease = 31, "key.release";
    /// A key was shared.
    KeyShare = 32, "key.share";
    /// A grant was revoked.
    KeyRevoke = 33, "key.revoke";
    /// A key got a new version.
    KeyRotate = 34, "key.rotate";
    /// A key's state was changed.
    KeyState = 35, "key.state";
    /// A key was destroyed.
    KeyDestroy = 36, "key.destroy";
    /// Somebody looked at a key's record and it did not match its seal.
    KeyRead = 37, "key.read";
    /// The master KEK got a new version.
    MasterKekRotate = 40, "master-kek.rotate";
    /// Nothing is wrapped by older versions of the master KEK any more.
    MasterKekRewrapped = 41, "master-kek.rewrapped";
    /// A version of the master KEK was taken out of use.
    MasterKekRetire = 42, "master-kek.retire";
    /// A version of the master KEK was destroyed in the HSM.
    MasterKekDestroy = 43, "master-kek.destroy";
    /// An account's KEK got a new version.
    AccountKekRotate = 44, "account-kek.rotate";
    /// Nothing is sealed under older versions of an account's KEK any more.
    AccountKekResealed = 45, "account-kek.resealed";
    /// The database was restored from a backup.
    DomainRestore = 50, "domain.restore";
    /// An operator sealed the appliance.
    DomainSeal = 51, "domain.seal";
    /// Entries of an HSM's own log were recorded.
    HsmDeviceLog = 52, "hsm.device-log";
    /// Operators and custodians made a recovery KEK for the domain.
    DomainCeremony = 53, "domain.ceremony";
    /// Custodians recovered the domain's master KEK into an HSM.
    DomainRecover = 54, "domain.recover";
    /// A key that signs checkpoints began or ended.
    DomainCheckpointKey = 55, "domain.checkpoint-key";
    /// Custodians gave a second HSM the domain's master KEK.
    DomainReplicate = 56, "domain.replicate";
    /// A backup was made, or begun.
    DomainBackup = 57, "domain.backup";
    /// Somebody who looks after the machine had its own log say more or less for a time: the note says how much and for how long.
    DomainLogLevel = 58, "domain.log-level";
    /// The domain's policy was changed.
    DomainPolicy = 60, "domain.policy";
    /// A key's usage policy was changed.
    KeyPolicy = 61, "key.policy";
    /// A grant's usage policy was changed.
    GrantPolicy = 62, "grant.policy";
    /// Whoever holds a session signed in again in it.
    SessionStepUp = 63, "session.step-up";
    /// A session's token was presented from another address than the session's, where the domain binds sessions to their address.
    SessionUse = 64, "session.use";
    /// A request that an account signed with its secret was refused before it was looked at.
    RequestAdmit = 70, "request.admit";
    /// A device was made by an import.
    DeviceImport = 71, "device.import";
    /// A new secret of a device or service was made or handed out.
    AccountSecret = 72, "account.secret";
    /// A device or a fleet was suspended, made active again or moved.
    DeviceUpdate = 73, "device.update";
    /// A device or a fleet was revoked.
    DeviceRevoke = 74, "device.revoke";
    /// A device that asked to be paired was approved or denied.
    DevicePair = 75, "device.pair";
    /// A name in client certificates was registered for an account.
    CertificateRegister = 76, "certificate.register";
    /// A name in client certificates was removed from an account.
    CertificateRemove = 77, "certificate.remove";
    /// An account got a credential beside those it had: the note says of what kind.
    CredentialAdd = 80, "credential.add";
    /// An account lost a credential: the note says of what kind.
    CredentialRemove = 81, "credential.remove";
    /// An account's recovery was started.
    RecoveryStart = 82, "account-recovery.start";
    /// An account's recovery was approved.
    RecoveryApprove = 83, "account-recovery.approve";
    /// An account's recovery was cancelled.
    RecoveryCancel = 84, "account-recovery.cancel";
    /// An account was recovered: it has a new password.
    RecoveryFinish = 85, "account-recovery.finish";
    /// Mail was handed to the site's relay, or given up.
    MailSend = 86, "mail.send";
    /// An account's holder changed a credential: the note says of what kind.
    CredentialChange = 87, "credential.change";
    /// An account was linked with an identity at an OpenID provider.
    IdentityLink = 90, "identity.link";
    /// The link of an account with an identity was removed.
    IdentityUnlink = 91, "identity.unlink";
    /// An account was created for an identity that signed in for the first time.
    IdentityCreate = 92, "identity.create";
    /// A group got a member because an OpenID provider says so.
    IdentityGroupAdd = 93, "identity.group-add";
    /// A group lost a member because an OpenID provider does not say so any more.
    IdentityGroupRemove = 94, "identity.group-remove";
    /// A directory was registered, or got a new token.
    DirectoryAdd = 95, "directory.add";
    /// A directory was removed.
    DirectoryRemove = 96, "directory.remove";
    /// A directory's token was presented after it lapsed, or from where it may not be used.
    DirectoryUse = 97, "directory.use";
    /// An account was put under a directory's management, or taken from it.
    DirectoryAdopt = 98, "directory.adopt";
    /// A directory changed what it says of an account, or tried to.
    DirectoryWrite = 99, "directory.write";
    /// A domain was made on the appliance: in the log of its first domain, by number.
    DomainCreate = 100, "domain.create";
    /// An operator suspended the domain: its sessions ended, and nobody is answered until it is resumed.
    DomainSuspend = 101, "domain.suspend";
    /// An operator resumed the domain.
    DomainResume = 102, "domain.resume";
    /// The domain's master KEK moves to another HSM slot, or has: the note says which.
    DomainMove = 103, "domain.move";
    /// A domain is being removed from the appliance: in the log of its first domain, by number.
    DomainRemove = 104, "domain.remove";
    /// An operator set the domain's quotas.
    DomainQuotas = 105, "domain.quotas";
    /// The appliance signed or made a MAC with a key: the note says by which mechanism, here and below.
    KeySign = 110, "key.sign";
    /// The appliance verified a signature or a MAC.
    KeyVerify = 111, "key.verify";
    /// The appliance encrypted or encapsulated with a key.
    KeyEncrypt = 112, "key.encrypt";
    /// The appliance decrypted or decapsulated with a key.
    KeyDecrypt = 113, "key.decrypt";
    /// The appliance wrapped another key under a key; the other's leaf is its release.
    KeyWrap = 114, "key.wrap";
    /// The appliance unwrapped a new key under a key; the new key's leaf is its import.
    KeyUnwrap = 115, "key.unwrap";
    /// The appliance derived a secret with a key.
    KeyDerive = 116, "key.derive";
    /// A key came to be from material that the appliance did not generate.
    KeyImport = 117, "key.import";
    /// An account made an object, or changed what it says of one or of a key: the note has its identifier and its part.
    ObjectPut = 120, "object.put";
    /// An account removed an object that is no key.
    ObjectRemove = 121, "object.remove";
    /// A key got a restriction that nobody lifts.
    KeyTighten = 122, "key.tighten";
    /// An authorisation was entered: the note has its identifier, generation and record, here and below.
    AuthorisationEnter = 130, "authorisation.enter";
    /// An authorisation got a new generation, which voids all approvals.
    AuthorisationChange = 131, "authorisation.change";
    /// Somebody approved an authorisation.
    AuthorisationApprove = 132, "authorisation.approve";
    /// Somebody rejected an authorisation.
    AuthorisationReject = 133, "authorisation.reject";
    /// An authorisation was suspended.
    AuthorisationSuspend = 134, "authorisation.suspend";
    /// A suspended authorisation was resumed.
    AuthorisationResume = 135, "authorisation.resume";
    /// An authorisation was cancelled.
    AuthorisationCancel = 136, "authorisation.cancel";
    /// An authorisation expired, or an emergency was not ratified in time: the note says which.
    AuthorisationEnd = 137, "authorisation.end";
    /// A document for an authorisation was uploaded: the note has its SHA-256.
    AuthorisationDocument = 138, "authorisation.document";
    /// Somebody who may not tried to look at authorisations, or at a proposal.
    AuthorisationRead = 139, "authorisation.read";
    /// An act that takes several people was proposed: the note has the proposal's identifier, here and below.
    ProposalMake = 140, "proposal.make";
    /// Somebody approved a proposal.
    ProposalApprove = 141, "proposal.approve";
    /// Somebody rejected a proposal.
    ProposalReject = 142, "proposal.reject";
    /// Whoever made a proposal withdrew it.
    ProposalWithdraw = 143, "proposal.withdraw";
    /// A proposal is carried out: the leaf of the act follows.
    ProposalUse = 144, "proposal.use";
    /// Somebody looked at what an authorisation's scope reaches: counts and metadata.
    DisclosurePreview = 145, "disclosure.preview";
    /// A disclosure was executed: prepared, and nothing let out. The note has the case, the disclosure and how many items.
    DisclosureExecute = 146, "disclosure.execute";
    /// An item was disclosed: the note has the case, the disclosure, the item's place and the SHA-256 of its delivery record.
    DisclosureItem = 147, "disclosure.item";
    /// A disclosure was released: the note has the case, the disclosure and the SHA-256 of the delivery's manifest.
    DisclosureRelease = 148, "disclosure.release";
    /// A delivery was handed out.
    DisclosureDeliver = 149, "disclosure.deliver";
    /// Which destroyed keys holds keep: the note has the SHA-256 of their list.
    HoldReview = 150, "hold.review";
    /// Destroyed keys are kept no more, as no hold covers them: the note says how many.
    HoldEnd = 151, "hold.end";
    /// The delay is over: somebody was told what was disclosed of theirs.
    NotificationSend = 152, "notification.send";
    /// Records of the log were exported: the note is what was asked for.
    AuditExport = 160, "audit.export";
    /// The scrub found rows that do not follow from the log: the note names them.
    AuditScrub = 165, "audit.scrub";
    /// The log began to commit to rows: this leaf to rows as they stood then.
    AuditRows = 166, "audit.rows";
    /// An update of the image arrived, signed and whole: the note has its version and its SHA-256.
    UpdateStage = 170, "update.stage";
    /// An update that had arrived was dropped.
    UpdateDrop = 171, "update.drop";
    /// Somebody ordered that an update be installed: the note has its version, here and below.
    UpdateInstall = 172, "update.install";
    /// An update was written into the slot beside the running release's.
    UpdateInstalled = 173, "update.installed";
    /// An update that was to be installed was refused: the note says why.
    UpdateRefuse = 174, "update.refuse";
    /// Somebody ordered that the machine be restarted.
    UpdateRestart = 175, "update.restart";
    /// A release on trial has proved itself.
    UpdateBless = 176, "update.bless";
    /// A release on trial did not prove itself, and the machine went back to the one before.
    UpdateRollBack = 177, "update.roll-back";
    /// The machine's TPM was asked what it has measured, by the appliance itself: the note is the quote. Refused, the note says why there is none.
    ApplianceAttest = 178, "appliance.attest";
    /// A recovery key of the image's data partition was shared among custodians: the note has its fingerprint, how many custodians there are and
    /// how many are needed.
    DataRecoveryMake = 180, "data-recovery.make";
    /// Custodians restored a recovery key of the data partition, for a machine whose TPM did not open it: the note has the key's fingerprint.
    DataRecoveryUse = 181, "data-recovery.use";
    /// The appliance's own authority made another certificate for its listeners: the note has its fingerprint, until when it is valid and for which names.
    CertificateRenew = 182, "certificate.renew";
    /// Somebody ordered that the machine be reset to how it left the factory: all keys and data are destroyed.
    ApplianceReset = 183, "appliance.reset";
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An audit record: what a leaf says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Record {
    /// The leaf's index in the tree; the first is 0.
    pub index: u64,
    /// When.
    pub time: Timestamp,
    /// What.
    pub act: Act,
    /// Whether it was done (`true`) or refused.
    pub done: bool,
    /// Who did or tried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<AccountId>,
    /// The actor's name today, for people. Not in the leaf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_name: Option<String>,
    /// In which session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// From which network address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The account acted on, such as a grantee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<AccountId>,
    /// The subject's name today, for people. Not in the leaf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_name: Option<String>,
    /// The key acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// The key's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_version: Option<u32>,
    /// The key's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<AccountId>,
    /// The grant acted on or acted under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    /// Of a refusal, the problem code, and where a usage policy refused, for the key's owner and auditors, a space and the rule that did,
    /// such as `policy:key:networks`; of an act, what more there is to say, such as the new state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// `GET /v1/audit`: which records to show. Owners see what concerns them or their keys; auditors see all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RecordQuery {
    /// Only those about this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Only those below this index: what [`RecordPage::next`] said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// Only those above this index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// At most so many records: 1 to 1000, 100 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A page of records, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordPage {
    /// The records.
    pub records: Vec<Record>,
    /// Given to `before` it brings the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// `GET /v1/audit/export`: which records to export. Owners get what concerns them or their keys; auditors get all that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ExportQuery {
    /// Not before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// From this index on, in place of a period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// Only those of this case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// Only those with this account as actor, subject or owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Only those about this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Only those of this act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// The size of the checkpoint of an earlier export, of which this one is to be proved the continuation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<u64>,
}

/// `GET /v1/audit/consistency`: between which trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyQuery {
    /// The earlier tree's size.
    pub old: u64,
    /// The later tree's size: that of the newest checkpoint unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<u64>,
}

/// `GET /v1/audit/consistency`: that a tree of the log begins with an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsistencyProof {
    /// The earlier tree's size.
    pub old: u64,
    /// The later tree's size.
    pub new: u64,
    /// The proof (RFC 9162 section 2.1.4), each hash 32 bytes.
    pub hashes: Vec<Base64>,
    /// The newest checkpoint, where the later tree is its.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointNote>,
}

/// `GET /v1/audit/checkpoint`: the newest signed checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointNote {
    /// The whole C2SP `tlog-checkpoint`: a signed note.
    pub note: String,
    /// The verifier key of the note's signature (C2SP `signed-note`, `vkey`).
    pub verifier_key: String,
    /// The witnesses whose cosignatures (C2SP `tlog-cosignature`) stand in the note beside the log's signature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<WitnessedBy>,
    /// Where the note has fewer cosignatures than the domain's policy demands, or none: the newest checkpoint that has enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosigned: Option<String>,
}

/// A witness that has cosigned a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WitnessedBy {
    /// Its name.
    pub name: String,
    /// Its verifier key.
    pub verifier_key: String,
    /// When it cosigned.
    pub time: Timestamp,
}

/// `GET /v1/audit/{index}/proof`: that a leaf is in the tree of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InclusionProof {
    /// The leaf's index.
    pub index: u64,
    /// The leaf's public envelope, whose RFC 6962 leaf hash is proved.
    pub envelope: Base64,
    /// The salt of the commitment to the private detail.
    pub salt: Base64,
    /// The private detail.
    pub detail: Base64,
    /// The proof (RFC 9162 section 2.1.3), each hash 32 bytes.
    pub hashes: Vec<Base64>,
    /// The checkpoint.
    pub checkpoint: CheckpointNote,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique() {
        let mut numbers: Vec<u16> = Act::ALL.iter().map(|act| act.number()).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), Act::ALL.len());
        for act in Act::ALL {
            assert_eq!(Act::from_number(act.number()), Some(*act));
        }
        assert_eq!(Act::from_number(0), None);
    }
}
