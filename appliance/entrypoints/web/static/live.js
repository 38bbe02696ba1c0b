// Keeps the page up to date: asks for what changed and puts it in place. Everything works without it.
"use strict";
(() => {
  const body = document.body, lost = document.getElementById("lost");
  const PERIOD = Number(body.dataset.every || 2) * 1000, GRAPH_EVERY = 5;
  let wait = PERIOD, rounds = 0, revision = Number(body.dataset.revision || 0), seen = new Map();

  async function ask(url) {
    const answer = await fetch(url, { headers: { Accept: "application/json" }, cache: "no-store" });
    if (answer.status === 401) { location.reload(); }
    if (!answer.ok) { throw new Error(String(answer.status)); }
    return answer;
  }

  function put(element, html) {
    // Only what differs is touched, so that nothing flickers and no selection is lost.
    if (seen.get(element) !== html) { seen.set(element, html); element.innerHTML = html; }
  }

  function rows(list, answer) {
    const tbody = list.tBodies[0];
    const here = new Map([...tbody.rows].map((row) => [row.dataset.id, row]));
    for (const [id, html] of Object.entries(answer.rows)) {
      const row = here.get(id);
      if (!row) { continue; }
      const chosen = row.querySelector("input:checked") !== null;
      if (!row.contains(document.activeElement)) { put(row, html); }
      if (chosen) { row.querySelector("input").checked = true; }
    }
    const order = [...tbody.rows].map((row) => row.dataset.id).join();
    if (order === answer.ids.join()) { return true; }
    if (answer.ids.every((id) => here.has(id) || id in answer.rows)) {
      const fresh = answer.ids.map((id) => {
        const row = here.get(id) || document.createElement("tr");
        if (!here.has(id)) { row.dataset.id = id; put(row, answer.rows[id]); }
        return row;
      });
      tbody.replaceChildren(...fresh);
      return true;
    }
    return false;
  }

  async function overview() {
    const url = new URL(body.dataset.live, location.href);
    const asked = body.dataset.live;
    if (revision) { url.searchParams.set("since", revision); }
    const answer = await (await ask(url)).json();
    if (asked !== body.dataset.live) { return; }
    for (const [name, html] of Object.entries(answer.numbers)) {
      document.querySelectorAll(`[data-number="${name}"]`).forEach((element) => put(element, html));
    }
    const list = document.getElementById("list");
    if (list && answer.ids) { revision = rows(list, answer) ? answer.revision : 0; }
    const drawing = document.getElementById("graph");
    if (drawing && rounds % GRAPH_EVERY === 0) { put(drawing, await (await ask(body.dataset.graph)).text()); }
  }

  async function parts() {
    const answer = await (await ask(body.dataset.parts)).json();
    for (const [name, html] of Object.entries(answer.parts)) {
      const part = document.querySelector(`[data-part="${name}"]`);
      if (part && !part.contains(document.activeElement)) { put(part, html); }
    }
  }

  async function job() {
    const answer = await (await ask(body.dataset.job)).json();
    document.querySelector("progress").value = answer.progress;
    if (answer.done) { location.reload(); }
  }

  // The list of torrents is searched while one types; the button is for browsers without scripts.
  function filter(form) {
    let timer = 0, asked = 0;
    async function search() {
      const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
      const url = `${location.pathname}?${query}`, number = (asked += 1);
      const answer = await fetch(url, { cache: "no-store" });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = fresh.getElementById("found");
      if (number !== asked || !answer.ok || !found) { return; }
      document.getElementById("found").replaceWith(found);
      document.querySelector("#many [name=back]").value = fresh.querySelector("#many [name=back]").value;
      body.dataset.live = fresh.body.dataset.live;
      revision = Number(fresh.body.dataset.revision || 0);
      history.replaceState(null, "", url);
    }
    function soon(delay) {
      clearTimeout(timer);
      timer = setTimeout(() => search().catch(() => form.submit()), delay);
    }
    form.querySelector("button").hidden = true;
    form.addEventListener("input", (event) => soon(event.target.type === "search" ? 250 : 0));
    form.addEventListener("submit", (event) => { event.preventDefault(); soon(0); });
  }

  // A page that could not be shown waits for the box without leaving, and loads once it answers.
  async function comeBack(period) {
    try {
      if ((await fetch(location.href, { cache: "no-store" })).status !== 503) { location.reload(); return; }
    } catch (error) { /* The page's own process is away too. */ }
    setTimeout(() => comeBack(period), period);
  }

  const work = body.dataset.live ? overview : body.dataset.parts ? parts : body.dataset.job ? job : null;

  async function round() {
    if (!document.hidden) {
      try {
        await work();
        rounds += 1;
        wait = PERIOD;
        lost.hidden = true;
      } catch (error) {
        wait = Math.min(30000, wait * 2);
        lost.hidden = wait <= PERIOD * 2;
      }
    }
    setTimeout(round, wait);
  }

  if (work) { setTimeout(round, PERIOD); }
  if (body.dataset.wait) {
    const period = Number(body.dataset.wait) * 1000;
    setTimeout(() => comeBack(period), period);
  }

  const filters = document.querySelector("form.filters");
  if (filters) { filter(filters); }

  const button = document.querySelector("[data-copy]");
  if (button) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const field = document.querySelector("input.copy");
      field.select();
      try { await navigator.clipboard.writeText(field.value); } catch (error) { document.execCommand("copy"); }
      button.textContent = "Copied";
    });
  }
})();
