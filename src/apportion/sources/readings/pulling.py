"""When an API is asked, and the files its answers are kept in, each whole or not at all.

An API that knows its past is asked day by day: one file per UTC day, `2026-10-10.jsonl`. A day is asked for again while
its answers may still change. New answers replace the kept ones, unless they give fewer samples: then the meter has
forgotten, the kept ones stay, and the new ones lie beside them (`poorer`) for the intake to tell of.

An API that tells only what is now (`Present`) is asked once per pull, and each pull is a file of its own, by the UTC
second it was made in: `2026-10-10T183000.jsonl`. None is ever replaced, so what was seen once stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from apportion.errors import ConfigError, UnknownShape, UnreadableFile
from apportion.sources.readings.answers import poorer, pulled_at
from apportion.sources.readings.client import Client
from apportion.sources.readings.contract import RawFile, Sample, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from apportion.core.config import SourceConfig
    from apportion.core.progress import Progress
    from apportion.sources.readings.contract import MeterSource, Pull

AGAIN = 3
"""A day is asked for again until it was read so many days after its end: meters restate their last days."""
FIRST = 35
"""So many days before today are asked for where nothing was pulled yet and no `since` is given."""
DAY = timedelta(days=1)
DAY_SECONDS = 86_400
"""The longest time-out that makes sense."""
_DAYS = "????-??-??.jsonl"
"""The files of whole days; those of an API without a past have a time in their name too."""


@dataclass(frozen=True, slots=True)
class Present:
    """The `pull` of a source whose API tells only what is now.

    Its window is not one day but reaches from a day before the last pull until now: an API that still lists what is
    over is asked for that too, however late it was listed.
    """

    ask: Pull

    def __call__(self, client: Client, window: Window, config: SourceConfig) -> Iterable[object]:
        """What `ask` gives."""
        return self.ask(client, window, config)


def pull(
    source: MeterSource, config: SourceConfig, *, folder: Path, now: datetime, progress: Progress
) -> tuple[Path, ...]:
    """All files of answers in the folder, oldest first: what was asked for now, and what was kept before.

    `now` is naive UTC. Raises `MeterUnreachable` where the API fails: days that were complete by then are kept. Raises
    `UnknownShape` or `UnreadableFile` where a day's new answers cannot be read; the kept ones stay.
    """
    if source.pull is None:
        raise ConfigError.of_option(
            config.id,
            "url",
            what=f"'{config.kind}' has no API to ask.",
            fix="Give paths of files instead.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(source.pull, Present):
        _pull_present(source.pull, config, folder=folder, now=now, progress=progress)
    else:
        days = list(days_to_ask(config, folder, now))
        for done, day in enumerate(days):
            progress(f"asking {config.id} for {day}", done, len(days))
            window = Window(_midnight(day), min(_midnight(day) + DAY, now), now)
            _keep_richer(source, config, _asked(source.pull, config, window, folder), folder / f"{day}.jsonl")
    return tuple(sorted(folder.glob("*.jsonl")))


def days_to_ask(config: SourceConfig, folder: Path, now: datetime) -> Iterator[date]:
    """Every day since the first that was never pulled, or whose kept answers may still lack something.

    What was read before the day's end and `AGAIN` days more is not complete, nor is a file without an answer.
    """
    today = now.date()
    had = {path.stem: path for path in folder.glob(_DAYS)}
    day = _since(config) or (date.fromisoformat(min(had)) if had else today - timedelta(days=FIRST))
    while day <= today:
        kept = had.get(day.isoformat())
        if kept is None or not _complete(kept, day):
            yield day
        day += timedelta(days=1)


def _complete(kept: Path, day: date) -> bool:
    settled = _midnight(day) + (1 + AGAIN) * DAY
    read = (pulled_at(path) for path in (kept, poorer(kept)) if path.exists())
    return any(read_at is not None and read_at >= settled for read_at in read)


def _pull_present(ask: Present, config: SourceConfig, *, folder: Path, now: datetime, progress: Progress) -> None:
    since = _midnight(_since(config) or now.date() - timedelta(days=FIRST))
    if since > now:
        return
    kept = sorted(folder.glob("*.jsonl"))
    last = pulled_at(kept[-1]) if kept else None
    progress(f"asking {config.id} for what is now", 0, 1)
    asked = _asked(ask, config, Window(max(since, last - DAY) if last else since, now, now), folder)
    asked.replace(folder / f"{now:%Y-%m-%dT%H%M%S}.jsonl")


def _asked(ask: Pull, config: SourceConfig, window: Window, folder: Path) -> Path:
    """A file with all answers for a window, under a name that no reader takes for a delivery."""
    unfinished = folder / ".unfinished"
    with unfinished.open("w", encoding="utf-8", newline="\n") as keep:
        url = str(config.options.get("url", ""))
        client = Client(config.id, url, keep, window.read_at, timeout=_timeout(config))
        try:
            for _ in ask(client, window, config):
                pass
        finally:
            client.close()
    return unfinished


def _keep_richer(source: MeterSource, config: SourceConfig, asked: Path, kept: Path) -> None:
    """The new answers become the kept ones of their day, or lie beside them where they give fewer samples."""
    had = _samples_before(source, config, kept)
    found = sum(1 for _ in islice(_samples(source, config, asked, kept.name), had))
    if found < had:
        asked.replace(poorer(kept))
        return
    asked.replace(kept)
    poorer(kept).unlink(missing_ok=True)


def _samples_before(source: MeterSource, config: SourceConfig, kept: Path) -> int:
    """How many samples the kept answers give; none where there are no answers, or none that can be read."""
    try:
        return sum(1 for _ in _samples(source, config, kept, kept.name)) if kept.exists() else 0
    except (UnknownShape, UnreadableFile):
        return 0


def _samples(source: MeterSource, config: SourceConfig, path: Path, name: str) -> Iterator[Sample]:
    found = source.read(RawFile(path, name, pulled_at(path)), config)
    return (one for one in found if isinstance(one, Sample))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


def _timeout(config: SourceConfig) -> float:
    text = str(config.options.get("timeout_seconds", 60))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= DAY_SECONDS:
        raise ConfigError.of_option(
            config.id,
            "timeout_seconds",
            what=f"'{text}' is no number of seconds.",
            fix="Write a number above 0, such as 60.",
        )
    return seconds


def _since(config: SourceConfig) -> date | None:
    text = config.options.get("since")
    if text is None:
        return None
    try:
        return date.fromisoformat(str(text))
    except ValueError as error:
        raise ConfigError.of_option(
            config.id,
            "since",
            what=f"'{text}' is no day.",
            fix='Write it like "2026-10-01".',
        ) from error
