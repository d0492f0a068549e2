"""What tags say about each dimension, for every attribute row, by two joins over distinct keys and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.core.targets import DIMENSIONS
from apportion.tagging.normalise import key_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from apportion.engine.duck import DuckDb
    from apportion.tagging.normalise import Vocabulary

LAYERS = ("tag", "split")
"""The tags of the resource, and those of the workload the provider measured (`AllocatedTags`)."""

ENTRIES = """
CREATE OR REPLACE TEMP VIEW tag_entries AS
WITH own AS (
    SELECT x_AttributeNo, unnest(map_entries(Tags)) AS entry FROM attributes
)
SELECT x_AttributeNo, 'tag' AS layer, entry.key AS key, entry.value AS value FROM own
UNION ALL
SELECT a.x_AttributeNo, 'split' AS layer, e.key, e.value ->> '$' AS value
FROM attributes AS a,
     json_each(CASE WHEN json_valid(a.AllocatedTags) AND json_type(a.AllocatedTags) = 'OBJECT' THEN a.AllocatedTags END)
     AS e
WHERE a.AllocatedTags IS NOT NULL
"""
"""Every tag of every row of `attributes`."""

_KEYS = "SELECT DISTINCT key FROM tag_entries ORDER BY key"
_VALUES = """
SELECT DISTINCT k.dimension, e.value
FROM tag_entries AS e JOIN tag_keys AS k ON k.key = e.key
WHERE e.value IS NOT NULL
ORDER BY ALL
"""
_ASKED = """
SELECT DISTINCT e.key, e.value FROM tag_entries AS e
WHERE e.layer = 'tag' AND e.value IS NOT NULL AND list_contains($keys, e.key)
ORDER BY ALL
"""


def _answer(layer: str, dimension: str) -> str:
    # The value goes along in the rank: a key that comes twice still has one answer in any order of rows.
    chosen = f"FILTER (e.layer = '{layer}' AND k.dimension = '{dimension}')"
    return f"arg_min(v.spelled, struct_pack(preference := k.preference, spelled := v.spelled)) {chosen}"


_ANSWERS = f"""
CREATE OR REPLACE TEMP TABLE tag_answers AS
SELECT e.x_AttributeNo,
       {", ".join(f"{_answer(layer, d)} AS {layer}_{d}" for layer in LAYERS for d in DIMENSIONS)}
FROM tag_entries AS e
JOIN tag_keys AS k ON k.key = e.key
JOIN tag_values AS v ON v.dimension = k.dimension AND v.value = e.value
GROUP BY e.x_AttributeNo
"""


def answer_tags(db: DuckDb, vocabulary: Vocabulary) -> None:
    """Make the table `tag_answers` from the view `attributes`: per row and layer the spelled value of each dimension.

    Rows without any answer are left out. The same as `Vocabulary.of_tags`, row by row.
    """
    db.run(ENTRIES)
    keys = [key for (key,) in db.rows(_KEYS)]
    db.register("tag_keys", _ranked(vocabulary, keys))
    found = db.rows(_VALUES)
    spelled = [(d, value, word) for d, value in found if (word := vocabulary.spelled(d, value)) is not None]
    db.register("tag_values", columns(("dimension", "value", "spelled"), spelled))
    db.run(_ANSWERS)


def asked_values(db: DuckDb, forms: frozenset[str]) -> list[tuple[str, str]]:
    """The distinct (raw key, raw value) pairs of the resources' own tags whose key has one of these forms, sorted."""
    keys = [key for (key,) in db.rows(_KEYS) if key_form(key) in forms] if forms else []
    return [(key, value) for key, value in db.rows(_ASKED, {"keys": keys})] if keys else []


def columns(names: Sequence[str], rows: Sequence[tuple[str, ...]]) -> pa.Table:
    """Rows of text as an Arrow table."""
    return pa.table({name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(names)})


def _ranked(vocabulary: Vocabulary, raws: Iterable[str]) -> pa.Table:
    """Dimension, raw key and its place in the order in which the dimension's keys are asked."""
    asked = sorted(
        (dimension, preference, vocabulary.oddness(dimension, preference, raw), raw)
        for raw in raws
        for dimension, preference in vocabulary.answers(raw)
    )
    table = columns(("dimension", "key"), [(dimension, raw) for dimension, _, _, raw in asked])
    return table.append_column("preference", pa.array(range(len(asked)), pa.int64()))
