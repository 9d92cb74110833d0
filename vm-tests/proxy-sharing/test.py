SPOKES = {"/a/tty": spoke1, "/b/tty": spoke2}

start_all()

with subtest("the fleet comes up"):
    for node in [hub, spoke1, spoke2]:
        node.wait_for_unit("alknet.service")
    for tty in SPOKES:
        for user in [alice, bob]:
            user.wait_until_succeeds(call_command("hub", f"{tty}/list"))

with subtest("each gets a terminal on each spoke, and sees that one only"):
    mine = {tty: spawn(alice, "hub", tty, 7101) for tty in SPOKES}
    his = {tty: spawn(bob, "hub", tty, 7102) for tty in SPOKES}
    for tty, spoke in SPOKES.items():
        spoke.wait_until_succeeds(process(7101))
        spoke.wait_until_succeeds(process(7102))
        assert terminals(alice, "hub", tty) == [mine[tty]]
        assert terminals(bob, "hub", tty) == [his[tty]]
    assert sorted(owned(alice, "hub")) == sorted(mine.values())

with subtest("the hub owns both at the spoke, and nobody else owns any"):
    for number, (tty, spoke) in enumerate(SPOKES.items(), start=1):
        assert sorted(owned(hub, f"spoke{number}")) == sorted([mine[tty], his[tty]])
        for user in [alice, bob]:
            assert owned(user, f"spoke{number}") == []

with subtest("the spoke's log tells for whom, and who called"):
    for tty, spoke in SPOKES.items():
        entries = spoke.wait_until_succeeds(
            "journalctl -u alknet PEER=hub OPERATION=/tty/spawn -o json"
        ).splitlines()
        claims = [json.loads(entry).get("FORWARDED_FOR", "") for entry in entries]
        assert any("alice" in claim for claim in claims) and any("bob" in claim for claim in claims), claims
        for user in ["alice", "bob"]:
            assert spoke.succeed(f"journalctl -u alknet PEER={user} OPERATION=/tty/spawn -o cat") == ""

with subtest("through the hub another's terminal is nothing"):
    for tty in SPOKES:
        is_nothing_to(bob, "hub", tty, mine[tty])
        is_nothing_to(alice, "hub", tty, his[tty])
        # The same operations do work, or being refused would prove nothing.
        call(alice, "hub", f"{tty}/write", {"id": mine[tty], "text": "x"})

with subtest("directly at the spoke it is nothing either, not even to the user it is for"):
    for number, tty in enumerate(SPOKES, start=1):
        is_nothing_to(bob, f"spoke{number}", "/tty", mine[tty])
        is_nothing_to(alice, f"spoke{number}", "/tty", mine[tty])
    own = spawn(bob, "spoke1", "/tty", 7103)
    assert terminals(bob, "spoke1", "/tty") == [own]
    is_nothing_to(hub, "spoke1", "/tty", own)
    call(bob, "spoke1", "/tty/kill", {"id": own})

with subtest("whom a caller claims to speak for gives it nothing"):
    for node, tty, id_there in [("hub", "/a/tty", mine["/a/tty"]), ("spoke1", "/tty", mine["/a/tty"])]:
        for whom in [{"id": "alice"}, {"id": "hub"}, {"id": "alice", "scopes": ["tty:*", "node:admin"]}]:
            for operation, given in touches(tty, id_there):
                request = {"operationId": operation, "input": given}
                answer = raw_call(bob, node, request | {"forwarded_for": whom})
                assert answer == raw_call(bob, node, request) and answer["type"] == "call.error", answer
            request = {"operationId": f"{tty}/list", "input": {}, "forwarded_for": whom}
            assert id_there not in json.dumps(raw_call(bob, node, request))
    # What he spawns in her name is not hers: she sees nothing new, and cannot be blamed.
    script = {"command": "/bin/sh", "args": ["-c", "sleep 7104"]}
    request = {"operationId": "/a/tty/spawn", "input": script, "forwarded_for": {"id": "alice"}}
    forged = raw_call(bob, "hub", request)["payload"]["output"]["id"]
    assert terminals(alice, "hub", "/a/tty") == [mine["/a/tty"]]
    entries = spoke1.succeed("journalctl -u alknet PEER=hub OPERATION=/tty/spawn -o json").splitlines()
    claim = json.loads(entries[-1])["FORWARDED_FOR"]
    assert "bob" in claim and "alice" not in claim, claim
    call(bob, "hub", "/a/tty/kill", {"id": forged})

with subtest("while the spoke is cut off, its operations are unavailable and the others go on"):
    spoke1.block()
    alice.wait_until_succeeds(says(call_command("hub", "/a/tty/list", {}, "--timeout", "5"), "UNAVAILABLE"))
    assert terminals(alice, "hub", "/b/tty") == [mine["/b/tty"]]
    spoke1.unblock()
    alice.wait_until_succeeds(call_command("hub", "/a/tty/list"))

with subtest("after the cut everything is as it was"):
    assert terminals(alice, "hub", "/a/tty") == [mine["/a/tty"]]
    call(alice, "hub", "/a/tty/write", {"id": mine["/a/tty"], "text": "x"})
    is_nothing_to(bob, "hub", "/a/tty", mine["/a/tty"])

with subtest("a hub that was restarted finds out from its spokes what is whose"):
    hub.succeed("systemctl restart alknet")
    for tty in SPOKES:
        alice.wait_until_succeeds(call_command("hub", f"{tty}/list") + f" | grep {mine[tty]}")
        assert terminals(alice, "hub", tty) == [mine[tty]]
        assert terminals(bob, "hub", tty) == [his[tty]]
        is_nothing_to(bob, "hub", tty, mine[tty])
        call(alice, "hub", f"{tty}/write", {"id": mine[tty], "text": "x"})

with subtest("a hub that lost its power does, too"):
    hub.crash()
    hub.start()
    hub.wait_for_unit("alknet.service")
    alice.wait_until_succeeds(call_command("hub", "/a/tty/list") + f" | grep {mine['/a/tty']}", timeout=120)
    is_nothing_to(bob, "hub", "/a/tty", mine["/a/tty"])

with subtest("what ended while the hub could not see it is gone when it can"):
    hub.block()
    spoke1.succeed("pkill -KILL -f '[s]leep 7101$'; pkill -KILL -f 'sh -c echo here; [s]leep 7101'")
    spoke1.wait_until_fails(process(7101))
    hub.unblock()
    alice.wait_until_succeeds(call_command("hub", "/a/tty/list"), timeout=120)
    alice.wait_until_succeeds(lacks(call_command("hub", "/a/tty/list"), mine["/a/tty"]))
    assert mine["/a/tty"] not in owned(alice, "hub")
    assert mine["/a/tty"] not in owned(hub, "spoke1")
    is_nothing_to(alice, "hub", "/a/tty", mine["/a/tty"])
    assert terminals(bob, "hub", "/a/tty") == [his["/a/tty"]]
    assert terminals(alice, "hub", "/b/tty") == [mine["/b/tty"]]
