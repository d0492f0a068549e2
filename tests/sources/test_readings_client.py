from __future__ import annotations

import gzip
import io
import json
import threading
import time
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.scripted_server import ok, serving

from apportion.errors import ConfigError, MeterUnreachable
from apportion.sources.readings import client as clients
from apportion.sources.readings.client import ATTEMPTS, Client, env_prefix

NOW = datetime(2026, 10, 10, 12, 30)
SECRETS = ("s3cret-token", "s3cret-password", "s3cret-header")


def client_of(url, *, waits=None, timeout=5.0, **given):
    waits = [] if waits is None else waits
    return Client("my-meter", url, io.StringIO(), NOW, timeout=timeout, sleep=waits.append, **given)


def refused(*script, **given):
    """What the client says, how long it waited, and how often it asked."""
    waits = []
    with serving(*script) as (url, asked):
        client = client_of(url, waits=waits, **given)
        with pytest.raises(MeterUnreachable) as error:
            client.get("api/x", {"q": "1"})
        client.close()
        assert url in str(error.value)
    assert client.keep.getvalue() == ""
    return error.value, waits, len(asked)


# --- asking -----------------------------------------------------------------------------------------------------------


def test_numbers_of_an_answer_are_exact_and_the_answer_is_kept_as_it_came():
    with serving(ok(b'{"a": 0.1000000000000000055511, "n": NaN,\n "i": 12345678901234567890}')) as (url, asked):
        client = client_of(url)
        found = client.get("api/x", {"q": "up", "step": 3600})
        client.close()
        client.close()
    assert found == {"a": Decimal("0.1000000000000000055511"), "n": None, "i": 12345678901234567890}
    assert asked[0][:3] == ("GET", "/api/x", {"q": "up", "step": "3600"})
    (line,) = client.keep.getvalue().splitlines()
    assert '"body": {"a": 0.1000000000000000055511, "n": NaN,  "i": 12345678901234567890}' in line
    assert '"params": {"q": "up", "step": 3600}' in line


@pytest.mark.parametrize("kind", ["application/json; charset=klingon", "text/plain; charset=latin-1", "x", ""])
def test_an_answer_is_utf_8_whatever_its_header_says(kind):
    with serving((200, {"Content-Type": kind}, '{"a": "\u00e5"}'.encode() + b"\n")) as (url, _):
        client = client_of(url)
        assert client.get("x") == {"a": "\u00e5"}
        client.close()


def test_bytes_that_are_no_utf_8_become_the_sign_for_it():
    with serving(ok(b'{"a": "\xff"}', **{"Content-Type": "application/json; charset=klingon"})) as (url, _):
        client = client_of(url)
        assert client.get("x") == {"a": "\ufffd"}
        client.close()


def test_a_post_sends_json_or_a_form():
    with serving(ok([1])) as (url, asked):
        client = client_of(url)
        assert client.post("p", {"a": [1]}) == [1]
        client.post("p", form={"query": "a b"})
        client.post("p")
        client.close()
    assert [(method, json.loads(sent)) for method, _, _, sent, _ in (asked[0], asked[2])] == [
        ("POST", {"a": [1]}),
        ("POST", {}),
    ]
    assert asked[1][3] == "query=a+b"
    assert len(client.keep.getvalue().splitlines()) == 3


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_again_after_longer_and_longer_waits(status):
    waits = []
    with serving((status, {}, {}), (status, {}, {}), ok({"fine": True})) as (url, asked):
        client = client_of(url, waits=waits)
        assert client.get("x") == {"fine": True}
        client.close()
    assert (waits, len(asked)) == ([1, 2], 3)


def test_a_server_that_keeps_failing_is_given_up():
    error, waits, asked = refused((503, {}, {}))
    assert (asked, error.status) == (ATTEMPTS, 503)
    assert waits == [1, 2, 4, 8]
    assert "Source 'my-meter'" in str(error)
    assert "answered 503 Service Unavailable." in str(error)


def test_a_server_says_how_long_to_wait():
    waits = []
    with serving((429, {"Retry-After": "7"}, {}), ok(1)) as (url, _):
        client = client_of(url, waits=waits)
        assert client.get("x") == 1
        client.close()
    assert waits == [7]


