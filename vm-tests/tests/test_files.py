"""What is read and written: unit files, fleets, TOML, command lines, journal entries. Needs no namespaces."""

from __future__ import annotations

import inspect
import struct
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

from runner import fleet, toml
from runner.machine import Machine, retry
from runner.scenario import UNIT_FILE
from tests.support import IDENTITIES, fleet_text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "guest"))

import journal  # noqa: E402
import systemctl  # noqa: E402
import unit  # noqa: E402

# The parameters of the driver's methods and their defaults, as in nixos/lib/test-driver of nixpkgs.
DRIVER = {
    "block": "()",
    "copy_from_host": "(source, target)",
    "crash": "()",
    "execute": "(command, check_return=True, check_output=True, timeout=900)",
    "fail": "(*commands, timeout=None)",
    "is_up": "()",
    "log": "(msg)",
    "nested": "(msg)",
    "shutdown": "()",
    "start": "()",
    "succeed": "(*commands, timeout=None)",
    "systemctl": "(q, user=None)",
    "unblock": "()",
    "wait_for_closed_port": "(port, addr='localhost', timeout=900)",
    "wait_for_file": "(filename, timeout=900)",
    "wait_for_open_port": "(port, addr='localhost', timeout=900)",
    "wait_for_unit": "(unit, user=None, timeout=900)",
    "wait_until_fails": "(command, timeout=900)",
    "wait_until_succeeds": "(command, timeout=900)",
}


class TheDriversInterface(unittest.TestCase):
    def test_every_method_takes_what_the_drivers_takes(self) -> None:
        for name, wanted in DRIVER.items():
            signature = inspect.signature(getattr(Machine, name))
            plain = [
                parameter.replace(annotation=inspect.Parameter.empty)
                for parameter in list(signature.parameters.values())[1:]
            ]
            self.assertEqual(str(inspect.Signature(plain)), wanted, name)

    def test_a_retry_that_runs_out_of_time_asks_a_last_time(self) -> None:
        asked: list[bool] = []

        def never(last: bool) -> bool:
            asked.append(last)
            return False

        with self.assertRaisesRegex(Exception, "timed out after 0.1 seconds"):
            retry(never, 0.1)
        self.assertTrue(asked[-1])
        self.assertNotIn(True, asked[:-1])


class AUnitFile(unittest.TestCase):
    def test_the_nodes_own_is_understood(self) -> None:
        node = unit.parse("alknet.service", [UNIT_FILE.read_text(), fleet.DROP_IN])
        self.assertEqual(node.kind, "notify")
        self.assertEqual(node.exec_start[1:], ["serve", "--config", fleet.CONFIG_FILE])
        self.assertEqual(node.exec_reload, ["/bin/kill", "-HUP", "$MAINPID"])
        self.assertEqual((node.restart, node.restart_sec, node.timeout_stop), ("on-failure", 2, 30))
        self.assertEqual((node.umask, node.state_directory_mode), (0o077, 0o700))
        self.assertEqual(node.credentials, {"seed": Path(fleet.SEED_FILE)})

    def test_a_directive_that_nobody_knows_is_refused(self) -> None:
        with self.assertRaisesRegex(unit.UnitError, "ExecStartPre="):
            unit.parse("x.service", ["[Service]\nExecStart=/bin/true\nExecStartPre=/bin/true\n"])

    def test_an_empty_assignment_takes_back_the_earlier_ones(self) -> None:
        texts = [
            "[Service]\nExecStart=/bin/true\nEnvironment=A=1\n",
            "[Service]\nEnvironment=\nEnvironment=B=2\n",
        ]
        self.assertEqual(unit.parse("x.service", texts).environment, {"B": "2"})
        with self.assertRaisesRegex(unit.UnitError, "no ExecStart="):
            unit.parse("x.service", [texts[0], "[Service]\nExecStart=\n"])

    def test_time_spans(self) -> None:
        spans = {"30": 30, "2s": 2, "1min 30s": 90, "500ms": 0.5, "infinity": float("inf")}
        for text, wanted in spans.items():
            self.assertEqual(unit.seconds(text), wanted, text)
        self.assertRaises(unit.UnitError, unit.seconds, "soon")


class AFleet(unittest.TestCase):
    def load(self, text: str) -> fleet.Fleet:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "fleet.toml").write_text(text)
            return fleet.load(Path(folder))

    def test_a_peer_is_named_by_its_machine(self) -> None:
        text = fleet_text(True) + '[[machines.right.peers]]\nmachine = "left"\nscopes = ["tty:*"]\n'
        whole = self.load(text)
        document = tomllib.loads(fleet.config(whole, whole.machines["right"]))
        peer = {"id": "left", "fingerprints": [IDENTITIES["left"]], "scopes": ["tty:*"]}
        self.assertEqual(document["peers"], [peer])
        self.assertEqual((document["node"], document["call"]), ({"name": "right"}, {"enable": True}))

    def test_machines_are_numbered_by_name(self) -> None:
        machines = self.load(fleet_text(True)).machines
        self.assertEqual(
            (machines["left"].address, machines["right"].address), ("192.168.1.1", "192.168.1.2")
        )

    def test_a_seed_that_could_be_a_real_one_is_refused(self) -> None:
        with self.assertRaisesRegex(fleet.FleetError, 'begins with "not a secret: "'):
            self.load(fleet_text(True).replace("not a secret: ", ""))

    def test_errors_name_the_place(self) -> None:
        cases = {
            "surprise = 1": "has no key surprise",
            '[[machines.left.peers]]\nmachine = "nobody"': "there is no machine nobody",
            "[machines.left.settings.vault]": "machines.left.settings.vault is made",
        }
        for addition, message in cases.items():
            text = addition + "\n" + fleet_text(True) if "=" in addition[:12] else fleet_text(True) + addition
            with self.subTest(addition), self.assertRaisesRegex(fleet.FleetError, message):
                self.load(text)

    def test_toml_is_read_as_it_was_written(self) -> None:
        document = {
            "text": 'quo"te\\ \u00e9\n\x7f',
            "odd key.": [1, 2.5, True, "x"],
            "mixed": [{"a": 1}, 2],
            "table": {"inner": {"deep": [{"x": 1, "y": {"z": "1"}}, {"x": 2}]}, "value": 1},
            "empty": [],
        }
        self.assertEqual(tomllib.loads(toml.dumps(document)), document)


class CommandLinesAndEntries(unittest.TestCase):
    def test_systemctl_reads_options_in_every_form(self) -> None:
        forms = [["-sKILL"], ["-s", "9"], ["--signal=SIGKILL"], ["--signal", "KILL"]]
        for form in forms:
            _, values, words = systemctl.parse(["kill", *form, "alknet"])
            self.assertEqual((values["signal"], words), ("SIGKILL", ["kill", "alknet"]))
        self.assertRaises(SystemExit, systemctl.parse, ["--user", "status"])

    def test_a_journal_entry_can_have_several_lines(self) -> None:
        value = b"one\ntwo"
        data = b"PEER=alice\nMESSAGE\n" + struct.pack("<Q", len(value)) + value + b"\n_PID=1\nX=y=z\n"
        self.assertEqual(journal._native_fields(data), {"PEER": "alice", "MESSAGE": "one\ntwo", "X": "y=z"})


if __name__ == "__main__":
    unittest.main()
