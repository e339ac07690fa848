"""`TextStream`: the bytes of a text file, unpacked, without a byte-order mark, and always valid UTF-8."""

from __future__ import annotations

import codecs
import os
from types import TracebackType

import pyarrow as pa

from clickwise.data.readers.reader import reading
from clickwise.errors import DataError

MARK = "\ufdd0"
"""Stands before the two hex digits of a byte that is not UTF-8: a code point that Unicode reserves for programs."""
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_PACKED_STEP = 1 << 16
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TextStream:
    """The bytes of a text file, plain, gzip or zstd (told by its first bytes, not its name).

    Bytes that are not UTF-8 are replaced by `MARK` and their hex digits, and `dirty` is set, so that a parser
    never meets them and the rows that hold them can be found after it.

    Raises:
        DataError: no such file, an empty file, UTF-16, or compressed data that is damaged or ends too early.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.dirty = False
        self.bytes_read = 0
        """Unpacked bytes given so far."""
        self.quotes = 0
        """Quote characters that `read` gave so far."""
        with reading(file, "text"):
            with open(file, "rb") as raw:
                start = raw.read(4)
            if not start:
                raise DataError("the file is empty", file=file)
            if start[:2] in _UTF16:
                raise DataError("is UTF-16 text", file=file, fix="convert it to UTF-8")
            self.compression = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
            source = pa.OSFile(file, "rb")
            self._raw = pa.CompressedInputStream(source, self.compression) if self.compression else source
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._ready = b""
        self._at_end = False

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end of the file."""
        whole = self._filled(size)
        # Arrow's CSV reader drops a line feed at the beginning of a block after a carriage return at the end of the
        # last one, also inside quotes, so the two are kept together.
        around = whole[size - 1 : size + 1]
        torn = around == b"\r\n" or (around == b"\r" and not self._at_end)
        cut = size - 1 if torn and size > 1 else size
        given, self._ready = whole[:cut], whole[cut:]
        self.bytes_read += len(given)
        self.quotes += given.count(b'"')
        return given

    def lines(self, size: int) -> memoryview:
        """The next whole lines, about `size` bytes; none where the next one is longer, or is the last and not ended."""
        whole = self._filled(size)
        end = whole.rfind(b"\n") + 1
        self._ready = whole[end:]
        self.bytes_read += end
        return memoryview(whole)[:end]

    def give_back(self, text: memoryview) -> None:
        """Let `text`, the end of what was given last, be what is given next."""
        self._ready = bytes(text) + self._ready
        self.bytes_read -= len(text)

    def at_end(self) -> bool:
        """Whether everything was given."""
        self._ready = self._filled(1)
        return not self._ready

    def _filled(self, size: int) -> bytes:
        """What is ready and as much more as makes `size` bytes, or a few more: at the end of the file, all there is."""
        parts, ready = [self._ready], len(self._ready)
        while ready < size and not self._at_end:
            checked = self._checked(self._take(size - ready, ready))
            if not self.bytes_read and not ready:
                checked = checked.removeprefix(codecs.BOM_UTF8)
            parts.append(checked)
            ready += len(checked)
        return b"".join(parts)

    def _take(self, size: int, ready: int) -> bytes:
        # A failing read of packed data gives nothing of what came before the damage, so the steps are small.
        most = _PACKED_STEP if self.compression else size
        try:
            chunk: bytes = self._raw.read(max(min(size, most), 4096))
        except OSError as error:
            early = "truncated" in str(error).lower()
            problem = f"the {self.compression} data ends too early" if early else f"cannot be unpacked: {error}"
            raise DataError(
                f"{problem}, after about {self.bytes_read + ready:,} bytes of text",
                file=self.file,
                fix="copy or download the file again",
            ) from error
        self._at_end = not chunk
        return chunk

    def _checked(self, chunk: bytes) -> bytes:
        """`chunk` (with what the last one left over of a character) when it is UTF-8, else with the rest marked."""
        if chunk.isascii() and not self._decoder.getstate()[0] and not self._at_end:
            return chunk
        left_over = self._decoder.getstate()[0]
        data = left_over + chunk
        self._decoder.reset()
        try:
            self._decoder.decode(data, final=self._at_end)
        except UnicodeDecodeError:
            self.dirty = True
            self._decoder.reset()
            marked = codecs.getincrementaldecoder("utf-8")(_MARKING)
            text = marked.decode(data, final=self._at_end)
            self._decoder.setstate((marked.getstate()[0], 0))
            return text.encode("utf-8")
        pending = len(self._decoder.getstate()[0])
        return data[: len(data) - pending]

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    def __enter__(self) -> TextStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def unmarked(text: str) -> str:
    r"""`text` with the marked bytes shown as `\xff`."""
    return text.replace(MARK, "\\x")


def estimated_lines(file: str, sample_bytes: int = 1 << 18) -> int | None:
    """About how many lines the file has, from the length of its first ones; None when it is compressed."""
    with TextStream(file) as stream:
        if stream.compression:
            return None
        head = stream.read(sample_bytes)
    lines = head.count(b"\n") + (len(head) < sample_bytes and not head.endswith(b"\n"))
    return round(os.path.getsize(file) / len(head) * max(lines, 1)) if head else 0


def _mark_bytes(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"{MARK}{byte:02x}" for byte in error.object[error.start : error.end]), error.end


_MARKING = "clickwise-mark-bytes"
codecs.register_error(_MARKING, _mark_bytes)
