"""A company with pools small enough to check by hand: risk pays 60 for compute in account 111, growth 30 there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import metered_company
from tests.metered_company import DAY, MONTH, charge, use

if TYPE_CHECKING:
    from pathlib import Path

POOLS = """
[[pools]]
id = "network"            # 111: 6 risk, 3 growth; nobody is in 333, so 60 : 40 there
when = { service = "Network" }
within = ["account"]
basis_when = { service = "Compute" }
leftover = "wider"
grain = "team"

[[pools]]
id = "support"            # 8: 2 growth, 6 to platform
when = { service = "Support" }
method = "fixed"
split = [{ weight = 1, team = "growth" }]
to_pools = [{ pool = "platform", weight = 3 }]

[[pools]]
id = "platform"           # 4 of its own and 6 from support: half to each team
when = { team = "platform" }
stage = 2
method = "even"
grain = "team"

[[pools]]
id = "it"                 # 10: 20/3 risk, 10/3 growth
when = { service = "IT" }
stage = 3
method = "fixed"
split = [{ weight = 1, team = "risk" }]
to_pools = [{ pool = "hr", weight = 1 }]
reciprocal = true

[[pools]]
id = "hr"                 # 6: 2 risk, 4 growth
when = { service = "HR" }
stage = 3
method = "fixed"
split = [{ weight = 1, team = "growth" }]
to_pools = [{ pool = "it", weight = 1 }]
reciprocal = true

[[pools]]
id = "queue"              # the first day is risk's, the second growth's; the third nobody's
when = { service = "Queue" }
time = "day"
basis_when = { service = "Batch" }
grain = "team"

[[pools]]
id = "gpus"               # 25 : 75 GPU-hours
when = { service = "GPU fund" }
method = "proportional_usage"
basis = "gpu_seconds"
grain = "job"

[[pools]]
id = "tiers"              # 25 h weigh 25, 75 h weigh 25 + 25
when = { service = "GPU licence" }
method = "tiered"
basis = "gpu_seconds"
tiers = [{ up_to = 90000, rate = 1 }, { rate = "0.5" }]
grain = "team"

[[pools]]
id = "orphans"            # nobody pays for that service: even
when = { service = "Orphan" }
within = ["service"]
leftover = "even"
grain = "team"

[[pools]]
id = "alone"              # nobody is in account 999: it stays
when = { service = "Alone" }
within = ["account"]

[[pools]]
id = "credits"
when = { charge_category = "Credit", team = "unallocated" }
stage = 4
within = ["account", "service"]
grain = "team"
"""


def _day(no: int) -> tuple[str, str]:
    return f"2026-10-0{no}T00:00:00Z", f"2026-10-0{no + 1}T00:00:00Z"


def _of(service: str, cost: str, account: str, *, team: str = "", **said: str) -> dict[str, str]:
    return charge(cost, MONTH, f"{service}-{account}", team=team, ServiceName=service, SubAccountId=account, **said)


CHARGES = (
    _of("Compute", "60", "111", team="risk"),
    _of("Compute", "30", "111", team="growth"),
    _of("Compute", "10", "222", team="growth"),
    _of("Network", "9", "111"),
    _of("Network", "5", "333"),
    _of("Support", "8", "111"),
    _of("Tools", "4", "111", team="platform"),
    _of("IT", "10", "111"),
    _of("HR", "6", "111"),
    charge("3", _day(1), "batch-1", team="risk", ServiceName="Batch", SubAccountId="222"),
    charge("1", _day(2), "batch-2", team="growth", ServiceName="Batch", SubAccountId="222"),
    charge("2", _day(1), "queue", ServiceName="Queue", SubAccountId="222"),
    charge("2", _day(2), "queue", ServiceName="Queue", SubAccountId="222"),
    charge("4", _day(3), "queue", ServiceName="Queue", SubAccountId="222"),
    charge("8", MONTH, "queue", ServiceName="Queue", SubAccountId="222"),
    _of("GPU fund", "40", "111"),
    _of("GPU licence", "3", "111"),
    _of("Orphan", "1", "111"),
    _of("Alone", "7", "999"),
    _of("Compute", "-4.5", "111", ChargeCategory="Credit"),
    _of("Compute", "12", "111", team="risk", BillingCurrency="EUR"),
    _of("Network", "3", "111", BillingCurrency="EUR"),
)
_GPUS = {"resource_id": "i-000000000000000ff", "unit": "gpu_hours"}
USES = (
    use(DAY, "training", "gpu_seconds", 25, **_GPUS, team="risk"),
    use(DAY, "ranking", "gpu_seconds", 75, **_GPUS, team="growth"),
)
UNUSED = (use(DAY, "", "gpu_seconds", 1, resource_id="i-000000000000000fe", unit="gpu_hours"),)


def write_company(folder: Path) -> Path:
    """The project folder; nothing is ingested."""
    config = metered_company.CONFIG + POOLS
    return metered_company.write_company(folder, CHARGES, USES, patchy=UNUSED, config=config)
