"""Books with pools, small enough to work out by hand: charges by `books`, shared by the real engine.

October: Ads has 100 of its own and 20 that a meter counted, Risk has 60. The platform costs 30, the network 21, 12 was
idle; 9 of support is of a provider where nobody works, so it stays. The network is for all that cost something, the
platform among them: 120 : 60 : 30, so 12 + 6 + 3; the platform then gives 33 on, 22 + 11; idle is halved, 6 + 6.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.reports.books import charge, owner, post

from apportion.core.config_file import parse_config
from apportion.core.money import quanta
from apportion.core.period import Period
from apportion.core.progress import silent
from apportion.ledger.sharing import shared_out
from apportion.reports import SOCKET
from apportion.reports.reading.opening import open_run

if TYPE_CHECKING:
    from tests.reports.books import Charge

    from apportion.store import Store
    from apportion.store.records import Run

ADS = owner("Growth", team="Ads", model="bid-optimizer")
RISK = owner("Finance", team="Risk", model="graph-risk")
JOB = ADS | {"x_WorkloadKind": "training_job", "x_WorkloadId": "job-1"}
PLATFORM = owner("Core", team="platform")
IDLE = owner(team="idle") | {"x_WorkloadKind": "idle"}
NOBODY = owner()

POOLS = """
[[pools]]
id = "net"
when = { service = "Network" }
basis = "BilledCost"
to_pools = [{ pool = "platform" }]

[[pools]]
id = "idle"
when = { kind = "idle" }
method = "even"

[[pools]]
id = "platform"
when = { team = "platform" }
stage = 2
basis = "BilledCost"

[[pools]]
id = "support"
when = { service = "Support" }
stage = 3
basis = "BilledCost"
within = "provider"
"""


def october(month: str = "2026-10") -> list[Charge]:
    """The charges of the month."""
    return [
        charge(month, "100", (1, ADS)),
        charge(month, "20", (1, JOB)),
        charge(month, "60", (1, RISK)),
        charge(month, "30", (1, PLATFORM), ServiceName="Kubernetes"),
        charge(month, "21", (1, NOBODY), ServiceName="Network"),
        charge(month, "12", (1, IDLE)),
        charge(month, "9", (1, NOBODY), ServiceName="Support", ServiceProviderName="Cloud Two"),
    ]


def posted(store: Store, charges: list[Charge], pools: str = POOLS) -> Run:
    """The charges as a run in which the pools have given on what they take."""
    run = post(store, charges)
    text = f'[project]\nname = "books"\n{pools}'
    sharings, fresh = shared_out(store, parse_config(text), run.parts, {}, memory="500MB", progress=silent)
    return store.publish_run(replace(run, id=f"{run.id}s", config=text, sharings=tuple(sharings)), fresh)


def ask(store, run, name, period="2026-10", **options):
    """The answer of a report."""
    with open_run(store, run, Period.parse(period), **options) as asked:
        return SOCKET.load(name).answer(asked)


def table(answer, *keys, currency="USD"):
    """The rows and the total of one currency, by the keys of columns, as one would work them out by hand."""
    return [tuple(map(by_hand, row)) for row in exact(answer, *keys, currency=currency)]


def exact(answer, *keys, currency="USD"):
    """The same to the last digit."""
    (section,) = [each for each in answer.sections if each.currency == currency]
    places = [[column.key for column in section.columns].index(key) for key in keys]
    return [tuple(row[place] for place in places) for row in (*section.rows, section.total)]


def by_hand(cell):
    """Weights are rounded to 10^-14 of a pool."""
    return round(cell, 9) if isinstance(cell, Decimal) else cell


def in_quanta(amounts):
    """The exact sum of amounts, None as 0."""
    return sum(quanta(amount) for amount in amounts if amount is not None)
