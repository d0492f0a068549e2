"""What a rule or a pool gives its method and that method cannot weigh is refused, with line and fix."""

from __future__ import annotations

import pytest

from apportion.app.project import read_config
from apportion.core.config import TableRow
from apportion.errors import ConfigError

POOL = '[project]\nname = "a"\n[[pools]]\nid = "p"\nwhen = { team = "shared" }\n'
RULE = '[project]\nname = "a"\n[[rules]]\nid = "r"\nwhen = { service = "S3" }\n'
FAULTS = [
    (
        RULE + 'method = "peak"\nsplit = [{ team = "a" }, { team = "b" }]\n',
        ":6: rules[1].method: a rule has nothing that can be counted. Use fixed or even here, or a pool",
    ),
    (POOL + 'method = "evn"\n', ":6: pools[1].method: 'evn' is not known here. Did you mean 'even'?"),
    (POOL + 'method = "table"\n', "pools[1].table: a table and the method table belong together."),
    (POOL + 'method = "even"\ntable = "a.csv"\n', ":7: pools[1].table: a table and the method table belong together."),
    (POOL + 'method = "table"\ntable = "a.csv"\nwithin = "account"\n', ":8: pools[1].within: the lines of a table are"),
    (POOL + 'split = [{ team = "a" }]\n', ":6: pools[1].split: proportional_cost finds its receivers itself."),
    (
        POOL + 'method = "even"\nsplit = [{ team = "a" }]\nwithin = "account"\n',
        ":7: pools[1].split: named receivers are the same everywhere.",
    ),
    (POOL + 'method = "even"\nbasis = "requests"\n', ":7: pools[1].basis: even counts nothing. Leave the basis out."),
    (POOL + 'basis = "requests"\n', ":6: pools[1].basis: 'requests' is no cost. Known: BilledCost, EffectiveCost"),
    (POOL + 'method = "peak"\nbasis = "ListCost"\n', ":7: pools[1].basis: peak needs a measure. Known: gpu_seconds"),
    (
        POOL + 'method = "peak"\nbasis = "requests"\nwithin = ["invoice", "service"]\n',
        ":8: pools[1].within: meters do not know the invoice, service of what was used.",
    ),
    (
        POOL + 'method = "even"\nbasis_when = { service = "S3" }\n',
        ":7: pools[1].basis_when: even counts no cost. Leave basis_when out.",
    ),
    (
        POOL + 'method = "peak"\nbasis = "requests"\nreceivers = { service = "S3" }\n',
        ":8: pools[1].receivers: what was used has no charge to ask for. Ask for team, project",
    ),
    (
        POOL + 'with_shared = true\nwithin = "cluster"\n',
        ":6: pools[1].with_shared: what earlier pools gave has no such basis. Use it with proportional_cost",
    ),
]


@pytest.mark.parametrize(("text", "said"), FAULTS)
def test_each_fault_names_line_key_and_the_fix(tmp_path, text, said):
    (tmp_path / "apportion.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config(tmp_path)
    assert said in str(caught.value)


TABLE = POOL + 'method = "table"\ntable = "seats.csv"\n'


def read_table(folder, lines):
    (folder / "apportion.toml").write_text(TABLE, "utf-8")
    (folder / "seats.csv").write_text(lines, "utf-8")
    config, _ = read_config(folder)
    return config.pools[0]


def test_a_table_beside_the_configuration_becomes_lines_of_weights(tmp_path):
    pool = read_table(tmp_path, "team,model,month,weight\nads,,2026-10,12\nsearch,ranker,,0.5\n")
    assert [(dict(row.owner), str(row.since), str(row.until), row.weight) for row in pool.table_rows] == [
        ({"team": "ads"}, "2026-10-01", "2026-11-01", 12_000_000),
        ({"team": "search", "model": "ranker"}, "None", "None", 500_000),
    ]
    assert isinstance(pool.table_rows[0], TableRow)
    other = read_table(tmp_path, "team,model,month,weight\nads,,2026-10,13\nsearch,ranker,,0.5\n")
    assert pool.version != other.version


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("team,seats\nads,1\n", "seats.csv:1: table: the columns are team, seats. Needed: weight and at least one"),
        ("weight\n1\n", "seats.csv:1: table: the columns are weight."),
        ("team,weight\nads,1\nsearch,1e3\n", "seats.csv:3: table: '1e3' is no weight."),
        ("team,weight\nads,-1\n", "seats.csv:2: table: '-1' is no weight."),
        ("team,weight\n,1\n", "seats.csv:2: table: the line names nobody."),
        ("team,weight\nads\n", "seats.csv:2: table: the line has not as many cells as the first."),
        ("team,month,weight\nads,2026-13,1\n", "seats.csv:2: table: '2026-13' is no month."),
        ("team,month,day,weight\nads,2026-10,2026-11-01,1\n", "seats.csv:2: table: the line has a month and a day."),
        ("team,weight\nIdle,1\n", "seats.csv:2: table: 'Idle' is a name of Apportion's own."),
        ("team,month,weight\nads,0000-12,1\n", "seats.csv:2: table: '0000-12' is no month."),
        ("team,day,weight\nads,9999-12-31,1\n", "seats.csv:2: table: '9999-12-31' is no day."),
        ("team,day,weight\nads,2026-02-30,1\n", "seats.csv:2: table: '2026-02-30' is no day."),
    ],
)
def test_each_fault_of_a_table_names_its_line(tmp_path, lines, said):
    with pytest.raises(ConfigError) as caught:
        read_table(tmp_path, lines)
    assert said in str(caught.value)


def test_a_table_that_is_not_there_is_named(tmp_path):
    (tmp_path / "apportion.toml").write_text(TABLE, "utf-8")
    with pytest.raises(ConfigError, match=r"seats\.csv: pools\.p\.table: cannot be read\. Name a CSV file"):
        read_config(tmp_path)
