// The page of `nmt serve`: translates as one types, and shows how a sentence was translated.
import { askAgain, byId, call, directions, doubt, element, redraw, TRYING_AGAIN } from "./dom.js";
import { closeInspection, inspect } from "./inspection.js";

const [textBox, output, source, target, run] = ["text", "translation", "source", "target", "run"].map(byId);
const TYPING_PAUSE = 250; // milliseconds without a key before a text is sent
const SLOW = 500; // milliseconds after which the status says that a text is being translated
const LINES_PER_REQUEST = 16;
const CHARACTERS_PER_REQUEST = 5000;
const IS_CJK = /^[\u2e80-\u312f\u3190-\ua4cf\uf900-\ufaff\uff00-\uffef\u{20000}-\u{3347f}]/u; // no space stands beside it

let languages = [];
let runs = [];
let charLimit = CHARACTERS_PER_REQUEST; // of a request
let lines = []; // of the text: {text, space, sentences, pending}; space: what follows the text; the sentences are of this line alone
let cache = new Map(); // line -> {sentences, detected, via, warnings}, each sentence {text, translation, before, language, words}; before: what stands before it
let request = null; // the AbortController of the request that is under way
let fileRequest = null; // that of the text file
let timer = 0;
let colouring = false;

// --- translating

function settings() {
  const direct = { source: source.value, target: target.value };
  return run.value ? { ...direct, run: run.value } : direct; // none where the language is detected, of each line by itself
}

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

/** Cut the text into lines; those before and after what was edited stay, and so do sentences at their place in a line. */
function splitLines() {
  const before = lines;
  const full = textBox.value.split("\n");
  const texts = full.map((text) => text.trimEnd()); // space at the end is not sent
  const shorter = Math.min(texts.length, before.length);
  let start = 0, end = 0;
  while (start < shorter && texts[start] === before[start].text) start++;
  while (end < shorter - start && texts.at(-1 - end) === before.at(-1 - end).text) end++;
  const edited = before.slice(start, before.length - end);
  const used = new Set(); // of those: each line goes on as one
  const goesOn = (line, text) => line.text && !used.has(line) && (text.startsWith(line.text) || line.text.startsWith(text));
  const lineOf = (text, number) => {
    const same = number < start ? before[number] : number >= texts.length - end ? before.at(number - texts.length) : null;
    if (same && !same.pending) return same;
    const own = same ?? edited.find((line) => goesOn(line, text));
    used.add(own);
    const old = own?.sentences ?? [];
    const known = text ? cache.get(text) : { sentences: [] };
    return known ? { text, ...known, sentences: taken(known.sentences, old) } : { text, pending: true, sentences: old };
  };
  lines = texts.map((text, number) => Object.assign(lineOf(text, number), { space: full[number].slice(text.length) }));
  byId("count").textContent = textBox.value ? counted(textBox.value.length, "character") : "";
}

/** Sentences for one line: those it had at the same place, with the words that were chosen in them, and copies. */
function taken(sentences, old) {
  return sentences.map((sentence, index) => {
    const own = old[index];
    const stays = own?.text === sentence.text && own.language === sentence.language;
    return stays ? Object.assign(own, { before: sentence.before }) : { ...sentence };
  });
}

/** The texts to be sent next: at least one. */
function nextPart(texts, start) {
  let end = start;
  for (let size = 0; end < texts.length && end < start + LINES_PER_REQUEST; end++) {
    size += texts[end].length;
    if (end > start && size > Math.min(charLimit, CHARACTERS_PER_REQUEST)) break;
  }
  return texts.slice(start, end);
}

const translationOf = (line) => line.sentences.map((sentence) => sentence.before + sentence.translation).join("") + line.space;