def test_a_wait_that_is_a_date_is_no_number_and_the_usual_wait_is_taken():
    waits = []
    with serving((429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, {}), ok(1)) as (url, _):
        client = client_of(url, waits=waits)
        client.get("x")
        client.close()
    assert waits == [1]


def test_a_server_that_wants_too_long_a_wait_ends_the_pull():
    error, waits, asked = refused((429, {"Retry-After": "3600"}, {}))
    assert (waits, asked) == ([], 1)
    assert "asks to come back in 3600 seconds." in str(error)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "401 Unauthorized"),
        (403, "403 Forbidden"),
        (404, "404 Not Found"),
        (302, "302 Found"),
        (400, "400 Bad Request"),
    ],
)
def test_a_refusal_is_told_at_once(status, said):
    error, waits, asked = refused((status, {"Location": "http://example.invalid/"}, {"secret": "body"}))
    assert (waits, asked, error.status) == ([], 1, status)
    assert f"answered {said}." in str(error)
    assert "secret" not in str(error)
    assert "the credentials in the environment" in error.fix


def test_a_server_that_never_answers_is_left_after_its_time():
    error, _, asked = refused(5.0, timeout=0.3)
    assert (asked, error.status) == (ATTEMPTS, None)
    assert "did not give its whole answer in 0.3 seconds (the option timeout_seconds)." in str(error)


class Dripping(BaseHTTPRequestHandler):
    """Gives out its server's text, byte after byte, each well within the time-out, and never an end."""

    def do_GET(self):
        self.wfile.write(self.server.first)
        with suppress(OSError):  # the client left
            while True:
                self.wfile.write(b" ")
                time.sleep(0.02)

    def log_message(self, *words):
        """Nothing."""


@contextmanager
def dripping(first):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    server.first, server.daemon_threads = first, True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


DRIPS = {
    "body": b"HTTP/1.1 200 OK\r\n\r\n[1,",
    "headers": b"HTTP/1.1 200 OK\r\nX-Long: ",
    "packed": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + b"\x1f\x8b\x08\x08" + bytes(6),
}


@pytest.mark.parametrize("first", DRIPS.values(), ids=DRIPS)
def test_a_server_that_drips_is_left_after_the_time_of_a_whole_answer(monkeypatch, first):
    monkeypatch.setattr(clients, "ATTEMPTS", 2)
    waits = []
    with dripping(first) as url:
        client = client_of(url, waits=waits, timeout=0.3)
        begun = time.monotonic()
        with pytest.raises(MeterUnreachable) as error:
            client.get("x")
        took = time.monotonic() - begun
    assert (0.6 <= took < 10, waits, client.keep.getvalue()) == (True, [1], "")
    assert "did not give its whole answer in 0.3 seconds (the option timeout_seconds)." in str(error.value)


def test_an_answer_that_came_too_late_is_asked_for_again_and_read():
    waits = []
    with serving(5.0, ok([1])) as (url, asked):
        client = client_of(url, waits=waits, timeout=1.0)
        assert client.get("x") == [1]
        client.close()
    assert (len(asked), waits) == (2, [1])


def test_an_address_where_nobody_listens_is_told():
    with serving(ok(1)) as (url, _):
        pass
    client = client_of(url)
    with pytest.raises(MeterUnreachable, match=r"did not answer \(ConnectError\)"):
        client.get("x")
    client.close()


@pytest.mark.parametrize("text", [b"<html>Sign in</html>", b"", b'{"a": ', b"[" * 100_000])
def test_an_answer_that_is_no_json_is_told_and_not_kept(text):
    error, _, asked = refused(ok(text))
    assert asked == 1
    assert "answered with something that is no JSON." in str(error)
    assert "Sign in" not in str(error)


def test_an_answer_that_is_too_large_is_told(monkeypatch):
    monkeypatch.setattr(clients, "LARGEST_ANSWER", 2 * 1024 * 1024)
    error, _, _ = refused(ok(b'"' + b"x" * (2 * 1024 * 1024) + b'"'))
    assert "answered with more than 2 MiB." in str(error)


def test_an_answer_that_grows_too_large_when_unpacked_is_told(monkeypatch):
    monkeypatch.setattr(clients, "LARGEST_ANSWER", 2 * 1024 * 1024)
    bomb = gzip.compress(b" " * (3 * 1024 * 1024) + b"1")
    error, _, _ = refused(ok(bomb, **{"Content-Encoding": "gzip"}))
    assert "answered with more than 2 MiB." in str(error)


