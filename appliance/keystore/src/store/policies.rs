//! Usage policies as they stand in the database and in the canonical encoding.
//!
//! The window of validity and the number of releases have columns and fields of their own, as they had in the first schema. What else a
//! policy restricts is one value: a CBOR array in the deterministic encoding, absent where there is nothing in it, so that records from
//! before it was there still match their seals.
//!
//! | element | absent: `null` |
//! |---|---|
//! | networks | array of byte strings: the address, then one byte with the length of the prefix |
//! | kinds | array of numbers |
//! | sign-in strength | number |
//! | hours | array, never `null`, of arrays: bits of the days or `null`, minutes of the beginning, minutes of the end, zone |
//! | rights | their bits |
//! | operations only | `true` or `false` |
//! | seconds to keep | number |
//! | mechanisms | array of names; the element itself is absent where there are none |

use std::convert::Infallible;
use std::net::IpAddr;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use serde::{Deserialize, Serialize};
use strongroom_approval::canonical;
use strongroom_wire::authorisation::LawfulPolicy;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::invitation::AccountPolicy;
use strongroom_wire::operation::Mechanism;
use strongroom_wire::policy::{DomainPolicy, Hours, Network, TimeOfDay, UsagePolicy, Weekday};
use strongroom_wire::proposal::QuorumRule;

use super::numbers::{
    kind_from, kind_number, rights_bits, rights_from, strength_from, strength_number,
};

type Encoded<'a> = Encoder<&'a mut Vec<u8>>;
type Written = Result<(), minicbor::encode::Error<Infallible>>;
type Read<T> = Result<T, Malformed>;

/// The bytes are none that were written here.
struct Malformed;

impl From<minicbor::decode::Error> for Malformed {
    fn from(_: minicbor::decode::Error) -> Self {
        Self
    }
}

/// What a policy restricts besides the window and the number of releases; none where that is nothing.
pub(crate) fn restrictions(policy: &UsagePolicy) -> Option<Vec<u8>> {
    let rest = UsagePolicy {
        not_before: None,
        not_after: None,
        max_releases: None,
        ..policy.clone()
    };
    (rest != UsagePolicy::default()).then(|| encoded(|to| write_restrictions(to, &rest)))
}

/// The policy of these three and what [`restrictions`] made; none where that is no such value, or not in its one encoding.
pub(crate) fn with_restrictions(policy: UsagePolicy, bytes: Option<&[u8]>) -> Option<UsagePolicy> {
    let Some(bytes) = bytes else {
        return Some(policy);
    };
    let policy = read_restrictions(&mut Decoder::new(bytes), policy).ok()?;
    (restrictions(&policy).as_deref() == Some(bytes)).then_some(policy)
}

/// What a domain's policy says besides: canonical JSON (RFC 8785), at the end of it and absent where there is nothing in it.
#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Further {
    lawful: LawfulPolicy,
    quorums: Vec<QuorumRule>,
    witnesses: u32,
}

fn further(policy: &DomainPolicy) -> Option<Vec<u8>> {
    let further = Further {
        lawful: policy.lawful.clone(),
        quorums: policy.quorums.clone(),
        witnesses: policy.witnesses,
    };
    // It has names, strings and whole numbers below 2^53, which have a canonical form.
    (further != Further::default()).then(|| canonical::to_vec(&further).unwrap_or_default())
}

/// A domain's policy; none where it restricts nothing.
pub(crate) fn domain_policy(policy: &DomainPolicy) -> Option<Vec<u8>> {
    let usage = &policy.usage;
    (*policy != DomainPolicy::default()).then(|| {
        encoded(|to| {
            let more = further(policy);
            to.array(7 + u64::from(more.is_some()))?;
            for value in [
                usage.not_before.map(Timestamp::as_millis),
                usage.not_after.map(Timestamp::as_millis),
                usage.max_releases,
            ] {
                optional(to, value, |to, value| to.u64(value).map(drop))?;
            }
            optional(to, restrictions(usage), |to, bytes| {
                to.bytes(&bytes).map(drop)
            })?;
            to.bool(policy.bind_sessions_to_address)?
                .u32(policy.step_up_within)?;
            let accounts = &policy.accounts;
            let said = (*accounts != AccountPolicy::default()).then_some(accounts);
            optional(to, said, write_accounts)?;
            if let Some(more) = &more {
                to.bytes(more)?;
            }
            Ok(())
        })
    })
}

