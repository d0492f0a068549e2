"""The ladder of evidence, rung by rung, for everything the charges of one kind have in common.

The rungs, first answer wins, each dimension on its own:

1. rules with `override`, in file order (T3);
2. the provider's own split: the tags of the workload it measured, `AllocatedTags` (T2). Before the tags of the
   resource, because those are the tags of the node the workload ran on;
3. the resource's own tags (T1);
4. the owner of the model, as soon as the model is known, with the tier the model has;
5. the other rules, in file order (T3);
6. the resource-group map, then the account map: sub account, then billing account (T3);
7. unallocated (T5).

A rule with several shares splits a charge: each piece has what its share sets, and what follows from the model it sets;
the other dimensions are the same on every piece. A charge is split by one rule: the first that settles something; a
later one is passed over in all its dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from apportion.core.config import Config, Owner, Rule, version_of
from apportion.core.money import MAX_WHOLE
from apportion.core.targets import DIMENSIONS, UNALLOCATED, Evidence
from apportion.errors import ConfigError

if TYPE_CHECKING:
    from apportion.tagging.normalise import Vocabulary

BEGINNING = datetime(1, 1, 1)
END = datetime(9999, 12, 31)
"""All time, as shares see it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Who it is in one dimension: `value`, or where `source` names one, what that layer of tags says."""

    value: str
    evidence: Evidence
    rule: str
    source: str = ""


NOBODY = Answer(UNALLOCATED, Evidence.UNALLOCATED, "none")
State = Mapping[str, Answer]


@dataclass(frozen=True, slots=True)
class Profile:
    """What decides between rungs: attributes with equal profiles climb the ladder alike.

    `divided` says whether the charge is a piece already: `ours` of an export of Apportion, `theirs` of its provider, or
    "" for neither. `tagged` and `split` are the dimensions in which the tags of the resource or of the provider's split
    say something; `tag_model` and `split_model` the models they name, if the hierarchy knows them ("" else); `rules`
    the places of the rules whose condition holds; the rest the entries of the maps that apply ("" for none).
    """

    tagged: frozenset[str] = frozenset()
    split: frozenset[str] = frozenset()
    tag_model: str = ""
    split_model: str = ""
    rules: tuple[int, ...] = ()
    resource_group: str = ""
    sub_account: str = ""
    billing_account: str = ""
    divided: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """The part [low, high) of `whole` and who holds it."""

    low: int
    high: int
    whole: int
    owner: tuple[Answer, ...]
    """One answer per dimension, in the order of `DIMENSIONS`."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The pieces that hold for charges starting in [start, end)."""

    start: datetime
    end: datetime
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class _Share:
    weight: int
    owner: State


@dataclass(frozen=True, slots=True)
class _Rung:
    """A rule as the ladder uses it: its shares with their answers made, its validity as moments."""

    shares: tuple[_Share, ...]
    override: bool
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Ladder:
    """The ladder of one configuration; made once per run."""

    rungs: tuple[_Rung, ...]
    models: Mapping[str, State]
    resource_groups: Mapping[str, State]
    accounts: Mapping[str, State]
    tag_rules: Mapping[str, str]

    @classmethod
    def of(cls, config: Config, vocabulary: Vocabulary) -> Ladder:
        """The ladder of a configuration; raises `ConfigError` for a rule whose weights cannot tile a whole."""
        maps, models = config.maps, config.hierarchy.models
        inferred = Evidence.INFERRED
        return cls(
            rungs=tuple(_rung(rule, vocabulary) for rule in config.rules),
            models={
                vocabulary.spelled("model", model) or model: _state(owner, inferred, "", vocabulary)
                for model, owner in models.items()
            },
            resource_groups=_mapped("resource-group-map", maps.resource_groups, vocabulary),
            accounts=_mapped("account-map", maps.accounts, vocabulary),
            tag_rules={d: f"tag:{d}@{vocabulary.version(d)}" for d in DIMENSIONS}
            | {"model-map": f"model-map@{version_of({m: dict(o) for m, o in models.items()})}"},
        )

    def segments(self, profile: Profile) -> tuple[Segment, ...]:
        """Who holds charges of the profile, for all time; neighbours that agree are one segment."""
        rungs = [self.rungs[place] for place in profile.rules]
        cuts = sorted({BEGINNING, END, *(cut for rung in rungs for cut in (rung.start, rung.end))})
        segments = [
            Segment(start, end, self._pieces(profile, [r for r in rungs if r.start <= start and end <= r.end]))
            for start, end in pairwise(cuts)
        ]
        return tuple(_joined(list(alike)) for _, alike in groupby(segments, key=lambda segment: segment.pieces))

    def _pieces(self, profile: Profile, rungs: Sequence[_Rung]) -> tuple[Piece, ...]:
        if profile.divided == "ours":
            return tuple(_tiled((_Share(1, _split(profile)),)))
        if profile.divided:
            rungs = [rung for rung in rungs if len(rung.shares) == 1]
        shares: tuple[_Share, ...] = (_Share(1, {}),)
        for rung in rungs:
            shares = _ruled(shares, rung) if rung.override else shares
        shares = tuple(self._tagged(share, profile) for share in shares)
        for rung in rungs:
            ruled = shares if rung.override else _ruled(shares, rung)
            shares = tuple(self._modelled(share, profile) for share in ruled)
        for place in self._places(profile):
            shares = tuple(self._modelled(_added(share, place), profile) for share in shares)
        return tuple(_tiled(shares))

    def _tagged(self, share: _Share, profile: Profile) -> _Share:
        tags = {d: Answer("", Evidence.DIRECT, self.tag_rules[d], "tag") for d in profile.tagged}
        return self._modelled(_added(_added(share, _split(profile)), tags), profile)

    def _modelled(self, share: _Share, profile: Profile) -> _Share:
        """The share with the owner of its model, where the model is known and has one."""
        model = share.owner.get("model")
        if model is None:
            return share
        named = {"tag": profile.tag_model, "split": profile.split_model}.get(model.source, model.value)
        rule = self.tag_rules["model-map"]
        owner = self.models.get(named, {})
        return _added(share, {d: replace(a, evidence=model.evidence, rule=rule) for d, a in owner.items()})

    def _places(self, profile: Profile) -> Iterator[State]:
        yield self.resource_groups.get(profile.resource_group, {})
        yield self.accounts.get(profile.sub_account, {})
        yield self.accounts.get(profile.billing_account, {})


