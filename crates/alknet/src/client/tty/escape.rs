//! The keys that are for this side and not for the terminal, after ssh(1): at the beginning of a line, `~` and one more.

use std::fmt;
use std::str::FromStr;

use bytes::BytesMut;

/// The character that begins them; none switches them off.
///
/// ```
/// use alknet::client::tty::EscapeChar;
/// assert_eq!("^]".parse(), Ok(EscapeChar::of(0x1d)));
/// assert_eq!("none".parse(), Ok(EscapeChar::NONE));
/// assert_eq!(EscapeChar::default().to_string(), "~");
/// assert!("ab".parse::<EscapeChar>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EscapeChar(Option<u8>);

impl EscapeChar {
    /// No keys are for this side.
    pub const NONE: Self = Self(None);

    /// This character.
    pub const fn of(character: u8) -> Self {
        Self(Some(character))
    }
}

impl Default for EscapeChar {
    fn default() -> Self {
        Self::of(b'~')
    }
}

impl fmt::Display for EscapeChar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("none"),
            Some(control @ 0..=0x1f) => write!(f, "^{}", char::from(control | 0x40)),
            Some(character) => write!(f, "{}", char::from(character)),
        }
    }
}

impl FromStr for EscapeChar {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            b"none" => Ok(Self::NONE),
            [character @ 0x21..=0x7e] => Ok(Self::of(*character)),
            // Enter is what comes before it, and would never get through.
            [b'^', letter @ (b'@'..=b'_' | b'a'..=b'z')] if !matches!(letter & 0x1f, 0x0a | 0x0d) => {
                Ok(Self::of(letter & 0x1f))
            }
            _ => Err("write one character, or one as ^] for a control character, or none".to_owned()),
        }
    }
}

/// What this side is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Leave the terminal to itself.
    Detach,
    /// Say which keys there are.
    Help,
    /// Stop this program, as Ctrl-Z does a local one.
    Suspend,
}

const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";
const CTRL_Z: u8 = 0x1a;

/// Finds the keys that are for this side in what is typed. Pasted text that the local terminal marks as such (bracketed
/// paste) has none.
#[derive(Debug)]
pub struct Escape {
    character: Option<u8>,
    state: State,
    in_paste: bool,
    /// How much of the mark has come that would begin or end a paste.
    matched: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LineStart,
    /// After the character itself, which is held back.
    Escaped,
    InLine,
}

impl Escape {
    /// The beginning counts as that of a line.
    pub fn new(character: EscapeChar) -> Self {
        Self { character: character.0, state: State::LineStart, in_paste: false, matched: 0 }
    }

    /// The character that begins the keys for this side.
    pub fn character(&self) -> EscapeChar {
        EscapeChar(self.character)
    }

    /// Goes through `typed` up to the first command, and appends what is for the terminal to `out`. What is left of
    /// `typed` has not been looked at.
    pub fn feed(&mut self, typed: &mut &[u8], out: &mut BytesMut) -> Option<Command> {
        while let Some((&byte, rest)) = typed.split_first() {
            *typed = rest;
            if let Some(command) = self.key(byte, out) {
                return Some(command);
            }
        }
        None
    }

    /// What is held back; there is nothing that could follow it.
    pub fn finish(&mut self, out: &mut BytesMut) {
        if let (State::Escaped, Some(character)) = (self.state, self.character) {
            out.extend_from_slice(&[character]);
        }
        self.state = State::LineStart;
    }

    fn key(&mut self, byte: u8, out: &mut BytesMut) -> Option<Command> {
        self.watch_for_paste(byte);
        let state = std::mem::replace(&mut self.state, if is_enter(byte) { State::LineStart } else { State::InLine });
        match (state, self.character) {
            (State::LineStart, Some(character)) if byte == character && !self.in_paste => {
                self.state = State::Escaped;
                return None;
            }
            (State::Escaped, Some(character)) => {
                if let Some(command) = command(byte) {
                    self.state = State::LineStart;
                    return Some(command);
                }
                // Twice is once, and in front of any other key it is what it is.
                if byte != character {
                    out.extend_from_slice(&[character]);
                }
            }
            _ => {}
        }
        out.extend_from_slice(&[byte]);
        None
    }

