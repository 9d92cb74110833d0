//! Answers of `h2`: the fields are nginx's, and so is their order; the frames are not.
use axum::body::Body;
use futures_util::stream;
use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use hyper::server::conn::http2;

use super::Decoy;
use super::answer::{self, Answer, Front, Outcome};
use super::pages::Refusal;
use super::path;
use super::request::{Fields, Method, Request, Version, parse_host};

/// Makes a connection of `h2` begin as nginx's does, as far as that can be had; see the [module](super).
pub fn http2_settings<E>(builder: &mut http2::Builder<E>) {
    builder
        .max_concurrent_streams(128)
        .initial_stream_window_size(65_536)
        // What a connection begins with and the window update that nginx sends at once.
        .initial_connection_window_size(65_535 + 2_147_418_112);
}

/// What a client without a token gets.
pub(super) async fn answer<B>(decoy: &Decoy, request: &http::Request<B>, front: Front) -> Response<Body> {
    let (mut request, refusal) = understand(request);
    let outcome = match refusal {
        None => answer::route(&decoy.site, &mut request).await,
        Some(refusal) => Outcome::Refused(refusal, None),
    };
    let answer = match outcome {
        Outcome::Refused(refusal, moved) => answer::refuse(&request, refusal, moved.as_deref(), front),
        Outcome::File(page) => answer::send(&request, page, front, &decoy.boundaries),
    };
    respond(answer, request.method == Method::Head)
}

/// The request as nginx understands it, and why it is refused at sight.
fn understand<B>(request: &http::Request<B>) -> (Request<&[u8]>, Option<Refusal>) {
    let mut understood = Request {
        method: Method::parse(request.method().as_str().as_bytes()),
        version: Version::HTTP_2,
        path: Vec::new(),
        query: Vec::new(),
        fields: Fields::default(),
    };
    let refusal = read(request, &mut understood).err();
    (understood, refusal)
}

fn read<'r, B>(request: &'r http::Request<B>, into: &mut Request<&'r [u8]>) -> Result<(), Refusal> {
    let is_method = |byte: u8| byte.is_ascii_uppercase() || byte == b'_' || byte == b'-';
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    if !request.method().as_str().bytes().all(is_method) || !target.starts_with('/') {
        return Err(Refusal::BadRequest);
    }
    let target = path::parse(target.as_bytes()).map_err(|path::BadPath| Refusal::BadRequest)?;
    (into.path, into.query) = (target.path, target.query.to_vec());
    if let Some(authority) = request.uri().authority() {
        match request.version() {
            http::Version::HTTP_2 => into.fields.add(b"host", authority.as_str().as_bytes())?,
            _ => into.fields.server = parse_host(authority.as_str().as_bytes()),
        }
    }
    for (name, value) in request.headers() {
        let is_ignored = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'-';
        if !name.as_str().bytes().any(is_ignored) {
            into.fields.add(name.as_str().as_bytes(), value.as_bytes())?;
        }
    }
    into.fields.complete(into.method, into.version)
}

fn respond(mut answer: Answer, is_head: bool) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fields = response.headers_mut();
    let mut field = |name: &str, value: &[u8]| {
        // What could not be a field's would not have been a request's either.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
            fields.append(name, value);
        }
    };
    answer.for_each_field(&mut field);
    for (name, value) in std::mem::take(&mut answer.more) {
        field(name, value.as_bytes());
    }
    if !is_head && answer.status != 304 {
        *response.body_mut() = body(answer);
    }
    response
}

fn body(mut answer: Answer) -> Body {
    if let Some(small) = answer.body.take_small() {
        return Body::from(small);
    }
    // A file that turns out to be shorter than it was ends its stream with an error.
    Body::from_stream(stream::try_unfold(answer.body, async |mut body| {
        Ok::<_, std::io::Error>(body.next().await?.map(|portion| (portion, body)))
    }))
}