/// The policy that [`domain_policy`] made these bytes of.
pub(crate) fn domain_policy_from(bytes: Option<&[u8]>) -> Option<DomainPolicy> {
    let Some(bytes) = bytes else {
        return Some(DomainPolicy::default());
    };
    let policy = read_domain_policy(&mut Decoder::new(bytes)).ok()?;
    (domain_policy(&policy).as_deref() == Some(bytes)).then_some(policy)
}

fn write_accounts(to: &mut Encoded<'_>, policy: &AccountPolicy) -> Written {
    to.array(5)?.u32(policy.recovery_delay)?;
    for patterns in [&policy.inviters, &policy.invitees] {
        to.array(patterns.len() as u64)?;
        for pattern in patterns {
            to.str(pattern)?;
        }
    }
    to.u32(policy.invitations_per_day)?
        .u32(policy.invitation_lifetime)?;
    Ok(())
}

fn read_accounts(from: &mut Decoder<'_>) -> Read<AccountPolicy> {
    read_length(from, 5)?;
    let patterns = |from: &mut Decoder<'_>| read_array(from, |from| Ok(from.str()?.to_owned()));
    Ok(AccountPolicy {
        recovery_delay: from.u32()?,
        inviters: patterns(from)?,
        invitees: patterns(from)?,
        invitations_per_day: from.u32()?,
        invitation_lifetime: from.u32()?,
    })
}

