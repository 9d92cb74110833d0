//! Any bytes from the other end of a connection on which both sides call: whatever they are, every call of ours ends within
//! its time, every frame that goes out is a message, and when the connection has ended nothing of it runs any more.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use alknet_call::wire::{FrameDecoder, Message};
use alknet_call::{
    ALPN, Bundle, CallError, CallHandler, CallLimits, OperationContext, OperationName, OperationSpec, Registry, Schema,
};
use alknet_core::{
    Alpn, AuthContext, Connection, Fingerprint, Identity, MemoryIdentities, Peer, SingleStream, TokenHash,
};
use alknet_fuzz::Pieces;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt as _;

/// The least that the limits allow, so that it is met often.
const MAX_FRAME: u32 = 4096;
const HEADER: usize = 4;

/// What the pipe holds in each direction. Small, so that writers wait for readers.
const PIPE: usize = 512;

/// Longer than anything may take that has a limit, in the runtime's time, which passes when nothing else is left to do.
const LONG: Duration = Duration::from_secs(3600);

/// The key of a peer that is known.
const KEY: Fingerprint = Fingerprint::Ed25519([7; 32]);

/// How the other end behaves beside what it sends.
struct Manners {
    /// It takes what is sent to it.
    reads: bool,
    /// It has the key of a known peer.
    is_known: bool,
    /// It ends its side when it has sent everything. Otherwise it breaks off.
    ends: bool,
    /// How often it sends the bytes.
    times: usize,
}

impl Manners {
    fn of(byte: u8) -> Self {
        let [reads, is_known, ends] = [0, 1, 2].map(|bit| byte & (1 << bit) == 0);
        Self { reads, is_known, ends, times: 1 << ((byte >> 3) % 8) }
    }
}

static REGISTRY: LazyLock<Arc<Registry>> = LazyLock::new(|| registry().expect("the names are different"));

fn registry() -> Result<Arc<Registry>, alknet_call::NameTaken> {
    let registry = Arc::new(Registry::new());
    let spec = |name| OperationSpec::new(OperationName::from_static(name)).with_access(alknet_call::Access::Public);
    registry.register(spec("a/echo"), |_: OperationContext, input: Value| async { Ok(input) })?;
    registry.register(spec("a/wait"), |_: OperationContext, input: Value| async move {
        sleep(Duration::from_millis(input.as_u64().unwrap_or(u64::MAX))).await;
        Ok(input)
    })?;
    registry.register(spec("a/fail"), |_: OperationContext, input: Value| async {
        Err(CallError::declared("BROKEN", "as asked").with_details(input))
    })?;
    registry.register(spec("a/ask"), |context: OperationContext, input: Value| async move {
        let caller = context.caller().ok_or_else(|| CallError::internal("there is no caller"))?;
        caller.call("b/answer", &input).await.map_err(|error| error.into_call_error())
    })?;
    registry.register(
        OperationSpec::new(OperationName::from_static("a/known"))
            .with_input(Schema::new(json!({ "type": "object" })).ok()),
        |context: OperationContext, _| async move { Ok(context.forwarded_for.unwrap_or_default()) },
    )?;
    registry.add(Bundle::subscription(spec("a/count"), |_: OperationContext, input: Value| {
        // With an end, as nothing else ends a subscription whose caller goes on reading.
        tokio_stream::iter(0..input.as_u64().unwrap_or(1000).min(1000)).map(|n| Ok(n.into()))
    }))?;
    registry.add(Bundle::subscription(spec("a/drip"), |_: OperationContext, _| {
        tokio_stream::iter(0..20).throttle(Duration::from_secs(1)).map(|n| Ok(json!([n, "x".repeat(300)])))
    }))?;
    Ok(registry)
}

fn identities() -> MemoryIdentities {
    let identity = Identity { id: "alice".into(), scopes: Vec::new(), resources: Default::default() };
    let tokens = vec![TokenHash::of("alk_x")];
    let peer = Peer { identity: Arc::new(identity), fingerprints: vec![KEY], tokens, enabled: true };
    MemoryIdentities::new(vec![peer]).expect("one peer has no conflict")
}