async function translate(isRetry = false) {
  clearTimeout(timer);
  request?.abort();
  const waiting = [...new Set(lines.filter((line) => line.pending).map((line) => line.text))];
  if (!waiting.length) return say(notes());
  const controller = (request = new AbortController());
  const options = settings();
  let done = 0, slow = 0;
  try {
    while (done < waiting.length) {
      const part = nextPart(waiting, done);
      const parts = part.map(reuse);
      const isWhole = waiting.length === part.length;
      const progress = (what) => say([what, notes()].filter(Boolean).join("; "));
      if (!isRetry || done) progress(isWhole ? "" : `${done} of ${counted(waiting.length, "line")}`);
      if (isWhole) slow = setTimeout(progress, SLOW, "Translating…");
      const answer = await call("translate", { q: parts.map((p) => p.rest), sentences: true, ...options }, controller.signal);
      part.forEach((line, index) => cache.set(line, joined(parts[index], answer, index)));
      done += part.length;
      splitLines();
      showDetected(lines.find((line) => line.detected)?.detected);
      render();
      say(notes());
    }
  } catch (error) {
    if (error.name !== "AbortError") failed(error, () => { if (request === controller) translate(true); });
  } finally { clearTimeout(slow); }
}

/** Say what went wrong; where the server could not be reached, try again after a pause or when the network is back. */
function failed(error, retry) {
  if (error.status !== 0) return say(error.message, true);
  say(`${error.message}: ${TRYING_AGAIN}`, true);
  askAgain(retry);
}

/** A number with its noun: 1 line, 2 lines. */
function counted(number, noun) {
  return `${number.toLocaleString()} ${noun}${number === 1 ? "" : "s"}`;
}

/** What the reader of the translation should know, of all lines that are shown. */
function notes() {
  const via = lines.map((line) => (line.via?.length ? `Through ${line.via.map(nameOf).join(", ")}` : ""));
  return [...new Set([...via, ...lines.flatMap((line) => line.warnings ?? [])])].filter(Boolean).join("; ");
}

/** The sentences at the beginning of a line that are translated already, and the rest of it with what stands before it. */
function reuse(line) {
  let best = { kept: [], rest: line, space: "" };
  if (source.value === "auto") return best; // the language is that of the whole line
  if (/^\s*(<|>>|__)/.test(line)) return best; // perhaps a language tag, which the rest would lack
  for (const [text, known] of cache) {
    if (known.sentences.length < 2) continue;
    if (known.warnings.length) continue; // they may be of any of its sentences
    let end = 0;
    const kept = [];
    for (const sentence of known.sentences.slice(0, -1)) { // the last one may go on
      const start = text.indexOf(sentence.text, end);
      if (start < 0 || !line.startsWith(text.slice(0, start + sentence.text.length))) break;
      end = start + sentence.text.length;
      kept.push(sentence);
    }
    const [space] = line.slice(end).match(/^\s*/);
    if (kept.length > best.kept.length && space) best = { kept, rest: line.slice(end).trim(), space };
  }
  return best;
}

/** What is known of a line from the sentences that were kept and the answer for the rest. */
function joined({ kept, rest, space }, answer, index) {
  const translation = answer.translatedText[index];
  const parts = answer.sentences?.[index] ?? []; // none of a text that is left as it is
  const pairs = parts.length || !rest ? parts : [{ source: rest, target: translation }];
  const detected = answer.detectedLanguage?.[index];
  const via = answer.via?.[index];
  const isNews = (warning) => !via?.length || !warning.startsWith("sentences: "); // there are none through a third language
  const warnings = (answer.warnings?.[index] ?? []).filter(isNews);
  let end = 0;
  const sentences = pairs.map((sentence) => {
    const start = Math.max(end, translation.indexOf(sentence.target, end));
    const before = translation.slice(end, start);
    end = start + sentence.target.length;
    const text = (sentence.language_tag ?? "") + sentence.source; // as the model reads it
    return { text, translation: sentence.target, before, language: detected?.language ?? source.value };
  });
  if (kept.length && sentences.length) {
    const neighbours = [[...kept.at(-1).translation].at(-1), sentences[0].translation];
    sentences[0].before = space === " " && neighbours.some((text) => IS_CJK.test(text)) ? "" : space;
  }
  return { sentences: [...kept, ...sentences], detected, via, warnings };
}

