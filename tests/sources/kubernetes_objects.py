"""Objects as the Kubernetes API documents them, written by hand: no API server runs in these tests."""

from __future__ import annotations

START, END = "2026-10-01T00:00:00Z", "2026-10-01T02:00:00Z"


def listed(*items, kind="List", **metadata):
    """A list as `kubectl get -o json` prints it, or as the API answers (`PodList`: its items carry no kind)."""
    named = kind != "List"
    shown = [
        {key: value for key, value in one.items() if not (named and key in {"kind", "apiVersion"})} for one in items
    ]
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "items": shown}


def thing(kind, name, *, namespace="ml", uid="", spec=None, status=None, **metadata):
    meta = {"name": name, "uid": uid or f"uid-{name}", "creationTimestamp": START, **metadata}
    if namespace:
        meta["namespace"] = namespace
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, "spec": spec or {}, "status": status or {}}


def container(*, requests=None, limits=None, **fields):
    resources = {"requests": requests or {}, "limits": limits or {}}
    return {"name": "main", "resources": {key: held for key, held in resources.items() if held}, **fields}


def pod(name, *, labels=None, node="node-1", phase="Succeeded", end=END, containers=None, volumes=(), **fields):
    """A pod that ran two hours with 4 GPUs, 8 cores and 64 GiB, unless told otherwise."""
    asked = {"cpu": "8", "memory": "64Gi"}
    spec = {"containers": containers or [container(requests=asked, limits={"nvidia.com/gpu": "4"})]}
    spec |= {"nodeName": node} if node else {}
    claimed = [{"name": one, "persistentVolumeClaim": {"claimName": one}} for one in volumes]
    spec |= {"volumes": [{"name": "scratch", "emptyDir": {}}, *claimed]}
    spec |= fields.pop("spec", {})
    status = {"phase": phase, "startTime": START}
    if end:
        status["containerStatuses"] = [{"name": "main", "state": {"terminated": {"finishedAt": end, "exitCode": 0}}}]
    status |= fields.pop("status", {})
    return thing("Pod", name, spec=spec, status=status, labels=labels or {}, **fields)


def node(name="node-1", provider_id="aws:///eu-west-1a/i-0abc", **labels):
    marks = {"topology.kubernetes.io/region": "eu-west-1", "node.kubernetes.io/instance-type": "p4d.24xlarge"}
    return thing("Node", name, namespace="", spec={"providerID": provider_id}, labels=marks | labels)


def claim(name, *, volume="pv-1", size="100Gi"):
    return thing("PersistentVolumeClaim", name, spec={"volumeName": volume}, status={"capacity": {"storage": size}})


def volume(name="pv-1", handle="vol-0def", **spec):
    source = spec or {"csi": {"driver": "ebs.csi.aws.com", "volumeHandle": handle}}
    return thing("PersistentVolume", name, namespace="", spec=source)
