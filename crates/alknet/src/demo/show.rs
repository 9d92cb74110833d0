//! How the demo looks: what is about to be shown, the command, and what came of it.

#![allow(clippy::print_stdout, reason = "the demo is what it prints")]

pub(super) struct Show {
    color: bool,
}

impl Show {
    pub(super) fn new(color: bool) -> Self {
        Self { color }
    }

    pub(super) fn title(&self, text: &str) {
        println!("\n{}", self.paint("1", text));
    }

    pub(super) fn say(&self, text: &str) {
        println!("  {text}");
    }

    pub(super) fn command(&self, who: &str, command: &str) {
        println!("\n  {} {}", self.paint("36", &format!("{who}$")), self.paint("1", command));
    }

    pub(super) fn output(&self, text: &str) {
        text.trim_end().lines().for_each(|line| println!("    {line}"));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
