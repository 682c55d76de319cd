import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { afterEach, beforeEach, describe, mock, test } from "node:test";
import vm from "node:vm";

import { FakeWebSocket } from "./fake_websocket.mjs";

const FILE = new URL("../../channels/static/channels/js/websocketbridge.js", import.meta.url);
await import(FILE);
const { WebSocketBridge } = globalThis.channels;

const LONG = 1_000_000;
let bridge;

beforeEach(() => {
  FakeWebSocket.made = [];
  globalThis.WebSocket = FakeWebSocket;
  globalThis.location = { protocol: "http:", host: "example.com:8000" };
  mock.timers.enable({ apis: ["setTimeout"] });
  bridge = new WebSocketBridge();
});

afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

const connected = (options, url = "/chat/") => {
  bridge.connect(url, undefined, options);
  FakeWebSocket.last.serverAccepts();
  return FakeWebSocket.last;
};
const sent = (socket) => socket.sent.map((data) => JSON.parse(data));
const attempts = () => FakeWebSocket.made.length;
const chance = (value) => mock.method(Math, "random", () => value);

/** Let the newest connection break; returns the ms until the next attempt. */
const delayAfterLoss = () => {
  const before = attempts();
  FakeWebSocket.last.serverCloses();
  let ms = 0;
  while (attempts() === before && ms < LONG) {
    mock.timers.tick(1);
    ms += 1;
  }
  return ms;
};

describe("loading", () => {
  test("as a plain script it defines the global and leaves what else is there", () => {
    const context = vm.createContext({ EventTarget, Event, channels: { other: 1 } });
    vm.runInContext(readFileSync(FILE, "utf8"), context);
    assert.equal(typeof context.channels.WebSocketBridge, "function");
    assert.equal(context.channels.other, 1);
    assert.deepEqual(
      Object.keys(context).filter((name) => !["EventTarget", "Event", "channels"].includes(name)),
      [],
    );
  });

  test("as an ES module it defines the same global", async () => {
    const source = readFileSync(FILE, "utf8");
    delete globalThis.channels;
    await import(`data:text/javascript,${encodeURIComponent(source)}`);
    assert.equal(typeof globalThis.channels.WebSocketBridge, "function");
  });

  test("as a CommonJS module it is returned by require()", () => {
    const required = createRequire(import.meta.url)(FILE.pathname);
    assert.equal(typeof required.WebSocketBridge, "function");
  });
});

describe("the URL", () => {
  for (const [page, url, expected] of [
    ["http:", undefined, "ws://example.com:8000"],
    ["https:", undefined, "wss://example.com:8000"],
    ["http:", null, "ws://example.com:8000"],
    ["http:", "/chat/?room=1", "ws://example.com:8000/chat/?room=1"],
    ["https:", "/chat/", "wss://example.com:8000/chat/"],
    ["https:", "//other.org/chat/", "wss://other.org/chat/"],
    ["https:", "ws://other.org/", "ws://other.org/"],
  ]) {
    test(`${url} on a page of ${page} is ${expected}`, () => {
      globalThis.location.protocol = page;
      bridge.connect(url);
      assert.deepEqual(FakeWebSocket.last.parameters, [expected]);
    });
  }

  test("a path outside a page is an error that says what to give", () => {
    globalThis.location = undefined;
    assert.throws(() => bridge.connect("/chat/"), /needs a full ws/);
  });

  test("what is no URL is an error at once, and sending to it one later", () => {
    assert.throws(() => bridge.connect("gopher://x"), SyntaxError);
    assert.throws(() => bridge.send({}), /closed; call connect/);
    mock.timers.tick(LONG);
    assert.equal(attempts(), 0);
  });

  test("protocols are offered, also after a reconnect, and the chosen one is shown", () => {
    bridge.connect("/", ["v2", "v1"]);
    FakeWebSocket.last.serverAccepts("v1");
    assert.equal(bridge.socket.protocol, "v1");
    assert.equal(bridge.socket.url, "ws://example.com:8000/");
    delayAfterLoss();
    assert.deepEqual(FakeWebSocket.last.parameters[1], ["v2", "v1"]);
  });
});

