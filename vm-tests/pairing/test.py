TTY = "/w/tty"
# "Within a second", and what a command of its own needs to look.
SOON = 15


def invite(peer: str, *options: str) -> str:
    """A link by which one node can join the hub."""
    words = ["alknet", "invite", peer, "--address", f"hub:{PORT}", "--json", *options]
    return json.loads(hub.succeed(shlex.join(words)))["link"]


def join(link: str, *options: str) -> str:
    """The command that joins with a link."""
    return f"echo {link} | " + shlex.join(["alknet", "join", "-", *options])


def open_invitations() -> list[str]:
    """For whom there are invitations."""
    return [invitation["id"] for invitation in json.loads(hub.succeed("alknet invite --list --json"))]


def peers(machine: "Machine") -> dict[str, str]:
    """The ids of a machine's peers, and where they come from."""
    return {peer["id"]: peer["source"] for peer in json.loads(machine.succeed("alknet peer list --json"))}


def by_key() -> str:
    """The hub for whoever does not know it by a name."""
    return f"{identity(hub)}@hub:{PORT}"


start_all()

with subtest("nodes without peers come up, one with an export of a peer that is yet to come"):
    for node in [hub, worker]:
        node.wait_for_unit("alknet.service")
    hub.succeed("journalctl -u alknet -o cat | grep 'unless it joins'")
    assert peers(hub) == {} and open_invitations() == []

with subtest("strangers are nobody, and see nothing but how to join"):
    refused(worker, f"alknet status {by_key()}", "UNAUTHENTICATED")
    refused(stranger, call_command(by_key(), f"{TTY}/list"), "NOT_FOUND")
    refused(stranger, call_command(by_key(), "/peers/joined"), "UNAUTHENTICATED")
    seen = json.loads(stranger.succeed(f"alknet services {by_key()} --json"))
    names = [service["name"] for service in seen]
    assert names == ["/peers/join", "/services/list", "/services/schema"], names

with subtest("a machine that cannot say where it is reached asks for it"):
    hub.succeed("ip -4 route flush default || true", "ip -6 route flush default || true")
    refused(hub, "alknet invite worker", "--address HOST:PORT")
    assert open_invitations() == []

with subtest("the worker joins, and its terminals are offered at once"):
    link = invite("worker")
    assert open_invitations() == ["worker"]
    assert link.startswith(f"alknet://hub:{PORT}/"), link
    joined = json.loads(worker.succeed(join(link, "--scope", "tty:*", "--json")))
    here = {"id": "hub", "scopes": ["tty:*"], "configured": False, "in_force": True}
    assert joined == {"there": {"id": "worker", "scopes": []}, "here": here}, joined
    assert peers(hub) == {"worker": "joined"} and peers(worker) == {"hub": "joined"}
    hub.wait_until_succeeds("journalctl -u alknet -o cat | grep 'exporting w/tty/attach'")
    worker.succeed("alknet status hub | grep 'you are *worker over'")

with subtest("a laptop without a running node joins, and works on the worker through the hub"):
    laptop.succeed(join(invite("laptop", "--scope", "tty:use"), "--no-connect") + " 2>&1 | grep 'next start applies it'")
    assert peers(laptop) == {"hub": "joined"}
    laptop.wait_until_succeeds(call_command("hub", f"{TTY}/list"))
    terminal = spawn(laptop, "hub", TTY, 7401)
    worker.wait_until_succeeds(process(7401))
    assert terminals(laptop, "hub", TTY) == [terminal]
    # The worker cannot be dialed by anybody here: it is the connection that it keeps which carries this.
    refused(hub, "alknet call worker /tty/list", "has no address")

