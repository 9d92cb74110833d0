//! Requests as nginx understands them: the few fields that its answers depend on, and what it refuses at sight.

use super::pages::Refusal;

/// The version that a request line names, as major × 1000 + minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u16);

impl Version {
    pub(crate) const HTTP_09: Self = Self(9);
    pub(crate) const HTTP_10: Self = Self(1000);
    pub(crate) const HTTP_11: Self = Self(1001);
    pub(crate) const HTTP_2: Self = Self(2000);
}

/// Methods that make a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    /// Refused whatever it is for.
    Connect,
    /// Likewise.
    Trace,
    Other,
}

impl Method {
    pub(crate) fn parse(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"CONNECT" => Self::Connect,
            b"TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }
}

/// A request line and the fields behind it, with `B` for the bytes of a value.
#[derive(Debug)]
pub(crate) struct Request<B> {
    pub(crate) method: Method,
    pub(crate) version: Version,
    /// Decoded, see [`path`](super::path).
    pub(crate) path: Vec<u8>,
    pub(crate) query: Vec<u8>,
    pub(crate) fields: Fields<B>,
}

/// The fields that make a difference. Of several of a name, the first counts where nginx does not refuse them.
#[derive(Debug)]
pub(crate) struct Fields<B> {
    /// The name that the request is for, in lower case and without a port.
    pub(crate) server: Option<Vec<u8>>,
    pub(crate) connection: Option<Persistence>,
    pub(crate) content_length: Option<u64>,
    pub(crate) is_chunked: bool,
    pub(crate) browser: Browser,
    pub(crate) expects_continue: bool,
    pub(crate) if_modified_since: Option<B>,
    pub(crate) if_unmodified_since: Option<B>,
    pub(crate) if_match: Option<B>,
    pub(crate) if_none_match: Option<B>,
    pub(crate) if_range: Option<B>,
    pub(crate) range: Option<B>,
    pub(crate) accept_encoding: Option<B>,
    pub(crate) authorization: Option<B>,
    pub(crate) web_socket_protocols: Vec<B>,
    pub(crate) has_via: bool,
    has_host: bool,
    has_content_range: bool,
    has_expect: bool,
    length: Option<B>,
    transfer_encoding: Option<B>,
    user_agent: Option<B>,
}

// Not derived: that would ask for a default of `B`.
impl<B> Default for Fields<B> {
    fn default() -> Self {
        Self {
            server: None,
            connection: None,
            content_length: None,
            is_chunked: false,
            browser: Browser::default(),
            expects_continue: false,
            if_modified_since: None,
            if_unmodified_since: None,
            if_match: None,
            if_none_match: None,
            if_range: None,
            range: None,
            accept_encoding: None,
            authorization: None,
            web_socket_protocols: Vec::new(),
            has_via: false,
            has_host: false,
            has_content_range: false,
            has_expect: false,
            length: None,
            transfer_encoding: None,
            user_agent: None,
        }
    }
}

/// What a client wants of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    Close,
    KeepAlive,
}

/// Browsers that nginx has workarounds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Browser {
    /// Shows pages of its own instead of short ones.
    pub(crate) wants_padding: bool,
    /// Hangs when a connection stays open behind a `POST`.
    pub(crate) is_old_msie: bool,
}

