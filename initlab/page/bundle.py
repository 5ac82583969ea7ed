"""ES modules joined into one classic script.

The page's sources are ES modules that a browser runs as they are. A page from a disk may load
none from beside it, and Chromium starts no worker there that is a module; so each travels
within the page, as a function of its own that returns what the module exports. The modules keep to
forms that need no parser, at the start of a line: `import { a, b } from "./file.js";`,
`export function`, `export async function`, `export const`.
"""

import graphlib
import posixpath
import re
from collections.abc import Mapping

__all__ = ["bundle", "find_workers"]

IMPORT = re.compile(r'^import(?:\s*\{([^}]*)\}\s*from)?\s*"([^"]+)";?', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?function\*? (\w+)|const (\w+))", re.MULTILINE)
WORKER = re.compile(r'new Worker\(new URL\("([^"]+)", import\.meta\.url\), \{ type: "module" \}\)')
OTHER = re.compile(r"^(?:import|export)\b.*|\bimport\.meta\b.*", re.MULTILINE)


def bundle(modules: Mapping[str, str], entry: str) -> str:
    """What a module and all that it imports do, as one classic script.

    Args:
      modules: each one's text by its path; they name each other by relative paths.
      entry: the path of the one that is run.

    Returns:
      A script. Where it starts a worker of another module, it asks `workerAddress(path)`, a global
      function, for the address of that one's bundle.

    Raises:
      ValueError: if a module names one that is not there, or itself over others, or is written in
        another form than those above.

    >>> modules = {"a.js": 'import { b } from "./b.js";', "b.js": "export const b = 1;"}
    >>> print(bundle(modules, "a.js"))
    "use strict";
    const modules = {};
    modules["b.js"] = (() => {
    const b = 1;
    return { b };
    })();
    modules["a.js"] = (() => {
    const { b } = modules["b.js"];
    return {  };
    })();
    """
    needs: dict[str, list[str]] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name not in needs:
            found = IMPORT.findall(modules[name])
            needs[name] = [_resolve(name, other, modules) for _, other in found]
            waiting += needs[name]
    try:
        order = [*graphlib.TopologicalSorter(needs).static_order()]
    except graphlib.CycleError as error:
        raise ValueError(f"modules must not import each other in a circle: {error}") from error
    pieces = ['"use strict";', "const modules = {};"]
    pieces += [_as_function(name, modules) for name in order]
    return "\n".join(pieces)


def find_workers(modules: Mapping[str, str]) -> list[str]:
    """The modules that others start as workers.

    Args:
      modules: as for `bundle`.

    Returns:
      Their paths, each once.

    >>> find_workers({"a.js": 'new Worker(new URL("./b.js", import.meta.url), { type: "module" })',
    ...               "b.js": ""})
    ['b.js']
    """
    return sorted(
        {
            _resolve(name, other, modules)
            for name, text in modules.items()
            for other in WORKER.findall(text)
        }
    )


def _resolve(name: str, other: str, modules: Mapping[str, str]) -> str:
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), other))
    if path not in modules:
        raise ValueError(f"{name} must name modules of the page, got {other}")
    return path


def _as_function(name: str, modules: Mapping[str, str]) -> str:
    def as_variables(found: re.Match) -> str:
        # Over several lines as it was, so that an error's line is the source's.
        names = f"const {{{found[1]}}} = " if found[1] is not None else ""
        return f'{names}modules["{_resolve(name, found[2], modules)}"];'

    def as_address(found: re.Match) -> str:
        return f'new Worker(workerAddress("{_resolve(name, found[1], modules)}"))'

    text = modules[name].rstrip("\n")
    exports = [function or constant for function, constant in EXPORT.findall(text)]
    text = WORKER.sub(as_address, EXPORT.sub("", IMPORT.sub(as_variables, text)))
    if left := OTHER.search(text):
        raise ValueError(
            f"{name} must import and export at the start of a line, by name, got {left[0]!r}"
        )
    return f'modules["{name}"] = (() => {{\n{text}\nreturn {{ {", ".join(exports)} }};\n}})();'
