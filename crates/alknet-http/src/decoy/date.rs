//! Dates in fields, read as leniently as nginx reads them.
//!
//! A client that sends a date which a strict reader refuses would tell the two apart: nginx looks at no weekday, and at no
//! more of a month's name than tells it from the others.

use std::time::{Duration, SystemTime};

/// A date of a field (RFC 9110 §5.6.7) in seconds since 1970. One that cannot be read is one before all others, so that it
/// equals no file's.
pub(crate) fn parse(value: &[u8]) -> Option<i64> {
    let at = value.iter().position(|byte| matches!(byte, b',' | b' ')).unwrap_or(value.len());
    let is_asctime = value.get(at) == Some(&b' ');
    let rest = value.get(at + 1..)?.trim_ascii_start_spaces();
    if rest.len() < 18 {
        return None;
    }
    let mut rest = Cursor(rest);
    let (day, month, year) = if is_asctime { (None, rest.month()?, None) } else { rest.day_first()? };
    let day = match day {
        Some(day) => day,
        None => rest.asctime_day()?,
    };
    rest.expect(b' ')?;
    let (hour, minute, second) = rest.time()?;
    let year = match year {
        Some(year) => year,
        None => {
            rest.expect(b' ')?;
            rest.number(4)?
        }
    };
    if hour > 23 || minute > 59 || second > 59 || !day_exists(day, month, year) {
        return None;
    }
    Some(days_since_1970(day, month, year) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// A date as fields have it.
pub(crate) fn write(seconds: i64) -> String {
    // The format has four digits for the year; a file that claims to be from before 1970 is shown as of then.
    const LAST: u64 = 253_402_300_799;
    let seconds = u64::try_from(seconds).unwrap_or(0).min(LAST);
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// The date of now.
pub(crate) fn now() -> String {
    httpdate::fmt_http_date(SystemTime::now())
}

trait TrimSpaces {
    fn trim_ascii_start_spaces(&self) -> &[u8];
}

impl TrimSpaces for [u8] {
    /// Of the white space, only spaces count.
    fn trim_ascii_start_spaces(&self) -> &[u8] {
        let spaces = self.iter().take_while(|byte| **byte == b' ').count();
        self.get(spaces..).unwrap_or_default()
    }
}

/// What is left to read of a date.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let mut number = 0;
        for _ in 0..digits {
            number = number * 10 + self.digit()?;
        }
        Some(number)
    }

    fn digit(&mut self) -> Option<i64> {
        let digit = self.next()?;
        digit.is_ascii_digit().then(|| i64::from(digit - b'0'))
    }

    /// `06 Nov 1994` or `06-Nov-94`.
    fn day_first(&mut self) -> Option<(Option<i64>, i64, Option<i64>)> {
        let day = self.number(2)?;
        let separator = self.next()?;
        let month = match separator {
            // Behind the day, as much must follow as the longer of the two forms has.
            b' ' if self.0.len() < 17 => return None,
            b' ' | b'-' => self.month_name()?,
            _ => return None,
        };
        self.expect(separator)?;
        let year = match separator {
            b' ' => self.number(4)?,
            _ => match self.number(2)? {
                year if year < 70 => year + 2000,
                year => year + 1900,
            },
        };
        Some((Some(day), month, Some(year)))
    }

    /// The month of `Sun Nov  6 08:49:37 1994`, and whatever follows it.
    fn month(&mut self) -> Option<i64> {
        let month = self.month_name()?;
        self.next()?;
        Some(month)
    }

    fn month_name(&mut self) -> Option<i64> {
        let (first, second, third) = (self.next()?, self.next()?, self.next()?);
        Some(match (first, second, third) {
            (b'J', b'a', _) => 1,
            (b'J', _, b'n') => 6,
            (b'J', _, _) => 7,
            (b'F', _, _) => 2,
            (b'M', _, b'r') => 3,
            (b'M', _, _) => 5,
            (b'A', b'p', _) => 4,
            (b'A', _, _) => 8,
            (b'S', _, _) => 9,
            (b'O', _, _) => 10,
            (b'N', _, _) => 11,
            (b'D', _, _) => 12,
            _ => return None,
        })
    }

    /// One digit or two, with a space before.
    fn asctime_day(&mut self) -> Option<i64> {
        if self.0.first() == Some(&b' ') {
            self.next();
        }
        let mut day = self.digit()?;
        if self.0.first() != Some(&b' ') {
            day = day * 10 + self.digit()?;
        }
        (self.0.len() >= 14).then_some(day)
    }

    fn time(&mut self) -> Option<(i64, i64, i64)> {
        let hour = self.number(2)?;
        self.expect(b':')?;
        let minute = self.number(2)?;
        self.expect(b':')?;
        Some((hour, minute, self.number(2)?))
    }
}

/// The zeroth day of a month passes, as it does there.
fn day_exists(day: i64, month: i64, year: i64) -> bool {
    match (day, month) {
        (29, 2) => year % 4 == 0 && (year % 100 != 0 || year % 400 == 0),
        (_, 2) => day <= 28,
        (_, 4 | 6 | 9 | 11) => day <= 30,
        _ => day <= 31,
    }
}

/// Days of the Gregorian calendar, counted in years that begin with March, so that leap days come last.
fn days_since_1970(day: i64, month: i64, year: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_three_forms_say_the_same() {
        let dates = ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];
        assert_eq!(dates.map(|date| parse(date.as_bytes())), [Some(784_111_777); 3]);
    }

    #[test]
    fn what_does_not_matter_may_be_anything() {
        for date in ["x,06 Nov 1994 08:49:37 ", "Fri, 06 Nxx 1994 08:49:37 PST", "Sun,    06 Nov 1994 08:49:37 GMT!"] {
            assert_eq!(parse(date.as_bytes()), Some(784_111_777), "{date}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        let dates = [
            "",
            "yesterday",
            "Sun, 06 Nov 1994",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 29 Feb 1900 08:49:37 GMT",
            "Sun, 31 Apr 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06-Nov 94 08:49:37 GMT",
        ];
        for date in dates {
            assert_eq!(parse(date.as_bytes()), None, "{date}");
        }
    }

    proptest! {
        #[test]
        fn a_date_that_was_written_reads_back(seconds in 0_i64..253_402_300_800) {
            prop_assert_eq!(parse(write(seconds).as_bytes()), Some(seconds));
        }

        #[test]
        fn nothing_is_too_strange_to_be_read(value in proptest::collection::vec(any::<u8>(), 0..60)) {
            parse(&value);
        }
    }
}
