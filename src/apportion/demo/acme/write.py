"""Write acme: twelve months of bills and of meters, a later delivery of one bill, and the truth apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.period import Month
from apportion.demo.acme import configuration
from apportion.demo.acme.aws import write_aws
from apportion.demo.acme.azure import write_azure
from apportion.demo.acme.gcp import write_gcp
from apportion.demo.acme.llm import write_llm
from apportion.demo.acme.meters_write import write_meters
from apportion.demo.acme.truth import Truth
from apportion.demo.acme.usage import Plan

if TYPE_CHECKING:
    from pathlib import Path

LATER = "deliveries/2/aws"
RESTATED = {"aws": (LATER,)}
"""Source id -> the paths of its later delivery, which restates the month before the last."""

_TRUTH = """# The truth about acme's bills

Who really caused each row. Apportion never reads this folder; tests of accuracy do.

- `rows/`: one line per row of a bill and owner, with the amounts as exact text. An owner is a team, project, model and
  environment, or a pool (support, tax, credits, commitment, network, idle …) where nobody caused it alone. A row of a
  node of the Kubernetes cluster is cut, to the 18th digit, among those whose pods ran on it; the rest is idle. A row of
  the API key that everyone knows is cut among its callers by their tokens.
- `shared/`: those cuts: whose pods had how many parts of a node on each day, and who got how many tokens of the key.
- `workloads/`: what each job, endpoint, notebook and key used on each day, in base units: what `meters/` adds up to.
- `totals.parquet`: the same, summed by source, delivery, month and owner.
"""


def write_company(folder: Path, *, months: int = 12, seed: int = 7, last: Month | None = None, scale: int = 1) -> None:
    """Write the project folder; the same arguments write the same bytes. `scale` multiplies the resources.

    The default year ends in October 2026.
    """
    plan = Plan(last or Month(2026, 10), months, seed, scale)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "apportion.toml").write_text(configuration.text(), encoding="utf-8")
    truth = Truth(folder / "truth")
    for month in plan:
        write_aws(folder, plan, month, truth, place="bills/aws")
        write_gcp(folder, plan, month, truth)
        write_azure(folder, plan, month, truth)
        write_llm(folder, plan, month, truth)
        truth.close_month(month)
    restated = plan.last.plus(-1)
    write_aws(folder, plan, restated, truth, delivery=2, place=LATER)
    truth.close_month(restated, delivery=2)
    truth.close()
    write_meters(folder, plan)
    (folder / "truth" / "README.md").write_text(_TRUTH, encoding="utf-8")
