"use strict";

/** The code comes behind the number sign, which browsers keep to themselves. It leaves the address bar at once. */
function log_in() {
  const code = decodeURIComponent(location.hash.slice(1));
  if (!code) return;
  const form = document.querySelector("form");
  history.replaceState(null, "", location.pathname);
  form.elements.code.value = code;
  form.requestSubmit();
}

// With this page open already, opening the link changes nothing but what stands behind the number sign.
addEventListener("hashchange", log_in);
log_in();
