"""Objects of the Kubernetes API in a file: answers of lists as `pull` keeps them, and `kubectl get … -o json`.

Times are those of the API (RFC 3339, UTC). Of an object that is there twice (a list that was asked for again) the later
one counts. Annotations longer than `LONGEST` characters are left out: they hold whole manifests, not tags.

Source: Kubernetes API concepts ("Resource URIs", "Retrieving large results sets in chunks"), API reference v1.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.errors import UnknownShape
from apportion.sources.readings.answers import answers
from apportion.sources.readings.contract import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.contract import RawFile

LONGEST = 256
"""Characters of an annotation that is taken for a tag."""
PIPELINE_RUN = "PipelineRun"
"""Kind given here to a run in an answer of the API of Kubeflow Pipelines."""

_DISCOVERY = frozenset({"APIGroupList", "APIResourceList"})
_SCALES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)")


@dataclass(frozen=True, slots=True)
class Thing:
    """One object. `row` is the answer it stood in, `read_at` when that was read (naive UTC, None: not known)."""

    kind: str
    meta: Mapping[str, Any]
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    row: int
    read_at: datetime | None

    @property
    def name(self) -> str:
        """Its name in its namespace."""
        return str(self.meta.get("name", ""))

    @property
    def namespace(self) -> str:
        """Its namespace; empty for nodes and volumes."""
        return str(self.meta.get("namespace") or "")

    @property
    def uid(self) -> str:
        """Its id for all time."""
        return str(self.meta.get("uid") or "")

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels, as it carries them."""
        return self.meta.get("labels") or {}

    @property
    def tags(self) -> dict[str, str]:
        """Its annotations and labels; a label wins over an annotation of the same key."""
        notes = {key: str(value) for key, value in (self.meta.get("annotations") or {}).items()}
        return {key: value for key, value in notes.items() if len(value) <= LONGEST} | dict(self.labels)

    def owned_by(self) -> tuple[str, str, str]:
        """Kind, name and uid of the object that controls it; empty texts where none does."""
        owners = self.meta.get("ownerReferences") or []
        owner = next((one for one in owners if one.get("controller")), owners[0] if owners else {})
        return str(owner.get("kind", "")), str(owner.get("name", "")), str(owner.get("uid", ""))


@dataclass(slots=True)
class Things:
    """All objects of a file, by kind in file order."""

    cluster: str
    by_kind: dict[str, list[Thing]] = field(default_factory=lambda: defaultdict(list))
    by_name: dict[tuple[str, str, str], Thing] = field(default_factory=dict)

    def of(self, *kinds: str) -> Iterator[Thing]:
        """The objects of these kinds."""
        for kind in kinds:
            yield from self.by_kind.get(kind, ())

    def find(self, kind: str, name: str, namespace: str = "") -> Thing | None:
        """The object of this kind and name."""
        return self.by_name.get((kind, namespace, name))

    def add(self, thing: Thing) -> None:
        """One more object."""
        self.by_kind[thing.kind].append(thing)
        self.by_name[thing.kind, thing.namespace, thing.name] = thing


def things(file: RawFile, config: SourceConfig) -> Things:
    """The objects of a file. Raises `UnknownShape` where it holds something else."""
    found: dict[tuple[str, str], Thing] = {}
    stated = _option_moment(config)
    for answer in answers(file):
        for kind, item in _items(answer.body, file):
            thing = _thing(kind, item, answer.row, answer.read_at or stated)
            found[kind, thing.uid or f"{thing.namespace}/{thing.name}"] = thing
    known = Things(str(config.options.get("cluster", config.id)))
    for thing in found.values():
        known.add(thing)
    return known


def moment(text: Any) -> datetime | None:  # noqa: ANN401 - JSON
    """A time of the API as naive UTC, None where there is none.

    >>> moment("2026-10-01T02:00:00Z")
    datetime.datetime(2026, 10, 1, 2, 0)
    """
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def amount(text: Any) -> Decimal | None:  # noqa: ANN401 - JSON
    """A Kubernetes quantity as a number of base units, None where it is none or negative.

    >>> amount("500m"), amount("4Gi"), amount(8), amount("x")
    (Decimal('0.500'), Decimal('4294967296'), Decimal('8'), None)
    """
    found = _QUANTITY.fullmatch(str(text))
    if found is None:
        return None
    number, exponent, suffix = Decimal(found[1]), found[2], found[3] or ""
    if suffix in _BINARY:
        return number * Decimal(1024) ** _BINARY[suffix]
    power = int(exponent) if exponent else _SCALES[suffix]
    return number * Decimal(1).scaleb(power)


def bad_amount(thing: Thing, column: str, example: object) -> Fault:
    """The fault of a quantity that is none."""
    return Fault(
        code="bad_quantity",
        row=thing.row,
        column=column,
        example=f"{thing.namespace}/{thing.name}: {example}",
        what="A quantity is not one of Kubernetes.",
        fix="Save the object anew, as the API gives it.",
    )


def _items(body: Any, file: RawFile) -> Iterator[tuple[str, Mapping[str, Any]]]:  # noqa: ANN401 - JSON
    kind = body.get("kind") if isinstance(body, dict) else None
    if isinstance(body, dict) and kind is None and isinstance(body.get("runs"), list):
        for run in body["runs"]:
            yield PIPELINE_RUN, _run(run)
        return
    if not isinstance(kind, str) or "apiVersion" not in body:
        raise UnknownShape(
            file=file.name,
            what="holds no objects of Kubernetes.",
            fix="Save them with: kubectl get pods,nodes,persistentvolumeclaims,persistentvolumes -A -o json",
        )
    if kind in _DISCOVERY:
        return
    if isinstance(body.get("items"), list):
        for item in body["items"]:
            yield str(item.get("kind") or kind.removesuffix("List")), item
    elif not kind.endswith("List"):
        yield kind, body


def _run(run: Mapping[str, Any]) -> Mapping[str, Any]:
    started = run.get("scheduled_at") or run.get("created_at")
    return {
        "metadata": {"name": run.get("display_name") or run.get("name"), "uid": run.get("run_id") or run.get("id")},
        "spec": {"experiment": run.get("experiment_id")},
        "status": {
            "startTime": started,
            "completionTime": run.get("finished_at"),
            "phase": run.get("state") or run.get("status"),
        },
    }


def _thing(kind: str, item: Mapping[str, Any], row: int, read_at: datetime | None) -> Thing:
    return Thing(kind, item.get("metadata") or {}, item.get("spec") or {}, item.get("status") or {}, row, read_at)


def _option_moment(config: SourceConfig) -> datetime | None:
    stated = config.options.get("read_at")
    return moment(stated.isoformat() if isinstance(stated, datetime) else stated)
