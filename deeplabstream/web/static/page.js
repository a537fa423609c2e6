"use strict";

/* Shows the states of all boxes. Texts are set as text, never as HTML.

   A browser opens six connections to one server. Streams would hold them, and the command
   "stop" would wait for one; so states and images are requested one by one. */

const SILENT_MS = 5000;
const STATES_MS = 1000;
const IMAGE_MS = 300;
const tiles = new Map();
const sections = new Map();
/* Where commands and images are; `boxes` and `commands` come with the first states. */
const OWN = { computer: "", path: "api" };
let heardAt = Date.now();
/* Title and consequence of each command, as the rack declares them; null: not read yet. */
let declared = null;

/* Unknown is not zero: it is shown as a dash. */
const known = (value, text) => (value === null || value === undefined ? "–" : text(value));

const FIGURES = [
  ["Animal", (box) => box.animal || "–"],
  ["Frames/s", ({ status }) => known(status, ratesOf)],
  ["Light", ({ status }) => known(status?.light, lightOf)],
  ["Trials", ({ status }) => known(status, (s) => String(s.trials))],
  ["Latency", ({ status }) => known(status?.latency_ms, latencyOf)],
  ["Frames lost", ({ status }) => known(status?.lost, (lost) => String(lost + status.lost_to_video))],
  ["Camera errors", ({ status }) => errorsOf(status?.left_out_px || {})],
  ["Not analysed", ({ status }) => known(status, (s) => String(s.skipped))],
  ["Disk free", ({ status }) => known(status?.disk_free_gb, (gb) => `${Math.round(gb)} GB`)],
  ["Run folder", ({ status }) => known(status?.run_folder || null, nameOf)],
];

function ratesOf(status) {
  const rates = Object.entries(status.rates);
  return rates.map(([name, rate]) => `${name} ${rate.toFixed(1)}`).join(", ") || "–";
}

/* Tenths rounded down: 11.99 is before 12.0. */
function lightOf({ phase, zeitgeber_h: hours }) {
  return `${phase}, ZT ${(Math.floor(10 * hours) / 10).toFixed(1)}`;
}

/* Of a box without points in space it is empty, and not shown. */
function errorsOf(errors) {
  const texts = Object.entries(errors).map(([name, px]) => `${name} ${known(px, (n) => n.toFixed(1))}`);
  return texts.length ? `${texts.join(", ")} px` : "";
}

