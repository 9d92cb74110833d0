//! The scopes that the binary itself asks for.

use alknet_core::Scope;

/// `node:admin`: reload the configuration, and see more in `node/info`.
#[expect(clippy::expect_used, reason = "a literal that the test below parses")]
pub fn node_admin() -> Scope {
    "node:admin".parse().expect("node:admin is a scope")
}

#[cfg(test)]
mod tests {
    #[test]
    fn they_are_scopes() {
        assert_eq!(super::node_admin().as_str(), "node:admin");
    }
}
