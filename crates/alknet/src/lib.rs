//! The alknet node: configuration, assembly and command line
