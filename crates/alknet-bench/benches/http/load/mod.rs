//! Many requests, made by programs that are for that.

mod h2load;
mod wrk;

use std::net::SocketAddr;
use std::path::Path;

use alknet_core::Token;

pub(crate) use h2load::PROGRAM as H2LOAD;
pub(crate) use wrk::PROGRAM as WRK;

use crate::answer;
use crate::arguments::Arguments;
use crate::program::Program;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// `GET /healthz`, for anybody.
    Health,
    /// `POST /node/info` with a bearer token.
    Info,
}

impl Request {
    fn path(self) -> &'static str {
        match self {
            Self::Health => "/healthz",
            Self::Info => answer::PATH,
        }
    }
}

/// By what and how.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    /// Over h2: so many requests from so many clients, each of which has so many streams under way.
    H2load { requests: u64, clients: u64, streams: u64 },
    /// Over http/1.1: as many requests as so many connections make in a second.
    Wrk { connections: u64 },
}

impl Load {
    pub(crate) fn program(self) -> Program {
        match self {
            Self::H2load { .. } => H2LOAD,
            Self::Wrk { .. } => WRK,
        }
    }

    /// So much of it as fits a leg.
    pub(crate) fn scaled(self, arguments: &Arguments) -> Self {
        match self {
            Self::H2load { requests, clients, streams } => {
                // Each client makes as many, so that none is alone at the end.
                let requests = arguments.scaled(requests).next_multiple_of(clients);
                Self::H2load { requests, clients, streams }
            }
            Self::Wrk { .. } => self,
        }
    }
}

/// Whom it meets.
pub(crate) struct Target<'a> {
    pub(crate) server: SocketAddr,
    pub(crate) token: &'a Token,
    /// Where the body of the request is, and files may be put.
    pub(crate) folder: &'a Path,
}

impl Target<'_> {
    /// # Errors
    /// When the program cannot be run, or not every request had a response with success.
    pub(crate) fn meet(&self, load: Load, request: Request) -> Result<Taken, String> {
        match load {
            Load::H2load { requests, clients, streams } => h2load::run(self, request, requests, clients, streams),
            Load::Wrk { connections } => wrk::run(self, request, connections),
        }
    }
}

/// What the requests took.
pub(crate) struct Taken {
    pub(crate) requests: u64,
    /// From the first of them to the end of the last, in seconds.
    pub(crate) seconds: f64,
    /// Of one request, in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}
