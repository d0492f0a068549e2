"""Lists of objects from the Kubernetes API: sign-in, discovery, pages.

With the option `url` (a `kubectl proxy`, or an API server and `APPORTION_<ID>_TOKEN`) nothing else is needed. Without
it the official client says address and credentials, as kubectl would find them: kubeconfig (its current context, or
the option `context`; exec plug-ins too), else the service account of the pod. Its extra is `kubernetes`.

Lists come in pages; a page token that has expired (410) starts the list again, once: `things` takes the later copy.
Kinds that the cluster does not know are not asked for. A list shows what exists now: each pull is kept for itself.

Source: Kubernetes API concepts, "Retrieving large results sets in chunks" and "Discovery"; kubernetes-client/python.
"""

from __future__ import annotations

import os
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apportion.errors import MeterUnreachable, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from apportion.core.config import SourceConfig
    from apportion.sources.readings.client import Client

PAGE = 500
"""Objects of one page."""
CORE = ("pods", "nodes", "persistentvolumeclaims", "persistentvolumes")
"""Resources of the core API that every source of objects needs."""
SIGN_IN = "kubeconfig or service account"


def lists(client: Client, config: SourceConfig, wanted: dict[str, frozenset[str]]) -> Iterable[object]:
    """All pages of the core resources and of the wanted ones (API group -> resources) that the cluster knows.

    Raises `MissingExtra` without the official client, `MeterUnreachable` where no credentials are found.
    """
    if not config.options.get("url"):
        _sign_in(client, config)
    for resource in CORE:
        yield from _pages(client, f"api/v1/{resource}")
    for group in client.get("apis").get("groups") or []:
        if group.get("name") in wanted:
            yield from _group(client, group, wanted[group["name"]])


def _group(client: Client, group: dict[str, Any], wanted: frozenset[str]) -> Iterator[object]:
    """The wanted resources of a group, each in its first version: the preferred one, then as the cluster lists them."""
    preferred = (group.get("preferredVersion") or {}).get("groupVersion")
    versions = [one["groupVersion"] for one in group.get("versions") or []]
    asked: set[str] = set()
    for version in sorted(versions, key=lambda one: one != preferred):
        held = client.get(f"apis/{version}").get("resources") or []
        new = {one["name"] for one in held if one.get("name") in wanted and "list" in (one.get("verbs") or [])}
        for resource in sorted(new - asked):
            yield from _pages(client, f"apis/{version}/{resource}")
        asked |= new


def _pages(client: Client, path: str) -> Iterator[object]:
    again, seen = True, set[str]()
    asked: dict[str, Any] = {"limit": PAGE}
    while True:
        try:
            found = client.get(path, asked)
        except MeterUnreachable as error:
            if error.status != HTTPStatus.GONE or "continue" not in asked or not again:
                raise
            again, seen, asked = False, set(), {"limit": PAGE}
            continue
        yield found
        token = (found.get("metadata") or {}).get("continue")
        if not token:
            return
        if token in seen:
            what = "names a page as the next one that was read already"
            raise MeterUnreachable(source=client.source_id, url=f"{client.url.rstrip('/')}/{path}", what=what)
        seen.add(token)
        asked = {"limit": PAGE, "continue": token}


def _sign_in(client: Client, config: SourceConfig) -> None:
    """Address, credentials and certificates of the client, as the official client finds them."""
    try:
        from kubernetes import client as official
        from kubernetes import config as kubeconfig
    except ImportError as error:
        raise MissingExtra("Signing in to Kubernetes", "kubernetes") from error
    found = official.Configuration()
    context = config.options.get("context")
    places = os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    try:
        if any(Path(place).expanduser().exists() for place in places.split(os.pathsep)):
            kubeconfig.load_kube_config(places, context=context, client_configuration=found)
        else:
            kubeconfig.load_incluster_config(client_configuration=found)
    except Exception as error:  # noqa: BLE001 - a kubeconfig fails in any way, and its words may hold secrets
        named = f" (context '{context}')" if context else ""
        raise MeterUnreachable(
            source=client.source_id, url=SIGN_IN, what=f"gave no credentials{named}: {type(error).__name__}"
        ) from None
    bearer = found.auth_settings().get("BearerToken", {}).get("value")
    client.url = found.host
    client.headers = {**client.headers, **({"Authorization": bearer} if bearer else {})}
    client.tls = _tls(found)


def _tls(found: Any) -> ssl.SSLContext:  # noqa: ANN401 - the client has no types
    tls = ssl.create_default_context(cafile=found.ssl_ca_cert)
    if not found.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if found.cert_file:
        tls.load_cert_chain(found.cert_file, found.key_file)
    return tls
