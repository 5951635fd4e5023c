"""What an application written for PyKCS11 does."""

import os

from PyKCS11 import *
from PyKCS11.LowLevel import CKR_USER_ALREADY_LOGGED_IN

library = PyKCS11Lib()
library.load(os.environ["MODULE"])
slot = library.getSlotList(tokenPresent=True)[0]
assert library.getTokenInfo(slot).label.strip() == "strongroom"
session = library.openSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION)
try:
    session.login("no secret")
    raise AssertionError("a wrong PIN is taken")
except PyKCS11Error as error:
    assert error.value == CKR_PIN_INCORRECT, error
session.login(os.environ["PIN"])
try:
    session.login(os.environ["PIN"])
    raise AssertionError("signed in twice")
except PyKCS11Error as error:
    assert error.value == CKR_USER_ALREADY_LOGGED_IN, error

common = [(CKA_TOKEN, CK_TRUE), (CKA_LABEL, "pykcs11"), (CKA_ID, (9,))]
public, private = session.generateKeyPair(
    [
        (CKA_CLASS, CKO_PUBLIC_KEY),
        (CKA_MODULUS_BITS, 2048),
        (CKA_PUBLIC_EXPONENT, (1, 0, 1)),
        (CKA_ENCRYPT, CK_TRUE),
        (CKA_VERIFY, CK_TRUE),
        *common,
    ],
    [
        (CKA_CLASS, CKO_PRIVATE_KEY),
        (CKA_PRIVATE, CK_TRUE),
        (CKA_DECRYPT, CK_TRUE),
        (CKA_SIGN, CK_TRUE),
        *common,
    ],
)
mechanism = Mechanism(CKM_SHA512_RSA_PKCS, None)
signature = session.sign(private, b"data", mechanism)
assert session.verify(public, b"data", signature, mechanism)
assert not session.verify(public, b"date", signature, mechanism)

session.setAttributeValue(private, [(CKA_LABEL, "renamed")])
attributes = [CKA_LABEL, CKA_ID, CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_LOCAL]
read = session.getAttributeValue(private, attributes)
assert read == ["renamed", (9,), True, False, True], read
assert len(session.findObjects([(CKA_LABEL, "renamed")])) == 1
assert len(session.findObjects([(CKA_ID, (9,))])) == 2
for found in session.findObjects([(CKA_ID, (9,))]):
    session.destroyObject(found)
assert not session.findObjects([(CKA_ID, (9,))])
session.logout()
session.closeSession()
