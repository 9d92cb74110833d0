//! QR codes in text, two modules to a character.

use anyhow::Context as _;
use qrcode::{Color, EcLevel, QrCode};

/// What the standard (ISO/IEC 18004) wants around a code, and what cameras need.
const QUIET_ZONE: usize = 4;
const NARROW_QUIET_ZONE: usize = 2;

/// The largest code that gets the wide zone: it leaves three of a console's 25 lines for a link and the next prompt.
const MAX_WITH_QUIET_ZONE: usize = 42;

/// Black on white, whatever the colors of the terminal are: every terminal and the Linux console knows these two.
const BLACK_ON_WHITE: &str = "\x1b[30;47m";
const RESET: &str = "\x1b[0m";

/// Draws a text as a QR code. Without colors it is drawn for light text on dark.
pub(super) fn draw(text: &str, colors: bool) -> anyhow::Result<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).context("this is too long for a QR code")?;
    let (width, modules) = (code.width(), code.to_colors());
    let zone = if width + 2 * QUIET_ZONE <= MAX_WITH_QUIET_ZONE { QUIET_ZONE } else { NARROW_QUIET_ZONE };
    let side = width + 2 * zone;
    let is_dark = |x: usize, y: usize| {
        let inside = |at: usize| at.checked_sub(zone).filter(|at| *at < width);
        let index = inside(x).zip(inside(y)).map(|(x, y)| y * width + x);
        index.and_then(|index| modules.get(index)) == Some(&Color::Dark)
    };
    let mut drawn = String::new();
    for y in (0..side).step_by(2) {
        let line: String =
            (0..side).map(|x| half_blocks(is_dark(x, y) == colors, is_dark(x, y + 1) == colors)).collect();
        drawn += &if colors { format!("{BLACK_ON_WHITE}{line}{RESET}\n") } else { format!("{line}\n") };
    }
    Ok(drawn)
}

/// The character whose upper and lower half have the color of the text, or not.
fn half_blocks(upper: bool, lower: bool) -> char {
    match (upper, lower) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(address: &str) -> String {
        format!("ALKNET://{address}/{}/{}", "K2".repeat(26), "T7".repeat(13)).to_uppercase()
    }

    /// What a camera makes of it: modules of several pixels, white where the terminal shows white.
    fn seen(drawn: &str, colors: bool) -> String {
        let bright = |drawn: bool| if drawn == colors { 0u8 } else { 255 };
        let rows: Vec<Vec<u8>> = drawn
            .lines()
            .map(|line| line.trim_start_matches(BLACK_ON_WHITE).trim_end_matches(RESET))
            .flat_map(|line| {
                let half = |characters: [char; 2]| line.chars().map(|c| bright(characters.contains(&c))).collect();
                [half(['█', '▀']), half(['█', '▄'])]
            })
            .collect();
        const SCALE: usize = 4;
        let pixel = |x: usize, y: usize| rows[y / SCALE][x / SCALE];
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(rows[0].len() * SCALE, rows.len() * SCALE, pixel);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1, "one code is seen");
        grids[0].decode().unwrap().1
    }

    #[test]
    fn a_link_is_read_from_it_and_leaves_room_on_a_console() {
        let name = format!("{}.example:4433", "a".repeat(50));
        for (address, lines) in [
            ("192.168.178.255:4433", 21),
            ("hub.example:443", 21),
            ("[2001:db8:1234:5678:9abc:def0:1234:5678]:4433", 21),
            (&name, 23),
        ] {
            let text = link(address);
            for colors in [true, false] {
                let drawn = draw(&text, colors).unwrap();
                assert_eq!(seen(&drawn, colors), text);
                assert!(drawn.lines().count() <= lines, "{address}: {} lines", drawn.lines().count());
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(draw(&"x".repeat(5000), true).is_err());
    }
}