function say(message, isError = false) {
  if (byId("status").textContent !== message) byId("status").textContent = message; // what stands is not read out again
  byId("status").classList.toggle("error", isError);
}

function showDetected(detected) {
  const label = byId("detected");
  if (source.value !== "auto" || !detected || !textBox.value.trim()) return;
  label.dataset.language = detected.language;
  label.textContent = `${nameOf(detected.language)} (${Math.round(detected.confidence)} %)`;
  fillTargets();
}

/** No language was detected where there is no text, or its language is chosen. */
function forgetDetected() {
  if (source.value === "auto" && textBox.value.trim()) return;
  byId("detected").textContent = "";
  delete byId("detected").dataset.language;
}

// --- showing

/** Show the lines; the elements of those that are shown already stay, and with them what is selected. */
function render() {
  const rows = [...output.children];
  lines.forEach((line, number) => {
    const row = rows[number] ?? output.appendChild(element("span"));
    row.classList.toggle("pending", Boolean(line.pending));
    if (row.sentences === line.sentences && row.space === line.space) return;
    Object.assign(row, { sentences: line.sentences, space: line.space });
    redraw(row, number ? "\n" : "", ...line.sentences.flatMap((sentence) => [sentence.before, sentenceElement(sentence)]), line.space);
  });
  rows.slice(lines.length).forEach((row) => row.remove());
  output.lang = target.value;
  output.dir = directions[target.value] ?? "auto";
  textBox.dir = directions[spoken()] ?? "auto";
  colourWords();
}

function sentenceElement(sentence) {
  const shown = element("span", {
    class: "sentence", role: "button", tabindex: 0, onclick: () => choose(sentence),
    onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(sentence); } },
  });
  shown.sentence = sentence;
  fill(shown);
  return shown;
}

/** Write the translation of a sentence into its element, with colours where they are known. */
function fill(shown) {
  const { translation, words } = shown.sentence;
  const coloured = byId("colour").checked;
  shown.title = coloured ? "" : "See how it was translated";
  shown.replaceChildren(...(coloured && words?.length
    ? words.flatMap((word) => [word.before, element("span", doubt(word.probability), word.text)])
    : [translation]));
}

/** Fill the elements of a sentence anew, or of all of them. */
function refill(sentence) {
  for (const shown of output.querySelectorAll(".sentence")) if (!sentence || shown.sentence === sentence) fill(shown);
}

/** Ask for the probabilities of the words that have none yet, sentence by sentence; one call at a time asks, or waits. */
async function colourWords(isRetry = false) {
  if (colouring) return;
  colouring = true;
  let waits = false;
  const done = () => lines.flatMap((line) => (line.pending ? [] : line.sentences));
  const next = () => byId("colour").checked && done().find((sentence) => sentence.translation.trim() && !sentence.words);
  try {
    for (let sentence = next(); sentence; sentence = next()) {
      await colour(sentence);
      refill(sentence);
    }
    if (isRetry) say(notes());
  } catch (error) {
    waits = error.status === 0;
    failed(error, () => { colouring = false; colourWords(true); });
  } finally { colouring = waits; }
}

