"""Objects of S3, Google Cloud Storage and Azure through `obstore`; credentials and endpoints come from the environment.

`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_KEY` … are read by
`obstore` itself; nothing secret passes through here, and none is ever written to a message.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from apportion.errors import MissingExtra, UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Iterator

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}
"""URL scheme -> the extra of the package that reads it."""
_CHUNK = 8 * 1024 * 1024
_SHOWN = 300
# The client's own limit of 30 s covers the whole body, too short for a large Parquet file.
_CLIENT = {"timeout": timedelta(minutes=15), "connect_timeout": timedelta(seconds=10)}
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT", "GOOGLE_BASE_URL", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
_RETRY = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket or container, `url` without a path: `s3://bills`, `abfss://bills@account.dfs.core.windows.net`."""

    url: str

    @classmethod
    def split(cls, url: str) -> tuple[Bucket, str]:
        """The bucket of an object URL, and the key in it without slashes around; `UnreadableFile` if there is none."""
        scheme, _, rest = url.partition("://")
        name, _, key = rest.partition("/")
        if not name:
            raise UnreadableFile(file=url, what="it names no bucket.", fix=f"Write {scheme}://bucket/path.")
        return cls(f"{scheme}://{name}"), key.strip("/")

    def keys(self, prefix: str) -> list[str]:
        """All keys below a folder (not those that only begin with the same letters), in no promised order."""
        found: list[str] = []
        with self._faults(prefix):
            for batch in _obstore(self.url).list(_store(self.url), prefix=prefix or None):
                found.extend(entry["path"] for entry in batch)
        return found

    def holds(self, key: str) -> bool:
        """Whether there is an object with exactly that key."""
        obstore = _obstore(self.url)
        with self._faults(key):
            try:
                obstore.head(_store(self.url), key)
            except FileNotFoundError:
                return False
        return True

    def chunks(self, key: str) -> Iterator[bytes]:
        """The object's bytes in order, all of them; raises `UnreadableFile` where it is missing or refused."""
        with self._faults(key):
            answer = _obstore(self.url).get(_store(self.url), key)
            for chunk in answer.stream(min_chunk_size=_CHUNK):
                yield bytes(chunk)

    @contextmanager
    def _faults(self, key: str) -> Iterator[None]:
        errors = _obstore(self.url).exceptions
        file = f"{self.url}/{key}".rstrip("/")
        try:
            yield
        except FileNotFoundError as fault:
            raise _missing(file) from fault
        except (errors.BaseError, ValueError) as fault:
            raise _told(file, str(fault)) from fault


def _missing(file: str) -> UnreadableFile:
    return UnreadableFile(
        file=file, what="there is no such object or bucket.", fix="Check the path in apportion.toml, and the endpoint."
    )


def _told(file: str, answer: str) -> UnreadableFile:
    # a refused listing comes as a general error; only its text tells
    if "404 Not Found" in answer:
        return _missing(file)
    if any(word in answer for word in ("401 Unauthorized", "403 Forbidden", "PermissionDenied", "Unauthenticated")):
        return UnreadableFile(
            file=file,
            what="the object store refused access.",
            fix="Set credentials that may list and read it in the environment, and check the region.",
        )
    return UnreadableFile(
        file=file,
        what=f"the object store could not be read ({_short(answer)}).",
        fix="Check the endpoint, the region and the credentials in the environment, and try again.",
    )


def _short(answer: str) -> str:
    line = answer.strip().partition("\n")[0]
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def _obstore(url: str) -> Any:  # noqa: ANN401 - an optional package is typed where it is installed
    scheme = url.partition("://")[0]
    try:
        import obstore
        import obstore.exceptions
    except ImportError as fault:
        raise MissingExtra(f"Reading {scheme}:// places", EXTRAS[scheme]) from fault
    return obstore


def _store(url: str) -> Any:  # noqa: ANN401
    # made anew each time: credentials in the environment may change while the process lives
    client = {**_CLIENT, "allow_http": _plain_http()}
    return _obstore(url).store.from_url(url, client_options=client, retry_config=_RETRY)


def _plain_http() -> bool:
    """Whether the environment itself names an endpoint without TLS, as a store on one's own machine has."""
    return any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS)
