"""Command lines that must be refused, by binary; `python -m tests.command_lines` runs them all."""

import contextlib
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import flags

ROOT = Path(__file__).parent.parent

LONG = "9" * 5000
LINES = {
    "random_initialization": [
        ("--hidden=1000000000000", "--hidden"),
        ("--hidden=0", "--hidden"),
        ("--hidden=-4", "--hidden"),
        ("--hidden=four", "--hidden"),
        ("--hidden=4.0", "--hidden"),
        ("--hidden=", "--hidden"),
        (f"--hidden={LONG}", "--hidden"),
        ("--hidden=10000000 --block=1024 --seeds=1024", "GiB of memory"),
        ("--seeds=99999999999999", "--seeds"),
        ("--seeds=1e5", "--seeds"),
        ("--scale=1e39", "float32 can hold"),
        ("--scale=0,1e-50", "float32 can hold"),
        ("--scale=0.1,0.10000000001", "holds a number twice"),
        ("--scale=0.1,-1", "finite numbers of at least 0, got '-1'"),
        ("--scale=nan", "finite numbers of at least 0, got 'nan'"),
        ("--scale=big", "finite numbers of at least 0, got 'big'"),
        ("--scale=0,", "finite numbers of at least 0, got ''"),
        ("--scale=", "finite numbers of at least 0, got none"),
        ("--learning_rate=1e39", "float32 can hold"),
        ("--learning_rate=inf", "finite number of at least 0"),
        ("--trained_fraction=-0.5", "finite number of at least 0"),
        ("--activation=", "'' is none of"),
        ("--activation=tahn", "did you mean 'tanh'?"),
        ("--activation=tanh,relu", "is none of"),
        ("--activation=$\\alpha$", "is none of"),
        ("--activation=\x1b[31mtanh", "\\x1b[31mtanh"),
        ("--activation=a\\b", "is none of"),
        ("--activation=tanh\ntanh", "is none of"),
        ("--activation=\u202etanh", "\\u202etanh"),
        ("--steps=25 --every=10", "steps must be a multiple"),
        ("--steps=3000000000", "--steps"),
        ("--block=3", "--block must divide 16"),
        ("--block=-16", "--block must divide 16"),
        ("--block=0", "--block must divide 16"),
        ("--figures_only", "there are none"),
        ("--figures_only=maybe", "--figures_only"),
        ("--smoke=2", "--smoke"),
        ("--no_such_flag", "no_such_flag"),
        ("--hiden=4", "hidden"),
        ("--flagfile={tmp}/nowhere", "nowhere"),
        ("--verbosity=loud", "--verbosity"),
        ("extra", "unknown arguments: extra"),
        ("--out=", "--out must name a folder"),
        ("--out={tmp}/file", "must be a folder"),
        ("--out={tmp}/file/deeper/still", "must be a folder"),
        ("--out={tmp}/dangling", "does not exist"),
        ("--out={tmp}/dangling/deeper", "does not exist"),
        ("--out={tmp}/thesis", "holds other files"),
        ("--out={tmp}/others", "holds results of 'saturation'"),
        ("--out=s3://bucket/results", "folder of this machine"),
        ("--out=file:///tmp/results", "folder of this machine"),
        ("--sweeps=ftp://bucket/results", "--sweeps: out must be a folder's path or begin with"),
        ("--sweeps=s3:///results", "--sweeps: out must be s3://bucket/prefix"),
        (f"--out={{tmp}}/{'long' * 100}", "File name too long"),
        ("--out={tmp}/list", "no JSON object"),
        ("--out={tmp}/text", "cannot be read"),
        ("--out={tmp}/bytes", "cannot be read"),
        ("--out={tmp}/nested", "cannot be read"),
        ("--out={tmp}/folder", "cannot be read"),
        ("--out={tmp}/empty", "cannot be read"),
        ("--out={tmp}/nobody", "does not say 'experiment'"),
        ("--figures_only --out={tmp}/list", "no JSON object"),
        ("--figures_only --out={tmp}/noflags", "does not say 'flags'"),
        ("--figures_only --out={tmp}/nonsense", "--hidden cannot be 'abc'"),
        ("--figures_only --out={tmp}/huge", "--hidden cannot be 1000000000000"),
        ("--figures_only --out={tmp}/kinds", "--scale cannot be"),
        ("--figures_only --out={tmp}/begun", "there are no results at"),
        ("--figures_only --hidden=9 --out={tmp}/begun", "--hidden is 9 here"),
        ("--figures_only --scale=1 --out={tmp}/begun", "--scale is 1 here"),
        ("--figures_only --out={tmp}/half", "is damaged"),
        ("--figures_only --out={tmp}/lacking", "lacks what this version"),
        ("--figures_only --out={tmp}/flat", "is a file"),
    ],
    "saturation": [
        ("--activation=tanh,tanh", "holds a name twice"),
        ("--activation=,", "'' is none of"),
        ("--activation=tanh,zarr.json", "'zarr.json' is none of"),
        ("--early=0", "--early"),
        ("--steps=20 --early=15", "steps must be a multiple"),
        ("--hidden=9999999999", "--hidden"),
    ],
    "audit": [
        ("--model=", "--model must be package.module:factory, got ''"),
        ("--model=nowhere", "--model must be package.module:factory, got 'nowhere'"),
        ("--model=nowhere:net", "cannot be found"),
        ("--model=..:net", "cannot be found"),
        ("--model=math:pi", "must be a function"),
        ("--model=math:", "must be package.module:factory"),
        ("--model=math:sq\x07rt", "cannot be found"),
        ("--model=sys:exit", "must not exit"),
        ("--seeds=-1", "--seeds"),
        ("--seed=99999999999999999999", "--seed"),
    ],
    "zero_initialization": [
        ("--task=flowr", "did you mean 'flower'?"),
        ("--depth=100000", "integers from 1 to 10000"),
        ("--width=2.5", "integers from 1 to"),
        ("--width=5,5", "holds a number twice"),
        ("--runs=0", "--runs"),
    ],
    "what_breaks_symmetry": [
        ("--dropout=1", "at least 0 and under 1"),
        ("--minibatch=nan", "at least 0 and under 1"),
        ("--hidden=1", "--hidden"),
    ],
    "framework_defaults": [
        ("--size=64", "two sizes or more that 4 divides, got [64]"),
        ("--size=64,66", "two sizes or more that 4 divides"),
        ("--framework=torch,torch", "holds a name twice"),
        ("--framework=pytorch", "is none of"),
    ],
    "coordinate_check": [
        ("--width_case=muP", "did you mean 'muP SGD'?"),
        ("--width=8,8", "holds a number twice"),
        ("--width=8 --depth=2,4", "widths must hold at least two"),
        ("--seeds=1", "--seeds"),
    ],
    "theory_tables": [
        ("--sections=4", "--sections must be of 5, 6, 7, 8, got [4]"),
        ("--sections=", "got none"),
        ("--length_draws=1e6", "--length_draws"),
    ],
    "course_tables": [("--sections=0", "integers from 1"), ("--max_steps=-1", "--max_steps")],
    "symmetry_escape": [
        ("--dtype=", "got none"),
        ("--dtype=float16", "is none of"),
        ("--dtype=float32,float32", "holds a name twice"),
        ("--constant=1e39", "float32 can hold"),
        ("--steps=25 --every=10", "--steps must be a multiple of --every"),
    ],
    "phase_diagram": [
        ("--correlation=nan", "--correlation must be a number from"),
        ("--correlation=1", "--correlation must be a number from"),
        ("--most_sigma_w2=0", "--most_sigma_w2 must be above 0"),
        ("--depth=2", "--depth"),
    ],
    "signal_propagation": [
        ("--correlation=2", "--correlation must be a number from"),
        ("--sigma_w2=1", "--sigma_w2 and --sigma_b2 require each other"),
        ("--initializer=he_normal --sigma_w2=1 --sigma_b2=0", "are those of --initializer"),
        ("--width=10000000 --initializer=he_normal --activation=relu", "enough memory"),
        ("--share=1", "at least 0 and under 1"),
    ],
    "calibration": [
        ("--refiner=none,none", "holds a name twice"),
        ("--examples=1", "--examples"),
        ("--learning_rate=0.1,0.1", "holds a number twice"),
    ],
    "depth_constants": [
        ("--depth=0", "integers from 1 to 10000"),
        ("--examples=9999999999", "--examples"),
        ("--learning_rate=", "got none"),
    ],
    "initializer_zoo": [
        ("--initializer=he", "is none of"),
        ("--batch_size=0", "--batch_size"),
        ("--network=mlp,mlp", "holds a name twice"),
    ],
    "lab_results": [("--result=riddled", "mean 'riddling'?"), ("--seeds=1", "at least 2, for")],
    "trainability_map": [
        ("--x=sigma_v", "did you mean 'sigma_w'?"),
        ("--x=learning_rat_1", "did you mean 'learning_rate_1'?"),
        ("--x=sigma_w_3", "of one layer sigma_w_1 to learning_rate_2, got 'sigma_w_3'"),
        ("--x=offset --y=offset", "--x and --y must be different axes"),
        ("--span=1e-9", "must differ in float32"),
        ("--y=sigma_b", "requires --bias"),
        ("--y=depth --zoom=1", "--zoom requires axes of real numbers"),
        ("--published --steps=50", "got --steps too"),
        ("--dimensions --pixels=64,32", "one number of at least 16, got 64,32"),
    ],
    "transfer": [("--width=64", "two sizes, got [64]"), ("--text_width=15,30", "2 heads, got 15")],
    "published": [("--reproduction=lsuw", "did you mean 'lsuv'?"), ("--size=tiny", "is none of")],
    "throughput": [
        ("--size=2-3-1", "is none of"),
        ("--most_runs=10", "--most_runs"),
        ("--memory_gib=nan", "finite number of at least 0"),
    ],
}
"""`{binary: [(flags, what the line must say)]}`; {tmp} is the folder of `make_places`."""

