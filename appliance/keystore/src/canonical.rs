//! The canonical encoding that seals and MACs cover.
//!
//! Every record that decides who may do what is turned into bytes in exactly one way: one CBOR array (RFC 8949) in the deterministic
//! encoding of its section 4.2.1 (shortest lengths, definite sizes). Its first element is the [`VERSION`] of this encoding, its second
//! the name of the kind of record, so that bytes made for one kind can never stand for another; the record's fields follow in the
//! order in which its `canonical` function writes them. A field that is absent is `null`. Sets are sorted before they are written.
//!
//! | kind | written by | covers |
//! |---|---|---|
//! | `domain` | [`DomainRecord`](crate::store::DomainRecord) | MAC |
//! | `account` | [`AccountRecord`](crate::store::AccountRecord) | MAC |
//! | `account-kek` | [`AccountKekRecord`](crate::store::AccountKekRecord) | MAC |
//! | `retired-master-kek` | [`RetiredMasterKekRecord`](crate::store::RetiredMasterKekRecord) | MAC |
//! | `recovery-kek` | [`RecoveryKekRecord`](crate::store::RecoveryKekRecord) | MAC |
//! | `recovery-blob` | [`RecoveryBlobRecord`](crate::store::RecoveryBlobRecord) | MAC |
//! | `checkpoint-key` | [`CheckpointKeyRecord`](crate::store::CheckpointKeyRecord) | MAC |
//! | `membership` | [`MembershipRecord`](crate::store::MembershipRecord) | associated data of the group's KEK |
//! | `credential` | [`CredentialRecord`](crate::store::CredentialRecord) | MAC |
//! | `account-recovery` | [`AccountRecoveryRecord`](crate::store::AccountRecoveryRecord) | MAC |
//! | `invitation` | [`InvitationRecord`](crate::store::InvitationRecord) | MAC |
//! | `mail` | [`OutboxRecord`](crate::store::OutboxRecord) | associated data of address and content |
//! | `passkey` | [`PasskeyRecord`](crate::store::PasskeyRecord) | MAC |
//! | `totp-secret` | `credentials/totp` | associated data of an authenticator app's secret |
//! | `session` | [`SessionRecord`](crate::store::SessionRecord) | associated data of the transport key |
//! | `session-use` | [`SessionRecord`](crate::store::SessionRecord), when it was last used | MAC |
//! | `device` | [`DeviceRecord`](crate::store::DeviceRecord) | MAC |
//! | `account-secret` | [`AccountSecretRecord`](crate::store::AccountSecretRecord) | associated data of the secret |
//! | `certificate-name` | [`CertificateNameRecord`](crate::store::CertificateNameRecord) | MAC |
//! | `identity-link` | [`IdentityLinkRecord`](crate::store::IdentityLinkRecord) | MAC |
//! | `identity-membership` | [`IdentityMembershipRecord`](crate::store::IdentityMembershipRecord) | MAC |
//! | `document` | [`DocumentRecord`](crate::store::DocumentRecord) | associated data of the document's bytes |
//! | `approval-key` | [`ApprovalKeyRecord`](crate::store::ApprovalKeyRecord) | MAC |
//! | `authorisation` | [`AuthorisationRow`](crate::store::AuthorisationRow) | MAC |
//! | `authorisation-generation` | [`GenerationRow`](crate::store::GenerationRow) | MAC |
//! | `proposal` | [`ProposalRow`](crate::store::ProposalRow) | MAC |
//! | `approval` | [`ApprovalRow`](crate::store::ApprovalRow) | MAC |
//! | `request` | [`RequestRecord`](crate::store::RequestRecord) | MAC |
//! | `directory` | [`DirectoryRecord`](crate::store::DirectoryRecord) | MAC |
//! | `directory-account` | [`DirectoryAccountRecord`](crate::store::DirectoryAccountRecord) | MAC |
//! | `key` | [`KeyRecord`](crate::store::KeyRecord) | MAC |
//! | `public-key` | [`PublicKeyRecord`](crate::store::PublicKeyRecord) | MAC |
//! | `object` | [`ObjectRecord`](crate::store::ObjectRecord) | MAC |
//! | `disclosure` | [`DisclosureRecord`](crate::store::DisclosureRecord) | MAC |
//! | `disclosure-item` | [`DisclosureItemRecord`](crate::store::DisclosureItemRecord) | MAC |
//! | `held-key` | [`HeldKeyRecord`](crate::store::HeldKeyRecord) | associated data of the key's material |
//! | `notification` | [`NotificationRecord`](crate::store::NotificationRecord) | MAC |
//! | `grant` | [`GrantRecord`](crate::store::GrantRecord) | MAC |
//! | `grant-copy` | [`GrantRecord`](crate::store::GrantRecord) with a version | associated data of the key's material |
//!
//! A usage policy is the three fields of its window and its number of releases; what else it restricts is one byte string at the end of the
//! record (`store/policies`), which is left out, and not `null`, where that is nothing: so are the records from before there was more.
//! The number of fields, which stands first, tells the two apart. What is settled about a key when it is made follows its restrictions in the
//! same way, where it is anything but the usual.

