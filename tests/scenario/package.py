"""What is Python's own in the package: errors as exceptions, file objects, context managers, threads, a device, a second factor.

    python package.py SERVER CA ALICE'S_PASSWORD_FILE DEVICE'S_ACCOUNT DEVICE'S_SECRET FOLDER RECOVERY_CODE
"""

from __future__ import annotations

import concurrent.futures
import datetime
import hashlib
import io
import pathlib
import sys
from typing import Type, Union

import strongroom

ALICE = "alice@example.com"


class fails:
    """Something within `with` fails with this kind of error, whose sentence has these words."""

    error: strongroom.StrongroomError

    def __init__(self, kind: Type[strongroom.StrongroomError], *words: str) -> None:
        self.kind, self.words = kind, words

    def __enter__(self) -> fails:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        assert isinstance(error, self.kind), error
        assert type(error).__name__.upper().startswith(error.kind.name.replace("_", ""))
        assert all(word in str(error) for word in self.words), error
        self.error = error
        return True


class Full(io.RawIOBase):
    """A disk that is full after so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        length = len(bytes(data))  # type: ignore[call-overload]
        self.room -= length
        if self.room < 0:
            raise OSError(28, "No space left on device")
        return int(length)


def sign_in(client: strongroom.Client, password: str, code: str) -> strongroom.Session:
    """A second factor is asked for until it is right."""
    with fails(strongroom.SignInRefused, "second factor"):
        client.sign_in(ALICE, password)
    with fails(strongroom.SignInRefused, "password is wrong"):
        client.sign_in(ALICE, "a guess")
    given = iter(["000000", code])
    session = client.sign_in(ALICE, password, second_factor=lambda: next(given))
    assert next(given, None) is None
    assert session.account.name == ALICE
    assert session.account.kind is strongroom.AccountKind.PERSON
    assert session.expires > datetime.datetime.now(datetime.timezone.utc)
    return session


def streams(session: strongroom.Session) -> None:
    """Whatever is a file object does; what fails in one is told as it was."""
    target = io.BytesIO()
    with session.writer(target, label="log") as log:
        log.write(b"started\n")
        log.writelines([b"working\n", bytearray(b"done\n")])
        key = log.key
    assert key.label == "log" and key.state is strongroom.KeyState.ACTIVE
    with session.open(io.BytesIO(target.getvalue())) as content:
        assert content.header.key == key.id
        assert list(content) == [b"started\n", b"working\n", b"done\n"]
    with session.open_at(io.BytesIO(target.getvalue())) as content:
        assert content.seekable() and content.seek(-5, io.SEEK_END) == 16
        assert content.read() == b"done\n" and content.tell() == 21

    whole = b"x" * 3_000_000
    target = io.BytesIO()
    protected = session.protect(io.BytesIO(whole), target, content_type="text/plain")
    assert protected.length == len(whole)
    assert session.open(io.BytesIO(target.getvalue())).read() == whole
    with fails(strongroom.DeviceFailed) as expected:
        session.protect(io.BytesIO(whole), Full(1_000_000))
    assert isinstance(expected.error.__cause__, OSError)
    assert expected.error.__cause__.errno == 28

    # What nobody finished is not whole.
    target = io.BytesIO()
    try:
        with session.writer(target) as log:
            log.write(whole)
            raise KeyError("something else")
    except KeyError:
        pass
    with fails(strongroom.Truncated):
        session.open(io.BytesIO(target.getvalue())).read()


def files(session: strongroom.Session, folder: pathlib.Path) -> None:
    plain, sealed = folder / "report.txt", folder / "report.sealed"
    plain.write_text("the report")
    assert session.protect_file(plain, sealed).key.content_type == "text/plain"
    with fails(strongroom.DeviceFailed):
        session.protect_file(plain, sealed)
    assert session.open_file(sealed, folder / "again.txt") == 10
    with session.open_at(sealed) as content:
        assert content.read(3) == b"the" and content.header.content_type == "text/plain"
    with fails(strongroom.DeviceFailed):
        session.open_at(folder / "nothing")


def keys(session: strongroom.Session) -> None:
    """A policy refuses and says by which rule; material is gone when it was wiped or forgotten."""
    policy = strongroom.UsagePolicy(max_releases=1, keep_for=3600)
    key = session.create_key("payroll", policy=policy)
    assert key.policy == policy
    with session.obtain(key) as material:
        assert len(material.reveal()) == 32 and material.version == 1
    with fails(strongroom.Expired):
        material.reveal()
    with fails(strongroom.RefusedByPolicy) as refused:
        session.obtain(key)
    assert refused.error.rule == "policy:key:max-releases", refused.error.rule
    assert refused.error.code == "policy-releases-used-up" and not refused.error.safe_to_retry

    made, material = session.create_and_obtain("mac", algorithm=strongroom.Algorithm.HMAC_SHA256)
    first, second = session.obtain_keys([made, key])
    assert isinstance(first, strongroom.Material) and first.reveal() == material.reveal()
    assert isinstance(second, strongroom.RefusedByPolicy)
    session.forget()
    with fails(strongroom.Expired):
        first.reveal()
    assert [found.id for found in session.find_keys(label="payroll")] == [key.id]
    assert session.grants(key)[0].grantee == ALICE
    with fails(strongroom.Invalid, "identifier"):
        session.destroy("payroll")
    assert session.destroy(key).state is strongroom.KeyState.DESTROYED


#: The key pair of RFC 8410, section 10.
PRIVATE_KEY = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
"""
PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""


