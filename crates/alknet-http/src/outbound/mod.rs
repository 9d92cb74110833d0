//! The HTTP client that the node calls other services with.
