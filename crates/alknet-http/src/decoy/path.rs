//! Request targets: what a path names, and how it is written back into a redirect.

/// A path that cannot be one: a bad escape, an escaped NUL, or one that leads above the root.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadPath;

/// What a request target names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// Decoded, without empty, `.` and `..` segments. Begins with a slash.
    pub(crate) path: Vec<u8>,
    /// What follows the question mark, as it came.
    pub(crate) query: &'a [u8],
}

/// Reads the path and query of a request target. An empty path is the root's, as in `http://host?query`.
///
/// Escaped dots and slashes count as such; an escaped `?`, `#` or `%` does not.
pub(crate) fn parse(target: &[u8]) -> Result<Target<'_>, BadPath> {
    let mut path = Vec::with_capacity(target.len() + 1);
    let mut rest = target;
    if !rest.starts_with(b"/") {
        path.push(b'/');
    }
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'?' | b'#' => {
                end_segment(&mut path)?;
                let query = if byte == b'?' { rest } else { &[] };
                return Ok(Target { path, query: before_fragment(query) });
            }
            b'%' => {
                let (byte, after) = unescape(rest)?;
                rest = after;
                push(&mut path, byte)?;
            }
            byte => push(&mut path, byte)?,
        }
    }
    end_segment(&mut path)?;
    Ok(Target { path, query: &[] })
}

/// `path` as a redirect writes it.
pub(crate) fn escape(path: &[u8], into: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in path {
        if byte.is_ascii_graphic() && !br##""#%<>?\^`{|}"##.contains(&byte) {
            into.push(byte);
        } else {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            into.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// What a name ends with behind its last dot, unless the name begins with that dot.
pub(crate) fn extension(path: &[u8]) -> Option<&[u8]> {
    let name = path.rsplit(|byte| *byte == b'/').next()?;
    match name.iter().rposition(|byte| *byte == b'.')? {
        0 => None,
        dot => name.get(dot + 1..),
    }
}

fn push(path: &mut Vec<u8>, byte: u8) -> Result<(), BadPath> {
    if byte == b'/' {
        end_segment(path)?;
        // Several slashes are one.
        if path.last() == Some(&b'/') {
            return Ok(());
        }
    }
    path.push(byte);
    Ok(())
}

/// Resolves the last segment, if it is a dot or two.
fn end_segment(path: &mut Vec<u8>) -> Result<(), BadPath> {
    if path.ends_with(b"/.") {
        path.pop();
    } else if path.ends_with(b"/..") {
        path.truncate(path.len() - 3);
        let parent = path.iter().rposition(|byte| *byte == b'/').ok_or(BadPath)?;
        path.truncate(parent + 1);
    }
    Ok(())
}

fn unescape(escape: &[u8]) -> Result<(u8, &[u8]), BadPath> {
    let [high, low, rest @ ..] = escape else { return Err(BadPath) };
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(BadPath);
    match digit(*high)? << 4 | digit(*low)? {
        0 => Err(BadPath),
        byte => Ok((byte, rest)),
    }
}

fn before_fragment(query: &[u8]) -> &[u8] {
    query.split(|byte| *byte == b'#').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(target: &str) -> Option<String> {
        parse(target.as_bytes()).ok().map(|target| String::from_utf8(target.path).unwrap())
    }

    #[test]
    fn segments_are_resolved() {
        let cases = [
            ("/", "/"),
            ("", "/"),
            ("?a", "/"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("//a///b//", "/a/b/"),
            ("/a/%2e%2E/b", "/b"),
            ("/a%2Fb%2f..", "/a/"),
            ("/...", "/..."),
            ("/..a/.b", "/..a/.b"),
            ("/a/..?x/../..", "/"),
            ("/a%3fb", "/a?b"),
            ("/a%23b%25", "/a#b%"),
            ("/a/.%3f", "/a/.?"),
            ("/a+b", "/a+b"),
        ];
        for (target, expected) in cases {
            assert_eq!(path(target).as_deref(), Some(expected), "{target}");
        }
    }

    #[test]
    fn what_leads_out_or_cannot_be_decoded_is_refused() {
        for target in ["/..", "/a/../..", "/../a", "/%2e%2e", "/%", "/%4", "/%zz", "/%00", "/a/..%2f..", "/.././"] {
            assert_eq!(path(target), None, "{target}");
        }
    }

    #[test]
    fn the_query_ends_before_a_fragment() {
        let query = |target: &'static str| parse(target.as_bytes()).unwrap().query;
        assert_eq!(query("/a?b=%zz/../c"), b"b=%zz/../c");
        assert_eq!(query("/a?b#c"), b"b");
        assert_eq!(query("/a#b?c"), b"");
    }

    #[test]
    fn what_an_address_cannot_have_is_escaped() {
        let mut escaped = Vec::new();
        escape("/a b?%\"é&[]".as_bytes(), &mut escaped);
        assert_eq!(escaped, b"/a%20b%3F%25%22%C3%A9&[]");
    }

    #[test]
    fn an_extension_needs_a_name_before_it() {
        let extension = |path: &'static str| extension(path.as_bytes());
        assert_eq!(extension("/a.tar.gz"), Some(&b"gz"[..]));
        assert_eq!(extension("/a.b/c"), None);
        assert_eq!(extension("/.html"), None);
        assert_eq!(extension("/..html"), Some(&b"html"[..]));
        assert_eq!(extension("/a."), Some(&b""[..]));
    }

    proptest! {
        #[test]
        fn a_path_stays_below_its_root(target in "(/|\\.|%2e|%2f|a|\\?|#|%){0,12}") {
            if let Ok(target) = parse(target.as_bytes()) {
                prop_assert!(target.path.starts_with(b"/"));
                let mut segments = target.path.split(|byte| *byte == b'/');
                prop_assert!(segments.all(|segment| segment != b"." && segment != b".."));
                prop_assert!(!target.path.windows(2).any(|pair| pair == b"//"));
            }
        }

        #[test]
        fn what_was_escaped_reads_back(segment in proptest::collection::vec(1_u8.., 1..20)) {
            prop_assume!(!segment.contains(&b'/') && !segment.starts_with(b"."));
            let path = [b"/", &segment[..]].concat();
            let mut escaped = Vec::new();
            escape(&path, &mut escaped);
            prop_assert_eq!(parse(&escaped).unwrap().path, path);
        }
    }
}
