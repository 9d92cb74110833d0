"""The dashboard in a headless Chromium, as somebody uses it.

usage: page.py ALKNET CONFIG TOKEN_FILE AXE QR OUTPUT
       page.py ALKNET CONFIG TOKEN_FILE

The peer of the token has every scope. Pictures go to the folder OUTPUT. Without one, the browser goes to the node itself, which
has a decoy and a certificate.
"""

import json
import pathlib
import re
import subprocess
import sys
from urllib.parse import urlsplit

import zxingcpp
from browser import PATIENCE, Browser
from PIL import Image

ALKNET, CONFIG, TOKEN_FILE = sys.argv[1:4]
AXE, QR, OUTPUT = sys.argv[4:] or [None] * 3
SECTIONS = ["glance", "handlers", "peers", "connections", "terminals", "resources", "operations", "metrics"]


def alknet(*arguments):
    command = [ALKNET, "--config", CONFIG, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


def call(node, operation, given):
    return json.loads(alknet("call", node, operation, json.dumps(given), "--token-file", TOKEN_FILE, "--json"))


def link(node):
    return call(node, "/dashboard/open", {})


def opens(browser, url):
    browser.go(url)
    browser.until("the page is live", lambda: browser.text("#state") == "Live")
    for section in SECTIONS:
        browser.until(f"there is {section}", lambda: browser.has(f"#{section}"))
    assert browser.text("#name") == "tested"
    secret = urlsplit(url).path.rsplit("/", 1)[1]
    assert secret not in browser.address() and "alknet-dashboard" in browser.address(), browser.address()
    assert browser.script("return document.querySelector('meta[name=session]')") is None
    assert "call" in browser.text("#handlers") and "alknet/call" in browser.text("#handlers")
    assert "user" in browser.text("#peers") and "tester" in browser.text("#peers")
    assert "/tty/spawn" in browser.text("#operations")
    browser.script("window.sameDocument = true")


def opens_once(url, instead, *arguments):
    with Browser(*arguments) as other:
        other.go(url)
        assert instead in other.text("body"), other.text("body")


def filters(browser):
    browser.fill("#operations-filter", "tty/kill")
    browser.until("one is left", lambda: browser.count("#operations tbody tr") == 1)
    browser.fill("#operations-filter", "")
    browser.until("all are back", lambda: browser.count("#operations tbody tr") > 5)


def shows_terminals(browser, node):
    assert "You have none." in browser.text("#terminals")
    first, second = (call(node, "/tty/spawn", {})["id"] for _ in range(2))
    browser.until("both appear", lambda: all(name in browser.text("#terminals") for name in (first, second)))
    browser.until("and are owned", lambda: all(name in browser.text("#resources") for name in (first, second)))
    call(node, "/tty/kill", {"id": first})
    browser.until("one is gone", lambda: first not in browser.text("#terminals"))
    return second


def ends_a_terminal(browser, terminal):
    """By the keyboard alone, and without a terminal being ended by one key."""
    button = f"#terminals button[aria-label='End the terminal {terminal}']"
    browser.focus(button)
    browser.press("Enter")
    browser.until("it asks", lambda: browser.script("return document.querySelector('#question').open"))
    browser.press("Escape")
    browser.until("it asks no more", lambda: not browser.script("return document.querySelector('#question').open"))
    assert terminal in browser.text("#terminals")
    browser.until("the focus is back", lambda: browser.script("return document.activeElement.textContent") == "End")
    browser.press("Enter")
    browser.focus("#question-yes")
    browser.press("Enter")
    browser.until("it has ended", lambda: browser.text("#news") == f"The terminal {terminal} has ended.")
    browser.until("it is gone", lambda: "You have none." in browser.text("#terminals"))
    assert browser.script("return document.activeElement !== document.body"), "the focus is nowhere"


def reloads(browser):
    browser.press("Home")
    browser.click("#reload")
    browser.until("it says so", lambda: "was reloaded: 2 peers" in browser.text("#news"))
    browser.press("F5")
    browser.until("the page is live", lambda: browser.text("#state") == "Live")
    assert browser.script("return window.sameDocument"), "the page was loaded anew"


def is_accessible(browser):
    """In every look; and takes pictures of them."""
    looks = [("light", "light", 1280), ("dark", "dark", 1280), ("phone", "light", 390), ("phone-dark", "dark", 390)]
    for name, scheme, width in looks:
        browser.look(scheme, width)
        browser.picture(pathlib.Path(OUTPUT) / f"dashboard-{name}.png")
        violations = browser.axe(AXE)
        shown = [(found["id"], [node["html"] for node in found["nodes"]]) for found in violations]
        assert not violations, (name, shown)
        wide = browser.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name}: the page is {wide} pixels too wide"
    browser.look("light", 1280)