function latencyOf([p50, p99]) {
  return `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;
}

function nameOf(folder) {
  return folder.split(/[\\/]/).pop();
}

function tileOf(place, name) {
  const key = `${place.computer}/${name}`;
  if (!tiles.has(key)) {
    const tile = document.getElementById("box").content.cloneNode(true).firstElementChild;
    tile.querySelector("h3").textContent = name;
    for (const [label] of FIGURES) {
      const term = document.createElement("dt");
      term.textContent = label;
      tile.querySelector("dl").append(term, document.createElement("dd"));
    }
    tile.querySelector(".enlarge").addEventListener("click", () => enlarge(tile));
    for (const word of ["start", "restart", "stop"]) {
      tile.querySelector(`.${word}`).addEventListener("click", () =>
        command([place], `${word} ${name}`));
    }
    tile.querySelector(".mark").addEventListener("click", () => mark(place, name));
    place.boxes.append(tile);
    tiles.set(key, tile);
  }
  return tiles.get(key);
}

/* The part of the page with the boxes of another computer. */
function sectionOf({ name, address }) {
  if (!sections.has(name)) {
    const section = document.getElementById("computer").content.cloneNode(true).firstElementChild;
    section.querySelector("h2").textContent = name;
    section.querySelector("a").href = address;
    const place = {
      computer: name,
      path: `api/computers/${encodeURIComponent(name)}`,
      boxes: section.querySelector(".boxes"),
      commands: false,
      section,
    };
    section.querySelector(".stop").addEventListener("click", () => command([place], "stop"));
    document.getElementById("computers").append(section);
    sections.set(name, place);
  }
  return sections.get(name);
}

function enlarge(chosen) {
  for (const tile of tiles.values()) {
    const full = tile === chosen && !tile.classList.contains("full");
    tile.classList.toggle("full", full);
    tile.querySelector(".enlarge").textContent = full ? "Reduce" : "Enlarge";
  }
  if (chosen.classList.contains("full")) chosen.scrollIntoView();
}

/* The time of a mark is that of the click, not that of the end of its text. */
function mark(place, name) {
  const clickedAt = Date.now();
  const text = (prompt(`Text for the record of ${name}:`) || "").trim();
  const before = ((Date.now() - clickedAt) / 1000).toFixed(1);
  if (text) command([place], `mark ${name} ${text} (marked ${before} s before)`);
}

/* Asks once, then sends the command to each place at the same time. */
async function command(places, line) {
  const [word, name] = [line.split(" ")[0], line.split(" ").slice(1).join(" ")];
  const where = places.length > 1 ? " of all computers" : labelOf(places[0]);
  const { title, consequence } = declared[word];
  if (!confirm(`${title} ${name || "all boxes"}${where}? ${consequence}`)) return;
  const shown = document.getElementById("answer");
  shown.textContent = `${line}${where} …`;
  const answers = await Promise.all(places.map((place) => answerOf(place, line)));
  const texts = places.map((place, n) =>
    (place.computer ? `${place.computer}: ${answers[n]}` : answers[n]));
  shown.textContent = `${new Date().toLocaleTimeString()} ${texts.join("; ")}`;
}

function labelOf({ computer }) {
  return computer ? ` of ${computer}` : "";
}

async function answerOf({ path }, line) {
  try {
    const answer = await fetch(`${path}/commands`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ command: line }),
    });
    return answer.status === 401 ? "error: the token is needed again" : (await answer.json()).answer;
  } catch {
    return `error: no connection; ${line} may not have been carried out`;
  }
}

/* Loads the newest image again and again, until the figure leaves the page. */
function keepLoading(figure, image, path) {
  const load = () => {
    if (!figure.isConnected) return;
    if (document.hidden) setTimeout(load, IMAGE_MS);
    else image.src = `${path}?${Date.now()}`;
  };
  image.addEventListener("load", () => setTimeout(load, IMAGE_MS));
  image.addEventListener("error", () => figure.remove());
  setTimeout(load);
}

/* An image is asked for again when its stream has begun again: its ring has another name. */
function showImages(tile, place, box) {
  const rings = (box.runs && box.status?.rings) || {};
  const images = tile.querySelector(".images");
  for (const figure of [...images.children]) {
    if (rings[figure.dataset.camera]?.memory !== figure.dataset.memory) {
      figure.querySelector("img").src = "";
      figure.remove();
    }
  }
  for (const [camera, ring] of Object.entries(rings)) {
    if ([...images.children].some((figure) => figure.dataset.camera === camera)) continue;
    const [figure, image, caption] = ["figure", "img", "figcaption"].map((tag) =>
      document.createElement(tag));
    Object.assign(figure.dataset, { camera, memory: ring.memory });
    image.alt = `newest frame of camera ${camera}`;
    [image.height, image.width] = ring.format.shape;
    image.style.height = "auto";
    const names = [box.name, camera].map(encodeURIComponent).join("/");
    keepLoading(figure, image, `${place.path}/image/${names}`);
    caption.textContent = camera;
    figure.append(image, caption);
    images.append(figure);
  }
}

function showBoxes(place, boxes) {
  for (const box of boxes) {
    const tile = tileOf(place, box.name);
    const alarm = box.status?.alarm || "";
    tile.classList.toggle("fails", box.fails);
    tile.classList.toggle("runs", box.runs && !box.fails);
    tile.querySelector(".state").textContent = box.state;
    tile.querySelector(".alarm").textContent = `Alarm: ${alarm}`;
    tile.querySelector(".alarm").hidden = alarm === "";
    const values = tile.querySelectorAll("dd");
    const terms = tile.querySelectorAll("dt");
    FIGURES.forEach(([, text], n) => {
      values[n].textContent = text(box);
      values[n].hidden = terms[n].hidden = values[n].textContent === "";
    });
    tile.querySelector(".start").hidden = !place.commands || box.runs;
    tile.querySelector(".restart").hidden = !place.commands || !box.runs;
    tile.querySelector(".stop").hidden = !place.commands || !box.runs;
    tile.querySelector(".mark").hidden = !place.commands || !box.status?.run_folder || !box.runs;
    showImages(tile, place, box);
  }
}

/* The last known states of a computer that does not answer stay, dimmed. */
function showComputer(computer) {
  const place = sectionOf(computer);
  place.commands = computer.commands;
  const problem = place.section.querySelector(".problem");
  problem.hidden = computer.problem === "";
  const age = computer.boxes.length ? " What is shown is old." : "";
  problem.textContent = `${computer.address}: ${computer.problem}.${age}`;
  place.section.classList.toggle("old", computer.problem !== "");
  place.section.querySelector(".summary").textContent = summaryOf(computer.boxes);
  place.section.querySelector(".stop").hidden = !computer.commands;
  showBoxes(place, computer.boxes);
}

function summaryOf(boxes) {
  const running = boxes.filter((box) => box.runs).length;
  const failing = boxes.filter((box) => box.fails).length;
  return `${running} of ${boxes.length} boxes run, ${failing} with a problem`;
}

function show({ rack, commands, boxes, computers }) {
  heardAt = Date.now();
  document.getElementById("rack").textContent = rack;
  document.title = `${rack}: DeepLabStream`;
  OWN.boxes = document.getElementById("boxes");
  OWN.commands = commands;
  showBoxes(OWN, boxes);
  computers.forEach(showComputer);
  document.getElementById("stop").hidden = stopped().length === 0;
  const lost = computers.filter((computer) => computer.problem !== "").length;
  const all = [...boxes, ...computers.flatMap((computer) => computer.boxes)];
  document.getElementById("summary").textContent =
    summaryOf(all) + (lost ? `, ${lost} of ${computers.length} other computers without connection` : "");
}

/* The places that "Stop all boxes" stops. */
function stopped() {
  return [OWN, ...sections.values()].filter((place) => place.commands);
}

/* What is shown may be old: that must be seen. */
function checkConnection() {
  const lost = document.getElementById("lost");
  const silent = Date.now() - heardAt > SILENT_MS;
  document.body.classList.toggle("old", silent);
  lost.hidden = !silent;
  if (silent) {
    const since = new Date(heardAt).toLocaleTimeString();
    lost.textContent = `No connection to the rack's computer since ${since}. What is shown is old.`;
  }
}

async function keepReading() {
  declared ??= await newest("api/commands");
  const state = declared && await newest("api/boxes");
  setTimeout(keepReading, STATES_MS);
  if (state) show(state);
}

/* Null: there is none, which `checkConnection` shows. */
async function newest(path) {
  try {
    const answer = await fetch(path, { signal: AbortSignal.timeout(SILENT_MS) });
    /* The page asks for the token again. */
    if (answer.status === 401) location.reload();
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

document.getElementById("stop").addEventListener("click", () => command(stopped(), "stop"));
setInterval(checkConnection, 1000);
keepReading();
