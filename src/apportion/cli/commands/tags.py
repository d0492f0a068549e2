"""`apportion tags`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from apportion import app
from apportion.cli import options
from apportion.cli.sheet import Cell, Column, Kind, Section, Sheet
from apportion.core.money import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apportion.cli.main import Settings
    from apportion.tagging.coverage import Coverage
    from apportion.tagging.plan_check import PlanFinding
    from apportion.tagging.policy import Breach
    from apportion.tagging.variants import Use, Variants
    from apportion.tagging.worklist import Worklist

DIMENSIONS = ("team", "project", "model", "environment")


@click.group("tags", short_help="Coverage, what to tag, spellings, plans.")
def command() -> None:
    """Show tag coverage, what to tag first and spellings to merge; check plans against the policy.

    \b
    Example:
      apportion tags worklist --dimension team
    """


@command.command("coverage")
@options.period
@options.output
@click.pass_obj
def coverage(settings: Settings, period: str | None, form: str | None, *, as_json: bool) -> None:
    """Show how much of the bill is tagged, and how much is known in any way.

    By dimension, provider and currency; in charges and in money: the sum of the absolute BilledCost of each group of
    charges that share their text and owners. Known is what is not unallocated: by tag, split, rule or map.

    \b
    Example:
      apportion tags coverage --period 2026-10
    """
    with app.open_project(settings.project) as project:
        found = app.tags_coverage(project, period=options.parsed_period(period))
    options.show(_coverage_sheet(found), form, as_json=as_json)


def _coverage_sheet(found: Sequence[Coverage]) -> Sheet:
    columns = (
        Column("dimension", "Dimension"),
        Column("provider", "Provider"),
        Column("currency", "Currency"),
        Column("charges", "Charges", Kind.COUNT),
        Column("money", "Money", Kind.MONEY),
        Column("tagged_money", "Tagged", Kind.MONEY, detail=True),
        Column("tagged", "Tagged", Kind.SHARE),
        Column("tagged_charges", "Tagged charges", Kind.COUNT),
        Column("known_money", "Known", Kind.MONEY, detail=True),
        Column("known", "Known", Kind.SHARE),
        Column("known_charges", "Known charges", Kind.COUNT),
    )
    rows = [
        (
            c.dimension,
            c.provider,
            c.currency,
            c.all.charges,
            c.all.size,
            c.tagged.size,
            c.tagged_share,
            c.tagged.charges,
            c.known.size,
            c.known_share,
            c.known.charges,
        )
        for c in found
    ]
    return Sheet("tags-coverage", "Tag coverage", (Section(columns, rows),))


@command.command("worklist")
@click.option("--dimension", type=click.Choice(DIMENSIONS), help="Only this dimension.")
@click.option("--limit", type=click.IntRange(1, 1000), default=12, show_default=True, help="Resources per list.")
@options.period
@options.output
@click.pass_obj
def worklist(
    settings: Settings, dimension: str | None, limit: int, period: str | None, form: str | None, *, as_json: bool
) -> None:
    """List the resources to tag first, ranked by money, with the coverage that tagging them reaches.

    \b
    Example:
      apportion tags worklist --dimension team --limit 20
    """
    with app.open_project(settings.project) as project:
        found = app.tags_worklist(project, dimension=dimension, period=options.parsed_period(period), limit=limit)
    options.show(_worklist_sheet(found), form, as_json=as_json)


def _worklist_sheet(found: Sequence[Worklist]) -> Sheet:
    columns = (
        Column("dimension", "Dimension", detail=True),
        Column("provider", "Provider"),
        Column("account", "Account"),
        Column("service", "Service"),
        Column("resource_name", "Resource"),
        Column("resource_id", "Id", detail=True),
        Column("charges", "Charges", Kind.COUNT),
        Column("open", "Not known", Kind.MONEY),
        Column("coverage", "Coverage then", Kind.SHARE),
    )
    sections = tuple(
        Section(
            columns,
            [
                (
                    each.dimension,
                    i.provider,
                    i.account,
                    i.service,
                    i.resource_name or i.resource_id,
                    i.resource_id,
                    i.charges,
                    i.open,
                    i.coverage,
                )
                for i in each.items
            ],
            title=each.headline(),
            label_key="currency",
            label=each.currency,
        )
        for each in found
    )
    notes = tuple(
        f"{each.currency} {plain(each.untaggable)} without {each.dimension} belongs to no resource "
        "(tax, support, fees): a rule or an account map can own it, a tag cannot."
        for each in found
        if each.untaggable
    )
    return Sheet("tags-worklist", "What to tag first", sections, notes=notes)


@command.command("variants")
@options.period
@options.output
@click.pass_obj
def variants(settings: Settings, period: str | None, form: str | None, *, as_json: bool) -> None:
    """List spellings of one value or one key that should be made one, each with the line for apportion.toml.

    Nothing is merged by itself: names that only look alike can be different teams.

    \b
    Example:
      apportion tags variants
    """
    with app.open_project(settings.project) as project:
        found = app.tags_variants(project, period=options.parsed_period(period))
    options.show(_variants_sheet(found), form, as_json=as_json)


def _variants_sheet(found: Variants) -> Sheet:
    columns = (
        Column("dimension", "Dimension"),
        Column("spelling", "Spelling"),
        Column("into", "Means perhaps"),
        Column("why", "Why"),
        Column("charges", "Charges", Kind.COUNT),
        Column("money", "BilledCost"),
        Column("toml", "Line for apportion.toml"),
    )
    values: list[tuple[Cell, ...]] = [
        (v.dimension, ", ".join(v.spellings), v.into, v.why, v.use.charges, _money(v.use), v.toml) for v in found.values
    ]
    keys: list[tuple[Cell, ...]] = [
        (k.dimension, k.key, k.like, k.why, k.use.charges, _money(k.use), k.toml) for k in found.keys
    ]
    sections = (Section(columns, values, title="Values"), Section(columns, keys, title="Keys"))
    return Sheet("tags-variants", "Spellings to merge", sections)


def _money(use: Use) -> str:
    return ", ".join(f"{currency} {plain(amount)}" for currency, amount in use.amount.items())


@command.command("policy")
@options.period
@options.output
@click.pass_obj
def policy(settings: Settings, period: str | None, form: str | None, *, as_json: bool) -> None:
    """List what the tags of the bill break of the tag policy: missing, not allowed, or only alike.

    \b
    Example:
      apportion tags policy --period 2026-10
    """
    with app.open_project(settings.project) as project:
        found = app.tags_policy(project, period=options.parsed_period(period))
    options.show(_policy_sheet(found), form, as_json=as_json)


def _policy_sheet(found: Sequence[Breach]) -> Sheet:
    columns = (
        Column("dimension", "Dimension"),
        Column("value", "Value"),
        Column("code", "Breach"),
        Column("resources", "Resources", Kind.COUNT),
        Column("charges", "Charges", Kind.COUNT),
        Column("currency", "Currency"),
        Column("amount", "BilledCost", Kind.MONEY),
        Column("what", "What", detail=True),
        Column("fix", "What to do", detail=True),
    )
    rows = [
        (b.dimension, b.value or None, b.code, b.resources, b.charges, b.currency, b.amount, b.what, b.fix)
        for b in found
    ]
    return Sheet("tags-policy", "The tag policy and the bill", (Section(columns, rows),))


@command.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.output
@click.pass_obj
def check(settings: Settings, file: Path, form: str | None, *, as_json: bool) -> int:
    """Check FILE against the tag policy: a Terraform plan as JSON, a CloudFormation template, Kubernetes manifests.

    Exits with 3 if anything breaks the policy, so that a pull request can be stopped.

    \b
    Example:
      terraform show -json plan.bin > plan.json && apportion tags check plan.json
    """
    findings = app.tags_check(settings.project, file)
    options.show(_check_sheet(findings), form, as_json=as_json)
    return options.CHECK_FAILED if findings else 0


def _check_sheet(findings: Sequence[PlanFinding]) -> Sheet:
    columns = (
        Column("resource", "Resource"),
        Column("line", "Line", Kind.COUNT),
        Column("dimension", "Dimension"),
        Column("what", "What"),
        Column("fix", "What to do"),
        Column("code", "Code", detail=True),
        Column("kind", "Kind", detail=True),
        Column("file", "File", detail=True),
    )
    rows = [(f.resource, f.line, f.dimension, f.what, f.fix, f.code, f.kind, f.file) for f in findings]
    title = f"{len(findings)} findings against the tag policy" if findings else "The tag policy is kept"
    return Sheet("tags-check", title, (Section(columns, rows),))
