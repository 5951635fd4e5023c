//! What travels between Strongroom's appliance and its clients.
//!
//! | module | what lives there |
//! |---|---|
//! | [`id`] | identifiers of accounts, sessions, keys and grants |
//! | [`encoding`] | [`Base64`](encoding::Base64) bytes and [`Timestamp`](encoding::Timestamp)s as they stand in JSON |
//! | [`problem`] | RFC 9457 problem documents and their stable codes |
//! | [`account`] | accounts, their kinds, states and roles; enrolment; group members |
//! | [`credential`] | authenticator apps, passkeys and recovery codes |
//! | [`recovery`] | recovering the account of somebody who has lost their password |
//! | [`invitation`] | inviting an address that has no account, and the policy for that |
//! | [`session`] | sign-in by OPAQUE (RFC 9807) and the sessions it opens |
//! | [`certificate`] | sign-in by client certificate |
//! | [`oidc`] | sign-in at the enterprise's OpenID provider, and the identities that accounts are linked with |
//! | [`device`] | devices: provisioning, fleets, account secrets, pairing |
//! | [`key`] | keys, versions, grants and rights |
//! | [`disclosure`] | disclosures under authorisations, holds, notifications |
//! | [`directory`] | directories that manage accounts by SCIM |
//! | [`object`] | certificates, data and what applications say of keys, as PKCS #11 has them |
//! | [`operation`] | operations: signing, encrypting and the like by the appliance, and their mechanisms |
//! | [`policy`] | usage policies, the domain's policy, previews of decisions |
//! | [`approval`] | approvals: approval keys, decisions |
//! | [`authorisation`] | orders of lawful access: what they say, what they may reach, how far they are |
//! | [`proposal`] | acts that take several people: the policy, and proposals that wait for their approvals |
//! | [`audit`] | acts, outcomes, leaves and checkpoints as the API shows them |
//! | [`rotation`] | new versions of master KEKs and account KEKs, and how far it is |
//! | [`update`] | releases of the appliance's image, and updates |
//! | [`attestation`] | what the machine's TPM says of the image that runs |
//! | [`health`] | what the health routes answer |
//!
//! Never in this crate: input or output, cryptography, a decision. It holds types and their spelling, nothing else, so that
//! clients can depend on it without taking anything of the appliance with them.
//!
//! Unknown fields in requests are refused (`deny_unknown_fields`), so that a misspelt restriction is an error and never a
//! restriction that silently does not hold. Unknown fields in responses are ignored, and unknown
//! acts and problem codes are read as such, so that an older client meets a newer appliance.

#![forbid(unsafe_code)]

pub mod account;
pub mod approval;
pub mod attestation;
pub mod audit;
pub mod authorisation;
pub mod certificate;
pub mod credential;
pub mod device;
pub mod directory;
pub mod disclosure;
pub mod encoding;
pub mod health;
pub mod id;
pub mod invitation;
pub mod key;
pub mod object;
pub mod oidc;
pub mod operation;
pub mod policy;
pub mod problem;
pub mod proposal;
pub mod recovery;
pub mod reset;
pub mod rotation;
pub mod session;
pub mod update;
