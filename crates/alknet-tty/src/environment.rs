//! The environment of a program: made anew, and nothing in it is the node's own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use crate::request::Program;

/// The account database is read up to here.
const MAX_PASSWD: u64 = 1024 * 1024;

/// What `program` gets to see: what every program needs, and what its spawner asked for.
pub(crate) fn of(program: &Program) -> BTreeMap<String, String> {
    let own = rustix::process::getuid().as_raw();
    let mut env = base(&passwd().unwrap_or_default(), own);
    env.insert("PATH".into(), program.path.clone());
    env.extend(program.env.clone());
    env
}

fn passwd() -> io::Result<String> {
    let mut text = String::new();
    File::open("/etc/passwd")?.take(MAX_PASSWD).read_to_string(&mut text)?;
    Ok(text)
}

/// An account that has no line, as a service's transient one, gives a home that is there and no name.
fn base(passwd: &str, uid: u32) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([("TERM", "xterm-256color"), ("HOME", "/"), ("SHELL", "/bin/sh")]);
    if let Some((name, home, shell)) = passwd.lines().find_map(|line| account(line, uid)) {
        env.extend([("USER", name), ("LOGNAME", name), ("HOME", home)]);
        if !shell.is_empty() {
            env.insert("SHELL", shell);
        }
    }
    env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The name, the home and the shell, if the line is that account's (passwd(5)).
fn account(line: &str, uid: u32) -> Option<(&str, &str, &str)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let is_own = fields.nth(1)?.parse::<u32>().is_ok_and(|number| number == uid);
    let home = fields.nth(2)?;
    is_own.then_some((name, home, fields.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nbroken\nalknet:x:998:998::/var/lib/alknet:\n";

    #[test]
    fn the_account_gives_name_home_and_shell() {
        let env = base(PASSWD, 0);
        let of = |name: &str| env.get(name).map(String::as_str);
        assert_eq!((of("USER"), of("LOGNAME"), of("HOME")), (Some("root"), Some("root"), Some("/root")));
        assert_eq!((of("SHELL"), of("TERM")), (Some("/bin/bash"), Some("xterm-256color")));
        assert_eq!(base(PASSWD, 998)["SHELL"], "/bin/sh");
        assert_eq!(base(PASSWD, 998)["HOME"], "/var/lib/alknet");
    }

    #[test]
    fn an_account_without_a_line_still_has_a_home() {
        let env = base(PASSWD, 4711);
        assert_eq!(env["HOME"], "/");
        assert!(!env.contains_key("USER"));
    }
}
