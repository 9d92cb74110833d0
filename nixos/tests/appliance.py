
import json


def is_node(machine):
    """It serves, and its console shows the way in."""
    machine.wait_for_unit("alknet.service")
    machine.wait_for_open_port(443)
    machine.succeed("curl -sSk https://localhost/healthz | grep -x ok")
    machine.wait_until_succeeds("grep -F alknet:// /run/alknet-pairing/code")
    machine.wait_for_unit("alknet-console.service")
    return json.loads(machine.succeed("alknet id --json"))["fingerprint"]


def is_appliance(machine):
    """What is on a disk keeps its state, and nothing else."""
    machine.start()
    with subtest("the disk boots to a node"):
        identity = is_node(machine)
    with subtest("its root is read-only, and its state has grown to the end of the disk"):
        machine.wait_for_unit("read-only-root.service")
        machine.fail("touch /x")
        machine.fail("touch /etc/x")
        machine.wait_until_succeeds("test $(df --output=size -m /state | tail -n 1) -gt 6000")
        machine.succeed("nix-store --verify --check-contents")
    with subtest("it is the same after a power failure"):
        host = machine.succeed("cat /etc/machine-id")
        machine.crash()
        machine.start()
        assert is_node(machine) == identity
        assert machine.succeed("cat /etc/machine-id") == host
    with subtest("nobody logs in"):
        machine.fail("systemctl is-active getty@tty2.service")
        machine.succeed("getent shadow root | cut -d : -f 2 | grep -Fx '!'")


