"""The HTTP client of all meters: bounded, patient, keeps every answer, and never says a secret.

Credentials come from the environment only: `APPORTION_<SOURCE ID>_TOKEN` (sent as bearer token), or `…_USER` and
`…_PASSWORD` (basic), the id in capitals with `_` for all else. A source may name variables of its own tool too.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from threading import Thread
from typing import TYPE_CHECKING, Any, TextIO

from apportion.errors import ConfigError, MeterUnreachable
from apportion.sources.readings.answers import exact, kept

if TYPE_CHECKING:
    import ssl
    from datetime import datetime

    import httpx

ATTEMPTS = 5
LONGEST_WAIT = 30.0
"""Seconds; a `Retry-After` beyond it ends the pull."""
LARGEST_ANSWER = 512 * 1024 * 1024
"""Bytes of one answer."""
_WAITABLE = frozenset({408, 429, 500, 502, 503, 504})

Headers = Mapping[str, str]


@dataclass(slots=True)
class Client:
    """Requests to one API; every good answer is written to `keep` as one line (see `answers.kept`).

    Raises `MeterUnreachable` where the API refuses, or keeps failing after `ATTEMPTS` tries; `ConfigError` where a
    token of the environment cannot be sent.
    """

    source_id: str
    url: str
    keep: TextIO
    read_at: datetime
    timeout: float = 60.0
    """Seconds that one answer may take from the request to its last byte; then it is asked for again."""
    headers: Headers = field(default_factory=dict, repr=False)
    """Extra headers, secrets among them: never in messages, never kept."""
    tls: ssl.SSLContext | None = None
    """Trusted authorities and the client's own certificate, where they are not the system's."""
    sleep: Callable[[float], None] = time.sleep
    _http: httpx.Client | None = None

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """The JSON body of `GET url/path?params`, numbers exact."""
        return self._asked("GET", path, params or {}, None)

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, form: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """The JSON body of `POST url/path` with a JSON body, or with form fields."""
        if form is not None:
            return self._asked("POST", path, form, {"data": dict(form)})
        return self._asked("POST", path, body or {}, {"json": dict(body or {})})

    def close(self) -> None:
        """The connections are closed."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _asked(self, method: str, path: str, params: Mapping[str, Any], sent: Mapping[str, Any] | None) -> Any:  # noqa: ANN401
        text = self._text(method, path, params, sent)
        try:
            found = exact(text)
        except (ValueError, RecursionError) as error:
            raise self._fault(path, "answered with something that is no JSON") from error
        self.keep.write(kept(path, params, read_at=self.read_at, text=text))
        return found

    def _text(self, method: str, path: str, params: Mapping[str, Any], sent: Mapping[str, Any] | None) -> str:
        import httpx

        last, status, wait = "", None, 0.0
        for attempt in range(ATTEMPTS):
            if attempt:
                self.sleep(wait)
            ask = partial(self._answered, self._opened(), method, path, params=params, sent=sent)
            try:
                answer, text = _in_time(ask, self.timeout)
            except (TimeoutError, httpx.TimeoutException):
                self.close()  # an answer that still drips ends with its connection
                last = f"did not give its whole answer in {self.timeout:g} seconds (the option timeout_seconds)"
                status, wait = None, min(2.0**attempt, LONGEST_WAIT)
                continue
            except httpx.RequestError as error:
                last, status, wait = f"did not answer ({type(error).__name__})", None, min(2.0**attempt, LONGEST_WAIT)
                continue
            if answer.status_code == HTTPStatus.OK:
                return text
            last, status = f"answered {answer.status_code} {answer.reason_phrase}".rstrip(), answer.status_code
            if answer.status_code not in _WAITABLE:
                break
            wait = self._wait(path, answer, attempt)
        raise self._fault(path, last, status=status)

    def _answered(
        self, http: httpx.Client, method: str, path: str, *, params: Mapping[str, Any], sent: Mapping[str, Any] | None
    ) -> tuple[httpx.Response, str]:
        """The answer and, where it is a good one, its text."""
        with http.stream(method, path, params=None if sent else dict(params), **(sent or {})) as answer:
            return answer, self._bounded(path, answer) if answer.status_code == HTTPStatus.OK else ""

    def _bounded(self, path: str, answer: httpx.Response) -> str:
        """The text of an answer, never more of it in memory than may be."""
        read = bytearray()
        for piece in answer.iter_bytes():
            read += piece
            if len(read) > LARGEST_ANSWER:
                raise self._fault(path, f"answered with more than {LARGEST_ANSWER // 1024**2} MiB")
        return read.decode("utf-8", errors="replace")  # as JSON has to be, whatever the header says

    def _wait(self, path: str, answer: httpx.Response, attempt: int) -> float:
        asked = answer.headers.get("Retry-After", "")
        wait = float(asked) if asked.isdecimal() else 2.0**attempt
        if wait > LONGEST_WAIT:
            raise self._fault(path, f"asks to come back in {asked} seconds")
        return wait

    def _opened(self) -> httpx.Client:
        if self._http is None:
            import httpx

            if not self.url.startswith(("http://", "https://")):
                raise self._fault("", "is no address: it begins with http:// or https://")
            try:
                self._http = httpx.Client(
                    base_url=self.url,
                    headers={**self.headers, **self._authorization()},
                    auth=self._basic(),
                    timeout=self.timeout,
                    verify=self.tls or True,
                    follow_redirects=False,
                    trust_env=False,
                )
            except httpx.InvalidURL as error:
                raise self._fault("", "is no address") from error
        return self._http

    def _authorization(self) -> Headers:
        token = secret_of(f"{env_prefix(self.source_id)}_TOKEN")
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _basic(self) -> tuple[str, str] | None:
        prefix = env_prefix(self.source_id)
        user = os.environ.get(f"{prefix}_USER")
        return (user, os.environ.get(f"{prefix}_PASSWORD", "")) if user else None

    def _fault(self, path: str, what: str, *, status: int | None = None) -> MeterUnreachable:
        url = f"{self.url.rstrip('/')}/{path.lstrip('/')}"
        return MeterUnreachable(source=self.source_id, url=url, what=what, status=status)


def _in_time(ask: Callable[[], tuple[httpx.Response, str]], seconds: float) -> tuple[httpx.Response, str]:
    """What a call returns or raises, or `TimeoutError` after so many seconds; it then goes on unseen.

    In a thread, because httpx knows only the time between two bytes, of headers too.
    """
    found: Future[tuple[httpx.Response, str]] = Future()

    def run() -> None:
        try:
            found.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            found.set_exception(error)

    Thread(target=run, daemon=True).start()
    return found.result(seconds)


def secret_of(name: str) -> str | None:
    """The token in an environment variable, None where it is unset or empty.

    Raises `ConfigError`, which names the variable and never its value, where no HTTP header could carry it.
    """
    token = os.environ.get(name)
    if token and not (token.isascii() and token.isprintable()):
        raise ConfigError(
            file="environment",
            line=None,
            key=name,
            what="The token holds a character that cannot be sent (a line end, or one beyond ASCII).",
            fix="Set the variable again, to the token alone.",
        )
    return token or None


def env_prefix(source_id: str) -> str:
    """What the names of a source's environment variables begin with.

    >>> env_prefix("prom-eu.1")
    'APPORTION_PROM_EU_1'
    """
    return "APPORTION_" + re.sub(r"[^A-Za-z0-9]", "_", source_id).upper()
