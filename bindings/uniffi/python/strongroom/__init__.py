"""Protect messages and objects with keys that a Strongroom appliance keeps.

    import strongroom

    with strongroom.sign_in("https://keys.example.com:8443", "alice@example.com", password, ca="ca.pem") as session:
        sealed = session.seal_message(b"at noon", to="bob@example.com")
        session.protect_file("report.pdf", "report.pdf.sealed", to=["bob@example.com", "carol@example.com"])

Bob opens them in his session: `session.open_message(sealed.envelope).plaintext`, `session.open_file("report.pdf.sealed", "report.pdf")`.
Nobody who uses it needs to know cryptography, or how the appliance is talked to.

Sessions, devices and clients may be used by several threads at once; file objects by one at a time.
"""

from strongroom._bindings.strongroom import (
    AccountKind,
    Algorithm,
    Hours,
    KeyState,
    Mechanism,
    Origin,
    Releasable,
    Right,
    SignatureEncoding,
    SignInStrength,
    UsagePolicy,
    Weekday,
)
from strongroom._client import Client, sign_in
from strongroom._objects import (
    ObjectReader,
    ObjectWriter,
    Readable,
    Seekable,
    Writable,
)
from strongroom._operations import (
    Ciphertext,
    PublicKey,
    Signature,
    private_key_from_pem,
)
from strongroom._records import (
    Account,
    Grant,
    Key,
    Message,
    ObjectHeader,
    Outgoing,
    Protected,
    Sealed,
)
from strongroom._session import Device, Material, Session
from strongroom.errors import (
    Altered,
    Destroyed,
    DeviceFailed,
    ErrorKind,
    Expired,
    Failed,
    Invalid,
    NotFound,
    NotPermitted,
    NotReadable,
    NotSignedIn,
    NotTrusted,
    OtherAppliance,
    RefusedByPolicy,
    Revoked,
    SignInRefused,
    StateForbids,
    StepUpRequired,
    StrongroomError,
    TooManyAttempts,
    Truncated,
    Unreachable,
)

__all__ = [
    "Account",
    "AccountKind",
    "Algorithm",
    "Altered",
    "Ciphertext",
    "Client",
    "Destroyed",
    "Device",
    "DeviceFailed",
    "ErrorKind",
    "Expired",
    "Failed",
    "Grant",
    "Hours",
    "Invalid",
    "Key",
    "KeyState",
    "Material",
    "Mechanism",
    "Message",
    "NotFound",
    "NotPermitted",
    "NotReadable",
    "NotSignedIn",
    "NotTrusted",
    "ObjectHeader",
    "ObjectReader",
    "ObjectWriter",
    "Origin",
    "OtherAppliance",
    "Outgoing",
    "Protected",
    "PublicKey",
    "Readable",
    "RefusedByPolicy",
    "Releasable",
    "Revoked",
    "Right",
    "Sealed",
    "Seekable",
    "Session",
    "SignInRefused",
    "SignInStrength",
    "Signature",
    "SignatureEncoding",
    "StateForbids",
    "StepUpRequired",
    "StrongroomError",
    "TooManyAttempts",
    "Truncated",
    "Unreachable",
    "UsagePolicy",
    "Weekday",
    "Writable",
    "private_key_from_pem",
    "sign_in",
]
