//! `alknet token`.

use alknet_core::{Token, TokenHash};
use clap::Subcommand;
use serde::Serialize;

use super::Invocation;
use super::apply::after_edit;
use super::report::UsageError;
use crate::config::PeerId;
use crate::config::edit::Editor;

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token for a peer; it is shown once, and only its hash is stored
    New(NewArgs),
    /// List the tokens by the beginning of their hashes
    List(ListArgs),
    /// Revoke tokens of a peer
    Revoke(RevokeArgs),
}

#[derive(clap::Args)]
pub(super) struct NewArgs {
    /// The peer
    peer: PeerId,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct RevokeArgs {
    /// The peer
    peer: PeerId,

    /// The beginning of the token's hash, as "alknet token list" shows it; can be left out if there is one token
    #[arg(value_name = "HASH-PREFIX")]
    prefix: Option<String>,

    /// Revoke all tokens of the peer
    #[arg(long, conflicts_with = "prefix")]
    all: bool,
}

pub(super) fn run(command: TokenCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        TokenCommand::New(args) => new(&args, invocation),
        TokenCommand::List(args) => list(&args, invocation),
        TokenCommand::Revoke(args) => revoke(&args, invocation),
    }
}

#[derive(Serialize)]
struct NewOutput<'t> {
    peer: &'t str,
    token: &'t str,
    token_sha256: String,
}

fn new(args: &NewArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let token = Token::generate()?;
    let mut editor = Editor::open(&invocation.config_file)?;
    editor.add_token(&args.peer, token.hash())?;
    editor.save()?;
    // Only now: a token that is shown is one that works.
    if args.json {
        let (peer, token_sha256) = (args.peer.as_str(), token.hash().to_string());
        invocation.output.json(&NewOutput { peer, token: token.reveal(), token_sha256 })?;
    } else {
        invocation.output.line(token.reveal())?;
        invocation.output.note(format_args!("this is \"{}\"'s token; it is shown only now", args.peer));
    }
    after_edit(invocation);
    Ok(())
}

#[derive(Serialize)]
struct TokenOutput<'c> {
    peer: &'c str,
    token_sha256: String,
}

fn list(args: &ListArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let config = invocation.load_config()?;
    let tokens = config.peers.iter().flat_map(|peer| peer.tokens.iter().map(move |token| (&peer.id, token)));
    if args.json {
        let tokens = tokens.map(|(id, token)| TokenOutput { peer: id.as_str(), token_sha256: token.to_string() });
        return invocation.output.json(&tokens.collect::<Vec<_>>());
    }
    let rows: Vec<_> = tokens.map(|(id, token)| [id.to_string(), prefix(token)]).collect();
    if rows.is_empty() {
        invocation.output.note(format_args!("there are no tokens in {}", config.file.display()));
    }
    Ok(invocation.output.table(&rows)?)
}

/// Enough of a hash to tell it from the others.
fn prefix(token: &TokenHash) -> String {
    token.to_string().chars().take(12).collect()
}

fn revoke(args: &RevokeArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let mut editor = Editor::open(&invocation.config_file)?;
    let gone = chosen(args, &editor.peer(&args.peer)?.tokens)?;
    editor.remove_tokens(&args.peer, &gone)?;
    editor.save()?;
    let hashes: Vec<String> = gone.iter().map(prefix).collect();
    invocation.output.note(format_args!("revoked {} of \"{}\"", hashes.join(", "), args.peer));
    after_edit(invocation);
    Ok(())
}

/// The tokens to revoke.
fn chosen(args: &RevokeArgs, tokens: &[TokenHash]) -> Result<Vec<TokenHash>, UsageError> {
    let wanted = args.prefix.as_deref().unwrap_or_default().to_ascii_lowercase();
    let matching: Vec<_> = tokens.iter().filter(|token| token.to_string().starts_with(&wanted)).copied().collect();
    match (matching.len(), tokens.len()) {
        (_, 0) => Err(UsageError(format!("\"{}\" has no tokens", args.peer))),
        (0, _) => Err(UsageError(format!("no token of \"{}\" has a hash that begins with {wanted}", args.peer))),
        (1, _) => Ok(matching),
        _ if args.all => Ok(matching),
        (count, _) => {
            let hashes: Vec<String> = matching.iter().map(prefix).collect();
            let (peer, hashes) = (&args.peer, hashes.join(", "));
            Err(UsageError(format!("{count} tokens of \"{peer}\" match: say which ({hashes}), or --all")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_revoked_is_said_exactly() {
        let tokens: Vec<TokenHash> = ["a", "b"].map(TokenHash::of).into();
        let choose = |prefix: Option<&str>, all, tokens: &[TokenHash]| {
            let args = RevokeArgs { peer: "p".parse().unwrap(), prefix: prefix.map(str::to_owned), all };
            chosen(&args, tokens).map_err(|error| error.0)
        };
        assert_eq!(choose(None, false, &tokens[..1]), Ok(tokens[..1].to_vec()));
        assert_eq!(choose(None, true, &tokens), Ok(tokens.clone()));
        assert_eq!(choose(Some(&prefix(&tokens[1]).to_uppercase()), false, &tokens), Ok(tokens[1..].to_vec()));
        assert!(choose(None, false, &tokens).unwrap_err().starts_with("2 tokens of \"p\" match"));
        assert!(choose(Some("ffff"), false, &tokens).unwrap_err().contains("begins with ffff"));
        assert_eq!(choose(None, true, &[]).unwrap_err(), "\"p\" has no tokens");
    }
}
