"""Why something could not be done: one exception for each kind, all of them a `StrongroomError`."""

from __future__ import annotations

import contextlib
from typing import Dict, Iterator, Optional, Type

from strongroom._bindings import strongroom as _generated
from strongroom._bindings.strongroom import ErrorKind, Failure

__all__ = [
    "Altered",
    "Destroyed",
    "DeviceFailed",
    "ErrorKind",
    "Expired",
    "Failed",
    "Invalid",
    "NotFound",
    "NotPermitted",
    "NotReadable",
    "NotSignedIn",
    "NotTrusted",
    "OtherAppliance",
    "RefusedByPolicy",
    "Revoked",
    "SignInRefused",
    "StateForbids",
    "StepUpRequired",
    "StrongroomError",
    "TooManyAttempts",
    "Truncated",
    "Unreachable",
]


class StrongroomError(Exception):
    """Something could not be done. Its text is one sentence for people, and holds no secret."""

    #: What kind of failure it is; each kind is a class of its own as well.
    kind: ErrorKind
    #: The rule of a usage policy that refused, such as `policy:key:not-after`, for those who may know it.
    rule: Optional[str]
    #: The problem code of the appliance's refusal, such as `grant-revoked`.
    code: Optional[str]
    #: Whether the same may be tried again: nothing was done, or doing it twice does no harm.
    safe_to_retry: bool

    def __init__(
        self,
        reason: str,
        kind: ErrorKind,
        *,
        rule: Optional[str] = None,
        code: Optional[str] = None,
        safe_to_retry: bool = False,
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.rule = rule
        self.code = code
        self.safe_to_retry = safe_to_retry


class NotSignedIn(StrongroomError):
    """There is no session, or it has ended: sign in."""


class SignInRefused(StrongroomError):
    """The sign-in itself was refused."""


class StepUpRequired(StrongroomError):
    """The act needs a more recent sign-in: `Session.step_up`."""


class RefusedByPolicy(StrongroomError):
    """A usage policy does not allow it; `rule` says by which rule, where one may know."""


class NotPermitted(StrongroomError):
    """The account may not do that."""


class NotFound(StrongroomError):
    """There is no such thing that the account may know of."""


class Revoked(StrongroomError):
    """The account's grant to the key was revoked."""


class Destroyed(StrongroomError):
    """The key is destroyed: what it protects can be opened by nobody."""


class StateForbids(StrongroomError):
    """The present state, such as a key's, does not allow it."""


class Expired(StrongroomError):
    """Key material may not be kept any more: obtain the key again."""


class Altered(StrongroomError):
    """What came, or was stored, is not what was made: it was altered."""


class Truncated(StrongroomError):
    """What was stored ends before its end."""


class NotReadable(StrongroomError):
    """It is no object or message, or one of a version that this library cannot read."""


class OtherAppliance(StrongroomError):
    """Its key is kept at an appliance that this client was not set up with."""


class Unreachable(StrongroomError):
    """The appliance cannot be reached, or cannot answer now; `safe_to_retry` says whether nothing was done."""


class NotTrusted(StrongroomError):
    """What answers cannot prove to be the appliance."""


class TooManyAttempts(StrongroomError):
    """Too many attempts have failed, or the domain makes too many requests: wait."""


class Invalid(StrongroomError):
    """What was asked for cannot be."""


class DeviceFailed(StrongroomError):
    """Reading or writing on this device failed. `__cause__` is the exception of a file object that was given."""


class Failed(StrongroomError):
    """A fault of the appliance or of this library."""


_CLASSES: Dict[ErrorKind, Type[StrongroomError]] = {
    ErrorKind.NOT_SIGNED_IN: NotSignedIn,
    ErrorKind.SIGN_IN_REFUSED: SignInRefused,
    ErrorKind.STEP_UP_REQUIRED: StepUpRequired,
    ErrorKind.REFUSED_BY_POLICY: RefusedByPolicy,
    ErrorKind.NOT_PERMITTED: NotPermitted,
    ErrorKind.NOT_FOUND: NotFound,
    ErrorKind.REVOKED: Revoked,
    ErrorKind.DESTROYED: Destroyed,
    ErrorKind.STATE_FORBIDS: StateForbids,
    ErrorKind.EXPIRED: Expired,
    ErrorKind.ALTERED: Altered,
    ErrorKind.TRUNCATED: Truncated,
    ErrorKind.NOT_READABLE: NotReadable,
    ErrorKind.OTHER_APPLIANCE: OtherAppliance,
    ErrorKind.UNREACHABLE: Unreachable,
    ErrorKind.NOT_TRUSTED: NotTrusted,
    ErrorKind.TOO_MANY_ATTEMPTS: TooManyAttempts,
    ErrorKind.INVALID: Invalid,
    ErrorKind.DEVICE: DeviceFailed,
    ErrorKind.FAILED: Failed,
}


def of_failure(failure: Failure) -> StrongroomError:
    """The exception that says what a failure of the generated module says."""
    return _CLASSES[failure.kind](
        failure.reason,
        failure.kind,
        rule=failure.rule,
        code=failure.code,
        safe_to_retry=failure.safe_to_retry,
    )


class HasFailed:
    """A stream of the caller's whose exception must not get lost on its way through the other language."""

    error: Optional[Exception] = None


@contextlib.contextmanager
def told(*streams: HasFailed) -> Iterator[None]:
    """Tells the generated module's errors as this module's."""
    try:
        yield
    except _generated.StrongroomError as error:
        causes = [stream.error for stream in streams if stream.error is not None]
        # Each of them has one; the generated module's types do not say so.
        failure: Failure = vars(error)["failure"]
        raise of_failure(failure) from (causes[0] if causes else None)