async function colour(sentence) {
  const isSame = (other) => ["text", "translation", "language"].every((key) => other[key] === sentence[key]);
  const twin = lines.flatMap((line) => line.sentences).find((other) => other.words && isSame(other));
  if (twin) return void (sentence.words = twin.words);
  sentence.words = []; // those of a sentence that is refused
  if (!runsOf(sentence).length) return;
  const { text, translation } = sentence;
  try {
    const record = await call("inspect", { text, translation, alternatives: false, ...optionsOf(sentence) });
    if (sentence.translation === translation) setWords(sentence, record); // else another word was chosen meanwhile
  } catch (error) {
    if (error.status === 400) return;
    delete sentence.words;
    throw error;
  }
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

const runsOf = (sentence) => runs.filter((r) => r.source === sentence.language && r.target === target.value);
const optionsOf = (sentence) => ({ ...settings(), source: sentence.language });

function choose(sentence) {
  inspect(sentence, optionsOf(sentence), runsOf(sentence), (record) => {
    sentence.translation = record.displayed;
    delete sentence.words; // asked for anew, since those of the record are as the model writes them
    refill(sentence);
    colourWords();
  });
}

// --- languages and runs

const nameOf = (code) => languages.find((language) => language.code === code)?.name ?? code;

const option = (value, text) => element("option", { value }, text);

function fillTargets() {
  if (!languages.length) return; // they could not be had
  const from = spoken();
  const isTarget = source.value === "auto" && from === target.value; // detected: the text stays as it is
  const codes = from && !isTarget ? languages.find((language) => language.code === from)?.targets ?? [] : languages.flatMap((l) => l.targets);
  const before = target.value;
  target.replaceChildren(...[...new Set(codes)].map((code) => option(code, nameOf(code))));
  if (codes.includes(before)) target.value = before;
  const fitting = runs.filter((r) => r.source === source.value && r.target === target.value);
  byId("run-choice").hidden = fitting.length < 2;
  const chosen = run.value;
  run.replaceChildren(...fitting.map((r) => option(r.name, r.name)));
  if (fitting.some((r) => r.name === chosen)) run.value = chosen;
}

function swap() {
  const from = spoken();
  if (!from || !languages.find((language) => language.code === target.value)?.targets.includes(from))
    return say("No run translates in the other direction", true);
  const translated = lines.map((line) => (line.pending ? line.text + line.space : translationOf(line))).join("\n");
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
  if (languages.length) store({ source: source.value, target: target.value, run: run.value });
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
  byId("file-cancel").textContent = "Cancel";
  status.textContent = "";
  status.classList.remove("error");
  let texts = [], mark = "";
  const translated = [];
  const warnings = new Set();
  const done = () => `${translated.length.toLocaleString()} of ${counted(texts.length, "line")}`;
  try {
    if (file.type && file.type !== "text/plain" && !/\.txt$/i.test(file.name))
      throw new Error(`Only plain text is translated, not ${file.type}: save it as a .txt file first`);
    const bytes = await file.arrayBuffer();
    signal.throwIfAborted();
    [mark, texts] = linesOf(bytes);
    const began = performance.now();
    while (translated.length < texts.length) {
      const part = nextPart(texts, translated.length);
      const answer = await call("translate", { q: part, ...options }, signal);
      translated.push(...answer.translatedText);
      (answer.warnings ?? []).flat().forEach((warning) => warning && warnings.add(warning));
      const rest = (performance.now() - began) / translated.length * (texts.length - translated.length) / 1000;
      bar.value = translated.length / texts.length;
      status.textContent = `${done()}, ${Math.ceil(rest)} s left`;
    }
    bar.value = 1;
    status.textContent = [counted(texts.length, "line"), ...warnings].join(" · ");
  } catch (error) {
    if (error.name === "AbortError") return;
    status.textContent = [error.message, ...(translated.length ? [done(), ...warnings] : [])].join(" · ");
    status.classList.add("error");
    bar.hidden = true;
  }
  byId("file-cancel").textContent = "Close";
  if (!translated.length) return;
  link.href = URL.createObjectURL(new Blob([mark, ...translated], { type: "text/plain" }));
  link.download = file.name.replace(/(\.[^.]*)?$/, `.${options.target}$1`);
  link.hidden = false;
}

/** The byte order mark of a text file in UTF-8, or nothing, and its lines, each with its end, which the server keeps. */
function linesOf(bytes) {
  const encoding = { "255,254": "utf-16le", "254,255": "utf-16be" }[new Uint8Array(bytes).subarray(0, 2)] ?? "utf-8";
  let text = "\0";
  try { text = new TextDecoder(encoding, { fatal: true, ignoreBOM: encoding === "utf-8" }).decode(bytes); } catch { /* said below */ }
  if (text.includes("\0")) throw new Error("Not a text file in UTF-8, or in UTF-16 with a byte order mark");
  const [mark] = text.match(/^\ufeff?/);
  return [mark, text.slice(mark.length).match(/[^\n]*\n|[^\n]+$/g) ?? []];
}

// --- what is remembered: in this browser alone

const stored = () => JSON.parse(recall(localStorage, "nmt") ?? "{}");

function store(chosen) {
  try { localStorage.setItem("nmt", JSON.stringify({ ...stored(), ...chosen })); } catch { /* private mode */ }
}

function remember() {
  try { sessionStorage.setItem("nmt-text", textBox.value); } catch { /* private mode */ }
}

function recall(storage, key) {
  try { return storage.getItem(key); } catch { return null; }
}

const THEMES = { "": ["◐", "as in the system"], light: ["☀", "light"], dark: ["☾", "dark"] };

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  byId("theme").textContent = THEMES[theme][0];
  byId("theme").setAttribute("aria-label", `Colours: ${THEMES[theme][1]}`);
}

