"""KServe: inference services, their pods and what these hold.

Pods carry the label `serving.kserve.io/inferenceservice`; the endpoint is the service of that name. Its model is the
`storageUri` of its predictor, as the service says it (several, one after the other, are one text). Request counts and
tokens come from the servers' own metrics: let a `prometheus` source read those.

Quantities are what pods ask for × the time they ran (`Basis.REQUESTED`), and `run_seconds`. The source ranks as NESTED,
below a cluster meter: where Prometheus or OpenCost saw the same node in the same hour, theirs count, and this source
says whose pods they were (`pod:<uid>`). It gives no capacity: it sees the pods of KServe only.

The API knows what exists now, and each pull is kept: pull daily or more often, or deliver `kubectl get … -o json` files
with `read_at`.

Source: KServe `pkg/constants/constants.go`, `pkg/apis/serving/v1beta1`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apportion.core.measures import Rank, WorkloadKind
from apportion.sources._kubernetes import things
from apportion.sources._kubernetes_api import lists
from apportion.sources._kubernetes_labels import Named, named
from apportion.sources._kubernetes_works import work_samples, works
from apportion.sources.readings.contract import MeterSource
from apportion.sources.readings.pulling import Present

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from apportion.core.config import SourceConfig
    from apportion.sources._kubernetes import Thing
    from apportion.sources._kubernetes_works import Work
    from apportion.sources.readings.client import Client
    from apportion.sources.readings.contract import Fault, RawFile, Sample, Window

SERVICE = "InferenceService"
_ASKED = {"serving.kserve.io": frozenset({"inferenceservices"})}


def read(file: RawFile, config: SourceConfig) -> Iterator[Sample | Fault]:
    """What the inference services of a file of Kubernetes objects held; other pods are not KServe's."""
    known = things(file, config)
    own = ((one, Named(SERVICE, one.name, WorkloadKind.INFERENCE_ENDPOINT)) for one in known.of(SERVICE))
    yield from work_samples(known, works(known, _service, own), _model)


def pull(client: Client, window: Window, config: SourceConfig) -> Iterable[object]:  # noqa: ARG001 - lists have no past
    """Lists pods, nodes, claims, volumes and inference services, as they are now."""
    return lists(client, config, _ASKED)


def _service(pod: Thing) -> Named | None:
    found = named(pod.labels)
    return found if found and found.object_kind == SERVICE else None


def _model(work: Work) -> str | None:
    predictor = (work.thing.spec.get("predictor") or {}) if work.thing else {}
    places = [uri for held in predictor.values() if isinstance(held, dict) for uri in _places(held)]
    return ", ".join(dict.fromkeys(places)) or None


def _places(model: dict[str, Any]) -> Iterator[str]:
    if model.get("storageUri"):
        yield str(model["storageUri"])
    for one in model.get("storageUris") or []:
        yield str(one.get("uri") or "")


SOURCE = MeterSource(
    name="kserve",
    title="KServe inference services",
    read=read,
    pull=Present(pull),
    rank=Rank.NESTED,
    options=frozenset({"context"}),
)
