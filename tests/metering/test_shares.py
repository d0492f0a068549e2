from __future__ import annotations

from tests.metering.meters import *


def test_smoke(tmp_path):
    meter = Meter([has_gpus(at(0), at(24), 8), gpus("a", at(0), at(6), 4)])
    print({k: rounded(parts_of(v)) for k, v in divided(tmp_path, meter, hourly(at(5), at(8))).items()})
    print(usage(tmp_path / "x", meter)[:3])
