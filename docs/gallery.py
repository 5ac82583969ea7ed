"""The gallery: a page for each experiment, which is run small when the documents are built."""

import ast
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conclusions import CONCLUSIONS

__all__ = ["write_pages"]

ROOT = Path(__file__).parents[1]

# Speed is no result of a small run on a machine that builds documents; kills take minutes.
NOT_RUN = {"throughput", "torture"}

FOLDER = "gallery"


def write_pages(app) -> None:
    """A page for each experiment, where there is none yet; Sphinx calls this before it reads."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(exist_ok=True)
    todo = [name for name in _experiments() if not (folder / f"{name}.md").exists()]
    # Two at a time, as each keeps about one core busy.
    with ThreadPoolExecutor(2) as threads:
        for name, page in zip(
            todo, threads.map(lambda each: _page(each, folder), todo), strict=True
        ):
            (folder / f"{name}.md").write_text(page)
    pages = "\n".join(sorted(_experiments()))
    (folder / "index.md").write_text(INDEX.format(pages=pages))


INDEX = """\
# Gallery

Each experiment answers one question. The pictures here are of small runs (`--smoke`), made when
this page was built; without that flag the runs are those of the course and of the papers. What each
says is checked against the numbers of the run that is shown.

Two programs answer a question of your own: `python -m experiments.audit` judges the start
of your model, as the [guide](../guide/audit.md) has it, and `python -m experiments.page` writes the
page in which two starts train side by side in a browser.

```{{toctree}}
:maxdepth: 1

{pages}
```
"""

PAGE = """\
# {name}

**{title}**

{rest}

```bash
python -m experiments.{name}
```

## What it says

{says}
{shown}
"""


def _experiments() -> list[str]:
    folders = (ROOT / "experiments").glob("*/__main__.py")
    return sorted(path.parent.name for path in folders)


def _page(name: str, folder: Path) -> str:
    source = (ROOT / "experiments" / name / "experiment.py").read_text()
    title, _, rest = str(ast.get_docstring(ast.parse(source))).partition("\n")
    # The command stands in a block of its own.
    rest = re.sub(r"^    python -m .*\n", "", rest, flags=re.MULTILINE).strip()
    shown = "" if name in NOT_RUN else _shown(name, folder)
    says = CONCLUSIONS[name].text
    return PAGE.format(title=title.rstrip("."), rest=rest, name=name, says=says, shown=shown)


def _shown(name: str, folder: Path) -> str:
    """What a small run says and draws."""
    out = folder / name
    command = [sys.executable, "-m", f"experiments.{name}", "--smoke", "--out", str(out)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    # 1 is the verdict of a check, and few seeds may fail one.
    if said.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(command)} exits {said.returncode}:\n{said.stderr}")
    holds = CONCLUSIONS[name].holds
    if holds is None or not holds(json.loads((out / "summary.json").read_text())):
        raise RuntimeError(f"{' '.join(command)} does not say: {CONCLUSIONS[name].text}")
    # The last line says where this machine keeps the results.
    lines = [line for line in said.stdout.strip().split("\n") if str(out) not in line]
    table = "\n".join(["```text", *lines, "```"])
    return f"\nA small run, `--smoke`, shows\n\n![{name}]({name}/figure.png)\n\n{table}\n"
