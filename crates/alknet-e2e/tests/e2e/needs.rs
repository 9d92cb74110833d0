//! What a test needs of the machine, and whether it is there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

#[derive(Clone, Copy)]
pub(crate) enum Need {
    Curl,
    OpenSsl,
    /// With its standard library alone.
    Python,
    Aioquic,
    /// What tests a server by its description, makes a client of it, and says whether it is one.
    OpenApiTools,
    /// The HTTP/2 state machine of the hyper project for Python.
    PythonH2,
    /// The official SDK of the Model Context Protocol.
    PythonMcp,
    /// The same for Node.js, with its Inspector and its conformance suite.
    NodeMcp,
    /// Chromium, what drives it, and axe-core.
    Chromium,
    /// `nghttp` and `h2load`.
    Nghttp2,
    /// Descriptions of real services, which are not part of the project.
    Descriptions,
    /// The version that decoys imitate.
    Nginx,
    /// Root, and the tools that namespaces are made and looked into with.
    Machines,
    /// Root and iproute2.
    NetworkNamespaces,
}

impl Need {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::OpenSsl => "openssl",
            Self::Python => "python3 of 3.11 or later",
            Self::Aioquic => "aioquic in target/e2e-python, which scripts/test makes",
            Self::OpenApiTools => {
                "schemathesis, openapi-python-client and openapi-spec-validator in target/e2e-python, which scripts/test makes"
            }
            Self::PythonH2 => "h2 in target/e2e-python, which scripts/test makes",
            Self::PythonMcp => "mcp in target/e2e-python, which scripts/test makes",
            Self::NodeMcp => "the packages of scripts/node in target/e2e-node, which scripts/test installs",
            Self::Chromium => {
                "chromium, chromium-driver, pillow, selenium and zxing-cpp in target/e2e-python and axe-core in target/e2e-node, which scripts/test makes"
            }
            Self::Nghttp2 => "nghttp and h2load (nghttp2-client)",
            Self::Descriptions => "descriptions of real services in ../shared/openapi",
            Self::Nginx => "nginx 1.22.1 of Debian 12, which scripts/setup unpacks",
            Self::Machines => "root, iproute2, util-linux and procps",
            Self::NetworkNamespaces => "root and iproute2",
        }
    }

    pub(crate) fn is_met(self) -> bool {
        // Many tests need the same, and to find out takes starting a program.
        static MET: [OnceLock<bool>; Need::NetworkNamespaces as usize + 1] =
            [const { OnceLock::new() }; Need::NetworkNamespaces as usize + 1];
        *MET[self as usize].get_or_init(|| self.look())
    }

    fn look(self) -> bool {
        match self {
            Self::Curl => succeeds(Command::new("curl").arg("--version")),
            Self::OpenSsl => succeeds(Command::new("openssl").arg("version")),
            Self::Python => succeeds(Command::new("python3").args(["-c", "import asyncio; asyncio.timeout"])),
            Self::Aioquic => has_modules("aioquic"),
            Self::OpenApiTools => has_modules("schemathesis openapi_python_client openapi_spec_validator"),
            Self::PythonH2 => has_modules("h2"),
            Self::PythonMcp => has_modules("mcp"),
            Self::NodeMcp => {
                let suite = node_modules().join("@modelcontextprotocol/conformance/dist/index.js");
                suite.is_file() && succeeds(node_js().arg("--version"))
            }
            Self::Chromium => {
                let programs = ["/usr/bin/chromium", "/usr/bin/chromedriver"].map(Path::new);
                programs.iter().all(|program| program.exists())
                    && has_modules("PIL selenium zxingcpp")
                    && axe().exists()
            }
            Self::Nghttp2 => ["nghttp", "h2load"].into_iter().all(|tool| succeeds(Command::new(tool).arg("--version"))),
            Self::Nginx => crate::stealth::nginx::missing().is_none(),
            Self::Descriptions => crate::imports::descriptions().join("openai.yaml").is_file(),
            Self::Machines => {
                let tools = [["unshare", "--version"], ["nsenter", "--version"], ["pgrep", "--version"]];
                let has = |[tool, version]: [&str; 2]| succeeds(Command::new(tool).arg(version));
                Self::NetworkNamespaces.is_met() && tools.into_iter().all(has)
            }
            Self::NetworkNamespaces => {
                rustix::process::geteuid().is_root() && succeeds(Command::new("ip").args(["netns", "list"]))
            }
        }
    }
}

/// The Python with the packages of `scripts/requirements.txt`.
pub(crate) fn python() -> PathBuf {
    python_tool("python3")
}

/// A program that came with one of them.
pub(crate) fn python_tool(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join("target/e2e-python/bin").join(name)
}

/// Where the packages of `scripts/node` are.
pub(crate) fn node_modules() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/e2e-node/node_modules")
}

/// The Node.js that is one of them: the suite needs a newer one than Debian has. It takes whatever certificate a node shows.
pub(crate) fn node_js() -> Command {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let mut command = Command::new(node_modules().join(format!("node-linux-{machine}/bin/node")));
    command.env("NODE_TLS_REJECT_UNAUTHORIZED", "0").env("NODE_NO_WARNINGS", "1");
    if let Some(folder) = node_modules().parent().filter(|folder| folder.is_dir()) {
        command.current_dir(folder);
    }
    command
}

/// What finds fault with pages, from npm.
pub(crate) fn axe() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/e2e-node/node_modules/axe-core/axe.min.js")
}

/// Looks for modules without loading them: that takes seconds.
fn has_modules(names: &str) -> bool {
    const LOOK: &str = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1].split())))";
    succeeds(Command::new(python()).args(["-c", LOOK, names]))
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
