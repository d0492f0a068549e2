"""One spelling for the columns of all forms of the AWS Cost and Usage Report: that of CUR 2.0.

Legacy CSV writes `lineItem/UnblendedCost`, Athena and CUR 2.0 `line_item_unblended_cost`.
"""

from __future__ import annotations

import re

_TAGS = ("resource_tags_", "resource_tags/", "resourcetags/")


def cur2_name(column: str) -> str:
    """The CUR 2.0 name of a delivered column.

    >>> cur2_name("savingsPlan/SavingsPlanARN"), cur2_name("product/servicecode"), cur2_name("line_item_usage_type")
    ('savings_plan_savings_plan_a_r_n', 'product_servicecode', 'line_item_usage_type')
    """
    if "/" not in column:
        return column.lower()
    words = (re.sub(r"([A-Z])", r"_\1", part).lower().lstrip("_") for part in column.split("/"))
    return "_".join(words)


def tag_key(column: str) -> str | None:
    """The tag key that a legacy column such as `resourceTags/user:team` holds, None for every other column.

    The prefix of user tags is taken off, AWS's own keeps its.

    >>> [tag_key(c) for c in ("resourceTags/user:team", "resource_tags_user_cost_center", "resourceTags/aws:createdBy")]
    ['team', 'cost_center', 'aws:createdBy']
    """
    for prefix in _TAGS:
        if column.lower().startswith(prefix):
            key = column[len(prefix) :]
            return re.sub(r"^user[:_]", "", key)
    return None
