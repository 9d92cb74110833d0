"""The machine API on real namespaces. Each test is a scenario of its own."""

from __future__ import annotations

import socket
import unittest

from tests.support import passes, run


class Commands(unittest.TestCase):
    def test_a_shell_is_strict_and_gives_its_standard_output(self) -> None:
        passes(r"""
            assert left.succeed("echo one", "echo two; echo no >&2") == "one\ntwo\n"
            assert left.execute("exit 7") == (7, "")
            assert left.execute("kill -TERM $$")[0] == 143
            assert left.execute("false | true")[0] == 1, "pipefail"
            assert left.execute("false; true")[0] == 1, "errexit"
            assert left.execute("echo $nobody_set_this")[0] != 0, "nounset"
            assert left.execute("echo '\"' $((1+1)) \\$x")[1] == '" 2 $x\n'
            assert left.fail("echo out; false") == "out\n"
            assert left.execute("sleep 60", timeout=1)[0] == 124
            assert left.execute("true", check_return=False) == (-1, "")
            assert left.succeed("id -u; pwd; hostname; echo $HOME").split() == ["0", "/tmp", "left", "/root"]
            # Of the driver's own command stream nothing may be read; so there is no input, and no end of it.
            assert left.execute("cat", timeout=1)[0] == 124
            left.succeed("sleep 60 >/dev/null 2>&1 &")
            """)

    def test_succeed_and_fail_raise_and_say_which_command(self) -> None:
        passes("""
            for method, command, words in [
                (left.succeed, "exit 3", "`exit 3` failed (exit code 3)"),
                (left.fail, "true", "`true` unexpectedly succeeded"),
                (lambda c: left.wait_until_succeeds(c, timeout=1), "false", "timed out after 1"),
                (lambda c: left.wait_until_fails(c, timeout=1), "true", "timed out after 1"),
            ]:
                try:
                    method(command)
                except Exception as error:
                    assert words in str(error), error
                else:
                    raise AssertionError(f"{command} had to raise")
            """)

    def test_waiting_ends_when_the_condition_holds(self) -> None:
        passes("""
            left.succeed("(sleep 1; touch /tmp/there) >/dev/null 2>&1 &")
            left.wait_until_fails("test ! -e /tmp/there")
            left.wait_for_file("/tmp/there")
            assert left.wait_until_succeeds("ls /tmp/there") == "/tmp/there\\n"
            """)

    def test_a_failure_shows_the_place_and_the_logs_of_all_machines(self) -> None:
        done = run("""
            start_all()
            right.succeed("echo said on right >&2")
            with subtest("fine"):
                pass
            with subtest("broken"):
                left.succeed("echo said on left >&2; exit 5")
            left.succeed("echo never reached >&2")
            """)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"ok +[\d.]+ s  fine\n +FAILED +[\d.]+ s  broken\n")
        for text in ("\nsaid on right", "\nsaid on left", "---- journal of left"):
            self.assertIn(text, done.stdout)
        self.assertNotIn("\nnever reached", done.stdout)
        self.assertIn("failed (exit code 5)", done.stderr)
        self.assertIn("test.py:7", done.stderr)

    def test_an_error_in_the_script_is_a_failure(self) -> None:
        done = run("left.nonsense()")
        self.assertEqual(done.returncode, 1)
        self.assertIn("AttributeError", done.stderr)
        self.assertEqual(run("exit_status = 1 +").returncode, 1)


class MachinesOfTheirOwn(unittest.TestCase):
    def test_names_addresses_and_folders(self) -> None:
        passes(f"""
            start_all()
            for name in ["left", "right"]:
                assert left.succeed(f"getent ahostsv4 {{name}}").startswith(f"192.168.1.{{1 if name == 'left' else 2}} ")
                assert left.succeed(f"getent ahostsv6 {{name}}").startswith("2001:db8:1::")
            left.succeed("for folder in /tmp /run /root /var/lib /etc/alknet /dev/shm /home; do echo mine > $folder/x; done")
            right.fail("cat /tmp/x /run/x /root/x /var/lib/x /etc/alknet/x /dev/shm/x /home/x | grep mine")
            assert left.succeed("cat /etc/hostname").strip() == "left" != {socket.gethostname()!r}
            left.fail("touch /usr/bin/x")
            assert left.succeed("ls /sys/class/net").split() == ["eth1", "lo"]
            left.succeed("test -c /dev/ptmx", "script -qec 'tty' /dev/null </dev/null | grep /dev/pts/")
            left.succeed("sleep 4242 >/dev/null 2>&1 &")
            right.fail("pgrep -f '[s]leep 4242'")
            """)

    def test_files_come_from_the_host(self) -> None:
        passes("""
            import pathlib, tempfile

            with tempfile.TemporaryDirectory() as folder:
                pathlib.Path(folder, "tool").write_text("#!/bin/sh\\necho it works\\n")
                pathlib.Path(folder, "tool").chmod(0o755)
                left.copy_from_host(f"{folder}/tool", "/var/lib/some/where/tool")
                left.copy_from_host(folder, "/var/lib/all")
            assert left.succeed("/var/lib/some/where/tool", "/var/lib/all/tool") == "it works\\n" * 2
            right.fail("test -e /var/lib/all")
            """)


