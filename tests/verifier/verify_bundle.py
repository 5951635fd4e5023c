#!/usr/bin/env python3
"""A second verifier of Strongroom's export bundles, written from appliance/audit/FORMAT.md alone.

It is one file, so that whoever checks a bundle carries one and reads one. It shares no code with Strongroom and needs Python 3.9 and the package `cryptography`. It reads a bundle line by line, so that its memory does not grow with the log.

    verify_bundle.py BUNDLE --verifier-key VKEY[@FROM-[TO]] [--previous FILE] [--witness-key VKEY|FILE]... [--witnesses NUMBER] [--json]

Exit status: 0 the bundle is whole, 1 it is not, 2 it was called wrongly or a file cannot be read.
"""

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

FORMAT = "strongroom-bundle/1"
LONGEST_LINE = 8_388_608
MOST_EARLIER = 1000
MAX_SIZE = 1 << 62
LAST_MILLISECOND = 253_402_300_799_999
LISTED = 1000

# FORMAT.md, "Acts".
ACTS = {
    1: "domain.initialise", 2: "domain.serve",
    10: "account.create", 11: "account.update", 12: "account.invite", 13: "account.enrol", 14: "group.add", 15: "group.remove",
    20: "session.open", 21: "session.end",
    30: "key.create", 31: "key.release", 32: "key.share", 33: "key.revoke", 34: "key.rotate", 35: "key.state", 36: "key.destroy", 37: "key.read",
    40: "master-kek.rotate", 41: "master-kek.rewrapped", 42: "master-kek.retire", 43: "master-kek.destroy", 44: "account-kek.rotate",
    45: "account-kek.resealed",
    50: "domain.restore", 51: "domain.seal", 52: "hsm.device-log", 53: "domain.ceremony", 54: "domain.recover", 55: "domain.checkpoint-key",
    56: "domain.replicate", 57: "domain.backup", 58: "domain.log-level",
    60: "domain.policy", 61: "key.policy", 62: "grant.policy", 63: "session.step-up", 64: "session.use",
    70: "request.admit", 71: "device.import", 72: "account.secret", 73: "device.update", 74: "device.revoke", 75: "device.pair",
    76: "certificate.register", 77: "certificate.remove",
    80: "credential.add", 81: "credential.remove", 82: "account-recovery.start", 83: "account-recovery.approve", 84: "account-recovery.cancel",
    85: "account-recovery.finish", 86: "mail.send", 87: "credential.change",
    90: "identity.link", 91: "identity.unlink", 92: "identity.create", 93: "identity.group-add", 94: "identity.group-remove", 95: "directory.add",
    96: "directory.remove", 97: "directory.use", 98: "directory.adopt", 99: "directory.write",
    100: "domain.create", 101: "domain.suspend", 102: "domain.resume", 103: "domain.move", 104: "domain.remove", 105: "domain.quotas",
    110: "key.sign", 111: "key.verify", 112: "key.encrypt", 113: "key.decrypt", 114: "key.wrap", 115: "key.unwrap", 116: "key.derive",
    117: "key.import",
    120: "object.put", 121: "object.remove", 122: "key.tighten",
    130: "authorisation.enter", 131: "authorisation.change", 132: "authorisation.approve", 133: "authorisation.reject",
    134: "authorisation.suspend", 135: "authorisation.resume", 136: "authorisation.cancel", 137: "authorisation.end",
    138: "authorisation.document", 139: "authorisation.read",
    140: "proposal.make", 141: "proposal.approve", 142: "proposal.reject", 143: "proposal.withdraw", 144: "proposal.use",
    145: "disclosure.preview", 146: "disclosure.execute", 147: "disclosure.item", 148: "disclosure.release",
    149: "disclosure.deliver", 150: "hold.review", 151: "hold.end", 152: "notification.send",
    160: "audit.export", 165: "audit.scrub", 166: "audit.rows",
    170: "update.stage", 171: "update.drop", 172: "update.install", 173: "update.installed",
    174: "update.refuse", 175: "update.restart", 176: "update.bless", 177: "update.roll-back",
    178: "appliance.attest",
    180: "data-recovery.make", 181: "data-recovery.use",
    182: "certificate.renew", 183: "appliance.reset",
}
CHECKPOINT_KEY = 55
DOCUMENTS_OF = {50: ("request", "evidence"), 53: ("transcript",), 54: ("transcript",), 56: ("transcript",)}
DOCUMENTS_OF.update({act: ("record",) for act in (130, 131, *range(145, 160))})
DOCUMENTS_OF.update({132: ("evidence",), 133: ("evidence",), 138: ("document",)})
DOCUMENTS_OF.update({act: ("request", "evidence") for act in range(140, 145)})


class Bad(Exception):
    """Something is not as FORMAT.md has it."""


# Bytes, hashes, notes


def sha256(data):
    return hashlib.sha256(data).digest()


def node(left, right):
    return sha256(b"\x01" + left + right)


def standard_base64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Bad("no base64")
    if base64.b64encode(data).decode() != text:
        raise Bad("no base64 in its one spelling")
    return data


def url_base64(text):
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise Bad("no base64url")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise Bad("no base64url")
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise Bad("no base64url in its one spelling")
    return data


def hash_of(text):
    data = url_base64(text)
    if len(data) != 32:
        raise Bad("a hash does not have 32 bytes")
    return data


class Key:
    """A key of the log, and the sizes that it may sign."""

    def __init__(self, text):
        sizes = re.fullmatch(r"(.*)@([0-9]+)-([0-9]*)", text)
        self.vkey, first, last = sizes.groups() if sizes else (text, "0", "")
        self.first, self.last = int(first), int(last) if last else None
        try:
            self.name, key_id, key = self.vkey.split("+", 2)
            typed = standard_base64(key)
        except ValueError:
            raise Bad("no verifier key")
        if len(typed) != 33 or typed[0] != 1 or not self.name:
            raise Bad("no verifier key for Ed25519")
        self.id = sha256(self.name.encode() + b"\n" + typed)[:4]
        if self.id.hex() != key_id:
            raise Bad("the verifier key's id is not that of its key")
        self.public = Ed25519PublicKey.from_public_bytes(typed[1:])

    def may_sign(self, size):
        return self.first <= size and (self.last is None or size <= self.last)

    def signed_text(self, note):
        """The text of a signed note, if this key has signed it."""
        split = note.rfind("\n\n")
        if split < 0 or not note.endswith("\n"):
            raise Bad("no signed note")
        text, signatures = note[: split + 1], note[split + 2 :].split("\n")[:-1]
        if not signatures or any(ord(c) < 0x20 and c != "\n" for c in note):
            raise Bad("no signed note")
        good = False
        for line in signatures:
            fields = line.split(" ")
            if len(fields) != 3 or fields[0] != "\u2014":
                raise Bad("no signature line")
            signature = standard_base64(fields[2])
            if fields[1] != self.name or signature[:4] != self.id:
                continue
            try:
                self.public.verify(signature[4:], text.encode())
            except InvalidSignature:
                raise Bad("a signature is wrong")
            good = True
        if not good:
            raise Bad("the key has not signed it")
        return text


