"use strict";

/* Keeps a page new that the server has drawn: on each change its live parts are fetched and put in place. */

const pause = 3000; // milliseconds between two fetches
let wanted = false;
let fetching = false;

function connected(yes) {
  document.getElementById("lost").hidden = yes;
  document.body.classList.toggle("old", !yes);
}

/** Fetch this page as a document, which runs no script of it. */
function fetch_page() {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.setRequestHeader("X-Refresh", "1");
    request.responseType = "document";
    request.timeout = 10000;
    request.onload = () => resolve(request);
    request.onerror = request.ontimeout = () => reject(new Error("no answer"));
    request.send();
  });
}

function opened(part) {
  return [...part.querySelectorAll("details")].map((each) => each.open);
}

function put(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (!other) continue;
    // What is in use stays as it is until it is left.
    if (part.contains(document.activeElement)) continue;
    const open = opened(part);
    const details = [...other.querySelectorAll("details")];
    if (details.length === open.length) details.forEach((each, place) => (each.open = open[place]));
    if (!part.isEqualNode(other)) part.replaceWith(document.adoptNode(other));
  }
}

async function refresh() {
  wanted = true;
  if (fetching) return;
  fetching = true;
  while (wanted) {
    wanted = false;
    try {
      const reply = await fetch_page();
      if (reply.responseURL !== location.href.split("#")[0] && reply.responseURL.endsWith("/login"))
        location.assign("/login");
      else if (reply.status === 200 && reply.response) put(reply.response);
    } catch {
      connected(false);
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  fetching = false;
}

function follow() {
  const events = new EventSource("/signers/events");
  let first = true;
  events.addEventListener("open", () => connected(true));
  events.addEventListener("signers", () => {
    if (!first) refresh();
    first = false;
  });
  events.addEventListener("error", async () => {
    connected(false);
    if (events.readyState !== EventSource.CLOSED) {
      first = false; // what changed meanwhile is fetched when it is back
      return;
    }
    const reply = await fetch("/signers", { redirect: "manual", headers: { "X-Refresh": "1" } }).catch(() => null);
    if (reply?.type === "opaqueredirect") location.assign("/login");
    else setTimeout(follow, 2000);
  });
}

follow();
