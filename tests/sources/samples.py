"""What a meter source reads from a file or text, for tests."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from pathlib import Path

from apportion.core.config import SourceConfig
from apportion.sources.readings.contract import Fault, RawFile, Sample

DATA = Path(__file__).parents[1] / "data"


def read_file(source, path, pulled_at=None, **options):
    """All samples and faults of a file."""
    config = SourceConfig(source.name, source.name, (), options=options)
    return list(source.read(RawFile(path, path.name, pulled_at), config))


def read_text(source, folder, name, text, **options):
    """All samples and faults of a text, as a file of that name."""
    (folder / name).write_text(text, encoding="utf-8")
    return read_file(source, folder / name, **options)


def only_samples(found):
    return [one for one in found if isinstance(one, Sample)]


def only_faults(found):
    return [one for one in found if isinstance(one, Fault)]


def totals(found, by=lambda _: ()):
    """(`by`, measure, basis) -> quantity."""
    sums: defaultdict[tuple, Decimal] = defaultdict(Decimal)
    for one in only_samples(found):
        sums[*by(one), one.measure.value, one.basis.value] += one.quantity
    return dict(sums)
