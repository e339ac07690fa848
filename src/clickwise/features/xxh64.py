"""XXH64, the seeded hash that turns text into numbers: the same in every process, on every machine, in every version.

Every id and every fingerprint that clickwise stores rests on this function, so it never changes. It is the published
XXH64 of the UTF-8 bytes of the text.
Reference: "xxHash fast digest algorithm", section XXH64, github.com/Cyan4973/xxHash.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from clickwise.features.arrays import text_buffers
from clickwise.native import columns

_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
_MASK = 2**64 - 1
_ZERO = np.zeros(1, np.uint64)
_U1, _U2, _U3, _U4, _U5 = (np.uint64(p) for p in (_P1, _P2, _P3, _P4, _P5))
_FEW = 6  # below this many texts of a length, whole numbers of Python beat the fixed cost of NumPy calls
_BLOCK_BYTES = 1 << 22  # texts of one length are hashed in blocks of about this size, to bound the memory


def xxh64(strings: pa.Array, seed: int = 0) -> np.ndarray:
    """XXH64 of each cell of a string or binary array: [n] uint64. A null counts as empty text.

    >>> [f"{h:016x}" for h in xxh64(pa.array(["", "abc"]))]
    ['ef46db3751d8e999', '44bc2cf5ad770999']
    """
    if columns.compiled():
        return columns.xxh64(strings, seed & _MASK)
    if strings.null_count:
        strings = strings.fill_null(b"" if pa.types.is_binary(strings.type) else "")
    data, offsets = text_buffers(strings)
    starts, lengths = offsets[:-1], np.diff(offsets)
    seed &= _MASK
    out = np.empty(len(starts), np.uint64)
    if len(starts) < _FEW:
        _hash_few(data, starts, lengths, seed, out, range(len(starts)))
        return out
    shortest, longest = int(lengths.min()), int(lengths.max())
    if shortest == longest:
        _hash_group(data, starts, longest, seed, out, None)
        return out
    order = np.argsort(lengths, kind="stable")
    cuts = np.flatnonzero(np.diff(lengths[order])) + 1
    for members in np.split(order, cuts):
        if len(members) < _FEW:
            _hash_few(data, starts, lengths, seed, out, members.tolist())
        else:
            _hash_group(data, starts[members], int(lengths[members[0]]), seed, out, members)
    return out


def _hash_few(
    data: np.ndarray, starts: np.ndarray, lengths: np.ndarray, seed: int, out: np.ndarray, members: range | list[int]
) -> None:
    for i in members:
        start = int(starts[i])
        out[i] = _xxh64_bytes(data[start : start + int(lengths[i])].tobytes(), seed)


def _hash_group(
    data: np.ndarray, starts: np.ndarray, length: int, seed: int, out: np.ndarray, members: np.ndarray | None
) -> None:
    """Hash the texts of one length that begin at `starts`, into `out[members]`."""
    rows = max(1, _BLOCK_BYTES // max(length, 1))
    for first in range(0, len(starts), rows):
        part = slice(first, first + rows)
        hashes = _xxh64_words(_words(data, starts[part], length), length, seed)
        out[part if members is None else members[part]] = hashes


def _words(data: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """[n, ceil(length / 8)] little-endian words of n texts of one length, the last word filled up with zeros."""
    if not length:
        return np.zeros((len(starts), 0), "<u8")
    first, total = int(starts[0]), len(starts) * length
    if int(starts[-1]) - first == total - length and bool((np.diff(starts) == length).all()):
        texts = data[first : first + total].reshape(len(starts), length)  # they lie one behind the other
    else:
        texts = np.lib.stride_tricks.sliding_window_view(data, length)[starts]
    padded = np.zeros((len(starts), -(-length // 8) * 8), np.uint8)
    padded[:, :length] = texts
    return padded.view("<u8")


def _rotate(x: np.ndarray, bits: int) -> np.ndarray:
    return (x << np.uint64(bits)) | (x >> np.uint64(64 - bits))


def _round(lane: np.ndarray, word: np.ndarray) -> np.ndarray:
    return _rotate(lane + word * _U2, 31) * _U1


def _xxh64_words(words: np.ndarray, length: int, seed: int) -> np.ndarray:
    """[n] hashes of n texts of one length, given as words [n, ceil(length / 8)]."""
    n, done = len(words), length // 32 * 4
    h: np.ndarray
    if length >= 32:
        lanes = np.tile(np.array(_first_lanes(seed), np.uint64), (n, 1))  # [n, 4]
        for at in range(0, done, 4):
            lanes = _round(lanes, words[:, at : at + 4])
        h = _rotate(lanes[:, 0], 1) + _rotate(lanes[:, 1], 7) + _rotate(lanes[:, 2], 12) + _rotate(lanes[:, 3], 18)
        for i in range(4):
            h = (h ^ _round(_ZERO, lanes[:, i])) * _U1 + _U4
    else:
        h = np.full(n, (seed + _P5) & _MASK, np.uint64)
    h = h + np.uint64(length)
    for at in range(done, length // 8):
        h = _rotate(h ^ _round(_ZERO, words[:, at]), 27) * _U1 + _U4
    rest = length % 8
    tail = words[:, -1] if rest else h
    if rest >= 4:
        h = _rotate(h ^ ((tail & np.uint64(0xFFFFFFFF)) * _U1), 23) * _U2 + _U3
        tail, rest = tail >> np.uint64(32), rest - 4
    for _ in range(rest):
        h = _rotate(h ^ ((tail & np.uint64(0xFF)) * _U5), 11) * _U1
        tail = tail >> np.uint64(8)
    h = (h ^ (h >> np.uint64(33))) * _U2
    h = (h ^ (h >> np.uint64(29))) * _U3
    return h ^ (h >> np.uint64(32))


def _first_lanes(seed: int) -> list[int]:
    return [x & _MASK for x in (seed + _P1 + _P2, seed + _P2, seed, seed - _P1)]


def _rotate_int(x: int, bits: int) -> int:
    return ((x << bits) | (x >> (64 - bits))) & _MASK


def _round_int(lane: int, word: int) -> int:
    return _rotate_int((lane + word * _P2) & _MASK, 31) * _P1 & _MASK


def _xxh64_bytes(text: bytes, seed: int) -> int:
    """The hash of one text, in whole numbers of Python: for few or very long texts."""
    length = len(text)
    words = np.frombuffer(text, "<u8", length // 8).tolist()
    done = length // 32 * 4
    if length >= 32:
        a, b, c, d = _first_lanes(seed)
        for at in range(0, done, 4):
            w = words[at : at + 4]
            a, b, c, d = _round_int(a, w[0]), _round_int(b, w[1]), _round_int(c, w[2]), _round_int(d, w[3])
        h = (_rotate_int(a, 1) + _rotate_int(b, 7) + _rotate_int(c, 12) + _rotate_int(d, 18)) & _MASK
        for lane in (a, b, c, d):
            h = ((h ^ _round_int(0, lane)) * _P1 + _P4) & _MASK
    else:
        h = (seed + _P5) & _MASK
    h = (h + length) & _MASK
    for word in words[done:]:
        h = (_rotate_int(h ^ _round_int(0, word), 27) * _P1 + _P4) & _MASK
    tail = text[length // 8 * 8 :]
    if len(tail) >= 4:
        h = (_rotate_int(h ^ (int.from_bytes(tail[:4], "little") * _P1 & _MASK), 23) * _P2 + _P3) & _MASK
        tail = tail[4:]
    for byte in tail:
        h = _rotate_int(h ^ (byte * _P5 & _MASK), 11) * _P1 & _MASK
    h = (h ^ (h >> 33)) * _P2 & _MASK
    h = (h ^ (h >> 29)) * _P3 & _MASK
    return h ^ (h >> 32)
