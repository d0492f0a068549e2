"""The jobs, endpoints and notebooks of a cluster, their pods and the volumes they claim.

An object counts by its pods. Where a file holds none of them (scaled to zero, or swept away after the job), it counts
the time it existed, on no node. A claim is storage of the one object whose pods mount it; with several, of itself.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from apportion.core.measures import Measure, WorkloadKind
from apportion.sources._kubernetes import amount, bad_amount, moment
from apportion.sources._kubernetes_labels import EXPERIMENT_LABEL, RUN_LABEL, label
from apportion.sources._kubernetes_pods import lived, pod_samples, sample_of
from apportion.sources._prom_places import bill_id
from apportion.sources.readings.contract import Fault, Resource, Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from apportion.sources._kubernetes import Thing, Things
    from apportion.sources._kubernetes_labels import Named
    from apportion.sources.readings.contract import Sample

_HANDLES = (
    ("csi", "volumeHandle"),
    ("awsElasticBlockStore", "volumeID"),
    ("gcePersistentDisk", "pdName"),
    ("azureDisk", "diskURI"),
)
_ENDED = ("completionTime", "completedAt", "finishedAt", "endTime")
_STARTED = ("startTime", "startedAt")
_JOB_ENDS = frozenset({"Complete", "Completed", "Succeeded", "Failed"})


@dataclass(slots=True)
class Work:
    """One job, endpoint or notebook: its own object, where the file has it, and its pods."""

    named: Named
    namespace: str
    thing: Thing | None = None
    pods: list[Thing] = field(default_factory=list)


def works(known: Things, owner: Callable[[Thing], Named | None], own: Iterable[tuple[Thing, Named]]) -> list[Work]:
    """The works that pods (by `owner`) and objects (`own`) of a file belong to, in file order."""
    found: dict[tuple[str, str, str], Work] = {}
    for thing, named in own:
        found[named.object_kind, thing.namespace, named.name] = Work(named, thing.namespace, thing)
    for pod in known.of("Pod"):
        named_by_pod = owner(pod)
        if named_by_pod is not None:
            key = (named_by_pod.object_kind, pod.namespace, named_by_pod.name)
            found.setdefault(key, Work(named_by_pod, pod.namespace)).pods.append(pod)
    return list(found.values())


def work_samples(known: Things, found: list[Work], models: Callable[[Work], str | None]) -> Iterator[Sample | Fault]:
    """What all works of a file held: pods, then claims; `models` names the model of a work, where it has a field."""
    mounting: dict[tuple[str, str], list[Workload]] = defaultdict(list)
    for work in found:
        workload = _workload(work, known.cluster, models(work))
        for pod in work.pods:
            yield from pod_samples(pod, workload, known)
        if not work.pods and work.thing is not None:
            yield from _alone(work.thing, workload, known.cluster)
        for name in sorted({name for pod in work.pods for name in _claims(pod)}):
            mounting[work.namespace, name].append(workload)
    for claim in known.of("PersistentVolumeClaim"):
        mounted = mounting.get((claim.namespace, claim.name))
        if mounted:
            yield from _storage(claim, mounted, known)


def _workload(work: Work, cluster: str, model: str | None) -> Workload:
    place = f"{cluster}/{work.namespace}" if work.namespace else cluster
    plain = f"k8s:{place}/{work.named.object_kind}/{work.named.name}"
    uid = work.thing.uid if work.thing else _owner_uid(work)
    labels: dict[str, str] = {}
    for pod in work.pods:
        labels |= pod.tags
    labels |= work.thing.tags if work.thing else {}
    run = label(labels, RUN_LABEL)
    is_run = work.named.object_kind in {"Workflow", "PipelineRun"}
    own = f"kfp:{run or uid}" if is_run and (run or uid) else f"{plain}/{uid}" if uid else plain
    return Workload(
        id=own,
        kind=work.named.kind,
        name=_shown(work),
        namespace=place,
        parent=f"kfp:{run}" if run and not is_run else None,
        experiment=label(labels, EXPERIMENT_LABEL) or _experiment(work),
        model=model,
        status=_status(work),
        labels=labels,
        links=_links(plain, work.pods, place),
    )


def _shown(work: Work) -> str:
    notes = work.thing.tags if work.thing else work.pods[0].tags if work.pods else {}
    if work.named.object_kind == "Workflow":
        return notes.get("pipelines.kubeflow.org/run_name") or work.named.name
    if work.named.object_kind == "Pod":
        return notes.get("workflows.argoproj.io/node-name") or work.named.name
    return work.named.name


def _experiment(work: Work) -> str | None:
    return str(work.thing.spec.get("experiment") or "") or None if work.thing else None


def _owner_uid(work: Work) -> str:
    if work.named.object_kind == "Pod":
        return work.pods[0].uid
    owners = (pod.owned_by() for pod in work.pods)
    return next((uid for kind, name, uid in owners if (kind, name) == (work.named.object_kind, work.named.name)), "")


def _links(plain: str, pods: list[Thing], place: str) -> tuple[str, ...]:
    links = {plain: None}
    for pod in pods:
        links |= {f"pod:{pod.uid}": None} if pod.uid else {}
        links |= {f"k8s:{place}/Pod/{pod.name}": None}
        if pod.spec.get("nodeName"):
            links |= {f"host:{pod.spec['nodeName']}": None}
    return tuple(links)


def _status(work: Work) -> str | None:
    if work.thing is None:
        phases = sorted({str(pod.status["phase"]) for pod in work.pods if pod.status.get("phase")})
        return phases[0] if len(phases) == 1 else None
    if work.thing.status.get("phase"):
        return str(work.thing.status["phase"])
    true = [one for one in work.thing.status.get("conditions") or [] if one.get("status") == "True"]
    last = max(true, key=lambda one: str(one.get("lastTransitionTime", "")), default=None)
    return str(last["type"]) if last else None


def _alone(thing: Thing, workload: Workload, cluster: str) -> Iterator[Sample | Fault]:
    started = next((thing.status[key] for key in _STARTED if thing.status.get(key)), None)
    life = lived(thing, moment(started or thing.meta.get("creationTimestamp")), _ended(thing))
    if isinstance(life, Fault):
        yield life
    elif life is not None:
        yield sample_of(Resource(cluster=cluster), workload, Measure.RUN_SECONDS, Decimal(1), life, thing)


def _ended(thing: Thing) -> datetime | None:
    stated = next((moment(thing.status[key]) for key in _ENDED if thing.status.get(key)), None)
    over = [
        moment(one.get("lastTransitionTime"))
        for one in thing.status.get("conditions") or []
        if one.get("type") in _JOB_ENDS and one.get("status") == "True"
    ]
    return stated or next((one for one in over if one), None)


def _claims(pod: Thing) -> Iterator[str]:
    for volume in pod.spec.get("volumes") or []:
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim:
            yield str(claim)


def _storage(claim: Thing, mounted: list[Workload], known: Things) -> Iterator[Sample | Fault]:
    asked = (claim.status.get("capacity") or {}).get("storage")
    asked = asked or ((claim.spec.get("resources") or {}).get("requests") or {}).get("storage")
    size = amount(asked)
    if size is None:
        yield bad_amount(claim, "status.capacity.storage", asked)
        return
    life = lived(claim, moment(claim.meta.get("creationTimestamp")), moment(claim.meta.get("deletionTimestamp")))
    if isinstance(life, Fault):
        yield life
    elif life is not None:
        workload = mounted[0] if len(mounted) == 1 else _claim_itself(claim, known.cluster)
        resource = Resource(id=_volume(claim, known), cluster=known.cluster)
        yield sample_of(resource, workload, Measure.STORAGE_BYTE_SECONDS, size, life, claim)


def _claim_itself(claim: Thing, cluster: str) -> Workload:
    place = f"{cluster}/{claim.namespace}"
    return Workload(
        id=f"k8s:{place}/PersistentVolumeClaim/{claim.name}/{claim.uid}",
        kind=WorkloadKind.DATA,
        name=claim.name,
        namespace=place,
        labels=claim.tags,
    )


def _volume(claim: Thing, known: Things) -> str | None:
    name = str(claim.spec.get("volumeName") or "")
    volume = known.find("PersistentVolume", name)
    return (bill_id(_handle(volume.spec)) if volume else "") or name or None


def _handle(spec: Mapping[str, Mapping[str, object]]) -> str:
    """The id of a volume in its cloud: of its driver, or as volumes before CSI said it."""
    return next((str(spec[kind][key]) for kind, key in _HANDLES if (spec.get(kind) or {}).get(key)), "")
