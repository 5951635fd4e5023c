"""The other side of cobblestone_interop.rs: the same formats by the Python package `cryptography`.

    cobblestone_interop.py encrypt|decrypt|protect|open FOLDER

FOLDER holds manifest.json, a list of cases {name, key, context | header} with key and context in hex,
and for each case NAME.plain or NAME.sealed; the other of the two is written. Protected objects are
built and read here from their specification alone (client/FORMAT.md), CBOR included.
"""

import hashlib
import json
import struct
import sys
from pathlib import Path

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor

MAGIC = b"strongroom-object/v1\n"
ALG, CONTENT_TYPE, KID, KEY_VERSION, SERVER = 1, 3, 4, -70001, -70002
COBBLESTONE_256 = -70000
# No divisor or multiple of a chunk's length.
PIECE = 10_007


def stream(context, data):
    pieces = (data[i : i + PIECE] for i in range(0, len(data), PIECE))
    return b"".join(context.update(piece) for piece in pieces) + context.finalize()


def encrypt(case, data):
    return stream(Cobblestone256Encryptor(case["key"], case["context"]), data)


def decrypt(case, data):
    return stream(Cobblestone256Decryptor(case["key"], case["context"]), data)


def cbor_head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for code, size in ((24, ">B"), (25, ">H"), (26, ">I"), (27, ">Q")):
        if n < 1 << 8 * struct.calcsize(size):
            return bytes([major << 5 | code]) + struct.pack(size, n)
    raise ValueError(n)


def cbor(value):
    """Deterministic CBOR (RFC 8949 section 4.2.1) of the types that the header has."""
    if isinstance(value, int):
        return cbor_head(0, value) if value >= 0 else cbor_head(1, -1 - value)
    if isinstance(value, bytes):
        return cbor_head(2, len(value)) + value
    if isinstance(value, str):
        return cbor_head(3, len(value.encode())) + value.encode()
    if isinstance(value, dict):
        items = sorted((cbor(k), cbor(v)) for k, v in value.items())
        return cbor_head(5, len(items)) + b"".join(k + v for k, v in items)
    raise TypeError(value)


def uncbor(data):
    """The first item and the bytes behind it; `cbor` afterwards shows whether it was deterministic."""
    major, n, rest = data[0] >> 5, data[0] & 31, data[1:]
    if n >= 24:
        size = 1 << n - 24
        n, rest = int.from_bytes(rest[:size], "big"), rest[size:]
    if major in (0, 1):
        return (n if major == 0 else -1 - n), rest
    if major in (2, 3):
        return (rest[:n] if major == 2 else rest[:n].decode()), rest[n:]
    if major == 5:
        items = {}
        for _ in range(n):
            key, rest = uncbor(rest)
            items[key], rest = uncbor(rest)
        return items, rest
    raise ValueError(f"CBOR major type {major}")


def context(start):
    return MAGIC + hashlib.sha512(start).digest()


def protect(case, data):
    header = case["header"]
    parameters = {
        ALG: COBBLESTONE_256,
        KID: bytes.fromhex(header["key"].replace("-", "")),
        KEY_VERSION: header["key_version"],
        SERVER: header["server"],
    }
    if header["content_type"] is not None:
        parameters[CONTENT_TYPE] = header["content_type"]
    # Tag 16, array of 3: protected, no unprotected parameter, nil.
    cose = b"\xd0\x83" + cbor(cbor(parameters)) + b"\xa0\xf6"
    start = MAGIC + struct.pack(">I", len(cose)) + cose
    return start + encrypt(case | {"context": context(start)}, data)


def open_object(case, data):
    assert data.startswith(MAGIC)
    at = len(MAGIC) + 4
    end = at + struct.unpack(">I", data[at - 4 : at])[0]
    cose = data[at:end]
    assert cose[:2] == b"\xd0\x83" and cose[-2:] == b"\xa0\xf6"
    protected, rest = uncbor(cose[2:-2])
    parameters, left = uncbor(protected)
    assert rest == left == b"" and cbor(parameters) == protected
    assert parameters.pop(ALG) == COBBLESTONE_256
    header = case["header"]
    assert parameters.pop(KID).hex() == header["key"].replace("-", "")
    assert parameters.pop(KEY_VERSION) == header["key_version"]
    assert parameters.pop(SERVER) == header["server"]
    assert parameters.pop(CONTENT_TYPE, None) == header["content_type"]
    assert not parameters
    return decrypt(case | {"context": context(data[:end])}, data[end:])


ACTS = {
    "encrypt": (encrypt, "plain", "sealed"),
    "decrypt": (decrypt, "sealed", "plain"),
    "protect": (protect, "plain", "sealed"),
    "open": (open_object, "sealed", "plain"),
}


def main():
    act, source, target = ACTS[sys.argv[1]]
    folder = Path(sys.argv[2])
    for case in json.loads((folder / "manifest.json").read_text()):
        for field in ("key", "context"):
            case[field] = bytes.fromhex(case.get(field, ""))
        data = (folder / f"{case['name']}.{source}").read_bytes()
        (folder / f"{case['name']}.{target}").write_bytes(act(case, data))


main()