COMMAND_LINES = [
    ("", "the command must be"),
    ("audit", "the command must be"),
    ("adit x", "the command must be"),
    ("audit nowhere", "must be package.module:factory, got 'nowhere'"),
    ("audit nowhere:net", "cannot be found"),
    ("audit .:net", "cannot be found"),
    ("audit sys:exit", "must not exit"),
    ("audit math:pi", "must be a function"),
    ("audit math:sqrt --seeds=-1", "--seeds"),
    ("audit math:sqrt --seeds=many", "--seeds"),
    ("audit math:sqrt --formt=json", "formt"),
    ("audit math:sqrt --format=yaml", "--format"),
    ("audit math:sqrt --select=satured", "did you mean 'saturated'?"),
    ("audit math:sqrt --ignore=$x$", "'$x$' is none of"),
    ("audit math:sqrt --baseline={tmp}/text/run.json", "cannot be read"),
    ("audit math:sqrt --baseline={tmp}/nested/run.json", "cannot be read"),
    ("audit math:sqrt --baseline={tmp}/thesis", "--baseline must be a file"),
    ("audit math:sqrt --baseline=", "--baseline must be a file"),
    ("audit math:sqrt --baseline={tmp}/no/file --write_baseline", "there is no folder"),
    ("audit math:sqrt --write_baseline", "requires --baseline"),
    ("explain no\x1b[31m", "\\x1b[31m"),
    ("explain a\\b", "is none of"),
    ("explain ''", "is none of"),
    ("explain satured", "did you mean 'saturated'?"),
]
"""The same of the command `initlab`."""

