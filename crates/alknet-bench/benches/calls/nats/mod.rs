//! NATS: a server of its own, a responder and a requester, both with async-nats.
//!
//! The notes are bytes here, which neither the responder nor the requester parses. NATS has no back-pressure: it drops
//! what a slow reader does not fetch. The streams are short enough to be held whole, so nothing is lost.

mod server;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::{Client, ConnectOptions, Message, Subject};
use bytes::Bytes;
use futures_util::StreamExt as _;

use crate::caller::Caller;
use crate::note::{EVENT_LENGTH, Note};
use crate::speed::EVENTS;
use crate::tls::client_config;
pub(crate) use server::{Server, version};

const ECHO: &str = "bench.echo";
const HANG: &str = "bench.hang";
const HANGING: &str = "bench.hanging";
const STREAM: &str = "bench.events";

/// Starts the responder, within a runtime.
pub(crate) async fn respond(address: &str, folder: &Path) {
    let client = connect(address, folder).await;
    let counter = Arc::new(AtomicU64::new(0));
    let hanging = counter.clone();
    answer_each(&client, ECHO, async |client, message| reply(&client, message.reply, message.payload).await).await;
    answer_each(&client, HANG, move |_, message| hang(message, counter.clone())).await;
    answer_each(&client, HANGING, move |client, message| {
        let count = hanging.load(Ordering::Relaxed).to_string();
        async move { reply(&client, message.reply, count.into()).await }
    })
    .await;
    answer_each(&client, STREAM, async |client, message| {
        for event in Note::events(number(&message.payload)) {
            reply(&client, message.reply.clone(), event.to_json().into()).await;
        }
    })
    .await;
    client.flush().await.unwrap();
}

/// Has `answer` work on each message of `subject`, one after the other, in a task of its own.
async fn answer_each<A, F>(client: &Client, subject: &'static str, answer: A)
where
    A: Fn(Client, Message) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let client = client.clone();
    let mut messages = client.subscribe(subject).await.unwrap();
    tokio::spawn(async move {
        while let Some(message) = messages.next().await {
            answer(client.clone(), message).await;
        }
    });
}

async fn reply(client: &Client, to: Option<Subject>, payload: Bytes) {
    client.publish(to.unwrap(), payload).await.unwrap();
}

/// Holds a message as a handler does that is not done.
async fn hang(message: Message, counter: Arc<AtomicU64>) {
    tokio::spawn(async move {
        let _message = message;
        counter.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<()>().await;
    });
}

async fn connect(address: &str, folder: &Path) -> Client {
    let options = ConnectOptions::new()
        .require_tls(true)
        .tls_client_config(client_config(folder))
        .subscription_capacity(2 * EVENTS as usize)
        .request_timeout(None);
    options.connect(format!("tls://localhost:{}", address.rsplit_once(':').unwrap().1)).await.unwrap()
}

fn number(payload: &Bytes) -> u64 {
    std::str::from_utf8(payload).unwrap().parse().unwrap()
}

/// A client.
#[derive(Clone)]
pub(crate) struct Nats(Client);

impl Nats {
    pub(crate) async fn connect(address: &str, folder: &Path) -> Self {
        Self(connect(address, folder).await)
    }
}

impl Caller for Nats {
    async fn echo(&self, note: &Note) {
        let payload = note.to_json();
        let length = payload.len();
        let answer = self.0.request(ECHO, payload.into()).await.unwrap();
        assert_eq!(answer.payload.len(), length);
    }

    async fn hang(&self, note: &Note) {
        let answer = self.0.request(HANG, note.to_json().into()).await;
        panic!("a call that has no answer was answered: {answer:?}");
    }

    async fn hanging(&self) -> u64 {
        number(&self.0.request(HANGING, Bytes::new()).await.unwrap().payload)
    }

    async fn events(&self, count: u64) -> Result<(), String> {
        let inbox = self.0.new_inbox();
        let events = self.0.subscribe(inbox.clone()).await.unwrap();
        self.0.publish_with_reply(STREAM, inbox, count.to_string().into()).await.unwrap();
        let read = events.take(count as usize).fold(0, async |read, event| {
            assert_eq!(event.payload.len(), EVENT_LENGTH);
            read + 1
        });
        assert_eq!(read.await, count);
        Ok(())
    }
}
