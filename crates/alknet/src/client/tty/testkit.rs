//! A terminal service that tests can do everything with, and a local terminal.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use alknet_call::{
    ALPN, Access, Bundle, CallClient, CallError, CallHandler, CallLimits, CallOptions, ErrorCode, OperationContext,
    OperationSpec, Registry,
};
use alknet_core::{Alpn, AuthContext, Connection, DialError, MemoryIdentities, ProtocolHandler, SingleStream};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::{AttachError, Host, Input, Keys, Notice, Outcome, Screen, Size, TtyService, attach};

/// What a test can see and set of the terminal.
#[derive(Default)]
pub(super) struct State {
    /// All output, from the first byte on; what is before `kept` is no longer there.
    pub(super) output: Vec<u8>,
    pub(super) kept: usize,
    pub(super) exit: Option<Value>,
    /// What attaching answers instead.
    pub(super) refusal: Option<CallError>,
    /// What writing answers instead.
    pub(super) write_refusal: Option<CallError>,
    /// The program does not read.
    pub(super) stuck: bool,
    pub(super) typed: Vec<u8>,
    pub(super) sizes: Vec<(u64, u64)>,
    /// The inputs of all attachments.
    pub(super) attached: Vec<Value>,
    pub(super) longest_write: usize,
    writing: usize,
    pub(super) most_writing: usize,
    links: Vec<AbortHandle>,
}

/// One terminal, `t-1`, of a node.
pub(super) struct Fake {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    handler: Mutex<Option<Arc<CallHandler>>>,
}

impl Fake {
    pub(super) fn new() -> Arc<Self> {
        let fake =
            Arc::new(Self { state: Mutex::default(), changed: watch::Sender::new(()), handler: Mutex::default() });
        let registry = Registry::new();
        let spec = |name: &str| OperationSpec::new(name.parse().unwrap()).with_access(Access::Public);
        let own = fake.clone();
        let attached = move |_: OperationContext, input: Value| own.clone().events(&input);
        registry.add(Bundle::subscription(spec("a/tty/attach"), attached)).unwrap();
        let own = fake.clone();
        let write = move |_: OperationContext, input: Value| own.clone().write(input);
        registry.register(spec("a/tty/write"), write).unwrap();
        let own = fake.clone();
        let resize = move |_: OperationContext, input: Value| {
            own.change(|state| state.sizes.push((input["rows"].as_u64().unwrap(), input["cols"].as_u64().unwrap())));
            async { Ok(json!({})) }
        };
        registry.register(spec("a/tty/resize"), resize).unwrap();
        *fake.handler.lock().unwrap() = Some(Arc::new(CallHandler::new(Arc::new(registry), CallLimits::default())));
        fake
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.send_replace(());
    }

    pub(super) fn put(&self, output: &str) {
        self.change(|state| state.output.extend(output.bytes()));
    }

    pub(super) fn exit(&self, exit: Value) {
        self.change(|state| state.exit = Some(exit));
    }

    /// Waits until the state is as wanted.
    pub(super) async fn until(&self, mut wanted: impl FnMut(&State) -> bool) {
        let mut changed = self.changed.subscribe();
        while !wanted(&self.state()) {
            changed.changed().await.unwrap();
        }
    }

    /// A new connection.
    pub(super) fn connect(&self) -> CallClient {
        let (near, far) = duplex(64 * 1024);
        let connection = |io: DuplexStream| Connection::new(SingleStream::new("pipe", io), Alpn::new(ALPN).unwrap());
        let handler = self.handler.lock().unwrap().clone().unwrap();
        let stranger = AuthContext::new([], Arc::new(MemoryIdentities::default()));
        let serving = tokio::spawn(handler.handle(connection(far), stranger));
        self.state().links.push(serving.abort_handle());
        CallClient::new(connection(near))
    }

    /// Ends all connections.
    pub(super) fn cut(&self) {
        self.state().links.drain(..).for_each(|link| link.abort());
    }

