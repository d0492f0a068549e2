"""Every error a user can meet, one class per cause.

A fault in the user's *data* is a row in `problems`; an error here means "cannot go on". Each message is one sentence
that says what is wrong and one that says what to do; `exit_code` is what the command line returns (1 failed, 2 wrong
usage, 3 a check failed).
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable


SHOWN_NAMES = 24
"""So many known names a message lists."""


class ApportionError(Exception):
    """The base of all: `what` is wrong, and what to do about it (`fix`)."""

    exit_code = 1

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what} {fix}")
        self.what = what
        self.fix = fix


class UnknownName(ApportionError):
    """A name (source kind, report, dimension, team …) that nothing here carries."""

    exit_code = 2

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = get_close_matches(name, names, n=1)
        guess = f"Did you mean '{near[0]}'? " if near else ""
        more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        listed = ", ".join(names[:SHOWN_NAMES]) or "none"
        super().__init__(f"There is no {kind} '{name}'.", f"{guess}Known: {listed}{more}.")


class ConfigError(ApportionError):
    """A fault in `apportion.toml`: file, line, key, what, and the fix."""

    exit_code = 2

    def __init__(self, *, file: str, line: int | None, key: str, what: str, fix: str) -> None:
        place = f"{file}:{line}" if line else file
        super().__init__(f"{place}: {key}: {what}", fix)
        self.file = file
        self.line = line
        self.key = key

    @classmethod
    def of_option(cls, source_id: str, option: str, *, what: str, fix: str) -> Self:
        """The fault of an option of a source, whose line only the reader of the file knows."""
        return cls(file="apportion.toml", line=None, key=f"sources.{source_id}.options.{option}", what=what, fix=fix)


class NoProject(ApportionError):
    """The folder holds no `apportion.toml`."""

    exit_code = 2

    def __init__(self, folder: str) -> None:
        super().__init__(
            f"There is no apportion.toml in {folder}.",
            "Run 'apportion init' there, or name the folder with --project.",
        )


class NoData(ApportionError):
    """A question about months, runs or snapshots that are not there."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what, fix)


class BadPeriod(ApportionError):
    """A period that is not a month or a range of months."""

    exit_code = 2

    def __init__(self, text: str) -> None:
        super().__init__(
            f"'{text}' is not a period.",
            "Write a month (2026-10) or a range with both ends included (2026-01..2026-10).",
        )


class UnreadableFile(ApportionError):
    """A bill that cannot be read at all: truncated, empty, not what its name says."""

    def __init__(self, *, file: str, what: str, fix: str) -> None:
        super().__init__(f"{file}: {what}", fix)
        self.file = file


class UnknownShape(ApportionError):
    """A bill whose columns no source recognises, or in which a column without which money cannot be read is missing."""

    def __init__(self, *, file: str, what: str, fix: str) -> None:
        super().__init__(f"{file}: {what}", fix)
        self.file = file


class DoubleDelivery(ApportionError):
    """Two files of one delivery bring the same charges: importing both would count money twice."""

    def __init__(self, *, first: str, second: str, what: str, fix: str) -> None:
        super().__init__(f"{second} {what} {first}.", fix)
        self.first = first
        self.second = second


class NotConserved(ApportionError):
    """Money in is not money out: nothing was published."""

    exit_code = 3

    def __init__(self, what: str) -> None:
        super().__init__(
            f"Money in is not money out: {what}.",
            "Nothing was published and the previous result stands; please report this, it is a defect in Apportion.",
        )


class DamagedFile(ApportionError):
    """A stored file is missing or its SHA-256 is not the one in the manifest."""

    exit_code = 3

    def __init__(self, file: str, fix: str) -> None:
        super().__init__(f"{file} is not the file that was stored.", fix)


class MissingExtra(ApportionError):
    """A feature whose optional packages are not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs packages that are not installed.", f"Run: pip install 'apportion[{extra}]'")


class EngineFailed(ApportionError):
    """The compute engine refused or could not be reached."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what, fix)


class BadWeights(ApportionError):
    """An allocation method that gave weights no whole can be divided by."""

    def __init__(self, rule: str, method: str, weights: list[int]) -> None:
        super().__init__(
            f"The method '{method}' gave rule '{rule}' the weights {weights}.",
            "It must give each receiver a whole number, none negative, not all 0, together at most 10^15.",
        )


