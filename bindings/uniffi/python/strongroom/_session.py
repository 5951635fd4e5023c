"""What can be done in a session, or by a device."""

from __future__ import annotations

import datetime
import os
from types import TracebackType
from typing import (
    Iterable,
    Iterator,
    List,
    Optional,
    Tuple,
    Type,
    TypeVar,
    Union,
)

from strongroom import _objects, _records
from strongroom._bindings import strongroom as _generated
from strongroom._bindings.strongroom import (
    Algorithm,
    KeyState,
    Releasable,
    Right,
    UsagePolicy,
)
from strongroom._objects import (
    ObjectReader,
    ObjectWriter,
    Readable,
    Seekable,
    Writable,
)
from strongroom._operations import Operates
from strongroom._records import (
    Account,
    Grant,
    Key,
    Message,
    Names,
    Outgoing,
    Path,
    Pem,
    Protected,
    Sealed,
    key_id,
    names,
    new_key,
    pem,
    secret,
)
from strongroom.errors import (
    NotSignedIn,
    StrongroomError,
    Unreachable,
    of_failure,
    told,
)

_Self = TypeVar("_Self", bound="_Protects")


class Material:
    """A key's material, for an application that does its own encryption. As a context manager it is overwritten at the end of `with`.

    It is held in locked memory, and overwritten when usage policies do not allow to keep it any more, too.
    """

    def __init__(self, inner: _generated.Released) -> None:
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
    def not_after(self) -> Optional[datetime.datetime]:
        """When it must be forgotten, if there is such a moment."""
        return self._inner.not_after()

    @property
    def leaf(self) -> int:
        """The index of the release's leaf in the audit log."""
        return self._inner.leaf()

    def reveal(self) -> bytes:
        """A copy of the bytes. Python cannot overwrite that copy: let go of it as soon as it was used."""
        with told():
            return self._inner.material()

    def wipe(self) -> None:
        """Overwrites the material, unless another handle of the same key has it."""
        self._inner.wipe()

    def __enter__(self) -> Material:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return f"Material(key={self.key!r}, version={self.version})"


