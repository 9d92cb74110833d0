//! From a request to what nginx answers: status, fields in their order, and the parts of a body.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;

use super::body::{Body, Part};
use super::pages::Refusal;
use super::request::{Method, Request, Version};
use super::site::{Content, Found, Page, Site};
use super::{conditions, date, gzip, mime, pages, path, ranges};

/// The longest body that a request may announce: `client_max_body_size`.
const MAX_BODY: u64 = 1024 * 1024;

/// Where a connection came in. It shows in the addresses of redirects.
#[derive(Debug, Clone, Copy)]
pub struct Front {
    /// Whether TLS carries the connection.
    pub is_tls: bool,
    /// The address that the client connected to.
    pub local: SocketAddr,
}

/// An answer, before a version of HTTP gives it its form.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<Cow<'static, str>>,
    /// Not known for what is compressed while it is sent.
    pub(crate) content_length: Option<u64>,
    pub(crate) last_modified: Option<i64>,
    pub(crate) location: Option<Vec<u8>>,
    /// The fields that come last, in this order.
    pub(crate) more: Vec<(&'static str, Cow<'static, str>)>,
    pub(crate) body: Body,
    pub(crate) refusal: Option<Refusal>,
    /// nginx ends the connection after this answer, though the answer may say otherwise.
    pub(crate) breaks_off: bool,
}

/// What is done with a request.
pub(crate) enum Outcome {
    /// The request's body matters to nobody, but a client may wait for leave to send it.
    File(Page),
    Refused(Refusal, Option<Vec<u8>>),
}

/// Finds out what a request is for.
pub(crate) async fn route<B>(site: &Arc<Site>, request: &mut Request<B>) -> Outcome {
    let refused = |refusal| Outcome::Refused(refusal, None);
    if request.fields.content_length.is_some_and(|length| length > MAX_BODY) {
        return refused(Refusal::BodyTooLarge);
    }
    let found = site.find(std::mem::take(&mut request.path)).await;
    match (request.method, found) {
        // The order of things: whether it exists, whether the method is known, what it is.
        (_, Found::Missing) => refused(Refusal::NotFound),
        (Method::Get | Method::Head | Method::Post, found) => match found {
            Found::Folder { path } => Outcome::Refused(Refusal::MovedPermanently, Some(path)),
            Found::Unlisted | Found::Denied => refused(Refusal::Forbidden),
            Found::Special | Found::Missing => refused(Refusal::NotFound),
            Found::Failed => refused(Refusal::Internal),
            Found::Page(_) if request.method == Method::Post => refused(Refusal::NotAllowed),
            Found::Page(page) => Outcome::File(page),
        },
        _ => refused(Refusal::NotAllowed),
    }
}

/// The answer with a page of the server's own.
pub(crate) fn refuse<B: AsRef<[u8]>>(
    request: &Request<B>,
    refusal: Refusal,
    moved: Option<&[u8]>,
    front: Front,
) -> Answer {
    let is_padded = request.fields.browser.wants_padding && request.version >= Version::HTTP_10;
    let page = Bytes::from(refusal.page(is_padded));
    let mut answer = Answer {
        status: refusal.status(),
        content_type: Some("text/html".into()),
        content_length: Some(page.len() as u64),
        last_modified: None,
        location: moved.map(|path| location(request, path, front)),
        more: Vec::new(),
        body: Body::from(Part::new(Content::Memory(page))),
        refusal: Some(refusal),
        breaks_off: refusal == Refusal::PreconditionFailed,
    };
    compress(&mut answer, request);
    answer
}

