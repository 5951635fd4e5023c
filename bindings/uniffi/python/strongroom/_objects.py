"""Objects as Python's file objects."""

from __future__ import annotations

import io
from types import TracebackType
from typing import Any, Optional, Protocol, Type

from strongroom import _records
from strongroom._bindings import strongroom as _generated
from strongroom.errors import HasFailed, told

#: Bytes that are read from an object at once.
PIECE = 256 * 1024


class Readable(Protocol):
    """What gives bytes when it is read, such as a file that was opened with `rb`."""

    def read(self, size: int, /) -> Optional[bytes]:
        """At most so many bytes; none at the end."""


class Seekable(Readable, Protocol):
    """The same where any part can be read."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Goes there, and answers where that is from the beginning."""


class Writable(Protocol):
    """What takes bytes that are written to it, such as a file that was opened with `wb`."""

    def write(self, data: Any, /) -> Any:
        """Takes these bytes, or a part of them: then it answers how many."""


class Source(_generated.ByteSource, HasFailed):
    """A file object that is read from its present position to its end."""

    def __init__(self, file: Readable) -> None:
        self._file = file

    def read(self, most: int) -> bytes:
        try:
            return self._file.read(most) or b""
        except Exception as error:
            self.error = error
            raise _failed(error) from error


class Sink(_generated.ByteSink, HasFailed):
    """A file object that is written to."""

    def __init__(self, file: Writable) -> None:
        self._file = file

    def write(self, bytes: bytes) -> None:
        try:
            rest = memoryview(bytes)
            while rest:
                # A raw file may take a part; what returns nothing has taken all.
                written: Optional[int] = self._file.write(rest)
                rest = rest[len(rest) if written is None else written :]
        except Exception as error:
            self.error = error
            raise _failed(error) from error


class Ranges(_generated.RangeSource, HasFailed):
    """A file object that can be sought in."""

    def __init__(self, file: Seekable) -> None:
        self._file = file

    def length(self) -> int:
        try:
            return self._file.seek(0, io.SEEK_END)
        except Exception as error:
            self.error = error
            raise _failed(error) from error

    def read_range(self, offset: int, length: int) -> bytes:
        try:
            self._file.seek(offset)
            pieces = bytearray()
            while len(pieces) < length:
                piece = self._file.read(length - len(pieces))
                if not piece:
                    break
                pieces += piece
            return bytes(pieces)
        except Exception as error:
            self.error = error
            raise _failed(error) from error


def _failed(error: Exception) -> Exception:
    """What the generated module takes to the other side."""
    # Its types do not say that there is one.
    failed: Any = _generated.StreamError
    told: Exception = failed.Failed(str(error) or type(error).__name__)
    return told


class ObjectWriter(io.RawIOBase):
    """An object that is being written: what is written to it is encrypted. Closing it writes the last chunk, without which it is truncated,
    and readers say so: leaving `with` by an exception leaves it so. The file object that it writes to stays open.
    """

    def __init__(self, inner: _generated.ObjectWriter, sink: Sink) -> None:
        super().__init__()
        self._inner = inner
        self._sink = sink

    @property
    def key(self) -> _records.Key:
        """The object's key, as the appliance has it."""
        return _records.key(self._inner.key())

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Encrypts all of these bytes."""
        if self.closed:
            raise ValueError("the object is finished")
        plain = bytes(data)
        with told(self._sink):
            self._inner.write(plain)
        return len(plain)

    def close(self) -> None:
        """Writes the last chunk. Nothing can be written after it."""
        if not self.closed:
            super().close()
            with told(self._sink):
                self._inner.finish()

    def abandon(self) -> None:
        """Leaves the object without its last chunk: nobody takes it for whole."""
        super().close()

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def __del__(self) -> None:
        # What nobody closed is not whole: io would close it here.
        self.abandon()


class _RawReader(io.RawIOBase):
    """The content of an object from its beginning to its end."""

    def __init__(self, inner: _generated.ObjectReader, source: Source) -> None:
        super().__init__()
        self._inner = inner
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, out: Any) -> int:
        with told(self._source):
            piece = self._inner.read(len(out))
        out[: len(piece)] = piece
        return len(piece)


class _RawReaderAt(io.RawIOBase):
    """The content of an object, any part of it."""

    def __init__(self, inner: _generated.ObjectAt, *source: HasFailed) -> None:
        super().__init__()
        self._inner = inner
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with told(*self._source):
            start = {
                io.SEEK_SET: 0,
                io.SEEK_CUR: self._position,
                io.SEEK_END: self._inner.length() if whence == io.SEEK_END else 0,
            }[whence]
        if start + offset < 0:
            raise ValueError("there is nothing before the beginning")
        self._position = start + offset
        return self._position

    def readinto(self, out: Any) -> int:
        with told(*self._source):
            piece = self._inner.read_at(self._position, len(out))
        out[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)


class ObjectReader(io.BufferedReader):
    """The content of an object. Only authenticated content is handed out; whoever stores it must discard it when a later read fails."""

    def __init__(self, raw: io.RawIOBase, header: _records.ObjectHeader) -> None:
        super().__init__(raw, PIECE)
        self._header = header

    @property
    def header(self) -> _records.ObjectHeader:
        """What the object says of itself."""
        return self._header


def reader(inner: _generated.ObjectReader, source: Source) -> ObjectReader:
    return ObjectReader(_RawReader(inner, source), _records.header(inner.header()))


def reader_at(inner: _generated.ObjectAt, *source: HasFailed) -> ObjectReader:
    return ObjectReader(_RawReaderAt(inner, *source), _records.header(inner.header()))