impl<B: AsRef<[u8]>> Fields<B> {
    /// Takes a field in. Its name is in any case, and one that nginx does not ignore.
    ///
    /// # Errors
    /// What is answered at once, without a look at what follows.
    pub(crate) fn add<'v>(&mut self, name: &[u8], value: &'v [u8]) -> Result<(), Refusal>
    where
        B: From<&'v [u8]>,
    {
        const LONGEST: usize = 22;
        let mut lower = [0; LONGEST];
        let Some(lower) = lower.get_mut(..name.len()) else { return Ok(()) };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        match &*lower {
            b"host" => self.add_host(value)?,
            b"connection" => self.connection = persistence(value).or(self.connection),
            b"content-length" => only(&mut self.length, value)?,
            b"transfer-encoding" => only(&mut self.transfer_encoding, value)?,
            b"if-modified-since" => only(&mut self.if_modified_since, value)?,
            b"if-unmodified-since" => only(&mut self.if_unmodified_since, value)?,
            b"if-match" => only(&mut self.if_match, value)?,
            b"if-none-match" => only(&mut self.if_none_match, value)?,
            b"if-range" => only(&mut self.if_range, value)?,
            b"authorization" => only(&mut self.authorization, value)?,
            b"content-range" => flag_once(&mut self.has_content_range)?,
            b"expect" => {
                flag_once(&mut self.has_expect)?;
                self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
            }
            b"range" => first(&mut self.range, value),
            b"accept-encoding" => first(&mut self.accept_encoding, value),
            b"user-agent" => {
                if self.user_agent.is_none() {
                    self.browser = Browser::recognise(value);
                }
                first(&mut self.user_agent, value);
            }
            b"via" => self.has_via = true,
            b"sec-websocket-protocol" => self.web_socket_protocols.push(value.into()),
            _ => {}
        }
        Ok(())
    }

    /// Looks at the fields together, once all of them are there.
    ///
    /// # Errors
    /// What is answered instead of what was asked for.
    pub(crate) fn complete(&mut self, method: Method, version: Version) -> Result<(), Refusal> {
        if !self.has_host && version > Version::HTTP_10 {
            return Err(Refusal::BadRequest);
        }
        if let Some(length) = &self.length {
            self.content_length = Some(parse_length(length.as_ref()).ok_or(Refusal::BadRequest)?);
        }
        if let Some(coding) = &self.transfer_encoding {
            if version < Version::HTTP_11 {
                return Err(Refusal::BadRequest);
            }
            if !coding.as_ref().eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::NotImplemented);
            }
            if self.content_length.is_some() {
                return Err(Refusal::BadRequest);
            }
            self.is_chunked = true;
        }
        match method {
            Method::Connect | Method::Trace => Err(Refusal::NotAllowed),
            _ => Ok(()),
        }
    }

    /// Whether a body follows the fields.
    pub(crate) fn has_body(&self) -> bool {
        self.is_chunked || self.content_length.is_some_and(|length| length > 0)
    }

    fn add_host(&mut self, value: &[u8]) -> Result<(), Refusal> {
        flag_once(&mut self.has_host)?;
        let host = parse_host(value).ok_or(Refusal::BadRequest)?;
        // The host of an absolute target comes first.
        self.server.get_or_insert(host);
        Ok(())
    }
}

fn only<'v, B: From<&'v [u8]>>(slot: &mut Option<B>, value: &'v [u8]) -> Result<(), Refusal> {
    match slot.replace(value.into()) {
        None => Ok(()),
        Some(_) => Err(Refusal::BadRequest),
    }
}

fn flag_once(flag: &mut bool) -> Result<(), Refusal> {
    if std::mem::replace(flag, true) { Err(Refusal::BadRequest) } else { Ok(()) }
}

fn first<'v, B: From<&'v [u8]>>(slot: &mut Option<B>, value: &'v [u8]) {
    slot.get_or_insert_with(|| value.into());
}

fn persistence(value: &[u8]) -> Option<Persistence> {
    if contains_ignoring_case(value, b"close") {
        Some(Persistence::Close)
    } else if contains_ignoring_case(value, b"keep-alive") {
        Some(Persistence::KeepAlive)
    } else {
        None
    }
}

fn parse_length(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse::<i64>().ok()?.try_into().ok()
}

/// The name in a `Host` field, in lower case; without its port, and without the dot at its end.
pub(crate) fn parse_host(value: &[u8]) -> Option<Vec<u8>> {
    let is_bad = |byte: &u8| *byte <= b' ' || *byte == 0x7f || *byte == b'/';
    if value.iter().any(is_bad) || value.windows(2).any(|pair| pair == b"..") {
        return None;
    }
    let end = if value.starts_with(b"[") {
        value.iter().position(|byte| *byte == b']').map_or(value.len(), |bracket| bracket + 1)
    } else {
        value.iter().position(|byte| *byte == b':').unwrap_or(value.len())
    };
    let name = value.get(..end)?;
    // Only a dot that is the last one of all: a port may have some, however little sense that makes.
    let last_dot = value.iter().rposition(|byte| *byte == b'.');
    let name = if last_dot.is_some_and(|dot| dot + 1 == name.len()) { name.strip_suffix(b".")? } else { name };
    (!name.is_empty()).then(|| name.to_ascii_lowercase())
}