def _split(profile: Profile) -> State:
    """What the tags of the piece say; a piece of our own export is nobody's in the dimensions they leave out."""
    return {d: Answer("", Evidence.METERED, "provider-split", "split") for d in profile.split}


def _added(share: _Share, answers: State) -> _Share:
    """The share with the answers for the dimensions it has none for."""
    return _Share(share.weight, {**answers, **share.owner}) if answers else share


def _ruled(shares: tuple[_Share, ...], rung: _Rung) -> tuple[_Share, ...]:
    """The shares after a rule: filled in where it assigns, made anew where it is the first to split."""
    if len(rung.shares) == 1:
        return tuple(_added(share, rung.shares[0].owner) for share in shares)
    if len(shares) > 1 or all(part.owner.keys() <= shares[0].owner.keys() for part in rung.shares):
        return shares
    return tuple(_added(_Share(part.weight, shares[0].owner), part.owner) for part in rung.shares)


def _tiled(shares: tuple[_Share, ...]) -> Iterator[Piece]:
    """The shares as intervals that tile the whole; neighbours that agree are one piece."""
    owned = [(tuple(share.owner.get(d, NOBODY) for d in DIMENSIONS), share.weight) for share in shares]
    merged = [(owner, sum(weight for _, weight in alike)) for owner, alike in groupby(owned, key=lambda part: part[0])]
    if len(merged) == 1:
        merged = [(merged[0][0], 1)]
    whole, low = sum(weight for _, weight in merged), 0
    for owner, weight in merged:
        yield Piece(low, low + weight, whole, owner)
        low += weight


def _joined(alike: list[Segment]) -> Segment:
    return Segment(alike[0].start, alike[-1].end, alike[0].pieces)


def _state(owner: Owner, evidence: Evidence, rule: str, vocabulary: Vocabulary) -> State:
    return {d: Answer(vocabulary.spelled(d, owner[d]) or owner[d], evidence, rule) for d in DIMENSIONS if d in owner}


def _mapped(name: str, entries: Mapping[str, Owner], vocabulary: Vocabulary) -> dict[str, State]:
    rule = f"{name}@{version_of({key: dict(owner) for key, owner in entries.items()})}"
    return {key: _state(owner, Evidence.INFERRED, rule, vocabulary) for key, owner in entries.items()}


def _rung(rule: Rule, vocabulary: Vocabulary) -> _Rung:
    """The rule as a rung; shares of weight 0 hold nothing and are left out."""
    whole = sum(share.weight for share in rule.shares)
    if any(share.weight < 0 for share in rule.shares) or not 0 < whole <= MAX_WHOLE:
        raise ConfigError(
            file="apportion.toml",
            line=None,
            key=f"rules.{rule.id}.shares",
            what=f"the weights add up to {whole}, or one is negative.",
            fix=f"Give each share a weight of 0 or more; together between 1 and {MAX_WHOLE}.",
        )
    name = rule_name(rule)
    shares = (_Share(s.weight, _state(s.owner, Evidence.INFERRED, name, vocabulary)) for s in rule.shares if s.weight)
    return _Rung(tuple(shares), rule.override, _moment(rule.valid_from, BEGINNING), _moment(rule.valid_until, END))


def rule_name(rule: Rule) -> str:
    """The rule and its version, as a piece carries it: `rule:<id>@<version>`."""
    when = [dict(part) for part in (rule.when.equals, rule.when.matches, rule.when.tags, rule.when.tags_match)]
    shares = [[share.weight, dict(share.owner)] for share in rule.shares]
    content = [when, shares, rule.valid_from, rule.valid_until, rule.override]
    return f"rule:{rule.id}@{rule.version or version_of(content)}"


def _moment(day: date | None, otherwise: datetime) -> datetime:
    return otherwise if day is None else min(datetime(day.year, day.month, day.day), END)


def profiles_of(rows: Iterable[tuple[str, ...]]) -> Iterator[Profile]:
    """Profiles from rows as `resolve` groups them: dimension masks, models, rule places as `1,7`, map entries."""
    for tagged, split, tag_model, split_model, rules, group, sub, billing, divided in rows:
        places = tuple(int(place) for place in rules.split(",")) if rules else ()
        tiers = (_dimensions(tagged), _dimensions(split))
        yield Profile(*tiers, tag_model, split_model, places, group, sub, billing, divided)


def _dimensions(mask: str) -> frozenset[str]:
    return frozenset(d for d, bit in zip(DIMENSIONS, mask, strict=True) if bit == "1")
