"""Writes the log format of `.wandb` files as LevelDB describes it, with nothing of the reader's."""

from __future__ import annotations

import struct
import zlib

from apportion.sources._wandb_log import BLOCK, HEADER


def log(records, *, room=BLOCK):
    """Records in LevelDB's log format, written as its description says."""
    out = bytearray(HEADER)
    for record in records:
        left, kind = record, None
        while kind not in {1, 4}:
            rest = room - len(out) % room
            if rest < 7:
                out += bytes(rest)
                rest = room
            piece, left = left[: rest - 7], left[rest - 7 :]
            first = kind is None
            kind = (1 if first else 4) if not left else (2 if first else 3)
            out += struct.pack("<IHB", zlib.crc32(bytes([kind]) + piece), len(piece), kind) + piece
    return bytes(out)
