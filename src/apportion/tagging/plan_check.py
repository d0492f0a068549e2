"""Whether what is about to be made will carry the tags the policy asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from apportion.core.targets import DIMENSIONS
from apportion.errors import UnknownShape
from apportion.tagging.documents import read_documents, whole_letters
from apportion.tagging.normalise import Vocabulary
from apportion.tagging.planned import SOCKET, PlanFormat, Planned
from apportion.tagging.policy import judge_value, required_in, spelled_case, told_case

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from apportion.core.config import Config, TagPolicy


@dataclass(frozen=True, slots=True)
class PlanFinding:
    """One way in which one planned resource breaks the policy. `code` as in `Breach`; `line` None if not known."""

    code: str
    resource: str
    kind: str
    file: str
    line: int | None
    dimension: str
    what: str
    fix: str


def check_plan(path: Path, config: Config) -> tuple[PlanFinding, ...]:
    """What breaks the tag policy in a Terraform plan (JSON), CloudFormation template or Kubernetes manifests.

    In the file's order. Nothing in it is executed; a value that is known only later satisfies `required` and is not
    judged. Raises `UnreadableFile` or `UnknownShape`.
    """
    vocabulary = Vocabulary.of(config)
    policy = config.tags.policy
    return tuple(
        PlanFinding(code, one.address, one.kind, str(path), one.line, dimension, what, fix)
        for one in read_plan(path)
        for code, dimension, what, fix in _judged(one, policy, vocabulary)
    )


def read_plan(path: Path) -> tuple[Planned, ...]:
    """The resources of a plan that can carry tags, in the file's order; raises `UnreadableFile` or `UnknownShape`."""
    documents = read_documents(path)
    for name in SOCKET.names():
        plan: PlanFormat = SOCKET.load(name)
        if plan.recognises(documents):
            return tuple(_cleaned(one) for one in plan.reads(documents))
    raise UnknownShape(
        file=str(path),
        what=f"is none of {', '.join(SOCKET.names())}.",
        fix="Give the output of 'terraform show -json PLAN', a CloudFormation template, or Kubernetes manifests.",
    )


def _cleaned(one: Planned) -> Planned:
    tags = {whole_letters(key): value and whole_letters(value) for key, value in one.tags.items()}
    return replace(one, address=whole_letters(one.address), kind=whole_letters(one.kind), tags=tags)


def _judged(one: Planned, policy: TagPolicy, vocabulary: Vocabulary) -> Iterator[tuple[str, str, str, str]]:
    later = {d for key, value in one.tags.items() if value is None for d, _ in vocabulary.answers(key)}
    said = vocabulary.of_tags({key: value for key, value in one.tags.items() if value is not None})
    missing: dict[str, str] = {}
    for case in required_in(policy):
        when = spelled_case(case, vocabulary)
        if all(said.get(d) in values for d, values in when.items()):
            for dimension in case.required:
                missing.setdefault(dimension, told_case(case))
    for dimension in (d for d in DIMENSIONS if d in missing and d not in said and d not in later and one.whole):
        what = f"has no tag for {dimension}, which is required{missing[dimension]}"
        yield "missing", dimension, what, f"Add {vocabulary.tags.keys[dimension][0]} to {one.where}."
    for dimension in (d for d in DIMENSIONS if d in policy.allowed and d in said):
        judged = judge_value(dimension, said[dimension], policy.allowed[dimension], vocabulary)
        if judged is not None:
            code, what, fix = judged
            yield code, dimension, what, fix
