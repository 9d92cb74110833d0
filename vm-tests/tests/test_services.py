"""Services as systemd runs them, seen by systemctl and journalctl in a machine."""

from __future__ import annotations

import unittest

from tests.support import passes

# A service whose main process says it is ready when /tmp/go exists, and leaves a daemon behind that ignores SIGTERM.
TOY = r'''
def install(name, body, **unit):
    options = "\n".join(f"{key}={value}" for key, value in unit.items())
    left.succeed(f"""cat > /run/{name} <<'END'
{body}
END""")
    left.succeed(f"""cat > /etc/systemd/system/{name}.service <<'END'
[Unit]
Description=a toy
[Service]
{options}
ExecStart=/usr/bin/env {"python3" if "import" in body else "bash"} /run/{name}
END""", "systemctl daemon-reload")

def state(name="toy"):
    return left.succeed(f"systemctl show {name} -p ActiveState --value").strip()

def refuses(command, words):
    said = left.fail(f"{command} 2>&1")
    assert words in said, said

NOTIFY = """
import os, pathlib, signal, socket, time
def tell(text):
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
"""
'''


class Starting(unittest.TestCase):
    def test_a_service_is_active_when_it_says_so(self) -> None:
        passes(TOY + r"""
install("toy", NOTIFY + "while not pathlib.Path('/tmp/go').exists(): time.sleep(0.05)\ntell('READY=1\\nSTATUS=toying')\ntime.sleep(900)", Type="notify")
assert state() == "inactive"
try:
    left.wait_for_unit("toy")
except Exception as error:
    assert "inactive and there are no pending jobs" in str(error), error
else:
    raise AssertionError("nobody starts it")
left.succeed("systemctl start --no-block toy")
left.wait_until_succeeds("systemctl show toy -p ActiveState | grep activating")
assert left.execute("systemctl is-active toy") == (3, "activating\n")
left.succeed("touch /tmp/go")
left.wait_for_unit("toy.service")
assert left.execute("systemctl is-active toy") == (0, "active\n")
assert 'Status: "toying"' in left.succeed("systemctl status toy --no-pager")
assert left.succeed("ps -o args= -p $(systemctl show -p MainPID --value toy)").startswith("python3 /run/toy")
left.wait_for_unit("multi-user.target")
refuses("systemctl start nothing", "could not be found")
refuses("systemctl enable toy", "not emulated")
assert left.systemctl("stop toy") == (0, "")
assert left.execute("systemctl is-active toy") == (3, "inactive\n")
""")

    def test_a_notification_from_another_process_counts_for_nothing(self) -> None:
        passes(TOY + r"""
install("toy", NOTIFY + "if os.fork() == 0:\n    tell('READY=1')\ntime.sleep(900)", Type="notify", TimeoutStartSec="1s")
refuses("systemctl start toy", "failed: timeout")
""")

    def test_what_cannot_start_fails_with_systemds_reasons(self) -> None:
        passes(TOY + r"""
install("toy", "exit 2", Type="notify", Restart="on-failure", RestartPreventExitStatus="2")
refuses("systemctl start toy", "exit-code")
assert state() == "failed" and left.execute("systemctl is-failed toy")[0] == 0
try:
    left.wait_for_unit("toy")
except Exception as error:
    assert 'reached state "failed"' in str(error), error
else:
    raise AssertionError("it failed")
left.succeed("systemctl reset-failed toy")
assert state() == "inactive"
install("needy", "sleep 900", Type="notify", LoadCredential="key:/etc/none")
left.fail("systemctl start needy")
assert left.succeed("systemctl show needy -p ExecMainStatus --value").strip() == "243"
install("eager", "exit 1", Type="notify", Restart="on-failure", RestartSec="10ms")
left.fail("systemctl start eager")
left.wait_until_succeeds("systemctl show eager -p Result --value | grep start-limit-hit")
assert left.succeed("systemctl show eager -p NRestarts --value").strip() == "5"
""")

    def test_credentials_folders_and_mask_are_the_units(self) -> None:
        passes(TOY + r"""
left.succeed("echo hush > /etc/key")
install("toy", "cat $CREDENTIALS_DIRECTORY/key > $STATE_DIRECTORY/out; pwd >> $STATE_DIRECTORY/out; env > $CONFIGURATION_DIRECTORY/env; sleep 900",
        LoadCredential="key:/etc/key", StateDirectory="toy", StateDirectoryMode="0700", ConfigurationDirectory="toy", UMask="0077", Environment="COLOUR=blue")
left.succeed("systemctl start toy")
left.wait_for_file("/etc/toy/env")
assert left.succeed("cat /var/lib/toy/out") == "hush\n/\n"
assert left.succeed("stat -c %a /var/lib/toy /var/lib/toy/out /run/credentials/toy.service/key").split() == ["700", "600", "400"]
environment = left.succeed("cat /etc/toy/env")
assert "COLOUR=blue\n" in environment and "SECRET" not in environment and "VM_TESTS" not in environment
""")


