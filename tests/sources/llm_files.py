"""What the tests of LLM usage share: the documented answers of `tests/data/llm`, and reading given content."""

import gzip
import json
from pathlib import Path

from apportion.core.config import SourceConfig
from apportion.sources.llm import SOURCE
from apportion.sources.readings.contract import Fault, RawFile, Sample

DOCUMENTED = Path(__file__).parents[1] / "data" / "llm"


def document(name):
    """A documented answer, as JSON."""
    return json.loads((DOCUMENTED / name).read_text())


def config(**options):
    return SourceConfig("llm", "llm", (), options=options)


def found(path, **options):
    """(samples, faults) of a file."""
    read = list(SOURCE.read(RawFile(Path(path), Path(path).name, None), config(**options)))
    return [each for each in read if isinstance(each, Sample)], [each for each in read if isinstance(each, Fault)]


def written(folder, content, name="usage.json"):
    """A file with this content: text as it is, all else as JSON; gzip by its name."""
    text = content if isinstance(content, str) else json.dumps(content)
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def read(folder, content, name="usage.json", **options):
    return found(written(folder, content, name), **options)


def quantities(samples):
    """Measure -> quantity of samples of one caller and hour."""
    assert len({(sample.workload.id, sample.start) for sample in samples}) == 1
    return {str(sample.measure): sample.quantity for sample in samples}


def by_workload(samples):
    """Id of the workload -> its samples."""
    groups = {}
    for sample in samples:
        groups.setdefault(sample.workload.id, []).append(sample)
    return groups


def spend_row(**changed):
    return {**document("litellm_spend_logs.json")[0], **changed}
