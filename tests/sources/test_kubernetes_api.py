"""Pulling from the Kubernetes API. No API server runs here: a loopback server answers as its documentation says."""

from __future__ import annotations

import io
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.metering.meters import Meter, usage
from tests.sources.kubernetes_objects import listed, node, pod
from tests.sources.metered import READ_AT, client, read, served

from apportion.core.config import SourceConfig
from apportion.core.progress import silent
from apportion.errors import MeterUnreachable, MissingExtra
from apportion.sources import _kubernetes_api, kserve, kubeflow
from apportion.sources._kubernetes import amount, moment
from apportion.sources.readings import pulling
from apportion.sources.readings.answers import pulled_at
from apportion.sources.readings.contract import Window

DAY = Window(datetime(2026, 10, 1), datetime(2026, 10, 2), READ_AT)
PODS = [pod(f"p{n}", labels={"training.kubeflow.org/job-name": "t"}) for n in range(5)]
GROUPS = {
    "kind": "APIGroupList",
    "apiVersion": "v1",
    "groups": [
        {
            "name": "kubeflow.org",
            "versions": [{"groupVersion": "kubeflow.org/v1beta1"}, {"groupVersion": "kubeflow.org/v1"}],
            "preferredVersion": {"groupVersion": "kubeflow.org/v1"},
        },
        {"name": "apps", "versions": [{"groupVersion": "apps/v1"}]},
    ],
}
RESOURCES = {
    "/apis/kubeflow.org/v1": [("pytorchjobs", ["list"]), ("pytorchjobs/status", ["get"]), ("notebooks", ["list"])],
    "/apis/kubeflow.org/v1beta1": [("notebooks", ["list"]), ("experiments", ["list"])],
}


def documented(*, gone=0, size=2, bearer=None):
    """A server with five pods, in pages of two, whose page tokens expire `gone` times."""
    left = [gone]

    def answer(path, params, headers):  # noqa: PLR0911 - one answer per address
        if bearer and headers.get("Authorization") != f"Bearer {bearer}":
            return 401, {"kind": "Status", "code": 401, "message": "Unauthorized"}
        if path == "/apis":
            return 200, GROUPS
        if path in RESOURCES:
            held = [{"name": name, "verbs": verbs} for name, verbs in RESOURCES[path]]
            return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": path[6:], "resources": held}
        if path == "/api/v1/nodes":
            return 200, listed(node(), kind="NodeList")
        if path != "/api/v1/pods":
            return 200, listed(kind="List")
        first = int(params.get("continue", 0))
        if first and left[0]:
            left[0] -= 1
            return 410, {"kind": "Status", "code": 410, "reason": "Expired"}
        more = {"continue": str(first + size)} if first + size < len(PODS) else {}
        return 200, listed(*PODS[first : first + size], kind="PodList", **more)

    return answer


def pulled(source, url, keep=None, /, **options):
    config = SourceConfig("meter", source.name, (), options=options)
    return list(source.pull(client(url, keep), DAY, config))


def test_lists_are_read_in_pages_and_only_of_kinds_the_cluster_knows():
    with served(documented()) as (url, asked):
        pulled(kubeflow.SOURCE, url, url=url)
    assert [(path, params.get("continue")) for path, params in asked] == [
        ("/api/v1/pods", None),
        ("/api/v1/pods", "2"),
        ("/api/v1/pods", "4"),
        ("/api/v1/nodes", None),
        ("/api/v1/persistentvolumeclaims", None),
        ("/api/v1/persistentvolumes", None),
        ("/apis", None),
        ("/apis/kubeflow.org/v1", None),
        ("/apis/kubeflow.org/v1/notebooks", None),
        ("/apis/kubeflow.org/v1/pytorchjobs", None),
        ("/apis/kubeflow.org/v1beta1", None),
    ]
    assert {params["limit"] for path, params in asked if path == "/api/v1/pods"} == {str(_kubernetes_api.PAGE)}


def test_kserve_asks_for_no_kind_that_is_not_there():
    with served(documented()) as (url, asked):
        pulled(kserve.SOURCE, url, url=url)
    assert [path for path, _ in asked][-1] == "/apis"


