// Zoom and movement of timelines: every drawing of one shows the same part of the time.
document.querySelectorAll(".timeline").forEach((timeline) => {
  const end = Number(timeline.dataset.end), width = 10000;
  const drawings = [...timeline.querySelectorAll("svg.tracks")];
  const range = timeline.querySelector(".range");
  let from = 0, to = width, asked = false;
  const show = () => {
    asked = false;
    for (const svg of drawings) svg.setAttribute("viewBox", `${from} 0 ${to - from} ${svg.getAttribute("height")}`);
    const cycle = (x) => Math.round((x / width) * end).toLocaleString("en-US");
    range.textContent = `cycle ${cycle(from)} to ${cycle(to)}`;
  };
  const set = (a, b, gently) => {
    const span = Math.min(width, Math.max(b - a, width / Math.max(end, 1)));
    from = Math.min(Math.max(0, a), width - span);
    to = from + span;
    // A wheel or a hand that drags asks more often than the screen is drawn.
    if (!gently) show();
    else if (!asked) { asked = true; requestAnimationFrame(show); }
  };
  const zoom = (factor, at = (from + to) / 2, gently = false) => set(at - (at - from) * factor, at + (to - at) * factor, gently);
  const move = (part) => set(from + (to - from) * part, to + (to - from) * part);
  const actions = { in: () => zoom(0.5), out: () => zoom(2), all: () => set(0, width) };
  timeline.querySelectorAll("button").forEach((b) => b.addEventListener("click", () => actions[b.dataset.do]()));
  timeline.addEventListener("keydown", (event) => {
    const keys = { "+": actions.in, "=": actions.in, "-": actions.out, 0: actions.all, ArrowLeft: () => move(-0.2), ArrowRight: () => move(0.2) };
    if (keys[event.key] && !event.ctrlKey && !event.metaKey) { event.preventDefault(); keys[event.key](); }
  });
  for (const svg of drawings) {
    const at = (event) => { const box = svg.getBoundingClientRect(); return from + ((event.clientX - box.left) / box.width) * (to - from); };
    svg.addEventListener("wheel", (event) => { event.preventDefault(); zoom(event.deltaY > 0 ? 1.25 : 0.8, at(event), true); }, { passive: false });
    let held = null;
    svg.addEventListener("pointerdown", (event) => { held = at(event); svg.setPointerCapture(event.pointerId); });
    svg.addEventListener("pointermove", (event) => { if (held !== null) { const by = held - at(event); set(from + by, to + by, true); } });
    svg.addEventListener("pointerup", () => { held = null; });
  }
});
