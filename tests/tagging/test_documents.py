from __future__ import annotations

import json
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from apportion.errors import UnreadableFile
from apportion.tagging import documents
from apportion.tagging.documents import Tagged, line_of, parse_yaml, read_documents


def read(tmp_path, text, name="x.yaml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_documents(path)


def refused(tmp_path, text, name="x.yaml"):
    with pytest.raises(UnreadableFile) as caught:
        read(tmp_path, text, name)
    return str(caught.value).removeprefix(str(tmp_path / name) + ": ")


TREES = st.recursive(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("abcno:# ", max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(TREES.filter(bool), max_size=3))
def test_what_a_yaml_writer_writes_reads_back(trees):
    text = yaml.safe_dump_all(trees, allow_unicode=True)
    if "&id" not in text:
        assert list(parse_yaml(text)) == [tree for tree in trees if tree != ""]


@given(TREES)
def test_json_read_as_yaml_is_the_same(tree):
    assert list(parse_yaml(json.dumps({"x": tree}, ensure_ascii=False))) == [{"x": tree}]


def test_scalars_stay_text(tmp_path):
    assert read(tmp_path, "a: no\nb: 010\nc: 12:30\nd: ~\ne:\nf: 1.0\n") == [
        {"a": "no", "b": "010", "c": "12:30", "d": "~", "e": "", "f": "1.0"}
    ]


def test_lines_of_keys_are_known_in_yaml_only(tmp_path):
    (table,) = read(tmp_path, "# note\na:\n  b: 1\n  c:\n    - d\n")
    assert (line_of(table, "a"), line_of(table["a"], "c"), line_of(table["a"], "zzz")) == (2, 4, 3)
    (table,) = read(tmp_path, '{"a": 1}', "x.json")
    assert line_of(table, "a") is None


def test_a_tag_of_its_own_is_kept_and_never_executed(tmp_path):
    text = "a: !Ref Team\nb: !Sub '${x}'\nc: !!python/object/apply:os.system ['touch /tmp/owned']\nd: !If [x, {e: f}]\n"
    (table,) = read(tmp_path, text)
    assert table["a"] == Tagged("!Ref", "Team")
    assert table["b"] == Tagged("!Sub", "${x}")
    assert table["c"] == ["touch /tmp/owned"]
    assert table["d"] == Tagged("!If", ["x", {"e": "f"}])


@pytest.mark.parametrize(("text", "said"), [
    ("a: &x 1\nb: *x\n", "has an anchor or alias, line 1. Write the value out in both places."),
    ("b: *x\n", "has an anchor or alias, line 1. Write the value out in both places."),
    ("a: 1\nb: 2\na: 3\n", "has the key 'a' twice in one mapping, line 3. Remove one of them."),
    ("? [a]\n: 1\n", "has a key that is not text, line 1. Write a plain key."),
    ("!x a: 1\n", "has a key that is not text, line 1. Write a plain key."),
    ("[" * 20_000, "is nested more than 100 deep, line 1. Write it flatter."),
    ("a: [1\n", "is not YAML (expected ',' or ']', but got '<stream end>', line 2). "
     "Mend it there; render templates first."),
    ("a: {{ .Values.x }}: {{ y }}\n", None),
    ("a: \x01\n", None),
])  # fmt: skip
def test_what_cannot_be_trusted_is_refused_with_its_line(tmp_path, text, said):
    found = refused(tmp_path, text)
    assert found == said if said else found.endswith("Mend it there; render templates first.") or "not text" in found


def test_an_alias_bomb_is_refused_at_once(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    start = time.perf_counter()
    assert refused(tmp_path, "\n".join(lines)).startswith("has an anchor or alias, line 1.")
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(("text", "said"), [
    ('{"a": 1, "a": 2}', "has the key 'a' twice in one object. Remove one of them."),
    ("{", "is not JSON (Expecting property name enclosed in double quotes, line 1). Write the file anew."),
    ('{"a": NaN}', "has NaN, which is not JSON. Write the file anew."),
    ("[" * 200_000, "is nested too deeply. Write the file anew."),
    ("", "is not JSON (Expecting value, line 1). Write the file anew."),
    (b"\xff\x00\x80", "is not UTF-8 text. Save it as UTF-8."),
])  # fmt: skip
def test_bad_json_is_refused(tmp_path, text, said):
    assert refused(tmp_path, text, "x.json") == said


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_any_windows_shell_are_read(tmp_path, encoding):
    assert read(tmp_path, '{"a": "é"}'.encode(encoding), "x.json") == [{"a": "é"}]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UnreadableFile) as caught:
        read_documents(tmp_path / "no.json")
    assert str(caught.value).endswith(
        "no.json: cannot be read (No such file or directory). Check the path and its permissions."
    )


def test_a_file_that_is_too_large_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "LARGEST_YAML", 2**20)
    assert refused(tmp_path, b"a" * (2**20 + 1)) == "is larger than 1 MiB. Check the parts of it one by one."


def test_several_documents_and_empty_ones(tmp_path):
    assert read(tmp_path, "---\na: 1\n---\n---\nb: 2\n...\n") == [{"a": "1"}, {"b": "2"}]
    assert read(tmp_path, "") == []
