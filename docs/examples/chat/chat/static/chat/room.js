"use strict";

const $ = (id) => document.getElementById(id);
const room = document.querySelector(".room").dataset.room;
const random = () => crypto.getRandomValues(new Uint32Array(2)).join(".");

// The keys of the messages that this browser sends begin with this.
const me = (localStorage.chatBrowser ||= random());

// The socket. It comes back by itself, after pauses that grow and differ between browsers.

let socket = null;
let attempts = 0;
let timer = 0;

function connect() {
  clearTimeout(timer);
  socket?.close();
  const url = new URL(`/chat/${room}/`, location.href.replace(/^http/, "ws"));
  url.search = new URLSearchParams({ name: localStorage.chatName, since: since() });
  const mine = (socket = new WebSocket(url));
  showState("Connecting");
  mine.onopen = () => {
    attempts = 0;
    people.clear();
    outbox.forEach(transmit);
    showState("Connected");
  };
  mine.onmessage = (event) => {
    const { type, ...frame } = JSON.parse(event.data);
    if (mine === socket) receivers[type]?.(frame);
  };
  mine.onclose = () => {
    if (mine !== socket) return;
    timer = setTimeout(connect, Math.min(20000, 500 * 1.7 ** attempts++) * (0.5 + Math.random()));
    showState("Offline");
  };
}

const isOpen = () => socket?.readyState === WebSocket.OPEN;

const receivers = {
  history: ({ messages }) => messages.forEach(addMessage),
  message: (message) => addMessage(message),
  people: ({ people: here, you }) => here.forEach((person) => addPerson(person, you)),
  joined: (person) => addPerson(person) && addNote(`${person.name} joined`),
  left: ({ id, name }) => {
    gone.add(id);
    if (people.delete(id)) addNote(`${name} left`);
    showPeople();
  },
  refused: ({ reason }) => ($("hint").textContent = reason),
};

// Who is here. Several workers may tell of one socket in any order: who has left stays away.

const people = new Map();
const gone = new Set();

function addPerson({ id, name }, you) {
  if (gone.has(id) || people.has(id)) return false;
  people.set(id, { name, isYou: id === you });
  showPeople();
  return true;
}

// What this page has said and not got back yet. The server stores each key once, so that it
// may be sent again: when the connection is back, and when a worker died with it.

const outbox = new Map(JSON.parse(sessionStorage[`chat ${room}`] ?? "[]"));

function say(text) {
  const key = `${me} ${random()}`;
  outbox.set(key, text);
  transmit(text, key);
  showPending(text, key);
}

function transmit(text, key) {
  if (isOpen()) socket.send(JSON.stringify({ key, text }));
}

setInterval(() => outbox.forEach(transmit), 10000);

// The messages, in the order of their ids, which is not always the order of their arrival: so
// a reconnect asks for a few more than are missing, and what is there already is left alone.

let newest = 0;
const since = () => Math.max(0, newest - 20);

function addMessage(message) {
  if (outbox.delete(message.key)) $(message.key)?.remove();
  const id = `message-${message.id}`;
  if (!$(id)) {
    newest = Math.max(newest, message.id);
    const later = [...$("log").querySelectorAll(".message")].find(
      (other) => other.classList.contains("pending") || other.dataset.id > message.id,
    );
    const item = messageItem(message);
    item.id = id;
    item.dataset.id = String(message.id).padStart(16, "0");
    addToLog(item, later);
  }
  showState();
}

function showPending(text, key) {
  const item = messageItem({ key, text, name: localStorage.chatName, at: new Date() });
  item.id = key;
  item.classList.add("pending");
  addToLog(item);
  showState();
}

function addNote(text) {
  const note = element("li", "note", text);
  addToLog(note, $("log").querySelector(".pending"));
}

function addToLog(item, before = null) {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  log.insertBefore(item, before);
  if (atEnd || item.classList.contains("pending")) log.scrollTop = log.scrollHeight;
  else $("newest").hidden = false;
}

// How it looks. Text enters the page as text only, never as HTML.

function element(tag, className, ...content) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...content);
  return made;
}

function avatar(name) {
  const made = element("span", "avatar", [...name][0].toUpperCase());
  const hue = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
  made.style.setProperty("--hue", hue);
  made.ariaHidden = "true";
  return made;
}

function messageItem({ key, name, text, at }) {
  const date = new Date(at);
  const isToday = date.toDateString() === new Date().toDateString();
  const day = isToday ? {} : { day: "numeric", month: "short" };
  const shown = date.toLocaleString([], { ...day, hour: "2-digit", minute: "2-digit" });
  const time = element("time", "", shown);
  time.dateTime = date.toISOString();
  const by = element("p", "by", element("bdi", "", name), " ", time);
  const body = element("div", "body", by, element("p", "said", text));
  const item = element("li", "message", avatar(name), body);
  item.classList.toggle("mine", key.startsWith(`${me} `));
  return item;
}

function showPeople() {
  const sorted = [...people.values()].sort((a, b) => a.name.localeCompare(b.name));
  $("count").textContent = sorted.length || "";
  $("people").replaceChildren(
    ...sorted.map(({ name, isYou }) =>
      element("li", "", avatar(name), element("bdi", "", name), isYou ? "(you)" : ""),
    ),
  );
}

function showState(state = $("state").textContent) {
  if ($("state").textContent !== state) $("state").textContent = $("state").dataset.state = state;
  sessionStorage[`chat ${room}`] = JSON.stringify([...outbox]);
  const offline = state !== "Connected" && attempts > 0;
  $("hint").textContent = offline ? "What you write is kept until the connection is back." : "";
}

// What the person does.

$("compose").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (text) say(text);
  $("text").value = "";
  $("text").focus();
};

$("text").onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("compose").requestSubmit();
};

$("enter").onsubmit = (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  if (!name) return;
  localStorage.chatName = name;
  enter();
};

$("rename").onclick = () => ask();

$("newest").onclick = () => ($("log").scrollTop = $("log").scrollHeight);
$("log").onscroll = () => {
  const { scrollHeight, scrollTop, clientHeight } = $("log");
  if (scrollHeight - scrollTop - clientHeight < 80) $("newest").hidden = true;
};

addEventListener("online", () => localStorage.chatName && !isOpen() && connect());

function ask() {
  $("enter").hidden = false;
  $("compose").hidden = true;
  $("name").value = localStorage.chatName ?? "";
  $("name").focus();
}

function enter() {
  $("enter").hidden = true;
  $("compose").hidden = false;
  $("text").focus();
  connect();
}

outbox.forEach(showPending);
if (localStorage.chatName) enter();
else ask();
