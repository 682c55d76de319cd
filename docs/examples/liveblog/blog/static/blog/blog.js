"use strict";

const $ = (id) => document.getElementById(id);

// The socket. The bridge brings it back by itself, and the server sends the list anew each time.

const bridge = new channels.WebSocketBridge();
bridge.connect("/live/", undefined, { maxReconnectionDelay: 5000 });

bridge.socket.addEventListener("open", () => {
  touched.clear();
  showState("Connected");
});
bridge.socket.addEventListener("close", () => showState("Offline"));

bridge.demultiplex("posts", ({ action, pk, data, posts }) => {
  if (action === "list") return takeList(posts);
  touched.add(pk);
  if (action === "delete") return removePost(pk, versionOf(data));
  return showPost(pk, data);
});

// What is on the page. Several workers may tell of one post in any order, so that what is older
// than what the page has is left aside.

const shown = new Map(); // by the key of the post: its item, its version, what it shows
const gone = new Map(); // by the key of a post that was removed: the version without it
const touched = new Set(); // posts that this connection has told of, maybe later than its list
let isFirstList = true;

const versionOf = ({ changed, publish_at: published }) =>
  Math.max(Date.parse(changed), published ? Date.parse(published) : 0);

function takeList(posts) {
  const listed = new Set(posts.map(({ pk }) => pk));
  for (const [pk, { version }] of shown) {
    if (!listed.has(pk) && !touched.has(pk)) removePost(pk, version);
  }
  for (const { pk, data } of posts) showPost(pk, data, isFirstList);
  isFirstList = false;
  showEmpty();
}

function showPost(pk, data, isQuiet = false) {
  const version = versionOf(data);
  const known = shown.get(pk);
  if (version <= (gone.get(pk) ?? -1) || version < known?.version) return;
  const { title, text, words } = data;
  const item = known?.item ?? element("li", "post");
  const date = Date.parse(data.publish_at);
  const isSame = known?.title === title && known.text === text && known.date === date;
  shown.set(pk, { item, version, date, title, text, words });
  gone.delete(pk);
  if (isSame && words === known.words) return;
  fill(item, data);
  if (date !== known?.date) $("posts").insertBefore(item, nextOf(pk, date));
  showEmpty();
  if (!isQuiet && !isSame) tell(item, known ? "changed" : "new", title);
}

/** The item that comes after a post of that key and date: the newest one of the older ones. */
function nextOf(pk, date) {
  const older = [...shown].filter(([other, at]) => (at.date - date || other - pk) < 0);
  older.sort(([pkA, a], [pkB, b]) => b.date - a.date || pkB - pkA);
  return older[0]?.[1].item ?? null;
}

function removePost(pk, version) {
  if (version <= (gone.get(pk) ?? -1) || version < shown.get(pk)?.version) return;
  gone.set(pk, version);
  const item = shown.get(pk)?.item;
  if (!item) return;
  shown.delete(pk);
  tell(item, "leaving", item.querySelector("h2").textContent);
  Promise.allSettled(item.getAnimations().map(({ finished }) => finished)).then(() => {
    item.remove();
    showEmpty();
  });
}

// How it looks. Text enters the page as text only, never as HTML.

function element(tag, className, ...content) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...content);
  return made;
}

function fill(item, { title, text, publish_at: published, words }) {
  const date = new Date(published);
  const isToday = date.toDateString() === new Date().toDateString();
  const day = isToday ? {} : { day: "numeric", month: "short" };
  const shortly = { ...day, hour: "numeric", minute: "2-digit" };
  const time = element("time", "", date.toLocaleString([], shortly));
  time.dateTime = date.toISOString();
  const paragraphs = text.trim().split(/\s*\n\s*\n\s*/).map((part) => element("p", "", part));
  const article = element("article", "", element("h2", "", title), ...paragraphs);
  if (words) article.append(element("p", "length", lengthOf(words)));
  item.replaceChildren(time, article);
}

function lengthOf(words) {
  const minutes = Math.ceil(words / 220);
  return `${words} ${words === 1 ? "word" : "words"} · ${minutes} min`;
}

const NEWS = { new: "New", changed: "Changed", leaving: "Removed" };

function tell(item, what, title) {
  $("news").textContent = `${NEWS[what]}: ${title}`;
  item.classList.remove("new", "changed");
  item.getBoundingClientRect(); // so that the same animation starts anew
  item.classList.add(what);
  if (what === "new" && item.getBoundingClientRect().bottom < 0) $("newest").hidden = false;
}

function showEmpty() {
  $("empty").textContent = "Nothing has been posted yet.";
  $("empty").hidden = $("posts").children.length > 0;
}

function showState(state) {
  $("state").textContent = $("state").dataset.state = state;
}

$("newest").onclick = () => scrollTo({ top: 0 });
addEventListener("scroll", () => {
  if (scrollY < 200) $("newest").hidden = true;
});
