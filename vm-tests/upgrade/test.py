SECRETS = {"before": "kept since the first generation", "after": "kept since the second"}
FIRST_ALPNS = ["alknet/call", "alknet/tty"]
SECOND_ALPNS = [*FIRST_ALPNS, "h2", "http/1.1"]


def program() -> str:
    """The program that runs as the hub's node, as its unit calls it."""
    return hub.succeed("tr '\\0' '\\n' </proc/$(systemctl show alknet -p MainPID --value)/cmdline | head -n 1").strip()


def alpns() -> list[str]:
    """What the hub serves."""
    return sorted(call(alice, "hub", "/node/info")["alpns"])


def keep(name: str) -> None:
    """Stores a secret in the hub's vault, as root while the node runs."""
    hub.succeed(f"printf %s {shlex.quote(SECRETS[name])} | alknet vault encrypt --name {name}")


def owners() -> set[str]:
    """Who owns the state folder and what is in it."""
    return set(hub.succeed("find /var/lib/alknet/ -printf '%U:%G\\n'").split())


def state_is_kept(*names: str) -> None:
    """The hub is who it was, and has what it had."""
    assert identity(hub) == was
    seen = call(alice, "hub", "/node/info")
    assert (seen["fingerprint"], seen["caller"]["id"]) == (was, "alice"), seen
    assert json.loads(hub.succeed("alknet vault list --json"))["names"] == sorted(names)
    for name in names:
        assert hub.succeed(f"alknet vault decrypt --name {name}") == SECRETS[name]
    assert hub.succeed("alknet peer list --json") == peers
    assert hub.succeed("stat -c %a /var/lib/alknet/").strip() == "700"
    # Also what root has stored is the unit's user's, whoever that is at the time.
    assert len(owners()) == 1, owners()


start_all()

with subtest("the fleet comes up"):
    for node in [hub, spoke]:
        node.wait_for_unit("alknet.service")
    alice.wait_until_succeeds(call_command("hub", "/a/tty/list"))
    was, first, peers = identity(hub), program(), hub.succeed("alknet peer list --json")
    assert alpns() == FIRST_ALPNS

with subtest("there is something to lose"):
    keep("before")
    state_is_kept("before")
    here, there = spawn(alice, "hub", "/tty", 7601), spawn(alice, "hub", "/a/tty", 7602)
    hub.wait_until_succeeds(process(7601))
    spoke.wait_until_succeeds(process(7602))

with subtest("the next generation takes over"):
    hub.succeed("next-generation")
    hub.wait_for_unit("alknet.service")
    assert program() != first, first
    alice.wait_until_succeeds(call_command("hub", "/node/info"))
    assert alpns() == SECOND_ALPNS
    assert alice.succeed(f"curl -sSk https://hub:{PORT}/healthz").strip() == "ok"
    state_is_kept("before")

with subtest("the spoke comes back by itself, and what runs there is still hers"):
    alice.wait_until_succeeds(call_command("hub", "/a/tty/list") + f" | grep {there}", timeout=120)
    call(alice, "hub", "/a/tty/write", {"id": there, "text": "x"})
    spoke.succeed(process(7602))

with subtest("what ran in the old process has ended with it"):
    hub.fail(process(7601))
    assert terminals(alice, "hub", "/tty") == []
    is_nothing_to(alice, "hub", "/tty", here)
    here = spawn(alice, "hub", "/tty", 7603)
    assert terminals(alice, "hub", "/tty") == [here]

with subtest("a power failure brings the first generation back, and what the second has stored stays"):
    keep("after")
    state_is_kept("after", "before")
    hub.crash()
    hub.start()
    hub.wait_for_unit("alknet.service")
    assert program() == first
    alice.wait_until_succeeds(call_command("hub", "/node/info"))
    assert alpns() == FIRST_ALPNS
    alice.fail(f"curl -sSk https://hub:{PORT}/healthz")
    state_is_kept("after", "before")
    alice.wait_until_succeeds(call_command("hub", "/a/tty/list") + f" | grep {there}", timeout=120)
    assert terminals(alice, "hub", "/tty") == []
