"""The form of `apportion.toml` as strangers write it: strict, nothing unknown, each value of the right type."""

from __future__ import annotations

from datetime import date  # noqa: TC003 - pydantic reads the annotations
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError


def _listed(value: Any) -> Any:  # noqa: ANN401 - whatever was written
    return [value] if isinstance(value, str) else value


def _named(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("blank", "a name is blank")
    return value


Name = Annotated[str, AfterValidator(_named)]
"""What owns a cost: never blank, since a blank owner could not be told from nobody."""
Texts = Annotated[list[Annotated[str, Field(min_length=1)]], BeforeValidator(_listed), Field(min_length=1)]
"""One text or a list of texts."""
Dimension = Literal["team", "project", "model", "environment"]
Owner = Annotated[dict[Dimension, Name], Field(min_length=1)]


class Strict(BaseModel):
    """Nothing is converted and nothing unknown is let through."""

    model_config = ConfigDict(strict=True, extra="forbid")


class ProjectForm(Strict):
    """`[project]`."""

    name: Annotated[str, Field(min_length=1)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    state: Annotated[str, Field(min_length=1)] = ".apportion"


class SourceForm(Strict):
    """One `[[sources]]`."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    kind: str
    paths: Texts = []
    delivery: Literal["overwrite", "append"] = "overwrite"
    options: dict[str, str | int | bool | list[str]] = {}


class CaseForm(Strict):
    """One `[[tags.policy.cases]]`."""

    when: Annotated[dict[Dimension, Texts], Field(min_length=1)]
    required: list[Dimension]


class PolicyForm(Strict):
    """`[tags.policy]`."""

    required: list[Dimension] = []
    ignore: list[str] = []
    allowed: dict[Dimension, Texts] = {}
    cases: list[CaseForm] = []


class TagsForm(Strict):
    """`[tags]`."""

    keys: dict[Dimension, Texts] = {}
    values: dict[Dimension, dict[str, Name]] = {}
    policy: PolicyForm = PolicyForm()


class ShareForm(Strict):
    """One entry of a rule's `split`; the weight, for method `fixed`, is a whole number or a decimal as text."""

    weight: Annotated[int, Field(gt=0)] | Annotated[str, Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,12})?$")] | None = None
    team: Name | None = None
    project: Name | None = None
    model: Name | None = None
    environment: Name | None = None

    @property
    def owner(self) -> dict[str, str]:
        """What the receiver sets, by dimension."""
        given = {"team": self.team, "project": self.project, "model": self.model, "environment": self.environment}
        return {dimension: value for dimension, value in given.items() if value is not None}


class RuleForm(Strict):
    """One `[[rules]]`; the fields of `when` are checked by `config_file`."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    when: Annotated[dict[str, Any], Field(min_length=1)]
    valid_from: date | None = None
    valid_until: date | None = None
    override: bool = False
    method: str = "fixed"
    set: Owner | None = None
    split: Annotated[list[ShareForm], Field(min_length=1)] | None = None


class HierarchyForm(Strict):
    """`[hierarchy]`."""

    teams: dict[str, Name] = {}
    models: dict[str, dict[Literal["team", "project"], Name]] = {}


class MapsForm(Strict):
    """`[maps]`."""

    accounts: dict[str, Owner] = {}
    resource_groups: dict[str, Owner] = {}


Weight = Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$")] | Annotated[int, Field(ge=0, lt=10**9)]
"""A whole number, or a decimal as text with at most six digits after the point."""


class WeightsForm(Strict):
    """One `[metering.weight_sets.<name>]` or `[metering.machine_weights.<type>]`."""

    gpu: Weight
    cpu: Weight
    memory: Weight
    source: Annotated[str, Field(min_length=1)]


class MachineForm(Strict):
    """One `[metering.machines.<type>]`."""

    gpus: Annotated[int, Field(ge=0)] = 0
    cpu_cores: Annotated[int, Field(gt=0)]
    memory_gib: Annotated[int, Field(gt=0)]


class TokensForm(Strict):
    """`[metering.tokens]`."""

    input: Weight = 1
    cached: Weight = "0.1"
    cache_write: Weight = "1.25"
    output: Weight = 5


class MeteringForm(Strict):
    """`[metering]`."""

    basis: Literal["max", "requested", "used"] = "max"
    idle: Literal["keep", "owner", "workloads"] = "keep"
    weights: Name = "opencost"
    weight_sets: dict[str, WeightsForm] = {}
    machine_weights: dict[str, WeightsForm] = {}
    machines: dict[str, MachineForm] = {}
    tokens: TokensForm = TokensForm()
    nodes: dict[str, Name] = {}


class ToPoolForm(Strict):
    """One entry of a pool's `to_pools`: another pool that takes part beside the receivers."""

    pool: Annotated[str, Field(min_length=1)]
    weight: Weight | None = None


class TierForm(Strict):
    """One entry of a pool's `tiers`: what a unit weighs up to a quantity."""

    up_to: Weight | None = None
    rate: Weight


class PoolForm(Strict):
    """One `[[pools]]`; what its conditions, basis and method say is checked by `config_pools`."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    use: str | None = None
    when: Annotated[dict[str, Any], Field(min_length=1)]
    stage: Annotated[int, Field(ge=1, le=99)] = 1
    method: str = "proportional_cost"
    basis: str = ""
    basis_when: dict[str, Any] = {}
    with_shared: bool = False
    within: Annotated[list[str], BeforeValidator(_listed)] = []
    time: Literal["month", "day", "hour"] = "month"
    grain: Literal["business_unit", "team", "project", "model", "job"] = "model"
    receivers: dict[str, Any] = {}
    split: Annotated[list[ShareForm], Field(min_length=1)] | None = None
    to_pools: list[ToPoolForm] = []
    reciprocal: bool = False
    table: str = ""
    tiers: list[TierForm] = []
    leftover: Literal["keep", "wider", "even"] | Owner = "keep"


class ConfigForm(Strict):
    """The whole document."""

    project: ProjectForm
    sources: list[SourceForm] = []
    tags: TagsForm = TagsForm()
    rules: list[RuleForm] = []
    hierarchy: HierarchyForm = HierarchyForm()
    maps: MapsForm = MapsForm()
    metering: MeteringForm = MeteringForm()
    pools: list[PoolForm] = []
