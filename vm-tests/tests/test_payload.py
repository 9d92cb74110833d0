"""What is written for another driver, and how one is run. The driver here is a shell script, which looks at what it got."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

from runner import fleet
from runner.scenario import PRELUDE
from tests.support import RUN, UNITS, command, write_scenario

NEXT = "[machines.right.next.settings]\ncall.enable = true\nhttp.enable = true\n"


def payload(scenario: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs the command that writes a payload."""
    words = [sys.executable, str(RUN.parent / "payload"), str(scenario), str(folder), "--units", str(UNITS)]
    words += options
    return subprocess.run(words, capture_output=True, text=True, check=False)


class APayload(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.scenario = write_scenario(self.folder / "scenario", "left.succeed('true')\n", True, NEXT)
        self.root = self.folder / "out/root"

    def write(self, *options: str) -> str:
        done = payload(self.scenario, self.folder / "out", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_it_names_the_machines_and_has_the_script_as_it_is(self) -> None:
        self.assertEqual(self.write(), "left right\n")
        script = (self.folder / "out/script.py").read_text()
        self.assertEqual(script, PRELUDE.read_text() + (self.scenario / "test.py").read_text())

    def test_every_machine_has_its_own_node(self) -> None:
        self.write()
        machines = self.root / "usr/local/share/fleet"
        for name in ("left", "right"):
            document = tomllib.loads((machines / name / fleet.CONFIG_FILE[1:]).read_text())
            self.assertEqual(document["node"]["name"], name)
            seed = machines / name / fleet.SEED_FILE[1:]
            self.assertEqual(stat.S_IMODE(seed.stat().st_mode), 0o600)
            unit = (machines / name / "etc/systemd/system/alknet.service").read_text()
            self.assertIn("\nExecStart=/opt/alknet/1/bin/alknet serve ", unit)
        self.assertFalse((machines / "left/etc/next-generation").exists())
        unit = (machines / "right/etc/next-generation/alknet.service").read_text()
        self.assertIn("\nExecStart=/opt/alknet/2/bin/alknet serve ", unit)

    def test_what_is_laid_over_a_root_can_be_read_and_run_there_whatever_the_umask_is_here(self) -> None:
        umask = os.umask(0o077)
        try:
            self.write()
        finally:
            os.umask(umask)
        for folder, _, _ in os.walk(self.root):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o755, folder)
        for program in ("opt/alknet/1/bin/alknet", "opt/alknet/2/bin/alknet", "usr/local/bin/next-generation"):
            self.assertEqual(stat.S_IMODE((self.root / program).stat().st_mode), 0o755, program)
        done = subprocess.run(
            [self.root / "opt/alknet/2/bin/alknet", "--version"], capture_output=True, text=True, check=False
        )
        self.assertTrue(done.stdout.startswith("alknet "), done)

    def test_the_next_generation_can_have_another_program(self) -> None:
        newer = self.folder / "newer"
        newer.write_text("#!/bin/sh\necho alknet of tomorrow\n")
        newer.chmod(0o700)
        self.write("--next-alknet", str(newer))
        second = self.root / "opt/alknet/2/bin/alknet"
        self.assertEqual(second.read_text(), newer.read_text())
        self.assertEqual(stat.S_IMODE(second.stat().st_mode), 0o755)

    def test_a_folder_with_something_in_it_is_not_written_into(self) -> None:
        self.write()
        again = payload(self.scenario, self.folder / "out")
        self.assertEqual(again.returncode, 2)
        self.assertIn("is not empty", again.stderr)


class AnotherDriver(unittest.TestCase):
    def run_with(self, script: str) -> subprocess.CompletedProcess[str]:
        """Runs a scenario with a driver that is this script."""
        with tempfile.TemporaryDirectory() as folder:
            driver = Path(folder, "driver")
            driver.write_text(f"set -eu\n{script}\n")
            scenario = write_scenario(Path(folder, "scenario"), "left.succeed('true')\n")
            words = command(scenario, "--driver", f"bash '{driver}' 'of the lab'")
            return subprocess.run(words, capture_output=True, text=True, check=False)

    def test_it_gets_the_tree_the_script_and_the_names(self) -> None:
        done = self.run_with("""
            test "$1" = 'of the lab'; shift
            test -x "$1/usr/local/lib/fleet/boot"
            grep -qF "left.succeed('true')" "$2"
            test "$3 $4 $#" = 'left right 4'
            echo 'left: (finished: subtest: it works, in 1.25 seconds)'
            """)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("  ok       1.25 s  it works\n", done.stdout)
        self.assertNotIn("finished", done.stdout)
        self.assertRegex(done.stdout, r"scenario: ok, [\d.]+ s")

    def test_what_it_says_is_shown_if_it_fails(self) -> None:
        done = self.run_with("echo this is why >&2; exit 7")
        self.assertEqual(done.returncode, 1)
        self.assertIn("this is why", done.stdout)
        self.assertIn("scenario: FAILED", done.stdout)

    def test_options_that_would_have_no_effect_are_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            scenario = write_scenario(Path(folder, "scenario"), "")
            words = command(scenario, "--driver", "true", "--keep")
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("--keep and --timeout are for machines that are started here", done.stderr)

    def test_one_that_is_not_there_is_an_error_of_one_line(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            scenario = write_scenario(Path(folder, "scenario"), "")
            words = command(scenario, "--driver", f"{folder}/none")
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file or directory", done.stderr)
        self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