TRAINS = {"training.kubeflow.org/job-name": "t"}


def running_at(*pods):
    """A server whose only objects are these pods and their node."""

    def answer(path, params, headers):
        found = {"/api/v1/pods": listed(*pods, kind="PodList"), "/api/v1/nodes": listed(node(), kind="NodeList")}
        return 200, found.get(path, listed(kind="List"))

    return answer


def test_what_several_pulls_of_a_day_saw_counts_once(tmp_path):
    """Seen at six: a pod that goes on, and one that is swept away. Seen at eighteen: the first, and a short one."""
    steady = pod("steady", labels=TRAINS, phase="Running", end=None)
    swept = pod("swept", labels=TRAINS)
    short = pod("short", labels=TRAINS, status={"startTime": "2026-10-01T12:00:00Z"}, end="2026-10-01T13:00:00Z")
    for hour, there in ((6, (steady, swept)), (18, (steady, short))):
        with served(running_at(*there)) as (url, asked):
            config = SourceConfig("meter", "kubeflow", (), options={"url": url})
            now = datetime(2026, 10, 1, hour)
            files = pulling.pull(kubeflow.SOURCE, config, folder=tmp_path / "pulled", now=now, progress=silent)
        assert len(asked) == 5
    assert [file.name for file in files] == ["2026-10-01T060000.jsonl", "2026-10-01T180000.jsonl"]
    meters = [
        Meter(read(kubeflow.SOURCE, file)[0], rank=kubeflow.SOURCE.rank, read_at=pulled_at(file)) for file in files
    ]
    (tmp_path / "used").mkdir()
    used = usage(tmp_path / "used", *meters)
    gpu_seconds = sum(one["x_Quantity"] for one in used if one["x_Measure"] == "gpu_seconds")
    assert gpu_seconds == 4 * 3600 * (18 + 2 + 1)
    assert {one["work"] for one in used} == {"k8s:meter/ml/TrainingJob/t"}


@pytest.mark.parametrize("gone", [0, 1])
def test_what_is_kept_reads_each_pod_once_though_a_list_was_begun_again(tmp_path, gone):
    keep = io.StringIO()
    with served(documented(gone=gone)) as (url, _):
        pulled(kubeflow.SOURCE, url, keep, url=url)
    kept = tmp_path / "kept.jsonl"
    kept.write_text(keep.getvalue())
    samples, faults = read(kubeflow.SOURCE, kept)
    assert faults == []
    assert sum(one.quantity for one in samples if one.measure.value == "run_seconds") == 5 * 7200
    assert {one.resource.id for one in samples} == {"i-0abc"}


def test_a_list_that_expires_twice_ends_the_pull():
    with served(documented(gone=2)) as (url, _), pytest.raises(MeterUnreachable, match="answered 410") as caught:
        pulled(kubeflow.SOURCE, url, url=url)
    assert caught.value.status == 410


@pytest.mark.parametrize("tokens", [["2"], ["2", "4"]])
def test_a_list_that_names_the_same_page_again_ends_the_pull(tokens):
    left = iter(3 * tokens)

    def in_a_circle(path, params, headers):
        return 200, listed(kind="PodList", **{"continue": next(left, None)})

    with served(in_a_circle) as (url, asked), pytest.raises(MeterUnreachable) as caught:
        pulled(kubeflow.SOURCE, url, url=url)
    assert len(asked) == len(tokens) + 1
    assert "/api/v1/pods names a page as the next one that was read already." in str(caught.value)


def test_a_refusal_ends_the_pull_and_does_not_say_the_token(monkeypatch):
    monkeypatch.setenv("APPORTION_METER_TOKEN", "wrong-secret")
    with served(documented(bearer="right")) as (url, _), pytest.raises(MeterUnreachable) as caught:
        pulled(kubeflow.SOURCE, url, url=url)
    assert (caught.value.status, "secret" in str(caught.value)) == (401, False)