class _Protects:
    """What a session and a device can both do."""

    _inner: Union[_generated.Session, _generated.Device]

    # Messages.

    def seal_message(
        self,
        plaintext: bytes,
        to: Names = (),
        *,
        label: str = "",
        content_type: Optional[str] = None,
        policy: Optional[UsagePolicy] = None,
    ) -> Sealed:
        """Seals a message for the accounts with these names, and for oneself.

        >>> sealed = session.seal_message(b"at noon", to="bob@example.com")  # doctest: +SKIP
        """
        message = _records.outgoing(Outgoing(plaintext, to, label, content_type, policy))
        with told():
            sealed = self._inner.seal_message(
                message.plaintext, message.recipients, message.metadata
            )
        return _records.sealed(sealed)

    def seal_messages(self, messages: Iterable[Outgoing]) -> List[Sealed]:
        """Seals many messages, each under a key of its own, in few requests: a thousand take one."""
        with told():
            sealed = self._inner.seal_messages([_records.outgoing(one) for one in messages])
        return [_records.sealed(one) for one in sealed]

    def open_message(self, envelope: bytes) -> Message:
        """Opens a message: reads its envelope, obtains its key, and authenticates it."""
        with told():
            return _records.message(self._inner.open_message(bytes(envelope)))

    def open_messages(
        self, envelopes: Iterable[bytes]
    ) -> List[Union[Message, StrongroomError]]:
        """Opens many messages in few requests: a thousand take one. That one of them is refused stops no other: its error stands in its
        place."""
        with told():
            outcomes = self._inner.open_messages([bytes(one) for one in envelopes])
        return [_opened(outcome) for outcome in outcomes]

    # Objects.

    def protect_file(
        self,
        source: Path,
        destination: Path,
        to: Names = (),
        *,
        label: Optional[str] = None,
        content_type: Optional[str] = None,
        policy: Optional[UsagePolicy] = None,
    ) -> Protected:
        """Protects a file for the accounts with these names, and for oneself. The object appears when it is complete, and replaces no file.
        Label and content type are the file's own unless they are given."""
        protection = _records.protection(to, label, content_type, policy)
        with told():
            done = self._inner.protect_file(
                os.fspath(source), os.fspath(destination), protection
            )
        return Protected(_records.key(done.key), done.length)

    def open_file(self, source: Path, destination: Path) -> int:
        """Opens an object into a file, which only its owner may read. It appears when the whole object has been authenticated, and replaces
        no file. Answers the length in bytes."""
        with told():
            return self._inner.open_file(os.fspath(source), os.fspath(destination))

    def protect(
        self,
        source: Readable,
        destination: Writable,
        to: Names = (),
        *,
        label: str = "",
        content_type: Optional[str] = None,
        policy: Optional[UsagePolicy] = None,
    ) -> Protected:
        """Protects all that one file object has left, and writes the object to another. When it fails, what was written is to be discarded."""
        reader, writer = _objects.Source(source), _objects.Sink(destination)
        with told(reader, writer):
            done = self._inner.protect(
                _records.protection(to, label, content_type, policy), reader, writer
            )
        return Protected(_records.key(done.key), done.length)

    def writer(
        self,
        destination: Writable,
        to: Names = (),
        *,
        label: str = "",
        content_type: Optional[str] = None,
        policy: Optional[UsagePolicy] = None,
    ) -> ObjectWriter:
        """A file object that encrypts what is written to it, as it is written, into another.

        >>> with open("log.sealed", "xb") as file, session.writer(file) as log:  # doctest: +SKIP
        ...     log.write(b"started")
        """
        sink = _objects.Sink(destination)
        with told(sink):
            inner = self._inner.writer(_records.protection(to, label, content_type, policy), sink)
        return ObjectWriter(inner, sink)

    def open(self, source: Readable) -> ObjectReader:
        """A file object with the content of the object that another one has, from its beginning to its end."""
        stream = _objects.Source(source)
        with told(stream):
            inner = self._inner.open(stream)
        return _objects.reader(inner, stream)

    def open_at(self, source: Union[Path, Seekable]) -> ObjectReader:
        """A file object with the content of the object in a file, or in a file object that can be sought in: any part of it is read without
        what stands before it."""
        if isinstance(source, (str, os.PathLike)):
            with told():
                return _objects.reader_at(self._inner.open_file_at(os.fspath(source)))
        ranges = _objects.Ranges(source)
        with told(ranges):
            inner = self._inner.open_at(ranges)
        return _objects.reader_at(inner, ranges)

    def open_url(self, url: str, *, ca: Pem) -> ObjectReader:
        """The same for an object behind an address that gives ranges, such as somebody's cloud storage, for which the authorities in `ca`
        vouch. Only what is read is fetched."""
        authorities = pem(ca)
        with told():
            return _objects.reader_at(self._inner.open_url_at(url, authorities))

    # Keys.

    def create_key(
        self,
        label: str,
        *,
        algorithm: Algorithm = Algorithm.AES256,
        content_type: Optional[str] = None,
        to: Names = (),
        policy: Optional[UsagePolicy] = None,
        releasable: Releasable = Releasable.BY_POLICY,
        length: Optional[int] = None,
    ) -> Key:
        """Has the appliance make a key. With `Releasable.NEVER` nobody ever obtains it: the appliance uses it for those who may. `length` is
        that of a generic secret in bytes, 32 by default.

        >>> key = session.create_key(  # doctest: +SKIP
        ...     "releases", algorithm=Algorithm.EC_P256, releasable=Releasable.NEVER
        ... )
        """
        new = new_key(label, algorithm, content_type, to, policy, releasable, length)
        with told():
            return _records.key(self._inner.create_keys([new])[0])

    def create_and_obtain(
        self,
        label: str,
        *,
        algorithm: Algorithm = Algorithm.AES256,
        content_type: Optional[str] = None,
        to: Names = (),
        policy: Optional[UsagePolicy] = None,
        length: Optional[int] = None,
    ) -> Tuple[Key, Material]:
        """Has the appliance make a key and release it in the same answer."""
        new = new_key(
            label, algorithm, content_type, to, policy, Releasable.BY_POLICY, length
        )
        with told():
            created = self._inner.create_and_obtain(new)
        return _records.key(created.key), Material(created.released)

    def obtain(self, key: Union[str, Key], version: Optional[int] = None) -> Material:
        """Obtains a key: this version of it, or the newest.

        >>> with session.obtain(key) as material:  # doctest: +SKIP
        ...     cipher = AESGCM(material.reveal())
        """
        with told():
            return Material(self._inner.obtain(key_id(key), version))

    def obtain_keys(
        self, keys: Iterable[Union[str, Key]]
    ) -> List[Union[Material, StrongroomError]]:
        """Obtains the newest versions of many keys in few requests. That one of them is refused stops no other: its error stands in its
        place."""
        with told():
            outcomes = self._inner.obtain_keys([key_id(key) for key in keys])
        return [_obtained(outcome) for outcome in outcomes]

    def key(self, key: str) -> Key:
        """What one may know of the key with this identifier."""
        with told():
            return _records.key(self._inner.key(key))

    def find_keys(
        self,
        *,
        label: Optional[str] = None,
        sender: Optional[str] = None,
        recipient: Optional[str] = None,
        state: Optional[KeyState] = None,
        since: Optional[datetime.datetime] = None,
        until: Optional[datetime.datetime] = None,
    ) -> Iterator[Key]:
        """All keys that match, the newest first, page by page as they are taken."""
        after: Optional[str] = None
        while True:
            query = _generated.KeyQuery(
                label=label,
                sender=sender,
                recipient=recipient,
                state=state,
                since=_records.aware(since),
                until=_records.aware(until),
                after=after,
            )
            with told():
                page = self._inner.find_keys(query)
            for key in page.keys:
                yield _records.key(key)
            if page.next is None or page.next == after:
                return
            after = page.next

    def keep_keys(
        self,
        *,
        fresh_for: datetime.timedelta = datetime.timedelta(0),
        at_most: datetime.timedelta = datetime.timedelta(hours=1),
    ) -> None:
        """Changes for how long obtained keys are held for further use: without asking the appliance, and while it is away. Usage policies
        come first."""
        with told():
            self._inner.keep_keys(
                int(fresh_for.total_seconds()), int(at_most.total_seconds())
            )

    def forget(self, key: Union[str, Key, None] = None) -> None:
        """Overwrites every key that is held, and the material of all that were obtained here; or that of one key."""
        with told():
            if key is None:
                self._inner.forget()
            else:
                self._inner.forget_key(key_id(key))


