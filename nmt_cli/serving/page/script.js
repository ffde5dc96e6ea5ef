// The page of `nmt serve`: translates as one types, and shows how a sentence was translated.
import { call, doubt, element, percent, RIGHT_TO_LEFT } from "./dom.js";
import { closeInspection, inspect } from "./inspection.js";

const byId = (id) => document.getElementById(id);
const [textBox, output, source, target, run] = ["text", "translation", "source", "target", "run"].map(byId);
const TYPING_PAUSE = 250; // milliseconds without a key before a text is sent
const LINES_PER_REQUEST = 16;

let languages = [];
let runs = [];
let lines = []; // of the text: {text, sentences, pending}
let cache = new Map(); // line -> {sentences, via, warnings}, each sentence {text, translation, before, words}; before: what stands before it
let request = null; // the AbortController of the request that is under way
let fileRequest = null; // that of the text file
let timer = 0;
let colouring = false;

// --- translating

function settings() {
  const direct = { source: source.value, target: target.value };
  return run.value && run.selectedOptions[0].dataset.pair === pair() ? { ...direct, run: run.value } : direct;
}

const pair = () => `${spoken()}>${target.value}`;
/** The language of the text: the chosen one, or the one that was detected. */
const spoken = () => (source.value === "auto" ? byId("detected").dataset.language : source.value);

function typed() {
  clearTimeout(timer);
  remember();
  if (!textBox.value.trim() && byId("detected").dataset.language) { forgetDetected(); fillTargets(); }
  splitLines();
  render();
  timer = setTimeout(translate, TYPING_PAUSE);
}

function splitLines() {
  const before = lines;
  lines = textBox.value.split("\n").map((text) => {
    const known = text.trim() ? cache.get(text) : { sentences: [] };
    if (known) return { text, ...known };
    const partial = before.find((line) => line.text && (text.startsWith(line.text) || line.text.startsWith(text)));
    return { text, pending: true, sentences: partial?.sentences ?? [] };
  });
  byId("count").textContent = textBox.value ? `${textBox.value.length.toLocaleString()} characters` : "";
}

const translationOf = (line) => line.sentences.map((sentence) => sentence.before + sentence.translation).join("");

async function translate() {
  request?.abort();
  const waiting = [...new Set(lines.filter((line) => line.pending).map((line) => line.text))];
  if (!waiting.length) return say(notes());
  const controller = (request = new AbortController());
  const options = settings();
  let done = 0;
  try {
    while (done < waiting.length) {
      const part = waiting.slice(done, done + LINES_PER_REQUEST);
      const parts = part.map(reuse);
      say([waiting.length > LINES_PER_REQUEST ? `${done} of ${waiting.length} lines` : "", notes()].filter(Boolean).join("; "));
      const answer = await call("translate", { q: parts.map((p) => p.rest), sentences: true, ...options }, controller.signal);
      showDetected(answer.detectedLanguage);
      part.forEach((line, index) => cache.set(line, joined(parts[index], answer, index)));
      done += part.length;
      splitLines();
      render();
      say(notes());
    }
  } catch (error) {
    if (error.name !== "AbortError") say(error.message, true);
  }
}

/** What the reader of the translation should know, of all lines that are shown. */
function notes() {
  const via = lines.map((line) => (line.via?.length ? `Through ${line.via.map(nameOf).join(", ")}` : ""));
  return [...new Set([...via, ...lines.flatMap((line) => line.warnings ?? [])])].filter(Boolean).join("; ");
}

/** The sentences at the beginning of a line that are translated already, and the rest of it. */
function reuse(line) {
  let best = { kept: [], rest: line };
  for (const [text, known] of cache) {
    if (line[0] !== text[0] || known.sentences.length < 2) continue;
    if (known.warnings.length) continue; // they may be of any of its sentences
    let end = 0;
    const kept = [];
    for (const sentence of known.sentences.slice(0, -1)) { // the last one may go on
      const start = line.indexOf(sentence.text, end);
      if (start < 0 || line.slice(end, start).trim()) break;
      end = start + sentence.text.length;
      kept.push(sentence);
    }
    const next = line.slice(end);
    if (kept.length > best.kept.length && /^\s/.test(next)) best = { kept, rest: next.trim() };
  }
  return best;
}

