#!/bin/sh
# A real MLflow server for the tests, in .venv/mlflow: its packages disagree with those of Apportion, so they live apart.
# Installs what requirements/mlflow.txt pins; a second call sees the stamp and ends at once. PYTHON names the interpreter.
set -eu
cd "$(dirname "$0")/.."
home=.venv/mlflow
lock=requirements/mlflow.txt
if [ -x "$home/bin/mlflow" ] && cmp -s "$lock" "$home/installed.txt"; then
    exit 0
fi
"${PYTHON:-python3}" -m venv --clear "$home"
"$home/bin/python" -m pip --disable-pip-version-check --no-input install --quiet --require-hashes -r "$lock"
cp "$lock" "$home/installed.txt"
