//! The command line: what it takes, and which function does it.

mod apply;
mod call;
mod call_events;
mod check_config;
mod connect;
#[cfg(feature = "http")]
mod dashboard;
#[cfg(feature = "demo")]
mod demo;
mod dial;
mod generate;
mod handlers;
mod id;
#[cfg(feature = "http")]
mod import;
#[cfg(feature = "mcp")]
mod import_mcp;
mod init;
mod invite;
mod join;
mod output;
mod peer;
mod qr;
mod report;
mod serve;
mod services;
mod status;
mod target;
mod token;
#[cfg(feature = "tty")]
mod tty;
mod vault;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};

use crate::config::{self, Config, ConfigErrors};
use crate::environment::Environment;
use crate::handlers::HANDLERS;
use output::Output;

/// A networking node: many services on one port, chosen by the ALPN of the TLS handshake
#[derive(Parser)]
#[command(name = "alknet", version, arg_required_else_help = true)]
struct Cli {
    /// The configuration file [default: $XDG_CONFIG_HOME/alknet/alknet.toml; for root, if that is missing,
    /// /etc/alknet/alknet.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a node: its mnemonic, its vault and its configuration
    Init(init::InitArgs),
    /// Run the node
    Serve(serve::ServeArgs),
    /// Look for errors in a configuration; needs neither network nor secrets
    CheckConfig(check_config::CheckConfigArgs),
    /// Show which handlers this build has, and which of them the configuration enables
    Handlers(handlers::HandlersArgs),
    /// Show the node's identity
    Id(id::IdArgs),
    /// Say who may come, and whom the node dials
    #[command(subcommand)]
    Peer(peer::PeerCommand),
    /// Make a link by which another node can join as a peer, once
    Invite(invite::InviteArgs),
    /// Become a peer of the node that made a link
    Join(join::JoinArgs),
    /// Make and revoke the bearer tokens of peers
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Keep the secrets of services encrypted
    #[command(subcommand)]
    Vault(vault::VaultCommand),
    /// Look at the descriptions of services before importing their operations
    #[cfg(feature = "http")]
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Connect standard input and output to a protocol of a node, as OpenSSH's ProxyCommand needs it
    Connect(connect::ConnectArgs),
    /// Call an operation of a node
    Call(call::CallArgs),
    /// Show what a node has to call
    Services(services::ServicesArgs),
    /// Work in terminals of a node, which go on when the connection to them ends
    #[cfg(feature = "tty")]
    #[command(subcommand)]
    Tty(tty::TtyCommand),
    /// Show how a node is doing
    Status(status::StatusArgs),
    /// Open a page in the browser that shows how a node is doing
    #[cfg(feature = "http")]
    Dashboard(dashboard::DashboardArgs),
    /// Try everything out with nodes of their own, which are gone afterwards
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    /// Print the completions of a shell
    Completions(generate::CompletionsArgs),
    /// Print the manual page, or write all of them into a folder
    Man(generate::ManArgs),
}

/// What every command gets.
struct Invocation {
    environment: Environment,
    config_file: PathBuf,
    /// `--config` was given.
    config_is_named: bool,
    output: Output,
}

impl Invocation {
    fn load_config(&self) -> Result<Config, ConfigErrors> {
        config::load(&self.config_file)
    }
}

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way, too. Where they cannot be printed, nobody reads a complaint.
            let _ = error.print();
            if let Some(hint) = left_out(&error) {
                Output.note(hint);
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(report::USAGE));
        }
    };
    let environment = Environment::read();
    let invocation = Invocation {
        config_file: environment.config_file(cli.config.as_deref()),
        config_is_named: cli.config.is_some(),
        environment,
        output: Output,
    };
    match run(cli.command, &invocation) {
        Ok(code) => code,
        Err(error) => report::report(&error),
    }
}

/// What to say of a command that this build does not have.
fn left_out(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(command)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let mut handlers = HANDLERS.iter().filter(|handler| !handler.is_built);
    let feature = handlers.find(|handler| handler.command == Some(command))?.feature?;
    Some(format!("this build has no \"{command}\"; builds with the feature \"{feature}\" have it"))
}

fn run(command: Command, invocation: &Invocation) -> anyhow::Result<ExitCode> {
    let done = match command {
        Command::Init(args) => init::run(args, invocation),
        Command::Serve(args) => serve::run(args, invocation),
        Command::CheckConfig(args) => check_config::run(args, invocation),
        Command::Handlers(args) => handlers::run(args, invocation),
        Command::Id(args) => id::run(args, invocation),
        Command::Peer(command) => peer::run(command, invocation),
        Command::Invite(args) => invite::run(args, invocation),
        Command::Join(args) => join::run(args, invocation),
        Command::Token(command) => token::run(command, invocation),
        Command::Vault(command) => vault::run(command, invocation),
        #[cfg(feature = "http")]
        Command::Import(command) => import::run(command, invocation),
        Command::Connect(args) => connect::run(args, invocation),
        Command::Call(args) => return call::run(args, invocation),
        Command::Services(args) => services::run(args, invocation),
        #[cfg(feature = "tty")]
        Command::Tty(command) => return tty::run(command, invocation),
        Command::Status(args) => status::run(args, invocation),
        #[cfg(feature = "http")]
        Command::Dashboard(args) => dashboard::run(args, invocation),
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(args, invocation),
        Command::Completions(args) => generate::completions(args, invocation),
        Command::Man(args) => generate::man(args, invocation),
    };
    done.map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_build_has_the_commands_of_its_handlers_and_says_which_it_lacks() {
        for handler in HANDLERS {
            let Some(command) = handler.command else { continue };
            assert_eq!(Cli::command().find_subcommand(command).is_some(), handler.is_built, "{command}");
            let error = Cli::try_parse_from(["alknet", command]).err().unwrap();
            assert_eq!(left_out(&error).is_none(), handler.is_built, "{command}");
        }
        assert!(left_out(&Cli::try_parse_from(["alknet", "frobnicate"]).err().unwrap()).is_none());
    }
}