FLAGS_OF = {
    "noflags": {"experiment": "random_initialization"},
    "nobody": {"flags": {}},
    "others": {"experiment": "saturation", "flags": {}},
    "nonsense": {"experiment": "random_initialization", "flags": {"hidden": "abc"}},
    "huge": {"experiment": "random_initialization", "flags": {"hidden": 10**12}},
    "kinds": {"experiment": "random_initialization", "flags": {"scale": [0.1, 1]}},
    "begun": {"experiment": "random_initialization", "flags": {"hidden": 4, "scale": ["0"]}},
    "half": {"experiment": "random_initialization", "flags": {}},
    "lacking": {"experiment": "random_initialization", "flags": {}},
    "flat": {"experiment": "random_initialization", "flags": {}},
}


def make_places(tmp):
    """Folders and files that command lines name."""
    (tmp / "file").write_text("a file")
    (tmp / "dangling").symlink_to(tmp / "gone")
    (tmp / "thesis").mkdir()
    (tmp / "thesis" / "thesis.txt").write_text("mine")
    contents = {name: json.dumps(record) for name, record in FLAGS_OF.items()}
    contents |= {"list": "[]", "text": "no JSON", "nested": "[" * 100_000, "empty": ""}
    for name, text in contents.items():
        (tmp / name).mkdir()
        (tmp / name / "run.json").write_text(text)
    (tmp / "bytes").mkdir()
    (tmp / "bytes" / "run.json").write_bytes(b"\xff\xfe\x00")
    (tmp / "folder" / "run.json").mkdir(parents=True)
    (tmp / "half" / "results.zarr").mkdir()
    (tmp / "half" / "results.zarr" / "zarr.json").write_text('{"zarr_format": 3')
    (tmp / "lacking" / "results.zarr").mkdir()
    nothing = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    (tmp / "lacking" / "results.zarr" / "zarr.json").write_text(json.dumps(nothing))
    (tmp / "flat" / "results.zarr").write_text("")