class Witness:
    """A witness's key (C2SP tlog-cosignature)."""

    def __init__(self, text):
        try:
            self.name, key_id, key = text.split("+", 2)
            typed = standard_base64(key)
        except ValueError:
            raise Bad("no verifier key of a witness")
        if len(typed) != 33 or typed[0] != 4 or not self.name:
            raise Bad("no verifier key of a witness")
        self.vkey, self.raw = text, typed[1:]
        self.id = sha256(self.name.encode() + b"\n" + typed)[:4]
        if self.id.hex() != key_id:
            raise Bad("the witness's key id is not that of its key")
        self.public = Ed25519PublicKey.from_public_bytes(self.raw)

    def has_cosigned(self, note):
        """Whether a note has a cosignature of this witness; one that says it is and does not hold is an error."""
        split = note.rfind("\n\n")
        text, found = note[: split + 1], False
        for line in note[split + 2 :].split("\n")[:-1]:
            fields = line.split(" ")
            signature = standard_base64(fields[2])
            if fields[1] != self.name or signature[:4] != self.id:
                continue
            seconds = int.from_bytes(signature[4:12], "big")
            try:
                if len(signature) != 76 or seconds >= 1 << 63:
                    raise InvalidSignature
                self.public.verify(signature[12:], f"cosignature/v1\ntime {seconds}\n{text}".encode())
            except InvalidSignature:
                raise Bad(f"the cosignature of the witness {self.name} is wrong")
            found = True
        return found


def witness(text):
    """A witness's key, or that in a file."""
    try:
        return Witness(text)
    except Bad:
        with open(text, encoding="utf-8") as file:
            return Witness(file.read(LONGEST_LINE).strip())


def signer(note, keys):
    """The text of a note and the first of the keys that has signed it."""
    reason = Bad("no key")
    for key in keys:
        try:
            return key.signed_text(note), key
        except Bad as error:
            reason = error
    raise reason


class Checkpoint:
    """A checkpoint that one of the keys has signed, and may have."""

    def __init__(self, note, keys):
        text, self.key = signer(note, keys)
        lines = text.split("\n")
        if len(lines) < 4 or not re.fullmatch(r"0|[1-9][0-9]*", lines[1]):
            raise Bad("no checkpoint")
        self.origin, self.size, self.root = lines[0], int(lines[1]), standard_base64(lines[2])
        if self.origin != self.key.name or len(self.root) != 32 or self.size > MAX_SIZE:
            raise Bad("no checkpoint of this log")
        if any(line == "" for line in lines[3:-1]):
            raise Bad("no checkpoint")
        if not self.key.may_sign(self.size):
            raise Bad(f"the key may not sign a tree of {self.size} leaves")


# Trees


class Tree:
    """The complete subtrees that a tree consists of."""

    def __init__(self):
        self.size, self.subtrees = 0, []

    def append(self, root, count=1):
        if count < 1 or count & (count - 1) or self.size % count:
            raise Bad("no subtree at its place")
        above = self.size // count
        while above & 1:
            root = node(self.subtrees.pop(), root)
            above >>= 1
        self.subtrees.append(root)
        self.size += count

    def root(self):
        if not self.subtrees:
            return sha256(b"")
        root = self.subtrees[-1]
        for subtree in reversed(self.subtrees[:-1]):
            root = node(subtree, root)
        return root


def check_inclusion(index, size, leaf, proof, root):
    """RFC 9162 section 2.1.3.2."""
    if index >= size:
        raise Bad("the leaf is not in the tree")
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            raise Bad("the proof is too long")
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0 or r != root:
        raise Bad("the proof does not lead to the root")


def check_consistency(first, second, first_root, second_root, proof):
    """RFC 9162 section 2.1.4.2; from the empty tree the proof is empty."""
    if first > second:
        raise Bad("the earlier tree is the larger")
    if first == 0:
        if proof or first_root != sha256(b"") or (second == 0 and second_root != first_root):
            raise Bad("no proof from the empty tree")
        return
    if first == second:
        if proof or first_root != second_root:
            raise Bad("two roots of one tree")
        return
    if not proof:
        raise Bad("the proof is empty")
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            raise Bad("the proof is too long")
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0 or fr != first_root or sr != second_root:
        raise Bad("the proof does not lead to both roots")


# Leaves: CBOR in its one spelling


