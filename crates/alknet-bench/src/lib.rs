//! Benchmarks of alknet against its peers
