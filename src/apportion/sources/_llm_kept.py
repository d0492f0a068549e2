"""What a pull keeps of LiteLLM's answers: all but prompts, answers of models and plain keys.

Where LiteLLM is told to store prompts, a row of the spend logs holds the whole request and its answer, and a gateway
may log a key as it is. Neither is of use here: the fields `CONTENT` are left out, at any depth and in JSON that stands
as text in a field, and a plain key becomes the SHA-256 that LiteLLM itself knows it by. All else stays as it came.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from apportion.errors import MeterUnreachable
from apportion.sources._llm_litellm import key_of
from apportion.sources.readings.answers import exact, kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apportion.sources.readings.client import Client

CONTENT = frozenset({"messages", "response", "proxy_server_request"})
_KEYS = frozenset({"api_key", "user_api_key"})
"""Fields that hold a key and nothing else, so that a short one is known too."""
_PLAIN_KEY = re.compile(r"(?<![\w-])sk-[\w-]{16,}")


def get(client: Client, path: str, params: Mapping[str, Any]) -> object:
    """The answer to `GET path`, kept by the client without prompts, answers of models and plain keys.

    Raises `MeterUnreachable` where the API fails, or nests values so deep that they cannot be looked through.
    """
    keep, client.keep = client.keep, io.StringIO()
    try:
        answer = client.get(path, params)
    finally:
        client.keep = keep
    try:
        found = without_contents(answer)
        text = json_text(found)
    except RecursionError as error:
        url = f"{client.url.rstrip('/')}/{path}"
        raise MeterUnreachable(
            source=client.source_id, url=url, what="answered with values within values without end"
        ) from error
    keep.write(kept(path, params, read_at=client.read_at, text=text))
    return found


def without_contents(value: object, name: str = "") -> object:
    """A JSON value (that of the field `name`) without prompts and answers of models, plain keys as their hashes.

    >>> without_contents({"api_key": "88dc", "messages": [{"content": "Dear bank"}], "metadata": '{"response": 1}'})
    {'api_key': '88dc', 'metadata': '{}'}
    """
    if isinstance(value, dict):
        return {key_of(key) or "": without_contents(each, key) for key, each in value.items() if key not in CONTENT}
    if isinstance(value, list):
        return [without_contents(each) for each in value]
    if not isinstance(value, str):
        return value
    if name in _KEYS:
        return key_of(value) or ""
    inner = _parsed(value)
    if isinstance(inner, dict | list):
        return json_text(without_contents(inner))
    return _PLAIN_KEY.sub(lambda found: hashlib.sha256(found[0].encode()).hexdigest(), value)


def json_text(value: object) -> str:
    """JSON of a value that `answers.exact` read, every number with the digits it came with.

    >>> json_text({"spend": [Decimal("0.1234567890123456789"), 1, None, True]})
    '{"spend": [0.1234567890123456789, 1, null, true]}'
    """
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)}: {json_text(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(json_text, value))}]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def _parsed(text: str) -> object:
    """The value of a text that is JSON of an object or a list, as some versions give the columns; else None."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return exact(text)
    except ValueError:
        return None
