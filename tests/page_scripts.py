"""The scripts of the pages, run by Node exactly as the pages have them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from producers.page_words import PAGES
from voketag.http.whole_page import joined

_RUN = """
import {{ readFileSync }} from "node:fs";
const given = JSON.parse(readFileSync(0, "utf8"));
const words_block = {{ textContent: JSON.stringify(given.words ?? null) }};
const document = {{ getElementById: () => words_block }};
{script}
process.stdout.write(JSON.stringify({expression}));
"""


def in_node(folder: Path, scripts: Iterable[str], expression: str, given: Any) -> Any:
    """The value of an expression over the names of `scripts` and `given`, which is JSON."""
    script = joined(PAGES / f"{name}.js" for name in scripts)
    program = folder / "program.mjs"
    program.write_text(_RUN.format(script=script, expression=expression), encoding="utf-8")
    node = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    done = subprocess.run(
        [node, str(program)], input=json.dumps(given), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
