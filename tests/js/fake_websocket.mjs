/** A WebSocket without a network: the test plays the server. */
export class FakeWebSocket extends EventTarget {
  static made = [];

  readyState = 0;
  sent = [];
  closedWith = null;
  bufferedAmount = 0;
  extensions = "";
  binaryType = "blob";

  constructor(...parameters) {
    super();
    if (!/^wss?:/.test(parameters[0])) {
      throw new SyntaxError(`not a WebSocket URL: ${parameters[0]}`);
    }
    this.parameters = parameters;
    this.url = parameters[0];
    this.protocol = "";
    FakeWebSocket.made.push(this);
  }

  static get last() {
    return FakeWebSocket.made.at(-1);
  }

  send(data) {
    if (this.readyState === 0) {
      throw new Error("InvalidStateError");
    }
    this.sent.push(data);
  }

  close(code, reason) {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new Error("InvalidAccessError");
    }
    this.closedWith = { code, reason };
    this.readyState = 2;
  }

  serverAccepts(protocol = "") {
    this.readyState = 1;
    this.protocol = protocol;
    this.#fire("open");
  }

  serverSends(data) {
    this.#fire("message", { data });
  }

  serverCloses(code = 1006, reason = "") {
    this.readyState = 3;
    this.#fire("close", { code, reason, wasClean: code !== 1006 });
  }

  fails() {
    this.#fire("error");
    this.serverCloses();
  }

  #fire(type, fields = {}) {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }
}
