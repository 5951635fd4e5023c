//! Named keys as they are made: the templates that say what a key may do, and generating pairs.

use cryptoki::{
    error::Error,
    mechanism::Mechanism,
    object::{Attribute, KeyType, ObjectHandle},
    session::Session,
    types::Ulong,
};

use super::{EXPONENT, Kind, keys, rv};
use crate::NamedKeyType;

/// Generates a key pair. Gives its public and its private half.
pub(super) fn generate_pair(
    session: &Session,
    label: &str,
    key_type: NamedKeyType,
) -> Result<(Option<ObjectHandle>, ObjectHandle), Error> {
    let generate = |mechanism: Mechanism, parameters: &[Attribute]| {
        let (public, private) = pair_templates(label, key_type, parameters);
        let (public, private) = session.generate_key_pair(&mechanism, &public, &private)?;
        Ok((Some(public), private))
    };
    if let Some(bits) = key_type.modulus_bits() {
        let parameters = [
            Attribute::ModulusBits(Ulong::new(bits.into())),
            Attribute::PublicExponent(EXPONENT.to_vec()),
        ];
        return generate(Mechanism::RsaPkcsKeyPairGen, &parameters);
    }
    if let Some((curve, _)) = key_type.curve() {
        let parameters = [Attribute::EcParams(curve.to_vec())];
        return generate(Mechanism::EccKeyPairGen, &parameters);
    }
    let [first, second] = keys::ED25519_NAMES.map(|name| [Attribute::EcParams(name.to_vec())]);
    match generate(Mechanism::EccEdwardsKeyPairGen, &first) {
        Err(error) if rv::rejects_curve_name(&error) => {
            generate(Mechanism::EccEdwardsKeyPairGen, &second)
        }
        generated => generated,
    }
}

/// What names a key and keeps it where it is.
fn named(kind: Kind, label: &str) -> Vec<Attribute> {
    let mut template = kind.template();
    template.extend([
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(label.as_bytes().to_vec()),
        Attribute::Modifiable(false),
    ]);
    template
}

pub(super) fn secret_template(label: &str, key_type: NamedKeyType) -> Vec<Attribute> {
    let is_cipher = key_type == NamedKeyType::Aes256;
    let mut template = named(Kind::NamedSecret, label);
    template.extend([
        Attribute::KeyType(if is_cipher {
            KeyType::AES
        } else {
            KeyType::GENERIC_SECRET
        }),
        Attribute::ValueLen(Ulong::new(32)),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(is_cipher),
        Attribute::Decrypt(is_cipher),
        Attribute::Sign(!is_cipher),
        Attribute::Verify(!is_cipher),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ]);
    template
}

/// The templates of the public and the private half.
fn pair_templates(
    label: &str,
    key_type: NamedKeyType,
    parameters: &[Attribute],
) -> (Vec<Attribute>, Vec<Attribute>) {
    let is_rsa = key_type.modulus_bits().is_some();
    let mut public = named(Kind::NamedPublic, label);
    public.extend_from_slice(parameters);
    public.extend([Attribute::Private(false), Attribute::Verify(true)]);
    if is_rsa {
        public.extend([Attribute::Encrypt(true), Attribute::Wrap(false)]);
    }
    let mut private = named(Kind::NamedPrivate, label);
    private.extend([
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Decrypt(is_rsa),
        Attribute::Unwrap(false),
        Attribute::Derive(key_type.curve().is_some()),
    ]);
    (public, private)
}
