//! End-to-end tests of alknet with stock clients
