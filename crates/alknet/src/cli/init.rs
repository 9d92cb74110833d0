//! `alknet init`.

use std::path::PathBuf;

use alknet_vault::WordCount;
use serde::Serialize;

use super::Invocation;
use super::report::UsageError;
use crate::config::NodeName;
use crate::init::{KeepSeed, Made, Plan, make};

#[derive(clap::Args)]
pub(super) struct InitArgs {
    /// The folder of the configuration, with the state in a folder in it [default: the user's configuration folder, with
    /// the state in the user's state folder]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,

    /// The folder of the state, if it is another one
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,

    /// What the node is called, also in the fleet's DNS zone
    #[arg(long, default_value_t)]
    name: NodeName,

    /// How many words the mnemonic has
    #[arg(long, default_value = "24", value_parser = word_count, value_name = "12|15|18|21|24")]
    words: WordCount,

    /// Seal the seed with the passphrase in the first line of this file [default: with a random one]
    #[arg(long, value_name = "FILE", conflicts_with = "seed_credential")]
    passphrase_file: Option<PathBuf>,

    /// Write the seed itself to this file, for systemd-creds encrypt, and seal nothing
    #[arg(long, value_name = "FILE")]
    seed_credential: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn word_count(text: &str) -> Result<WordCount, String> {
    let words = text.parse::<usize>().ok().and_then(|words| WordCount::try_from(words).ok());
    words.ok_or_else(|| "a mnemonic has 12, 15, 18, 21 or 24 words".to_owned())
}

/// The result as JSON.
#[derive(Serialize)]
struct InitOutput<'m> {
    name: &'m str,
    fingerprint: String,
    config: PathBuf,
    state_dir: PathBuf,
    secret_file: PathBuf,
    phrase: &'m str,
}

pub(super) fn run(args: InitArgs, invocation: &Invocation) -> anyhow::Result<()> {
    if invocation.config_is_named {
        return Err(
            UsageError("init makes a configuration in a folder: say --dir FOLDER and not --config".to_owned()).into()
        );
    }
    let json = args.json;
    let plan = plan(args, invocation);
    let made = make(&plan)?;
    if let Some(warning) = &made.warning {
        invocation.output.warning(warning);
    }
    if let KeepSeed::SeedCredential(_) = &plan.keep {
        let file = made.secret_file.display();
        invocation.output.note(format_args!(
            "{file} is the seed itself: encrypt it for this machine (systemd-creds encrypt --name=seed {file} seed.cred), load \
             that into the service (LoadCredentialEncrypted=seed:...), and remove {file}"
        ));
    }
    if json { print_json(&made, invocation) } else { print_text(&made, invocation) }
}

fn plan(args: InitArgs, invocation: &Invocation) -> Plan {
    let default = Plan::in_default_folders(&invocation.environment);
    let beside = args.dir.as_ref().map(|dir| dir.join("state"));
    Plan {
        state_dir: args.state_dir.or(beside).unwrap_or(default.state_dir),
        dir: args.dir.unwrap_or(default.dir),
        name: args.name,
        words: args.words,
        keep: match (args.passphrase_file, args.seed_credential) {
            (Some(file), _) => KeepSeed::PassphraseFile(file),
            (None, Some(file)) => KeepSeed::SeedCredential(file),
            (None, None) => KeepSeed::RandomPassphrase,
        },
    }
}

fn print_json(made: &Made, invocation: &Invocation) -> anyhow::Result<()> {
    invocation.output.json(&InitOutput {
        name: made.name.as_str(),
        fingerprint: made.fingerprint.to_string(),
        config: made.config.clone(),
        state_dir: made.state_dir.clone(),
        secret_file: made.secret_file.clone(),
        phrase: &made.phrase,
    })
}

fn print_text(made: &Made, invocation: &Invocation) -> anyhow::Result<()> {
    let row = |name: &str, value: String| [name.to_owned(), value];
    let output = &invocation.output;
    output.table(&[
        row("name", made.name.to_string()),
        row("identity", made.fingerprint.to_string()),
        row("configuration", made.config.display().to_string()),
        row("state", made.state_dir.display().to_string()),
        row("secret file", made.secret_file.display().to_string()),
    ])?;
    output.line(
        "\nThe node's mnemonic. Write it down and keep it offline: it is shown only now, every key of the node follows\n\
         from it, and whoever has it is this node.\n",
    )?;
    let words: Vec<&str> = made.phrase.split(' ').collect();
    for words in words.chunks(6) {
        output.line(format_args!("    {}", words.join(" ")))?;
    }
    output.line(format_args!("\nNext: alknet serve --config {}", made.config.display()))?;
    Ok(())
}
