//! `alknet handlers`.

use serde::Serialize;

use super::Invocation;
use crate::config::Config;
use crate::handlers::{HANDLERS, HandlerInfo};

#[derive(clap::Args)]
pub(super) struct HandlersArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct HandlerOutput {
    name: &'static str,
    alpns: &'static [&'static str],
    built: bool,
    /// The Cargo feature that builds it; none if every build has it.
    feature: Option<&'static str>,
    /// None where there is no configuration.
    enabled: Option<bool>,
}

pub(super) fn run(args: HandlersArgs, invocation: &Invocation) -> anyhow::Result<()> {
    // What a program can do can be asked for before there is a node.
    let is_there = invocation.config_is_named || invocation.config_file.exists();
    let config = is_there.then(|| invocation.load_config()).transpose()?;
    let handlers: Vec<_> = HANDLERS.iter().map(|handler| HandlerOutput::of(handler, config.as_ref())).collect();
    if args.json {
        return invocation.output.json(&handlers);
    }
    let header = ["NAME", "ALPNS", "IN THIS BUILD", "ENABLED"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(header).chain(handlers.iter().map(HandlerOutput::row)).collect();
    Ok(invocation.output.table(&rows)?)
}

impl HandlerOutput {
    fn of(handler: &HandlerInfo, config: Option<&Config>) -> Self {
        Self {
            name: handler.name,
            alpns: handler.alpns,
            built: handler.is_built,
            feature: handler.feature,
            enabled: config.map(|config| handler.is_enabled(config)),
        }
    }

    fn row(&self) -> [String; 4] {
        let built = match (self.built, self.feature) {
            (false, Some(feature)) => format!("no (feature \"{feature}\")"),
            (built, _) => yes_or_no(built).to_owned(),
        };
        let enabled = self.enabled.map_or("-", yes_or_no);
        [self.name.to_owned(), self.alpns.join(", "), built, enabled.to_owned()]
    }
}

fn yes_or_no(answer: bool) -> &'static str {
    if answer { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_which_feature_is_missing() {
        let mut handler = HANDLERS[1];
        handler.is_built = false;
        assert_eq!(HandlerOutput::of(&handler, None).row(), ["http", "h2, http/1.1", "no (feature \"http\")", "-"]);
        let config = crate::config::parse("[call]\nenable = true\n", std::path::Path::new("a.toml")).unwrap();
        assert_eq!(HandlerOutput::of(&HANDLERS[0], Some(&config)).row(), ["call", "alknet/call", "yes", "yes"]);
    }
}
