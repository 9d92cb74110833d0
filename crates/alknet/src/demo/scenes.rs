//! What the demo shows. A scene is a list of commands with what has to come of each.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::fleet::{Fleet, Node};
use super::show::Show;
use super::weather::Weather;

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n";

/// What has to come of a command.
enum Expect<'a> {
    /// It succeeds and prints this.
    Success(&'a str),
    /// It fails and says this.
    Failure(&'a str),
}

use Expect::{Failure, Success};

/// Runs a command, and gives what it said.
fn step(show: &Show, node: &Node, arguments: &[&str], input: &str, expect: Expect<'_>) -> anyhow::Result<String> {
    let command = format!("alknet {}", arguments.iter().map(|a| shorten(a)).collect::<Vec<_>>().join(" "));
    let shown = match input.lines().next() {
        Some(first) => format!("echo \"{}…\" | {command}", shorten(first)),
        None => command.clone(),
    };
    show.command(node.name, &shown);
    let output = node.run(arguments, input)?;
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&text);
    show.output(&text);
    let (success, words) = match expect {
        Success(words) => (true, words),
        Failure(words) => (false, words),
    };
    if output.status.success() != success || !text.contains(words) {
        let end = if success { "succeed" } else { "fail" };
        bail!("`{command}` had to {end} and to say \"{words}\"; it ended with {}", output.status);
    }
    Ok(text.into_owned())
}

/// Fingerprints are long; what matters of them here is that they differ.
fn shorten(argument: &str) -> String {
    match argument
        .split_once("ed25519:")
        .map(|(before, rest)| (before, rest.split_at_checked(8), rest.split_at_checked(64)))
    {
        Some((before, Some((head, _)), Some((_, tail)))) => format!("{before}ed25519:{head}…{tail}"),
        _ if argument.starts_with('{') || argument.starts_with("echo ") => format!("'{argument}'"),
        _ => argument.to_owned(),
    }
}

pub(super) fn dispatch(fleet: &Fleet, show: &Show) -> anyhow::Result<()> {
    show.title("One port number, several protocols, two transports: the TLS handshake's ALPN decides");
    let laptop = &fleet.laptop;
    for transport in ["tcp", "quic"] {
        step(show, laptop, &["connect", "hub", "http/1.1", "--transport", transport], HEALTH, Success("ok"))?;
        let list = ["call", "hub", "/services/list", "--transport", transport, "--json"];
        step(show, laptop, &list, "", Success("/services/list"))?;
    }
    Ok(())
}

pub(super) fn calls(fleet: &Fleet, show: &Show) -> anyhow::Result<()> {
    show.title("Calls between nodes: whoever has a peer's key or token is that peer, on every protocol");
    step(show, &fleet.laptop, &["status", "hub"], "", Success("you are      laptop over quic"))?;
    step(show, &fleet.worker, &["call", "hub", "/node/info", "--json"], "", Success("\"id\":\"worker\""))?;
    step(show, &fleet.hub, &["status", "worker", "--transport", "tcp"], "", Success("you are      hub over tls"))?;
    show.say("");
    show.say("The same operation over HTTP, from nobody's machine, with the laptop's token:");
    let token = fleet.token.reveal();
    let hub = format!("{}@{}", fleet.hub.fingerprint, fleet.hub.address());
    let connect = ["connect", &hub, "http/1.1", "--transport", "tcp"];
    step(show, &fleet.stranger, &connect, &post_info(token), Success("\"id\":\"laptop\"")).map(drop)
}

