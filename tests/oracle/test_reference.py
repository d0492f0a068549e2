"""Made-up rows under made-up options: what the product gives is what the words of the oracle mean."""

from __future__ import annotations

import json
from random import Random

import pytest
from tests.oracle.reference import aggregated, made_up, made_up_options
from tests.oracle.replay import PASSED, replayed

SUMMED = [
    (["namespace"], "namespace", "namespace"),
    (["label:team"], "namespace", "cluster"),
    (["cluster", "namespace"], "label:app", "cluster"),
]
"""What is summed by, which field tells what is shared, which one what is filtered."""
COUNT = 12


def cases(seed: int, count: int):
    random = Random(seed)  # noqa: S311 - rows to try, no secret
    for at in range(count):
        by, share, chosen = SUMMED[at % len(SUMMED)]
        while True:
            rows, options = made_up(random), made_up_options(random, share, chosen)
            try:
                expected = aggregated(rows, by, options)
            except ZeroDivisionError:  # nobody is left to take what is shared
                continue
            if expected:
                break
        yield {
            "id": f"made-up-{seed}-{at}",
            "group": "made_up",
            "input": {"rows": rows},
            "aggregate_by": by,
            "options": options,
            "expected_exact": {key: str(cost) for key, cost in expected.items()},
        }


@pytest.mark.parametrize("seed", [1])
def test_made_up_rows_are_shared_as_the_oracle_says(tmp_path, seed):
    path = tmp_path / "made_up.json"
    path.write_text(json.dumps({"cases": list(cases(seed, COUNT))}, default=str))
    found = replayed([path])
    assert {entry.case["id"]: entry.why for entry in found if entry.outcome != PASSED} == {}
    assert len(found) == COUNT