def split(line, tmp):
    """A command line's arguments, of which one may be empty or hold a line break."""
    arguments = [each.replace("{tmp}", str(tmp)) for each in line.split(" ") if each]
    return ["" if each == "''" else each for each in arguments]


def tree(folder):
    """Every file and folder below, with the bytes of files."""
    return {
        path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))
    }


@contextlib.contextmanager
def loaded(name):
    """A binary's experiment and its own flags, with the common ones defined; all gone after."""
    module = f"experiments.{name}" if name == "audit" else f"experiments.{name}.experiment"
    if "." in name:
        module = name
    before, argv, main = set(flags.FLAGS), sys.argv, sys.modules["__main__"].__doc__
    sys.argv = [f"experiments.{name}"]
    from experiments.harness import launching

    try:
        experiment = importlib.import_module(module).EXPERIMENT
        yield experiment, launching.define_flags(experiment)
    finally:
        for flag in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, flag)
        sys.modules.pop(module, None)
        sys.argv, sys.modules["__main__"].__doc__ = argv, main


def call(experiment, own, arguments):
    """What a call in this process returns as its status, and says on stderr."""
    from experiments.harness import launching

    for flag in flags.FLAGS:
        flags.FLAGS[flag].unparse()
    flags.FLAGS.unparse_flags()
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            rest = launching.parse_flags(experiment.name, [experiment.name, *arguments])
            status = launching.run(experiment, own, rest)
        except SystemExit as end:
            status = end.code
    return status, said.getvalue()


def main():
    """Runs every line as a process of its own; says which are not refused as they must be."""
    began, wrong, count = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        tmp = Path(folder).resolve()
        make_places(tmp)
        before = tree(tmp)
        lines = [(f"experiments.{name}", *each) for name, rows in LINES.items() for each in rows]
        script = "import sys; from initlab.command import main; sys.exit(main())"
        for module, line, message in [*lines, *(("initlab", *each) for each in COMMAND_LINES)]:
            start = ["-c", script] if module == "initlab" else ["-m", module]
            given = split(line, tmp)
            if module != "initlab" and not any(each.startswith("--out") for each in given):
                given.append(f"--out={tmp / 'new' / 'results'}")
            ran = subprocess.run(
                [sys.executable, *start, *given],
                cwd=ROOT, capture_output=True, text=True, check=False,
                env=os.environ | {"XDG_CACHE_HOME": str(tmp.with_name(f"{tmp.name}.cache"))},
            )  # fmt: skip
            is_one_line = ran.stderr.count("\n") == 1 and message in ran.stderr
            is_right = (ran.returncode, ran.stdout) == (2, "") and is_one_line
            count += 1
            if not is_right or tree(tmp) != before:
                wrong += 1
                print(f"{module} {line[:80]!r}: status {ran.returncode}\n{ran.stderr[-2000:]}")
                if tree(tmp) != before:
                    print("  something was written:", set(tree(tmp)) ^ set(before))
                    shutil.rmtree(tmp / "new", ignore_errors=True)
    shutil.rmtree(f"{tmp}.cache", ignore_errors=True)
    print(f"{count} command lines, {wrong} wrong, {time.monotonic() - began:.0f} s")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