fn post_info(token: &str) -> String {
    format!(
        "POST /node/info HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    )
}

pub(super) fn terminals(fleet: &Fleet, show: &Show) -> anyhow::Result<()> {
    show.title("A terminal on the worker, through the hub: it belongs to who spawned it, and to nobody else");
    let (laptop, phone) = (&fleet.laptop, &fleet.phone);
    await_exports(laptop)?;
    let spawn = ["tty", "spawn", "hub/worker", "--detach", "--", "-c", "echo the laptop was here; exec sleep 600"];
    let id = step(show, laptop, &spawn, "", Success("t-"))?;
    let id = id.split_whitespace().find(|word| word.starts_with("t-")).context("no terminal was named")?;
    step(show, laptop, &["tty", "list", "hub/worker"], "", Success(id))?;
    show.say("");
    show.say("The phone has the same scopes. To it, that terminal is not there:");
    let listed = step(show, phone, &["tty", "list", "hub/worker"], "", Success(""))?;
    if listed.contains(id) {
        bail!("the phone sees the laptop's terminal");
    }
    let touch = format!("{{\"id\":\"{id}\"}}");
    let never = "{\"id\":\"t-aaaaaaaaaaaaaaaa\"}";
    let real = step(show, phone, &["call", "hub", "/worker/tty/kill", &touch], "", Failure("FORBIDDEN"))?;
    let invented = step(show, phone, &["call", "hub", "/worker/tty/kill", never], "", Failure("FORBIDDEN"))?;
    if real != invented {
        bail!("the phone can tell a terminal that is there from one that never was");
    }
    show.say("");
    show.say("At the worker the hub owns it, and says for whom:");
    let claim = "\"claim\":{\"id\":\"laptop\"}";
    step(show, &fleet.hub, &["call", "worker", "/resources/list", "--json"], "", Success(claim))?;
    step(show, laptop, &["tty", "kill", "hub/worker", id], "", Success(""))?;
    step(show, &fleet.hub, &["call", "worker", "/resources/list", "--json"], "", Success("\"resources\":[]")).map(drop)
}

pub(super) fn imports(fleet: &Fleet, weather: &Weather, show: &Show) -> anyhow::Result<()> {
    show.title(
        "A service that describes itself in OpenAPI: its operations are the hub's, its key stays in the hub's vault",
    );
    let laptop = &fleet.laptop;
    let forecast = ["call", "hub", "/weather/forecast", "{\"city\":\"Vienna\"}", "--json"];
    let answer = step(show, laptop, &forecast, "", Success("sunny"))?;
    if answer.contains(weather.key.reveal()) {
        bail!("the laptop has seen the key");
    }
    show.say("");
    show.say("Everything that a token opens is described in OpenAPI, too:");
    let hub = format!("{}@{}", fleet.hub.fingerprint, fleet.hub.address());
    let describe = format!(
        "GET /openapi.json HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        fleet.token.reveal()
    );
    show.command("stranger", "curl --header \"Authorization: Bearer …\" https://hub/openapi.json");
    let output = fleet.stranger.run(&["connect", &hub, "http/1.1", "--transport", "tcp"], &describe)?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !text.contains("/weather/forecast") {
        bail!("the description lacks /weather/forecast:\n{text}");
    }
    show.output(&format!("… {} bytes, with /weather/forecast among them", text.len()));
    Ok(())
}

pub(super) fn decoy(fleet: &Fleet, show: &Show) -> anyhow::Result<()> {
    show.title("The worker has a decoy: without a token it is a web server that was just installed");
    let stranger = &fleet.stranger;
    let worker = format!("{}@{}", fleet.worker.fingerprint, fleet.worker.address());
    let connect = ["connect", &worker, "http/1.1", "--transport", "tcp"];
    let page = "HEAD / HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n";
    step(show, stranger, &connect, page, Success("Server: nginx/1.22.1"))?;
    let guessed = post_info("alk_guessed");
    step(show, stranger, &connect, &guessed, Success("<center>nginx/1.22.1</center>")).map(drop)
}

/// The hub and the worker find each other while the demo goes on; by now they have, or nearly.
fn await_exports(laptop: &Node) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let listed = laptop.run(&["services", "hub"], "")?;
        if String::from_utf8_lossy(&listed.stdout).contains("/worker/tty/spawn") {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the hub does not offer the worker's terminals");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(super) fn strangers(fleet: &Fleet, show: &Show) -> anyhow::Result<()> {
    show.title("What a stranger gets: nothing");
    let stranger = &fleet.stranger;
    let hub = format!("{}@{}", fleet.hub.fingerprint, fleet.hub.address());
    step(show, stranger, &["call", &hub, "/node/info"], "", Failure("UNAUTHENTICATED"))?;
    step(show, stranger, &["connect", &hub, "alknet/ssh"], "", Failure("does not serve the ALPN \"alknet/ssh\""))?;
    let wrong_token = post_info("alk_guessed");
    step(show, stranger, &["connect", &hub, "http/1.1"], &wrong_token, Success("401 Unauthorized"))?;
    show.say("");
    show.say("And a node that is not the one it should be:");
    let impostor = format!("{}@{}", fleet.worker.fingerprint, fleet.hub.address());
    step(show, stranger, &["status", &impostor], "", Failure("another node than expected")).map(drop)
}

pub(super) fn pairing(fleet: &Fleet, show: &Show) -> anyhow::Result<()> {
    show.title("A link that is good once: the stranger becomes a guest, while the hub runs");
    let (hub, stranger) = (&fleet.hub, &fleet.stranger);
    let said = step(show, hub, &["invite", "guest", "--scope", "tty:use"], "", Success("alknet://"))?;
    let link = said.lines().find(|line| line.starts_with("alknet://")).context("no link was printed")?;
    step(show, stranger, &["join", "-"], link, Success("this node is \"guest\" at \"hub\""))?;
    step(show, stranger, &["status", "hub"], "", Success("you are      guest"))?;
    step(show, hub, &["peer", "remove", "guest"], "", Success("removed \"guest\""))?;
    show.say("");
    show.say("The same link once more:");
    step(show, stranger, &["join", "-"], link, Failure("this invitation is not good")).map(drop)
}

pub(super) fn revocation(fleet: &mut Fleet, show: &Show) -> anyhow::Result<()> {
    show.title("A peer that is removed loses its open connections at once; nobody else notices");
    // A request keeps the connection in use: the answer shows that the hub has taken the laptop in.
    let frame = call_frame();
    let connect = ["connect", "hub", "alknet/call"];
    show.command(fleet.laptop.name, "alknet connect hub alknet/call    # and stays connected");
    let mut held = fleet.laptop.hold(&connect, &frame)?;
    // Held open until the end: it must not be the end of the input that ends the connection.
    let _input = held.stdin.take();
    let removed = Instant::now();
    step(show, &fleet.hub, &["peer", "remove", "laptop"], "", Success("laptop"))?;
    held.wait().context("the held connection cannot be waited for")?;
    show.say("");
    show.say(&format!("The laptop's connection ended {} ms after the command began.", removed.elapsed().as_millis()));
    step(show, &fleet.laptop, &["status", "hub"], "", Failure("UNAUTHENTICATED"))?;
    step(show, &fleet.worker, &["status", "hub"], "", Success("you are      worker")).map(drop)
}

/// A call of services/list as it stands on the wire: the length in four bytes, then JSON.
fn call_frame() -> String {
    let json = r#"{"type":"call.requested","id":"1","payload":{"operationId":"/services/list","input":null}}"#;
    // A length below 128 is its own four bytes in UTF-8.
    format!("\0\0\0{}{json}", char::from(u8::try_from(json.len()).unwrap_or_default()))
}
