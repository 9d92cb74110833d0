//! What `node/info` says, for people.

use std::fmt::Write as _;

use serde_json::Value;

/// The answer of `node/info` as lines of text.
pub fn describe(info: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let list = |value: &Value| {
        let items = value.as_array().map(|items| items.iter().map(text).collect::<Vec<_>>().join(", "));
        items.filter(|items| !items.is_empty()).unwrap_or_else(|| "none".to_owned())
    };
    let mut lines = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{name:<13}{value}");
    };
    line("node", format!("{} (alknet {})", text(&info["name"]), text(&info["version"])));
    line("fingerprint", text(&info["fingerprint"]));
    line("up for", duration(info["uptime_seconds"].as_u64().unwrap_or_default()));
    line("serves", list(&info["alpns"]));
    if info.get("listen").is_some() {
        line("listens on", list(&info["listen"]));
        line("connections", text(&info["connections"]));
    }
    let caller = &info["caller"];
    line(
        "you are",
        format!("{} over {} (scopes: {})", text(&caller["id"]), text(&caller["transport"]), list(&caller["scopes"])),
    );
    lines
}

/// A time in words.
pub fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_described() {
        let info = json!({
            "name": "hub", "version": "0.1.0", "fingerprint": "ed25519:ab", "alpns": ["alknet/call", "h2"],
            "uptime_seconds": 3725, "listen": ["[::]:4433"], "connections": 2,
            "caller": { "id": "alice", "scopes": [], "transport": "quic" },
        });
        let expected = "\
node         hub (alknet 0.1.0)
fingerprint  ed25519:ab
up for       1 h 2 min
serves       alknet/call, h2
listens on   [::]:4433
connections  2
you are      alice over quic (scopes: none)
";
        assert_eq!(describe(&info), expected);
    }

    #[test]
    fn whatever_a_node_answers_there_is_a_description() {
        assert!(describe(&json!(null)).contains("node"));
        assert_eq!([duration(59), duration(61), duration(90_000)], ["59 s", "1 min 1 s", "1 d 1 h"]);
    }
}