fn encoded(write: impl FnOnce(&mut Encoded<'_>) -> Written) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A vector takes whatever is written to it: there is no error to meet.
    let _ = write(&mut Encoder::new(&mut bytes));
    bytes
}

fn write_restrictions(to: &mut Encoded<'_>, policy: &UsagePolicy) -> Written {
    to.array(7 + u64::from(policy.mechanisms.is_some()))?;
    optional(to, policy.networks.as_ref(), |to, networks| {
        to.array(networks.len() as u64)?;
        for network in networks {
            to.bytes(&network_bytes(*network))?;
        }
        Ok(())
    })?;
    optional(to, policy.kinds.as_ref(), |to, kinds| {
        to.array(kinds.len() as u64)?;
        for kind in kinds {
            to.u8(kind_number(*kind))?;
        }
        Ok(())
    })?;
    optional(to, policy.min_sign_in, |to, strength| {
        to.u8(strength_number(strength)).map(drop)
    })?;
    to.array(policy.hours.len() as u64)?;
    for hours in &policy.hours {
        to.array(4)?;
        optional(to, hours.days.as_ref(), |to, days| {
            to.u8(days_bits(days)).map(drop)
        })?;
        to.u16(hours.from.minutes())?
            .u16(hours.until.minutes())?
            .str(&hours.zone)?;
    }
    optional(to, policy.rights.as_ref(), |to, rights| {
        to.u32(rights_bits(rights)).map(drop)
    })?;
    to.bool(policy.operations_only)?;
    optional(to, policy.keep_for, |to, seconds| to.u32(seconds).map(drop))?;
    if let Some(mechanisms) = &policy.mechanisms {
        to.array(mechanisms.len() as u64)?;
        for mechanism in mechanisms {
            to.str(mechanism.as_str())?;
        }
    }
    Ok(())
}

fn read_domain_policy(from: &mut Decoder<'_>) -> Read<DomainPolicy> {
    let length = from.array()?;
    if !matches!(length, Some(7 | 8)) {
        return Err(Malformed);
    }
    let moment = |value: Option<u64>| value.map(Timestamp::from_millis);
    let usage = UsagePolicy {
        not_before: moment(from.decode()?),
        not_after: moment(from.decode()?),
        max_releases: from.decode()?,
        ..UsagePolicy::default()
    };
    let rest = read_optional(from, |from| Ok(from.bytes()?))?;
    let policy = DomainPolicy {
        usage: with_restrictions(usage, rest).ok_or(Malformed)?,
        bind_sessions_to_address: from.bool()?,
        step_up_within: from.u32()?,
        accounts: read_optional(from, read_accounts)?.unwrap_or_default(),
        ..DomainPolicy::default()
    };
    if length == Some(7) {
        return Ok(policy);
    }
    let further: Further = canonical::from_slice(from.bytes()?).map_err(|_| Malformed)?;
    Ok(DomainPolicy {
        lawful: further.lawful,
        quorums: further.quorums,
        witnesses: further.witnesses,
        ..policy
    })
}

fn read_restrictions(from: &mut Decoder<'_>, policy: UsagePolicy) -> Read<UsagePolicy> {
    let length = from.array()?;
    if !matches!(length, Some(7 | 8)) {
        return Err(Malformed);
    }
    let networks = read_optional(from, |from| {
        read_array(from, |from| network_from(from.bytes()?))
    })?;
    let kinds = read_optional(from, |from| {
        read_array(from, |from| kind_from(from.u8()?).ok_or(Malformed))
    })?;
    let min_sign_in = read_optional(from, |from| strength_from(from.u8()?).ok_or(Malformed))?;
    let hours = read_array(from, |from| {
        read_length(from, 4)?;
        let time = |from: &mut Decoder<'_>| TimeOfDay::from_minutes(from.u16()?).ok_or(Malformed);
        Ok(Hours {
            days: read_optional(from, |from| days_from(from.u8()?))?,
            from: time(from)?,
            until: time(from)?,
            zone: from.str()?.to_owned(),
        })
    })?;
    let rights = read_optional(from, |from| rights_from(from.u32()?).ok_or(Malformed))?;
    let (operations_only, keep_for) = (from.bool()?, from.decode()?);
    let mechanisms = (length == Some(8)).then(|| {
        read_array(from, |from| {
            let name = from.str()?;
            let mut all = Mechanism::ALL.iter();
            let known = all.find(|mechanism| mechanism.as_str() == name);
            known.copied().ok_or(Malformed)
        })
    });
    Ok(UsagePolicy {
        networks,
        kinds,
        min_sign_in,
        hours,
        rights,
        operations_only,
        mechanisms: mechanisms.transpose()?,
        keep_for,
        ..policy
    })
}

fn optional<'a, T>(
    to: &mut Encoded<'a>,
    value: Option<T>,
    write: impl FnOnce(&mut Encoded<'a>, T) -> Written,
) -> Written {
    match value {
        Some(value) => write(to, value),
        None => to.null().map(drop),
    }
}

fn read_optional<'b, T>(
    from: &mut Decoder<'b>,
    read: impl FnOnce(&mut Decoder<'b>) -> Read<T>,
) -> Read<Option<T>> {
    if from.datatype()? == Type::Null {
        from.null()?;
        return Ok(None);
    }
    read(from).map(Some)
}

fn read_array<'b, T>(
    from: &mut Decoder<'b>,
    read: impl Fn(&mut Decoder<'b>) -> Read<T>,
) -> Read<Vec<T>> {
    let length = from.array()?.ok_or(Malformed)?;
    (0..length).map(|_| read(from)).collect()
}

fn read_length(from: &mut Decoder<'_>, length: u64) -> Read<()> {
    if from.array()? == Some(length) {
        Ok(())
    } else {
        Err(Malformed)
    }
}

fn network_bytes(network: Network) -> Vec<u8> {
    let mut bytes = match network.address() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    bytes.push(network.prefix());
    bytes
}

fn network_from(bytes: &[u8]) -> Read<Network> {
    let (prefix, address) = bytes.split_last().ok_or(Malformed)?;
    let address = <[u8; 4]>::try_from(address)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(address).map(IpAddr::from))
        .map_err(|_| Malformed)?;
    Network::new(address, *prefix).ok_or(Malformed)
}

fn days_bits(days: &[Weekday]) -> u8 {
    Weekday::ALL
        .iter()
        .enumerate()
        .filter(|(_, day)| days.contains(day))
        .fold(0, |bits, (position, _)| bits | 1 << position)
}

