//! `alknet tty attach`, and what comes after `alknet tty spawn`.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use alknet_call::CallClient;
use alknet_core::{Alpn, DialError};
use anyhow::Context as _;
use tokio::sync::watch;
use tokio::time::timeout;

use super::local::{Local, Signals};
use super::{LocalArgs, TtyArgs};
use crate::cli::Invocation;
use crate::cli::dial::{CallerArgs, block_on};
use crate::cli::target::Target;
use crate::client::tty::{AttachError, Input, Keys, Outcome, Screen, Session, Size, TtyService, attach, local_size};
use crate::client::{self, Dialed, Resolved};

/// How long a goodbye may take, to the node or to a local terminal that takes no output.
const FAREWELL: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(in crate::cli) struct AttachArgs {
    #[command(flatten)]
    tty: TtyArgs,

    /// The terminal
    id: String,

    /// Show only what comes from now on, and not what the node keeps of the output
    #[arg(long)]
    no_scrollback: bool,

    /// Type nothing, and leave the terminal its size; Ctrl-C detaches
    #[arg(long)]
    read_only: bool,

    #[command(flatten)]
    local: LocalArgs,

    #[command(flatten)]
    caller: CallerArgs,
}

pub(in crate::cli) fn run(args: AttachArgs, invocation: &Invocation) -> anyhow::Result<ExitCode> {
    let node = args.tty.resolve(invocation)?;
    let service = args.tty.service(&args.caller)?;
    let input = Input::of_attach(&args.local, args.read_only);
    let mut attachment = Attachment::new(&node, &args.caller, &service, invocation);
    attachment.scrollback = !args.no_scrollback;
    // The size of a terminal is for those who sit at it.
    attachment.follow_size = matches!(input, Input::Typed(_));
    attachment.new_size = true;
    block_on(async {
        let client = attachment.connect().await?;
        attachment.run(client, &args.tty.target, &args.id, input).await
    })
}

impl Input {
    /// For a terminal that is ours from its first byte on.
    pub(super) fn of_spawn(local: &LocalArgs) -> Self {
        match std::io::stdin().is_terminal() {
            true => Self::Typed(local.escape),
            false => Self::Piped { eager: true },
        }
    }

    fn of_attach(local: &LocalArgs, read_only: bool) -> Self {
        match (std::io::stdin().is_terminal(), read_only) {
            (true, true) => Self::ReadOnly(local.escape),
            (true, false) => Self::Typed(local.escape),
            (false, true) => Self::None,
            (false, false) => Self::Piped { eager: false },
        }
    }
}

/// A terminal's attachment to the terminal that this process has.
pub(super) struct Attachment<'a> {
    node: &'a Resolved,
    caller: &'a CallerArgs,
    service: &'a TtyService,
    invocation: &'a Invocation,
    dialed: Option<Dialed>,
    pub(super) from: Option<u64>,
    scrollback: bool,
    pub(super) follow_size: bool,
    /// The terminal may have another size than this one.
    new_size: bool,
}

/// Why there is nothing more to show.
enum Ended {
    Attachment(Result<Outcome, AttachError>),
    /// By a signal to this process.
    Signal(u8),
}

impl<'a> Attachment<'a> {
    pub(super) fn new(
        node: &'a Resolved,
        caller: &'a CallerArgs,
        service: &'a TtyService,
        invocation: &'a Invocation,
    ) -> Self {
        let (dialed, from, scrollback, follow_size, new_size) = (None, None, true, false, false);
        Self { node, caller, service, invocation, dialed, from, scrollback, follow_size, new_size }
    }

    /// Connects to the node; a connection that there was is given up.
    pub(super) async fn connect(&mut self) -> anyhow::Result<CallClient> {
        Ok(self.dial(&Alpn::new(alknet_call::ALPN)?).await?)
    }

    async fn dial(&mut self, alpn: &Alpn) -> Result<CallClient, DialError> {
        if let Some(lost) = self.dialed.take() {
            // Whether anybody hears that is not worth waiting for.
            tokio::spawn(timeout(FAREWELL, lost.close()));
        }
        let dial = &self.caller.dial;
        let dialed = client::dial_to_stay(self.node, alpn, dial.transport.into(), dial.patience()).await?;
        let client = CallClient::new(dialed.connection.clone());
        self.dialed = Some(dialed);
        Ok(client)
    }

    pub(super) async fn disconnect(&mut self) {
        if let Some(dialed) = self.dialed.take() {
            let _ = timeout(FAREWELL, dialed.close()).await;
        }
    }

    /// Attaches until there is nothing more to show. The exit code is the program's.
    pub(super) async fn run(
        mut self,
        client: CallClient,
        target: &Target,
        id: &str,
        input: Input,
    ) -> anyhow::Result<ExitCode> {
        let mut screen = Screen::new(tokio::io::stdout(), self.from);
        let mut local = Local::new(input)?;
        local.greet(id);
        let ended = self.show(client, id, input, &mut screen, &local).await;
        if std::io::stdout().is_terminal() {
            // A terminal that is gone needs no reset.
            let _ = timeout(FAREWELL, screen.reset()).await;
        }
        let ended = ended?;
        // Whoever has left did so in the middle of a line.
        local.leave(!matches!(ended, Ended::Attachment(Ok(Outcome::Exited(_)))));
        self.disconnect().await;
        let unseen = self.from.is_some() && screen.next() == self.from;
        let result = self.report(ended, target, id);
        match result {
            Err(error) if unseen && matches!(error.downcast_ref(), Some(AttachError::Gone { .. })) => {
                Err(error.context("the program ended before its output could be asked for"))
            }
            result => result,
        }
    }

    async fn show(
        &mut self,
        client: CallClient,
        id: &str,
        input: Input,
        screen: &mut Screen<tokio::io::Stdout>,
        local: &Local,
    ) -> anyhow::Result<Ended> {
        let alpn = Alpn::new(alknet_call::ALPN)?;
        let (size, sizes) = self.sizes().unzip();
        let mut signals = Signals::new().context("signals cannot be waited for")?;
        let session = Session { service: self.service, id, scrollback: self.scrollback, sizes };
        let mut keys = Keys::new(tokio::io::stdin(), input);
        let mut connect = async || self.dial(&alpn).await;
        Ok(tokio::select! {
            outcome = attach(session, client, &mut connect, &mut keys, screen, local) => Ended::Attachment(outcome),
            signal = signals.ending(local, size.as_ref()) => Ended::Signal(signal),
        })
    }

    /// The size of this terminal, as it is told and as it is heard of.
    fn sizes(&self) -> Option<(watch::Sender<Size>, watch::Receiver<Size>)> {
        let (sender, mut receiver) = watch::channel(local_size().filter(|_| self.follow_size)?);
        if self.new_size {
            receiver.mark_changed();
        }
        Some((sender, receiver))
    }

    fn report(&self, ended: Ended, target: &Target, id: &str) -> anyhow::Result<ExitCode> {
        let goes_on = || {
            self.invocation.output.note(format_args!(
                "detached; \"alknet tty attach {target} {id}\" comes back, \"alknet tty kill {target} {id}\" ends it"
            ));
        };
        match ended {
            Ended::Attachment(Ok(Outcome::Exited(exit))) => Ok(ExitCode::from(exit.code())),
            Ended::Attachment(Ok(Outcome::Detached | Outcome::OutputClosed)) => {
                goes_on();
                Ok(ExitCode::SUCCESS)
            }
            Ended::Signal(signal) => {
                goes_on();
                Ok(ExitCode::from(128 | signal))
            }
            Ended::Attachment(Err(error)) => Err(error.into()),
        }
    }
}
