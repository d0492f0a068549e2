"""A generated FOCUS 1.2 bill of any size: hourly rows of a company with many resources, written as Parquet and CSV."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

# 6 teams, of which a fifth of the resources say nothing, 48 services, 12 accounts.
BILL = """
SELECT
    CAST(hash(i) % 100000000 AS DECIMAL(18,0)) * CAST(0.00000001 AS DECIMAL(18,8)) AS BilledCost,
    'payer-1' AS BillingAccountId,
    'Payer' AS BillingAccountName,
    'USD' AS BillingCurrency,
    TIMESTAMP '2026-11-01' AS BillingPeriodEnd,
    TIMESTAMP '2026-10-01' AS BillingPeriodStart,
    'Usage' AS ChargeCategory,
    CAST(NULL AS VARCHAR) AS ChargeClass,
    'Hours of ' || (r % 48) AS ChargeDescription,
    'Usage-Based' AS ChargeFrequency,
    TIMESTAMP '2026-10-01' + INTERVAL 1 HOUR * (i // resources % 744 + 1) AS ChargePeriodEnd,
    TIMESTAMP '2026-10-01' + INTERVAL 1 HOUR * (i // resources % 744) AS ChargePeriodStart,
    CAST(hash(i + 1) % 1000 AS DECIMAL(18,0)) * CAST(0.001 AS DECIMAL(18,3)) AS ConsumedQuantity,
    'Hours' AS ConsumedUnit,
    CAST(hash(i) % 100000000 AS DECIMAL(18,0)) * CAST(0.00000001 AS DECIMAL(18,8)) AS ContractedCost,
    CAST(hash(i) % 90000000 AS DECIMAL(18,0)) * CAST(0.00000001 AS DECIMAL(18,8)) AS EffectiveCost,
    'Cloud Inc.' AS InvoiceIssuerName,
    CAST(hash(i) % 110000000 AS DECIMAL(18,0)) * CAST(0.00000001 AS DECIMAL(18,8)) AS ListCost,
    CAST(hash(i + 1) % 1000 AS DECIMAL(18,0)) * CAST(0.001 AS DECIMAL(18,3)) AS PricingQuantity,
    'Hours' AS PricingUnit,
    'AWS' AS ProviderName,
    'AWS' AS PublisherName,
    'us-east-1' AS RegionId,
    'arn:aws:ec2:us-east-1:' || (r % 12) || ':instance/i-' || r AS ResourceId,
    'node-' || r AS ResourceName,
    'Instance' AS ResourceType,
    'Compute' AS ServiceCategory,
    'Service ' || (r % 48) AS ServiceName,
    'Virtual Machines' AS ServiceSubcategory,
    'SKU' || (r % 300) AS SkuId,
    'SKU' || (r % 300) || '.JRTC' AS SkuPriceId,
    CAST(100000000000 + r % 12 AS VARCHAR) AS SubAccountId,
    'account ' || (r % 12) AS SubAccountName,
    CASE WHEN r % 5 = 0 THEN '{"env": "prod"}'
         ELSE '{"team": "team-' || (r % 6) || '", "model": "model-' || (r % 40) || '", "env": "prod"}' END AS Tags
FROM (SELECT i, i % $resources AS r, $resources AS resources FROM range($rows) AS t(i))
"""


def paths(folder: Path, rows: int) -> tuple[Path, Path]:
    """Where the bill of that many rows lies: as Parquet and as CSV."""
    return folder / f"bill-{rows}.parquet", folder / f"bill-{rows}.csv"


def write(folder: Path, rows: int) -> None:
    """Write the bill as Parquet and as CSV; kept from an earlier call with as many rows."""
    parquet, csv = paths(folder, rows)
    folder.mkdir(parents=True, exist_ok=True)
    if csv.exists():
        return
    with duckdb.connect() as db:
        db.execute("SET memory_limit = '2GB'")
        sql = BILL.replace("$resources", str(max(rows // 500, 50))).replace("$rows", str(rows))
        db.execute(f"COPY ({sql}) TO '{parquet}' (FORMAT parquet, COMPRESSION zstd)")
        db.execute(
            f"COPY (FROM '{parquet}') TO '{csv}.part' (FORMAT csv, HEADER, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%SZ')"
        )
    Path(f"{csv}.part").rename(csv)


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
