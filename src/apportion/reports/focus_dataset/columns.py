"""The columns of the export, and how each is written in Parquet and in CSV.

JSON columns (`Tags`, `AllocatedTags`, `AllocatedMethodDetails`, …) are JSON *text* in both forms: FOCUS demands a JSON
object, Parquet readers disagree on maps, and text is what an import reads back to the same bytes.
"""

from __future__ import annotations

import pyarrow as pa

from apportion.core import focus
from apportion.core.focus import Kind, columns_of
from apportion.core.tables import AMOUNT, quoted
from apportion.errors import UnknownName

VERSIONS = ("1.3", "1.4")
"""The FOCUS versions that can be written: older ones have no columns for split charges."""

OWN = (
    "x_BusinessUnit",
    "x_Environment",
    "x_Evidence",
    "x_Model",
    "x_OriginChargeId",
    "x_OriginTeam",
    "x_Path",
    "x_PoolId",
    "x_PooledCostId",
    "x_Project",
    "x_ResourceGroupName",
    "x_RuleId",
    "x_Team",
)
"""Our columns, alphabetical, after the FOCUS ones.

`x_OriginChargeId` is `<snapshot>:<charge number>` of the charge that was billed: equal on all its pieces, and kept
through any number of exports and imports. It is null on what a pool gave on, which is of many charges: there
`x_PooledCostId` is equal on all rows of one cost, `x_PoolId` is the pool that took it, `x_Path` says through which it
went, `x_OriginTeam` whose it was. `x_Evidence` and `x_RuleId` are those of the team. `x_ResourceGroupName` is what
resource-group maps look at.
"""
OF_POOLS = ("x_OriginTeam", "x_Path", "x_PoolId", "x_PooledCostId")
"""Those of them that only rows of pools have."""

_TYPES = {
    Kind.DIMENSION: pa.string(),
    Kind.TIME: pa.timestamp("us", tz="UTC"),
    Kind.METRIC: pa.decimal128(38, 18),
    Kind.PRICE: pa.decimal128(38, 18),
}
_METADATA_TYPES = {Kind.DIMENSION: "STRING", Kind.TIME: "DATETIME", Kind.METRIC: "DECIMAL", Kind.PRICE: "DECIMAL"}
_JSON = frozenset(
    {
        "AllocatedMethodDetails",
        "AllocatedTags",
        "CommitmentProgramEligibilityDetails",
        "ContractApplied",
        "SkuPriceDetails",
        "Tags",
    }
)

_SECONDS, _FRACTIONS = "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"
_TEXT = {
    Kind.DIMENSION: "{name}",
    # no charge of a provider has fractions of a second; if one had, cutting them would change it
    Kind.TIME: f"CASE WHEN {{name}} = date_trunc('second', {{name}}) THEN strftime({{name}}, '{_SECONDS}') "
    f"ELSE strftime({{name}}, '{_FRACTIONS}') END",
    Kind.METRIC: "rtrim(rtrim(CAST({name} AS VARCHAR), '0'), '.')",
    Kind.PRICE: "rtrim(rtrim(CAST({name} AS VARCHAR), '0'), '.')",
}


def require_version(version: str) -> None:
    """Raise `UnknownName` for a version that cannot be written."""
    if version not in VERSIONS:
        raise UnknownName("FOCUS version to write", version, VERSIONS)


def schema(version: str) -> pa.Schema:
    """The Arrow schema of the Parquet form: FOCUS columns in specification order, then ours."""
    given = [(column.name, _TYPES[column.kind]) for column in columns_of(version)]
    return pa.schema([*given, *((name, pa.string()) for name in OWN)])


def text_schema(version: str) -> pa.Schema:
    """The Arrow schema of the CSV form: the same columns as text."""
    return pa.schema([(name, pa.string()) for name in schema(version).names])


def as_text(version: str) -> str:
    """SQL: the columns of the typed export as the text that CSV holds; times are bare UTC."""
    given = [f"{_TEXT[c.kind].format(name=quoted(c.name))} AS {quoted(c.name)}" for c in columns_of(version)]
    return ", ".join((*given, *OWN))


def typed(version: str) -> str:
    """SQL: the columns of the export from the aliases of `statements.ROWS`."""
    given = [f"{_typed(column)} AS {quoted(column.name)}" for column in columns_of(version)]
    return ", ".join((*given, *(f"{expression} AS {name}" for name, expression in _OWN.items())))


def definitions(version: str) -> list[dict[str, object]]:
    """The `ColumnDefinition` of the FOCUS schema metadata."""
    return [*(_definition(column.name, column.kind) for column in columns_of(version)), *(map(_own_definition, OWN))]


def not_null(version: str) -> tuple[str, ...]:
    """The columns in which FOCUS allows no null."""
    return tuple(column.name for column in columns_of(version) if not column.nullable)


def _typed(column: focus.FocusColumn) -> str:
    name = quoted(column.name)
    if column.name == "Tags":
        return TAGS
    if column.name in _ALLOCATED:
        # a charge that its provider had split already is passed on as it came
        return f"coalesce(a.{name}, r.{name})"
    if column.name.startswith("BillingPeriod") or column.kind is Kind.DIMENSION:
        return f"a.{name}"
    return f"p.{name}" if column.kind is Kind.METRIC else f"c.{name}"


_ALLOCATED = tuple(column.name for column in focus.COLUMNS if column.name.startswith("Allocated"))
TAGS = """CASE WHEN cardinality(a.Tags) > 0
    THEN CAST(to_json(map_from_entries(list_sort(map_entries(a.Tags)))) AS VARCHAR) END"""
"""SQL: the tags of a row of `attributes` as the text that is written."""

# What an earlier export said of its evidence stays true as long as the row has the owner it named then.
_KEPT = "CASE WHEN k.owner = {owner} THEN k.{{name}} END"
OWNERS = ("x_BusinessUnit", "x_Environment", "x_Model", "x_Project", "x_Team")
OWNER = "[" + ", ".join(f"{{alias}}.{name}" for name in OWNERS) + "]"
"""SQL: the owner of a row as one comparable value."""
_EARLIER = _KEPT.format(owner=OWNER.format(alias="p"))
_OWN = {
    **{name: f"p.{name}" for name in OWN if name in OWNERS},
    "x_Evidence": f"coalesce({_EARLIER.format(name='x_Evidence')}, p.x_TeamEvidence)",
    **{name: f"k.{name}" for name in OF_POOLS},
    "x_OriginChargeId": "coalesce(k.x_OriginChargeId,"
    " CASE WHEN k.x_PooledCostId IS NULL THEN $snapshot || ':' || p.x_ChargeNo END)",
    "x_ResourceGroupName": "a.x_ResourceGroup",
    "x_RuleId": f"coalesce({_EARLIER.format(name='x_RuleId')}, p.x_TeamRuleId)",
}
_OWN = {name: _OWN[name] for name in OWN}


def _definition(name: str, kind: Kind) -> dict[str, object]:
    if name in _JSON:
        return {"ColumnName": name, "DataType": "JSON", "StringEncoding": "UTF-8"}
    found: dict[str, object] = {"ColumnName": name, "DataType": _METADATA_TYPES[kind]}
    if _METADATA_TYPES[kind] == "DECIMAL":
        precision, scale = AMOUNT.removeprefix("DECIMAL(").removesuffix(")").split(",")
        return found | {"NumericPrecision": int(precision), "NumberScale": int(scale)}
    return found | ({"StringEncoding": "UTF-8"} if kind is Kind.DIMENSION else {})


def _own_definition(name: str) -> dict[str, object]:
    return _definition(name, Kind.DIMENSION)
