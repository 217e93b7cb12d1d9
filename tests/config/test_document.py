from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegw_sidecar.config.document import LIMIT_BYTES, parse
from voicegw_sidecar.errors import ConfigError

BOUNDS = "expected at most 100000 values and 32 levels"
TAG = "found a tag; text that begins with ! needs quotes"


def merge_bomb() -> bytes:
    lines = ["a: &m0 {k0: 1, k1: 2}"]
    lines += [f"b{level}: &m{level} {{<<: [{', '.join([f'*m{level - 1}'] * 10)}]}}" for level in range(1, 9)]
    return "\n".join(lines).encode()


def alias_bomb() -> bytes:
    lines = ["a: &m0 [x, x]"]
    lines += [f"b{level}: &m{level} [{', '.join([f'*m{level - 1}'] * 10)}]" for level in range(1, 9)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a: [1", "line 1, column 6: expected ',' or ']', but got '<stream end>'"),
        (b"a:\n\t- b", "line 2, column 1: found character '\\t' that cannot start any token"),
        (
            b"a: {b: ${C}}",
            "line 1, column 9: expected ',' or '}', but got '{'; inside braces or brackets a ${NAME} needs quotes",
        ),
        (b"a: 1\nb: 2\na: 3", 'line 3, column 1: the key "a" is given twice, first on line 1'),
        (b"p: {a: 1, 'a': 3}", 'line 1, column 11: the key "a" is given twice, first on line 1'),
        (b"a: 1\n---\nb: 2", "line 2, column 1: expected one document, found another"),
        (b"? [a]\n: 1", "line 1, column 3: expected text as a key, got a list or mapping"),
        (
            b"key: *hunter2",
            "line 1, column 6: found an alias that no anchor defines; text that begins with * needs quotes",
        ),
        (b"key: !hunter2 x", f"line 1, column 6: {TAG}"),
        (b"key: !!python/object/apply:os.system [ls]", f"line 1, column 6: {TAG}"),
        (b"key: !a!hunter2 x", f"line 1, column 6: {TAG}"),
        (b"key: !!binary aGk=", f"line 1, column 6: {TAG}"),
        (b"key: !!set {a, b}", f"line 1, column 6: {TAG}"),
        (b"key: !!int x", "line 1, column 6: expected a number or yes/no value; text needs quotes"),
        (b"key: !!bool x", "line 1, column 6: expected a number or yes/no value; text needs quotes"),
        (
            b"key: 9" + b"9" * 5000,
            "line 1, column 6: expected a number or yes/no value; text needs quotes",
        ),
        (b"a: 1\nb: \x01", "line 2: expected text, got a control character"),
        (b"a: 1\nb: \xff", "line 2: expected UTF-8 text, got other bytes"),
        (b"#" * (LIMIT_BYTES + 1), "expected at most 1048576 bytes, got more"),
        (b"[" * 100_000, f"line 1, column 32: {BOUNDS}"),
        (b"a: &a [*a]", f"line 1, column 4: {BOUNDS} with aliases expanded"),
        (b"a: &a {<<: *a}", f"line 1, column 4: {BOUNDS} with aliases expanded"),
        (alias_bomb(), "line "),
        (merge_bomb(), "line "),
        (b"a: {<<: 1}", "line 1, column 9: expected a mapping, or a list of mappings, to merge"),
        (b"[" + b"1," * 100_001 + b"]", "line 1, column "),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_text_that_is_no_plain_yaml_is_refused_in_one_line(content, reason):
    with pytest.raises(ConfigError) as refused:
        parse(content, "voicegw.yaml")

    assert refused.value.path == "voicegw.yaml"
    assert refused.value.reason == reason or (reason.endswith(" ") and refused.value.reason.startswith(reason))
    assert "\n" not in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"", None),
        (b"# nothing but a comment\n", None),
        (b"\xef\xbb\xbfa: 1", {"a": 1}),
        (b"007: no\nno: 2024-01-01", {"007": False, "no": "2024-01-01"}),
        (b"a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}", {"a": {"k": 1, "l": 2}, "b": {"k": 3, "l": 2}}),
        (b"b: {<<: [{k: 1}, {k: 2, l: 2}]}", {"b": {"k": 1, "l": 2}}),
        (b"a: &x [1, 2.5, ~]\nb: *x", {"a": [1, 2.5, None], "b": [1, 2.5, None]}),
    ],
)
def test_plain_yaml_becomes_plain_values(content, value):
    assert parse(content, "voicegw.yaml") == value


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet="ab:-[]{}&*!<>|#'\"\n\t ?,%@1.0~_", max_size=60).map(str.encode))
def test_any_bytes_are_parsed_or_refused(content):
    with contextlib.suppress(ConfigError):
        parse(content, "voicegw.yaml")
