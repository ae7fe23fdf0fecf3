"""Pages as one answer: modules put together, slots filled, one piece spliced in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voketag.http.whole_page import Markup, Spliced, data_block, filled, joined


def modules(folder: Path, *texts: str) -> list[Path]:
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"{number}.js")
        files[-1].write_text(text)
    return files


def test_modules_are_put_together(tmp_path: Path) -> None:
    files = modules(
        tmp_path,
        "export const one = 1;\nconst own = 2;\n",
        'import { one } from "./0.js";\nexport async function two() {\n  return one;\n}\n',
        'import {\n  one, two,\n} from "./0.js";\ntwo();\n',
    )
    assert joined(files) == (
        "const one = 1;\nconst own = 2;\nasync function two() {\n  return one;\n}\ntwo();\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("function one() {}\n", "declared in two modules"),
        ('import one from "./0.js";\n', "cannot be joined"),
        ('import { one } from "https://elsewhere.example/0.js";\n', "cannot be joined"),
        ("export default 1;\n", "cannot be joined"),
        ("export { one };\n", "cannot be joined"),
    ],
)
def test_what_would_mean_something_else_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        joined(modules(tmp_path, "export const one = 1;\n", text))


def test_what_is_filled_in_is_text_and_not_looked_at_again() -> None:
    values = {"a": '<b>"&{{c}}', "b.c": Markup("<i>{{a}}</i>"), "c": "never"}
    assert filled("{{a}}|{{b.c}}|{ {a}}", values) == (
        "&lt;b&gt;&quot;&amp;{{c}}|<i>{{a}}</i>|{ {a}}"
    )
    with pytest.raises(KeyError):
        filled("{{unknown}}", values)


def test_no_text_ends_a_data_block() -> None:
    value = {"text": "</script><!--<script>\u2028"}
    block = data_block(value)
    assert "<" not in block
    assert json.loads(block) == value


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=80))
def test_a_spliced_text_is_one_gzip_stream(before: bytes, behind: bytes, piece: bytes) -> None:
    text = Spliced(before, behind)
    for one in (piece, b"", piece[::-1]):
        assert text.plain(one) == before + one + behind
        assert gzip.decompress(text.gzip(one)) == text.plain(one)
