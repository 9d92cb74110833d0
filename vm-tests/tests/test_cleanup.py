"""Nothing is left on the host, however a run ends, and runs do not meet."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path

from tests.support import command, passes, write_scenario

PATIENCE = 20.0


def host() -> dict[str, list[str]]:
    """What a run could leave behind."""
    links = subprocess.run(
        ["ip", "-o", "link"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return {
        "links": sorted(line.split(":")[1] for line in links),
        "mounts": sorted(Path("/proc/self/mounts").read_text().splitlines()),
        "named namespaces": sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else [],
        "shared memory": sorted(os.listdir("/dev/shm")),
    }


def processes(marker: str) -> list[int]:
    """The processes that carry a marker in their command line."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and marker.encode() in Path("/proc", entry, "cmdline").read_bytes():
                found.append(int(entry))
        except OSError:
            continue
    return found


def until(condition: Callable[[], object]) -> bool:
    """Whether a condition comes to hold."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


class NothingIsLeft(unittest.TestCase):
    def setUp(self) -> None:
        self.before = host()

    def tearDown(self) -> None:
        self.assertEqual(host(), self.before)

    def test_after_a_run_of_which_the_host_sees_nothing(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            scenario = write_scenario(
                Path(folder, "scenario"), "start_all()\nleft.succeed('sleep 61.25')", True
            )
            running = subprocess.Popen(
                command(scenario), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            self.assertTrue(until(lambda: processes("sleep\x0061.25")))
            self.assertEqual(host(), self.before)
            running.send_signal(signal.SIGINT)
            self.assertEqual(running.wait(PATIENCE), 130)
            self.assertTrue(until(lambda: not processes("sleep\x0061.25")))

    def test_after_every_way_to_end_the_runner(self) -> None:
        for number, seconds in ((signal.SIGINT, 62.25), (signal.SIGTERM, 63.25), (signal.SIGKILL, 64.25)):
            marker = f"sleep\x00{seconds}"
            with self.subTest(number.name), tempfile.TemporaryDirectory() as folder:
                script = f"start_all()\nright.succeed('sleep {seconds} >/dev/null 2>&1 &')\nleft.succeed('sleep {seconds}')"
                scenario = write_scenario(Path(folder, "scenario"), script)
                running = subprocess.Popen(
                    command(scenario), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
                self.assertTrue(until(lambda: len(processes(marker)) >= 2))
                running.send_signal(number)
                running.wait(PATIENCE)
                self.assertTrue(until(lambda: not processes(marker) and not processes(folder)))

    def test_two_runs_at_once_do_not_meet(self) -> None:
        script = "start_all()\nleft.succeed('echo {0} > /var/lib/who')\nleft.succeed('sleep 2')\n"
        script += "assert left.succeed('cat /var/lib/who').strip() == '{0}'\nleft.wait_for_unit('alknet')\n"
        script += "assert left.succeed('hostname') == 'left\\n'"
        with tempfile.TemporaryDirectory() as folder:
            running = [
                subprocess.Popen(
                    command(write_scenario(Path(folder, str(number)), script.format(number), True)),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                for number in range(2)
            ]
            for process in running:
                output, _ = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 0, output)

    def test_what_is_kept_is_named(self) -> None:
        output = passes("left.succeed('echo kept > /var/lib/x')", "--keep")
        folder = Path(output.split("kept in ")[1].splitlines()[0])
        self.assertEqual((folder / "left/disk/var/lib/x").read_text(), "kept\n")
        self.assertTrue((folder / "left/console.log").exists())
        subprocess.run(["rm", "-rf", folder], check=True)


if __name__ == "__main__":
    unittest.main()
