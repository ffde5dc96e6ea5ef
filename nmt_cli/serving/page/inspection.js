// How a sentence was translated: words and their alternatives, attention, the beam as a tree, several runs side by side.
import { askAgain, byId, call, directions, doubt, element, percent, redraw, TRYING_AGAIN } from "./dom.js";

const TABS = ["words", "attention", "search", "runs"];
const shown = { text: "", options: {}, runs: [], changed: null, record: null, tab: "words", layer: -1, head: -1, kind: "cross", word: 0, request: null, drawing: null, opener: null };

/** Show how a sentence was translated; `changed` gets the new record where another word was chosen. */
export async function inspect(sentence, options, runs, changed) {
  closeInspection();
  Object.assign(shown, { text: sentence.text, options, runs, changed, record: null, layer: -1, head: -1, kind: "cross", word: 0, opener: document.activeElement });
  shown.opener.classList.add("chosen");
  byId("inspection").hidden = false;
  draw();
  byId(`tab-${shown.tab}`).focus({ preventScroll: true });
  if (runs.length) await load({ translation: sentence.translation });
  else note(options.source === options.target ? "Left as it is: it is already in the target language." : "Translated through a third language: only what one run translates can be shown.");
  byId("view").scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

export function closeInspection() {
  shown.request?.abort();
  shown.drawing?.abort();
  if (byId("inspection").contains(document.activeElement)) (shown.opener.isConnected ? shown.opener : byId("translation")).focus();
  byId("inspection").hidden = true;
  shown.opener?.classList.remove("chosen");
}

const ask = (controller, extra) => call("inspect", { text: shown.text, ...shown.options, ...extra }, controller.signal);

async function load(what) {
  if (!shown.record) note("Loading the model that shows this…");
  shown.request?.abort();
  const controller = (shown.request = new AbortController());
  try {
    shown.record = await ask(controller, what);
    if (what.prefix) shown.changed(shown.record);
    const hasFocus = byId("view").contains(document.activeElement);
    draw();
    if (what.prefix && hasFocus) byId("view").querySelector("[aria-pressed=true]")?.focus();
  } catch (error) { failed(byId("view"), error, controller, () => load(what)); }
}

function note(message) {
  redraw(byId("view"), element("p", { class: "note" }, message));
}

/** Say what went wrong, and ask again: by itself where the server could not be reached, else with a button. */
function failed(place, error, controller, retry) {
  if (error.name === "AbortError" || controller.signal.aborted) return;
  const message = element("p", { class: "note error", role: "alert" }, error.status === 0 ? `${error.message}: ${TRYING_AGAIN}` : error.message);
  if (error.status === 0) askAgain(retry, controller.signal);
  else if (error.status >= 500) message.append(" ", element("button", { type: "button", onclick: retry }, "Try again"));
  redraw(place, message);
}

function draw() {
  shown.drawing?.abort(); // what the view that is left still asks for
  shown.drawing = new AbortController();
  if (shown.tab === "runs" && shown.runs.length < 2) shown.tab = "words";
  for (const tab of TABS) {
    const chosen = tab === shown.tab;
    byId(`tab-${tab}`).setAttribute("aria-selected", chosen);
    byId(`tab-${tab}`).tabIndex = chosen ? 0 : -1;
  }
  byId("view").setAttribute("aria-labelledby", `tab-${shown.tab}`);
  byId("tab-runs").hidden = shown.runs.length < 2;
  if (shown.record) ({ words: drawWords, attention: drawAttention, search: drawSearch, runs: drawRuns })[shown.tab]();
}

// --- attention

/** The attention between words that is chosen: [rows][columns]; a negative layer counts from the last, a negative head is the mean. */
function matrixOf(record, kind, layer, head) {
  const layers = record.attention?.[kind];
  if (!layers?.length) return null;
  const heads = layers[(layer + layers.length) % layers.length];
  if (head >= 0 && head < heads.length) return heads[head];
  return heads[0].map((row, i) => row.map((_, j) => heads.reduce((sum, h) => sum + h[i][j], 0) / heads.length));
}

const sides = (record, kind) => (kind === "cross" ? [record.target_words, record.source_words]
  : kind === "source" ? [record.source_words, record.source_words] : [record.target_words, record.target_words]);

/** Why there is no attention to show. */
const whyNoAttention = (record) => (record.all_at_once ? "This model writes all words at once and has no attention from the translation to the source."
  : "This model has no attention: all it knows of the source is one vector.");

// --- words and alternatives

function drawWords() {
  const record = shown.record;
  const weights = matrixOf(record, "cross", shown.layer, shown.head);
  const sourceButtons = record.source_words.map((word, j) => wordButton(word, { onpoint: () => light(targetButtons, weights?.map((row) => row[j])) }));
  const targetButtons = record.target_words.map((word, i) => wordButton(word, {
    probability: word.probability, pressed: i === shown.word,
    onpoint: () => light(sourceButtons, weights?.[i]),
    onclick: () => { shown.word = i; drawWords(); },
  }));
  const list = (buttons, name) => element("ul", {
    class: `words ${name}`, lang: shown.options[name], dir: directions[shown.options[name]] ?? "auto",
  }, buttons.map((button) => element("li", {}, button)));
  const help = [weights ? "Point at a word to see what it attends to." : whyNoAttention(record)];
  if (!record.all_at_once) help.push("The stronger the orange, the less probable the word.");
  if (record.alternatives?.some((choices) => choices.length)) help.push("Click a word to choose another one: the rest is translated again.");
  redraw(
    byId("view"), element("p", { class: "note" }, help.join(" ")),
    element("span", { class: "label" }, "Source"), list(sourceButtons, "source"),
    element("span", { class: "label" }, "Translation"), list(targetButtons, "target"),
    alternatives(record),
  );
  light(sourceButtons, weights?.[shown.word]);
}

function wordButton(word, { probability, pressed, onpoint, onclick }) {
  const attributes = doubt(probability);
  return element("button", {
    ...attributes, type: "button", "aria-pressed": pressed, "aria-label": attributes.title ? `${word.text}, ${attributes.title}` : word.text,
    onmouseenter: onpoint, onfocus: onpoint, onclick,
  }, word.text);
}

function light(buttons, weights) {
  buttons.forEach((button, index) => button.style.setProperty("--a", weights ? Math.min(1, weights[index] ?? 0).toFixed(3) : 0));
}

function alternatives(record) {
  const word = record.target_words[shown.word];
  if (!word || !record.alternatives?.[shown.word]?.length) return "";
  const rows = record.alternatives[shown.word].flatMap((choice) => [
    element("button", { type: "button", disabled: !choice.prefix || choice.text === word.text, onclick: () => load({ prefix: choice.prefix }) }, choice.text || "(end)"),
    element("div", { class: "bar", style: { width: `${(100 * choice.probability).toFixed(1)}%` } }),
    element("span", { class: "label" }, percent(choice.probability)),
  ]);
  return element("div", {}, element("p", { class: "label" }, `Instead of “${word.text}”`), element("div", { class: "choices", role: "group", "aria-label": `Instead of ${word.text}` }, rows));
}

const AXES = { cross: ["Translation", "Source"], source: ["Source", "Source"], target: ["Translation", "Translation"] }; // of rows and columns
const KINDS = { cross: "Translation → source", source: "Source → source", target: "Translation → translation" };

function drawAttention() {
  const record = shown.record;
  const kinds = Object.keys(KINDS).filter((kind) => record.attention?.[kind]?.length);
  if (!kinds.length) return note(whyNoAttention(record));
  if (!kinds.includes(shown.kind)) shown.kind = kinds[0];
  const layers = record.attention[shown.kind];
  if (shown.layer >= layers.length) shown.layer = -1;
  const layer = (shown.layer + layers.length) % layers.length;
  if (shown.head >= layers[layer].length) shown.head = -1;
  const numbers = (length, name) => [[-1, name], ...[...Array(length).keys()].map((index) => [index, index + 1])];
  redraw(
    byId("view"), element("div", { class: "controls" },
      chooser("Of", kinds.map((kind) => [kind, KINDS[kind]]), shown.kind, (value) => { shown.kind = value; }),
      chooser("Layer", numbers(layers.length, "last"), shown.layer, (value) => { shown.layer = +value; }),
      chooser("Head", numbers(layers[layer].length, "mean of all"), shown.head, (value) => { shown.head = +value; })),
    matrixTable(record, shown.kind, shown.layer, shown.head), scale(),
    element("p", { class: "note" }, "A row shows where a word looks: the stronger the colour, the more. ", sumsOfRows(matrixOf(record, shown.kind, shown.layer, shown.head))),
  );
}

/** What rows add up to, as they are: weights of local attention are not normalised after the Gaussian. */
function sumsOfRows(weights) {
  const sums = weights.map((row) => row.reduce((sum, weight) => sum + weight, 0));
  const [least, most] = [Math.min(...sums), Math.max(...sums)];
  return Math.max(1 - least, most - 1) < 0.01 ? "Each row adds up to 1." : `A row adds up to between ${least.toFixed(2)} and ${most.toFixed(2)}.`;
}

function chooser(label, choices, value, onchange) {
  const select = element("select", { onchange: (event) => { onchange(event.target.value); drawAttention(); } },
    choices.map(([key, text]) => element("option", { value: key, selected: String(key) === String(value) }, String(text))));
  return element("label", {}, `${label} `, select);
}

function matrixTable(record, kind, layer, head) {
  const [rows, columns] = sides(record, kind);
  const weights = matrixOf(record, kind, layer, head);
  const [down, across] = AXES[kind];
  const headings = columns.map((word) => element("th", { scope: "col", title: word.text }, element("span", {}, word.text)));
  const mark = (index, on) => headings[index].classList.toggle("on", on);
  const body = weights.map((row, i) => element("tr", {}, element("th", { scope: "row", title: rows[i].text }, rows[i].text), row.map((weight, j) => element("td", {
    style: { "--a": Math.min(1, weight).toFixed(3) }, title: `${rows[i].text} → ${columns[j].text}: ${percent(weight)}`,
    onmouseenter: () => mark(j, true), onmouseleave: () => mark(j, false),
  }))));
  return element("table", { class: "matrix" }, element("thead", {},
    element("tr", {}, element("td", { style: { "--a": 0 } }), element("th", { class: "axis", scope: "colgroup", colspan: columns.length }, `${across} →`)),
    element("tr", {}, element("th", { class: "axis" }, `${down} ↓`), headings)), element("tbody", {}, body));
}

/** What the colours of a table mean, the same for all. */
function scale() {
  return element("p", { class: "scale" }, element("span", {}, "Attention weight:"), element("span", {}, "0"), element("i"), element("span", {}, "1"));
}

// --- the beam as a tree

async function drawSearch() {
  if (!shown.record.beam) {
    note("Searching again, recording every step…");
    const controller = shown.drawing;
    try { shown.record.beam = (await ask(controller, { beam: true, prefix: shown.record.prefix, alternatives: false })).beam; } catch (error) {
      return failed(byId("view"), error, controller, drawSearch);
    }
  }
  const beam = shown.record.beam;
  if (!beam?.steps?.length) return note("This model writes all words at once: there is no search to show.");
  redraw(
    byId("view"), element("p", { class: "note" }, `Each column is a step of the search: the ${beam.size} most probable beginnings so far, the best on top. Blue is the result, grey was given up, and ● ends a sentence.`),
    tree(beam),
  );
}

const COLUMN = 96, ROW = 26;

function tree(beam) {
  const best = new Set();
  for (let [step, place] = beam.best ?? [-1, 0]; step >= 0; place = beam.steps[step][place].parent, step--) best.add(`${step}.${place}`);
  const height = Math.max(...beam.steps.map((step) => step.length)) * ROW + 20;
  const width = beam.steps.length * COLUMN + 40;
  const at = (step, slot) => [step * COLUMN + 20, slot * ROW + 20];
  const links = [], labels = [];
  const hasChild = new Set(beam.steps.flatMap((step, t) => step.map((node) => `${t - 1}.${node.parent}`)));
  beam.steps.forEach((step, t) => step.forEach((node, slot) => {
    const [x, y] = at(t, slot);
    const isBest = best.has(`${t}.${slot}`);
    if (t > 0) {
      const [px, py] = at(t - 1, node.parent);
      links.push(element("path", { class: isBest ? "best" : "", d: `M${px + COLUMN - 30} ${py - 4} C${px + COLUMN - 12} ${py - 4} ${x - 22} ${y - 4} ${x - 4} ${y - 4}` }));
    }
    const text = node.score !== undefined ? `${node.text} ●`.trim() : node.text || "␣";
    const cut = text.length > 9 ? `${text.slice(0, 8)}…` : text;
    labels.push(element("text", { x, y, class: isBest ? "best" : hasChild.has(`${t}.${slot}`) || t === beam.steps.length - 1 ? "" : "dead" }, cut,
      element("title", {}, `${text}: ${percent(Math.exp(node.log_probability))} for everything up to here`)));
  }));
  const summary = `The beam of ${beam.size} hypotheses over ${beam.steps.length} steps; the result is ${shown.record.translation}`;
  return element("svg", { class: "tree", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": summary }, links.sort((a, b) => a.classList.contains("best") - b.classList.contains("best")), labels);
}

// --- several runs

async function drawRuns() {
  const cards = shown.runs.map((run) => element("section", { class: "card", "aria-label": run.name },
    element("h3", {}, run.name), element("span", { class: "label" }, run.model), element("div", {}, element("p", { class: "note" }, "…"))));
  redraw(byId("view"), element("p", { class: "note" }, "The same sentence, translated by every run of these languages, and what each looked at for every word."), element("div", { class: "side-by-side" }, cards));
  const controller = shown.drawing;
  for (const [index, run] of shown.runs.entries()) await fillCard(cards[index].lastChild, run, controller);
}

/** Put the translation of a run, and what it looked at, in the place that is kept for it. */
async function fillCard(place, run, controller) {
  try {
    const record = await ask(controller, { run: run.name, alternatives: false });
    const words = record.target_words.flatMap((word) => [element("span", doubt(word.probability), word.text), " "]);
    const picture = matrixOf(record, "cross", -1, -1) ? element("div", {}, matrixTable(record, "cross", -1, -1), scale()) : element("span", { class: "label" }, whyNoAttention(record));
    redraw(place, element("p", { lang: shown.options.target, dir: directions[shown.options.target] ?? "auto" }, words), picture);
  } catch (error) { failed(place, error, controller, () => fillCard(place, run, controller)); }
}

// --- tabs by mouse and keyboard

for (const [index, tab] of TABS.entries()) {
  const button = byId(`tab-${tab}`);
  button.addEventListener("click", () => { shown.tab = tab; draw(); });
  button.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const visible = TABS.filter((name) => !byId(`tab-${name}`).hidden);
    const next = byId(`tab-${visible[(visible.indexOf(TABS[index]) + step + visible.length) % visible.length]}`);
    next.focus();
    next.click();
  });
}
byId("inspection-close").addEventListener("click", closeInspection);
