TRANSPORTS = ["quic", "tcp"]
ALPNS = ["alknet/call", "h2", "http/1.1"]
GET = r"GET /healthz HTTP/1.1\r\nHost: left\r\nConnection: close\r\n\r\n"
# The client's preface with empty settings (RFC 9113, 3.4). The server's first frame has to be its settings: type 4.
HTTP_2 = r"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"


def info(machine: "Machine", node: str, *options: str) -> dict:
    return call(machine, node, "/node/info", {}, *options)


start_all()

with subtest("the nodes come up"):
    for machine in [left, right]:
        machine.wait_for_unit("alknet.service")
        machine.wait_for_open_port(PORT)
    here = f"{identity(left)}@left:{PORT}"

with subtest("every ALPN over both transports"):
    assert sorted(info(right, "left")["alpns"]) == ALPNS, "this script tries other ALPNs than the node serves"
    for transport in TRANSPORTS:
        how = f"--transport {transport}"
        caller = info(right, "left", "--transport", transport)["caller"]
        assert caller["id"] == "right" and caller["fingerprint"] == identity(right), caller
        assert "you are      right over" in right.succeed(f"alknet status left {how}")
        answer = right.succeed(f"printf '{GET}' | alknet connect left http/1.1 {how}")
        assert " 200 OK\r\n" in answer and answer.endswith("ok\n"), answer
        kind = f"printf '{HTTP_2}' | alknet connect left h2 {how} | od -An -tu1 -j3 -N1"
        assert right.succeed(kind).strip() == "4"

with subtest("stock clients"):
    for option, version in [("--http1.1", "1.1"), ("--http2", "2")]:
        curl = f"curl -sSk {option} -w ' %{{http_version}}' https://left:{PORT}/healthz"
        assert right.succeed(curl).split() == ["ok", version]
    for alpn in ALPNS:
        said = right.succeed(f"openssl s_client -connect left:{PORT} -alpn {alpn} </dev/null 2>/dev/null")
        assert f"ALPN protocol: {alpn}\n" in said, said

with subtest("an unknown ALPN is refused in the handshake"):
    client = f"openssl s_client -connect left:{PORT} -alpn nobody/serves-this </dev/null"
    refused(right, client, "no application protocol")
    for transport in TRANSPORTS:
        command = f"alknet connect left nobody/serves-this --transport {transport} </dev/null"
        refused(right, command, 'does not serve the ALPN "nobody/serves-this"')

with subtest("a denied caller gets nothing, and the check can tell"):
    for transport in TRANSPORTS:
        ask = f"alknet call {here} /node/info --transport {transport}"
        refused(stranger, ask, "UNAUTHENTICATED")
        right.succeed(ask)
        # Known is not yet allowed.
        reload = f"/config/reload --transport {transport}"
        refused(right, f"alknet call left {reload}", "FORBIDDEN")
        left.succeed(f"alknet call right {reload}")
    other = f"{identity(right)}@left:{PORT}"
    refused(stranger, f"alknet status {other}", "another node than expected")

with subtest("a reload adds a peer"):
    peer = f'\n[[peers]]\nid = "guest"\nfingerprints = ["{identity(stranger)}"]\n'
    left.succeed(f"printf '%s' '{peer}' >> /etc/alknet/alknet.toml", "systemctl reload alknet")
    stranger.wait_until_succeeds(f"alknet call {here} /node/info")
    assert info(stranger, here)["caller"]["id"] == "guest"

with subtest("a reload revokes it, and its open connection ends"):
    held = f"(sleep 1h | alknet connect {here} alknet/call) >/tmp/held 2>&1 &"
    stranger.succeed(held)
    stranger.wait_until_succeeds("pgrep -x alknet")
    assert info(right, "left")["caller"]["id"] == "right"
    left.succeed(r"sed -i '/^id = \"guest\"/i enabled = false' /etc/alknet/alknet.toml")
    stranger.succeed("pgrep -x alknet")
    left.succeed("systemctl reload alknet")
    stranger.wait_until_fails("pgrep -x alknet", timeout=10)
    refused(stranger, f"alknet call {here} /node/info", "UNAUTHENTICATED")
    assert info(right, "left")["caller"]["id"] == "right"

with subtest("a broken configuration changes nothing"):
    left.succeed("cp -p /etc/alknet/alknet.toml /tmp/good", "echo 'nonsense' >> /etc/alknet/alknet.toml")
    left.succeed("systemctl reload alknet")
    left.wait_until_succeeds("journalctl -u alknet -o cat | grep -F 'was not reloaded'")
    right.succeed("alknet call left /node/info")
    left.succeed("mv /tmp/good /etc/alknet/alknet.toml", "systemctl reload alknet")

with subtest("a restart"):
    before = left.succeed("systemctl show alknet --property=MainPID --value").strip()
    left.succeed("systemctl restart alknet")
    after = left.succeed("systemctl show alknet --property=MainPID --value").strip()
    assert before != after and int(after) > 0, (before, after)
    right.succeed("alknet call left /node/info")

with subtest("what crashes is started again"):
    left.succeed("systemctl kill --kill-whom=main --signal=KILL alknet")
    left.wait_until_succeeds("test $(systemctl show alknet --property=NRestarts --value) = 1")
    left.wait_for_unit("alknet")
    right.succeed("alknet call left /node/info")

with subtest("a cut network"):
    right.block()
    for transport in TRANSPORTS:
        status = f"alknet status right --timeout 2 --transport {transport}"
        left.fail(status)
    right.succeed(f"alknet status {identity(right)}@localhost:{PORT}")
    right.unblock()
    for transport in TRANSPORTS:
        left.wait_until_succeeds(f"alknet status right --timeout 2 --transport {transport}")

with subtest("a power failure"):
    was = identity(right)
    right.crash()
    left.fail("alknet status right --timeout 2")
    right.start()
    right.wait_for_unit("alknet")
    assert info(left, "right")["fingerprint"] == was

with subtest("a shutdown"):
    right.shutdown()
    left.fail("alknet status right --timeout 2")
    right.start()
    right.wait_for_unit("alknet")
    left.wait_until_succeeds("alknet status right --timeout 2")