    fn events(self: Arc<Self>, input: &Value) -> impl futures_util::Stream<Item = Result<Value, CallError>> + use<> {
        self.change(|state| state.attached.push(input.clone()));
        let begin = input["from"].as_u64().map_or(0, |from| usize::try_from(from).unwrap());
        stream::unfold(Some((self, begin)), |at| async {
            let (fake, at) = at?;
            fake.until(|state| state.refusal.is_some() || state.output.len() > at || state.exit.is_some()).await;
            let (event, next) = {
                let state = fake.state();
                if let Some(refusal) = &state.refusal {
                    (Err(refusal.clone()), None)
                } else if at < state.kept {
                    (Ok(json!({ "skipped": state.kept - at })), Some(state.kept))
                } else if at < state.output.len() {
                    let end = state.output.len().min(at + 1000);
                    (Ok(json!({ "output": BASE64.encode(&state.output[at..end]), "offset": at })), Some(end))
                } else {
                    (Ok(json!({ "exit": state.exit })), None)
                }
            };
            Some((event, next.map(|next| (fake, next))))
        })
    }

    async fn write(self: Arc<Self>, input: Value) -> Result<Value, CallError> {
        let bytes = BASE64.decode(input["data"].as_str().unwrap()).unwrap();
        if let Some(refusal) = self.state().write_refusal.clone() {
            return Err(refusal);
        }
        self.change(|state| {
            state.writing += 1;
            state.most_writing = state.most_writing.max(state.writing);
            state.longest_write = state.longest_write.max(bytes.len());
        });
        // Long enough for another write to overtake.
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.until(|state| !state.stuck).await;
        self.change(|state| {
            state.writing -= 1;
            state.typed.extend(bytes);
        });
        Ok(json!({}))
    }
}

pub(super) fn error(code: ErrorCode) -> Option<CallError> {
    Some(CallError::new(code, "no"))
}

/// Whoever sits at the local terminal.
#[derive(Default)]
pub(super) struct Person(pub(super) RefCell<Vec<Notice>>);

impl Person {
    pub(super) fn told(&self) -> Vec<Notice> {
        self.0.borrow().clone()
    }
}

impl Host for Person {
    fn tell(&self, notice: &Notice) {
        self.0.borrow_mut().push(notice.clone());
    }

    fn suspend(&self) {
        self.0.borrow_mut().push(Notice::Back);
    }
}

/// An attachment, and how it went.
pub(super) struct Attached {
    pub(super) fake: Arc<Fake>,
    pub(super) person: Person,
    pub(super) sizes: Option<watch::Receiver<Size>>,
    pub(super) from: Option<u64>,
    /// What dialing answers, one after the other, before it succeeds.
    pub(super) dial_errors: RefCell<Vec<DialError>>,
}

impl Attached {
    pub(super) fn new() -> Self {
        Self {
            fake: Fake::new(),
            person: Person::default(),
            sizes: None,
            from: Some(0),
            dial_errors: RefCell::default(),
        }
    }

    /// Runs an attachment with this input, together with what a test does meanwhile.
    pub(super) async fn run(
        &self,
        kind: Input,
        input: impl AsyncRead + Unpin,
        output: impl AsyncWrite + Unpin,
        meanwhile: impl AsyncFnOnce(&Fake),
    ) -> Result<Outcome, AttachError> {
        let service = TtyService::new("a", CallOptions::new());
        let session = super::Session { service: &service, id: "t-1", scrollback: true, sizes: self.sizes.clone() };
        let (mut keys, mut screen) = (Keys::new(input, kind), Screen::new(output, self.from));
        let mut connect = async || match self.dial_errors.borrow_mut().pop() {
            Some(error) => Err(error),
            None => Ok(self.fake.connect()),
        };
        let client = self.fake.connect();
        let attached = attach(session, client, &mut connect, &mut keys, &mut screen, &self.person);
        tokio::join!(attached, meanwhile(&self.fake)).0
    }
}
