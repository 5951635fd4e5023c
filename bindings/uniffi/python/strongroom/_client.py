"""An appliance, and signing in to it."""

from __future__ import annotations

from typing import Callable, Optional, Tuple, Union

from strongroom._bindings import strongroom as _generated
from strongroom._bindings.strongroom import ErrorKind
from strongroom._records import Names, Pem, names, pem, secret
from strongroom._session import Device, Session
from strongroom.errors import SignInRefused, told


class Client:
    """An appliance, and who vouches for it. Connects to nothing yet."""

    def __init__(
        self,
        server: str,
        *,
        ca: Pem,
        or_at: Names = (),
        also_known_as: Names = (),
        domain: Optional[str] = None,
        identity: Optional[Tuple[Pem, Pem]] = None,
        rounds: Optional[int] = None,
    ) -> None:
        """`server` is its address, such as `https://keys.example.com:8443`; `ca` the certificates of the authorities that vouch for it.

        `or_at`: further addresses at which it is reached, tried in turn. `also_known_as`: further addresses that objects may name it by.
        `domain`: the domain, where the address does not stand for it. `identity`: a client certificate and its private key.
        `rounds`: how often every address is tried when a request comes to nothing and may be made again; 4 by default.
        """
        settings = _generated.ClientSettings(
            server=server,
            ca=pem(ca),
            or_at=names(or_at),
            also_known_as=names(also_known_as),
            domain=domain,
            identity=None
            if identity is None
            else _generated.Identity(certificate=pem(identity[0]), key=pem(identity[1])),
            rounds=rounds,
        )
        with told():
            self._inner = _generated.Client(settings)

    @property
    def origin(self) -> str:
        """The appliance's origin, such as `https://keys.example.com:8443`."""
        return self._inner.origin()

    def enrol(self, account: str, code: str, password: Union[str, bytes]) -> None:
        """Sets the password of an account with the one-time code that the administrator handed out."""
        with told():
            self._inner.enrol(account, code, secret(password))

    def sign_in(
        self,
        account: str,
        password: Union[str, bytes],
        *,
        second_factor: Union[str, Callable[[], str], None] = None,
    ) -> Session:
        """Signs in with a password, which the appliance never sees.

        `second_factor` is the authenticator app's six digits or a recovery code, or a function that asks for one: it is called only when the
        account has a second factor, and again as long as what it gave is wrong and tries are left.
        """
        with told():
            outcome = self._inner.sign_in(account, secret(password))
        if isinstance(outcome, _generated.SignIn.DONE):
            return Session(outcome.session)
        assert isinstance(outcome, _generated.SignIn.SECOND_FACTOR_NEEDED)
        waiting = outcome.sign_in
        if second_factor is None:
            raise SignInRefused(
                "the account has a second factor: it takes that as well",
                ErrorKind.SIGN_IN_REFUSED,
            )
        if isinstance(second_factor, str):
            return _prove(waiting, second_factor)
        for _ in range(waiting.tries() - 1):
            try:
                return _prove(waiting, second_factor())
            except SignInRefused as error:
                if error.code != "second-factor-refused":
                    raise
        return _prove(waiting, second_factor())

    def sign_in_by_certificate(self) -> Session:
        """Signs in by the client certificate that was given as `identity`."""
        with told():
            return Session(self._inner.sign_in_by_certificate())

    def device(self, account_id: str, secret: str) -> Device:
        """The device or service with this account and account secret. Nothing is asked of the appliance yet."""
        with told():
            return Device(self._inner.device(account_id, secret))

    def __repr__(self) -> str:
        return f"Client({self.origin!r})"


def sign_in(
    server: str,
    account: str,
    password: Union[str, bytes],
    *,
    ca: Pem,
    second_factor: Union[str, Callable[[], str], None] = None,
) -> Session:
    """Signs in at an appliance: `Client` and `Client.sign_in` in one."""
    return Client(server, ca=ca).sign_in(account, password, second_factor=second_factor)


def _prove(waiting: _generated.SecondFactorSignIn, code: str) -> Session:
    code = code.strip()
    with told():
        if len(code) == 6 and code.isdigit():
            return Session(waiting.prove_totp(code))
        return Session(waiting.prove_recovery_code(code))