impl Browser {
    fn recognise(user_agent: &[u8]) -> Self {
        let is_opera = contains(user_agent, b"Opera");
        let msie = position(user_agent, b"MSIE ").filter(|at| at + 7 < user_agent.len() && !is_opera);
        let version = msie.and_then(|at| user_agent.get(at + 5..at + 7));
        let is_old_msie = match version {
            Some(b"4." | b"5.") => true,
            Some(b"6.") => !msie.and_then(|at| user_agent.get(at + 8..)).is_some_and(|rest| contains(rest, b"SV1")),
            _ => false,
        };
        let is_chrome = !is_opera && !contains(user_agent, b"Gecko/") && contains(user_agent, b"Chrome/");
        Self { wants_padding: msie.is_some() || is_chrome, is_old_msie }
    }
}

pub(crate) fn position(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    position(bytes, needle).is_some()
}

fn contains_ignoring_case(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&str, &str)]) -> Result<Fields<Vec<u8>>, Refusal> {
        let mut all = Fields::default();
        for (name, value) in fields {
            all.add(name.as_bytes(), value.as_bytes())?;
        }
        all.complete(Method::Get, Version::HTTP_11)?;
        Ok(all)
    }

    #[test]
    fn some_fields_may_come_only_once() {
        let twice = |name: &str, value: &str| fields(&[("Host", "a"), (name, value), (name, value)]).map(|_| ());
        let unique = ["Host", "content-length", "IF-MATCH", "If-None-Match", "If-Range", "If-Modified-Since", "Expect"];
        for name in unique {
            assert_eq!(twice(name, "1"), Err(Refusal::BadRequest), "{name}");
        }
        for name in ["Range", "Cookie", "Accept-Encoding", "User-Agent", "Connection", "a-name-longer-than-all-known"] {
            assert_eq!(twice(name, "1"), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_body_has_one_length() {
        let with = |more: &[(&str, &str)]| {
            let all = [&[("Host", "a")], more].concat();
            fields(&all).map(|fields| (fields.content_length, fields.is_chunked))
        };
        assert_eq!(with(&[("Content-Length", "10")]), Ok((Some(10), false)));
        assert_eq!(with(&[("Transfer-Encoding", "Chunked")]), Ok((None, true)));
        assert_eq!(with(&[("Transfer-Encoding", "gzip, chunked")]), Err(Refusal::NotImplemented));
        assert_eq!(with(&[("Transfer-Encoding", "chunked"), ("Content-Length", "1")]), Err(Refusal::BadRequest));
        for length in ["", "+1", "-1", "1 ", "0x1", "9223372036854775808"] {
            assert_eq!(with(&[("Content-Length", length)]), Err(Refusal::BadRequest), "{length}");
        }
    }

    #[test]
    fn a_host_is_needed_and_must_be_one() {
        assert_eq!(fields(&[]).map(|_| ()), Err(Refusal::BadRequest));
        let host = |value: &str| parse_host(value.as_bytes()).map(|host| String::from_utf8(host).unwrap());
        for (value, expected) in [
            ("Example.org:8080", "example.org"),
            ("a.", "a"),
            ("a.:80", "a"),
            ("[::1]:80", "[::1]"),
            ("[::1", "[::1"),
            ("a:8.", "a"),
            ("ü", "ü"),
        ] {
            assert_eq!(host(value).as_deref(), Some(expected), "{value}");
        }
        for value in ["", ".", ":80", "a..b", "a/b", "a b", "a\tb", "a\u{7f}"] {
            assert_eq!(host(value), None, "{value}");
        }
    }

    #[test]
    fn browsers_are_known_by_their_names() {
        let padded = |agent: &str| Browser::recognise(agent.as_bytes()).wants_padding;
        assert!(padded("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT)"));
        assert!(padded("Mozilla/5.0 AppleWebKit/537 (KHTML, like Gecko) Chrome/100 Safari/537"));
        assert!(!padded("Mozilla/5.0 Gecko/2010 Firefox/100 Chrome/1"));
        assert!(!padded("Opera MSIE 6.0; x"));
        assert!(!padded("MSIE 8"));
        let old = |agent: &str| Browser::recognise(agent.as_bytes()).is_old_msie;
        assert!(old("MSIE 6.0; Windows") && old("MSIE 5.5;") && !old("MSIE 6.0; SV1") && !old("MSIE 7.0; x"));
    }
}
