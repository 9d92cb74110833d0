// The call protocol over the WebSocket at /call: frames of a length in four bytes and JSON, cut anywhere into messages.

const MAX_FRAME = 16 * 1024 * 1024;
const POLICY = 1008;

class CallError extends Error {
  constructor({ code, message, retryable }) {
    super(message || code);
    this.code = code;
    this.retryable = retryable === true;
  }
}

class Calls {
  #socket;
  #unread = new Uint8Array(0);
  #waiting = new Map();
  #next = 1;

  // `closed` is told once whether the token is known no more.
  constructor(token, opened, closed) {
    const url = new URL("/call", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.hash = "";
    this.#socket = new WebSocket(url, ["alknet.call", "alknet.bearer." + token]);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = opened;
    this.#socket.onmessage = (message) => this.#take(new Uint8Array(message.data));
    this.#socket.onclose = (event) => {
      const gone = new CallError({ code: "UNAVAILABLE", message: "the connection is gone", retryable: true });
      for (const waiting of this.#waiting.values()) waiting.fail(gone);
      this.#waiting.clear();
      closed(event.code === POLICY);
    };
  }

  close() {
    this.#socket.close();
  }

  call(operation, input = {}) {
    return new Promise((resolve, reject) => {
      this.#ask(operation, input, { answer: resolve, end: () => reject(new CallError({ code: "INTERNAL" })), fail: reject, once: true });
    });
  }

  // `event` gets each output; `ended` is told when there are no more, with the error if there was one.
  subscribe(operation, input, event, ended) {
    this.#ask(operation, input, { answer: event, end: () => ended(), fail: ended, once: false });
  }

  #ask(operation, input, waiting) {
    if (this.#socket.readyState !== WebSocket.OPEN) {
      waiting.fail(new CallError({ code: "UNAVAILABLE", message: "there is no connection", retryable: true }));
      return;
    }
    const id = String(this.#next++);
    this.#waiting.set(id, waiting);
    const json = new TextEncoder().encode(JSON.stringify({ type: "call.requested", id, payload: { operationId: operation, input } }));
    const frame = new Uint8Array(4 + json.length);
    new DataView(frame.buffer).setUint32(0, json.length);
    frame.set(json, 4);
    this.#socket.send(frame);
  }

  #take(bytes) {
    const all = new Uint8Array(this.#unread.length + bytes.length);
    all.set(this.#unread);
    all.set(bytes, this.#unread.length);
    let at = 0;
    while (all.length - at >= 4) {
      const length = new DataView(all.buffer).getUint32(at);
      if (length > MAX_FRAME) return this.close();
      if (all.length - at - 4 < length) break;
      this.#answer(JSON.parse(new TextDecoder().decode(all.subarray(at + 4, at + 4 + length))));
      at += 4 + length;
    }
    this.#unread = all.slice(at);
  }

  #answer({ type, id, payload }) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    if (type !== "call.responded" || waiting.once) this.#waiting.delete(id);
    if (type === "call.responded") waiting.answer(payload.output);
    if (type === "call.completed") waiting.end();
    if (type === "call.error") waiting.fail(new CallError(payload));
  }
}
