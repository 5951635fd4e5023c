"""An application that keeps its session and handles: does what each line says, and answers in one line."""

import os
import sys
import time

from PyKCS11 import *

library = PyKCS11Lib()
library.load(os.environ["MODULE"])
slot = library.getSlotList(tokenPresent=True)[0]
session = library.openSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION)
P256 = bytes.fromhex("06082a8648ce3d030107")
keys = {}


def make(label):
    keys[label] = session.generateKeyPair(
        [(CKA_TOKEN, CK_TRUE), (CKA_EC_PARAMS, P256), (CKA_LABEL, label)],
        [(CKA_TOKEN, CK_TRUE), (CKA_LABEL, label), (CKA_SIGN, CK_TRUE)],
        mecha=Mechanism(CKM_EC_KEY_PAIR_GEN, None),
    )
    return "made"


def sign(label):
    public, private = keys[label]
    mechanism = Mechanism(CKM_ECDSA_SHA256, None)
    signature = session.sign(private, b"data", mechanism)
    right = session.verify(public, b"data", signature, mechanism)
    return "signed" if right else "signed wrongly"


def find(label):
    return str(len(session.findObjects([(CKA_LABEL, label)])))


def rename(label, new):
    session.setAttributeValue(keys[label][1], [(CKA_LABEL, new)])
    return "renamed"


def destroy(label):
    session.destroyObject(keys[label][1])
    return "destroyed"


def login():
    session.login(os.environ["PIN"])
    return "signed in"


def ready():
    return "ready"


for line in sys.stdin:
    word, *others = line.split()
    began = time.monotonic()
    try:
        answer = globals()[word](*others)
    except PyKCS11Error as error:
        answer = CKR[error.value]
    print(f"{time.monotonic() - began:.3f}", answer, flush=True)
