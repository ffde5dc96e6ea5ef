// What the files of the page share: requests, elements, numbers.

export async function call(path, body, signal) {
  const post = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, { ...post, signal }).catch((error) => {
    throw error.name === "AbortError" ? error : Object.assign(new Error("The server cannot be reached"), { status: 0 });
  });
  const answer = await response.json().catch(() => ({ error: `The server answered with status ${response.status}` }));
  signal?.throwIfAborted();
  if (!response.ok || answer.error) throw Object.assign(new Error(answer.error ?? `Status ${response.status}`), { status: response.status });
  return answer;
}

const RETRY_PAUSE = 5000; // milliseconds before a server that could not be reached is asked again
export const TRYING_AGAIN = `trying again every ${RETRY_PAUSE / 1000} seconds`;

/** Call a function after a pause, or when the network is back; never after the signal. */
export function askAgain(retry, signal) {
  const again = () => { clearTimeout(wait); removeEventListener("online", again); if (!signal?.aborted) retry(); };
  const wait = setTimeout(again, RETRY_PAUSE);
  addEventListener("online", again);
}

export const byId = (id) => document.getElementById(id);

export const directions = {}; // of the languages, by their codes: which way they are written

export function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(["svg", "path", "text", "title"].includes(name)
    ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml", name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [property, setting] of Object.entries(value)) made.style.setProperty(property, setting);
    else made.setAttribute(key, value);
  }
  made.append(...children.flat());
  return made;
}

export const percent = (share) => share < 0.0005 ? "under 0.1 %" : `${share < 0.1 ? (100 * share).toFixed(1) : Math.round(100 * share)} %`;
/** The attributes of a word: the less probable, the stronger its colour; none where its probability is not known. */
export const doubt = (probability) => (probability ?? null) === null ? {}
  : { class: "doubt", style: { "--p": (1 - probability).toFixed(3) }, title: percent(probability) };

/** Replace what an element holds; where a control in it had the focus, that in its place gets it, or what is around. */
export function redraw(parent, ...children) {
  const controls = () => [...parent.querySelectorAll("button, select, .sentence")];
  const index = controls().indexOf(document.activeElement);
  parent.replaceChildren(...children);
  if (index < 0) return;
  const control = controls()[index];
  (control && !control.disabled ? control : parent.closest("[tabindex]")).focus({ preventScroll: true });
}
