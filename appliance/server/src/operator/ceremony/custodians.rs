//! Custodians at the terminal: each gets a share of a new recovery KEK, and some give theirs back.

use std::fmt::Write as _;

use anyhow::Context as _;
use strongroom_custodians::{Awaited, Kind, SharedKey, Terminal, hand_out, split};
use strongroom_hsm::{AES256_KEY_LEN, Aes256Key, Hsm};
use strongroom_keystore::recovery::{NewRecovery, RecoveryKek, check_value, new_recovery_kek};
use strongroom_keystore::{Clock as _, SystemClock};
use strongroom_wire::encoding::Timestamp;
use zeroize::Zeroizing;

use super::people::Present;

/// What happened to a share, and when.
#[derive(Debug)]
pub(super) struct Handled {
    pub(super) custodian: String,
    pub(super) shown: Option<Timestamp>,
    pub(super) given_back: Option<Timestamp>,
}

/// What the custodians settled.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) set: u16,
    pub(super) check_value: String,
    pub(super) shares: Vec<Handled>,
    pub(super) restored: Timestamp,
}

/// Makes a recovery KEK, gives each custodian a share, and has as many as are needed type theirs again. The key that is answered is the one that
/// was restored from what they typed; nothing has gone into the HSM.
pub(super) fn settle(
    terminal: &mut Terminal,
    present: &Present,
    hsm: &dyn Hsm,
) -> anyhow::Result<(NewRecovery, Settled)> {
    let count = u8::try_from(present.custodians.len())?;
    let (set, expected, shares) = {
        let (key, set) = new_recovery_kek(hsm)?;
        let shared = SharedKey::from_bytes(key.as_bytes());
        (
            set,
            check_value(&key),
            split(&shared, set, present.threshold, count)?,
        )
        // The key is forgotten: what is put into the HSM is what the custodians give back.
    };
    let mut handled: Vec<Handled> = Vec::new();
    hand_out(
        terminal,
        Kind::RecoveryKek,
        shares,
        &present.custodians,
        &mut |index| {
            let name = present.custodians.get(usize::from(index) - 1);
            handled.push(Handled {
                custodian: name.cloned().unwrap_or_default(),
                shown: Some(SystemClock.now()),
                given_back: None,
            });
        },
    )?;
    terminal.say(&format!(
        "\nThe rehearsal: any {} custodians type their shares from their papers, one after another.\n",
        present.threshold
    ))?;
    let kek = RecoveryKek {
        version: 0,
        set,
        threshold: present.threshold,
        custodians: present.custodians.clone(),
        check_value: expected.to_vec().into(),
        created: SystemClock.now(),
    };
    let (key, given) = gather(terminal, &kek)?;
    for (index, when) in given {
        if let Some(share) = handled.get_mut(usize::from(index) - 1) {
            share.given_back = Some(when);
        }
    }
    let settled = Settled {
        set,
        check_value: hex(&expected),
        shares: handled,
        restored: SystemClock.now(),
    };
    let custodians = present.custodians.clone();
    let new = NewRecovery::new(key, set, present.threshold, custodians)?;
    Ok((new, settled))
}

/// Has custodians type their shares until the key is restored, and answers whose shares were given when.
pub(super) fn gather(
    terminal: &mut Terminal,
    kek: &RecoveryKek,
) -> anyhow::Result<(Aes256Key, Vec<(u8, Timestamp)>)> {
    let awaited = Awaited {
        kind: Kind::RecoveryKek,
        set: kek.set,
        threshold: kek.threshold,
        custodians: &kek.custodians,
        is: &|key| kek_of_custodians(key).is_ok_and(|key| kek.is(&key)),
    };
    let (key, given) = strongroom_custodians::gather(terminal, &awaited, &|| SystemClock.now())?;
    Ok((kek_of_custodians(&key)?, given))
}

/// What custodians share, as a key that goes into the HSM.
fn kek_of_custodians(key: &SharedKey) -> anyhow::Result<Aes256Key> {
    let mut bytes = Zeroizing::new([0; AES256_KEY_LEN]);
    let shared = key.as_bytes();
    anyhow::ensure!(shared.len() == bytes.len(), "the shared key is too short");
    bytes.copy_from_slice(shared);
    Ok(Aes256Key::from_bytes(*bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The recovery KEK of this version.
pub(super) fn kek_of(keks: &[RecoveryKek], version: u32) -> anyhow::Result<&RecoveryKek> {
    keks.iter()
        .find(|kek| kek.version == version)
        .with_context(|| format!("nothing is said of version {version} of the recovery KEK"))
}
