//! Who calls, as services want to know it.
//!
//! The secrets are the capabilities of the call, and come from nowhere else. A capability is for the security scheme of its
//! name; the one called `*` is for each scheme that has none of its own. Its text is the token or the key as it is,
//! `user:password` for Basic, and `client_id:client_secret` where a token is fetched with it.
//!
//! A credential goes over TLS, or to this machine, and with the first request only to the server that it is for: a redirect
//! to another is not followed.

use std::collections::BTreeMap;

use alknet_call::{CallError, Capabilities, ErrorCode, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::request::Draft;
use super::scrub::Scrub;
use super::style::Escape;
use super::token::{Client, Token, Tokens};
use crate::openapi::import::model::{HttpOperation, Place, SchemeUse, SecurityScheme};
use crate::outbound::{Deadline, is_private};

/// The capability for schemes that have none of their own.
pub(super) const ANY: &str = "*";

/// The ways in which an operation can be told who calls.
#[derive(Debug)]
pub(super) struct Security(Vec<Vec<Use>>);

#[derive(Debug)]
pub(super) struct Use {
    scheme: Box<str>,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Bearer,
    Basic,
    Header(HeaderName),
    Query(Box<str>),
    Cookie(Box<str>),
    Token(Client),
}

/// The credentials of one call.
pub(super) type Chosen<'a> = Vec<(&'a Use, &'a Secret)>;

impl Security {
    /// # Errors
    /// When each way has a scheme in it that is not supported.
    pub(super) fn new(operation: &HttpOperation, schemes: &BTreeMap<String, SecurityScheme>) -> Result<Self, String> {
        if schemes.is_empty() && operation.security.is_empty() {
            // Some services (GitHub's description is one) do not say that they know callers by a token.
            return Ok(Self(vec![vec![Use { scheme: ANY.into(), kind: Kind::Bearer }], vec![]]));
        }
        let mut ways = Vec::new();
        let mut reason = None;
        for way in &operation.security {
            match way.iter().map(|scheme| Use::new(scheme, schemes)).collect() {
                Ok(way) => ways.push(way),
                Err(why) => reason = Some(why),
            }
        }
        match reason {
            Some(reason) if ways.is_empty() => Err(reason),
            _ => Ok(Self(ways)),
        }
    }

    /// Whether a parameter is one of the places for a credential.
    pub(super) fn is_credential(&self, place: Place, name: &str) -> bool {
        self.0.iter().flatten().any(|wanted| match &wanted.kind {
            Kind::Header(header) => place == Place::Header && header.as_str().eq_ignore_ascii_case(name),
            Kind::Query(key) => place == Place::Query && **key == *name,
            Kind::Cookie(key) => place == Place::Cookie && **key == *name,
            Kind::Bearer | Kind::Basic | Kind::Token(_) => false,
        })
    }

    /// The first way for which there are all capabilities; nothing, if that is a way, too.
    pub(super) fn choose<'a>(&'a self, capabilities: &'a Capabilities) -> Result<Chosen<'a>, CallError> {
        let secret = |wanted: &Use| capabilities.secret(&wanted.scheme).or_else(|| capabilities.secret(ANY));
        let with_all = |way: &'a Vec<Use>| {
            way.iter().map(|wanted| Some((wanted, secret(wanted)?))).collect::<Option<Chosen<'a>>>()
        };
        let ways = self.0.iter().filter(|way| !way.is_empty());
        if let Some(chosen) = ways.clone().find_map(with_all) {
            return Ok(chosen);
        }
        if self.0.is_empty() || self.0.iter().any(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let ways: Vec<_> = ways
            .map(|way| way.iter().map(|wanted| format!("{:?}", wanted.scheme)).collect::<Vec<_>>().join(" with "))
            .collect();
        Err(unusable(format!(
            "the service wants a credential for the scheme {}, and there is none: seal one with \"alknet vault encrypt\" \
             and give it to the import",
            ways.join(" or ")
        )))
    }
}

impl Use {
    fn new(scheme: &SchemeUse, schemes: &BTreeMap<String, SecurityScheme>) -> Result<Self, String> {
        let SchemeUse { scheme: name, scopes } = scheme;
        let kind = match schemes.get(name) {
            Some(SecurityScheme::Bearer) => Kind::Bearer,
            Some(SecurityScheme::Basic) => Kind::Basic,
            Some(SecurityScheme::ApiKey { name: key, place: Place::Header }) => Kind::Header(
                HeaderName::try_from(key).map_err(|_| format!("the scheme {name:?} has {key:?} for a header field"))?,
            ),
            Some(SecurityScheme::ApiKey { name, place: Place::Query }) => Kind::Query(name.as_str().into()),
            // What cannot stand in a cookie's name would be another cookie.
            Some(SecurityScheme::ApiKey { name: key, place: Place::Cookie }) if HeaderName::try_from(key).is_ok() => {
                Kind::Cookie(key.as_str().into())
            }
            Some(SecurityScheme::ClientCredentials { token_url }) => {
                if !is_private(token_url) {
                    return Err(format!("the scheme {name:?} would send its secret without TLS to fetch a token"));
                }
                Kind::Token(Client { token_url: token_url.clone(), scopes: scopes.join(" ").into() })
            }
            Some(SecurityScheme::ApiKey { .. }) => return Err(format!("the scheme {name:?} has no place for its key")),
            Some(SecurityScheme::Unsupported(kind)) => {
                return Err(format!("the scheme {name:?} is of the kind {kind:?}, which is not supported"));
            }
            None => return Err(format!("the scheme {name:?} is not described")),
        };
        Ok(Self { scheme: name.as_str().into(), kind })
    }

    /// Whether the credential is sent elsewhere to get the one that is sent here.
    pub(super) fn is_exchanged(&self) -> bool {
        matches!(self.kind, Kind::Token(_))
    }

    fn put(&self, secret: &str, draft: &mut Draft, scrub: &mut Scrub) -> Result<(), CallError> {
        match &self.kind {
            Kind::Bearer | Kind::Token(_) => {
                scrub.add(secret);
                draft.headers.insert(AUTHORIZATION, self.header(&Zeroizing::new(format!("Bearer {secret}")))?);
            }
            Kind::Basic => {
                scrub.add_pair(secret);
                let pair = Zeroizing::new(STANDARD.encode(secret.as_bytes()));
                draft.headers.insert(AUTHORIZATION, self.header(&Zeroizing::new(format!("Basic {}", *pair)))?);
            }
            Kind::Header(name) => {
                scrub.add(secret);
                draft.headers.insert(name, self.header(secret)?);
            }
            Kind::Query(name) => {
                scrub.add(secret);
                // The fields of an object that is a parameter have names of the caller's choice.
                if form_urlencoded::parse(draft.query.as_bytes()).any(|(key, _)| key == **name) {
                    return Err(in_the_way(name));
                }
                add(&mut draft.query, "&", &Escape::Component.of(name), &Escape::Component.of(secret));
            }
            Kind::Cookie(name) => {
                scrub.add(secret);
                self.header(secret)?;
                if draft.cookies.split("; ").any(|pair| pair.split('=').next() == Some(name)) {
                    return Err(in_the_way(name));
                }
                add(&mut draft.cookies, "; ", name, secret);
            }
        }
        Ok(())
    }

    fn header(&self, text: &str) -> Result<HeaderValue, CallError> {
        let mut value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| {
            let scheme = &self.scheme;
            unusable(format!(
                "the credential for the scheme {scheme:?} holds a character that no header field can have, such as a line \
                 feed at its end: seal it again without"
            ))
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Puts the credentials into a request. A token that was fetched and is `stale` is fetched anew.
pub(super) async fn apply(
    chosen: &Chosen<'_>,
    draft: &mut Draft,
    tokens: &Tokens,
    stale: Option<&Token>,
    deadline: Deadline,
    scrub: &mut Scrub,
) -> Result<Option<Token>, CallError> {
    if !chosen.is_empty() && !is_private(&draft.url) {
        let server = draft.url.origin().ascii_serialization();
        return Err(unusable(format!("{server} is not called over https, so no credential is sent there")));
    }
    let mut fetched = None;
    for (wanted, secret) in chosen {
        match &wanted.kind {
            Kind::Token(client) => {
                scrub.add_pair(secret.reveal());
                let token = tokens.token(client, secret.reveal(), stale, deadline).await?;
                wanted.put(&token.text, draft, scrub)?;
                fetched = Some(token);
            }
            _ => wanted.put(secret.reveal(), draft, scrub)?,
        }
    }
    Ok(fetched)
}

fn add(pairs: &mut String, separator: &str, name: &str, value: &str) {
    if !pairs.is_empty() {
        pairs.push_str(separator);
    }
    pairs.push_str(name);
    pairs.push('=');
    pairs.push_str(value);
}

fn in_the_way(name: &str) -> CallError {
    CallError::invalid_input(format!("the input sets {name:?}, which is the place of the credential"))
}

/// What only the node's operator can change.
pub(super) fn unusable(message: String) -> CallError {
    let mut error = CallError::new(ErrorCode::Unavailable, message);
    error.retryable = false;
    error
}

#[cfg(test)]
mod tests;
