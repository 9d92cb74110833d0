//! The pages that nginx writes itself, for what is not a file.

use std::borrow::Cow;

/// How the imitated server names itself, in the field `Server` and below its pages.
pub(crate) const SERVER: &str = "nginx/1.22.1";

/// The page that Debian's package puts into `/var/www/html`.
pub(crate) const WELCOME: &str = "<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
<style>
html { color-scheme: light dark; }
body { width: 35em; margin: 0 auto;
font-family: Tahoma, Verdana, Arial, sans-serif; }
</style>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>If you see this page, the nginx web server is successfully installed and
working. Further configuration is required.</p>

<p>For online documentation and support please refer to
<a href=\"http://nginx.org/\">nginx.org</a>.<br/>
Commercial support is available at
<a href=\"http://nginx.com/\">nginx.com</a>.</p>

<p><em>Thank you for using nginx.</em></p>
</body>
</html>
";

/// Where it puts it.
pub(crate) const WELCOME_PATH: &[u8] = b"/index.nginx-debian.html";

/// Why a request gets a page instead of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    MovedPermanently,
    BadRequest,
    Forbidden,
    NotFound,
    NotAllowed,
    PreconditionFailed,
    BodyTooLarge,
    TargetTooLong,
    RangeNotSatisfiable,
    HeadTooLarge,
    PlainToTls,
    Internal,
    NotImplemented,
    VersionNotSupported,
}

impl Refusal {
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::MovedPermanently => 301,
            Self::BadRequest | Self::HeadTooLarge | Self::PlainToTls => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::NotAllowed => 405,
            Self::PreconditionFailed => 412,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::RangeNotSatisfiable => 416,
            Self::Internal => 500,
            Self::NotImplemented => 501,
            Self::VersionNotSupported => 505,
        }
    }

    /// Whether no further request is read after this one.
    pub(crate) fn ends_connection(self) -> bool {
        matches!(
            self,
            Self::BadRequest
                | Self::BodyTooLarge
                | Self::TargetTooLong
                | Self::PlainToTls
                | Self::Internal
                | Self::NotImplemented
        )
    }

    /// The page. `padded` makes it long enough for browsers that show pages of their own instead of short ones.
    pub(crate) fn page(self, padded: bool) -> String {
        let reason = reason(self.status());
        let (title, more) = match self {
            Self::HeadTooLarge => ("400 Request Header Or Cookie Too Large", "Request Header Or Cookie Too Large"),
            Self::PlainToTls => {
                ("400 The plain HTTP request was sent to HTTPS port", "The plain HTTP request was sent to HTTPS port")
            }
            _ => (reason, ""),
        };
        let more = match more {
            "" => Cow::Borrowed(""),
            more => Cow::Owned(format!("<center>{more}</center>\r\n")),
        };
        let padding = if padded && self != Self::MovedPermanently { PADDING.repeat(6) } else { String::new() };
        format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{reason}</h1></center>\r\n{more}\
             <hr><center>{SERVER}</center>\r\n</body>\r\n</html>\r\n{padding}"
        )
    }
}

const PADDING: &str = "<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n";

/// A status as its line and the pages have it. Some phrases are older than those of RFC 9110.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "200 OK",
        206 => "206 Partial Content",
        301 => "301 Moved Permanently",
        304 => "304 Not Modified",
        400 => "400 Bad Request",
        403 => "403 Forbidden",
        404 => "404 Not Found",
        405 => "405 Not Allowed",
        412 => "412 Precondition Failed",
        413 => "413 Request Entity Too Large",
        414 => "414 Request-URI Too Large",
        416 => "416 Requested Range Not Satisfiable",
        501 => "501 Not Implemented",
        505 => "505 HTTP Version Not Supported",
        _ => "500 Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_the_lengths_of_the_originals() {
        let lengths = [
            (Refusal::MovedPermanently, 169),
            (Refusal::BadRequest, 157),
            (Refusal::NotFound, 153),
            (Refusal::PreconditionFailed, 173),
            (Refusal::HeadTooLarge, 233),
            (Refusal::PlainToTls, 255),
        ];
        for (refusal, length) in lengths {
            assert_eq!(refusal.page(false).len(), length, "{refusal:?}");
        }
        assert_eq!(Refusal::NotFound.page(true).len(), 153 + 6 * 67);
        assert_eq!(Refusal::MovedPermanently.page(true).len(), 169, "a redirect is never padded");
        assert_eq!(WELCOME.len(), 615);
    }
}