fn days_from(bits: u8) -> Read<Vec<Weekday>> {
    if bits >> Weekday::ALL.len() != 0 {
        return Err(Malformed);
    }
    let days = Weekday::ALL.iter().enumerate();
    Ok(days
        .filter(|(position, _)| bits >> position & 1 == 1)
        .map(|(_, day)| *day)
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strongroom_wire::id::{AccountId, KeyId};
    use strongroom_wire::key::{Algorithm, KeyState, Releasable};

    use super::*;
    use crate::policy::tests::any_policy;
    use crate::store::{KeyRecord, KeyTraits};

    proptest! {
        #[test]
        fn policies_round_trip(
            policy in any_policy(),
            bind: bool,
            step_up_within: u32,
            witnesses: u32,
            recovery_delay: u32,
            approvals in 2_u32..6,
            invitees: Vec<String>,
        ) {
            let bytes = restrictions(&policy);
            let base = UsagePolicy {
                not_before: policy.not_before,
                not_after: policy.not_after,
                max_releases: policy.max_releases,
                ..UsagePolicy::default()
            };
            prop_assert_eq!(bytes.is_none(), policy == base);
            prop_assert_eq!(with_restrictions(base, bytes.as_deref()), Some(policy.clone()));
            let accounts = AccountPolicy { recovery_delay, invitees, ..AccountPolicy::default() };
            let lawful = LawfulPolicy { approvals, ..LawfulPolicy::default() };
            let domain = DomainPolicy { usage: policy, bind_sessions_to_address: bind, step_up_within, accounts, lawful, quorums: Vec::new(), witnesses };
            prop_assert_eq!(domain_policy_from(domain_policy(&domain).as_deref()), Some(domain));
        }

        #[test]
        fn nothing_else_is_read(mut bytes: Vec<u8>, policy in any_policy(), at: usize, bit in 0_u32..8) {
            let base = UsagePolicy::default();
            if let Some(read) = with_restrictions(base.clone(), Some(&bytes)) {
                prop_assert_eq!(restrictions(&read), Some(bytes.clone()));
            }
            if let Some(mut altered) = restrictions(&policy) {
                let at = at % altered.len();
                altered[at] ^= 1 << bit;
                let read = with_restrictions(base.clone(), Some(&altered));
                prop_assert!(read.is_none_or(|read| restrictions(&read) == Some(altered)));
            }
            bytes.insert(0, 0x87);
            with_restrictions(base, Some(&bytes));
            domain_policy_from(Some(&bytes));
        }
    }

    #[test]
    fn the_encoding_is_the_documented_one() {
        let policy = UsagePolicy {
            networks: ["10.0.0.0/8".parse().ok()].into_iter().collect(),
            keep_for: Some(60),
            ..UsagePolicy::default()
        };
        let expected = [
            0x87, 0x81, 0x45, 10, 0, 0, 0, 8, 0xf6, 0xf6, 0x80, 0xf6, 0xf4, 0x18, 60,
        ];
        assert_eq!(restrictions(&policy).as_deref(), Some(expected.as_slice()));
        let more = UsagePolicy {
            mechanisms: Some(vec![Mechanism::Ecdh]),
            ..policy
        };
        let expected = [&[0x88], &expected[1..], &[0x81, 0x64], b"ecdh"].concat();
        assert_eq!(restrictions(&more), Some(expected));
        assert_eq!(restrictions(&UsagePolicy::default()), None);
        assert_eq!(domain_policy(&DomainPolicy::default()), None);
    }

    #[test]
    fn a_record_that_restricts_no_more_than_it_could_before_is_encoded_as_it_was() {
        let (owner, now) = (AccountId::generate(), Timestamp::from_millis(1));
        let mut key = KeyRecord {
            id: KeyId::generate(),
            domain: 1,
            owner,
            sender: owner,
            recipients: Vec::new(),
            algorithm: Algorithm::Aes256,
            state: KeyState::Active,
            label: String::new(),
            content_type: None,
            version: 1,
            policy: UsagePolicy {
                max_releases: Some(3),
                ..UsagePolicy::default()
            },
            releases: 0,
            created: now,
            traits: KeyTraits::default(),
            mac: [0; 32],
        };
        // An array of 17 elements that ends with the moment of its creation.
        let before = key.canonical();
        assert_eq!((before[0], before.last()), (0x91, Some(&1)));
        key.policy.operations_only = true;
        let after = key.canonical();
        assert_eq!(after[0], 0x92);
        assert_eq!(after[1..before.len()], before[1..]);
        assert_eq!(
            after.get(before.len() + 1..),
            restrictions(&key.policy).as_deref()
        );
        // What is settled at the creation makes 22 elements of it, with restrictions or without.
        key.traits.releasable = Releasable::Never;
        let settled = key.canonical();
        assert_eq!((settled[0], settled.last()), (0x96, Some(&1)));
        key.policy.operations_only = false;
        assert_eq!(key.canonical()[0], 0x96);
        key.policy.max_releases = None;
        assert_ne!(key.canonical(), settled);
    }
}