describe("messages", () => {
  test("go to the listener, decoded, with null for the stream", () => {
    const got = [];
    const socket = connected();
    bridge.listen((...parameters) => got.push(parameters));
    socket.serverSends('{"type": "hello"}');
    socket.serverSends("[1]");
    socket.serverSends("null");
    assert.deepEqual(got, [[{ type: "hello" }, null], [[1], null], [null, null]]);
  });

  test("of a stream go to its callback only", () => {
    const got = [];
    bridge.listen(() => got.push("listener"));
    bridge.demultiplex("a", (payload, stream) => got.push([payload, stream]));
    bridge.demultiplex("b", () => got.push("b"));
    connected().serverSends('{"stream": "a", "payload": {"n": 1}}');
    assert.deepEqual(got, [[{ n: 1 }, "a"]]);
  });

  test("of a stream that nobody wants go nowhere", () => {
    const got = [];
    bridge.listen((...parameters) => got.push(parameters));
    connected().serverSends('{"stream": "toString", "payload": 1}');
    assert.deepEqual(got, []);
  });

  test("reach the callback that was set last", () => {
    const got = [];
    const socket = connected();
    bridge.listen(() => got.push("old"));
    bridge.listen((action) => got.push(action));
    socket.serverSends("1");
    bridge.listen();
    socket.serverSends("2");
    assert.deepEqual(got, [1]);
  });

  test("keep coming after malformed frames and after a reconnect", () => {
    const got = [];
    bridge.listen((action) => got.push(action));
    const socket = connected();
    for (const frame of ["{", "", "undefined", new ArrayBuffer(2)]) {
      socket.serverSends(frame);
    }
    socket.serverSends("1");
    delayAfterLoss();
    FakeWebSocket.last.serverAccepts();
    FakeWebSocket.last.serverSends("2");
    assert.deepEqual(got, [1, 2]);
  });

  test("are sent as JSON, and to a stream in its envelope", () => {
    const socket = connected();
    bridge.send({ n: 1 });
    bridge.stream("a").send({ n: 2 });
    assert.deepEqual(sent(socket), [{ n: 1 }, { stream: "a", payload: { n: 2 } }]);
  });
});

describe("sending without a connection", () => {
  test("before connect() is an error", () => {
    assert.equal(bridge.socket, null);
    assert.throws(() => bridge.send({}), /call connect\(\) before/);
  });

  test("waits for the connection, in order, behind what 'open' listeners send", () => {
    bridge.connect("/");
    bridge.socket.addEventListener("open", () => bridge.send("hello"));
    bridge.send(1);
    bridge.send(2);
    FakeWebSocket.last.serverAccepts();
    assert.deepEqual(sent(FakeWebSocket.last), ["hello", 1, 2]);
  });

  test("waits for the next connection, and is sent once", () => {
    connected();
    FakeWebSocket.last.serverCloses();
    bridge.send(1);
    mock.timers.tick(10000);
    FakeWebSocket.last.serverAccepts();
    assert.deepEqual(sent(FakeWebSocket.last), [1]);
    delayAfterLoss();
    FakeWebSocket.last.serverAccepts();
    assert.deepEqual(sent(FakeWebSocket.last), []);
  });

  test("waits also when the connection is about to close", () => {
    connected().readyState = 2;
    bridge.send(1);
    delayAfterLoss();
    FakeWebSocket.last.serverAccepts();
    assert.deepEqual(sent(FakeWebSocket.last), [1]);
  });

  test("waits for the one after, when the connection closes as soon as it is open", () => {
    bridge.connect("/");
    bridge.send(1);
    bridge.socket.onopen = () => (FakeWebSocket.last.readyState = 2);
    FakeWebSocket.last.serverAccepts();
    assert.deepEqual(sent(FakeWebSocket.last), []);
    bridge.socket.onopen = null;
    delayAfterLoss();
    FakeWebSocket.last.serverAccepts();
    assert.deepEqual(sent(FakeWebSocket.last), [1]);
  });

  test("ends with another connect(): what waits was meant for the old address", () => {
    bridge.connect("/old/");
    bridge.send(1);
    assert.deepEqual(sent(connected(undefined, "/new/")), []);
  });

  test("is refused when too much waits", () => {
    bridge.connect("/");
    for (let n = 0; n < 1000; n += 1) {
      bridge.send(n);
    }
    assert.throws(() => bridge.send(1000), /1000 frames wait/);
    FakeWebSocket.last.serverAccepts();
    assert.equal(FakeWebSocket.last.sent.length, 1000);
  });

  test("after close() is an error, and what waited is dropped", () => {
    bridge.connect("/");
    bridge.send(1);
    bridge.socket.close();
    assert.throws(() => bridge.send(2), /closed; call connect/);
    bridge.connect("/");
    FakeWebSocket.last.serverAccepts();
    assert.deepEqual(sent(FakeWebSocket.last), []);
  });
});

