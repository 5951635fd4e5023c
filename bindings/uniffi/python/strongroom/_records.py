"""What is given to the library and what comes out of it."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass, field
from typing import Iterable, List, Optional, Tuple, Union

from strongroom._bindings import strongroom as _generated
from strongroom._bindings.strongroom import (
    Algorithm,
    KeyState,
    Origin,
    Releasable,
    Right,
    UsagePolicy,
)

#: One account's name, or several.
Names = Union[str, Iterable[str]]

#: A path of a file.
Path = Union[str, "os.PathLike[str]"]
#: A file in PEM by its path, or its content.
Pem = Union[bytes, Path]


def names(given: Names) -> List[str]:
    """Several names, even where one was given."""
    return [given] if isinstance(given, str) else list(given)


def pem(given: Pem) -> bytes:
    """A file in PEM, read where its path was given."""
    if isinstance(given, bytes):
        return given
    with open(given, "rb") as file:
        return file.read()


def secret(given: Union[str, bytes]) -> bytes:
    """A secret as bytes."""
    return given.encode() if isinstance(given, str) else bytes(given)


def aware(moment: Optional[datetime.datetime]) -> Optional[datetime.datetime]:
    """A moment without a zone is one by this machine's clock."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.astimezone()


def protection(
    to: Names,
    label: Optional[str],
    content_type: Optional[str],
    policy: Optional[UsagePolicy],
) -> _generated.Protection:
    """Who may open an object and when."""
    return _generated.Protection(
        label=label, content_type=content_type, recipients=names(to), policy=policy
    )


@dataclass(frozen=True)
class Key:
    """A key as an account with a grant to it sees it."""

    #: Its identifier.
    id: str
    #: What it is for.
    algorithm: Algorithm
    #: Its state (NIST SP 800-57).
    state: KeyState
    #: The name for people.
    label: str
    #: The media type of what it protects.
    content_type: Optional[str]
    #: The owner's name.
    owner: str
    #: The name of who created it: the sender of what it protects.
    sender: str
    #: The names of the recipients recorded when it was created.
    recipients: Tuple[str, ...]
    #: The newest version; the first is 1.
    version: int
    #: The key's usage policy, for its owner and those who administer it.
    policy: Optional[UsagePolicy] = field(repr=False)
    #: When it was created.
    created: datetime.datetime
    #: What the caller may do with it.
    rights: Tuple[Right, ...]
    #: Whether its material may go to clients.
    releasable: Releasable
    #: Where its material comes from.
    origin: Origin
    #: The length of a generic secret, in bytes.
    length: Optional[int]


@dataclass(frozen=True)
class Grant:
    """Who has a key."""

    #: Its identifier.
    id: str
    #: The key's identifier.
    key: str
    #: The name of who has it.
    grantee: str
    #: Whether it has not been taken back.
    active: bool
    #: What the grantee may do.
    rights: Tuple[Right, ...]
    #: Its usage policy.
    policy: UsagePolicy = field(repr=False)
    #: When it was given.
    created: datetime.datetime


@dataclass(frozen=True)
class Outgoing:
    """One of many messages to be sealed."""

    #: What is sealed.
    plaintext: bytes = field(repr=False)
    #: Who may open it, besides the one that seals it.
    to: Names = ()
    #: The key's name for people. Kept by the appliance; not in the envelope.
    label: str = ""
    #: The media type of the content. Stands unencrypted in the envelope.
    content_type: Optional[str] = None
    #: When and how often its key may be released.
    policy: Optional[UsagePolicy] = None


@dataclass(frozen=True)
class Sealed:
    """A sealed message."""

    #: Its key, as the appliance has it.
    key: Key
    #: The envelope: keep it or send it wherever you like.
    envelope: bytes = field(repr=False)
    #: The index of the audit leaf of the key's creation.
    leaf: int


@dataclass(frozen=True)
class Message:
    """A message that was opened. What it says of itself is authentic."""

    #: The content.
    plaintext: bytes = field(repr=False)
    #: The identifier of the key that seals it.
    key: str
    #: The version of the key, from 1.
    key_version: int
    #: The origin of the appliance that keeps the key.
    server: str
    #: The media type of the content, if it was given.
    content_type: Optional[str]
    #: The identifier of the account that sent it.
    sender: str
    #: The names of the accounts it was sent to.
    recipients: Tuple[str, ...]
    #: When it was sealed, by the appliance's clock.
    time: datetime.datetime
    #: The index of the audit leaf of the key's release.
    leaf: int


@dataclass(frozen=True)
class Protected:
    """What was protected."""

    #: The object's key.
    key: Key
    #: The length of what was protected, in bytes.
    length: int


@dataclass(frozen=True)
class ObjectHeader:
    """What an object says of itself. Authentic."""

    #: The identifier of the key that protects it.
    key: str
    #: The version of the key, from 1.
    key_version: int
    #: The origin of the appliance that keeps the key.
    server: str
    #: The media type of the content, if it was given.
    content_type: Optional[str]


@dataclass(frozen=True)
class Account:
    """Who is signed in."""

    #: The account's identifier.
    id: str
    #: Its name in the domain.
    name: str
    #: What it stands for.
    kind: _generated.AccountKind


def key_id(of: Union[str, Key]) -> str:
    """The identifier of a key, or the one that was given."""
    return of.id if isinstance(of, Key) else of


def new_key(
    label: str,
    algorithm: Algorithm,
    content_type: Optional[str],
    to: Names,
    policy: Optional[UsagePolicy],
    releasable: Releasable,
    length: Optional[int],
) -> _generated.NewKey:
    return _generated.NewKey(
        label=label,
        algorithm=algorithm,
        content_type=content_type,
        recipients=names(to),
        policy=policy,
        releasable=releasable,
        length=length,
    )


def key(of: _generated.Key) -> Key:
    return Key(
        of.id,
        of.algorithm,
        of.state,
        of.label,
        of.content_type,
        of.owner,
        of.sender,
        tuple(of.recipients),
        of.version,
        of.policy,
        of.created,
        tuple(of.rights),
        of.releasable,
        of.origin,
        of.length,
    )


def grant(of: _generated.Grant) -> Grant:
    return Grant(of.id, of.key, of.grantee, of.active, tuple(of.rights), of.policy, of.created)


def sealed(of: _generated.Sealed) -> Sealed:
    return Sealed(key(of.key), of.bytes, of.leaf)


def message(of: _generated.Opened) -> Message:
    header = of.header
    return Message(
        of.plaintext,
        header.key,
        header.key_version,
        header.server,
        header.content_type,
        header.sender,
        tuple(header.recipients),
        header.time,
        of.leaf,
    )


def header(of: _generated.ObjectHeader) -> ObjectHeader:
    return ObjectHeader(of.key, of.key_version, of.server, of.content_type)


def account(of: _generated.Account) -> Account:
    return Account(of.id, of.name, of.kind)


def outgoing(of: Outgoing) -> _generated.Outgoing:
    return _generated.Outgoing(
        plaintext=bytes(of.plaintext),
        recipients=names(of.to),
        metadata=_generated.Metadata(
            label=of.label, content_type=of.content_type, policy=of.policy
        ),
    )
