//! What a domain's operators have set, as it stands in its column and in the canonical encoding: a CBOR array in the deterministic
//! encoding, absent where everything is as it is without being set.
//!
//! | element | absent: `null` |
//! |---|---|
//! | suspended | `true` or `false` |
//! | most accounts, keys, sessions, requests a second, bytes | number |

use minicbor::{Decoder, Encoder};

use crate::domains::{DomainSettings, Quotas};

const ELEMENTS: u64 = 6;

/// The settings' bytes; none where they are the usual ones.
pub(crate) fn to_bytes(settings: &DomainSettings) -> Option<Vec<u8>> {
    (*settings != DomainSettings::default()).then(|| {
        let Quotas {
            accounts,
            keys,
            sessions,
            requests_per_second,
            bytes,
        } = settings.quotas;
        let mut encoded = Vec::new();
        let mut to = Encoder::new(&mut encoded);
        // A vector takes whatever is written to it: there is no error to meet.
        let _ = to
            .array(ELEMENTS)
            .and_then(|to| to.bool(settings.suspended));
        for quota in [
            accounts,
            keys,
            sessions,
            requests_per_second.map(u64::from),
            bytes,
        ] {
            let _ = match quota {
                Some(most) => to.u64(most),
                None => to.null(),
            };
        }
        encoded
    })
}

/// The settings that [`to_bytes`] made these bytes of; none where they are no such, or not in their one encoding.
pub(crate) fn from_bytes(bytes: Option<&[u8]>) -> Option<DomainSettings> {
    let Some(bytes) = bytes else {
        return Some(DomainSettings::default());
    };
    let mut from = Decoder::new(bytes);
    if from.array().ok()? != Some(ELEMENTS) {
        return None;
    }
    let settings = DomainSettings {
        suspended: from.bool().ok()?,
        quotas: Quotas {
            accounts: from.decode().ok()?,
            keys: from.decode().ok()?,
            sessions: from.decode().ok()?,
            requests_per_second: from.decode().ok()?,
            bytes: from.decode().ok()?,
        },
    };
    (to_bytes(&settings).as_deref() == Some(bytes)).then_some(settings)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn settings_come_back(
            suspended: bool,
            accounts: Option<u64>,
            keys: Option<u64>,
            sessions: Option<u64>,
            requests_per_second: Option<u32>,
            bytes: Option<u64>,
        ) {
            let quotas = Quotas { accounts, keys, sessions, requests_per_second, bytes };
            let settings = DomainSettings { suspended, quotas };
            let encoded = to_bytes(&settings);
            prop_assert_eq!(from_bytes(encoded.as_deref()).unwrap(), settings);
            if let Some(mut encoded) = encoded {
                encoded.push(0);
                prop_assert!(from_bytes(Some(&encoded)).is_none());
            }
        }
    }

    #[test]
    fn what_is_usual_is_absent_and_nothing_else_is() {
        assert_eq!(to_bytes(&DomainSettings::default()), None);
        assert_eq!(from_bytes(None).unwrap(), DomainSettings::default());
        // Everything usual, spelt out.
        assert!(from_bytes(Some(&[0x86, 0xf4, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6])).is_none());
        assert!(from_bytes(Some(&[])).is_none());
    }
}
