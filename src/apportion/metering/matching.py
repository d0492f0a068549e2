"""Which metered resource a charge is for: the join from the bill to the meters.

Per text of a charge the first level with a match decides:

1. the id of the resource, without regard to case;
2. the last part of the ids (of an ARN, a URL, a path): instance ids, volume ids, names of jobs and endpoints;
3. the resource's name in the bill is the meter's name of it (a node);
4. no resource in the bill: the sub account is the meter's account (a project or workspace of a model API).

A text that matches several resources on its level belongs to none: it is listed as ambiguous, nothing is guessed.
"""

from __future__ import annotations

_LAST = r"regexp_extract({column}, '[^/:]+$')"

MATCHES = f"""
CREATE OR REPLACE TEMP TABLE matches AS
WITH billed AS (
    SELECT x_AttributeNo, lower(ResourceId) AS id, lower(ResourceName) AS name,
           CASE WHEN ResourceId IS NULL THEN lower(SubAccountId) END AS account
    FROM attributes
),
billed_keys AS (
    SELECT x_AttributeNo, 1 AS level, id AS key FROM billed WHERE id <> ''
    UNION ALL
    SELECT x_AttributeNo, 2, {_LAST.format(column="id")} FROM billed WHERE id <> ''
    UNION ALL
    SELECT x_AttributeNo, 3, name FROM billed WHERE name <> ''
    UNION ALL
    SELECT x_AttributeNo, 4, account FROM billed WHERE account <> ''
),
named AS (
    SELECT x_ResourceNo, lower(r.x_MeteredId) AS id, lower(r.x_Node) AS node,
           CASE WHEN r.x_MeteredId IS NULL AND r.x_Node IS NULL THEN lower(r.x_Account) END AS account
    FROM resources AS r
    WHERE r.x_Family IS NOT NULL
),
metered_keys AS (
    SELECT x_ResourceNo, 1 AS level, id AS key FROM named WHERE id <> ''
    UNION
    SELECT x_ResourceNo, 2, {_LAST.format(column="id")} FROM named WHERE id <> ''
    UNION
    SELECT x_ResourceNo, 2, node FROM named WHERE node <> ''
    UNION
    SELECT x_ResourceNo, 3, coalesce(node, id) FROM named WHERE coalesce(node, id) <> ''
    UNION
    SELECT x_ResourceNo, 4, account FROM named WHERE account <> ''
),
found AS (
    SELECT DISTINCT b.x_AttributeNo, b.level, m.x_ResourceNo
    FROM billed_keys AS b
    JOIN metered_keys AS m ON m.level = b.level AND m.key = b.key
    WHERE b.key <> ''
),
first_level AS (
    SELECT *, min(level) OVER (PARTITION BY x_AttributeNo) AS best FROM found
)
SELECT x_AttributeNo, level, count(*) AS candidates, min(x_ResourceNo) AS x_ResourceNo
FROM first_level
WHERE level = best
GROUP BY x_AttributeNo, level
"""
"""`matches`: attribute row -> level, number of resources that match on it, and the resource (if it is one).

Reads `attributes` and `resources`.
"""