class Ending(unittest.TestCase):
    def test_a_stop_ends_every_process_and_kills_what_does_not_listen(self) -> None:
        passes(TOY + r"""
install("toy", "trap '' TERM\n(setsid bash -c \"trap '' TERM; sleep 777; sleep 778\" & )\n(setsid sleep 779 & )\nsleep 780\nsleep 781", TimeoutStopSec="1s")
left.succeed("systemctl start toy")
left.wait_until_succeeds("test $(pgrep -cx sleep) = 3")
left.succeed("sleep 900 >/dev/null 2>&1 &")  # not the service's
left.succeed("systemctl stop toy")
assert left.succeed("pgrep -ax sleep").split()[1:] == ["sleep", "900"]
assert "Killing" in left.succeed("journalctl -u toy")
assert left.succeed("systemctl show toy -p Result --value").strip() == "timeout"
""")

    def test_nothing_survives_a_main_process_that_crashes(self) -> None:
        passes(TOY + r"""
install("toy", "(setsid sleep 777 & )\nsleep 778", TimeoutStopSec="1s")
left.succeed("systemctl start toy")
left.wait_until_succeeds("test $(pgrep -cx sleep) = 2")
left.succeed("systemctl kill --kill-whom=main -s KILL toy")
left.wait_until_fails("pgrep -x sleep")
left.wait_until_succeeds("systemctl is-failed toy")
assert "code=killed, status=9/KILL" in left.succeed("journalctl -u toy")
""")

    def test_a_failure_restarts_it_and_a_stop_does_not(self) -> None:
        passes(TOY + r"""
install("toy", "echo life; sleep 900", Restart="on-failure", RestartSec="100ms")
left.succeed("systemctl start toy")
main = left.succeed("systemctl show toy -p MainPID --value")
left.succeed("systemctl kill --signal=KILL toy")
left.wait_until_succeeds("systemctl show toy -p NRestarts --value | grep -x 1")
left.wait_for_unit("toy")
assert left.succeed("systemctl show toy -p MainPID --value") != main
left.wait_until_succeeds("test $(journalctl -u toy -o cat | grep -cx life) = 2")
left.succeed("systemctl stop toy")
left.fail("timeout 1 bash -c 'until systemctl is-active toy; do sleep 0.1; done'")
""")

    def test_a_restart_and_a_reload(self) -> None:
        passes(TOY + r"""
install("toy", "trap 'echo told' HUP; echo life; while true; do sleep 0.1; done", ExecReload="/bin/kill -HUP $MAINPID")
refuses("systemctl reload toy", "not active")
left.succeed("systemctl start toy")
left.wait_until_succeeds("journalctl -u toy -o cat | grep -x life")
main = left.succeed("systemctl show toy -p MainPID --value")
left.succeed("systemctl reload toy")
left.wait_until_succeeds("journalctl -u toy -o cat | grep -x told")
assert left.succeed("systemctl show toy -p MainPID --value") == main
left.succeed("systemctl restart toy")
assert left.succeed("systemctl show toy -p MainPID --value") != main
""")


class Generations(unittest.TestCase):
    def test_the_next_one_has_another_configuration_unit_and_program_until_the_next_boot(self) -> None:
        passes(
            r"""
program = "tr '\\0' ' ' </proc/$(systemctl show alknet -p MainPID --value)/cmdline"
right.wait_for_unit("alknet")
first = right.succeed(program)
assert first.startswith("/opt/alknet/1/bin/alknet serve "), first
right.succeed("echo kept >/var/lib/alknet/x", "next-generation")
assert right.succeed(program).startswith("/opt/alknet/2/bin/alknet serve ")
assert right.succeed("systemctl show alknet -p Description --value") == "alknet node with HTTP\n"
assert right.succeed("readlink -f $(which alknet)") == "/opt/alknet/2/bin/alknet\n"
right.succeed("curl -sSk https://localhost:4433/healthz | grep -x ok")
right.crash()
right.start()
right.wait_for_unit("alknet")
assert right.succeed(program) == first
assert right.succeed("readlink -f $(which alknet)") == "/opt/alknet/1/bin/alknet\n"
right.fail("curl -sSk https://localhost:4433/healthz")
right.succeed("grep -x kept /var/lib/alknet/x")
said = left.fail("next-generation 2>&1")
assert "[machines.left.next.settings]" in said, said
left.wait_for_unit("alknet")
""",
            serve=True,
            more="[machines.right.next.settings]\ncall.enable = true\nhttp.enable = true\n",
        )


class Logs(unittest.TestCase):
    def test_the_journal_has_units_fields_and_lines(self) -> None:
        passes(TOY + r"""
install("toy", "import socket, os\nprint('plain ä', flush=True)\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\ns.sendto(b'MESSAGE=native\\nPEER=alice\\nPRIORITY=6\\n', '/run/systemd/journal/socket')\ninfo = os.fstat(2)\nassert os.environ['JOURNAL_STREAM'] == f'{info.st_dev}:{info.st_ino}'\nprint('last, without an end', end='')")
left.succeed("systemctl start toy")
left.wait_until_succeeds("systemctl show toy -p ActiveState | grep inactive")
lines = left.succeed("journalctl --no-pager -u toy _PID=$(journalctl -u toy PEER=alice -o json | grep -o '\"_PID\": \"[0-9]*' | tail -c +10) -o cat")
assert lines == "native\n", lines
# The stream and the socket are read independently of each other, as journald does: only within each is there an order.
said = left.succeed("journalctl -u toy -o cat | grep -v toy.service").splitlines()
assert [line for line in said if line != "native"] == ["plain ä", "last, without an end"] and said.count("native") == 1, said
assert left.succeed("journalctl -u toy PEER=bob -o cat") == ""
assert left.succeed("journalctl -u toy -g '^nat' -o cat") == "native\n"
left.fail("journalctl -u toy -g '^Nat'")
assert left.succeed("journalctl -u other") == ""
refuses("journalctl --since yesterday", "not emulated")
""")


if __name__ == "__main__":
    unittest.main()
