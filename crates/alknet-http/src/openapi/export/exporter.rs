//! Descriptions for those who ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use alknet_call::access::check_caller;
use alknet_call::{Registry, Visibility};
use alknet_core::Identity;
use arc_swap::ArcSwap;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::sync::watch;

use super::ApiInfo;
use super::document::Frame;
use super::operation::Described;

/// How many callers' markers are kept. Beyond that they are found out again.
const MAX_MARKERS: usize = 1024;

/// Describes the operations of a registry to each caller, as that one may call them.
///
/// What is kept is one text for each operation and one marker for each caller. When operations come and go, only those
/// that are new are written; a description is put together when it is asked for.
pub struct Exporter {
    registry: Arc<Registry>,
    frame: Frame,
    snapshot: ArcSwap<Snapshot>,
    building: Mutex<()>,
}

impl Exporter {
    /// The header that goes with each answer to a caller: its value is the [`marker`](Self::marker).
    pub const HEADER: HeaderName = HeaderName::from_static("x-alknet-api");

    /// Describes the operations of `registry`. Nothing is written before somebody asks.
    pub fn new(registry: Arc<Registry>, info: &ApiInfo) -> Self {
        let snapshot = ArcSwap::from_pointee(Snapshot::before_the_first(&registry));
        Self { registry, frame: Frame::new(info), snapshot, building: Mutex::default() }
    }

    /// Changes value whenever the description for this caller does. Cheap enough for every answer.
    pub fn marker(&self, identity: &Identity) -> HeaderValue {
        self.current().marker(&self.frame, identity)
    }

    /// The answer to `GET /openapi.json` of a caller whose request had `headers`: the description, or 304 if it has that
    /// already (RFC 9110 §13.1.2).
    pub fn respond(&self, identity: &Identity, headers: &HeaderMap) -> Response {
        let snapshot = self.current();
        let marker = snapshot.marker(&self.frame, identity);
        let marker_text = marker.to_str().unwrap_or_default();
        let tag = format!("\"{marker_text}\"");
        let mut response = Response::new(Body::empty());
        if is_there(headers, &tag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            let operations: Vec<_> = snapshot.callable(identity).collect();
            // Writing JSON as JSON does not fail.
            let text = serde_json::to_vec(&self.frame.with(&operations, marker_text)).unwrap_or_default();
            *response.body_mut() = Body::from(Bytes::from(text));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let fields = response.headers_mut();
        fields.extend(HeaderValue::try_from(tag).map(|tag| (ETAG, tag)));
        // It is another one for each token, and changes at any time.
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        fields.insert(VARY, HeaderValue::from_static("authorization"));
        fields.insert(Self::HEADER, marker);
        response
    }

    /// The operations as they are now.
    fn current(&self) -> Arc<Snapshot> {
        let snapshot = self.snapshot.load();
        if !snapshot.is_stale() {
            return Arc::clone(&snapshot);
        }
        drop(snapshot);
        // Who comes while another writes waits for that: it is less than to write the same. Nothing in here is half done
        // when it panics.
        let _turn = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot.load_full();
        if !before.is_stale() {
            return before;
        }
        let snapshot = Arc::new(Snapshot::of(&self.registry, &before));
        self.snapshot.store(snapshot.clone());
        snapshot
    }
}

/// The operations of a registry at some time.
struct Snapshot {
    /// Has changed when the registry has, since.
    changes: watch::Receiver<u64>,
    /// By name.
    operations: Vec<Arc<Described>>,
    markers: ArcSwap<Markers>,
}

/// The markers of those who have asked, by the id of their identity.
type Markers = HashMap<Arc<str>, (Arc<Identity>, HeaderValue)>;

impl Snapshot {
    /// Nothing, and out of date.
    fn before_the_first(registry: &Registry) -> Self {
        let mut changes = registry.changes();
        changes.mark_changed();
        Self { changes, operations: Vec::new(), markers: ArcSwap::default() }
    }

    /// What is in `registry`; what was in it `before` is not written again.
    fn of(registry: &Registry, before: &Self) -> Self {
        // First, so that nothing that comes while the operations are read is missed.
        let changes = registry.changes();
        let before: HashMap<_, _> = before.operations.iter().map(|one| (Arc::as_ptr(&one.spec), one)).collect();
        let external = registry.specs().into_iter().filter(|spec| spec.visibility == Visibility::External);
        let operations = external.map(|spec| match before.get(&Arc::as_ptr(&spec)) {
            Some(described) => Arc::clone(described),
            None => Arc::new(Described::of(spec)),
        });
        Self { changes, operations: operations.collect(), markers: ArcSwap::default() }
    }

    fn is_stale(&self) -> bool {
        // The registry outlives this, so an error means that it changes no more.
        self.changes.has_changed().unwrap_or(false)
    }

    fn callable(&self, identity: &Identity) -> impl Iterator<Item = &Described> {
        let operations = self.operations.iter().map(|operation| &**operation);
        operations.filter(|operation| check_caller(&operation.spec, Some(identity)).is_ok())
    }

    fn marker(&self, frame: &Frame, identity: &Identity) -> HeaderValue {
        // An identity of the same id may have got other scopes since.
        if let Some((of, marker)) = self.markers.load().get(&identity.id)
            && **of == *identity
        {
            return marker.clone();
        }
        let operations: Vec<_> = self.callable(identity).collect();
        // Hexadecimal digits are a header's value.
        let marker =
            HeaderValue::try_from(frame.marker(&operations)).unwrap_or_else(|_| HeaderValue::from_static("none"));
        let of = Arc::new(identity.clone());
        self.markers.rcu(|markers| {
            let mut markers = if markers.len() < MAX_MARKERS { HashMap::clone(markers) } else { HashMap::new() };
            markers.insert(identity.id.clone(), (of.clone(), marker.clone()));
            markers
        });
        marker
    }
}

/// Whether the client has what has this entity tag (RFC 9110 §13.1.2: compared weakly).
fn is_there(headers: &HeaderMap, tag: &str) -> bool {
    let fields = headers.get_all(IF_NONE_MATCH).iter().filter_map(|field| field.to_str().ok());
    let mut tags = fields.flat_map(|field| field.split(',')).map(str::trim);
    tags.any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag)
}

#[cfg(test)]
mod tests;