    fn watch_for_paste(&mut self, byte: u8) {
        let mark = if self.in_paste { PASTE_ENDS } else { PASTE_BEGINS };
        // Only its first byte can begin a mark anew.
        let matched = if mark.get(self.matched) == Some(&byte) { self.matched + 1 } else { 0 };
        self.matched = matched.max(usize::from(mark.first() == Some(&byte)));
        if self.matched == mark.len() {
            (self.in_paste, self.matched) = (!self.in_paste, 0);
        }
    }
}

fn is_enter(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

fn command(byte: u8) -> Option<Command> {
    match byte {
        b'.' => Some(Command::Detach),
        b'?' => Some(Command::Help),
        CTRL_Z => Some(Command::Suspend),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What gets through, and the commands, however the keys arrive.
    fn run(character: &str, typed: &[u8], pieces: usize) -> (Vec<u8>, Vec<Command>) {
        let mut escape = Escape::new(character.parse().unwrap());
        let (mut out, mut commands) = (BytesMut::new(), Vec::new());
        for mut piece in typed.chunks(pieces) {
            while !piece.is_empty() {
                commands.extend(escape.feed(&mut piece, &mut out));
            }
        }
        escape.finish(&mut out);
        (out.to_vec(), commands)
    }

    #[track_caller]
    fn assert_typed(typed: &[u8], through: &[u8], commands: &[Command]) {
        for pieces in [1, 2, 100] {
            assert_eq!(run("~", typed, pieces), (through.to_vec(), commands.to_vec()), "in pieces of {pieces}");
        }
    }

    #[test]
    fn at_the_beginning_of_a_line_the_keys_are_for_this_side() {
        assert_typed(b"~.", b"", &[Command::Detach]);
        assert_typed(b"ls\r~.", b"ls\r", &[Command::Detach]);
        assert_typed(b"\n~?\x7f~\x1ax", b"\n\x7f~\x1ax", &[Command::Help]);
        assert_typed(b"~?~\x1a~.", b"", &[Command::Help, Command::Suspend, Command::Detach]);
    }

    #[test]
    fn anywhere_else_they_are_not() {
        assert_typed(b"cd ~.ssh", b"cd ~.ssh", &[]);
        assert_typed(b"\r~/bin\r", b"\r~/bin\r", &[]);
        assert_typed(b"\r~\r~", b"\r~\r~", &[]);
        assert_typed(b"\r~~.", b"\r~.", &[]);
        assert_typed(b"~~~.", b"~~.", &[]);
    }

    #[test]
    fn what_is_pasted_is_for_the_terminal() {
        assert_typed(b"\x1b[200~a\n~.\n\x1b[201~\r~.", b"\x1b[200~a\n~.\n\x1b[201~\r", &[Command::Detach]);
        assert_typed(b"\x1b[20\x1b[200~\n~.", b"\x1b[20\x1b[200~\n~.", &[]);
    }

    #[test]
    fn another_character_takes_its_place_and_none_switches_them_off() {
        assert_eq!(run("^]", b"~.\x1d.", 9), (b"~.\x1d.".to_vec(), vec![]), "not at the beginning of a line");
        assert_eq!(run("^]", b"~.\r\x1d.", 9), (b"~.\r".to_vec(), vec![Command::Detach]));
        assert_eq!(run("none", b"\r~.", 9), (b"\r~.".to_vec(), vec![]));
        for bad in ["", "ab", "^", "^^^", "^m", "^J", "ä", " "] {
            assert_eq!(bad.parse::<EscapeChar>().is_ok(), bad == "^", "{bad:?}");
        }
        for good in ["~", "^]", "^A", "none", "%"] {
            assert_eq!(good.parse::<EscapeChar>().unwrap().to_string(), good);
        }
    }

    proptest! {
        #[test]
        fn without_the_character_every_byte_gets_through(typed in proptest::collection::vec(any::<u8>(), 0..100)) {
            let typed: Vec<u8> = typed.into_iter().filter(|byte| *byte != b'~').collect();
            prop_assert_eq!(run("~", &typed, 7), (typed, vec![]));
        }

        #[test]
        fn how_keys_arrive_does_not_matter(typed in "[~.?\r\nx\x1b\\[201]{0,40}", pieces in 1usize..9) {
            prop_assert_eq!(run("~", typed.as_bytes(), pieces), run("~", typed.as_bytes(), 100));
        }
    }
}
