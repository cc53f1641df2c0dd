// Keeps the page as it is now: the page is whole without this, and of the moment when it was loaded.
"use strict";

const MOST = 200; // rows of the list
const find = (id) => document.getElementById(id);
const moment = find("moment"), teller = moment.dataset.teller, news = find("news"), rows = find("push-rows"), pause = find("pause"), form = find("send");
let held = null; // what came while the list is paused, as elements

const elements = (html) => {
  const template = document.createElement("template");
  template.innerHTML = html; // the service has written it, and escaped what is from others
  return template.content;
};

const show = (fresh) => {
  rows.querySelector("td.none")?.parentElement.remove();
  rows.prepend(fresh);
  while (rows.children.length > MOST) rows.lastElementChild.remove();
};

const count = (n) => `${n} more ${n === 1 ? "row waits" : "rows wait"}.`;

const take = ({ rows: html, said }) => {
  const fresh = elements(html);
  for (const row of fresh.children) row.className = "fresh";
  if (held === null) {
    show(fresh);
    say(said);
    return;
  }
  held.prepend(fresh);
  while (held.children.length > MOST) held.lastElementChild.remove();
  sayAtOnce(`Paused. ${count(held.children.length)}`);
};

// A screen reader is told once in a while, whatever comes.
let unsaid = [], timer = null;
const say = (words) => {
  unsaid.push(words);
  timer ??= setTimeout(() => {
    sayAtOnce(unsaid.length === 1 ? `Just came: ${unsaid[0]}.` : `Just came: ${unsaid.at(-1)}, and more before.`);
  }, 1000);
};
const sayAtOnce = (words) => {
  clearTimeout(timer);
  timer = null;
  unsaid = [];
  news.textContent = words;
};

const renew = (sections) => {
  for (const [id, html] of Object.entries(sections)) {
    const element = find(id);
    if (element instanceof HTMLSelectElement) {
      if (element === document.activeElement || "still" in element.dataset) continue; // it is chosen from, or was sought
      const chosen = element.value;
      element.replaceChildren(elements(html));
      if ([...element.options].some((option) => option.value === chosen)) element.value = chosen;
    } else {
      element.replaceChildren(elements(html));
    }
  }
};

pause.hidden = false;
pause.addEventListener("click", () => {
  const pauses = held === null;
  pause.setAttribute("aria-pressed", String(pauses));
  if (pauses) {
    held = document.createDocumentFragment();
    sayAtOnce("Paused.");
  } else {
    show(held);
    held = null;
    sayAtOnce("Going on.");
  }
});

const stream = new EventSource(`_tocsin/page/events?after=${encodeURIComponent(find("pushes").dataset.place)}`);
stream.addEventListener("open", () => { moment.textContent = "Live: this page keeps up with what comes."; });
stream.addEventListener("error", () => {
  moment.textContent = stream.readyState === EventSource.CLOSED
    ? `${teller} tells no more: load the page again.`
    : `${teller} does not answer: trying again.`;
});
stream.addEventListener("rows", (event) => take(JSON.parse(event.data)));
stream.addEventListener("sections", (event) => renew(JSON.parse(event.data)));
addEventListener("pagehide", () => stream.close());

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button"), answer = find("answer");
  button.disabled = true;
  try {
    const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const text = await response.text();
    const there = response.ok && new DOMParser().parseFromString(text, "text/html").getElementById("answer");
    answer.replaceChildren(...(there ? there.childNodes : [text]));
  } catch {
    answer.replaceChildren("The service does not answer.");
  }
  button.disabled = false;
  answer.focus();
});
