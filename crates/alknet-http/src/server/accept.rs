//! What a client sends and what it wants back.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use mime::Mime;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Events,
}

/// The form for the one output of a call: events only for who likes them better. Who wants neither gets JSON: there is
/// nothing else to have, and a client that cannot read it is better off with the status than with a refusal.
pub(super) fn form_of_call(headers: &HeaderMap) -> Form {
    match quality(headers, &mime::TEXT_EVENT_STREAM) > quality(headers, &mime::APPLICATION_JSON) {
        true => Form::Events,
        false => Form::Json,
    }
}

/// Whether a client takes server-sent events. Who says nothing takes everything (RFC 9110 §12.5.1).
pub(super) fn takes_events(headers: &HeaderMap) -> bool {
    quality(headers, &mime::TEXT_EVENT_STREAM) > 0
}

/// How much a client wants a type, in thousandths.
fn quality(headers: &HeaderMap, wanted: &Mime) -> u16 {
    if !headers.contains_key(ACCEPT) {
        return 1000;
    }
    let fields = headers.get_all(ACCEPT).iter().filter_map(|field| field.to_str().ok());
    let ranges = fields.flat_map(|field| field.split(',')).filter_map(|range| range.trim().parse::<Mime>().ok());
    // The most exact range counts (RFC 9110 §12.5.1), and of several such the one that wants it most.
    let matching = ranges.filter_map(|range| Some((exactness(&range, wanted)?, weight(&range))));
    matching.max().map_or(0, |(_, weight)| weight)
}

fn exactness(range: &Mime, wanted: &Mime) -> Option<u8> {
    match (range.type_(), range.subtype()) {
        (mime::STAR, mime::STAR) => Some(0),
        (kind, mime::STAR) if kind == wanted.type_() => Some(1),
        (kind, subtype) if kind == wanted.type_() && subtype == wanted.subtype() => Some(2),
        _ => None,
    }
}

fn weight(range: &Mime) -> u16 {
    let Some(weight) = range.get_param("q") else { return 1000 };
    let weight = weight.as_str().parse().unwrap_or(0.0_f32);
    // What is no number, or out of its range, saturates.
    (weight.clamp(0.0, 1.0) * 1000.0) as u16
}

/// Whether the body is JSON by its type. Without a type it is taken for that.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Some(field) = headers.get(CONTENT_TYPE) else { return true };
    let kind = field.to_str().ok().and_then(|text| text.parse::<Mime>().ok());
    kind.is_some_and(|kind| {
        kind.type_() == mime::APPLICATION && (kind.subtype() == mime::JSON || kind.suffix() == Some(mime::JSON))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn accept(fields: &[&str]) -> HeaderMap {
        fields.iter().map(|field| (ACCEPT, HeaderValue::from_str(field).unwrap())).collect()
    }

    #[test]
    fn a_call_is_answered_with_json_unless_events_are_liked_better() {
        for fields in [
            &[][..],
            &["*/*"],
            &["application/json"],
            &["application/json, text/event-stream"],
            &["text/html"],
            &["text/event-stream;q=0"],
            &["text/event-stream;q=0.1, application/*;q=0.2"],
        ] {
            assert_eq!(form_of_call(&accept(fields)), Form::Json, "{fields:?}");
        }
        for fields in [
            &["text/event-stream"][..],
            &["text/*"],
            &["text/html", "text/event-stream;q=0.1"],
            &["*/*;q=0.5, text/event-stream"],
        ] {
            assert_eq!(form_of_call(&accept(fields)), Form::Events, "{fields:?}");
        }
    }

    #[test]
    fn who_says_nothing_takes_events() {
        for fields in [&[][..], &["*/*"], &["text/event-stream"], &["application/json;q=1, text/*;q=0.001"]] {
            assert!(takes_events(&accept(fields)), "{fields:?}");
        }
        for fields in
            [&["application/json"][..], &["*/*, text/event-stream;q=0"], &["text/event-stream;q=x"], &[""], &["junk"]]
        {
            assert!(!takes_events(&accept(fields)), "{fields:?}");
        }
    }

    #[test]
    fn json_has_several_names() {
        let headers = |kind: &str| HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap())]);
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"] {
            assert!(is_json(&headers(kind)), "{kind}");
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "text/json", "json", ""] {
            assert!(!is_json(&headers(kind)), "{kind}");
        }
        assert!(is_json(&HeaderMap::new()));
    }

    proptest! {
        #[test]
        fn no_header_panics(text in "[ -~]{0,40}", more in "(text/event-stream|\\*/\\*|;q=|0\\.|9|,|e){0,12}") {
            let headers = accept(&[&text, &more]);
            form_of_call(&headers);
            takes_events(&headers);
        }
    }
}
