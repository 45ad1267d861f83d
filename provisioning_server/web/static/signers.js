"use strict";

const list = document.getElementById("signers");
const template = document.getElementById("signer");
const title = document.title;

/** Put the texts of a signer into its card. Texts only: nothing that a signer calls itself becomes markup. */
function fill(card, view) {
  card.dataset.key = view.key;
  card.dataset.state = view.state;
  for (const place of card.querySelectorAll("[data-text]")) {
    const text = view[place.dataset.text];
    if (place.textContent !== text) place.textContent = text;
    (place.closest(".fact") ?? place).hidden = !text;
  }
  const form = card.querySelector("form");
  if (form) fill_form(card, form, view);
}

/** A login that only looks has no forms. */
function fill_form(card, form, view) {
  form.action = `/signers/${view.key}/password`;
  form.querySelector("button").disabled = view.wait !== "";
  const had_focus = form.contains(document.activeElement);
  form.hidden = view.state !== "waiting";
  if (form.hidden) {
    form.elements.password.value = "";
    if (had_focus) focus_next(card);
  }
}

/** The form that had the focus is gone: go to the next signer that waits. */
function focus_next(card) {
  const next = list.querySelector('[data-state="waiting"] form:not([hidden]) [name="password"]');
  (next ?? card).focus();
}

function show(state) {
  const cards = new Map([...list.children].map((card) => [card.dataset.key, card]));
  for (const [number, view] of state.signers.entries()) {
    const card = cards.get(view.key) ?? template.content.firstElementChild.cloneNode(true);
    cards.delete(view.key);
    if (list.children[number] !== card) list.insertBefore(card, list.children[number] ?? null);
    fill(card, view);
  }
  for (const card of cards.values()) card.remove();
  const summary = document.getElementById("summary");
  if (summary.textContent !== state.summary) summary.textContent = state.summary;
  document.title = state.waiting ? `(${state.waiting}) ${title}` : title;
}

function connected(yes) {
  document.getElementById("lost").hidden = yes;
  document.body.classList.toggle("old", !yes);
}

function follow() {
  const events = new EventSource("/signers/events");
  events.addEventListener("open", () => connected(true));
  events.addEventListener("signers", (event) => show(JSON.parse(event.data)));
  events.addEventListener("error", async () => {
    connected(false);
    if (events.readyState !== EventSource.CLOSED) return;
    // The server answers, but not with events: the login is over, or too many pages are open.
    const reply = await fetch("/signers", { redirect: "manual", headers: { "X-Refresh": "1" } }).catch(() => null);
    if (reply?.type === "opaqueredirect") location.assign("/login");
    else setTimeout(follow, 2000);
  });
}

list.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const body = new URLSearchParams(new FormData(form));
  const button = form.querySelector("button");
  button.disabled = true;
  form.elements.password.value = "";
  try {
    const reply = await fetch(form.action, { method: "POST", headers: { Accept: "application/json" }, body });
    if (reply.headers.get("Content-Type")?.startsWith("application/json")) {
      const answer = await reply.json();
      show(answer);
      if (answer.outcome === "wrong") form.elements.password.focus();
    } else location.reload();
  } catch {
    connected(false);
    button.disabled = false;
  }
});

follow();