with subtest("a link that was used, made up, revoked or has expired lets nobody in, for the same reason"):
    reason = "this invitation is not good"
    never = link[:-26] + "a" * 26
    said = [refused(stranger, join(used), reason) for used in [link, never]]
    revoked = invite("phone")
    hub.succeed("alknet invite --revoke phone")
    said.append(refused(stranger, join(revoked), reason))
    replaced, current = invite("phone"), invite("phone")
    said.append(refused(stranger, join(replaced), reason))
    expired = invite("tablet", "--expires", "1s")
    hub.wait_until_succeeds(lacks("alknet invite --list --json", "tablet"))
    said.append(refused(stranger, join(expired), reason))
    assert len(set(said)) == 1, said
    guess = {"token": "a" * 26}
    refused(stranger, call_command(by_key(), "/peers/join", guess), reason)
    assert peers(hub) == {"worker": "joined", "laptop": "joined"} and peers(stranger) == {}

with subtest("a link to another node than the one that answers is not shown a token"):
    key = current.split("/")[3]
    forged = current.replace(key, "a" * 52)
    refused(stranger, join(forged), "another node than expected")
    assert open_invitations() == ["phone"]

with subtest("a key that is known is refused, and does not use the link up"):
    refused(laptop, join(current, "--as", "hub"), 'this key is the peer "laptop" here already')
    assert open_invitations() == ["phone"]
    hub.succeed("alknet invite --unless-joined laptop > /tmp/said", "! test -s /tmp/said")

with subtest("who has joined just before the hub loses its power stays a peer"):
    stranger.succeed(join(current))
    hub.crash()
    hub.start()
    hub.wait_for_unit("alknet.service")
    stranger.wait_until_succeeds("alknet status hub | grep 'you are *phone over'")
    assert peers(hub) == {"worker": "joined", "laptop": "joined", "phone": "joined"}
    assert open_invitations() == []
    laptop.wait_until_succeeds(call_command("hub", f"{TTY}/list") + f" | grep {terminal}", timeout=120)

with subtest("after a restart and a reload it is as it was"):
    hub.succeed("systemctl restart alknet")
    laptop.wait_until_succeeds(call_command("hub", f"{TTY}/list") + f" | grep {terminal}", timeout=120)
    hub.succeed("systemctl reload alknet")
    hub.wait_until_succeeds("journalctl -u alknet -b -o cat | grep 'configuration reloaded: peers: 3'")
    assert terminals(laptop, "hub", TTY) == [terminal]
    hub.fail("journalctl -u alknet -b -o cat | grep 'unless it joins'")

with subtest("a peer that is removed loses its connection, and that is final"):
    ended = "journalctl -u alknet -o json | grep -c 'access revoked'"
    worker.fail(ended)
    hub.succeed("alknet peer remove worker")
    worker.wait_until_succeeds(ended, timeout=SOON)
    laptop.wait_until_succeeds(
        says(call_command("hub", f"{TTY}/list", {}, "--timeout", "5"), "UNAVAILABLE"), timeout=SOON
    )
    for _ in range(2):
        refused(worker, "alknet status hub", "UNAUTHENTICATED")
        refused(worker, join(link), "this invitation is not good")
        assert peers(hub) == {"laptop": "joined", "phone": "joined"}
        hub.succeed("systemctl restart alknet")
        hub.wait_for_unit("alknet.service")
    stranger.wait_until_succeeds("alknet status hub | grep 'you are *phone over'")

with subtest("it can be invited again, and everything is back"):
    worker.succeed(join(invite("worker")))
    laptop.wait_until_succeeds(call_command("hub", f"{TTY}/list"), timeout=120)

with subtest("the worker puts the hub out"):
    worker.succeed("alknet peer remove hub")
    laptop.wait_until_succeeds(
        says(call_command("hub", f"{TTY}/list", {}, "--timeout", "5"), "UNAVAILABLE"), timeout=SOON
    )
    refused(worker, "alknet status hub", '"hub" is no node')
    assert peers(worker) == {}

with subtest("a damaged file keeps the node from starting, and is named"):
    hub.succeed("systemctl stop alknet", "echo '[[peers]' > /var/lib/alknet/peers.toml")
    hub.fail("systemctl start alknet")
    hub.wait_until_succeeds("journalctl -u alknet -o cat | grep 'peers.toml:1'")
