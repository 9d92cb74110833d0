//! Reads `requests.txt`.

/// What a client does on a connection.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// As it is written in the file.
    pub(crate) text: String,
    /// What is sent, with a wait for some of the answer between any two.
    pub(crate) parts: Vec<Vec<u8>>,
}

/// The requests by the names of their groups.
pub(crate) fn groups() -> Vec<(String, Vec<Request>)> {
    let mut groups: Vec<(String, Vec<Request>)> = Vec::new();
    for line in include_str!("requests.txt").lines() {
        match line.strip_prefix("== ") {
            Some(name) => groups.push((name.replace(' ', "_"), Vec::new())),
            None if line.is_empty() || line.starts_with('#') => {}
            None => groups.last_mut().expect("a group comes first").1.push(Request::parse(line)),
        }
    }
    groups
}

impl Request {
    fn parse(text: &str) -> Self {
        let mut parts = vec![Vec::new()];
        let rest = expand(text.as_bytes(), &mut parts, false);
        assert!(rest.is_empty(), "{text}");
        Self { text: text.to_owned(), parts }
    }
}

/// Takes text up to the brace that ends it, or to its end. Gives back what is left.
fn expand<'t>(mut text: &'t [u8], into: &mut Vec<Vec<u8>>, is_nested: bool) -> &'t [u8] {
    while let Some((&byte, rest)) = text.split_first() {
        text = match (byte, rest) {
            (b'}', rest) if is_nested => return rest,
            (b'{', rest) => match repetition(rest) {
                Some((count, rest)) => {
                    let mut once = vec![Vec::new()];
                    let rest = expand(rest, &mut once, true);
                    into.last_mut().expect("there is one").extend(once.concat().repeat(count));
                    rest
                }
                None => plain(byte, rest, into),
            },
            (b'\\', [b'p', rest @ ..]) => {
                into.push(Vec::new());
                rest
            }
            (b'\\', [b'r', rest @ ..]) => plain(b'\r', rest, into),
            (b'\\', [b'n', rest @ ..]) => plain(b'\n', rest, into),
            (b'\\', [b't', rest @ ..]) => plain(b'\t', rest, into),
            (b'\\', [b'0', rest @ ..]) => plain(0, rest, into),
            (b'\\', [b'\\', rest @ ..]) => plain(b'\\', rest, into),
            (b'\\', [b'x', high, low, rest @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("it is hexadecimal");
                plain(u8::from_str_radix(digits, 16).expect("it is hexadecimal"), rest, into)
            }
            (byte, rest) => plain(byte, rest, into),
        };
    }
    text
}

fn plain<'t>(byte: u8, rest: &'t [u8], into: &mut [Vec<u8>]) -> &'t [u8] {
    into.last_mut().expect("there is one").push(byte);
    rest
}

fn repetition(text: &[u8]) -> Option<(usize, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (count, rest) = text.split_at(digits);
    let rest = rest.strip_prefix(b"*")?;
    Some((std::str::from_utf8(count).ok()?.parse().ok()?, rest))
}
