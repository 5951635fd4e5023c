"""What an application finds of the module before, between and after: threads, forks, and a second beginning."""

import os

from PyKCS11 import *

library = PyKCS11Lib()
before = len(os.listdir("/proc/self/task"))
descriptors = len(os.listdir("/proc/self/fd"))
environment = dict(os.environ)
library.load(os.environ["MODULE"])


def begin():
    slot = library.getSlotList(tokenPresent=True)[0]
    session = library.openSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION)
    session.login(os.environ["PIN"])
    return session


def sign(session):
    key = session.findObjects([(CKA_CLASS, CKO_PRIVATE_KEY), (CKA_LABEL, "life")])[0]
    return session.sign(key, b"data", Mechanism(CKM_ECDSA_SHA256, None))


session = begin()
session.generateKeyPair(
    [(CKA_TOKEN, CK_TRUE), (CKA_EC_PARAMS, bytes.fromhex("06082a8648ce3d030107"))],
    [(CKA_TOKEN, CK_TRUE), (CKA_LABEL, "life"), (CKA_SIGN, CK_TRUE)],
    mecha=Mechanism(CKM_EC_KEY_PAIR_GEN, None),
)
# A key that is released, so that there is something to forget.
key = session.generateKey(
    [
        (CKA_CLASS, CKO_SECRET_KEY),
        (CKA_KEY_TYPE, CKK_AES),
        (CKA_TOKEN, CK_TRUE),
        (CKA_VALUE_LEN, 32),
        (CKA_ENCRYPT, CK_TRUE),
        (CKA_EXTRACTABLE, CK_TRUE),
    ],
    mecha=Mechanism(CKM_AES_KEY_GEN, None),
)
session.encrypt(key, bytes(16), Mechanism(CKM_AES_ECB, None))
assert len(sign(session)) == 64

# Children begin by themselves; what the parent has goes on.
for _ in range(3):
    child = os.fork()
    if child == 0:
        try:
            try:
                sign(session)
                os._exit(2)
            except PyKCS11Error as error:
                if error.value != CKR_CRYPTOKI_NOT_INITIALIZED:
                    os._exit(3)
            library.lib.C_Initialize()
            os._exit(0 if len(sign(begin())) == 64 else 4)
        except BaseException:
            os._exit(5)
    assert len(sign(session)) == 64
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status

# Nothing is left behind.
for _ in range(3):
    library.lib.C_Finalize()
    assert len(os.listdir("/proc/self/task")) == before, os.listdir("/proc/self/task")
    left = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if int(fd) > 2 and os.path.exists(f"/proc/self/fd/{fd}")]
    assert not [name for name in left if name.startswith("socket:")], left
    assert dict(os.environ) == environment
    library.lib.C_Initialize()
    assert len(sign(begin())) == 64