class Session(_Protects, Operates):
    """An account signed in at an appliance. Leaving `with` ends the session."""

    _inner: _generated.Session

    def __init__(self, inner: _generated.Session) -> None:
        self._inner = inner

    @property
    def account(self) -> Account:
        """Who is signed in."""
        return _records.account(self._inner.account())

    @property
    def expires(self) -> datetime.datetime:
        """When the session ends by itself."""
        return self._inner.expires()

    def step_up(self, password: Union[str, bytes]) -> None:
        """Signs in again in this session, where something needs a recent sign-in."""
        with told():
            self._inner.step_up(secret(password))

    def share(
        self,
        key: Union[str, Key],
        grantee: str,
        *,
        rights: Optional[Iterable[Right]] = None,
        policy: Optional[UsagePolicy] = None,
    ) -> Grant:
        """Gives an account the key. Where no rights are named it may open what the key protects, and nothing more."""
        named = None if rights is None else list(rights)
        with told():
            return _records.grant(self._inner.share(key_id(key), grantee, named, policy))

    def grants(self, key: Union[str, Key]) -> List[Grant]:
        """Who has the key, the owner first."""
        with told():
            return [_records.grant(grant) for grant in self._inner.grants(key_id(key))]

    def revoke(self, key: Union[str, Key], account: str) -> Grant:
        """Takes the key back from the account with this name."""
        with told():
            return _records.grant(self._inner.revoke_from(key_id(key), account))

    def rotate(self, key: Union[str, Key]) -> Key:
        """Makes a new version of the key. What was protected under earlier versions still opens."""
        with told():
            return _records.key(self._inner.rotate(key_id(key)))

    def change_state(self, key: Union[str, Key], state: KeyState) -> Key:
        """Changes the key's state."""
        with told():
            return _records.key(self._inner.change_state(key_id(key), state))

    def destroy(self, key: Union[str, Key]) -> Key:
        """Destroys the key with every copy of it. What it protects can never be opened again."""
        with told():
            return _records.key(self._inner.destroy_key(key_id(key)))

    def end(self) -> None:
        """Ends the session at the appliance, and forgets its secrets and keys."""
        with told():
            self._inner.end()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        try:
            self.end()
        except (NotSignedIn, Unreachable):
            # It has ended, or ends by itself; what it held is forgotten here.
            pass

    def __repr__(self) -> str:
        return f"Session(account={self.account.name!r})"


class Device(_Protects, Operates):
    """A device or service that signs each of its requests with its account's secret. Leaving `with` forgets its keys."""

    _inner: _generated.Device

    def __init__(self, inner: _generated.Device) -> None:
        self._inner = inner

    @property
    def account(self) -> Account:
        """Its account, as the appliance has it now: asks for it."""
        with told():
            return _records.account(self._inner.account())

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.forget()


def _opened(outcome: _generated.OpenOutcome) -> Union[Message, StrongroomError]:
    if isinstance(outcome, _generated.OpenOutcome.OPENED):
        return _records.message(outcome.message)
    assert isinstance(outcome, _generated.OpenOutcome.REFUSED)
    return of_failure(outcome.failure)


def _obtained(outcome: _generated.Obtained) -> Union[Material, StrongroomError]:
    if isinstance(outcome, _generated.Obtained.RELEASED):
        return Material(outcome.released)
    assert isinstance(outcome, _generated.Obtained.REFUSED)
    return of_failure(outcome.failure)