/** What is known of a line from the sentences that were kept and the answer for the rest. */
function joined({ kept, rest }, answer, index) {
  const translation = answer.translatedText[index];
  const parts = answer.sentences?.[index] ?? []; // none of a text that is left as it is
  const pairs = parts.length || !rest ? parts : [{ source: rest, target: translation }];
  let end = 0;
  const sentences = pairs.map((sentence) => {
    const start = Math.max(end, translation.indexOf(sentence.target, end));
    const before = translation.slice(end, start);
    end = start + sentence.target.length;
    return { text: sentence.source, translation: sentence.target, before };
  });
  if (kept.length && sentences.length) sentences[0].before = sentences[0].before || " ";
  return { sentences: [...kept, ...sentences], via: answer.via?.[index], warnings: answer.warnings?.[index] ?? [] };
}

function say(message, isError = false) {
  byId("status").textContent = message;
  byId("status").classList.toggle("error", isError);
}

function showDetected(detected) {
  const first = Array.isArray(detected) ? detected.find((item) => item) : detected;
  const label = byId("detected");
  if (source.value !== "auto" || !first || !textBox.value.trim()) return;
  label.dataset.language = first.language;
  label.textContent = `${nameOf(first.language)} (${Math.round(first.confidence)} %)`;
  fillTargets();
}

/** No language was detected where there is no text, or its language is chosen. */
function forgetDetected() {
  if (source.value === "auto" && textBox.value.trim()) return;
  byId("detected").textContent = "";
  delete byId("detected").dataset.language;
}

// --- showing

function render() {
  const coloured = byId("colour").checked;
  output.replaceChildren(...lines.flatMap((line, number) => {
    const shown = line.sentences.flatMap((sentence) => [sentence.before, sentenceElement(sentence, coloured)]);
    const row = element("span", { class: line.pending ? "pending" : "" }, ...shown);
    return number ? ["\n", row] : [row];
  }));
  output.lang = target.value;
  output.dir = RIGHT_TO_LEFT.test(target.value) ? "rtl" : "auto";
  if (coloured) colourWords();
}

function sentenceElement(sentence, coloured) {
  const open = () => choose(sentence);
  const children = coloured && sentence.words
    ? sentence.words.flatMap((word, index) => [word.before, element("span", {
        class: word.probability === null ? "" : "doubt", style: { "--p": doubt(word.probability ?? 1) }, title: word.probability === null ? null : percent(word.probability),
      }, word.text)])
    : [sentence.translation];
  return element("span", {
    class: "sentence", role: "button", tabindex: 0, title: coloured ? null : "See how it was translated", onclick: open,
    onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); } },
  }, ...children);
}

/** Ask for the probabilities of the words that have none yet, sentence by sentence. */
async function colourWords() {
  if (colouring) return;
  colouring = true;
  try {
    const next = () => lines.flatMap((line) => (line.pending ? [] : line.sentences)).find((sentence) => sentence.translation.trim() && !sentence.words);
    for (let sentence = next(); sentence && byId("colour").checked; sentence = next()) {
      const record = await call("inspect", { text: sentence.text, translation: sentence.translation, alternatives: false, source: spoken(), target: target.value, run: settings().run });
      setWords(sentence, record);
      render();
    }
  } catch (error) { say(error.message, true); } finally { colouring = false; }
}