describe("reconnecting", () => {
  for (const [value, expected] of [
    [0, [1500, 1950, 2535, 3296, 4285, 5570, 7241, 7693, 7693]],
    [0.999999, [1950, 2535, 3296, 4285, 5570, 7241, 9413, 10000, 10000]],
  ]) {
    test(`takes growing delays up to the longest one; chance ${value}`, () => {
      chance(value);
      connected();
      assert.deepEqual(expected.map(delayAfterLoss), expected);
    });
  }

  test("follows the options", () => {
    chance(0);
    const options = { minReconnectionDelay: 100, reconnectionDelayGrowFactor: 2 };
    connected({ ...options, maxReconnectionDelay: 300, connectionTimeout: undefined });
    assert.deepEqual([1, 2, 3, 4].map(delayAfterLoss), [100, 150, 150, 150]);
  });

  test("starts with short delays again after a success", () => {
    chance(0);
    connected();
    assert.deepEqual([delayAfterLoss(), delayAfterLoss()], [1500, 1950]);
    FakeWebSocket.last.serverAccepts();
    assert.equal(delayAfterLoss(), 1500);
  });

  test("takes the defaults for options without a value", () => {
    chance(0);
    connected({ minReconnectionDelay: undefined, maxReconnectionDelay: null });
    assert.equal(delayAfterLoss(), 1500);
  });

  test("starts with short delays again after another connect()", () => {
    chance(0);
    connected();
    assert.deepEqual([delayAfterLoss(), delayAfterLoss()], [1500, 1950]);
    bridge.connect("/");
    assert.equal(delayAfterLoss(), 1500);
  });

  test("gives up an attempt that nobody answers, and closes it", () => {
    chance(0);
    bridge.connect("/");
    const [first] = FakeWebSocket.made;
    mock.timers.tick(3999);
    assert.equal(first.closedWith, null);
    mock.timers.tick(1);
    assert.notEqual(first.closedWith, null);
    first.serverAccepts(); // too late
    assert.equal(bridge.socket.readyState, 0);
    mock.timers.tick(1500);
    assert.equal(attempts(), 2);
    first.serverCloses();
    assert.equal(bridge.socket.readyState, 0);
    FakeWebSocket.last.serverAccepts();
    mock.timers.tick(LONG);
    assert.equal(bridge.socket.readyState, 1);
    assert.equal(attempts(), 2);
  });

  test("ends after maxRetries failures in a row", () => {
    connected({ maxRetries: 2 });
    delayAfterLoss();
    FakeWebSocket.last.serverAccepts(); // the count starts anew
    delayAfterLoss();
    delayAfterLoss();
    assert.equal(attempts(), 4);
    assert.equal(delayAfterLoss(), LONG);
    assert.equal(bridge.socket.readyState, 3);
    assert.throws(() => bridge.send(1), /closed/);
  });

  test("happens whatever code the server closes with", () => {
    for (const code of [1000, 1001, 1006, 1012, 1013, 4000]) {
      const socket = connected();
      const before = attempts();
      socket.serverCloses(code);
      mock.timers.tick(10000);
      assert.equal(attempts(), before + 1, `code ${code}`);
    }
  });

  test("survives a constructor that throws later", () => {
    let failures = 0;
    class Scarce extends FakeWebSocket {
      constructor(url) {
        if (attempts() === 1 && failures < 2) {
          failures += 1;
          throw new Error("no sockets left");
        }
        super(url);
      }
    }
    connected({ constructor: Scarce });
    delayAfterLoss();
    FakeWebSocket.last.serverAccepts();
    assert.deepEqual([failures, attempts(), bridge.socket.readyState], [2, 2, 1]);
  });
});

