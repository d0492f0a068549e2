"""The first schema: snapshots, what replaced what, problems, parts, runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

TABLES = (
    "snapshots",
    "snapshot_files",
    "snapshot_stored",
    "current_snapshots",
    "deliveries",
    "restatements",
    "restatement_lines",
    "problems",
    "parts",
    "part_stored",
    "runs",
    "run_parts",
    "run_problems",
    "current_run",
)
"""In the order of creation: each refers only to those before it."""


def upgrade() -> None:
    """Create all tables."""
    _snapshots()
    _deliveries()
    _restatements_and_problems()
    _parts()
    _runs()


def _snapshots() -> None:
    op.create_table(
        "snapshots",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("billing_account_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("rows", COUNT, nullable=False),
        sa.Column("rejected", COUNT, nullable=False),
        sa.Column("totals", sa.Text(), nullable=False),
        sa.Column("manifest_sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
    )
    op.create_table(
        "snapshot_files",
        sa.Column("snapshot_id", sa.Text(), nullable=False),
        sa.Column("no", COUNT, nullable=False, autoincrement=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", COUNT, nullable=False),
        sa.Column("rows", COUNT, nullable=False),
        sa.PrimaryKeyConstraint("snapshot_id", "no"),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"]),
        sqlite_strict=True,
    )
    op.create_table(
        "snapshot_stored",
        sa.Column("snapshot_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", COUNT, nullable=False),
        sa.Column("rows", COUNT, nullable=False),
        sa.PrimaryKeyConstraint("snapshot_id", "name"),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"]),
        sqlite_strict=True,
    )


def _deliveries() -> None:
    op.create_table(
        "current_snapshots",
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("billing_account_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("snapshot_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source_id", "billing_account_id", "period", "part"),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"]),
        sa.UniqueConstraint("snapshot_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "deliveries",
        sa.Column("no", COUNT, nullable=False),
        sa.Column("snapshot_id", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("no"),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"]),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_deliveries_snapshot_id"), "deliveries", ["snapshot_id"])


def _restatements_and_problems() -> None:
    op.create_table(
        "restatements",
        sa.Column("no", COUNT, nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("billing_account_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("old_snapshot", sa.Text(), nullable=False),
        sa.Column("new_snapshot", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("no"),
        sa.ForeignKeyConstraint(["new_snapshot"], ["snapshots.id"]),
        sa.ForeignKeyConstraint(["old_snapshot"], ["snapshots.id"]),
        sqlite_strict=True,
    )
    op.create_table(
        "restatement_lines",
        sa.Column("restatement_no", COUNT, nullable=False),
        sa.Column("no", COUNT, nullable=False, autoincrement=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("sub_account", sa.Text(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("restatement_no", "no"),
        sa.ForeignKeyConstraint(["restatement_no"], ["restatements.no"]),
        sqlite_strict=True,
    )
    op.create_table(
        "problems",
        sa.Column("no", COUNT, nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("snapshot_id", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.Column("column", sa.Text(), nullable=False),
        sa.Column("example", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("fix", sa.Text(), nullable=False),
        sa.Column("row_count", COUNT, nullable=False),
        sa.Column("amount", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("no"),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"]),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_problems_snapshot_id"), "problems", ["snapshot_id"])
    op.create_index(op.f("ix_problems_source_id"), "problems", ["source_id"])


def _parts() -> None:
    op.create_table(
        "parts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("snapshot_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("totals", sa.Text(), nullable=False),
        sa.Column("manifest_sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"]),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_parts_snapshot_id"), "parts", ["snapshot_id"])
    op.create_table(
        "part_stored",
        sa.Column("part_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", COUNT, nullable=False),
        sa.Column("rows", COUNT, nullable=False),
        sa.PrimaryKeyConstraint("part_id", "name"),
        sa.ForeignKeyConstraint(["part_id"], ["parts.id"]),
        sqlite_strict=True,
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("no", COUNT, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("app_version", sa.Text(), nullable=False),
        sa.Column("ownership_version", sa.Text(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("totals_in", sa.Text(), nullable=False),
        sa.Column("totals_out", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("no"),
        sa.UniqueConstraint("id"),
        sqlite_strict=True,
    )
    op.create_table(
        "run_parts",
        sa.Column("run_no", COUNT, nullable=False),
        sa.Column("no", COUNT, nullable=False, autoincrement=False),
        sa.Column("part_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_no", "no"),
        sa.ForeignKeyConstraint(["part_id"], ["parts.id"]),
        sa.ForeignKeyConstraint(["run_no"], ["runs.no"]),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_run_parts_part_id"), "run_parts", ["part_id"])
    op.create_table(
        "run_problems",
        sa.Column("run_no", COUNT, nullable=False),
        sa.Column("no", COUNT, nullable=False, autoincrement=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.Column("column", sa.Text(), nullable=False),
        sa.Column("example", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("fix", sa.Text(), nullable=False),
        sa.Column("row_count", COUNT, nullable=False),
        sa.Column("amount", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_no", "no"),
        sa.ForeignKeyConstraint(["run_no"], ["runs.no"]),
        sqlite_strict=True,
    )
    op.create_table(
        "current_run",
        sa.Column("one", COUNT, nullable=False, autoincrement=False),
        sa.Column("run_no", COUNT, nullable=False),
        sa.PrimaryKeyConstraint("one"),
        sa.ForeignKeyConstraint(["run_no"], ["runs.no"]),
        sa.CheckConstraint("one = 1", name="single"),
        sqlite_strict=True,
    )


def downgrade() -> None:
    """Drop all tables, and with them everything the catalogue knows."""
    for name in reversed(TABLES):
        op.drop_table(name)