/** The words of a translation, each with what stands before it; the text as it is where one of them is not in it. */
function setWords(sentence, record) {
  const text = sentence.translation;
  const lower = text.toLowerCase(); // the model may write another case
  const words = [];
  let end = 0;
  for (const word of record.target_words.slice(0, -1)) {
    const start = lower.indexOf(word.text.toLowerCase(), end);
    if (start < 0 || lower.length !== text.length) { words.length = end = 0; break; }
    const before = text.slice(end, start);
    end = start + word.text.length;
    words.push({ text: text.slice(start, end), probability: word.probability, before });
  }
  sentence.words = [...words, { text: text.slice(end), probability: null, before: "" }];
}

function choose(sentence) {
  const options = { source: spoken(), target: target.value };
  const comparable = runs.filter((r) => r.source === options.source && r.target === options.target);
  inspect(sentence, { ...options, run: settings().run }, comparable, (record) => {
    sentence.translation = record.displayed;
    delete sentence.words; // asked for anew, since those of the record are as the model writes them
    render();
  });
}

// --- languages and runs

const nameOf = (code) => languages.find((language) => language.code === code)?.name ?? code;

function option(value, text, data = {}) {
  const made = element("option", { value }, text);
  Object.assign(made.dataset, data);
  return made;
}

function fillTargets() {
  const from = spoken();
  const isTarget = source.value === "auto" && from === target.value; // detected: the text stays as it is
  const codes = from && !isTarget ? languages.find((language) => language.code === from)?.targets ?? [] : languages.flatMap((l) => l.targets);
  const before = target.value;
  target.replaceChildren(...[...new Set(codes)].map((code) => option(code, nameOf(code))));
  if (codes.includes(before)) target.value = before;
  const fitting = runs.filter((r) => r.source === from && r.target === target.value);
  byId("run-choice").hidden = fitting.length < 2;
  const chosen = run.value;
  run.replaceChildren(...fitting.map((r) => option(r.name, r.name, { pair: `${r.source}>${r.target}` })));
  if (fitting.some((r) => r.name === chosen)) run.value = chosen;
  store();
}

function swap() {
  const from = spoken();
  if (!from || !languages.find((language) => language.code === target.value)?.targets.includes(from))
    return say("There is no run for the other direction", true);
  const translated = lines.map((line) => (line.pending ? line.text : translationOf(line))).join("\n");
  source.value = target.value;
  fillTargets();
  target.value = from;
  if (translated.trim()) textBox.value = translated;
  start();
}

function start() {
  request?.abort();
  cache = new Map();
  lines = [];
  closeInspection();
  forgetDetected();
  fillTargets();
  typed();
}

// --- text files

async function translateFile(file) {
  fileRequest?.abort();
  const { signal } = (fileRequest = new AbortController());
  const options = settings();
  const [bar, status, link] = ["file-bar", "file-status", "file-link"].map(byId);
  byId("file-progress").hidden = false;
  byId("file-name").textContent = file.name;
  link.hidden = true;
  bar.hidden = false;
  bar.removeAttribute("value");
  status.textContent = "";
  status.classList.remove("error");
  let texts = [];
  const translated = [];
  const warnings = new Set();
  const done = () => `${translated.length.toLocaleString()} of ${texts.length.toLocaleString()} lines`;
  try {
    texts = linesOf(await file.arrayBuffer());
    signal.throwIfAborted();
    const began = performance.now();
    while (translated.length < texts.length) {
      const part = texts.slice(translated.length, translated.length + LINES_PER_REQUEST);
      const answer = await call("translate", { q: part, ...options }, signal);
      translated.push(...answer.translatedText);
      (answer.warnings ?? []).flat().forEach((warning) => warning && warnings.add(warning));
      const rest = (performance.now() - began) / translated.length * (texts.length - translated.length) / 1000;
      bar.value = translated.length / texts.length;
      status.textContent = `${done()}, ${Math.ceil(rest)} s left`;
    }
    bar.value = 1;
    status.textContent = [`${texts.length.toLocaleString()} lines`, ...warnings].join(" · ");
  } catch (error) {
    if (error.name === "AbortError") return;
    status.textContent = [error.message, ...(translated.length ? [done(), ...warnings] : [])].join(" · ");
    status.classList.add("error");
    bar.hidden = true;
  }
  if (!translated.length) return;
  link.href = URL.createObjectURL(new Blob(translated, { type: "text/plain" }));
  link.download = file.name.replace(/(\.[^.]*)?$/, `.${options.target}$1`);
  link.hidden = false;
}

