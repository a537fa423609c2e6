"use strict";

/* Shows the states that the server sends each second. Texts are set as text, never as HTML. */

const SILENT_MS = 5000;
const tiles = new Map();
let heardAt = Date.now();

/* Unknown is not zero: it is shown as a dash. */
const known = (value, text) => (value === null || value === undefined ? "–" : text(value));

const FIGURES = [
  ["Animal", (box) => box.animal || "–"],
  ["Frames/s", ({ status }) => known(status, ratesOf)],
  ["Light", ({ status }) => known(status?.light, lightOf)],
  ["Trials", ({ status }) => known(status, (s) => String(s.trials))],
  ["Latency", ({ status }) => known(status?.latency_ms, latencyOf)],
  ["Frames lost", ({ status }) => known(status?.lost, (lost) => String(lost + status.lost_to_video))],
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

function latencyOf([p50, p99]) {
  return `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;
}

function nameOf(folder) {
  return folder.split(/[\\/]/).pop();
}

function tileOf(name) {
  if (!tiles.has(name)) {
    const tile = document.getElementById("box").content.cloneNode(true).firstElementChild;
    tile.querySelector("h2").textContent = name;
    for (const [label] of FIGURES) {
      const term = document.createElement("dt");
      term.textContent = label;
      tile.querySelector("dl").append(term, document.createElement("dd"));
    }
    tile.querySelector(".enlarge").addEventListener("click", () => enlarge(tile));
    for (const word of ["start", "stop"]) {
      tile.querySelector(`.${word}`).addEventListener("click", () => command(`${word} ${name}`));
    }
    tile.querySelector(".mark").addEventListener("click", () => mark(name));
    document.getElementById("boxes").append(tile);
    tiles.set(name, tile);
  }
  return tiles.get(name);
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
function mark(name) {
  const clickedAt = Date.now();
  const text = (prompt(`Text for the record of ${name}:`) || "").trim();
  const before = ((Date.now() - clickedAt) / 1000).toFixed(1);
  if (text) command(`mark ${name} ${text} (marked ${before} s before)`);
}

const TITLES = { start: "Start", stop: "Stop", mark: "Mark" };
const CONSEQUENCES = {
  mark: "The text becomes a note in its record.",
  start: "Its experiment starts: outputs can switch on.",
  stop: "The experiment ends, outputs go off, the record is closed.",
};

async function command(line) {
  const [word, name] = [line.split(" ")[0], line.split(" ").slice(1).join(" ")];
  const question = `${TITLES[word]} ${name || "all boxes"}?`;
  if (!confirm(`${question} ${CONSEQUENCES[word]}`)) return;
  const shown = document.getElementById("answer");
  shown.textContent = `${line} …`;
  try {
    const answer = await fetch("api/commands", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ command: line }),
    });
    const text = answer.status === 401 ? "error: the token is needed again" : (await answer.json()).answer;
    shown.textContent = `${new Date().toLocaleTimeString()} ${text}`;
  } catch {
    shown.textContent = `error: no connection; ${line} may not have been carried out`;
  }
}

/* An image is asked for again when its stream has begun again: its ring has another name. */
function showImages(tile, box) {
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
    const path = [box.name, camera].map(encodeURIComponent).join("/");
    image.addEventListener("error", () => figure.remove());
    image.src = `api/images/${path}`;
    caption.textContent = camera;
    figure.append(image, caption);
    images.append(figure);
  }
}

function show({ rack, commands, boxes }) {
  heardAt = Date.now();
  document.getElementById("rack").textContent = rack;
  document.title = `${rack}: DeepLabStream`;
  for (const box of boxes) {
    const tile = tileOf(box.name);
    const alarm = box.status?.alarm || "";
    tile.classList.toggle("fails", box.fails);
    tile.classList.toggle("runs", box.runs && !box.fails);
    tile.querySelector(".state").textContent = box.state;
    tile.querySelector(".alarm").textContent = `Alarm: ${alarm}`;
    tile.querySelector(".alarm").hidden = alarm === "";
    const values = tile.querySelectorAll("dd");
    FIGURES.forEach(([, text], n) => { values[n].textContent = text(box); });
    tile.querySelector(".start").hidden = !commands || box.runs;
    tile.querySelector(".stop").hidden = !commands || !box.runs;
    tile.querySelector(".mark").hidden = !commands || !box.status?.run_folder || !box.runs;
    showImages(tile, box);
  }
  document.getElementById("stop").hidden = !commands;
  const running = boxes.filter((box) => box.runs).length;
  const failing = boxes.filter((box) => box.fails).length;
  document.getElementById("summary").textContent =
    `${running} of ${boxes.length} boxes run, ${failing} with a problem`;
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

const events = new EventSource("api/events");
events.addEventListener("message", (event) => show(JSON.parse(event.data)));
/* A refused request ends the connection for good: the token is asked for again. */
events.addEventListener("error", () => {
  if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
});
document.getElementById("stop").addEventListener("click", () => command("stop"));
setInterval(checkConnection, 1000);