describe("close()", () => {
  test("passes code and reason on and ends it for good", () => {
    const codes = [];
    const socket = connected();
    bridge.socket.addEventListener("close", (event) => codes.push([event.code, event.reason]));
    bridge.socket.close(4001, "bye");
    bridge.socket.close();
    assert.deepEqual(socket.closedWith, { code: 4001, reason: "bye" });
    assert.equal(bridge.socket.readyState, 2);
    socket.serverCloses(4001, "bye");
    mock.timers.tick(LONG);
    assert.deepEqual(codes, [[4001, "bye"]]);
    assert.equal(bridge.socket.readyState, 3);
    assert.equal(attempts(), 1);
  });

  test("while it waits to reconnect ends the waiting", () => {
    let closes = 0;
    connected().serverCloses();
    bridge.socket.onclose = () => (closes += 1);
    bridge.socket.close();
    mock.timers.tick(LONG);
    assert.deepEqual([closes, attempts(), bridge.socket.readyState], [1, 1, 3]);
  });

  test("while it connects ends the attempt, even if the server accepts meanwhile", () => {
    let opened = false;
    bridge.connect("/");
    bridge.socket.onopen = () => (opened = true);
    bridge.socket.close();
    FakeWebSocket.last.serverAccepts();
    FakeWebSocket.last.serverCloses(1000);
    mock.timers.tick(LONG);
    assert.deepEqual([opened, attempts(), bridge.socket.readyState], [false, 1, 3]);
  });

  test("in a 'close' listener prevents the reconnect", () => {
    connected();
    bridge.socket.addEventListener("close", () => bridge.socket.close());
    FakeWebSocket.last.serverCloses(4403);
    mock.timers.tick(LONG);
    assert.equal(attempts(), 1);
  });

  test("in an 'open' listener keeps what waits from being sent", () => {
    bridge.connect("/");
    bridge.send(1);
    bridge.socket.onopen = () => bridge.socket.close();
    FakeWebSocket.last.serverAccepts();
    assert.deepEqual(FakeWebSocket.last.sent, []);
  });

  test("with a bad code throws and changes nothing", () => {
    const socket = connected();
    assert.throws(() => bridge.socket.close(1001));
    bridge.send(1);
    assert.deepEqual(sent(socket), [1]);
  });
});

describe("the socket", () => {
  test("is one object, with the same listeners, across reconnects and connects", () => {
    const got = [];
    connected();
    const { socket } = bridge;
    for (const type of ["open", "message", "error", "close"]) {
      socket.addEventListener(type, () => got.push(type));
      socket[`on${type}`] = () => got.push(`on${type}`);
    }
    const removed = () => got.push("removed");
    socket.addEventListener("open", removed);
    socket.removeEventListener("open", removed);
    FakeWebSocket.last.fails();
    mock.timers.tick(10000);
    FakeWebSocket.last.serverAccepts();
    FakeWebSocket.last.serverSends("1");
    const expected = ["error", "close", "open", "message"].flatMap((type) => [`on${type}`, type]);
    assert.deepEqual(got, expected);
    connected();
    assert.equal(bridge.socket, socket);
    assert.deepEqual(got.slice(8), ["onopen", "open"]);
  });

  test("shows the events' data, and its state", () => {
    bridge.connect("/");
    const { socket } = bridge;
    assert.equal(socket.readyState, socket.CONNECTING);
    const got = [];
    socket.onopen = () => got.push(socket.readyState === socket.constructor.OPEN);
    socket.onmessage = (event) => got.push([event.data, event.target === socket]);
    socket.onclose = ({ code, reason, wasClean }) => got.push([code, reason, wasClean]);
    FakeWebSocket.last.serverAccepts();
    FakeWebSocket.last.serverSends("text");
    FakeWebSocket.last.serverCloses(4000, "why");
    assert.deepEqual(got, [true, ["text", true], [4000, "why", true]]);
    assert.equal(socket.readyState, socket.CONNECTING);
  });

  test("keeps its binaryType", () => {
    connected();
    bridge.socket.binaryType = "arraybuffer";
    assert.equal(FakeWebSocket.last.binaryType, "arraybuffer");
    delayAfterLoss();
    assert.equal(FakeWebSocket.last.binaryType, "arraybuffer");
  });

  test("of an earlier connect() is left, and its events with it", () => {
    const got = [];
    bridge.listen((action) => got.push(action));
    const old = connected();
    const current = connected(undefined, "/other/");
    old.serverSends("1");
    old.serverCloses();
    current.serverSends("2");
    mock.timers.tick(LONG);
    assert.notEqual(old.closedWith, null);
    assert.deepEqual([got, attempts()], [[2], 2]);
  });
});

describe("options", () => {
  test("constructor replaces WebSocket", () => {
    class Other extends FakeWebSocket {}
    bridge.connect("/", undefined, { constructor: Other });
    assert.ok(FakeWebSocket.last instanceof Other);
  });

  test("without any WebSocket the error says what to give", () => {
    globalThis.WebSocket = undefined;
    assert.throws(() => bridge.connect("/"), /give options.constructor/);
  });

  for (const debug of [true, false]) {
    test(`debug: ${debug} decides whether the console is told`, () => {
      const told = [];
      mock.method(console, "log", (...words) => told.push(words.join(" ")));
      connected({ debug }).serverSends("{");
      delayAfterLoss();
      const topics = ["connecting", "connected", "not JSON", "retry 1 in"];
      assert.deepEqual(
        topics.map((topic) => told.some((line) => line.includes(topic))),
        topics.map(() => debug),
      );
    });
  }
});
