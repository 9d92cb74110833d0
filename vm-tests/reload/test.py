CONFIG = "/etc/alknet/alknet.toml"
CALL_ONLY = ["alknet/call"]
CALL_AND_HTTP = ["alknet/call", "h2", "http/1.1"]
HTTP = "[http]\nenable = true\n"
HTTP_OFF = "/^\\[http\\]/,/^enable/ s/enable = true/enable = false/"
REEXPORT = '[[hub.reexport]]\npeer = "spoke"\noperations = ["tty/*"]\nprefix = "a"\nrequired_scopes = ["tty:use"]\n'
NAME = "hub.example"
asked = 0


def append(text: str) -> None:
    """Adds to the hub's configuration, and has it read again."""
    hub.succeed(f"printf '\\n%s' {shlex.quote(text)} >>{CONFIG}", "systemctl reload alknet")


def edit(script: str) -> None:
    """Changes the hub's configuration with sed, which has to find something, and has it read again."""
    before = hub.succeed(f"cat {CONFIG}")
    hub.succeed(f"sed -i {shlex.quote(script)} {CONFIG}")
    assert hub.succeed(f"cat {CONFIG}") != before, f"nothing in {CONFIG} is changed by {script}:\n{before}"
    hub.succeed("systemctl reload alknet")


def info() -> dict:
    return call(alice, "hub", "/node/info")


def hold(transport: str) -> None:
    """A connection of alice's that stays, with its ends in files; HELD.ended appears when it does not."""
    held = f"/tmp/{transport}"
    connect = f"alknet connect hub alknet/call --transport {transport} <>{held}.in >{held}.out 2>{held}.err"
    alice.succeed(f"mkfifo {held}.in", f"({connect} || true; touch {held}.ended) >/dev/null 2>&1 &")


def nobody_is_dropped() -> None:
    """The streams that were opened at the beginning still carry calls."""
    global asked
    asked += 1
    request = request_frame({"operationId": "/node/info", "input": {}}, f"held-{asked}")
    for transport in ["quic", "tcp"]:
        alice.succeed(f"echo {request} | base64 -d >/tmp/{transport}.in")
        alice.wait_until_succeeds(f"grep -qa '\"held-{asked}\"' /tmp/{transport}.out")
        alice.fail(f"test -e /tmp/{transport}.ended")


def client(alpn: str) -> str:
    """openssl's client, as it is on every machine."""
    return f"openssl s_client -connect hub:{PORT} -servername {NAME} -alpn {alpn} </dev/null"


def as_bob(token: str) -> str:
    """The command line that asks the hub who bob is. It succeeds whatever the status is, which stands in the last line."""
    header = f"Authorization: Bearer {token}"
    words = ["curl", "-sSk", "-w", "\n%{http_code}", "--header", header, "--json", "{}"]
    return shlex.join([*words, f"https://hub:{PORT}/node/info"])


def make_certificate(subject: str) -> None:
    """A certificate and its key, both of which the unit's own user can read and no other."""
    group = hub.succeed("stat -c %g /var/lib/alknet/").strip()
    request = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={subject}"
    hub.succeed(
        f"{request} -addext subjectAltName=DNS:{NAME} -keyout /tmp/key.pem -out /tmp/chain.pem 2>/dev/null",
        f"chgrp {group} /tmp/key.pem && chmod 0640 /tmp/key.pem && chmod 0644 /tmp/chain.pem",
        "mv /tmp/key.pem /tmp/chain.pem /etc/alknet/",
    )


def shows(subject: str) -> str:
    """A check that strangers are shown the certificate with this subject."""
    return f"{client('alknet/call')} 2>/dev/null | openssl x509 -noout -subject | grep 'CN = {subject}$'"


start_all()

with subtest("the fleet comes up"):
    for node in [hub, spoke]:
        node.wait_for_unit("alknet.service")
    alice.wait_until_succeeds(call_command("hub", "/node/info"))
    for transport in ["quic", "tcp"]:
        hold(transport)
    nobody_is_dropped()
    main = hub.succeed("systemctl show alknet --property=MainPID --value")