// --- beginning

function listen() {
  textBox.addEventListener("input", typed);
  for (const chooser of [source, target, run]) chooser.addEventListener("change", start);
  byId("file-cancel").addEventListener("click", () => { fileRequest?.abort(); byId("file-progress").hidden = true; });
  byId("swap").addEventListener("click", swap);
  byId("colour").addEventListener("change", () => { refill(); colourWords(); });
  byId("translator").addEventListener("submit", (event) => { event.preventDefault(); translate(); });
  byId("clear").addEventListener("click", () => { textBox.value = ""; start(); textBox.focus(); });
  byId("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(lines.map(translationOf).join("\n"));
      say("Copied");
    } catch { getSelection().selectAllChildren(output); say(`Selected: copy with ${/Mac|iP/.test(navigator.platform) ? "Cmd" : "Ctrl"}+C`); }
  });
  byId("theme").addEventListener("click", () => {
    const order = Object.keys(THEMES);
    const theme = order[(order.indexOf(document.documentElement.dataset.theme ?? "") + 1) % order.length];
    setTheme(theme);
    store({ theme });
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
    const isS = /^s$/i.test(event.key) || (event.code === "KeyS" && !/[a-zśš]/i.test(event.key)); // on macOS it is ß
    if (event.altKey && !event.ctrlKey && isS) { event.preventDefault(); swap(); }
    if (event.key === "Escape") closeInspection();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { clearTimeout(timer); translate(); }
  });
}

async function begin() {
  document.documentElement.classList.add("scripted");
  output.replaceChildren(); // what the form without JavaScript was answered
  const before = stored();
  setTheme(before.theme in THEMES ? before.theme : "");
  listen();
  await load(before);
}

/** Ask what can be translated, and choose what was chosen before. */
async function load(before) {
  try {
    [languages, { runs, charLimit }] = await Promise.all([call("languages"), call("frontend/settings")]);
  } catch (error) { return failed(error, () => load(stored())); }
  for (const { code, direction } of languages) directions[code] = direction;
  if ([...source.options].some((choice) => choice.value === before.source)) source.value = before.source;
  fillTargets();
  if ([...target.options].some((choice) => choice.value === before.target)) target.value = before.target;
  fillTargets();
  if ([...run.options].some((choice) => choice.value === before.run)) run.value = before.run;
  textBox.value ||= recall(sessionStorage, "nmt-text") ?? "";
  typed();
}

begin();
