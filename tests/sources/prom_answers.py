"""Answers of Prometheus as a user saves them or `pull` keeps them, written as Prometheus 2.42 gives them."""

from __future__ import annotations

import json
from datetime import datetime

from apportion.core.config import SourceConfig
from apportion.sources.prometheus import SOURCE
from apportion.sources.readings.contract import Fault, RawFile, Sample

HOUR_0 = 1772359200
# 2026-03-01T10:00:00Z
AT_10, AT_11 = datetime(2026, 3, 1, 10), datetime(2026, 3, 1, 11)
POD = {"namespace": "ml", "pod": "p", "uid": "u1"}
CPU = "container_cpu_usage_seconds_total"
REQUESTS = "kube_pod_container_resource_requests"
UTIL = "DCGM_FI_DEV_GPU_UTIL"


def minutes(values, start=HOUR_0, step=60):
    return [[start + step * at, str(value)] for at, value in enumerate(values)]


def series(name, labels, values, **times):
    return {"metric": {"__name__": name, **labels}, "values": minutes(values, **times)}


def answer(*found):
    return {"status": "success", "data": {"resultType": "matrix", "result": list(found)}}


def read(tmp_path, *documents, read_at=None, **options):
    path = tmp_path / "saved.jsonl"
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    config = SourceConfig("prom", "prometheus", (), options=options)
    return list(SOURCE.read(RawFile(path, path.name, read_at), config))


def samples_of(found, measure, basis=None):
    return [s for s in found if isinstance(s, Sample) and s.measure is measure and basis in (None, s.basis)]


def faults_of(found):
    return [item for item in found if isinstance(item, Fault)]


def info(pod="p", uid="u1", node="n1", count=60, start=HOUR_0):
    labels = {"namespace": "ml", "pod": pod, "uid": uid, "node": node}
    return series("kube_pod_info", labels, [1] * count, start=start)


def held(resource, value, node="n1", count=60, **labels):
    return series(REQUESTS, {**POD, "container": "c", "node": node, "resource": resource, **labels}, [value] * count)


def fault_of(tmp_path, *documents, **options):
    (fault,) = faults_of(read(tmp_path, *documents, **options))
    return fault.code, fault.column, fault.example, fault.what, fault.fix, fault.rejected


def kept(query, *found, **params):
    request = {"path": "api/v1/query", "params": {"query": query, **params}, "read_at": "2026-03-05T00:00:00"}
    return {"apportion_answer": request, "body": answer(*found)}


def unnamed(labels, values, **times):
    return {"metric": labels, "values": minutes(values, step=3600, **times)}


END = HOUR_0 + 3599
