"use strict";
// What every page does: say that it was seen, how it is used, and what broke.
const docflow = JSON.parse(document.getElementById("docflow").textContent);

const send = (kind, more) =>
  fetch("/beacon", {
    method: "POST",
    keepalive: true,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ kind, component: docflow.component, ...more }),
  }).catch(() => {});

docflow.beacon = (kind, message) => send(kind, { message: String(message).slice(0, 300) });
docflow.used = (use, more = {}) => send("use", { use, ...more });

// The token of the signed-in user; nothing to send while nobody has signed in.
docflow.call = async (path, options = {}) => {
  const token = sessionStorage.getItem("docflow-token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(path, { ...options, headers });
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
};

docflow.status = (text) => {
  document.getElementById("status").textContent = text;
};

window.addEventListener("error", (event) => docflow.beacon("error", event.message));
window.addEventListener("unhandledrejection", (event) => docflow.beacon("error", event.reason));

docflow.beacon("view", location.pathname);