def test_without_address_the_official_client_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(MissingExtra, match=r"apportion\[kubernetes\]"):
        pulled(kserve.SOURCE, "")


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: "{url}"}}}}]
users: [{{name: u, user: {{{user}}}}}]
"""


CREDENTIAL = '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "right"}}'
EXEC = f"{{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: echo, args: ['{CREDENTIAL}']}}"


@pytest.mark.parametrize("user", ["token: right", f"exec: {EXEC}"])
def test_the_kubeconfig_signs_in(monkeypatch, tmp_path, user):
    pytest.importorskip("kubernetes")
    with served(documented(bearer="right")) as (url, asked):
        config = tmp_path / "config"
        config.write_text(KUBECONFIG.format(url=url, user=user))
        monkeypatch.setenv("KUBECONFIG", str(config))
        pulled(kubeflow.SOURCE, "")
    assert asked[0][0] == "/api/v1/pods"


def test_a_kubeconfig_that_has_no_such_context_is_said_without_its_content(monkeypatch, tmp_path):
    pytest.importorskip("kubernetes")
    config = tmp_path / "config"
    config.write_text(KUBECONFIG.format(url="http://127.0.0.1:9", user="token: secret"))
    monkeypatch.setenv("KUBECONFIG", str(config))
    with pytest.raises(MeterUnreachable) as caught:
        pulled(kserve.SOURCE, "", context="other")
    assert str(caught.value).startswith(
        "Source 'meter': kubeconfig or service account gave no credentials (context 'other'): ConfigException."
    )


def test_without_a_kubeconfig_the_service_account_of_the_pod_signs_in(monkeypatch, tmp_path):
    official = pytest.importorskip("kubernetes.config.incluster_config")
    (tmp_path / "token").write_text("right")
    (tmp_path / "ca.crt").write_text(Path(certifi.where()).read_text())
    monkeypatch.setattr(official, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(official, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    signed = client("")
    _kubernetes_api._sign_in(signed, SourceConfig("meter", "kserve", ()))
    assert (signed.url, signed.headers["Authorization"].lower()) == ("https://10.0.0.1:443", "bearer right")
    assert signed.tls.check_hostname


def test_outside_of_a_pod_without_a_kubeconfig_there_are_no_credentials(monkeypatch, tmp_path):
    pytest.importorskip("kubernetes")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(MeterUnreachable, match="gave no credentials: ConfigException"):
        pulled(kserve.SOURCE, "")


class Found:
    """What the official client's configuration says, as far as it is read."""

    ssl_ca_cert = cert_file = key_file = None
    verify_ssl = True


def test_certificates_are_checked_unless_the_kubeconfig_says_not_to():
    assert _kubernetes_api._tls(Found()).check_hostname
    found = Found()
    found.verify_ssl = False
    assert not _kubernetes_api._tls(found).check_hostname


def test_a_client_certificate_is_loaded(tmp_path):
    found = Found()
    found.cert_file = found.key_file = str(tmp_path / "none.pem")
    with pytest.raises(FileNotFoundError):
        _kubernetes_api._tls(found)


@given(st.integers(0, 10**15), st.sampled_from(["n", "u", "m", "", "k", "M", "G", "T", "P", "E"]))
def test_a_decimal_suffix_is_a_power_of_a_thousand(number, suffix):
    power = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}[suffix]
    assert amount(f"{number}{suffix}") == Decimal(number).scaleb(power)


@given(st.integers(0, 10**6), st.integers(1, 6))
def test_a_binary_suffix_is_a_power_of_1024(number, power):
    assert amount(f"{number}{'KMGTPE'[power - 1]}i") == number * 1024**power


@pytest.mark.parametrize("text", ["", "-1", "1.2.3", "1 Gi", "Infinity", None, "1e9999"])
def test_what_is_no_quantity_has_no_amount(text):
    assert amount(text) is None


@pytest.mark.parametrize("text", [None, "", "yesterday", 5])
def test_what_is_no_time_has_no_moment(text):
    assert moment(text) is None


def test_times_of_the_api_are_utc():
    assert moment("2026-10-01T02:00:00.5+02:00") == datetime(2026, 10, 1, 0, 0, 0, 500000)
    assert moment("2026-10-01T02:00:00") == datetime(2026, 10, 1, 2)
