from __future__ import annotations

import io
import os
import struct
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.sources.wandb_files import log

from apportion.sources._wandb_log import BLOCK, HEADER, Damage, log_records


@given(st.lists(st.integers(0, 3 * BLOCK), max_size=6).map(lambda sizes: [os.urandom(size) for size in sizes]))
def test_records_of_any_length_come_back(records):
    assert list(log_records(io.BytesIO(log(records)))) == records


@example(BLOCK)
@example(2 * BLOCK)
@given(st.integers(7, 70_000))
def test_a_file_cut_anywhere_gives_a_beginning_of_its_records_and_says_that_it_is_torn(at):
    records = [bytes([number]) * 9_000 for number in range(1, 9)]
    whole = log(records)
    found = list(log_records(io.BytesIO(whole[:at])))
    kept = [one for one in found if isinstance(one, bytes)]
    assert kept == records[: len(kept)]
    ends = {len(log(records[:count])) for count in range(9)}
    assert found[len(kept) :] == ([] if at in ends else [Damage.TORN])


def test_a_wrong_byte_loses_the_rest_of_its_block_only():
    records = [bytes([number]) * 10_000 for number in range(1, 9)]
    broken = bytearray(log(records))
    broken[12_000] ^= 1
    found = list(log_records(io.BytesIO(bytes(broken))))
    assert found == [records[0], Damage.BROKEN, *records[4:]]


@pytest.mark.parametrize(("kind", "length"), [(9, 3), (1, 40_000)])
def test_a_piece_of_no_kind_or_longer_than_its_block_is_broken(kind, length):
    content = b"abc"
    piece = struct.pack("<IHB", zlib.crc32(bytes([kind]) + content), length, kind) + content
    filled = HEADER + piece + bytes(BLOCK - len(HEADER) - len(piece))
    assert list(log_records(io.BytesIO(filled + log([b"x"])[7:]))) == [Damage.BROKEN, b"x"]


def test_zeros_after_the_last_record_are_padding():
    assert list(log_records(io.BytesIO(log([b"a"]) + bytes(100)))) == [b"a"]
