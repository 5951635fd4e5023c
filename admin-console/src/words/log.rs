//! What stands in the log, in words.

use strongroom_wire::audit::Act;
use strongroom_wire::policy::UsagePolicy;
use strongroom_wire::problem::Code;

use super::{capitalised, policy};

/// What was done, in a few words.
pub(crate) fn act(act: Act) -> String {
    match act {
        Act::DomainInitialise => "Domain initialised",
        Act::DomainServe => "Appliance began to serve",
        Act::AccountCreate => "Account created",
        Act::AccountUpdate => "Account changed",
        Act::AccountInvite => "Enrolment code made",
        Act::AccountEnrol => "Enrolled",
        Act::GroupAdd => "Group member added",
        Act::GroupRemove => "Group member removed",
        Act::SessionOpen => "Signed in",
        Act::SessionEnd => "Session ended",
        Act::SessionStepUp => "Signed in again",
        Act::SessionUse => "Session used from elsewhere",
        Act::KeyCreate => "Key created",
        Act::KeyImport => "Key brought in",
        Act::KeyRelease => "Key released",
        Act::KeyShare => "Key shared",
        Act::KeyRevoke => "Grant revoked",
        Act::KeyRotate => "Key rotated",
        Act::KeyState => "Key's state changed",
        Act::KeyDestroy => "Key destroyed",
        Act::KeyRead => "Damaged record met",
        Act::KeyPolicy => "Key's policy changed",
        Act::KeyTighten => "Key restricted",
        Act::GrantPolicy => "Grant's policy changed",
        Act::KeySign => "Signed with a key",
        Act::KeyVerify => "Verified with a key",
        Act::KeyEncrypt => "Encrypted with a key",
        Act::KeyDecrypt => "Decrypted with a key",
        Act::KeyWrap => "Wrapped a key",
        Act::KeyUnwrap => "Unwrapped a key",
        Act::KeyDerive => "Derived with a key",
        Act::MasterKekRotate => "Master KEK rotated",
        Act::MasterKekRewrapped => "Master KEK's rotation done",
        Act::MasterKekRetire => "Master KEK version retired",
        Act::MasterKekDestroy => "Master KEK version destroyed",
        Act::AccountKekRotate => "Account KEK rotated",
        Act::AccountKekResealed => "Account KEK's rotation done",
        Act::DomainRestore => "Restored from a backup",
        Act::DomainBackup => "Backup made",
        Act::DomainSeal => "Appliance sealed",
        Act::DomainPolicy => "Domain policy changed",
        Act::DomainCheckpointKey => "Checkpoint key changed",
        Act::DeviceImport => "Device imported",
        Act::DeviceUpdate => "Device changed",
        Act::DeviceRevoke => "Device revoked",
        Act::DevicePair => "Device pairing decided",
        Act::AccountSecret => "New account secret",
        Act::CredentialAdd => "Credential added",
        Act::CredentialRemove => "Credential removed",
        Act::CredentialChange => "Credential changed",
        Act::RecoveryStart => "Account recovery started",
        Act::RecoveryApprove => "Account recovery approved",
        Act::RecoveryCancel => "Account recovery cancelled",
        Act::RecoveryFinish => "Account recovered",
        Act::MailSend => "Mail sent",
        Act::AuthorisationEnter => "Case entered",
        Act::AuthorisationChange => "Case changed",
        Act::AuthorisationApprove => "Case approved",
        Act::AuthorisationReject => "Case rejected",
        Act::AuthorisationSuspend => "Case suspended",
        Act::AuthorisationResume => "Case resumed",
        Act::AuthorisationCancel => "Case cancelled",
        Act::AuthorisationEnd => "Case ended",
        Act::AuthorisationDocument => "Warrant uploaded",
        Act::AuthorisationRead => "Case looked at",
        Act::ProposalMake => "Proposal made",
        Act::ProposalApprove => "Proposal approved",
        Act::ProposalReject => "Proposal rejected",
        Act::ProposalWithdraw => "Proposal withdrawn",
        Act::ProposalUse => "Proposal carried out",
        Act::DisclosurePreview => "Disclosure previewed",
        Act::DisclosureExecute => "Disclosure executed",
        Act::DisclosureItem => "Item disclosed",
        Act::DisclosureRelease => "Disclosure released",
        Act::DisclosureDeliver => "Delivery handed out",
        Act::HoldReview => "Holds reviewed",
        Act::HoldEnd => "Held keys deleted",
        Act::NotificationSend => "Disclosure notified",
        Act::AuditExport => "Log exported",
        Act::UpdateStage => "Update arrived",
        Act::UpdateDrop => "Update dropped",
        Act::UpdateInstall => "Update's install ordered",
        Act::UpdateInstalled => "Update installed",
        Act::UpdateRefuse => "Update refused",
        Act::UpdateRestart => "Restart ordered",
        Act::UpdateBless => "Release proved itself",
        Act::UpdateRollBack => "Release did not prove itself",
        Act::ApplianceAttest => "Machine attested",
        Act::DataRecoveryMake => "Data partition's recovery key shared",
        Act::DataRecoveryUse => "Data partition's recovery key used",
        Act::CertificateRenew => "Server's certificate renewed",
        Act::ApplianceReset => "Factory reset ordered",
        other => return in_words(other.as_str()),
    }
    .to_owned()
}

/// `hsm.device-log` as `Hsm: device log`.
fn in_words(name: &str) -> String {
    let (subject, what) = name.split_once('.').unwrap_or((name, ""));
    let (subject, what) = (subject.replace('-', " "), what.replace('-', " "));
    capitalised(&format!("{subject}: {what}"))
}

/// A leaf's note for people: a refusal's code as its title.
pub(crate) fn note(note: &str, done: bool) -> String {
    if done {
        // The notes of changed policies are the policies themselves.
        return match serde_json::from_str::<UsagePolicy>(note) {
            Ok(set) => match policy(&set) {
                rules if rules.is_empty() => "No limits.".to_owned(),
                rules => rules.join(" "),
            },
            Err(_) => note.to_owned(),
        };
    }
    let (code, rest) = note.split_once(' ').unwrap_or((note, ""));
    let known = Code::ALL
        .iter()
        .find(|known| known.as_str() == code.trim_end_matches(':'));
    match known {
        Some(code) if rest.is_empty() => code.title().to_owned(),
        Some(code) => format!("{} ({rest})", code.title()),
        None => note.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_act_has_words() {
        for known in Act::ALL {
            let words = act(*known);
            assert!(words.len() > 3 && !words.contains('.'), "{words}");
        }
        assert_eq!(note("key-not-found", false), "No such key");
        assert_eq!(
            note("policy-refused policy:key:networks", false),
            "The usage policy does not allow it (policy:key:networks)"
        );
        assert_eq!(note("state active", true), "state active");
        assert_eq!(note(r#"{"max_releases":1}"#, true), "Released once.");
        assert_eq!(note("{}", true), "No limits.");
    }
}
