/**
 * WebSocketBridge: JSON over a WebSocket that reconnects, for pages served with Channels.
 *
 * This one file is source and served build. It works as
 *
 *   a script:     <script src="{% static 'channels/js/websocketbridge.js' %}"></script>
 *   a module:     import "./websocketbridge.js";
 *   CommonJS:     const { WebSocketBridge } = require("./websocketbridge.js");
 *
 * and in each of them defines the global `channels.WebSocketBridge`. (A plain script cannot
 * contain `export`, so a module imports it for this effect.)
 *
 *   const bridge = new channels.WebSocketBridge();
 *   bridge.connect("/chat/");
 *   bridge.listen((action, stream) => console.log(action));
 *   bridge.send({ text: "hello" });
 */
(() => {
  "use strict";

  const CONNECTING = 0;
  const OPEN = 1;
  const CLOSING = 2;
  const CLOSED = 3;

  /** How many frames wait for the connection before `send` refuses more. */
  const QUEUE_LIMIT = 1000;

  const DEFAULTS = {
    maxReconnectionDelay: 10000,
    minReconnectionDelay: 1500,
    reconnectionDelayGrowFactor: 1.3,
    connectionTimeout: 4000,
    maxRetries: Infinity,
    debug: false,
  };

  /** What pages read from the events of a WebSocket. */
  const EVENT_FIELDS = [
    "data", "origin", "lastEventId", "code", "reason", "wasClean", "message", "error",
  ];

  /**
   * An event for the page, with the fields of `source`. A new one, as an event can be dispatched
   * once only, and as sockets other than the browser's have event classes of their own.
   */
  function makeEvent(type, source) {
    const event = new Event(type);
    for (const field of EVENT_FIELDS) {
      if (field in source) {
        Object.defineProperty(event, field, { value: source[field], enumerable: true });
      }
    }
    return event;
  }

  /**
   * The URL to connect to: nothing means this host, and a path is one on this host.
   */
  function completeUrl(url) {
    if (url !== undefined && url !== null && !String(url).startsWith("/")) {
      return String(url);
    }
    const location = globalThis.location;
    if (!location) {
      throw new Error("WebSocketBridge: outside a page connect() needs a full ws:// or wss:// URL.");
    }
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const path = String(url ?? "");
    return path.startsWith("//") ? scheme + path : `${scheme}//${location.host}${path}`;
  }

  /** The options with the defaults for those that are absent, `undefined` or `null`. */
  function completeOptions(options) {
    const given = Object.entries(options ?? {}).filter(([, value]) => (value ?? null) !== null);
    const settings = { constructor: globalThis.WebSocket, ...DEFAULTS, ...Object.fromEntries(given) };
    if (!settings.constructor) {
      throw new Error("WebSocketBridge: there is no WebSocket here; give options.constructor.");
    }
    return settings;
  }

  /**
   * The face of a WebSocket over many connections, one after the other: the same object, with the
   * same listeners, across all reconnects. Its `readyState` is CONNECTING while it reconnects.
   */
  class ReconnectingSocket extends EventTarget {
    onopen = null;
    onmessage = null;
    onerror = null;
    onclose = null;

    #url;
    #protocols;
    #options = DEFAULTS;
    #connection = null;
    #state = CLOSED;
    #timer;
    #retries = 0;
    #queue = [];
    #binaryType = "blob";

    constructor() {
      super();
      for (const type of ["open", "message", "error", "close"]) {
        this.addEventListener(type, (event) => this[`on${type}`]?.call(this, event));
      }
    }

    get url() {
      return this.#connection?.url ?? this.#url ?? "";
    }

    get protocol() {
      return this.#connection?.protocol ?? "";
    }

    get extensions() {
      return this.#connection?.extensions ?? "";
    }

    get readyState() {
      return this.#state;
    }

    get bufferedAmount() {
      return this.#connection?.bufferedAmount ?? 0;
    }

    get binaryType() {
      return this.#binaryType;
    }

    set binaryType(type) {
      this.#binaryType = type;
      if (this.#connection) {
        this.#connection.binaryType = type;
      }
    }

    /** Connect, leaving an earlier connection without an event. Throws for a URL that is none. */
    start(url, protocols, options) {
      this.#leave();
      this.#url = url;
      this.#protocols = protocols;
      this.#options = options;
      this.#retries = 0;
      this.#queue = [];
      try {
        this.#open();
      } catch (error) {
        this.#state = CLOSED;
        throw error;
      }
    }

    /**
     * Send `data`. While there is no connection it waits for the next one, after which it goes out
     * behind what the page's "open" listeners send.
     *
     * @param {string|ArrayBuffer|ArrayBufferView|Blob} data
     * @throws {Error} when the socket is closed for good, or too much is waiting already.
     */
    send(data) {
      if (this.#state === OPEN && this.#connection.readyState === OPEN) {
        this.#connection.send(data);
      } else if (this.#state === CLOSING || this.#state === CLOSED) {
        throw new Error("WebSocketBridge: the socket is closed; call connect() before sending.");
      } else if (this.#queue.length >= QUEUE_LIMIT) {
        throw new Error(`WebSocketBridge: no connection, and ${QUEUE_LIMIT} frames wait for it.`);
      } else {
        this.#queue.push(data);
      }
    }

    /**
     * Close for good: no reconnect follows, and frames that wait are dropped.
     *
     * @param {number} [code] 1000, or 3000 to 4999.
     * @param {string} [reason]
     */
    close(code = 1000, reason = "") {
      if (this.#state === CLOSING || this.#state === CLOSED) {
        return;
      }
      if (this.#connection) {
        this.#connection.close(code, reason); // throws for a bad code: nothing has changed then
        this.#state = CLOSING;
      }
      clearTimeout(this.#timer);
      this.#queue = [];
      if (!this.#connection) {
        this.#state = CLOSED;
        this.#emit("close", { code, reason, wasClean: true });
      }
    }

    #open() {
      const { constructor: Socket, connectionTimeout } = this.#options;
      this.#state = CONNECTING;
      this.#log("connecting to", this.#url);
      const connection =
        this.#protocols === undefined ? new Socket(this.#url) : new Socket(this.#url, this.#protocols);
      connection.binaryType = this.#binaryType;
      this.#connection = connection;
      this.#timer = setTimeout(() => {
        this.#leave();
        this.#lost({ code: 1006, reason: "connection timeout", wasClean: false });
      }, connectionTimeout);
      this.#follow(connection);
    }

    /** Pass the connection's events on, as long as it is the current one. */
    #follow(connection) {
      const on = (type, handle) =>
        connection.addEventListener(type, (event) => {
          if (connection === this.#connection) {
            handle(event);
          }
        });
      on("open", (event) => this.#opened(event));
      on("message", (event) => this.#emit("message", event));
      on("error", (event) => this.#emit("error", event));
      on("close", (event) => {
        this.#connection = null;
        this.#lost(event);
      });
    }

    #opened(event) {
      clearTimeout(this.#timer);
      if (this.#state !== CONNECTING) {
        return;
      }
      this.#state = OPEN;
      this.#retries = 0;
      this.#log("connected");
      this.#emit("open", event);
      // A listener may have closed the socket, or the connection may be closing again.
      while (this.#queue.length && this.#connection?.readyState === OPEN) {
        this.#connection.send(this.#queue.shift());
      }
    }

    /** The connection is gone: plan the next one, unless the page or `maxRetries` forbids it. */
    #lost(event) {
      clearTimeout(this.#timer);
      if (this.#state === CLOSING || this.#retries >= this.#options.maxRetries) {
        this.#state = CLOSED;
        this.#log("closed");
      } else {
        const delay = this.#nextDelay();
        this.#state = CONNECTING;
        this.#retries += 1;
        this.#timer = setTimeout(() => this.#reconnect(), delay);
        this.#log(`lost the connection, retry ${this.#retries} in ${Math.round(delay)} ms`);
      }
      this.#emit("close", event);
    }

    #reconnect() {
      try {
        this.#open();
      } catch (error) {
        this.#lost({ code: 1006, reason: String(error), wasClean: false });
      }
    }

    /**
     * Milliseconds until the next attempt: each delay grows on the one before, by a random part
     * of the factor, so that the pages of a site do not all come back in the same moment.
     */
    #nextDelay() {
      const { maxReconnectionDelay, minReconnectionDelay, reconnectionDelayGrowFactor } =
        this.#options;
      const longest = Math.min(
        maxReconnectionDelay,
        minReconnectionDelay * reconnectionDelayGrowFactor ** (this.#retries + 1),
      );
      const shortest = longest / reconnectionDelayGrowFactor;
      return shortest + Math.random() * (longest - shortest);
    }

    /** Close the current connection, whose events concern nobody any more. */
    #leave() {
      clearTimeout(this.#timer);
      const connection = this.#connection;
      this.#connection = null;
      connection?.close();
    }

    #emit(type, source) {
      this.dispatchEvent(makeEvent(type, source));
    }

    #log(...words) {
      if (this.#options.debug) {
        console.log("WebSocketBridge:", ...words);
      }
    }
  }

  for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED })) {
    Object.defineProperty(ReconnectingSocket, name, { value });
    Object.defineProperty(ReconnectingSocket.prototype, name, { value });
  }

  /**
   * JSON messages to and from a Channels consumer, or a `WebsocketDemultiplexer`.
   */
  class WebSocketBridge {
    /**
     * The socket, `null` before `connect()`. It is one object for all connections: listeners that
     * are added to it ("open", "message", "error", "close") survive reconnects.
     *
     * @type {?ReconnectingSocket}
     */
    socket = null;

    #listener = null;
    #streams = new Map();
    #debug = false;

    /**
     * Connect, and reconnect whenever the connection is lost, until `socket.close()`.
     *
     * @param {string} [url] A URL, or a path on this host; this host by default.
     * @param {string|string[]} [protocols] The subprotocols to offer.
     * @param {object} [options]
     * @param {number} [options.maxReconnectionDelay=10000] The longest delay, in ms.
     * @param {number} [options.minReconnectionDelay=1500] The shortest delay, in ms.
     * @param {number} [options.reconnectionDelayGrowFactor=1.3] How fast delays grow.
     * @param {number} [options.connectionTimeout=4000] After how many ms without an answer an
     *     attempt has failed.
     * @param {number} [options.maxRetries=Infinity] After how many failed attempts in a row to
     *     give up.
     * @param {boolean} [options.debug=false] Whether to tell the console what happens.
     * @param {Function} [options.constructor=WebSocket] What makes a connection.
     * @throws {Error} for a URL that cannot be completed, or that is none.
     */
    connect(url, protocols, options) {
      const settings = completeOptions(options);
      const completed = completeUrl(url);
      if (!this.socket) {
        this.socket = new ReconnectingSocket();
        this.socket.addEventListener("message", (event) => this.#receive(event.data));
      }
      this.#debug = settings.debug;
      this.socket.start(completed, protocols ?? undefined, settings);
    }

    /**
     * Call `callback(action, stream)` for every message that belongs to no stream: `action` is
     * what was sent, `stream` is `null`. A later call replaces the callback.
     *
     * @param {function(*, ?string): void} [callback]
     */
    listen(callback) {
      this.#listener = callback ?? null;
    }

    /**
     * Call `callback(payload, stream)` for every message of the stream. These messages go there
     * only, and those of a stream without a callback go nowhere.
     *
     * @param {string} stream
     * @param {function(*, string): void} callback
     */
    demultiplex(stream, callback) {
      this.#streams.set(stream, callback);
    }

    /**
     * Send `message` as JSON. Without a connection it waits for the next one; what was on its way
     * when a connection broke is not sent again.
     *
     * @param {*} message
     * @throws {Error} before `connect()`, after `socket.close()`, and when 1000 messages wait.
     */
    send(message) {
      if (!this.socket) {
        throw new Error("WebSocketBridge: call connect() before sending.");
      }
      this.socket.send(JSON.stringify(message));
    }

    /**
     * The stream of that name, whose `send(payload)` sends to its consumer.
     *
     * @param {string} name
     * @returns {{send: function(*): void}}
     */
    stream(name) {
      return { send: (payload) => this.send({ stream: name, payload }) };
    }

    #receive(data) {
      let message;
      try {
        message = JSON.parse(data);
      } catch {
        if (this.#debug) {
          console.log("WebSocketBridge: ignored a frame that is not JSON", data);
        }
        return;
      }
      const stream = message?.stream;
      if (stream === undefined) {
        this.#listener?.(message, null);
      } else {
        this.#streams.get(stream)?.(message.payload, stream);
      }
    }
  }

  globalThis.channels = { ...globalThis.channels, WebSocketBridge };
  if (typeof module === "object" && module.exports) {
    module.exports = { WebSocketBridge };
  }
})();
