//! The bearer token of a request (RFC 6750 §2.1).

use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderValue};

/// The subprotocol that a WebSocket at `/call` speaks.
pub(super) const CALL_PROTOCOL: &str = "alknet.call";

/// What a token stands behind among the subprotocols: browsers let a page set no other header of a WebSocket's.
const TOKEN_PROTOCOL: &str = "alknet.bearer.";

/// What a request says of who sends it.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Shown<'a> {
    /// Nothing.
    Nothing,
    /// This token.
    Token(&'a str),
    /// Something that is no token, or several of them.
    Other,
}

/// What the request says in `authorization`, or, where it may be a WebSocket's, among its subprotocols. Several tokens are
/// none: which of them counts would be a guess.
pub(super) fn shown(headers: &HeaderMap, may_be_websocket: bool) -> Shown<'_> {
    let offered = may_be_websocket.then(|| subprotocols(headers)).into_iter().flatten();
    let offered = offered.filter_map(|protocol| protocol.strip_prefix(TOKEN_PROTOCOL)).map(Some);
    let mut all = headers.get_all(AUTHORIZATION).iter().map(bearer).chain(offered);
    match (all.next(), all.next()) {
        (None, _) => Shown::Nothing,
        (Some(Some(token)), None) => Shown::Token(token),
        _ => Shown::Other,
    }
}

/// The subprotocols that a client offers (RFC 6455 §11.3.4).
pub(super) fn subprotocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let fields = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|field| field.to_str().ok());
    fields.flat_map(|field| field.split(',')).map(str::trim).filter(|protocol| !protocol.is_empty())
}

fn bearer(field: &HeaderValue) -> Option<&str> {
    let (scheme, token) = field.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |&(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        fields.iter().map(field).fold(HeaderMap::new(), |mut all, (name, value)| {
            all.append(name, value);
            all
        })
    }

    const PROTOCOL: &str = "sec-websocket-protocol";

    #[test]
    fn a_token_is_found_where_it_may_be() {
        for fields in [
            &[("authorization", "Bearer alk_a")][..],
            &[("authorization", "bearer  alk_a ")],
            &[(PROTOCOL, "alknet.call, alknet.bearer.alk_a")],
            &[(PROTOCOL, "alknet.bearer.alk_a"), (PROTOCOL, "other")],
            &[("authorization", "BEARER alk_a"), (PROTOCOL, "alknet.call")],
        ] {
            assert_eq!(shown(&headers(fields), true), Shown::Token("alk_a"), "{fields:?}");
        }
        let browser = headers(&[(PROTOCOL, "alknet.bearer.alk_a")]);
        assert_eq!(shown(&browser, false), Shown::Nothing, "it is no token of other requests");
    }

    #[test]
    fn what_is_no_token_or_more_than_one_is_none() {
        for fields in [
            &[("authorization", "Basic alk_a")][..],
            &[("authorization", "alk_a")],
            &[("authorization", "Bearer alk_a"), ("authorization", "Bearer alk_a")],
            &[("authorization", "Bearer alk_a"), (PROTOCOL, "alknet.bearer.alk_b")],
            &[(PROTOCOL, "alknet.bearer.alk_a,alknet.bearer.alk_b")],
            &[("authorization", "Bearer \u{e4}")],
        ] {
            assert_eq!(shown(&headers(fields), true), Shown::Other, "{fields:?}");
        }
    }

    proptest! {
        #[test]
        fn no_headers_panic_and_a_token_is_always_a_part_of_them(
            authorization in prop::collection::vec("(Bearer |bearer  |Basic )?[ -~]{0,12}", 0..3),
            protocols in prop::collection::vec("(alknet\\.bearer\\.|alknet\\.call|,| ){0,4}[ -~]{0,8}", 0..3),
            may_be_websocket: bool,
        ) {
            let mut fields: Vec<_> = authorization.iter().map(|text| ("authorization", text.as_str())).collect();
            fields.extend(protocols.iter().map(|text| (PROTOCOL, text.as_str())));
            let headers = headers(&fields);
            if let Shown::Token(token) = shown(&headers, may_be_websocket) {
                prop_assert!(fields.iter().any(|(_, text)| text.contains(token)));
                prop_assert!(authorization.len() <= 1);
            }
        }
    }
}