with subtest("a handler is switched on"):
    assert info()["alpns"] == CALL_ONLY
    refused(bob, client("h2"), "no application protocol")
    bob.fail(f"curl -sSk https://hub:{PORT}/healthz")
    append(HTTP)
    bob.wait_until_succeeds(f"curl -sSk https://hub:{PORT}/healthz | grep -x ok")
    assert "ALPN protocol: h2\n" in bob.succeed(f"{client('h2')} 2>/dev/null")
    assert sorted(info()["alpns"]) == CALL_AND_HTTP
    nobody_is_dropped()

with subtest("a token is added, and revoked"):
    token = json.loads(hub.succeed("alknet token new bob --json"))["token"]
    hub.succeed("systemctl reload alknet")
    answer, _, status = bob.wait_until_succeeds(as_bob(token) + " | grep -B9 -x 200").strip().rpartition("\n")
    assert json.loads(answer)["caller"]["id"] == "bob" and status == "200", answer
    assert bob.succeed(as_bob("alk_guessed")).endswith("\n401")
    hub.succeed("alknet token revoke bob", "systemctl reload alknet")
    bob.wait_until_succeeds(as_bob(token) + " | tail -n 1 | grep -x 401")
    nobody_is_dropped()

with subtest("a re-export is added"):
    refused(alice, call_command("hub", "/a/tty/list"), "NOT_FOUND")
    append(REEXPORT)
    alice.wait_until_succeeds(call_command("hub", "/a/tty/list"))
    terminal = spawn(alice, "hub", "/a/tty", 7501)
    spoke.wait_until_succeeds(process(7501))
    nobody_is_dropped()

with subtest("a certificate is added, and replaced"):
    make_certificate("first")
    bob.fail(shows("first"))
    edit('/^\\[endpoint\\]/a certificates = [{ certificate = "chain.pem", key = "key.pem" }]')
    bob.wait_until_succeeds(shows("first"))
    make_certificate("second")
    hub.succeed("systemctl reload alknet")
    bob.wait_until_succeeds(shows("second"))
    # Whoever knows the node by its key is shown the key, as before.
    assert info()["caller"]["id"] == "alice"
    nobody_is_dropped()

with subtest("an error changes nothing, not even what is right beside it"):
    hub.succeed(f"cp -p {CONFIG} /tmp/good", "cp -p /etc/alknet/chain.pem /tmp/chain.pem")
    no_certificate = "echo 'no certificate' >/etc/alknet/chain.pem"
    for break_it, reason in [(f"echo nonsense >>{CONFIG}", "key with no value"), (no_certificate, "chain.pem")]:
        hub.succeed(break_it)
        edit(HTTP_OFF)
        said = f"journalctl -u alknet -o cat | grep -F 'was not reloaded' | grep -F {shlex.quote(reason)}"
        hub.wait_until_succeeds(said)
        refused(alice, call_command("hub", "/config/reload"), reason)
        bob.succeed(f"curl -sSk https://hub:{PORT}/healthz | grep -x ok", shows("second"))
        assert sorted(info()["alpns"]) == CALL_AND_HTTP
        hub.succeed(f"cp -p /tmp/good {CONFIG}", "cp -p /tmp/chain.pem /etc/alknet/chain.pem")
    assert call(alice, "hub", "/config/reload")["restart_needed"] == []
    assert terminals(alice, "hub", "/a/tty") == [terminal]
    nobody_is_dropped()

with subtest("a handler is switched off"):
    edit(HTTP_OFF)
    bob.wait_until_fails(f"curl -sSk https://hub:{PORT}/healthz")
    refused(bob, client("h2"), "no application protocol")
    assert info()["alpns"] == CALL_ONLY
    nobody_is_dropped()

with subtest("what needs a restart is said, and waits for it"):
    edit('/^\\[node\\]/,/^name/ s/^name = .*/name = "renamed"/')
    hub.wait_until_succeeds(
        "journalctl -u alknet -o cat | grep -F 'restart the node to apply the change of node.name'"
    )
    assert call(alice, "hub", "/config/reload")["restart_needed"] == ["node.name"]
    assert info()["name"] == "hub"
    nobody_is_dropped()
    assert hub.succeed("systemctl show alknet --property=MainPID --value") == main
    hub.succeed("systemctl restart alknet")
    # The check of all of the above can tell: this does end connections.
    for transport in ["quic", "tcp"]:
        alice.wait_for_file(f"/tmp/{transport}.ended")
    alice.wait_until_succeeds(call_command("hub", "/node/info") + " | grep renamed")
    assert call(alice, "hub", "/config/reload")["restart_needed"] == []
