"""Using keys that stay in the appliance, and public keys, which stay nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Union

from strongroom import _records
from strongroom._bindings import strongroom as _generated
from strongroom._bindings.strongroom import (
    Algorithm,
    Mechanism,
    Releasable,
    SignatureEncoding,
    UsagePolicy,
)
from strongroom._records import Key, Names, key_id, new_key
from strongroom.errors import told


@dataclass(frozen=True)
class Signature:
    """A signature that the appliance made."""

    #: The signature.
    data: bytes
    #: The version of the key that made it.
    version: int
    #: The index of the leaf in the audit log.
    leaf: int


@dataclass(frozen=True)
class Ciphertext:
    """A ciphertext that the appliance made, and what it was made with: keep both."""

    #: The ciphertext; of AES-GCM with the tag.
    data: bytes = field(repr=False)
    #: The nonce, initialisation vector or first counter block, where there is one.
    iv: Optional[bytes] = None


class PublicKey:
    """The public key of one version of a key pair. What it can do, it does here, without the appliance."""

    def __init__(self, inner: _generated.PublicKey) -> None:
        self._inner = inner

    @property
    def key(self) -> str:
        """The key's identifier."""
        return self._inner.key()

    @property
    def version(self) -> int:
        """The version, from 1."""
        return self._inner.version()

    @property
    def algorithm(self) -> Algorithm:
        """What it is for."""
        return self._inner.algorithm()

    @property
    def der(self) -> bytes:
        """`SubjectPublicKeyInfo` (RFC 5280) in DER."""
        return self._inner.der()

    @property
    def pem(self) -> str:
        """The same in PEM (RFC 7468): what OpenSSL and most tools take."""
        return self._inner.pem()

    def verify(
        self,
        message: bytes,
        signature: Union[bytes, Signature],
        *,
        mechanism: Optional[Mechanism] = None,
        encoding: SignatureEncoding = SignatureEncoding.DER,
    ) -> bool:
        """Whether this is the key's signature of the message. Where no mechanism is named it is the one that such keys sign by."""
        with told():
            return self._inner.verify(bytes(message), _bare(signature), mechanism, encoding)

    def verify_digest(
        self,
        digest: bytes,
        signature: Union[bytes, Signature],
        *,
        mechanism: Optional[Mechanism] = None,
        encoding: SignatureEncoding = SignatureEncoding.DER,
    ) -> bool:
        """The same of a message's digest."""
        with told():
            return self._inner.verify_digest(
                bytes(digest), _bare(signature), mechanism, encoding
            )

    def encrypt(self, plaintext: bytes, mechanism: Mechanism) -> bytes:
        """Encrypts to the holder of an RSA key."""
        with told():
            return self._inner.encrypt(mechanism, bytes(plaintext))

    def __repr__(self) -> str:
        return f"PublicKey(key={self.key!r}, version={self.version})"


class Operates:
    """What a session and a device can both have the appliance do with keys that stay there."""

    _inner: Union[_generated.Session, _generated.Device]

    def sign(
        self,
        key: Union[str, Key],
        message: bytes,
        *,
        mechanism: Optional[Mechanism] = None,
        encoding: SignatureEncoding = SignatureEncoding.DER,
    ) -> Signature:
        """Has the appliance sign a message. Where the mechanism signs its digest, that alone is sent. Where none is named it is the one that
        such keys sign by.

        >>> signature = session.sign(key, b"the message")  # doctest: +SKIP
        >>> session.public_key(key).verify(b"the message", signature)  # doctest: +SKIP
        True
        """
        with told():
            made = self._inner.sign(
                key_id(key), bytes(message), _mechanism(key, mechanism), encoding
            )
        return Signature(made.bytes, made.version, made.leaf)

    def sign_digest(
        self,
        key: Union[str, Key],
        digest: bytes,
        *,
        mechanism: Optional[Mechanism] = None,
        encoding: SignatureEncoding = SignatureEncoding.DER,
    ) -> Signature:
        """The same with the digest of a message."""
        with told():
            made = self._inner.sign_digest(
                key_id(key), bytes(digest), _mechanism(key, mechanism), encoding
            )
        return Signature(made.bytes, made.version, made.leaf)

    def public_key(self, key: Union[str, Key], version: Optional[int] = None) -> PublicKey:
        """The public key of a version of a key pair, or of the newest: it verifies."""
        with told():
            return PublicKey(self._inner.public_key(key_id(key), version))

    def mac(self, key: Union[str, Key], message: bytes, mechanism: Mechanism) -> bytes:
        """Has the appliance make a MAC of a message."""
        with told():
            return self._inner.mac(key_id(key), mechanism, bytes(message))

    def verify_mac(
        self,
        key: Union[str, Key],
        message: bytes,
        mac: bytes,
        mechanism: Mechanism,
        *,
        version: Optional[int] = None,
    ) -> bool:
        """Whether this is the MAC of the message, by this version of the key or the newest."""
        with told():
            return self._inner.verify_mac(
                key_id(key), mechanism, bytes(message), bytes(mac), version
            )

    def encrypt(
        self,
        key: Union[str, Key],
        plaintext: bytes,
        mechanism: Mechanism,
        *,
        associated_data: Optional[bytes] = None,
    ) -> Ciphertext:
        """Has the appliance encrypt. It draws the nonce or initialisation vector, which the answer has."""
        with told():
            made = self._inner.encrypt(
                key_id(key), mechanism, bytes(plaintext), associated_data
            )
        return Ciphertext(made.data, made.iv)

    def decrypt(
        self,
        key: Union[str, Key],
        ciphertext: Ciphertext,
        mechanism: Mechanism,
        *,
        associated_data: Optional[bytes] = None,
        version: Optional[int] = None,
    ) -> bytes:
        """Has the appliance decrypt, with this version of the key or the newest. Raises `Altered` when it was not made under this key."""
        given = _generated.Ciphertext(data=bytes(ciphertext.data), iv=ciphertext.iv)
        with told():
            return self._inner.decrypt(
                key_id(key), mechanism, given, associated_data, version
            )

    def import_key(
        self,
        label: str,
        material: bytes,
        *,
        algorithm: Algorithm,
        content_type: Optional[str] = None,
        to: Names = (),
        policy: Optional[UsagePolicy] = None,
        releasable: Releasable = Releasable.BY_POLICY,
    ) -> Key:
        """Brings an existing key: the bytes of a secret key, or a private key as PKCS #8 in DER (`private_key_from_pem` gives it). It is
        checked, and recorded as brought. On its way it is wrapped under the transport key."""
        new = new_key(label, algorithm, content_type, to, policy, releasable, None)
        with told():
            return _records.key(self._inner.import_key(new, bytes(material)))


def private_key_from_pem(text: Union[str, bytes]) -> Optional[bytes]:
    """The DER of the first private key in a PEM text, as `import_key` takes it: PKCS #8, or the older forms of RSA and EC keys. None where
    there is none."""
    return _generated.private_key_from_pem(
        text.encode() if isinstance(text, str) else bytes(text)
    )


def _mechanism(key: Union[str, Key], named: Optional[Mechanism]) -> Optional[Mechanism]:
    """The one that was named, or that the key signs by, where what it is for is known: the appliance need not be asked then."""
    if named is not None or isinstance(key, str):
        return named
    return _generated.mechanism_of_signatures(key.algorithm)


def _bare(signature: Union[bytes, Signature]) -> bytes:
    return signature.data if isinstance(signature, Signature) else bytes(signature)
