//! Requests for parts of a file (RFC 9110 §14), as nginx reads and answers them.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::answer::Answer;
use super::body::{Body, Part};
use super::date;
use super::request::Fields;
use super::site::Content;

/// Numbers the boundaries between parts, one to an answer.
#[derive(Debug, Default)]
pub(crate) struct Boundaries(AtomicU64);

/// How much of a file is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Whole,
    /// None of the ranges has anything of the file.
    Nothing,
    /// Start and end of each, in the order of the request.
    Parts(Vec<(u64, u64)>),
}

/// Reads which parts of a file of `size` bytes a request is for.
pub(crate) fn parse<B: AsRef<[u8]>>(fields: &Fields<B>, etag: &str, modified: i64, size: u64) -> Wanted {
    let Some(range) = fields.range.as_ref().map(AsRef::as_ref) else { return Wanted::Whole };
    let unit = range.get(..6).is_some_and(|unit| unit.eq_ignore_ascii_case(b"bytes="));
    let Some(list) = range.get(6..).filter(|list| unit && !list.is_empty()) else { return Wanted::Whole };
    if let Some(since) = &fields.if_range {
        let since = since.as_ref();
        let is_tag = since.len() >= 2 && since.ends_with(b"\"");
        let is_same = match is_tag {
            true => since == etag.as_bytes(),
            false => date::parse(since) == Some(modified),
        };
        if !is_same {
            return Wanted::Whole;
        }
    }
    let Ok(size) = i64::try_from(size) else { return Wanted::Whole };
    read_list(list, size)
}

/// The answer with some parts of a file.
pub(crate) fn apply(answer: &mut Answer, file: &Part, parts: &[(u64, u64)], size: u64, boundaries: &Boundaries) {
    answer.status = 206;
    let part = |&(start, end): &(u64, u64)| Part { content: file.content.clone(), start, end };
    if let [(start, end)] = parts {
        answer.more.push(("Content-Range", format!("bytes {start}-{}/{size}", end - 1).into()));
        answer.content_length = Some(end - start);
        answer.body = parts.iter().map(part).collect();
        return;
    }
    let boundary = format!("{:020}", boundaries.0.fetch_add(1, Ordering::Relaxed) + 1);
    let content_type = answer.content_type.take().unwrap_or_default();
    let head = |&(start, end): &(u64, u64)| {
        let range = format!("Content-Range: bytes {start}-{}/{size}", end - 1);
        text(format!("\r\n--{boundary}\r\nContent-Type: {content_type}\r\n{range}\r\n\r\n"))
    };
    let body =
        parts.iter().flat_map(|range| [head(range), part(range)]).chain([text(format!("\r\n--{boundary}--\r\n"))]);
    answer.body = body.collect::<Body>();
    answer.content_length = Some(answer.body.len());
    answer.content_type = Some(format!("multipart/byteranges; boundary={boundary}").into());
}

fn text(text: String) -> Part {
    Part::new(Content::Memory(Bytes::from(text)))
}

/// Reads `0-4,10-, -3`. What cannot be read, or leaves nothing, is not satisfiable; what asks for more than there is, is
/// answered with the whole.
fn read_list(list: &[u8], size: i64) -> Wanted {
    let mut parts = Vec::new();
    let mut total = 0_i64;
    for item in list.split(|byte| *byte == b',') {
        let Some((start, end)) = read_range(item, size) else { return Wanted::Nothing };
        match (u64::try_from(start), u64::try_from(end)) {
            (Ok(from), Ok(to)) if from < to => {
                let Some(sum) = total.checked_add(end - start) else { return Wanted::Nothing };
                total = sum;
                parts.push((from, to));
            }
            _ if start == 0 => return Wanted::Whole,
            _ => {}
        }
    }
    if parts.is_empty() {
        Wanted::Nothing
    } else if total > size {
        Wanted::Whole
    } else {
        Wanted::Parts(parts)
    }
}

/// The start and the end of one range, cut to `size`; the start may lie behind the end.
fn read_range(item: &[u8], size: i64) -> Option<(i64, i64)> {
    let item = skip_spaces(item);
    if let Some(suffix) = item.strip_prefix(b"-") {
        let (length, rest) = read_number(suffix)?;
        let start = if length < size { size - length } else { 0 };
        return skip_spaces(rest).is_empty().then_some((start, size));
    }
    let (start, rest) = read_number(item)?;
    let rest = skip_spaces(skip_spaces(rest).strip_prefix(b"-")?);
    if rest.is_empty() {
        return Some((start, size));
    }
    let (last, rest) = read_number(rest)?;
    let end = if last >= size { size } else { last + 1 };
    skip_spaces(rest).is_empty().then_some((start, end))
}

fn read_number(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at_checked(digits).filter(|(digits, _)| !digits.is_empty())?;
    let mut number = 0_i64;
    for digit in digits {
        number = number.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
    }
    Some((number, rest))
}

fn skip_spaces(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().take_while(|byte| **byte == b' ').count();
    bytes.get(spaces..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wanted(range: &str, size: u64) -> Wanted {
        let mut fields = Fields::<Vec<u8>>::default();
        fields.add(b"Range", range.as_bytes()).unwrap();
        parse(&fields, "", 0, size)
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        for (range, part) in [
            ("bytes=0-0", (0, 1)),
            ("BYTES=5-", (5, 10)),
            ("bytes=-3", (7, 10)),
            ("bytes=-30", (0, 10)),
            ("bytes=2-100", (2, 10)),
            ("bytes= 2 - 4 ", (2, 5)),
            ("bytes=20-,1-2", (1, 3)),
        ] {
            assert_eq!(wanted(range, 10), Wanted::Parts(vec![part]), "{range}");
        }
        assert_eq!(wanted("bytes=0-1,-1", 10), Wanted::Parts(vec![(0, 2), (9, 10)]));
    }

    #[test]
    fn what_is_none_of_the_file_is_refused() {
        for range in
            ["bytes=10-", "bytes=5-4", "bytes=a", "bytes=1", "bytes=1-2x", "bytes=1-2,", "bytes=--1", "bytes=-0"]
        {
            assert_eq!(wanted(range, 10), Wanted::Nothing, "{range}");
        }
        assert_eq!(wanted("bytes=99999999999999999999-", 10), Wanted::Nothing);
    }

    #[test]
    fn what_asks_for_too_much_gets_the_whole() {
        for range in ["bytes=0-9,0-9", "bytes=0-9,9-9", "bytes=", "lines=0-1", "bytes"] {
            assert_eq!(wanted(range, 10), Wanted::Whole, "{range}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Whole);
        assert_eq!(wanted("bytes=-5", 0), Wanted::Whole);
    }

    proptest! {
        #[test]
        fn no_part_lies_outside(range in "bytes=([0-9]{0,3}-[0-9]{0,3},?){1,5}", size in 0_u64..1000) {
            if let Wanted::Parts(parts) = wanted(&range, size) {
                prop_assert!(!parts.is_empty());
                prop_assert!(parts.iter().all(|(start, end)| start < end && *end <= size));
                prop_assert!(parts.iter().map(|(start, end)| end - start).sum::<u64>() <= size);
            }
        }
    }
}
