"""What is read and written: unit files, fleets, TOML, command lines, journal entries. Needs no namespaces."""

from __future__ import annotations

import inspect
import struct
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

from runner import cli, fleet, toml, units
from runner.machine import Machine, retry
from tests.support import IDENTITIES, UNITS, fleet_text

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
    def test_those_that_scenarios_start_are_understood(self) -> None:
        for whole in cli.load_all().values():
            for machine in whole.machines.values():
                files = fleet.node_files(whole, machine, cli.UNITS)
                texts = [file.text for file in files if file.path.endswith(fleet.UNIT)]
                self.assertEqual(len(texts), machine.serve + (machine.next_settings is not None))
                for generation, text in enumerate(texts, start=1):
                    with self.subTest(scenario=whole.name, machine=machine.name, generation=generation):
                        self.is_the_nodes(unit.parse(fleet.UNIT, [text]), machine, generation)

    def is_the_nodes(self, node: unit.Unit, machine: fleet.MachineSpec, generation: int) -> None:
        """Whether it does what the scenarios lean on."""
        self.assertEqual(node.kind, "notify")
        program = f"{fleet.PACKAGES}/{generation}/bin/alknet"
        self.assertEqual(node.exec_start, [program, "serve", "--config", fleet.CONFIG_FILE])
        self.assertEqual(node.exec_reload[1:], ["-HUP", "$MAINPID"])
        self.assertEqual((node.restart, node.restart_sec, node.timeout_stop), ("on-failure", 2, 30))
        self.assertEqual(node.restart_prevent, {2})
        self.assertEqual((node.umask, node.state_directory_mode), (0o077, 0o700))
        self.assertEqual(node.credentials, {"seed": Path(fleet.SEED_FILE)})
        self.assertEqual(node.environment["ALKNET_LOG"], machine.log)

    def test_it_is_chosen_by_the_handlers_that_are_on(self) -> None:
        settings = {"http": {"enable": True}, "call": {"enable": True}, "tty": {"enable": False}, "node": {}}
        self.assertEqual(units.handlers(settings), ["call", "http"])
        text = units.text(UNITS, settings, "/package", "debug")
        node = unit.parse(fleet.UNIT, [text])
        self.assertEqual((node.description, node.exec_start[0]), ("alknet node with HTTP", "/package/bin/alknet"))
        self.assertEqual(node.environment, {"ALKNET_LOG": "debug"})

    def test_one_that_is_not_there_or_starts_another_program_is_refused(self) -> None:
        with self.assertRaisesRegex(units.UnitTextError, "call-ssh.service, the unit for the handlers call, ssh"):
            units.text(UNITS, {"ssh": {"enable": True}, "call": {"enable": True}}, "/package", "info")
        with self.assertRaisesRegex(units.UnitTextError, "a node that serves needs a handler"):
            units.text(UNITS, {}, "/package", "info")
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "call.service").write_text("[Service]\nExecStart=/usr/bin/alknet serve\n")
            with self.assertRaisesRegex(units.UnitTextError, "does not say @alknet@"):
                units.text(Path(folder), {"call": {"enable": True}}, "/package", "info")

    def test_a_directive_that_nobody_knows_is_refused(self) -> None:
        with self.assertRaisesRegex(unit.UnitError, "ExecStartPre="):
            unit.parse("x.service", ["[Service]\nExecStart=/bin/true\nExecStartPre=/bin/true\n"])

    def test_what_is_not_for_systemd_is_left_alone(self) -> None:
        text = "[Unit]\nX-Of-NixOS=1\n[Service]\nExecStart=/bin/true\nX-Of-NixOS=1\n[X-Of-Others]\nAnything=1\n"
        self.assertEqual(unit.parse("x.service", [text]).exec_start, ["/bin/true"])

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
        right = whole.machines["right"]
        document = tomllib.loads(fleet.config(whole, right, right.settings))
        peer = {"id": "left", "fingerprints": [IDENTITIES["left"]], "scopes": ["tty:*"]}
        self.assertEqual(document["peers"], [peer])
        self.assertEqual((document["node"], document["call"]), ({"name": "right"}, {"enable": True}))

    def test_a_next_generation_has_settings_of_its_own_and_the_same_peers(self) -> None:
        more = '[[machines.left.peers]]\nmachine = "right"\n[machines.left.next.settings]\ncall.enable = true\nhttp.enable = true\n'
        whole = self.load(fleet_text(True) + more)
        files = {file.path: file.text for file in fleet.node_files(whole, whole.machines["left"], UNITS)}
        now, later = (tomllib.loads(files[path]) for path in (fleet.CONFIG_FILE, f"{fleet.NEXT_FOLDER}/alknet.toml"))
        self.assertEqual(now["peers"], later["peers"])
        self.assertEqual(("call" in now, "http" in now), (True, False))
        self.assertEqual(("call" in later, "http" in later), (True, True))
        with self.assertRaisesRegex(fleet.FleetError, "only a node that serves"):
            self.load(fleet_text(False) + more)

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
            "[machines.left.next.settings.vault]": "machines.left.next.settings.vault is made",
            "[machines.left.next.peers]": "machines.left.next has no key peers",
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