class PoolsOverlap(ApportionError):
    """Two pools of one stage take the same cost."""

    exit_code = 2

    def __init__(self, one: str, other: str, stage: int, service: str) -> None:
        super().__init__(
            f"The pools '{one}' and '{other}' of stage {stage} both take cost of {service}.",
            "Give one of them a later stage: the earlier goes first. Or narrow what one of them takes.",
        )


class TooManyReceivers(ApportionError):
    """A method that weighs few receivers only has more."""

    def __init__(self, pool: str, method: str, receivers: int, most: int) -> None:
        super().__init__(
            f"The pool '{pool}' has {receivers} receivers; the method '{method}' can weigh {most}.",
            "Choose a coarser grain, receivers that are fewer, a narrower 'within', or another method.",
        )


class OnlyEachOther(ApportionError):
    """Reciprocal pools that give to nobody but each other: their equations have no answer."""

    def __init__(self, pools: list[str], currency: str) -> None:
        super().__init__(
            f"The pools {', '.join(pools)} give their {currency} only to each other.",
            "Give at least one of them receivers outside of the circle.",
        )


class Busy(ApportionError):
    """Another process is writing to this project."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "Wait until it has ended and try again.")


class NewerState(ApportionError):
    """The project's state was written by a newer version of Apportion; it was not touched."""

    def __init__(self, *, folder: str, found: str, known: str) -> None:
        super().__init__(
            f"The state in {folder} was written by a newer Apportion (schema {found}, this one knows {known}).",
            "Run: pip install --upgrade apportion",
        )


class NotStored(ApportionError):
    """The disk or the catalogue refused a write (full, unreadable, locked): the previous state stands."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"The state could not be written: {what}.",
            "Nothing new became visible and the previous result stands; put the disk right and try again.",
        )


class WouldOverwrite(ApportionError):
    """A file that would be written is there already; nothing was written."""

    exit_code = 2

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} exists already.", "Nothing was written; give --force to replace it, or name another folder."
        )


class NotRead(ApportionError):
    """The disk or the catalogue refused a read."""

    def __init__(self, what: str) -> None:
        super().__init__(f"The state could not be read: {what}.", "Put the disk right and try again.")


def without_credentials(url: str) -> str:
    """The address without the user and password that it may carry.

    >>> without_credentials("https://me:secret@prometheus/api")
    'https://prometheus/api'
    """
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if rest else url


class MeterUnreachable(ApportionError):
    """The API of a meter refuses or does not answer: days that were complete are kept, nothing of it was ingested.

    `status` is the HTTP status it refused with, None where it did not answer.
    """

    def __init__(self, *, source: str, url: str, what: str, status: int | None = None) -> None:
        super().__init__(
            f"Source '{source}': {without_credentials(url)} {what}.",
            "Days that were complete are kept and nothing of this source was ingested; check the address and the "
            "credentials in the environment, and try again.",
        )
        self.status = status


class SourcesFailed(ApportionError):
    """Of several sources some could not be brought in; what the others gave is kept.

    `brought_in` is what they gave (an `IngestResult` each), `failures` the id of each that failed and why, `untried`
    the ids after one that ended it all; each in the order of the configuration. `exit_code` is that of the first
    failure.
    """

    def __init__(
        self,
        *,
        brought_in: Iterable[tuple[str, Any]],
        failures: Iterable[tuple[str, ApportionError]],
        untried: Iterable[str],
    ) -> None:
        kept, self.failures, self.untried = tuple(brought_in), tuple(failures), tuple(untried)
        self.brought_in: tuple[Any, ...] = tuple(result for _, result in kept)
        count = len(kept) + len(self.failures) + len(self.untried)
        said = [f"Kept: {', '.join(source for source, _ in kept) or 'nothing'}."]
        said += [f"Not tried: {', '.join(self.untried)}."] if self.untried else []
        said += [f"{source}: {error}" for source, error in self.failures]
        failed = ", ".join(source for source, _ in self.failures)
        super().__init__(f"{len(self.failures)} of {count} sources could not be brought in: {failed}.", "\n".join(said))
        self.exit_code = self.failures[0][1].exit_code


class UnusableUsage(ApportionError):
    """Usage to be recorded that says too little, or something that a usage file cannot say; nothing was written."""

    exit_code = 2

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what, f"{fix} Nothing was written.")