def draws_codes(browser):
    """What an independent reader reads of them."""
    link = "ALKNET://192.168.1.7:4433/" + "B" * 52 + "/" + "S3O2KIB" * 3
    texts = ["A", link, link.lower(), *("7/A" * length for length in range(5, 130, 9)), "alknet://[::1]:4433/ä"]
    versions = set()
    for text in texts:
        rows = browser.script(pathlib.Path(QR).read_text() + "\nreturn qrCode(arguments[0]);", text)
        versions.add((len(rows) - 17) // 4)
        margin, zoom = 4, 4
        side = (len(rows) + 2 * margin) * zoom
        pixels = bytearray(b"\xff" * side * side)
        for y, row in enumerate(rows):
            for x, dark in enumerate(row):
                for line in range(zoom if dark else 0):
                    at = ((y + margin) * zoom + line) * side + (x + margin) * zoom
                    pixels[at : at + zoom] = bytes(zoom)
        read = zxingcpp.read_barcodes(memoryview(bytes(pixels)).cast("B", shape=[side, side]))
        assert [code.text for code in read] == [text], (text, read)
    assert versions == set(range(1, 11)), versions
    assert browser.script(pathlib.Path(QR).read_text() + "\nreturn qrCode(arguments[0]);", "7/A" * 200) is None


def invites(browser, url):
    """What the page makes of a pairing link, with a stand-in for the operation."""
    link = "alknet://192.168.1.7:4433/" + "bgb4k72" * 7 + "bgb/" + "s3o2kib" * 3 + "s3o2k"
    stand_in = (pathlib.Path(__file__).parent / "inviting.js").read_text()
    browser.before_each_page(f"const LINK = {json.dumps(link)};\n{stand_in}")
    opens(browser, url)
    browser.fill("#pairing input", "worker")
    browser.fill("#pairing label + label input", "tty:use metrics:read")
    browser.press("Enter")
    browser.until("there is a link", lambda: browser.text("#news") == "There is a link for worker.")
    assert browser.script("return window.invited") == {"id": "worker", "scopes": ["tty:use", "metrics:read"]}
    assert f"alknet join {link}" in browser.text("#pairing")
    for scheme, width in [("light", 1280), ("dark", 390)]:
        browser.look(scheme, width)
        path = pathlib.Path(OUTPUT) / f"dashboard-pairing-{scheme}.png"
        browser.picture(path, "#pairing")
        read = zxingcpp.read_barcodes(Image.open(path))
        assert [code.text for code in read] == [link.upper()], (scheme, read)
        assert not browser.axe(AXE)


def ends_with_its_token(browser):
    fingerprint = re.search(r"ed25519:[0-9a-f]{64}", browser.text("#about")).group()
    alknet("token", "revoke", "user", "--all")
    browser.until("it has ended", lambda: browser.text("#name") == "This dashboard has ended")
    assert "alknet dashboard" in browser.text("#main")
    document = browser.script("return document.documentElement.outerHTML")
    assert fingerprint not in document and "tty/spawn" not in document, "something of the node is still there"
    browser.picture(pathlib.Path(OUTPUT) / "dashboard-ended.png")
    assert not browser.axe(AXE)


def talks_to_nobody_else(browser, origin):
    asked = browser.requests()
    assert asked, "nothing was recorded"
    elsewhere = [url for url in asked if urlsplit(url).netloc != urlsplit(origin).netloc and not url.startswith("data:")]
    assert not elsewhere, elsewhere


def forwarded(at):
    """By a port of this machine, as without options."""
    command = [ALKNET, "--config", CONFIG, "dashboard", at, "--json", "--token-file", TOKEN_FILE]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as forwarder:
        try:
            url = json.loads(forwarder.stdout.readline())["url"]
            with Browser() as browser:
                opens(browser, url)
                opens_once(url, "UNAUTHENTICATED")
                filters(browser)
                terminal = shows_terminals(browser, at)
                is_accessible(browser)
                draws_codes(browser)
                ends_a_terminal(browser, terminal)
                reloads(browser)
                origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
                with Browser() as other:
                    invites(other, origin + link(at)["path"])
                    behaves(other, url)
                ends_with_its_token(browser)
                behaves(browser, url)
        finally:
            forwarder.terminate()


def direct(at, port):
    """Over h2, and with the WebSocket over http/1.1, as a decoy has no other."""
    url = json.loads(alknet("dashboard", at, f"--direct=localhost:{port}", "--json", "--token-file", TOKEN_FILE))["url"]
    assert url.startswith(f"https://localhost:{port}/dashboard/"), url
    trusting = "--ignore-certificate-errors"
    opens_once(f"https://localhost:{port}/dashboard/guess", "nginx/1.22.1", trusting)
    with Browser(trusting) as browser:
        opens(browser, url)
        opens_once(url, "nginx/1.22.1", trusting)
        behaves(browser, url)


def behaves(browser, url):
    talks_to_nobody_else(browser, url)
    said = browser.complaints()
    assert not said, said


def main():
    node = json.loads(alknet("id", "--json"))["fingerprint"]
    port = re.search(r'listen = \["\[::\]:(\d+)"\]', pathlib.Path(CONFIG).read_text()).group(1)
    at = f"{node}@127.0.0.1:{port}"
    if OUTPUT:
        forwarded(at)
    else:
        direct(at, port)
    print("all as described")


main()
