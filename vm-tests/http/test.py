VERSIONS = ["--http1.1", "--http2"]
HUB = f"https://hub:{PORT}"


def curl(path: str, *options: str, token: str = "") -> str:
    """The command line of a request. It succeeds whatever the status is, which stands in the last line."""
    bearer = [f"--header=Authorization: Bearer {token}"] if token else []
    header = [option.replace("--header=", "") for option in bearer]
    words = ["curl", "-sSk", "--max-time", "60", "-w", "\n%{http_code}", *options]
    return shlex.join([*words, *(word for field in header for word in ("--header", field)), HUB + path])


def request(user: "Machine", path: str, *options: str, token: str = "") -> tuple[int, str]:
    """Status and body of the answer."""
    body, _, status = user.succeed(curl(path, *options, token=token)).rpartition("\n")
    return int(status), body


def operate(user: "Machine", path: str, given: Any = None, *options: str) -> tuple[int, Any]:
    """An operation, with the token of the user that is named like the machine."""
    name = "alice" if user is alice else "bob"
    status, body = request(user, path, "--json", json.dumps(given or {}), *options, token=f"alk_not-a-secret-{name}")
    return status, json.loads(body)


start_all()

with subtest("the fleet comes up"):
    for node in [hub, spoke]:
        node.wait_for_unit("alknet.service")
    ready = curl("/a/tty/list", "--json", "{}", token="alk_not-a-secret-alice") + " | tail -n 1 | grep 200"
    alice.wait_until_succeeds(ready)

with subtest("a terminal of the spoke belongs to the token that spawned it"):
    script = {"command": "/bin/sh", "args": ["-c", "echo here; read line; echo got $line; sleep 7301"]}
    status, spawned = operate(alice, "/a/tty/spawn", script)
    assert status == 200, spawned
    mine = {"id": spawned["id"]}
    spoke.wait_until_succeeds(process(7301) + " || pgrep -f 'read line'")
    for version in VERSIONS:
        assert operate(alice, "/a/tty/list", {}, version)[1]["terminals"][0]["id"] == mine["id"]
        assert operate(bob, "/a/tty/list", {}, version) == (200, {"terminals": []})
        for operation, never in [("kill", {"id": NEVER_AN_ID}), ("write", {"id": NEVER_AN_ID, "text": "x"})]:
            refusal = operate(bob, f"/a/tty/{operation}", never | mine, version)
            assert refusal == operate(bob, f"/a/tty/{operation}", never, version), refusal
            assert (refusal[0], refusal[1]["code"]) == (403, "FORBIDDEN"), refusal

with subtest("its output comes as events, and a client that was cut off goes on where it was"):
    follow = ["-N", "--header", "Accept: text/event-stream", "--json", json.dumps(mine)]
    attach = curl("/a/tty/attach", *follow, token="alk_not-a-secret-alice")
    alice.succeed(f"({attach} || true) >/tmp/first 2>&1 &")
    alice.wait_until_succeeds("grep -q '^id: ' /tmp/first")
    last = alice.succeed("grep '^id: ' /tmp/first | tail -n 1").split()[1]
    alice.succeed("pkill -x curl")
    assert operate(alice, "/a/tty/write", mine | {"text": "more\n"})[0] == 200
    again = curl("/a/tty/attach", *follow, "--header", f"Last-Event-ID: {last}", token="alk_not-a-secret-alice")
    alice.succeed(f"({again} || true) >/tmp/second 2>&1 &")
    decoded = "sed -n 's/^data: //p' /tmp/%s | python3 -c 'import base64, json, sys\nfor line in sys.stdin: print(base64.b64decode(json.loads(line).get(\"output\", \"\")).decode(), end=\"\")'"
    alice.wait_until_succeeds(decoded % "second" + " | grep 'got more'")
    assert "here" in alice.succeed(decoded % "first") and "here" not in alice.succeed(decoded % "second")

with subtest("the spoke tells for whom, and an end is an event"):
    entries = spoke.succeed("journalctl -u alknet PEER=hub OPERATION=/tty/spawn -o json").splitlines()
    assert "alice" in json.loads(entries[-1])["FORWARDED_FOR"], entries[-1]
    assert operate(alice, "/a/tty/kill", mine)[0] == 200
    alice.wait_until_succeeds("grep -E '^event: (end|error)' /tmp/second")
    spoke.wait_until_fails(process(7301))
    assert operate(alice, "/a/tty/list")[1] == {"terminals": []}

with subtest("what a token may do is described, and what is counted is counted"):
    paths = json.loads(request(alice, "/openapi.json", token="alk_not-a-secret-alice")[1])["paths"]
    assert "/a/tty/spawn" in paths and "/config/reload" not in paths, sorted(paths)
    status, metrics = request(alice, "/metrics", token="alk_not-a-secret-alice")
    assert status == 200 and 'alknet_http_requests_total{route="operation",class="2xx"}' in metrics, metrics
    assert request(bob, "/metrics", token="alk_not-a-secret-bob")[0] == 403

with subtest("whoever has no token sees nginx, on every path"):
    for version in VERSIONS:
        assert "<title>Welcome to nginx!</title>" in request(bob, "/", version)[1]
        nothing = request(bob, "/no/such/page", version)
        assert nothing[0] == 404 and "<center>nginx/1.22.1</center>" in nothing[1], nothing
        for path in ["/healthz", "/openapi.json", "/metrics", "/node/info", "/call", "/a/tty/list"]:
            assert request(bob, path, version) == nothing, path
            assert request(bob, path, version, token="alk_guessed") == nothing, path
    plain = bob.succeed(f"curl -sS http://hub:{PORT}/")
    assert "The plain HTTP request was sent to HTTPS port" in plain, plain
    # The check can tell: with a token it is another server.
    assert request(bob, "/healthz", token="alk_not-a-secret-bob") == (200, "ok\n")

with subtest("a token that is revoked is nobody's at once"):
    hub.succeed("alknet token revoke bob --all", "systemctl reload alknet")
    bob.wait_until_succeeds(curl("/healthz", token="alk_not-a-secret-bob") + " | tail -n 1 | grep 404")
    assert operate(alice, "/node/info")[0] == 200