/** The lines of a text file, each with its end, which the server keeps. */
function linesOf(bytes) {
  let text = "";
  try { text = new TextDecoder("utf-8", { fatal: true }).decode(bytes); } catch { throw new Error("Not a text file in UTF-8"); }
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

// --- what is remembered: in this browser alone

function store() {
  try { localStorage.setItem("nmt", JSON.stringify({ source: source.value, target: target.value, run: run.value, theme: document.documentElement.dataset.theme ?? "" })); } catch { /* private mode */ }
}

function remember() {
  try { sessionStorage.setItem("nmt-text", textBox.value); } catch { /* private mode */ }
}

function recall(storage, key) {
  try { return storage.getItem(key); } catch { return null; }
}

const THEMES = { "": ["◐", "as the system"], light: ["☀", "light"], dark: ["☾", "dark"] };

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  byId("theme").textContent = THEMES[theme][0];
  byId("theme").setAttribute("aria-label", `Colours: ${THEMES[theme][1]}`);
  store();
}

// --- beginning

function listen() {
  textBox.addEventListener("input", typed);
  for (const chooser of [source, target, run]) chooser.addEventListener("change", start);
  byId("file-cancel").addEventListener("click", () => { fileRequest?.abort(); byId("file-progress").hidden = true; });
  byId("swap").addEventListener("click", swap);
  byId("colour").addEventListener("change", render);
  byId("translator").addEventListener("submit", (event) => { event.preventDefault(); translate(); });
  byId("clear").addEventListener("click", () => { textBox.value = ""; start(); textBox.focus(); });
  byId("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(lines.map(translationOf).join("\n"));
      say("Copied");
    } catch { getSelection().selectAllChildren(output); say("Selected: copy with Ctrl+C"); }
  });
  byId("theme").addEventListener("click", () => {
    const order = Object.keys(THEMES);
    setTheme(order[(order.indexOf(document.documentElement.dataset.theme ?? "") + 1) % order.length]);
  });
  byId("file").addEventListener("change", (event) => { if (event.target.files[0]) translateFile(event.target.files[0]); event.target.value = ""; });
  document.addEventListener("dragover", (event) => { if (event.dataTransfer.types.includes("Files")) { event.preventDefault(); document.body.classList.add("dropping"); } });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    translateFile(event.dataTransfer.files[0]);
  });
  document.addEventListener("keydown", (event) => {
    if (event.altKey && event.key.toLowerCase() === "s") { event.preventDefault(); swap(); }
    if (event.key === "Escape") closeInspection();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { clearTimeout(timer); translate(); }
  });
}

async function begin() {
  document.documentElement.classList.add("scripted");
  const stored = JSON.parse(recall(localStorage, "nmt") ?? "{}");
  setTheme(stored.theme in THEMES ? stored.theme : "");
  listen();
  try {
    [languages, runs] = await Promise.all([call("languages"), call("frontend/settings").then((answer) => answer.runs)]);
  } catch (error) { return say(error.message, true); }
  if ([...source.options].some((choice) => choice.value === stored.source)) source.value = stored.source;
  fillTargets();
  if ([...target.options].some((choice) => choice.value === stored.target)) target.value = stored.target;
  fillTargets();
  if ([...run.options].some((choice) => choice.value === stored.run)) run.value = stored.run;
  textBox.value ||= recall(sessionStorage, "nmt-text") ?? "";
  typed();
}

begin();