def test_an_answer_that_cannot_be_unpacked_is_told():
    error, _, _ = refused(ok(b"not gzip", **{"Content-Encoding": "gzip"}))
    assert "did not answer (DecodingError)." in str(error)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "127.0.0.1:9", "http://[::1", "http://127.0.0.1:99999999"])
def test_an_address_that_is_none_is_told(url):
    client = client_of(url)
    with pytest.raises(MeterUnreachable, match="Source 'my-meter'"):
        client.get("x")
    client.close()


# --- secrets ----------------------------------------------------------------------------------------------------------


def credentials(monkeypatch, *, basic):
    monkeypatch.setenv("APPORTION_MY_METER_TOKEN", "" if basic else SECRETS[0])
    if basic:
        monkeypatch.setenv("APPORTION_MY_METER_USER", "ada")
        monkeypatch.setenv("APPORTION_MY_METER_PASSWORD", SECRETS[1])


@pytest.mark.parametrize("basic", [False, True])
@pytest.mark.parametrize(
    "script", [(401, {}, {}), (503, {}, {}), ok(b"no json"), 0.3], ids=["401", "503", "text", "silence"]
)
def test_no_secret_is_in_an_error_or_in_what_is_kept(monkeypatch, script, basic):
    credentials(monkeypatch, basic=basic)
    with serving(script) as (url, _):
        client = client_of(url.replace("://", "://ada:s3cret-token@"), timeout=0.1, headers={"X-Key": SECRETS[2]})
        with pytest.raises(MeterUnreachable) as error:
            client.get("x")
        client.close()
    told = f"{error.value} {error.value.fix} {client.keep.getvalue()}"
    assert not [secret for secret in SECRETS if secret in told]


@pytest.mark.parametrize(
    ("basic", "expected"), [(False, "Bearer s3cret-token"), (True, "Basic YWRhOnMzY3JldC1wYXNzd29yZA==")]
)
def test_credentials_of_the_environment_are_sent_and_not_kept(monkeypatch, basic, expected):
    credentials(monkeypatch, basic=basic)
    with serving(ok({"a": 1})) as (url, asked):
        client = client_of(url, headers={"X-Key": SECRETS[2]})
        client.get("x")
        client.close()
    assert (asked[0][4]["Authorization"], asked[0][4]["X-Key"]) == (expected, SECRETS[2])
    assert not [secret for secret in SECRETS if secret in client.keep.getvalue()]


@pytest.mark.parametrize("token", ["s3cret-t\u00f6ken", "s3cret-token\n", "s3cret\u2028token"])
def test_a_token_that_cannot_be_sent_is_told_by_its_variable_alone(monkeypatch, token):
    monkeypatch.setenv("APPORTION_MY_METER_TOKEN", token)
    with serving(ok(1)) as (url, asked), pytest.raises(ConfigError) as error:
        client_of(url).get("x")
    assert asked == []
    assert str(error.value) == (
        "environment: APPORTION_MY_METER_TOKEN: The token holds a character that cannot be sent (a line end, or one "
        "beyond ASCII). Set the variable again, to the token alone."
    )


def test_a_user_and_a_password_may_hold_any_character(monkeypatch):
    monkeypatch.delenv("APPORTION_MY_METER_TOKEN", raising=False)
    monkeypatch.setenv("APPORTION_MY_METER_USER", "\u00e5sa")
    monkeypatch.setenv("APPORTION_MY_METER_PASSWORD", "\u00f6l")
    with serving(ok(1)) as (url, asked):
        client = client_of(url)
        client.get("x")
        client.close()
    assert asked[0][4]["Authorization"] == "Basic w6VzYTrDtmw="


def test_without_credentials_none_are_sent(monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("APPORTION_MY_METER_TOKEN", raising=False)
    with serving(ok(1)) as (url, asked):
        client = client_of(url)
        client.get("x")
        client.close()
    assert "Authorization" not in asked[0][4]


@given(st.text(min_size=1, max_size=20))
def test_the_names_of_variables_hold_nothing_that_a_shell_refuses(source_id):
    assert set(env_prefix(source_id)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def test_an_address_without_scheme_says_how_to_write_it():
    with pytest.raises(MeterUnreachable, match="it begins with http:// or https://"):
        client_of("mlflow.local").get("x")