/// The answer with a file, or with why not.
pub(crate) fn send<B: AsRef<[u8]>>(
    request: &Request<B>,
    page: Page,
    front: Front,
    boundaries: &ranges::Boundaries,
) -> Answer {
    let mut etag = format!("\"{:x}-{:x}\"", page.modified, page.size);
    let fields = &request.fields;
    // HTTP/0.9 has no fields to be conditional with.
    match conditions::check(fields, &etag, page.modified) {
        conditions::Verdict::Send => {}
        conditions::Verdict::NotModified => return not_modified(etag, page.modified),
        conditions::Verdict::Failed => return refuse(request, Refusal::PreconditionFailed, None, front),
    }
    let content_type = path::extension(&page.path).map_or(mime::UNKNOWN, mime::of_extension);
    let mut answer = Answer {
        status: 200,
        content_type: Some(content_type.into()),
        content_length: Some(page.size),
        last_modified: Some(page.modified),
        location: None,
        more: Vec::new(),
        body: Body::empty(),
        refusal: None,
        breaks_off: false,
    };
    let whole = Part { content: page.content, start: 0, end: page.size };
    let is_compressed = is_compressed(&answer, request);
    if is_compressed {
        etag.insert_str(0, "W/");
    }
    answer.more.push(("ETag", etag.clone().into()));
    if is_compressed {
        answer.body = Body::from(whole);
        compress(&mut answer, request);
        return answer;
    }
    if request.version >= Version::HTTP_10 {
        match ranges::parse(fields, &etag, page.modified, page.size) {
            ranges::Wanted::Whole => answer.more.push(("Accept-Ranges", "bytes".into())),
            ranges::Wanted::Nothing => {
                let mut answer = refuse(request, Refusal::RangeNotSatisfiable, None, front);
                answer.more.push(("Content-Range", format!("bytes */{}", page.size).into()));
                return answer;
            }
            ranges::Wanted::Parts(parts) => {
                ranges::apply(&mut answer, &whole, &parts, page.size, boundaries);
                return answer;
            }
        }
    }
    answer.body = Body::from(whole);
    answer
}

fn not_modified(etag: String, modified: i64) -> Answer {
    Answer {
        status: 304,
        content_type: None,
        content_length: None,
        last_modified: Some(modified),
        location: None,
        more: vec![("ETag", etag.into())],
        body: Body::empty(),
        refusal: None,
        breaks_off: false,
    }
}

fn is_compressed<B: AsRef<[u8]>>(answer: &Answer, request: &Request<B>) -> bool {
    const SHORTEST: u64 = 20;
    matches!(answer.status, 200 | 403 | 404)
        && answer.content_type.as_deref() == Some("text/html")
        && answer.content_length.is_none_or(|length| length >= SHORTEST)
        && gzip::is_wanted(request)
}

fn compress<B: AsRef<[u8]>>(answer: &mut Answer, request: &Request<B>) {
    if is_compressed(answer, request) {
        let length = answer.content_length.take().unwrap_or_default();
        answer.more.push(("Content-Encoding", "gzip".into()));
        answer.body.compress(length);
    }
}

/// The absolute address of a folder, with the slash that a client left out.
fn location<B>(request: &Request<B>, path: &[u8], front: Front) -> Vec<u8> {
    let (scheme, usual_port) = if front.is_tls { ("https", 443) } else { ("http", 80) };
    let mut location = format!("{scheme}://").into_bytes();
    match &request.fields.server {
        Some(server) => location.extend_from_slice(server),
        None => location.extend_from_slice(bare_address(front.local.ip()).as_bytes()),
    }
    if front.local.port() != usual_port {
        location.extend_from_slice(format!(":{}", front.local.port()).as_bytes());
    }
    path::escape(path, &mut location);
    location.push(b'/');
    if !request.query.is_empty() {
        location.push(b'?');
        location.extend_from_slice(&request.query);
    }
    location
}

/// An address without the brackets that it ought to have here when it is one of IPv6.
fn bare_address(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

impl Answer {
    /// Tells the fields that come before those that only one version of HTTP has, in their order.
    pub(crate) fn for_each_field(&self, mut tell: impl FnMut(&'static str, &[u8])) {
        tell("Server", pages::SERVER.as_bytes());
        tell("Date", date::now().as_bytes());
        if let Some(content_type) = &self.content_type {
            tell("Content-Type", content_type.as_bytes());
        }
        if let Some(length) = self.content_length {
            tell("Content-Length", length.to_string().as_bytes());
        }
        if let Some(modified) = self.last_modified {
            tell("Last-Modified", date::write(modified).as_bytes());
        }
        if let Some(location) = &self.location {
            tell("Location", location);
        }
    }
}
