//! The operations of a node over HTTP, to stock clients.

mod client;
mod description;
mod events;
mod generated;
mod http2;
mod operations;
mod problems;
mod schemathesis;

use crate::Test;
use crate::node::Node;

pub(crate) fn tests() -> Vec<Test> {
    [
        operations::tests(),
        problems::tests(),
        events::tests(),
        description::tests(),
        schemathesis::tests(),
        generated::tests(),
        http2::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A node with terminals, whose only program prints what is typed into it, and one that does not start.
struct Served {
    node: Node,
    /// Of a peer that may use terminals and read metrics. The token of the node's `tester` is that of one who may not.
    token: String,
}

const TTY: &str = "[tty]\nenable = true\ncommands = [\"/bin/cat\", \"/no/such/program\"]";

impl Served {
    fn start() -> anyhow::Result<Self> {
        let node = Node::start_with(TTY)?;
        node.run_ok(&["peer", "add", "user", "--scope", "tty:*", "--scope", "metrics:read"])?;
        let token = node.new_token("user")?;
        Ok(Self { node, token })
    }

    fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.node.port)
    }
}
