"""Acts out the scenario's steps with the Python package: one step a line on standard input, one answer a line on standard output.

    python driver.py SERVER CA

A step is words separated by tabs; an answer is `ok` with what is to be told, or `failed` with the kind of error.
"""

from __future__ import annotations

import io
import pathlib
import sys
from typing import Callable, Dict, List

import strongroom

sessions: Dict[str, strongroom.Session] = {}


def kind(error: strongroom.StrongroomError) -> str:
    return error.kind.name.lower().replace("_", "-")


def seal_message(who: strongroom.Session, source: str, target: str, *to: str) -> str:
    plaintext = pathlib.Path(source).read_bytes()
    sealed = who.seal_message(plaintext, to, label="note", content_type="text/plain")
    pathlib.Path(target).write_bytes(sealed.envelope)
    return sealed.key.id


def open_message(who: strongroom.Session, source: str, target: str) -> str:
    message = who.open_message(pathlib.Path(source).read_bytes())
    pathlib.Path(target).write_bytes(message.plaintext)
    return ""


def message_header(who: strongroom.Session, source: str) -> str:
    message = who.open_message(pathlib.Path(source).read_bytes())
    return f"{message.content_type} {','.join(message.recipients)}"


def seal_batch(who: strongroom.Session, source: str, target: str, *to: str) -> str:
    lines = pathlib.Path(source).read_bytes().splitlines()
    sealed = who.seal_messages(
        strongroom.Outgoing(line, to, label="reading") for line in lines
    )
    for number, message in enumerate(sealed):
        pathlib.Path(f"{target}.{number}").write_bytes(message.envelope)
    return str(len(sealed))


def open_batch(who: strongroom.Session, source: str, count: str, target: str) -> str:
    envelopes = [pathlib.Path(f"{source}.{n}").read_bytes() for n in range(int(count))]
    with open(target, "wb") as file:
        for outcome in who.open_messages(envelopes):
            if isinstance(outcome, strongroom.StrongroomError):
                file.write(kind(outcome).encode() + b"\n")
            else:
                file.write(outcome.plaintext + b"\n")
    return ""


def protect_file(who: strongroom.Session, source: str, target: str, *to: str) -> str:
    return who.protect_file(source, target, to).key.id


def open_file(who: strongroom.Session, source: str, target: str) -> str:
    who.open_file(source, pathlib.Path(target))
    return ""


def protect_stream(who: strongroom.Session, source: str, target: str, *to: str) -> str:
    content = pathlib.Path(source).read_bytes()
    with open(target, "wb", buffering=0) as file:
        with who.writer(file, to, label="stream") as writer:
            for start in range(0, len(content), 7000):
                writer.write(content[start : start + 7000])
            return writer.key.id


def open_stream(who: strongroom.Session, source: str, target: str) -> str:
    with open(source, "rb") as sealed, open(target, "wb") as file:
        with who.open(sealed) as content:
            for piece in iter(lambda: content.read(5000), b""):
                file.write(piece)
    return ""


def read_range(
    who: strongroom.Session, source: str, offset: str, length: str, target: str
) -> str:
    stored = io.BytesIO(pathlib.Path(source).read_bytes())
    with who.open_at(stored) as content:
        content.seek(int(offset))
        pathlib.Path(target).write_bytes(content.read(int(length)))
    return ""


def create_key(who: strongroom.Session, label: str, *to: str) -> str:
    return who.create_key(label, to=to).id


ALGORITHMS = {
    "ec-p256": strongroom.Algorithm.EC_P256,
    "ed25519": strongroom.Algorithm.ED25519,
    "ml-dsa-65": strongroom.Algorithm.ML_DSA65,
    "x25519": strongroom.Algorithm.X25519,
}


def create_pair(who: strongroom.Session, label: str, algorithm: str, *to: str) -> str:
    never = strongroom.Releasable.NEVER
    return who.create_key(label, algorithm=ALGORITHMS[algorithm], to=to, releasable=never).id


def sign(who: strongroom.Session, key: str, source: str, target: str) -> str:
    signature = who.sign(key, pathlib.Path(source).read_bytes())
    pathlib.Path(target).write_bytes(signature.data)
    return ""


def verify(who: strongroom.Session, key: str, version: str, source: str, signed: str) -> str:
    message, signature = pathlib.Path(source).read_bytes(), pathlib.Path(signed).read_bytes()
    valid = who.public_key(key, int(version)).verify(message, signature)
    return "valid" if valid else "invalid"


def obtain(who: strongroom.Session, key: str, version: str, target: str) -> str:
    with who.obtain(key, int(version)) as material:
        pathlib.Path(target).write_bytes(material.reveal())
    return ""


def find(who: strongroom.Session, label: str) -> str:
    return str(len(list(who.find_keys(label=label))))


def share(who: strongroom.Session, key: str, account: str) -> str:
    who.share(key, account)
    return ""


def revoke(who: strongroom.Session, key: str, account: str) -> str:
    who.revoke(key, account)
    return ""


def rotate(who: strongroom.Session, key: str) -> str:
    return str(who.rotate(key).version)


def destroy(who: strongroom.Session, key: str) -> str:
    who.destroy(key)
    return ""


ACTS: Dict[str, Callable[..., str]] = {
    act.__name__.replace("_", "-"): act
    for act in (
        seal_message,
        open_message,
        message_header,
        seal_batch,
        open_batch,
        protect_file,
        open_file,
        protect_stream,
        open_stream,
        read_range,
        create_key,
        create_pair,
        sign,
        verify,
        obtain,
        find,
        share,
        revoke,
        rotate,
        destroy,
    )
}


def main(server: str, ca: str) -> None:
    client = strongroom.Client(server, ca=ca)
    for line in sys.stdin:
        who, act, *words = line.rstrip("\n").split("\t")
        try:
            if act == "sign-in":
                password = pathlib.Path(words[0]).read_bytes()
                sessions[who] = client.sign_in(who, password)
                answer = ""
            else:
                answer = ACTS[act](sessions[who], *words)
            print(f"ok {answer}".strip(), flush=True)
        except strongroom.StrongroomError as error:
            print(f"failed {kind(error)} {error}", flush=True)
    for session in sessions.values():
        session.end()


if __name__ == "__main__":
    arguments: List[str] = sys.argv[1:]
    main(*arguments)