def operations(who: Union[strongroom.Session, strongroom.Device]) -> None:
    """Keys that stay in the appliance."""
    never, by = strongroom.Releasable.NEVER, strongroom.Mechanism
    pair = who.create_key("releases", algorithm=strongroom.Algorithm.EC_P256, releasable=never)
    assert pair.releasable is never and pair.origin is strongroom.Origin.GENERATED
    with fails(strongroom.RefusedByPolicy):
        who.obtain(pair)
    public_key = who.public_key(pair)
    assert (public_key.key, public_key.version, len(public_key.der)) == (pair.id, 1, 91)
    for signed_by in (pair, pair.id):
        signature = who.sign(signed_by, b"report")
        assert signature.version == 1 and signature.data[0] == 0x30
        assert public_key.verify(b"report", signature)
        assert public_key.verify(b"report", signature.data)
        assert not public_key.verify(b"repart", signature)
    fixed, digest = strongroom.SignatureEncoding.FIXED, hashlib.sha256(b"report").digest()
    signature = who.sign_digest(pair, digest, encoding=fixed)
    assert len(signature.data) == 64
    assert public_key.verify(b"report", signature, encoding=fixed)
    assert public_key.verify_digest(digest, signature, mechanism=by.ECDSA_SHA256, encoding=fixed)
    assert not public_key.verify(b"report", signature)
    with fails(strongroom.Invalid):
        who.sign(pair, b"report", mechanism=by.ED25519)

    der = strongroom.private_key_from_pem(PRIVATE_KEY)
    assert der is not None and strongroom.private_key_from_pem(PUBLIC_KEY) is None
    brought = who.import_key("own", der, algorithm=strongroom.Algorithm.ED25519)
    assert brought.origin is strongroom.Origin.IMPORTED
    assert who.public_key(brought).pem == PUBLIC_KEY
    assert who.public_key(brought).verify(b"report", who.sign(brought, b"report"))
    with fails(strongroom.Invalid):
        who.import_key("cut", der[:-1], algorithm=strongroom.Algorithm.ED25519)

    secret = who.create_key("mac", algorithm=strongroom.Algorithm.GENERIC_SECRET, length=20)
    assert secret.length == 20
    mac = who.mac(secret, b"report", by.HMAC_SHA384)
    assert len(mac) == 48 and who.verify_mac(secret, b"report", mac, by.HMAC_SHA384)
    assert not who.verify_mac(secret, b"report", mac[:-1], by.HMAC_SHA384, version=1)

    kept = who.create_key("kept", releasable=never)
    sealed = who.encrypt(kept, b"report", by.AES_GCM, associated_data=b"1")
    assert who.decrypt(kept, sealed, by.AES_GCM, associated_data=b"1", version=1) == b"report"
    with fails(strongroom.Altered):
        who.decrypt(kept, sealed, by.AES_GCM, associated_data=b"2")
    rsa = who.create_key("rsa", algorithm=strongroom.Algorithm.RSA2048, releasable=never)
    to_holder = who.public_key(rsa).encrypt(b"report", by.RSA_OAEP_SHA256)
    assert who.decrypt(rsa, strongroom.Ciphertext(to_holder), by.RSA_OAEP_SHA256) == b"report"


def many(session: strongroom.Session, device: strongroom.Device) -> None:
    """Several threads at once, and a device on the other side."""
    thermometer = device.account.name

    def there_and_back(number: int) -> bytes:
        sealed = session.seal_message(b"%d" % number, to=thermometer, label="order")
        return device.open_message(sealed.envelope).plaintext

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(there_and_back, range(20))) == [b"%d" % n for n in range(20)]
    readings = device.seal_messages(
        strongroom.Outgoing(b"%d W" % n, to=ALICE, label="reading") for n in range(1000)
    )
    opened = session.open_messages(reading.envelope for reading in readings)
    assert [m.plaintext for m in opened if isinstance(m, strongroom.Message)] == [
        b"%d W" % n for n in range(1000)
    ]


def main(
    server: str, ca: str, password_file: str, account: str, secret: str, folder: str, code: str
) -> None:
    client = strongroom.Client(server, ca=ca)
    password = pathlib.Path(password_file).read_text()
    device = client.device(account, secret)
    with sign_in(client, password, code) as session:
        streams(session)
        files(session, pathlib.Path(folder))
        keys(session)
        operations(session)
        operations(device)
        many(session, device)
    with fails(strongroom.NotSignedIn) as ended:
        session.seal_message(b"too late")
    assert not ended.error.safe_to_retry
    with fails(strongroom.Unreachable) as away:
        strongroom.Client("https://127.0.0.1:1", ca=ca, rounds=1).sign_in(ALICE, password)
    assert away.error.safe_to_retry


if __name__ == "__main__":
    main(*sys.argv[1:])
