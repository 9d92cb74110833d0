//! Conditional requests (RFC 9110 §13), with the exactness and the order that nginx has.

use super::date;
use super::request::Fields;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Send,
    NotModified,
    Failed,
}

/// Holds the conditions of a request against a file.
pub(crate) fn check<B: AsRef<[u8]>>(fields: &Fields<B>, etag: &str, modified: i64) -> Verdict {
    let date = |value: &B| date::parse(value.as_ref());
    if fields.if_unmodified_since.as_ref().is_some_and(|since| date(since).is_none_or(|since| since < modified)) {
        return Verdict::Failed;
    }
    if fields.if_match.as_ref().is_some_and(|tags| !matches(tags.as_ref(), etag, false)) {
        return Verdict::Failed;
    }
    // Any other date than the file's counts as changed, a later one too.
    let since = fields.if_modified_since.as_ref().map(|since| date(since) == Some(modified));
    let tags = fields.if_none_match.as_ref().map(|tags| matches(tags.as_ref(), etag, true));
    match (since, tags) {
        (None, None) | (Some(false), _) | (_, Some(false)) => Verdict::Send,
        _ => Verdict::NotModified,
    }
}

/// Whether a list of entity tags has `etag` in it.
fn matches(list: &[u8], etag: &str, weakly: bool) -> bool {
    if list == b"*" {
        return true;
    }
    let mut rest = list;
    while !rest.is_empty() {
        if weakly && rest.len() > 2 {
            rest = rest.strip_prefix(b"W/").unwrap_or(rest);
        }
        // Tags of others are skipped to the next comma, which may as well be one inside of them.
        if let Some(after) = rest.strip_prefix(etag.as_bytes()) {
            rest = skip(after, b" \t");
            if rest.first().is_none_or(|byte| *byte == b',') {
                return true;
            }
        }
        let comma = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
        rest = skip(rest.get(comma..).unwrap_or_default(), b" \t,");
    }
    false
}

fn skip<'a>(bytes: &'a [u8], any_of: &[u8]) -> &'a [u8] {
    let count = bytes.iter().take_while(|byte| any_of.contains(byte)).count();
    bytes.get(count..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"2eb6d2f1-267\"";
    const MODIFIED: i64 = 784_111_777;
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    fn verdict(fields: &[(&str, &str)]) -> Verdict {
        let mut all = Fields::<Vec<u8>>::default();
        for (name, value) in fields {
            all.add(name.as_bytes(), value.as_bytes()).unwrap();
        }
        check(&all, ETAG, MODIFIED)
    }

    #[test]
    fn dates_are_compared_exactly() {
        assert_eq!(verdict(&[("If-Modified-Since", DATE)]), Verdict::NotModified);
        for date in [LATER, EARLIER, "tomorrow"] {
            assert_eq!(verdict(&[("If-Modified-Since", date)]), Verdict::Send, "{date}");
        }
        assert_eq!(verdict(&[("If-Unmodified-Since", DATE)]), Verdict::Send);
        assert_eq!(verdict(&[("If-Unmodified-Since", LATER)]), Verdict::Send);
        assert_eq!(verdict(&[("If-Unmodified-Since", EARLIER)]), Verdict::Failed);
        assert_eq!(verdict(&[("If-Unmodified-Since", "?")]), Verdict::Failed);
    }

    #[test]
    fn tags_are_compared_weakly_only_where_nothing_changes() {
        let weak = format!("W/{ETAG}");
        for list in ["*", ETAG, &weak, &format!("\"a\", {ETAG}"), &format!("\"a,b\" ,,{ETAG} , \"c\"")] {
            assert_eq!(verdict(&[("If-None-Match", list)]), Verdict::NotModified, "{list}");
        }
        for list in ["", "\"a\"", "2eb6d2f1-267", &format!("{ETAG}x"), "W/"] {
            assert_eq!(verdict(&[("If-None-Match", list)]), Verdict::Send, "{list}");
        }
        assert_eq!(verdict(&[("If-Match", ETAG)]), Verdict::Send);
        assert_eq!(verdict(&[("If-Match", &weak)]), Verdict::Failed);
    }

    #[test]
    fn all_conditions_must_hold() {
        assert_eq!(verdict(&[("If-Modified-Since", DATE), ("If-None-Match", ETAG)]), Verdict::NotModified);
        assert_eq!(verdict(&[("If-Modified-Since", DATE), ("If-None-Match", "\"a\"")]), Verdict::Send);
        assert_eq!(verdict(&[("If-Modified-Since", LATER), ("If-None-Match", ETAG)]), Verdict::Send);
        assert_eq!(verdict(&[("If-Match", "\"a\""), ("If-None-Match", ETAG)]), Verdict::Failed);
    }
}