/// Everything that the peer is sent. Each frame is a message.
async fn read(mut io: ReadHalf<DuplexStream>) {
    let decoder = FrameDecoder::new(MAX_FRAME as usize);
    let mut buffer = BytesMut::new();
    while let Ok(1..) = io.read_buf(&mut buffer).await {
        while let Some(frame) = decoder.decode(&mut buffer).expect("what is sent are frames") {
            Message::parse(&frame).expect("each is a message");
        }
        assert!(buffer.len() < HEADER + MAX_FRAME as usize);
    }
}

/// Sends the bytes, as far as anybody takes them.
async fn write(io: &mut WriteHalf<DuplexStream>, pieces: Pieces<'_>, bytes: &[u8], times: usize) {
    for _ in 0..times {
        for piece in pieces.of(bytes) {
            if !matches!(timeout(LONG, io.write_all(piece)).await, Ok(Ok(()))) {
                return;
            }
            // What has come is dealt with before more does.
            tokio::task::yield_now().await;
        }
    }
}

async fn meet(pieces: Pieces<'_>, bytes: &[u8], manners: Manners) {
    let limits =
        CallLimits { max_frame_bytes: MAX_FRAME, subscription_window_bytes: MAX_FRAME, ..CallLimits::default() };
    let handler = CallHandler::new(REGISTRY.clone(), limits);
    let (near, far) = duplex(PIPE);
    let connection = Connection::new(SingleStream::new("pipe", near), Alpn::new(ALPN).expect("it is one"));
    let keys = if manners.is_known { vec![KEY] } else { Vec::new() };
    let (client, served) = handler.serve(connection, AuthContext::new(keys, Arc::new(identities())));
    let served = tokio::spawn(served);
    // Their ids are 1 and 2, which whoever is at the other end can know.
    let caller = client.clone();
    let call = tokio::spawn(async move { caller.call("b/answer", &1).await });
    let subscribed = tokio::spawn(async move {
        let mut events = client.subscribe("b/events", &1).await?;
        while let Some(event) = events.next().await {
            event?;
        }
        Ok::<_, alknet_call::ClientError>(())
    });

    let (receives, mut sends) = split(far);
    let (reader, unread) = match manners.reads {
        true => (Some(tokio::spawn(read(receives))), None),
        false => (None, Some(receives)),
    };
    write(&mut sends, pieces, bytes, manners.times).await;
    if manners.ends && manners.reads {
        // Everything that it asked for comes to its end, and so does what was asked of it.
        let _ = sends.shutdown().await;
        let reader = reader.expect("it reads");
        timeout(LONG, reader).await.expect("the node ends its side").expect("what it sends is in order");
    } else {
        // Some time passes, in which it may do whatever it wants, and then the peer is gone.
        sleep(Duration::from_secs(5)).await;
        reader.inspect(tokio::task::JoinHandle::abort);
        drop((sends, unread));
    }
    let everything = async { (call.await.is_ok(), subscribed.await.is_ok(), served.await.is_ok()) };
    assert_eq!(timeout(LONG, everything).await, Ok((true, true, true)), "something goes on, or has panicked");
}

/// Whether an operation still runs.
fn runs() -> bool {
    REGISTRY.metrics().iter().any(|metric| metric.name == "alknet_runs_running" && metric.value != 0)
}

fuzz_target!(|input: &[u8]| {
    let Some((pieces, bytes)) = alknet_fuzz::split(input) else { return };
    let Some((manners, bytes)) = bytes.split_first() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        meet(pieces, bytes, Manners::of(*manners)).await;
        // Tasks that were stopped are gone when the runtime has been through them.
        for _ in 0..100 {
            if !runs() {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert!(!runs(), "an operation outlives its connection");
    });
});
