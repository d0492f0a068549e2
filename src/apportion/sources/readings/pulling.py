"""Which days an API is asked for, and the files its answers are kept in: one per UTC day, whole or not at all."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from apportion.errors import ConfigError
from apportion.sources.readings.answers import pulled_at
from apportion.sources.readings.client import Client
from apportion.sources.readings.contract import Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from apportion.core.config import SourceConfig
    from apportion.core.progress import Progress
    from apportion.sources.readings.contract import MeterSource

AGAIN = 3
"""A day is asked for again until it was read so many days after its end: meters restate their last days."""
FIRST = 35
"""So many days before today are asked for where nothing was pulled yet and no `since` is given."""
DAY_SECONDS = 86_400
"""The longest time-out that makes sense."""


def pull(
    source: MeterSource, config: SourceConfig, *, folder: Path, now: datetime, progress: Progress
) -> tuple[Path, ...]:
    """The files of all days that were asked for, oldest first, in the folder; others there stay as they are.

    `now` is naive UTC. Raises `MeterUnreachable` where the API fails: days that were complete by then are kept.
    """
    if source.pull is None:
        raise ConfigError(
            file="apportion.toml",
            line=None,
            key=f"sources.{config.id}.options.url",
            what=f"'{config.kind}' has no API to ask.",
            fix="Give paths of files instead.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    days, timeout = list(days_to_ask(config, folder, now)), _timeout(config)
    for done, day in enumerate(days):
        progress(f"asking {config.id} for {day}", done, len(days))
        _pull_day(source, config, day, folder=folder, now=now, timeout=timeout)
    return tuple(sorted(folder.glob("*.jsonl")))


def days_to_ask(config: SourceConfig, folder: Path, now: datetime) -> Iterator[date]:
    """Every day since the first that was never pulled, or whose kept answers may still lack something.

    What was read before the day's end and `AGAIN` days more is not complete, nor is a file without an answer.
    """
    today = now.date()
    had = {path.stem: path for path in folder.glob("*.jsonl")}
    day = _since(config) or (date.fromisoformat(min(had)) if had else today - timedelta(days=FIRST))
    while day <= today:
        kept = had.get(day.isoformat())
        if kept is None or not _complete(kept, day):
            yield day
        day += timedelta(days=1)


def _complete(kept: Path, day: date) -> bool:
    read_at = pulled_at(kept)
    settled = datetime(day.year, day.month, day.day) + timedelta(days=1 + AGAIN)
    return read_at is not None and read_at >= settled


def _pull_day(
    source: MeterSource, config: SourceConfig, day: date, *, folder: Path, now: datetime, timeout: float
) -> None:
    assert source.pull is not None  # noqa: S101 - `pull` looked
    start = datetime(day.year, day.month, day.day)
    window = Window(start, min(start + timedelta(days=1), now), now)
    unfinished = folder / f".{day}.part"
    with unfinished.open("w", encoding="utf-8", newline="\n") as keep:
        client = Client(config.id, str(config.options.get("url", "")), keep, now, timeout=timeout)
        try:
            for _ in source.pull(client, window, config):
                pass
        finally:
            client.close()
    unfinished.replace(folder / f"{day}.jsonl")


def _timeout(config: SourceConfig) -> float:
    text = str(config.options.get("timeout_seconds", 60))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= DAY_SECONDS:
        raise ConfigError(
            file="apportion.toml",
            line=None,
            key=f"sources.{config.id}.options.timeout_seconds",
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
        raise ConfigError(
            file="apportion.toml",
            line=None,
            key=f"sources.{config.id}.options.since",
            what=f"'{text}' is no day.",
            fix='Write it like "2026-10-01".',
        ) from error
