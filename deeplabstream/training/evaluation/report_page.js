const get = id => document.getElementById(id), frames = [...document.querySelectorAll("figure")];
const grid = document.querySelector(".frames");
function choose() {
  const set = get("set").value, part = get("part").value, kind = get("kind").value, order = get("order").value;
  const low = get("low").value === "" ? 0 : +get("low").value, high = get("high").value === "" ? 1 : +get("high").value;
  let shown = 0;
  for (const frame of frames) {
    frame.error = -1; frame.sure = 2; let any = false;
    for (const point of frame.querySelectorAll("g")) {
      const sure = +point.dataset.confidence;
      const wanted = (!part || point.dataset.part === part) && (!kind || point.dataset.kind === kind) && sure >= low && sure <= high;
      point.toggleAttribute("hidden", !wanted);
      if (!wanted) continue;
      any = true; frame.sure = Math.min(frame.sure, sure);
      if (point.dataset.error !== "") frame.error = Math.max(frame.error, +point.dataset.error);
    }
    frame.hidden = !any || (set && frame.dataset.set !== set);
    shown += !frame.hidden;
    const {missed = 0, wrong = 0} = frame.dataset;
    frame.amiss = +missed + +wrong;
    frame.querySelector("b").textContent = (frame.error < 0 ? frame.amiss ? "" : "no label" : "up to " + frame.error.toFixed(1) + " px")
      + (+missed ? " · " + missed + " missed" : "") + (+wrong ? " · " + wrong + " wrong" : "");
  }
  const name = (a, b) => a.dataset.name.localeCompare(b.dataset.name, undefined, {numeric: true});
  frames.sort((a, b) => (order === "animals" ? b.amiss - a.amiss || b.error - a.error : order === "error" ? b.error - a.error : order === "confidence" ? a.sure - b.sure : 0) || name(a, b));
  grid.append(...frames);
  get("count").textContent = shown + " of " + frames.length + " frames";
}
document.querySelector("form").addEventListener("input", choose);
document.querySelector("form").addEventListener("submit", event => event.preventDefault());
grid.addEventListener("click", event => event.target.closest("figure")?.classList.toggle("large"));
document.querySelectorAll("th").forEach((head, column) => head.addEventListener("click", () => {
  const table = head.closest("table"), body = head.closest("tbody"), rows = [...body.rows].slice(1);
  const up = head.dataset.up = head.dataset.up === "1" ? "0" : "1";
  const value = row => row.cells[column].textContent;
  rows.sort((a, b) => (up === "1" ? 1 : -1) * (column < 3 ? value(a).localeCompare(value(b)) : (parseFloat(value(a)) || 0) - (parseFloat(value(b)) || 0)));
  body.append(...rows);
}));
choose();
