// Stands in for a node that can invite peers: adds `peers/invite` to what the node lists, and answers it with LINK.
{
  const Real = window.WebSocket;
  const read = (bytes) => JSON.parse(new TextDecoder().decode(new Uint8Array(bytes).subarray(4)));
  const write = (message) => {
    const json = new TextEncoder().encode(JSON.stringify(message));
    const frame = new Uint8Array(4 + json.length);
    new DataView(frame.buffer).setUint32(0, json.length);
    frame.set(json, 4);
    return frame.buffer;
  };
  window.WebSocket = class extends Real {
    #lists = new Set();
    set onmessage(take) {
      super.onmessage = ({ data }) => {
        const message = read(data);
        if (this.#lists.delete(message.id)) {
          const services = message.payload.output.services;
          services.push({ name: "/peers/invite", kind: "call", description: "Makes a link" });
          data = write(message);
        }
        take({ data });
      };
      this.take = take;
    }
    send(frame) {
      const { id, payload } = read(frame);
      if (payload.operationId === "/services/list") this.#lists.add(id);
      if (payload.operationId !== "/peers/invite") return super.send(frame);
      window.invited = payload.input;
      const output = { id: payload.input.id, known: false, link: LINK, expires: 1893456000 };
      this.take({ data: write({ type: "call.responded", id, payload: { output } }) });
    }
  };
}
