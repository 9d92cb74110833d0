"""Runs scripts as scenarios, as the command line does."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

RUN = Path(__file__).resolve().parent.parent / "run"
# Units of the tests' own: what is looked at here is the runner, whatever the node's confinement is.
UNITS = Path(__file__).resolve().parent / "units"
# The identities of the dispatch scenario, so that a test needs no fingerprints of its own.
IDENTITIES = {
    "left": "ed25519:003acb2cd379fe85aee7f6d3133c377d27906e8be4cca95e8c65771cad5e2ec7",
    "right": "ed25519:5792920b37088d3cfb77174fdc82a1577555cd618deb8d4a3612069209ac3ad7",
}


def fleet_text(serve: bool) -> str:
    """A fleet of two machines that do not know each other."""
    text = 'description = "a test of the runner"\n'
    for name, fingerprint in IDENTITIES.items():
        text += (
            f'[machines.{name}]\nseed = "not a secret: alpn-dispatch {name}"\nfingerprint = "{fingerprint}"\n'
        )
        text += f"serve = {str(serve).lower()}\nsettings.call.enable = true\n"
    return text


def write_scenario(folder: Path, script: str, serve: bool = False, more: str = "") -> Path:
    """Makes the folder of a scenario; `more` goes to the end of its fleet."""
    folder.mkdir(parents=True)
    (folder / "fleet.toml").write_text(fleet_text(serve) + more)
    (folder / "test.py").write_text(textwrap.dedent(script))
    return folder


def command(folder: Path, *options: str) -> list[str]:
    """The command that runs a scenario."""
    timeout = [] if "--driver" in options else ["--timeout", "20"]
    return [sys.executable, str(RUN), *timeout, "--units", str(UNITS), *options, str(folder)]


def run(
    script: str, *options: str, serve: bool = False, more: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs a script on two machines, `left` and `right`."""
    with tempfile.TemporaryDirectory() as folder:
        scenario = write_scenario(Path(folder, "scenario"), script, serve, more)
        return subprocess.run(
            command(scenario, *options), capture_output=True, text=True, timeout=300, check=False
        )


def passes(script: str, *options: str, serve: bool = False, more: str = "") -> str:
    """Runs a script that has to succeed, and gives what was printed."""
    done = run(script, *options, serve=serve, more=more)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