class Failures(unittest.TestCase):
    def test_a_blocked_machine_loses_packets_and_nothing_else(self) -> None:
        passes(r"""
            start_all()
            right.succeed("python3 -m http.server 80 --bind 192.168.1.2 -d /etc >/dev/null 2>&1 &")
            left.wait_for_open_port(80, "right")
            # A connection that stays: what is sent into it while the cable is out arrives when it is in again.
            left.succeed("mkfifo /tmp/in", "(exec 3<>/dev/tcp/right/80; cat /tmp/in >&3; cat <&3) >/tmp/got 2>/tmp/err &")
            left.succeed("(exec 9>/tmp/in; while [ ! -e /tmp/go ]; do sleep 0.1; done; printf 'GET /hostname HTTP/1.0\r\n\r\n' >&9) >/dev/null 2>&1 &")
            left.wait_until_succeeds("ss -Htn state established dst 192.168.1.2 | grep -q :80")
            for machine in [right, left]:
                machine.block()
                left.fail("timeout 2 bash -c 'exec 3<>/dev/tcp/right/80'")
                right.succeed("timeout 2 bash -c 'exec 3<>/dev/tcp/right/80'")
                assert left.succeed("cat /sys/class/net/eth1/operstate").strip() == "up"
                left.succeed("touch /tmp/go")
                assert left.succeed("cat /tmp/got /tmp/err") == ""
                machine.unblock()
                left.wait_for_open_port(80, "right")
                left.wait_until_succeeds("grep -qx right /tmp/got")
                break
            left.block()
            left.fail("timeout 2 bash -c 'exec 3<>/dev/tcp/right/80'")
            left.unblock()
            left.wait_for_open_port(80, "right")
            right.succeed("pkill -f http[.]server")
            left.wait_for_closed_port(80, "right")
            """)

    def test_a_crash_kills_everything_and_keeps_the_disk(self) -> None:
        passes(r"""
            import subprocess

            def alive(marker):
                return subprocess.run(["pgrep", "-f", marker], capture_output=True).returncode == 0

            left.succeed("sleep 31337 >/dev/null 2>&1 &")
            left.succeed("(setsid bash -c 'sleep 41337 & sleep 41337 &' >/dev/null 2>&1 &) >/dev/null 2>&1")
            left.succeed("python3 -c 'import os, time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); time.sleep(51337)' >/dev/null 2>&1 </dev/null")
            for marker in ["31337", "41337", "51337"]:
                left.wait_until_succeeds(f"pgrep -f {marker[:-1]}[7]")
                assert alive(marker), "the check itself has to work"
            left.succeed("mkdir -p /var/lib/alknet", "echo kept | tee /var/lib/alknet/x /root/x /tmp/x /run/x /etc/alknet/x")
            left.crash()
            assert not any(alive(marker) for marker in ["31337", "41337", "51337"])
            assert not left.is_up()
            left.start()
            assert left.succeed("cat /var/lib/alknet/x /root/x") == "kept\nkept\n"
            left.fail("cat /tmp/x")
            left.fail("cat /run/x")
            left.fail("cat /etc/alknet/x")
            """)

    def test_a_crash_tells_the_others_nothing_and_a_process_that_ends_does(self) -> None:
        script = r"""
            start_all()
            right.succeed("python3 -m http.server 80 --bind 192.168.1.2 -d /etc >/dev/null 2>&1 &")
            left.wait_for_open_port(80, "right")
            left.succeed("(exec 3<>/dev/tcp/right/80; cat <&3; touch /tmp/ended) >/dev/null 2>&1 &")
            left.wait_until_succeeds("ss -Htn state established dst 192.168.1.2 | grep -q :80")
            %s
        """
        passes(script % "right.succeed('pkill -f http[.]server'); left.wait_for_file('/tmp/ended')")
        passes(
            script
            % "right.crash(); left.fail('timeout 2 bash -c \"while [ ! -e /tmp/ended ]; do sleep 0.1; done\"')"
        )

    def test_a_shutdown_stops_services_and_a_start_brings_them_back(self) -> None:
        passes(
            """
            left.wait_for_unit("alknet")
            left.shutdown()
            assert not left.is_up()
            left.start()
            left.wait_for_unit("alknet")
            log = left.succeed("journalctl -u alknet -o cat")
            assert "SIGTERM received" in log and log.count("Started alknet.service") == 2, log
            assert "SIGTERM" not in left.succeed("journalctl -u alknet -b -o cat")
            left.crash()
            left.start()
            left.wait_for_unit("alknet")
            assert left.succeed("journalctl -u alknet -o cat | grep -c 'SIGTERM received'").strip() == "1"
            """,
            serve=True,
        )


if __name__ == "__main__":
    unittest.main()