use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AccountId;
use strongroom_wire::key::UsagePolicy;

/// The version of the encoding; the first element of every array.
pub(crate) const VERSION: u64 = 1;

/// Writes one record.
pub(crate) struct Canonical {
    bytes: Vec<u8>,
    missing: u64,
}

impl Canonical {
    /// Begins the encoding of a record of this kind with so many fields.
    pub(crate) fn new(kind: &str, fields: u64) -> Self {
        let mut this = Self {
            bytes: Vec::with_capacity(256),
            missing: fields + 2,
        };
        this.head(4, fields + 2);
        this.uint(VERSION).text(kind)
    }

    pub(crate) fn uint(mut self, value: u64) -> Self {
        self.item();
        self.head(0, value);
        self
    }

    pub(crate) fn bytes(mut self, value: &[u8]) -> Self {
        self.item();
        self.head(2, value.len() as u64);
        self.bytes.extend_from_slice(value);
        self
    }

    pub(crate) fn text(mut self, value: &str) -> Self {
        self.item();
        self.head(3, value.len() as u64);
        self.bytes.extend_from_slice(value.as_bytes());
        self
    }

    pub(crate) fn optional_text(self, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    pub(crate) fn optional_bytes(self, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.bytes(value),
            None => self.null(),
        }
    }

    pub(crate) fn optional_uint(self, value: Option<u64>) -> Self {
        match value {
            Some(value) => self.uint(value),
            None => self.null(),
        }
    }

    pub(crate) fn time(self, value: Timestamp) -> Self {
        self.uint(value.as_millis())
    }

    pub(crate) fn optional_time(self, value: Option<Timestamp>) -> Self {
        self.optional_uint(value.map(Timestamp::as_millis))
    }

    /// A field that is left out where it is absent: only at the end of a record, whose number of fields then tells.
    pub(crate) fn where_present(self, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.bytes(value),
            None => self,
        }
    }

    /// The window and the number of releases of a usage policy: three fields.
    pub(crate) fn policy(self, policy: &UsagePolicy) -> Self {
        self.optional_time(policy.not_before)
            .optional_time(policy.not_after)
            .optional_uint(policy.max_releases)
    }

    /// A set of accounts, as one array in ascending order.
    pub(crate) fn accounts(mut self, accounts: &[AccountId]) -> Self {
        let mut sorted = accounts.to_vec();
        sorted.sort_unstable();
        self.item();
        self.head(4, sorted.len() as u64);
        for account in sorted {
            self.head(2, 16);
            self.bytes.extend_from_slice(account.as_bytes());
        }
        self
    }

    /// The encoding. A record that wrote more or fewer fields than it announced is a defect that every test of it meets.
    pub(crate) fn finish(self) -> Vec<u8> {
        debug_assert_eq!(self.missing, 0, "fields announced and not written");
        self.bytes
    }

    fn null(mut self) -> Self {
        self.item();
        self.bytes.push(0xf6);
        self
    }

    fn item(&mut self) {
        self.missing = self.missing.saturating_sub(1);
    }

    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        // The casts cannot truncate: each arm's range fits its type.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "each arm's range fits its type"
        )]
        match value {
            0..=23 => self.bytes.push(major | value as u8),
            24..=0xff => self.bytes.extend_from_slice(&[major | 0x18, value as u8]),
            0x100..=0xffff => {
                self.bytes.push(major | 0x19);
                self.bytes.extend_from_slice(&(value as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.bytes.push(major | 0x1a);
                self.bytes.extend_from_slice(&(value as u32).to_be_bytes());
            }
            _ => {
                self.bytes.push(major | 0x1b);
                self.bytes.extend_from_slice(&value.to_be_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use minicbor::Decoder;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_encoding_is_the_documented_one() {
        let bytes = Canonical::new("key", 4)
            .uint(24)
            .text("a")
            .optional_text(None)
            .bytes(&[1, 2])
            .finish();
        assert_eq!(
            bytes,
            [
                0x86, 0x01, 0x63, b'k', b'e', b'y', 0x18, 24, 0x61, b'a', 0xf6, 0x42, 1, 2
            ]
        );
    }

    proptest! {
        #[test]
        fn another_implementation_reads_what_was_written(
            number: u64, text: String, bytes: Vec<u8>, time in proptest::option::of(0..1_u64 << 40),
        ) {
            let encoded = Canonical::new("test", 4)
                .uint(number)
                .text(&text)
                .bytes(&bytes)
                .optional_time(time.map(Timestamp::from_millis))
                .finish();
            let mut decoder = Decoder::new(&encoded);
            prop_assert_eq!(decoder.array().unwrap(), Some(6));
            prop_assert_eq!(decoder.u64().unwrap(), VERSION);
            prop_assert_eq!(decoder.str().unwrap(), "test");
            prop_assert_eq!(decoder.u64().unwrap(), number);
            prop_assert_eq!(decoder.str().unwrap(), text);
            prop_assert_eq!(decoder.bytes().unwrap(), bytes);
            prop_assert_eq!(decoder.decode::<Option<u64>>().unwrap(), time);
            prop_assert_eq!(decoder.position(), encoded.len());
        }
    }
}