class Cbor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Bad("CBOR ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def head(self, major):
        first = self.take(1)[0]
        if first >> 5 != major:
            raise Bad("CBOR of another type")
        short = first & 31
        if short < 24:
            return short
        if short > 27:
            raise Bad("CBOR of indefinite length")
        width = 1 << (short - 24)
        value = int.from_bytes(self.take(width), "big")
        if value < 24 if width == 1 else value < 1 << (4 * width):
            raise Bad("an integer is not in its shortest form")
        return value

    def data_of(self, *lengths):
        data = self.take(self.head(2))
        if len(data) not in lengths:
            raise Bad("bytes of another length")
        return data

    def end(self):
        if self.at != len(self.data):
            raise Bad("bytes after the end")


class Envelope:
    def __init__(self, data):
        cbor = Cbor(data)
        if cbor.head(4) != 5:
            raise Bad("no envelope")
        if cbor.head(0) != 1:
            raise Bad("a leaf of another version")
        self.time, self.act = cbor.head(0), cbor.head(0)
        simple = cbor.take(1)
        if simple not in (b"\xf4", b"\xf5"):
            raise Bad("no boolean")
        self.done = simple == b"\xf5"
        self.commitment = cbor.data_of(32)
        cbor.end()
        if self.time > LAST_MILLISECOND:
            raise Bad("a time after the year 9999")
        if self.act not in ACTS:
            raise Bad(f"unknown act {self.act}")
        self.hash = sha256(b"\x00" + data)


MEMBERS = {1: "actor", 2: "session", 3: "source", 4: "subject", 5: "key", 6: "version", 7: "owner", 8: "grant", 9: "note", 10: "rows"}


def read_detail(data):
    cbor = Cbor(data)
    detail, before = {}, 0
    for _ in range(cbor.head(5)):
        number = cbor.head(0)
        if number <= before or number not in MEMBERS:
            raise Bad("a detail has other members")
        before = number
        name = MEMBERS[number]
        if name == "source":
            detail[name] = cbor.data_of(4, 16)
        elif name == "version":
            detail[name] = cbor.head(0)
            if detail[name] >= 1 << 32:
                raise Bad("a version is too large")
        elif name == "note":
            note = cbor.take(cbor.head(3))
            if len(note) > 1024:
                raise Bad("a note is too long")
            try:
                detail[name] = note.decode("utf-8")
            except UnicodeDecodeError:
                raise Bad("a note is not UTF-8")
        elif name == "rows":
            detail[name] = cbor.data_of(32)
        else:
            detail[name] = cbor.data_of(16)
    cbor.end()
    return detail


class Leaf:
    """A leaf in full, opened."""

    def __init__(self, line):
        envelope = url_base64(line["envelope"])
        self.envelope = Envelope(envelope)
        salt, detail = hash_of(line["salt"]), url_base64(line["detail"])
        if sha256(salt + detail) != self.envelope.commitment:
            raise Bad("salt and detail do not match the commitment")
        self.detail = read_detail(detail)
        self.note = self.detail.get("note", "")
        self.act, self.done, self.time = self.envelope.act, self.envelope.done, self.envelope.time

    def documents(self):
        kinds = DOCUMENTS_OF.get(self.act, ()) if self.done else ()
        words = self.note.split(" ")
        if ACTS.get(self.act) == "domain.restore" and "accepted" in words:
            # What comes now an operator has written.
            words = words[: words.index("accepted")]
        return [
            (kind, digest)
            for kind, digest in zip(words, words[1:])
            if kind in kinds and re.fullmatch(r"[0-9a-f]{64}", digest)
        ]


# Lines


def is_integer(value):
    return type(value) is int and 0 <= value < 1 << 64


def is_string(value):
    return isinstance(value, str)


def is_bytes(value):
    url_base64(value)
    return True


def is_uuid(value):
    return is_string(value) and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value)


def moment(text):
    match = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{3})Z", text)
    if not match:
        raise Bad("no moment")
    year, month, day, hour, minute, second, milli = map(int, match.groups())
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    if year < 1970 or not 1 <= month <= 12 or not 1 <= day <= lengths[month - 1] or hour > 23 or minute > 59 or second > 59:
        raise Bad("no moment")
    years = year - 1
    days = years * 365 + years // 4 - years // 100 + years // 400 + sum(lengths[: month - 1]) + day - 1 - 719162
    return ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + milli


def is_moment(value):
    moment(value if is_string(value) else "")
    return True


def is_act(value):
    return value in ACTS.values()


def list_of(check):
    return lambda value: isinstance(value, list) and all(check(item) for item in value)


def table(*members):
    """What checks an object against a table of FORMAT.md: members in order, those with a question mark optional."""

    def check(value):
        if not isinstance(value, dict):
            return False
        there = list(value)
        wanted = [name.rstrip("?") for name, _ in members if not name.endswith("?") or name[:-1] in value]
        return there == wanted and all(check(value[name.rstrip("?")]) for name, check in members if name.rstrip("?") in value)

    return check


FILTER = table(
    ("from?", is_moment), ("to?", is_moment), ("act?", is_act), ("case?", is_string), ("account?", is_uuid), ("key?", is_uuid), ("concerning?", is_uuid)
)
KEYS = table(("verifier_key", is_string), ("from", is_integer), ("to?", is_integer))
LINES = {
    "header": table(
        ("type", is_string), ("format", is_string), ("origin", is_string), ("made", is_moment), ("first", is_integer), ("end", is_integer),
        ("size", is_integer), ("leaf?", is_integer), ("filter", FILTER), ("keys", list_of(KEYS)),
    ),
    "checkpoint": table(("type", is_string), ("note", is_string)),
    "earlier": table(("type", is_string), ("note", is_string), ("hashes", list_of(is_bytes))),
    "leaf": table(("type", is_string), ("index", is_integer), ("envelope", is_bytes), ("salt?", is_bytes), ("detail?", is_bytes)),
    "hidden": table(("type", is_string), ("index", is_integer), ("count", is_integer), ("hash", is_bytes)),
    "document": table(("type", is_string), ("kind", lambda kind: kind in ("document", "evidence", "record", "request", "transcript")), ("sha256", is_string), ("content", is_bytes)),
    "name": table(("type", is_string), ("account", is_uuid), ("name", is_string)),
    "proven": table(
        ("type", is_string), ("index", is_integer), ("envelope", is_bytes), ("salt", is_bytes), ("detail", is_bytes), ("hashes", list_of(is_bytes))
    ),
    "footer": table(("type", is_string), ("note", is_string)),
}


def members(pairs):
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Bad("a member twice")
    return value


def refuse(text):
    raise Bad(f"the number {text}")


def read_line(data):
    if len(data) > LONGEST_LINE:
        raise Bad("longer than a line can be")
    if not data.endswith(b"\n"):
        raise Bad("it does not end with a line feed")
    try:
        line = json.loads(data[:-1].decode("utf-8"), object_pairs_hook=members, parse_float=refuse, parse_constant=refuse)
        again = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"
    except (ValueError, RecursionError):
        raise Bad("no JSON")
    check = LINES.get(line.get("type")) if isinstance(line, dict) else None
    if check is None or not check(line):
        raise Bad("no line of a bundle")
    if again != data:
        raise Bad("not in its one spelling")
    return line


# Approvals


