import json

def identities():
    files = ["/etc/alknet/alknet.toml", "/etc/alknet-lab/alknet.toml"]
    return [json.loads(machine.succeed(f"alknet id --json --config {file}"))["fingerprint"] for file in files]

start_all()

with subtest("two nodes start, and each makes an identity"):
    for unit in ["alknet.service", "alknet-lab.service"]:
        machine.wait_for_unit(unit)
    for port in [443, 4433]:
        machine.wait_for_open_port(port)
    before = identities()
    assert before[0] != before[1], before

with subtest("the words are for root, once"):
    machine.succeed("systemd-creds decrypt --name=words /var/lib/alknet-identity/words.cred - | wc -w | grep -x 24")
    machine.fail("runuser -u nobody -- cat /var/lib/alknet-identity/words.cred")
    machine.fail("grep -r -a -F \"$(systemd-creds decrypt --name=words /var/lib/alknet-identity/words.cred - | cut -d ' ' -f 1-4)\" /var/lib /run /tmp /var/log")

with subtest("the identity survives a restart and a power failure"):
    machine.succeed("systemctl restart alknet-identity.service alknet.service")
    assert identities() == before
    machine.crash()
    machine.start()
    machine.wait_for_unit("alknet.service")
    assert identities() == before
