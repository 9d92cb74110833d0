//! What a program has switched on in the local terminal and nobody switches off when one detaches from it: the alternate
//! screen, the mouse, a hidden cursor.

use std::collections::BTreeSet;

/// The modes that change what a terminal does with keys and the screen, after xterm's control sequences: application
/// cursor keys, mouse and focus reports, alternate screens, bracketed paste.
const MODES: [u16; 15] = [1, 9, 47, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047, 2004, ALTERNATE];
/// The alternate screen with a saved cursor.
const ALTERNATE: u16 = 1049;
const CURSOR: u16 = 25;

/// No control sequence of interest is longer.
const MAX_SEQUENCE: usize = 64;

/// Follows what output does to a terminal.
#[derive(Debug, Default)]
pub struct Modes {
    on: BTreeSet<u16>,
    cursor_hidden: bool,
    keypad: bool,
    /// How often the kitty keyboard protocol has been pushed.
    keyboards: u32,
    state: State,
    sequence: Vec<u8>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    Escape,
    Control,
}

impl Modes {
    /// Looks at output on its way to the terminal.
    pub fn watch(&mut self, output: &[u8]) {
        let mut rest = output;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match (&self.state, byte) {
                (_, 0x1b) => self.state = State::Escape,
                (State::Text, _) => {
                    // Most output is text, and has to be fast.
                    let next = rest.iter().position(|byte| *byte == 0x1b).unwrap_or(rest.len());
                    rest = rest.get(next..).unwrap_or_default();
                }
                (State::Escape, _) => self.escape(byte),
                (State::Control, 0x40..=0x7e) => {
                    self.control(byte);
                    self.state = State::Text;
                }
                (State::Control, _) if self.sequence.len() < MAX_SEQUENCE => self.sequence.push(byte),
                (State::Control, _) => self.state = State::Text,
            }
        }
    }

    /// What puts the terminal back; afterwards nothing is on.
    pub fn reset(&mut self) -> Vec<u8> {
        let mut text = String::new();
        if self.keyboards > 0 {
            text += &format!("\x1b[<{}u", self.keyboards);
        }
        let alternate = self.on.remove(&ALTERNATE);
        self.on.iter().for_each(|mode| text += &format!("\x1b[?{mode}l"));
        if self.keypad {
            text += "\x1b>";
        }
        if alternate {
            text += "\x1b[?1049l";
        }
        if self.cursor_hidden {
            text += "\x1b[?25h";
        }
        *self = Self::default();
        text.into_bytes()
    }

    fn escape(&mut self, byte: u8) {
        self.state = State::Text;
        match byte {
            b'[' => {
                self.sequence.clear();
                self.state = State::Control;
            }
            b'=' => self.keypad = true,
            b'>' => self.keypad = false,
            // RIS resets everything.
            b'c' => *self = Self::default(),
            _ => {}
        }
    }

    fn control(&mut self, end: u8) {
        match (self.sequence.split_first(), end) {
            (Some((b'?', modes)), b'h' | b'l') => {
                let modes: Vec<u16> = modes.split(|byte| *byte == b';').filter_map(number).collect();
                modes.into_iter().for_each(|mode| self.switch(mode, end == b'h'));
            }
            (Some((b'>', _)), b'u') => self.keyboards = self.keyboards.saturating_add(1).min(99),
            (Some((b'<', times)), b'u') => {
                let times = number(times).filter(|times| *times > 0).unwrap_or(1);
                self.keyboards = self.keyboards.saturating_sub(times.into());
            }
            _ => {}
        }
    }

    fn switch(&mut self, mode: u16, on: bool) {
        match mode {
            CURSOR => self.cursor_hidden = !on,
            _ if !MODES.contains(&mode) => {}
            _ if on => drop(self.on.insert(mode)),
            _ => drop(self.on.remove(&mode)),
        }
    }
}

fn number(digits: &[u8]) -> Option<u16> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reset_after(output: &str) -> String {
        let (mut whole, mut pieces) = (Modes::default(), Modes::default());
        whole.watch(output.as_bytes());
        output.as_bytes().chunks(1).for_each(|byte| pieces.watch(byte));
        let reset = whole.reset();
        assert_eq!(reset, pieces.reset());
        assert!(whole.reset().is_empty());
        String::from_utf8(reset).unwrap()
    }

    #[test]
    fn what_is_on_is_switched_off() {
        let editor = "\x1b[?1049h\x1b[>1u\x1b=\x1b[?25l\x1b[?1002;1006h\x1b[?2004htext\x1b[31m";
        let expected = "\x1b[<1u\x1b[?1002l\x1b[?1006l\x1b[?2004l\x1b>\x1b[?1049l\x1b[?25h";
        assert_eq!(reset_after(editor), expected);
    }

    #[test]
    fn what_is_off_again_is_left_alone() {
        assert_eq!(reset_after("\x1b[?1049h\x1b[?25l\x1b[>1u\x1b[<u\x1b[?25h\x1b[?1049l"), "");
        assert_eq!(reset_after("\x1b[?1049h\x1b[?25l\x1bc"), "");
        assert_eq!(reset_after("plain text, [?1049h and \x1b[?12h of no interest"), "");
    }

    #[test]
    fn no_output_is_too_strange() {
        assert_eq!(reset_after(&format!("\x1b[?{}h\x1b[?99999999h\x1b[?;;h", "1".repeat(1000))), "");
        assert_eq!(reset_after("\x1b[<65535u\x1b[<0u\x1b[?\x1b[?1h"), "\x1b[?1l");
    }
}
