TTY = "/a/tty"
# "Within a second", and what a command of its own needs to look.
SOON = 15


def follow(user: "Machine", terminal: str, name: str) -> None:
    """Stays attached in the background; /tmp/NAME appears when that ends."""
    attach = f"alknet tty attach hub/a {terminal}"
    user.succeed(f"({attach} < <(exec sleep 1h) || true; touch /tmp/{name}) >/tmp/{name}.log 2>&1 &")
    user.wait_until_succeeds(f"grep -q here /tmp/{name}.log")


def nothing_is_left(terminal: str, seconds: int) -> None:
    """No record and no process, at either node, within a second."""
    spoke.wait_until_fails(process(seconds), timeout=SOON)
    hub.wait_until_succeeds(lacks(call_command("spoke", "/resources/list"), terminal), timeout=SOON)
    for user in [alice, bob]:
        user.wait_until_succeeds(lacks(call_command("hub", "/resources/list"), terminal), timeout=SOON)
        is_nothing_to(user, "hub", TTY, terminal)


def running(machine: "Machine") -> int:
    """How many calls and subscriptions run at the node, this one included."""
    metrics = call(machine, identity(machine) + f"@localhost:{PORT}", "/metrics/list")
    return sum(metric["value"] for metric in metrics["metrics"] if metric["name"] == "alknet_runs_running")


start_all()

with subtest("the fleet comes up"):
    for node in [hub, spoke]:
        node.wait_for_unit("alknet.service")
    alice.wait_until_succeeds(call_command("hub", f"{TTY}/list"))
    before = [running(hub), running(spoke)]

with subtest("an exit"):
    terminal = spawn(alice, "hub", TTY, 3)
    assert owned(alice, "hub") == [terminal] and owned(hub, "spoke") == [terminal]
    follow(alice, terminal, "exit")
    spoke.wait_until_fails(process(3))
    call(alice, "hub", f"{TTY}/write", {"id": terminal, "text": "\n"})
    alice.wait_for_file("/tmp/exit", timeout=SOON)
    nothing_is_left(terminal, 3)

with subtest("a process that dies"):
    terminal = spawn(alice, "hub", TTY, 7201)
    follow(alice, terminal, "death")
    spoke.succeed("pkill -KILL -f 'sh -c echo here; [s]leep 7201'")
    alice.wait_for_file("/tmp/death", timeout=SOON)
    nothing_is_left(terminal, 7201)

with subtest("a kill ends what the program left behind, too"):
    script = "trap '' HUP TERM; (sleep 7202 &); sleep 7202; sleep 7202"
    terminal = call(
        alice, "hub", f"{TTY}/spawn", {"command": "/bin/sh", "args": ["-c", "echo here;" + script]}
    )["id"]
    follow(alice, terminal, "kill")
    refused(bob, call_command("hub", f"{TTY}/kill", {"id": terminal}), "FORBIDDEN")
    spoke.succeed(process(7202))
    call(alice, "hub", f"{TTY}/kill", {"id": terminal})
    alice.wait_for_file("/tmp/kill", timeout=SOON)
    nothing_is_left(terminal, 7202)

with subtest("a user who is removed at the hub"):
    terminal, other = spawn(alice, "hub", TTY, 7203), spawn(bob, "hub", TTY, 7204)
    follow(alice, terminal, "removed")
    fingerprint = identity(alice)
    hub.succeed("alknet peer remove alice", "systemctl reload alknet")
    alice.wait_for_file("/tmp/removed", timeout=SOON)
    spoke.wait_until_fails(process(7203), timeout=SOON)
    hub.wait_until_succeeds(lacks(call_command("spoke", "/resources/list"), terminal), timeout=SOON)
    assert owned(bob, "hub") == [other] and owned(hub, "spoke") == [other]
    # Whoever gets that name again does not get what another one with it had.
    hub.succeed(
        f"alknet peer add alice --fingerprint {fingerprint} --scope tty:use", "systemctl reload alknet"
    )
    alice.wait_until_succeeds(call_command("hub", f"{TTY}/list"))
    assert owned(alice, "hub") == []

with subtest("a hub that is removed at the spoke"):
    follow(bob, other, "hubless")
    spoke.succeed("cp -p /etc/alknet/alknet.toml /tmp/before")
    spoke.succeed("alknet peer remove hub", "systemctl reload alknet")
    # Either the end is told while the hub is still heard, or that the spoke cannot be reached any more.
    bob.wait_until_succeeds("grep -q 'connection is lost' /tmp/hubless.log || test -e /tmp/hubless", timeout=SOON)
    spoke.wait_until_fails(process(7204), timeout=SOON)
    bob.wait_until_succeeds(says(call_command("hub", f"{TTY}/list", {}, "--timeout", "5"), "UNAVAILABLE"))
    spoke.succeed("cp -p /tmp/before /etc/alknet/alknet.toml", "systemctl reload alknet")
    alice.wait_until_succeeds(call_command("hub", f"{TTY}/list"))
    bob.wait_for_file("/tmp/hubless")
    nothing_is_left(other, 7204)

with subtest("a spoke that is killed"):
    terminal = spawn(alice, "hub", TTY, 7205)
    follow(alice, terminal, "killed")
    spoke.succeed("systemctl kill --kill-whom=main --signal=KILL alknet")
    # Over QUIC nothing says that a process has ended, until the next one does.
    alice.wait_for_file("/tmp/killed", timeout=90)
    spoke.wait_until_fails(process(7205))
    spoke.wait_for_unit("alknet.service")
    alice.wait_until_succeeds(call_command("hub", f"{TTY}/list"), timeout=120)
    nothing_is_left(terminal, 7205)

with subtest("a spoke that loses its power"):
    terminal = spawn(alice, "hub", TTY, 7206)
    follow(alice, terminal, "power")
    spoke.crash()
    # A machine without power says nothing: ten seconds of silence do.
    alice.wait_until_succeeds("grep -q 'connection is lost' /tmp/power.log", timeout=30)
    bob.wait_until_succeeds(says(call_command("hub", f"{TTY}/list", {}, "--timeout", "5"), "UNAVAILABLE"))
    spoke.start()
    spoke.wait_for_unit("alknet.service")
    alice.wait_until_succeeds(call_command("hub", f"{TTY}/list"), timeout=120)
    alice.wait_for_file("/tmp/power")
    nothing_is_left(terminal, 7206)
    assert terminals(alice, "hub", TTY) == []

with subtest("a user whose connection goes away keeps the terminal"):
    terminal = spawn(alice, "hub", TTY, 7207)
    follow(alice, terminal, "connection")
    alice.succeed("pkill -x alknet")
    alice.wait_for_file("/tmp/connection", timeout=SOON)
    spoke.succeed(process(7207))
    assert terminals(alice, "hub", TTY) == [terminal]
    call(alice, "hub", f"{TTY}/kill", {"id": terminal})
    nothing_is_left(terminal, 7207)

with subtest("no stream stays open"):
    for node, were in zip([hub, spoke], before):
        retry(lambda _: running(node) <= were, timeout=SOON)
