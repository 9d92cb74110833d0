//! HTTP for alknet: a node's operations and health over h2 and http/1.1