def canonical(data, *tables):
    """A document: JSON in the form of RFC 8785, with the members of one of the tables."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=members, parse_float=refuse, parse_constant=refuse)
        again = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode("utf-8")
    except (ValueError, RecursionError):
        raise Bad("no document")
    if again != data or not any(check(value) for check in tables):
        raise Bad("no document in its one spelling")
    return value


def is_small(value):
    return type(value) is int and 0 <= value < 1 << 53


def is_time(value):
    return type(value) is int and 0 <= value <= LAST_MILLISECOND


def is_digest(value):
    return is_string(value) and re.fullmatch(r"[0-9a-f]{64}", value)


def one_of(*values):
    return lambda value: value in values


def is_generation(value):
    return type(value) is int and 0 <= value < 1 << 32


DECISION = one_of("approve", "reject")
STATEMENTS = (
    table(
        ("act", one_of("authorisation.approve")), ("decision", DECISION), ("domain_origin", is_string), ("format", one_of("strongroom-statement/1")),
        ("generation", is_generation), ("record_sha256", is_digest), ("subject", is_string), ("valid_until", is_time),
    ),
    table(
        ("act", lambda act: is_string(act) and act != "authorisation.approve"), ("decision", DECISION), ("domain_origin", is_string),
        ("format", one_of("strongroom-statement/1")), ("request_sha256", is_digest), ("subject", is_string), ("valid_until", is_time),
    ),
)
CREDENTIAL = table(("id", is_string), ("kind", one_of("passkey", "approval-key")), ("public_key", is_bytes))
ASSERTION = table(("authenticator_data", is_bytes), ("client_data", is_bytes), ("signature", is_bytes))
EVIDENCE = (
    table(
        ("account", is_uuid), ("account_name", is_string), ("credential", CREDENTIAL), ("format", one_of("strongroom-evidence/1")), ("jws", is_string),
        ("role", is_string), ("statement", is_bytes), ("time", is_time),
    ),
    table(
        ("account", is_uuid), ("account_name", is_string), ("assertion", ASSERTION), ("credential", CREDENTIAL), ("format", one_of("strongroom-evidence/1")),
        ("origins", list_of(is_string)), ("role", is_string), ("rp_id", is_string), ("statement", is_bytes), ("time", is_time),
    ),
)


def check_jws(public_key, jws, payload):
    """A detached JWS by an approval key."""
    try:
        key = load_der_public_key(public_key)
        if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != public_key:
            raise Bad("a key in another spelling")
        protected, nothing, signature = jws.split(".")
        header = json.loads(url_base64(protected).decode("utf-8"), object_pairs_hook=members)
    except (ValueError, TypeError):
        raise Bad("no detached JWS")
    if nothing or not isinstance(header, dict) or not set(header) <= {"alg", "kid", "typ"}:
        raise Bad("no detached JWS of an approval")
    signed = protected.encode() + b"." + base64.urlsafe_b64encode(payload).rstrip(b"=")
    signature = url_base64(signature)
    if isinstance(key, Ed25519PublicKey) and header.get("alg") == "EdDSA":
        key.verify(signature, signed)
    elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1" and header.get("alg") == "ES256" and len(signature) == 64:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    else:
        raise Bad("a key or an algorithm that is none of an approval")


def cose_key(data):
    """The members of a COSE_Key: integers and byte strings by integer."""
    cbor = Cbor(data)
    key = {}
    for _ in range(cbor.head(5)):
        entry = []
        for _ in range(2):
            major = cbor.data[cbor.at] >> 5 if cbor.at < len(cbor.data) else 7
            if major == 2:
                entry.append(cbor.take(cbor.head(2)))
            elif major in (0, 1):
                value = cbor.head(major)
                entry.append(-1 - value if major else value)
            else:
                raise Bad("no COSE_Key")
        if entry[0] in key or not isinstance(entry[0], int):
            raise Bad("no COSE_Key")
        key[entry[0]] = entry[1]
    cbor.end()
    return key


def check_assertion(evidence, payload):
    """What a passkey signed: Web Authentication Level 3 section 7.2, as far as FORMAT.md asks."""
    assertion = {name: url_base64(text) for name, text in evidence["assertion"].items()}
    data, client_data, signature = assertion["authenticator_data"], assertion["client_data"], assertion["signature"]
    try:
        client = json.loads(client_data.decode("utf-8"))
    except ValueError:
        raise Bad("no client data")
    challenge = base64.urlsafe_b64encode(sha256(payload)).rstrip(b"=").decode()
    if (
        not isinstance(client, dict)
        or client.get("type") != "webauthn.get"
        or client.get("challenge") != challenge
        or client.get("origin") not in evidence["origins"]
        or client.get("crossOrigin") is True
    ):
        raise Bad("the client data are of something else")
    if len(data) < 37 or data[:32] != sha256(evidence["rp_id"].encode()) or data[32] & 5 != 5:
        raise Bad("the authenticator data are of something else")
    signed = data + sha256(client_data)
    key = cose_key(url_base64(evidence["credential"]["public_key"]))
    try:
        if (key.get(1), key.get(3), key.get(-1)) == (2, -7, 1):
            numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(key[-2], "big"), int.from_bytes(key[-3], "big"), ec.SECP256R1())
            numbers.public_key().verify(signature, signed, ec.ECDSA(hashes.SHA256()))
        elif (key.get(1), key.get(3), key.get(-1)) == (1, -8, 6):
            Ed25519PublicKey.from_public_bytes(key[-2]).verify(signature, signed)
        elif (key.get(1), key.get(3)) == (3, -257) and len(key[-1].lstrip(b"\0")) >= 256:
            numbers = rsa.RSAPublicNumbers(int.from_bytes(key[-2], "big"), int.from_bytes(key[-1], "big"))
            numbers.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            raise Bad("a key or an algorithm that is none of a passkey")
    except (KeyError, TypeError, ValueError):
        raise Bad("no COSE_Key")


def uuid_of(data):
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


class Approvals:
    """What leaves say of people, and the approvals so far."""

    def __init__(self, header):
        self.header = header
        self.keys, self.lost, self.roles = {}, {}, {}
        self.matters, self.excluded = {}, {}
        self.pending = self.entered = self.restore = None
        self.verified = self.quorums = self.unjudged = 0

    def leaf(self, index, leaf):
        """Takes a leaf in full, in the range or proved by itself."""
        self.pending = self.entered = self.restore = None
        if not leaf.done:
            return
        act, words = ACTS[leaf.act], leaf.note.split(" ")
        actor, subject = leaf.detail.get("actor"), leaf.detail.get("subject")
        if act == "credential.add" and len(words) >= 2 and words[-2] == "key":
            self.keys.setdefault(actor, []).append((index, words[-1]))
        elif act == "credential.remove":
            self.lost.setdefault(actor, []).extend((index, word) for word in words)
        elif act == "account-recovery.finish":
            self.lost.setdefault(actor, []).append((index, None))
        elif act in ("account.create", "account.update"):
            roles = re.search(r"roles \[(.*)\]$", leaf.note)
            if roles and subject is not None and index >= self.roles.get(subject, (0,))[0]:
                self.roles[subject] = (index, roles.group(1).split(", "))
        elif act in ("authorisation.enter", "authorisation.change"):
            match = re.match(r"case (\S+) generation ([0-9]+) record (\S+)", leaf.note)
            if match:
                case, generation, digest = match.groups()
                matter = {"leaf": index, "sha256": digest, "count": None, "role": "legal-approver", "act": None, "emergency": None, "approvals": []}
                self.make(("case", case), int(generation), matter, actor)
                self.entered = (index, case, int(generation))
        elif act == "proposal.make":
            match = re.match(r"proposal (\S+) act (\S+) request (\S+) quorum ([0-9]+) of (\S+)", leaf.note)
            if match:
                proposal, proposed, digest, count, role = match.groups()
                matter = {"leaf": index, "sha256": digest, "count": max(1, int(count)), "role": role, "act": proposed, "approvals": []}
                self.make(("proposal", proposal), 0, matter, actor)
        elif act in ("authorisation.approve", "authorisation.reject"):
            match = re.match(r"case (\S+) generation ([0-9]+) evidence \S+(?: state (\S+))?", leaf.note)
            if match:
                self.pending = (index, leaf, ("case", match.group(1)), int(match.group(2)), match.group(3))
        elif act in ("proposal.approve", "proposal.reject") and len(words) >= 3 and words[0] == "proposal" and words[2] == "evidence":
            self.pending = (index, leaf, ("proposal", words[1]), 0, None)
        elif act == "proposal.use" and len(words) >= 2 and words[0] == "proposal":
            self.judge(("proposal", words[1]), 0, leaf)
        elif act == "domain.restore":
            match = re.match(r"backup of (\S+) with (\S+) leaves request \S+ quorum (\S+) of (\S+)( evidence \S)?", leaf.note)
            if match:
                created, leaves, count, role, evidence = match.groups()
                if not evidence or not re.fullmatch(r"[0-9]{1,9}", count):
                    raise Bad(f"by leaf {index} enough people had approved a restore, and they had not")
                self.restore = {"index": index, "created": created, "leaves": leaves, "count": max(1, int(count)), "role": role, "act": None}

    def make(self, subject, generation, matter, actor):
        self.excluded.setdefault(subject, set()).add(actor)
        self.matters.setdefault((subject, generation), matter)

    def document(self, kind, content):
        """Takes a document that the leaf before names."""
        if self.restore is not None:
            restore, self.restore = self.restore, None
            try:
                self.restored(restore, kind, content)
            except InvalidSignature:
                raise Bad(f"an approval of the restore in leaf {restore['index']} does not hold: its signature is wrong")
            except Bad as error:
                raise Bad(f"the restore in leaf {restore['index']} was not approved: {error}")
            return
        if kind == "record" and self.entered is not None:
            self.record(content, *self.entered)
        if kind != "evidence" or self.pending is None:
            return
        index, leaf, subject, generation, state = self.pending
        self.pending = None
        try:
            self.verify(index, leaf, subject, generation, content)
        except InvalidSignature:
            raise Bad(f"the approval in leaf {index} does not hold: its signature is wrong")
        except Bad as error:
            raise Bad(f"the approval in leaf {index} does not hold: {error}")
        self.verified += 1
        if state in ("approved", "emergency-approval"):
            self.judge(subject, generation, leaf, state == "emergency-approval")

    def record(self, content, index, case, generation):
        """Takes the record of a generation that the leaf before has entered: how many have to approve it."""
        self.entered = None
        record = canonical(content, lambda value: isinstance(value, dict))
        order = record.get("order")
        flags = order.get("flags", {}) if isinstance(order, dict) else None
        emergency = flags.get("emergency", False) if isinstance(flags, dict) else None
        said = (record.get("format"), record.get("authorisation"), record.get("domain_origin"), record.get("approvers"))
        if (
            said != ("strongroom-authorisation/1", case, self.header["origin"], "legal-approver")
            or not is_generation(record.get("generation"))
            or record["generation"] != generation
            or not is_generation(record.get("approvals_needed"))
            or not isinstance(emergency, bool)
        ):
            raise Bad(f"what leaf {index} entered is no record of that generation of that case")
        matter = self.matters[("case", case), generation]
        if matter["leaf"] == index:
            matter["count"], matter["emergency"] = max(2, record["approvals_needed"]), emergency

    def signed(self, evidence):
        """The statement that was signed, by evidence whose signature holds."""
        payload = url_base64(evidence["statement"])
        statement = canonical(payload, *STATEMENTS)
        if evidence["time"] >= statement["valid_until"]:
            raise Bad("it was out of date when it was given")
        credential = evidence["credential"]
        public_key = url_base64(credential["public_key"])
        if ("jws" in evidence) != (credential["kind"] == "approval-key"):
            raise Bad("kind and signature do not go together")
        if "jws" in evidence:
            check_jws(public_key, evidence["jws"], payload)
        else:
            check_assertion(evidence, payload)
        return statement

    def person(self, evidence, actor, index):
        """Whether leaves before this one say that the key is the actor's and that they have the role. Answers the key's SHA-256."""
        credential = evidence["credential"]
        digest = sha256(url_base64(credential["public_key"])).hex()
        added = [at for at, key in self.keys.get(actor, ()) if at < index and key == digest]
        if not added or any(
            max(added) < at < index and which in (None, credential["id"]) for at, which in self.lost.get(actor, ())
        ):
            raise Bad("no leaf says that the key is the account's at that time")
        since, roles = self.roles.get(actor, (index, ()))
        if since >= index or evidence["role"] not in roles:
            raise Bad("no leaf says that the account had the role at that time")
        return digest

    def restored(self, restore, kind, content):
        """Takes a document that the leaf of a restore names: the request, and then the evidence of all who approved it."""
        if kind == "request":
            request = canonical(content, lambda value: isinstance(value, dict))
            said = request.get("domain.restore")
            if (
                set(request) != {"domain.restore"}
                or not isinstance(said, dict)
                or set(said) != {"created", "database_sha256", "leaves"}
                or said["created"] != restore["created"]
                or not is_small(said["leaves"])
                or str(said["leaves"]) != restore["leaves"]
                or not is_string(said["database_sha256"])
            ):
                raise Bad("the request is not for what the leaf says was done")
            restore["act"] = ("domain.restore", self.header["origin"], sha256(content).hex(), said["database_sha256"])
        elif kind == "evidence":
            approvals = []
            for evidence in canonical(content, list_of(lambda one: any(form(one) for form in EVIDENCE))):
                statement = self.signed(evidence)
                signed = (statement["act"], statement["domain_origin"], statement.get("request_sha256"), statement["subject"])
                if signed != restore["act"] or statement["decision"] != "approve":
                    raise Bad("what was signed is not what the leaf says")
                actor = bytes.fromhex(evidence["account"].replace("-", ""))
                digest = self.person(evidence, actor, restore["index"])
                if evidence["role"] != restore["role"]:
                    raise Bad("it was given in another role")
                self.verified += 1
                approvals.append((actor, digest, evidence["time"], statement["valid_until"]))
            latest = max((time for _, _, time, _ in approvals), default=0)
            approvals = [approval for approval in approvals if latest < approval[3]]
            if any(len({approval[part] for approval in approvals}) < len(approvals) for part in (0, 1)):
                raise Bad("a person, or a key, has approved it twice")
            if len(approvals) < restore["count"]:
                raise Bad("a leaf says that enough people had approved, and they had not")
            self.quorums += 1
            return
        self.restore = restore

    def verify(self, index, leaf, subject, generation, content):
        evidence = canonical(content, *EVIDENCE)
        statement = self.signed(evidence)
        is_case = subject[0] == "case"
        decision = "reject" if ACTS[leaf.act].endswith(".reject") else "approve"
        if (
            is_case != ("generation" in statement)
            or (is_case and statement["generation"] != generation)
            or statement["domain_origin"] != self.header["origin"]
            or statement["subject"] != subject[1]
            or statement["decision"] != decision
        ):
            raise Bad("what was signed is not what the leaf says")
        if evidence["time"] != leaf.time:
            raise Bad("the evidence is of another moment")
        actor = leaf.detail.get("actor")
        if actor is None or evidence["account"] != uuid_of(actor):
            raise Bad("the evidence is another account's")
        digest = self.person(evidence, actor, index)
        matter = self.matters.get((subject, generation))
        excluded = self.excluded.get(subject, set())
        if actor in excluded:
            raise Bad("the person entered or proposed what is approved")
        if matter is None:
            return
        signed = statement.get("record_sha256", statement.get("request_sha256"))
        if signed != matter["sha256"] or (matter["act"] is not None and statement["act"] != matter["act"]):
            raise Bad("what was signed is of another record or request")
        if decision == "reject":
            return
        if evidence["role"] != matter["role"]:
            raise Bad("it was given in another role")
        for other_actor, other_key, valid_until in matter["approvals"]:
            if leaf.time < valid_until and (other_actor == actor or other_key == digest):
                raise Bad("the person, or the key, has approved it already")
        matter["approvals"].append((actor, digest, statement["valid_until"]))

    def judge(self, subject, generation, leaf, at_first=False):
        """Whether the leaf of what needs a quorum comes when there is one."""
        matter = self.matters.get((subject, generation))
        if matter is None:
            self.unjudged += 1
            return
        people = {actor for actor, _, valid_until in matter["approvals"] if leaf.time < valid_until}
        count = 1 if at_first else matter["count"] or 2
        met = len(people - self.excluded.get(subject, set())) >= count
        if at_first and matter["emergency"] is False:
            raise Bad("one approval was enough, and it is no emergency")
        if met and matter["count"] is None:
            # How many it takes stands in a record that the bundle does not show.
            self.unjudged += 1
            return
        if met:
            self.quorums += 1
            return
        rules, first = self.header["filter"], self.header["first"]
        whole = not {"act", "account", "key", "concerning"} & set(rules) and ("case" not in rules or subject == ("case", rules["case"]))
        if whole and matter["leaf"] >= first and ("from" not in rules or matter["leaf"] > first):
            raise Bad("a leaf says that enough people had approved, and they had not")
        self.unjudged += 1


class Verifier:
    """Verifies a bundle line by line, and goes on after a problem, to find them all."""

    def __init__(self, keys, known, witnesses=(), demanded=0):
        self.keys, self.known = keys, known
        self.witnesses, self.demanded, self.cosigned = witnesses, demanded, {}
        self.stage = "header"
        self.hash, self.lines = hashlib.sha256(), 0
        self.header = self.checkpoint = self.approvals = None
        self.tree, self.next = Tree(), 0
        self.awaited, self.earlier = {}, []
        self.documents = []
        self.signed, self.changes = set(), []
        self.counts = dict.fromkeys(("records", "refused", "redacted", "hidden", "documents", "proven"), 0)
        self.problems, self.unlisted = [], 0
        if known:
            self.awaited[known.size] = [known.root]

    def problem(self, text):
        if len(self.problems) < LISTED:
            self.problems.append(text)
        else:
            self.unlisted += 1

    def take(self, data):
        number = self.lines + 1
        if self.stage == "lost":
            return
        line = None
        try:
            line = read_line(data)
        except Bad as error:
            self.problem(f"line {number}: {error}")
            if self.stage in ("header", "checkpoint"):
                self.stage = "lost"
        kind = line["type"] if line else None
        if kind != "document":
            self.documents_missing()
        if kind == "footer" and self.header:
            self.footer(line, number)
            return
        self.hash.update(data)
        self.lines += 1
        if line is None:
            return
        places = {
            "header": ("header",), "checkpoint": ("checkpoint",), "earlier": ("earlier",), "leaf": ("earlier", "leaves"), "hidden": ("earlier", "leaves"),
            "name": ("earlier", "leaves"), "document": ("leaves",), "proven": ("earlier", "leaves"), "footer": (),
        }
        if self.stage not in places[kind]:
            self.problem(f"line {number}: a {kind} cannot stand there")
            if self.stage in ("header", "checkpoint"):
                self.stage = "lost"
            return
        if kind in ("leaf", "hidden", "name", "proven"):
            self.stage = "leaves"
        try:
            getattr(self, "take_" + kind)(line)
        except Bad as error:
            self.problem(f"line {number}: {error}")

    def take_header(self, line):
        if line["format"] != FORMAT or not line["first"] <= line["end"] <= line["size"] <= MAX_SIZE:
            self.stage = "lost"
            raise Bad("a header of another format, or with sizes that cannot be")
        self.header, self.stage = line, "checkpoint"
        self.approvals = Approvals(line)

    def take_checkpoint(self, line):
        self.stage = "earlier"
        self.checkpoint = Checkpoint(line["note"], self.keys)
        self.signed.add((self.checkpoint.key.vkey, self.checkpoint.size))
        if (self.checkpoint.origin, self.checkpoint.size) != (self.header["origin"], self.header["size"]):
            self.problem("header and checkpoint are not of one log and size")
        self.take_cosignatures(self.checkpoint.size, line["note"])

    def take_cosignatures(self, size, note):
        """Which witnesses have cosigned a checkpoint that a key of the log has signed. One with two names is one."""
        for witness in self.witnesses:
            if witness.has_cosigned(note):
                self.cosigned.setdefault(size, set()).add(witness.raw)

    def take_earlier(self, line):
        earlier = Checkpoint(line["note"], self.keys)
        self.signed.add((earlier.key.vkey, earlier.size))
        if self.checkpoint is None or len(self.earlier) >= MOST_EARLIER:
            raise Bad("an earlier checkpoint that cannot be held against anything")
        proof = [hash_of(text) for text in line["hashes"]]
        check_consistency(earlier.size, self.checkpoint.size, earlier.root, self.checkpoint.root, proof)
        self.awaited.setdefault(earlier.size, []).append(earlier.root)
        self.earlier.append(earlier)
        self.take_cosignatures(earlier.size, line["note"])

    def arrive(self, index):
        if index < self.next:
            raise Bad(f"leaf {index} comes twice or out of order")
        if index > self.next:
            self.problem(f"the leaves {self.next} to {index - 1} are missing")
            self.tree = None

    def meet(self):
        if self.tree is None:
            return
        for root in self.awaited.pop(self.next, ()):
            if root != self.tree.root():
                self.problem(f"the log is forked: there are two histories of its first {self.next} leaves")

    def in_filter(self, time, act):
        rules = self.header["filter"]
        return (
            ("from" not in rules or time >= moment(rules["from"]))
            and ("to" not in rules or time < moment(rules["to"]))
            and ("act" not in rules or ACTS[act] == rules["act"])
        )

    def take_leaf(self, line):
        index, header, rules = line["index"], self.header, self.header["filter"]
        self.arrive(index)
        if not header["first"] <= index < header["end"]:
            self.problem(f"leaf {index} is outside of the range")
        self.next = index + 1
        if self.tree is not None:
            self.tree.append(sha256(b"\x00" + url_base64(line["envelope"])))
        self.meet()
        envelope = Envelope(url_base64(line["envelope"]))
        if "concerning" not in rules:
            before = index == header["first"] and index > 0 and "from" in rules
            after = index + 1 == header["end"] and header["end"] < header["size"] and "to" in rules
            if (before and envelope.time >= moment(rules["from"])) or (after and envelope.time < moment(rules["to"])):
                self.problem(f"leaf {index}, at the range's edge, is within the period")
        if ("salt" in line) != ("detail" in line):
            raise Bad("a salt without a detail, or a detail without a salt")
        if "salt" not in line:
            self.counts["redacted"] += 1
            decides = not {"case", "account", "key", "concerning"} & set(rules)
            if decides and self.in_filter(envelope.time, envelope.act):
                self.problem(f"leaf {index} belongs to what was asked for and is not shown in full")
            return
        leaf = Leaf(line)
        self.counts["records"] += 1
        self.counts["refused"] += not leaf.done
        self.note_keys(index, leaf)
        if "concerning" not in rules:
            self.documents = [(index, kind, digest) for kind, digest in leaf.documents()]
            self.approvals.leaf(index, leaf)

    def note_keys(self, index, leaf):
        if leaf.act == CHECKPOINT_KEY and leaf.done:
            what, _, vkey = leaf.note.partition(" ")
            if what in ("begins", "ends"):
                self.changes.append((index, what, vkey))

    def take_hidden(self, line):
        index, count, header = line["index"], line["count"], self.header
        self.arrive(index)
        self.next = index + count
        first, last = max(index, header["first"]), min(index + count, header["end"])
        if first < last:
            self.counts["hidden"] += last - first
            if "concerning" not in header["filter"]:
                self.problem(f"the leaves {first} to {last - 1} are in the range and hidden")
        try:
            root = hash_of(line["hash"])
            if index + count > header["size"]:
                raise Bad("more leaves are hidden than there are")
            if count < 1 or count & (count - 1) or index % count:
                raise Bad("what is hidden is no subtree of the log")
            if self.tree is not None:
                self.tree.append(root, count)
        except Bad:
            self.tree = None
            raise
        self.meet()

    def take_document(self, line):
        named = self.documents.pop(0) if self.documents else None
        content = url_base64(line["content"])
        if named is None or named[1:] != (line["kind"], line["sha256"]) or sha256(content).hex() != line["sha256"]:
            raise Bad("a document that is not what the leaf before it names")
        self.counts["documents"] += 1
        self.approvals.document(line["kind"], content)

    def take_name(self, line):
        pass

    def take_proven(self, line):
        leaf = Leaf(line)
        if self.checkpoint is None:
            raise Bad("a leaf that cannot be proved")
        proof = [hash_of(text) for text in line["hashes"]]
        check_inclusion(line["index"], self.checkpoint.size, leaf.envelope.hash, proof, self.checkpoint.root)
        self.counts["proven"] += 1
        self.note_keys(line["index"], leaf)
        if "concerning" not in self.header["filter"]:
            self.approvals.leaf(line["index"], leaf)

    def documents_missing(self):
        for index, kind, digest in self.documents:
            self.problem(f"the {kind} {digest} that leaf {index} names is missing")
        self.documents = []

    def footer(self, line, number):
        if self.stage == "ended":
            self.problem(f"line {number}: a footer cannot stand there")
            return
        self.stage = "ended"
        size, origin = self.header["size"], self.header["origin"]
        expected = f"{FORMAT}\norigin {origin}\nlines {self.lines}\nsha256 {self.hash.hexdigest()}\n"
        try:
            text, key = signer(line["note"], [key for key in self.keys if key.may_sign(size)])
        except Bad as error:
            self.problem(f"the footer is not signed by a key that is trusted: {error}")
            return
        self.signed.add((key.vkey, size))
        if key.name != origin or text != expected:
            self.problem("the footer is signed over other lines than these: the bundle was altered")

    def finish(self):
        self.documents_missing()
        if self.stage == "lost":
            return
        if self.stage != "ended":
            self.problem("the bundle ends without its footer: it was cut")
        if self.checkpoint is None:
            return
        if self.next < self.checkpoint.size:
            self.problem(f"the leaves {self.next} to {self.checkpoint.size - 1} are missing")
        elif self.tree is not None and self.tree.root() != self.checkpoint.root:
            self.problem("the leaves do not have the root that the checkpoint is signed over")
        self.hold_known()
        self.hold_witnesses()
        for vkey, size in sorted(self.signed):
            listed = any(
                key["verifier_key"] == vkey and key["from"] <= size and size <= key.get("to", size) for key in self.header["keys"]
            )
            allowed = all(
                key != vkey or (size > index if what == "begins" else size <= index) for index, what, key in self.changes
            )
            if not listed or not allowed:
                self.problem(f"by the bundle the key {vkey} may not sign a tree of {size} leaves")

    def hold_known(self):
        known = self.known
        if known is None:
            return
        if known.size > self.checkpoint.size:
            self.problem(f"the log has {self.checkpoint.size} leaves and had {known.size}")
            return
        same = [other for other in self.earlier + [self.checkpoint] if other.size == known.size]
        if not same or known.origin != self.checkpoint.origin:
            self.problem(f"that this log continues the one of {known.size} leaves that is known is not proved")
        elif same[0].root != known.root:
            self.problem(f"the log is forked: there are two signed histories of its first {known.size} leaves")

    def hold_witnesses(self):
        if not self.demanded:
            return
        sizes = [size for size, by in self.cosigned.items() if len(by) >= self.demanded]
        if not sizes or max(sizes) < self.header["end"]:
            upto = f"over those before {max(sizes)} alone" if sizes else "of no checkpoint"
            self.problem(f"{self.demanded} cosignatures are demanded over all leaves before {self.header['end']}, and there are as many {upto}")

    def report(self):
        order = [witness.raw for witness in self.witnesses]
        checkpoint = self.checkpoint
        return {
            "verified": not self.problems,
            "origin": checkpoint.origin if checkpoint else None,
            "size": checkpoint.size if checkpoint else None,
            "root": checkpoint.root.hex() if checkpoint else None,
            "verifier_key": checkpoint.key.vkey if checkpoint else None,
            **self.counts,
            "approvals": self.approvals.verified if self.approvals else 0,
            "quorums": self.approvals.quorums if self.approvals else 0,
            "quorums_unjudged": self.approvals.unjudged if self.approvals else 0,
            "earlier": [earlier.size for earlier in self.earlier],
            "cosigned": [
                {"size": size, "witnesses": [self.witnesses[place].vkey for place in sorted(map(order.index, by))]}
                for size, by in sorted(self.cosigned.items())
            ],
            "problems": self.problems,
            "unlisted_problems": self.unlisted,
        }


def known_checkpoint(path, keys):
    """The checkpoint in a file, or that of a bundle."""
    with open(path, "rb") as file:
        first = file.readline(LONGEST_LINE + 1)
        if first.startswith(b'{"type":"header"'):
            note = read_line(file.readline(LONGEST_LINE + 1))["note"]
        else:
            note = (first + file.read(LONGEST_LINE)).decode("utf-8")
    return Checkpoint(note, keys)


def verify(path, keys, known=None, witnesses=(), demanded=0):
    verifier = Verifier(keys, known, witnesses, demanded)
    with open(path, "rb") as file:
        while True:
            line = file.readline(LONGEST_LINE + 1)
            if not line:
                break
            verifier.take(line)
            if len(line) > LONGEST_LINE:
                break
    verifier.finish()
    return verifier.report()


def main():
    parser = argparse.ArgumentParser(description="Verifies an export bundle of a Strongroom audit log.")
    parser.add_argument("bundle")
    parser.add_argument("--verifier-key", action="append", required=True, metavar="VKEY[@FROM-[TO]]")
    parser.add_argument("--previous", metavar="FILE", help="an earlier bundle or checkpoint of the log")
    parser.add_argument("--witness-key", action="append", default=[], metavar="VKEY|FILE", help="a witness's key: its cosignatures are verified")
    parser.add_argument("--witnesses", type=int, default=0, metavar="NUMBER", help="how many witnesses have to have cosigned all of the range")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        keys = [Key(text) for text in arguments.verifier_key]
        known = known_checkpoint(arguments.previous, keys) if arguments.previous else None
        witnesses = [witness(text) for text in arguments.witness_key]
        if not 0 <= arguments.witnesses <= len({known.raw for known in witnesses}):
            raise Bad("more witnesses are demanded than keys of them were given")
        report = verify(arguments.bundle, keys, known, witnesses, arguments.witnesses)
    except (Bad, OSError, UnicodeDecodeError) as error:
        print(f"verify_bundle.py: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            if name not in ("problems", "verified"):
                print(f"{name}: {value}")
        for problem in report["problems"]:
            print(f"PROBLEM: {problem}")
        print("The bundle is whole." if report["verified"] else "The bundle is NOT whole.")
    return 0 if report["verified"] else 1


if __name__ == "__main__":
    sys.exit(main())
