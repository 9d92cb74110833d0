//! The `alknet` program under another name, so that it is built together with the tests that run it.

fn main() -> std::process::ExitCode {
    alknet::main()
}
