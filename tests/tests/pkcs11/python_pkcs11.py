"""What an application written for python-pkcs11 does."""

import os

import pkcs11
from pkcs11 import KDF, Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

PLAIN = {Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: False}

token = pkcs11.lib(os.environ["MODULE"]).get_token(token_label="strongroom")
with token.open(rw=True, user_pin=os.environ["PIN"]) as session:
    key = session.generate_key(KeyType.AES, 256, store=True, label="aes")
    iv = session.generate_random(128)
    sealed = key.encrypt(b"a message", mechanism_param=iv)
    assert key.decrypt(sealed, mechanism_param=iv) == b"a message"

    public, private = session.generate_keypair(KeyType.RSA, 2048, store=True, label="rsa")
    signature = private.sign(b"data", mechanism=Mechanism.SHA256_RSA_PKCS)
    assert public.verify(b"data", signature, mechanism=Mechanism.SHA256_RSA_PKCS)
    assert not public.verify(b"date", signature, mechanism=Mechanism.SHA256_RSA_PKCS)
    assert private.decrypt(public.encrypt(b"secret")) == b"secret"

    curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
    curve = session.create_domain_parameters(KeyType.EC, curve, local=True)
    public, private = curve.generate_keypair(
        mechanism=Mechanism.EC_KEY_PAIR_GEN, store=True, label="ec"
    )
    long = b"x" * 3_000_000
    signature = private.sign(long, mechanism=Mechanism.ECDSA_SHA256)
    assert public.verify(long, signature, mechanism=Mechanism.ECDSA_SHA256)

    # What the appliance derives with its key is what the process derives with the other.
    other_public, other = curve.generate_keypair(
        mechanism=Mechanism.EC_KEY_PAIR_GEN, store=False
    )
    derived = [
        mine.derive_key(
            KeyType.AES,
            bits,
            mechanism_param=(KDF.NULL, None, theirs[Attribute.EC_POINT]),
            template=PLAIN,
        )[Attribute.VALUE]
        for bits in (128, 256)
        for mine, theirs in ((private, other_public), (other, public))
    ]
    assert derived[0] == derived[1] and derived[2] == derived[3]
    assert len(derived[0]) == 16 and len(derived[2]) == 32

    kept = session.generate_key(KeyType.AES, 256, template=PLAIN, store=True, label="kept")
    wrapped = key.wrap_key(kept, mechanism=Mechanism.AES_KEY_WRAP)
    again = key.unwrap_key(
        ObjectClass.SECRET_KEY,
        KeyType.AES,
        wrapped,
        mechanism=Mechanism.AES_KEY_WRAP,
        template=PLAIN,
    )
    assert again[Attribute.VALUE] == kept[Attribute.VALUE]

    assert len(list(session.get_objects({Attribute.LABEL: "ec"}))) == 2
    for found in list(session.get_objects({Attribute.LABEL: "aes"})):
        found.destroy()
    assert not list(session.get_objects({Attribute.LABEL: "aes"}))
