"""What `apportion.toml` says, typed and validated; `config_file` reads it.

Rules and maps carry a version: the first eight hex digits of the SHA-256 of their canonical content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

Owner = Mapping[str, str]
"""Dimension (`team`, `project`, `model`, `environment`) -> value, in canonical spelling."""


def version_of(content: object) -> str:
    """The version of a rule or map: a hash of its content, independent of key order.

    >>> version_of({"a": 1, "b": [2]}) == version_of({"b": [2], "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


ASKED = frozenset({"url", "context"})
"""Options of a source that name an API to ask: with one of them it needs no paths."""


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One `[[sources]]` entry. `delivery`: `overwrite` (a new delivery of a month replaces it) or `append`."""

    id: str
    kind: str
    paths: tuple[str, ...]
    delivery: str = "overwrite"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicyCase:
    """Keys that are also required where every `when` dimension has one of its values."""

    when: Mapping[str, tuple[str, ...]]
    required: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TagPolicy:
    """`required` and `allowed` name dimensions, not raw tag keys."""

    required: tuple[str, ...] = ()
    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cases: tuple[PolicyCase, ...] = ()
    ignore: tuple[str, ...] = ()
    """Tag keys that are no owner's work (glob patterns), beside the built-in list of system tags."""


@dataclass(frozen=True, slots=True)
class TagConfig:
    """`keys`: dimension -> tag keys in order of preference; `values`: dimension -> spelling -> canonical value."""

    keys: Mapping[str, tuple[str, ...]]
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    policy: TagPolicy = TagPolicy()


@dataclass(frozen=True, slots=True)
class Condition:
    """All given parts must hold. `equals`: field -> any of these values; `matches`: field -> RE2 pattern found in it.

    Fields: provider, service, account, account_name, resource_id, resource_name, resource_type, resource_group, region,
    sku, sku_meter, charge_category, charge_description. `tags` / `tags_match` do the same for raw tag keys.
    """

    equals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    matches: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tags_match: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuleShare:
    """One receiver of a split: its weight (whole parts of the rule's total) and what it sets."""

    weight: int
    owner: Owner


@dataclass(frozen=True, slots=True)
class Rule:
    """A virtual-tag rule: where `when` holds and the charge starts in [valid_from, valid_until), the shares own it.

    One share = a plain assignment. For each dimension the first rule (in file order) that sets it decides, and only
    where the resource's own tags say nothing about it, unless `override` is set. `method` weighs the shares.
    """

    id: str
    when: Condition
    shares: tuple[RuleShare, ...]
    valid_from: date | None = None
    valid_until: date | None = None
    override: bool = False
    method: str = "fixed"
    version: str = ""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """`teams`: team -> business unit; `models`: model -> what the owner of that model is (team, project)."""

    teams: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, Owner] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Maps:
    """`accounts`: sub account (or billing account) id -> owner; `resource_groups`: x_ResourceGroup -> owner."""

    accounts: Mapping[str, Owner] = field(default_factory=dict)
    resource_groups: Mapping[str, Owner] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ComponentWeights:
    """What a GPU-hour, a core-hour and a GiB-hour of memory weigh against each other, in millionths; `source` says why.

    Only their ratios count: a machine's cost is the bill's, the weights divide it into components.
    """

    gpu: int
    cpu: int
    memory: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class MachineSize:
    """What a machine has; memory in bytes."""

    gpus: int
    cpu_cores: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class TokenWeights:
    """What one token weighs by kind, in millionths of an uncached input token's usual weight of one million."""

    input: int = 1_000_000
    cached: int = 100_000
    cache_write: int = 1_250_000
    output: int = 5_000_000


@dataclass(frozen=True, slots=True)
class MeteringConfig:
    """`[metering]`: how measured use divides a resource's cost.

    `basis`: `max` (the larger of requested and used), `requested` or `used`. `idle`: `keep` (its own target), `owner`
    (whom tags and rules name for the resource) or `workloads` (spread over those that used it). `weights` names a set
    of `weight_sets` or a shipped one; `machine_weights` and `machines` are per instance type; `nodes`: name of a node
    -> id of the resource in the bill.
    """

    basis: str = "max"
    idle: str = "keep"
    weights: str = "opencost"
    weight_sets: Mapping[str, ComponentWeights] = field(default_factory=dict)
    machine_weights: Mapping[str, ComponentWeights] = field(default_factory=dict)
    machines: Mapping[str, MachineSize] = field(default_factory=dict)
    tokens: TokenWeights = TokenWeights()
    nodes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowChoice:
    """Rows of `allocations`: what the charge says (`charge`) and whose it is. All given parts must hold.

    `equals`: target dimension, `kind` (a `core.measures.WorkloadKind`) or `job` -> any of these values, without regard
    to case; `matches`: the same fields -> RE2 pattern found in it.
    """

    charge: Condition = Condition()
    equals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    matches: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PoolShare:
    """A named receiver of a pool: an owner, or another pool (`pool` is its id, then `owner` is empty)."""

    weight: int
    owner: Owner = field(default_factory=dict)
    pool: str = ""


@dataclass(frozen=True, slots=True)
class Tier:
    """What a unit weighs up to a quantity, in millionths; `up_to` None: without end. Quantities in millionths too."""

    up_to: int | None
    rate: int


@dataclass(frozen=True, slots=True)
class TableRow:
    """A line of a table of weights: whom, in which month or day (None: always), and what it weighs, in millionths."""

    owner: Owner
    since: date | None
    until: date | None
    weight: int


@dataclass(frozen=True, slots=True)
class Pool:
    """`[[pools]]`: a shared cost and how it is given out. See docs/how-to/share-costs.md.

    `when`: the rows it takes. `method` weighs the receivers by `basis` (a cost metric, a measure, or nothing), counted
    over rows of `basis_when`, within equal values of `within` and in each `time` (month, day, hour). Receivers are all
    owners of `receivers` at `grain`, or those of `split`; `to_pools` are pools that take part beside them. `leftover`
    says what happens where nobody has the basis: `keep`, `wider` (the last of `within` is dropped), `even`, `owner`.
    `with_shared`: the cost that weighs has in it what earlier stages gave.
    """

    id: str
    when: RowChoice
    stage: int = 1
    method: str = "proportional_cost"
    basis: str = ""
    basis_when: Condition = Condition()
    with_shared: bool = False
    within: tuple[str, ...] = ()
    time: str = "month"
    grain: str = "model"
    receivers: RowChoice = RowChoice()
    split: tuple[PoolShare, ...] = ()
    to_pools: tuple[PoolShare, ...] = ()
    reciprocal: bool = False
    table: str = ""
    table_rows: tuple[TableRow, ...] = ()
    tiers: tuple[Tier, ...] = ()
    leftover: str = "keep"
    leftover_owner: Owner = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """All of `apportion.toml`. `currency` is shown first; amounts of other currencies are never added to it."""

    name: str
    currency: str
    state: str
    sources: tuple[SourceConfig, ...]
    tags: TagConfig
    rules: tuple[Rule, ...] = ()
    hierarchy: Hierarchy = Hierarchy()
    maps: Maps = Maps()
    metering: MeteringConfig = MeteringConfig()
    pools: tuple[Pool, ...] = ()

    @property
    def pools_version(self) -> str:
        """The version of everything that decides how shared costs are given out."""
        return version_of([each.version for each in self.pools])

    @property
    def metering_version(self) -> str:
        """The version of everything that decides how measured use divides a resource."""
        return version_of(repr(self.metering))

    @property
    def ownership_version(self) -> str:
        """The version of everything that decides who owns a charge (not the sources)."""
        return version_of([repr(self.tags), repr(self.rules), repr(self.hierarchy), repr(self.maps)])
