"""Records of a `.wandb` file: a seven-byte header, then LevelDB's log format.

Blocks of 32 KiB hold pieces of `crc32 (of type and bytes), length, type, bytes`; a record is one whole piece, or a
first, any number of middle and a last one. A block's rest that no piece fits into is padding.

Source: LevelDB, "log format"; wandb 0.31 writes it with the header `:W&B`, 0xBEE1, version 0.
"""

from __future__ import annotations

import struct
import zlib
from enum import Enum
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)
BLOCK = 32 * 1024
_PIECE = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class Damage(Enum):
    """What stands in the place of a record that could not be read."""

    TORN = "torn"
    """The file ends within it: the writer was stopped, or has not gone on yet."""
    BROKEN = "broken"
    """Its checksum or its length is wrong: the rest of its block is left out."""


def log_records(stream: BinaryIO) -> Iterator[bytes | Damage]:
    """The records of a file whose header was recognised, in order, damage in its place."""
    parts: list[bytes] | None = None
    offset = len(HEADER)
    stream.seek(0)
    while block := stream.read(BLOCK):
        for piece in _pieces(block, offset):
            if isinstance(piece, Damage):
                parts = None
                yield piece
                continue
            kind, content = piece
            if kind in {_WHOLE, _FIRST}:
                parts = [content]
            elif parts is not None:
                parts.append(content)
            if kind in {_WHOLE, _LAST} and parts is not None:
                yield b"".join(parts)
                parts = None
        offset = 0
    if parts is not None:
        yield Damage.TORN


def _pieces(block: bytes, offset: int) -> Iterator[tuple[int, bytes] | Damage]:
    """The pieces of one block; only the last block of a file is shorter than `BLOCK`."""
    last = len(block) < BLOCK
    while len(block) - offset >= _PIECE.size:
        checksum, length, kind = _PIECE.unpack_from(block, offset)
        if not (checksum or length or kind):
            return
        content = block[offset + _PIECE.size : offset + _PIECE.size + length]
        if len(content) < length:
            yield Damage.TORN if last else Damage.BROKEN
            return
        if not _WHOLE <= kind <= _LAST or zlib.crc32(content, zlib.crc32(bytes([kind]))) != checksum:
            yield Damage.BROKEN
            return
        yield kind, content
        offset += _PIECE.size + length
    if last and any(block[offset:]):
        yield Damage.TORN
