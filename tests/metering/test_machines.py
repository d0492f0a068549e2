"""The table of machine types against figures checked by hand, and every row of it for sanity."""

import csv
import re
from decimal import Decimal
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apportion.metering.machines import VERSION, Machine, machine_of, machines

CSV = files("apportion.metering").joinpath("machines.csv").read_text(encoding="utf-8")
ROWS = list(csv.DictReader(CSV.splitlines()))


@pytest.mark.parametrize(
    ("name", "machine"),
    [
        ("p4d.24xlarge", Machine(8, "A100-40GB", 96, Decimal(1152))),
        ("ml.p5.48xlarge", Machine(8, "H100", 192, Decimal(2048))),
        ("ml.g5.12xlarge", Machine(4, "A10G", 48, Decimal(192))),
        ("g5.16xlarge", Machine(1, "A10G", 64, Decimal(256))),
        ("trn1.32xlarge", Machine(16, "Trainium", 128, Decimal(512))),
        ("m6i.2xlarge", Machine(0, "", 8, Decimal(32))),
        ("c5.9xlarge", Machine(0, "", 36, Decimal(72))),
        ("r7i.48xlarge", Machine(0, "", 192, Decimal(1536))),
        ("a2-highgpu-8g", Machine(8, "A100-40GB", 96, Decimal(680))),
        ("a3-highgpu-8g", Machine(8, "H100", 208, Decimal(1872))),
        ("g2-standard-12", Machine(1, "L4", 12, Decimal(48))),
        ("n1-standard-1", Machine(0, "", 1, Decimal("3.75"))),
        ("n2-highmem-128", Machine(0, "", 128, Decimal(864))),
        ("Standard_NC24ads_A100_v4", Machine(1, "A100-80GB", 24, Decimal(220))),
        ("NC24ads A100 v4", Machine(1, "A100-80GB", 24, Decimal(220))),
        ("standard_nd96isr_h100_v5", Machine(8, "H100", 96, Decimal(1900))),
        ("D8s v5", Machine(0, "", 8, Decimal(32))),
        ("Standard_E96s_v5", Machine(0, "", 96, Decimal(672))),
        ("Standard_F72s_v2", Machine(0, "", 72, Decimal(144))),
    ],
)
def test_a_machine_has_the_figures_of_its_providers_page(name, machine):
    assert machine_of(name) == machine


@pytest.mark.parametrize("name", ["", "ml.", "p4d", "p99.24xlarge", "n2-custom-8", "custom", "c3-custom-8-16384"])
def test_an_unknown_type_has_no_machine(name):
    assert machine_of(name) is None


@given(st.sampled_from(["n1-", "n2-", "n2d-", "e2-", ""]), st.integers(1, 96), st.integers(1, 10**6), st.booleans())
def test_a_custom_machine_is_read_from_its_name(family, cores, mebibytes, extended):
    found = machine_of(f"{family}custom-{cores}-{mebibytes}{'-ext' if extended else ''}")
    assert found is not None
    assert (found.gpus, found.gpu_type, found.cpu_cores) == (0, "", cores)
    assert found.memory_gib * 1024 == mebibytes


@given(st.sampled_from([row["name"] for row in ROWS]), st.sampled_from(["", "ml.", "Standard_"]), st.booleans())
def test_prefixes_capitals_and_spaces_make_no_difference(name, prefix, capitals):
    written = prefix + name.replace("_", " ") if not prefix else prefix + name
    assert machine_of(written.upper() if capitals else written) == machine_of(name) is not None


def test_every_name_is_there_once():
    assert len(machines()) == len(ROWS) > 400


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_every_row_is_sane(row):
    machine = machine_of(row["name"])
    assert row["provider"] in {"AWS", "Google Cloud", "Microsoft"}
    assert 0 <= machine.gpus <= 16
    assert bool(machine.gpus) == bool(machine.gpu_type)
    assert 1 <= machine.cpu_cores <= 448
    assert Decimal("0.25") <= machine.memory_gib / machine.cpu_cores <= 32


@pytest.mark.parametrize("row", [row for row in ROWS if row["provider"] == "Google Cloud"], ids=lambda row: row["name"])
def test_the_number_in_a_google_name_is_its_cores_or_its_gpus(row):
    number = re.search(r"-(\d+)(g?)$", row["name"])
    if number:
        assert row["gpus" if number[2] else "cpu_cores"] == number[1]


@pytest.mark.parametrize("row", [row for row in ROWS if row["provider"] == "Microsoft"], ids=lambda row: row["name"])
def test_the_number_in_an_azure_name_is_its_cores(row):
    assert row["cpu_cores"] == re.search(r"\d+", row["name"])[0]


@pytest.mark.parametrize(
    ("family", "gib"), [("m5", 4), ("m6i", 4), ("m7i", 4), ("c5", 2), ("c6i", 2), ("c7i", 2), ("r5", 8), ("r6i", 8)]
)
def test_a_family_has_one_ratio_of_memory_to_cores(family, gib):
    found = [machine for name, machine in machines().items() if name.startswith(f"{family}.")]
    assert len(found) >= 8
    assert {machine.memory_gib / machine.cpu_cores for machine in found} == {gib}


def test_the_table_has_a_version():
    assert re.fullmatch(r"\d{4}-\d{2}", VERSION)
