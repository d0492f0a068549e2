"""A real MLflow server on loopback, of its own in .venv/mlflow, and a company's week written into it by REST."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port

COMMAND = Path(__file__).parents[2] / ".venv" / "mlflow" / "bin" / "mlflow"
LONGEST_START = 90
MISSING = f"{COMMAND} is missing: run scripts/install_mlflow.sh, which installs what requirements/mlflow.txt pins."


@contextmanager
def mlflow_server(folder):
    """The address of a server whose database and artifacts lie in `folder`; it is stopped at the end."""
    assert COMMAND.is_file(), MISSING
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [
                COMMAND, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
                "--artifacts-destination", str(folder / "store"),
            ],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "HOME": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
        )  # fmt: skip
        try:
            wait_for(url, server, folder / "server.log")
            yield url
        finally:
            os.killpg(server.pid, 15)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, 9)
                server.wait(20)


def wait_for(url, server, log):
    """Until the server answers; fails with its log after `LONGEST_START` seconds, or where it has ended."""
    for _ in range(LONGEST_START * 5):
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:  # noqa: S310 - loopback
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"MLflow did not start within {LONGEST_START} s: {log.read_text()}")


class Writer:
    """Writes to a server as MLflow's own client does."""

    def __init__(self, url):
        self.url = url

    def ask(self, method, path, body=None, *, raw=None):
        """The answer to one request below /api/2.0."""
        sent = raw if raw is not None else json.dumps(body or {}).encode()
        kind = "application/json" if raw is None else "application/octet-stream"
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.url}/api/2.0/{path}", method=method, data=sent, headers={"Content-Type": kind}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            return json.loads(answer.read() or b"{}")

    def experiment(self, name):
        return self.ask("POST", "mlflow/experiments/create", {"name": name})["experiment_id"]

    def run(self, experiment, name, start, end=None, *, status="FINISHED", tags=None):
        """A run's id; times in milliseconds since 1970. Without an end it stays RUNNING."""
        asked = {
            "experiment_id": experiment,
            "run_name": name,
            "start_time": start,
            "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()],
        }
        run_id = self.ask("POST", "mlflow/runs/create", asked)["run"]["info"]["run_id"]
        if end is not None:
            self.ask("POST", "mlflow/runs/update", {"run_id": run_id, "status": status, "end_time": end})
        return run_id

    def metric(self, run_id, key, points):
        """Observations (milliseconds, value) of one metric."""
        metrics = [{"key": key, "value": value, "timestamp": when, "step": 0} for when, value in points]
        self.ask("POST", "mlflow/runs/log-batch", {"run_id": run_id, "metrics": metrics})

    def artifact(self, address, path, size):
        """A file of `size` bytes below an `mlflow-artifacts:` address."""
        below = address.removeprefix("mlflow-artifacts:/").strip("/")
        self.ask("PUT", f"mlflow-artifacts/artifacts/{below}/{path}", raw=b"x" * size)

    def logged_model(self, experiment, name, run_id):
        """Id, address and creation time of a logged model."""
        asked = {"experiment_id": experiment, "name": name, "source_run_id": run_id}
        about = self.ask("POST", "mlflow/logged-models", asked)["model"]["info"]
        return about["model_id"], about["artifact_uri"], about["creation_timestamp_ms"]

    def registered(self, name, source, **origin):
        """A new version of a registered model, which is made where there is none; `origin`: run_id or model_id."""
        try:
            self.ask("POST", "mlflow/registered-models/create", {"name": name})
        except urllib.error.HTTPError as error:
            error.close()
        asked = {"name": name, "source": source, **origin}
        return self.ask("POST", "mlflow/model-versions/create", asked)["model_version"]["version"]
