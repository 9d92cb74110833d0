//! The operations of the node as an OpenAPI description.
