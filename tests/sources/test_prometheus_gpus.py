"""Cards and parts of cards, by requests and by DCGM."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.sources.prom_answers import HOUR_0, REQUESTS, UTIL, answer, faults_of, held, read, samples_of, series

from apportion.core.measures import Basis, Measure
from apportion.sources._prom_gpus import Unknown, is_gpu, part_of_card, part_of_profile


@pytest.mark.parametrize(
    ("resource", "labels", "part"),
    [
        ("nvidia_com_gpu", {}, Decimal(1)),
        ("amd_com_gpu", {}, Decimal(1)),
        ("nvidia_com_gpu", {"nvidia_com_gpu_replicas": "4"}, Decimal("0.25")),
        ("nvidia_com_gpu_shared", {"nvidia_com_gpu_replicas": "10"}, Decimal("0.1")),
        ("nvidia_com_mig_1g_5gb", {}, Decimal(1) / 7),
        ("nvidia_com_mig_1g_10gb_me", {}, Decimal(1) / 7),
        ("nvidia_com_mig_7g_40gb", {}, Decimal(1)),
        ("nvidia_com_mig_1c_3g_20gb", {}, Decimal(1) / 7),
        ("nvidia_com_mig_2g_12gb", {}, Decimal("0.5")),
        ("nvidia_com_mig_1g_24gb", {"nvidia_com_gpu_product": "NVIDIA-RTX-PRO-6000"}, Decimal("0.25")),
        ("nvidia_com_mig_1g_5gb_shared", {"nvidia_com_mig_1g_5gb_replicas": "2"}, Decimal(1) / 7 / 2),
        ("nvidia_com_gpu", {"nvidia_com_gpu_product": "NVIDIA-A100-SXM4-40GB-MIG-3g.20gb"}, Decimal(3) / 7),
    ],
)
def test_a_unit_of_a_resource_is_a_part_of_a_card(resource, labels, part):
    assert is_gpu(resource)
    assert part_of_card(resource, labels) == part


def test_the_slices_of_a_card_add_up_to_it():
    for profile, fit in {"1g.5gb": 7, "7g.80gb": 1, "1g.6gb": 4, "2g.12gb": 2, "4g.24gb": 1}.items():
        assert abs(part_of_profile(profile, "") * fit - 1) < Decimal("1e-25")
    assert part_of_profile("1g.10gb.me", "") == part_of_profile("1g.10gb", "")


@pytest.mark.parametrize(
    ("resource", "labels"),
    [("nvidia_com_gpu_shared", {}), ("nvidia_com_gpu", {"nvidia_com_gpu_product": "NVIDIA-A10-SHARED"})],
)
def test_a_shared_card_without_replicas_is_unknown_not_whole(tmp_path, resource, labels):
    assert isinstance(part_of_card(resource, labels), Unknown)
    shown = {f"label_{key}": value for key, value in labels.items()}
    node = series("kube_node_labels", {"node": "n1", **shown}, [1] * 60)
    found = read(tmp_path, answer(held(resource, 1), node))
    assert not samples_of(found, Measure.GPU_SECONDS)
    (fault,) = faults_of(found)
    assert (fault.code, fault.column, fault.example) == ("part_of_card_unknown", REQUESTS, f"{resource} on n1")
    assert fault.what == ("Cards are shared, but the node label nvidia_com_gpu_replicas does not say among how many.")
    assert fault.fix == "Let kube-state-metrics show the labels of nodes: --metric-labels-allowlist=nodes=[*]."


def test_hami_counts_percent_of_a_card_and_knows_how_many_cards_there_are(tmp_path):
    node = {"node": "n1", "resource": "nvidia_com_gpu"}
    found = read(
        tmp_path,
        answer(held("nvidia_com_gpu", 2), held("nvidia_com_gpucores", 30), held("nvidia_com_gpumem", 4000)),
        answer(series("kube_node_status_allocatable", node, [40] * 60)),
        answer(series("kube_node_labels", {"node": "n1", "label_nvidia_com_gpu_count": "4"}, [1] * 60)),
    )
    quantities = {sample.basis: sample.quantity for sample in samples_of(found, Measure.GPU_SECONDS)}
    assert quantities == {Basis.REQUESTED: Decimal("0.6") * 3600, Basis.CAPACITY: 4 * 3600}
    assert not faults_of(found)


def test_hami_without_the_number_of_cards_has_no_capacity_and_says_so(tmp_path):
    node = {"node": "n1", "resource": "nvidia_com_gpu"}
    allocatable = series("kube_node_status_allocatable", node, [40] * 60)
    found = read(tmp_path, answer(held("nvidia_com_gpu", 1), held("nvidia_com_gpucores", 50), allocatable))
    assert [sample.basis for sample in samples_of(found, Measure.GPU_SECONDS)] == [Basis.REQUESTED]
    (fault,) = faults_of(found)
    assert (fault.code, fault.example) == ("cards_of_node_unknown", "n1")
    assert fault.what == (
        "HAMi shows virtual cards, and the node label nvidia_com_gpu_count does not say how many cards there are."
    )


def test_an_accelerator_that_is_not_known_is_a_fault(tmp_path):
    (fault,) = faults_of(read(tmp_path, answer(held("acme_com_gpu9", 1))))
    assert (fault.code, fault.example, fault.rejected) == ("unknown_resource", "acme_com_gpu9", True)
    assert fault.what == "A resource of nodes looks like an accelerator that is not known: it is not counted."


def test_pods_that_share_a_card_do_not_add_up_to_more_than_it(tmp_path):
    one = series(UTIL, {"UUID": "G", "namespace": "ml", "pod": "a", "vgpu": "0"}, [80] * 60)
    two = series(UTIL, {"UUID": "G", "namespace": "ml", "pod": "b", "vgpu": "1"}, [80] * 60)
    found = samples_of(read(tmp_path, answer(one, two)), Measure.GPU_BUSY_SECONDS)
    assert [sample.quantity for sample in found] == [1440, 1440]


def test_pods_that_take_turns_on_a_card_have_their_own_time(tmp_path):
    one = series(UTIL, {"UUID": "G", "namespace": "ml", "pod": "a"}, [100] * 20)
    two = series(UTIL, {"UUID": "G", "namespace": "ml", "pod": "b"}, [50] * 40, start=HOUR_0 + 1200)
    found = samples_of(read(tmp_path, answer(one, two)), Measure.GPU_BUSY_SECONDS)
    assert [(sample.quantity, sample.coverage) for sample in found] == [(1200, 1), (1200, 1)]


def test_a_slice_is_busy_for_its_part_of_the_card(tmp_path):
    labels = {"UUID": "G", "GPU_I_ID": "7", "GPU_I_PROFILE": "1g.5gb", "namespace": "ml", "pod": "a"}
    engine = series("DCGM_FI_PROF_GR_ENGINE_ACTIVE", labels, ["0.7"] * 60)
    (sample,) = samples_of(read(tmp_path, answer(engine)), Measure.GPU_BUSY_SECONDS)
    assert abs(sample.quantity - 360) < Decimal("1e-20")
    assert sample.devices == ("G",)


def test_utilisation_comes_first_and_engine_activity_where_there_is_none(tmp_path):
    card = {"UUID": "G", "namespace": "ml", "pod": "a"}
    util = series(UTIL, card, [50] * 60)
    engine = series("DCGM_FI_PROF_GR_ENGINE_ACTIVE", card, ["0.25"] * 120)
    found = samples_of(read(tmp_path, answer(util, engine)), Measure.GPU_BUSY_SECONDS)
    assert [sample.quantity for sample in found] == [1800, 900]


def test_a_field_that_the_card_does_not_support_is_no_measurement(tmp_path):
    card = {"UUID": "G", "namespace": "ml", "pod": "a"}
    found = read(tmp_path, answer(series(UTIL, card, ["9223372036854775794"] * 60)))
    assert not samples_of(found, Measure.GPU_BUSY_SECONDS)
    (fault,) = faults_of(found)
    assert (fault.code, fault.column, fault.rejected) == ("unsupported_field", UTIL, False)
    assert fault.what == "DCGM does not support this field on some cards: their values are not used."


@pytest.mark.parametrize("key", ["Hostname", "hostname"])
def test_old_and_new_names_of_the_host_are_read(tmp_path, key):
    card = series(UTIL, {"UUID": "G", "namespace": "ml", "pod": "a", key: "n5"}, [100] * 60)
    (sample,) = samples_of(read(tmp_path, answer(card)), Measure.GPU_BUSY_SECONDS)
    assert sample.resource.node == "n5"


def test_without_honor_labels_the_exported_names_count(tmp_path):
    own = {"pod": "nvidia-dcgm", "namespace": "gpu-operator", "job": "dcgm"}
    busy = series(UTIL, {"UUID": "G", **own, "exported_pod": "a", "exported_namespace": "ml"}, [100] * 60)
    idle = series(UTIL, {"UUID": "H", **own}, [100] * 60)
    found = samples_of(read(tmp_path, answer(busy, idle)), Measure.GPU_BUSY_SECONDS)
    assert [sample.workload.id for sample in found] == ["k8s:prom/ml/Pod/a"]


def test_an_idle_card_never_belongs_to_the_exporter(tmp_path):
    idle = series(UTIL, {"UUID": "H", "pod": "nvidia-dcgm-exporter-x", "namespace": "gpu-operator"}, [100] * 60)
    assert read(tmp_path, answer(idle)) == []


def test_a_card_held_by_a_batch_job_names_the_slurm_job(tmp_path):
    card = series(UTIL, {"UUID": "G", "hpc_job": "42", "Hostname": "n5", "cluster": "hpc"}, [100] * 60)
    (sample,) = samples_of(read(tmp_path, answer(card)), Measure.GPU_BUSY_SECONDS)
    assert (sample.workload.id, sample.workload.links) == ("slurm:hpc/42", ("slurm:hpc/42", "host:n5", "gpu:G"))
    assert (sample.quantity, sample.devices) == (3600, ("G",))


def test_energy_belongs_to_the_card_so_a_pods_first_value_is_never_taken(tmp_path):
    name = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
    first = series(name, {"UUID": "G", "namespace": "ml", "pod": "a"}, range(10**9, 10**9 + 30_000, 1000))
    second = series(
        name, {"UUID": "G", "namespace": "ml", "pod": "b"}, range(10**9, 10**9 + 60_000, 2000), start=HOUR_0 + 1800
    )
    found = samples_of(read(tmp_path, answer(first, second)), Measure.ENERGY_JOULES)
    assert [sample.quantity for sample in found] == [29, 58]


def test_energy_that_all_slices_of_a_card_show_counts_once(tmp_path):
    name = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
    slices = [
        series(name, {"UUID": "G", "GPU_I_ID": str(at), "namespace": "ml", "pod": f"p{at}"}, range(0, 60_000, 1000))
        for at in range(2)
    ]
    found = samples_of(read(tmp_path, answer(*slices)), Measure.ENERGY_JOULES)
    assert [sample.quantity for sample in found] == [Decimal("29.5"), Decimal("29.5")]
