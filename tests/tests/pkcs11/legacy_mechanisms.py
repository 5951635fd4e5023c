"""An application that insists on legacy mechanisms: does what each line says, and answers in one line."""

import hashlib
import os
import sys
import time

from PyKCS11 import *

DATA = b"data"
P256 = bytes.fromhex("06082a8648ce3d030107")
# What stands before a digest of SHA-256 in a DigestInfo (RFC 8017 section 9.2, note 1).
SHA_256 = bytes.fromhex("3031300d060960864801650304020105000420")

library = PyKCS11Lib()
library.load(os.environ["MODULE"])
slot = library.getSlotList(tokenPresent=True)[0]
session = library.openSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION)
keys = {}

MECHANISMS = {
    "raw": ("rsa", Mechanism(CKM_RSA_X_509, None)),
    "pkcs1-sha1": ("rsa", Mechanism(CKM_SHA1_RSA_PKCS, None)),
    "pkcs1-sha224": ("rsa", Mechanism(CKM_SHA224_RSA_PKCS, None)),
    "pss-sha1": ("rsa", RSA_PSS_Mechanism(CKM_SHA1_RSA_PKCS_PSS, CKM_SHA_1, CKG_MGF1_SHA1, 20)),
    "pss-sha224": ("rsa", RSA_PSS_Mechanism(CKM_SHA224_RSA_PKCS_PSS, CKM_SHA224, CKG_MGF1_SHA224, 28)),
    "pss-of-sha1": ("rsa", RSA_PSS_Mechanism(CKM_RSA_PKCS_PSS, CKM_SHA_1, CKG_MGF1_SHA1, 20)),
    "pss-of-sha224": ("rsa", RSA_PSS_Mechanism(CKM_RSA_PKCS_PSS, CKM_SHA224, CKG_MGF1_SHA224, 28)),
    "ecdsa-sha1": ("ec", Mechanism(CKM_ECDSA_SHA1, None)),
    "ecdsa-sha224": ("ec", Mechanism(CKM_ECDSA_SHA224, None)),
}


def to_sign(name):
    """What is given to sign: the data, its digest, or what the application encoded by itself."""
    if name == "raw":
        info = SHA_256 + hashlib.sha256(DATA).digest()
        return b"\0\1" + b"\xff" * (256 - 3 - len(info)) + b"\0" + info
    if name.startswith("pss-of-"):
        return hashlib.new(name.removeprefix("pss-of-"), DATA).digest()
    return DATA


def integer(number):
    number = number.lstrip(b"\0")
    if number[0] & 0x80:
        number = b"\0" + number
    return bytes([2, len(number)]) + number


def for_openssl(kind, signature):
    if kind == "rsa":
        return signature
    both = integer(signature[:32]) + integer(signature[32:])
    return bytes([0x30, len(both)]) + both


def write(name, content):
    with open(name, "wb") as file:
        file.write(content)


def login():
    session.login(os.environ["PIN"])
    return "signed in"


def make():
    for kind, mechanism, of_public in [
        ("rsa", CKM_RSA_PKCS_KEY_PAIR_GEN, [(CKA_MODULUS_BITS, 2048), (CKA_ENCRYPT, CK_TRUE)]),
        ("ec", CKM_EC_KEY_PAIR_GEN, [(CKA_EC_PARAMS, P256)]),
    ]:
        decrypts = [(CKA_DECRYPT, CK_TRUE)] if kind == "rsa" else []
        keys[kind] = session.generateKeyPair(
            [(CKA_TOKEN, CK_TRUE), (CKA_LABEL, kind), (CKA_VERIFY, CK_TRUE), *of_public],
            [(CKA_TOKEN, CK_TRUE), (CKA_LABEL, kind), (CKA_SIGN, CK_TRUE), *decrypts],
            mecha=Mechanism(mechanism, None),
        )
        [info] = session.getAttributeValue(keys[kind][0], [CKA_PUBLIC_KEY_INFO])
        write(f"{kind}.der", bytes(info))
    return "made"


def listed():
    legacy = [mechanism._mech.mechanism for _, mechanism in MECHANISMS.values() if mechanism._mech.mechanism != CKM_RSA_PKCS_PSS]
    there = [CKM[name] for name in library.getMechanismList(slot)]
    found = [CKM[kind] for kind in legacy if kind in there]
    return " ".join(found) or "none"


def sign(name):
    kind, mechanism = MECHANISMS[name]
    public, private = keys[kind]
    signature = bytes(session.sign(private, to_sign(name), mechanism))
    write(f"{name}.sig", signature)
    write("for-openssl.sig", for_openssl(kind, signature))
    return "signed"


def verify(name):
    kind, mechanism = MECHANISMS[name]
    with open(f"{name}.sig", "rb") as file:
        signature = file.read()
    right = session.verify(keys[kind][0], to_sign(name), signature, mechanism)
    other = session.verify(keys[kind][0], to_sign(name)[:-1] + b"?", signature, mechanism)
    return "right" if right and not other else "wrong"


def encrypt():
    mechanism = MECHANISMS["raw"][1]
    encrypted = bytes(session.encrypt(keys["rsa"][0], b"\0" + b"n" * 255, mechanism))
    write("by-module", encrypted)
    return "encrypted"


def decrypt(name):
    with open(name, "rb") as file:
        encrypted = file.read()
    plain = bytes(session.decrypt(keys["rsa"][1], encrypted, MECHANISMS["raw"][1]))
    return "decrypted" if plain == b"\0" + b"n" * 255 else "decrypted wrongly"


for line in sys.stdin:
    word, *others = line.split()
    began = time.monotonic()
    try:
        answer = globals()[word](*others)
    except PyKCS11Error as error:
        answer = CKR[error.value]
    print(f"{time.monotonic() - began:.3f}", answer, flush=True)
