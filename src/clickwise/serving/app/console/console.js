// The page of a clickwise server. Whatever comes from the server becomes text, never markup: `h` makes every element.
"use strict";

const POLL_MS = 3000, WINDOW_MS = 5 * 60 * 1000, MOST_REASONS = 8, Z95 = 1.96;
const SCORING = new Set(["/v1/score", "/v1/recommend", "/v2/models/"]);
const MEASURES = {
  log_loss: "Log loss", roc_auc: "ROC AUC", calibration: "Calibration", normalized_entropy: "Normalized entropy",
  ece: "Calibration error", gauc: "Grouped AUC",
};
const $ = (id) => document.getElementById(id);
let key = "", columns = {}, request = { user: {}, candidates: [] }, asJson = false, shown = "", samples = [];

// ---- elements, numbers, the server

function h(tag, told = {}, ...inside) {
  const svg = ["svg", "line", "path", "circle", "text", "title"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(told)) {
    if (name === "onclick" || name === "oninput") made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...there(inside));
  return made;
}

const there = (inside) => inside.flat(Infinity).filter((each) => each !== null && each !== undefined);
const show = (place, ...inside) => place.replaceChildren(...there(inside));
const number = (value, digits) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const percent = (share) => number(share * 100, share < 0.1 ? 2 : 1) + " %";
const signed = (value) => (value < 0 ? "−" : "+") + number(Math.abs(value), 2);
const milliseconds = (s) => number(s * 1000, s < 0.01 ? 2 : s < 0.1 ? 1 : 0);
const isPlain = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

async function ask(path, body, withKey = key) {
  const headers = withKey ? { Authorization: "Bearer " + withKey } : {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method: body === undefined ? "GET" : "POST", body, headers, cache: "no-store" });
  const text = await answer.text();
  if (answer.ok) return text;
  let problem = `the server answered ${answer.status}`;
  try { problem = JSON.parse(text).error || problem; } catch { /* it was no JSON: the status has to do */ }
  throw Object.assign(new Error(problem), { status: answer.status });
}

function trouble(error) {
  const away = error instanceof TypeError;
  $("trouble").hidden = !error;
  if (error) show($("trouble"), away ? "The server does not answer." : error.message);
  if (error && error.status === 401) show($("trouble"), "This server asks for its key: ", h("button", { type: "button", onclick: enter }, "Enter the key"));
}

// ---- what is live

async function refresh() {
  try {
    const text = await ask("v1/models");
    trouble(null);
    if (text === shown) return;
    shown = text;
    const models = JSON.parse(text), live = models.versions.find((each) => each.number === models.traffic.live);
    if (models.trouble) trouble(new Error(models.trouble));
    columns = (live && live.columns) || {};
    show($("card"), live ? card(live) : h("p", { class: "empty muted" }, "No version is live. ", h("code", {}, "clickwise publish"), " makes one so."));
    versions(models);
    if (!request.candidates.length && live) await example();
    else if (!asJson) form();
  } catch (error) { trouble(error); }
}

function card(version) {
  const told = version.card || {}, data = told.data || {}, training = told.training || {};
  const part = ["test", "valid"].find((name) => told.metrics && told.metrics[name]);
  const measured = (part && told.measured && told.measured[part]) || {};
  const bins = measured.reliability || [];
  const left = h("div", {},
    h("div", { class: "head" }, h("span", { class: "name" }, (told.model && told.model.name) || "a model"), h("span", { class: "pill good" }, `version ${version.number}`),
      told.calibrator ? h("span", { class: "pill" }, "calibrated: " + told.calibrator.method) : null,
      told.precision ? h("span", { class: "pill" }, told.precision) : null),
    h("p", { class: "muted first" }, trained(told.created, training.rows, data.source)),
    part ? h("h3", {}, `On ${part === "test" ? "test" : "validation"} rows`, measured.rows ? h("span", { class: "muted" }, ` · ${number(measured.rows, 0)}, ${number(measured.positives, 0)} clicks`) : null) : null,
    part ? h("dl", { class: "figures" }, Object.entries(told.metrics[part]).filter(([, value]) => value !== null)
      .map(([name, value]) => figure(MEASURES[name] || name, number(value, 4), errorOf(measured.stderr, name)))) : null,
    h("details", {}, h("summary", {}, "The whole card"), h("pre", { tabindex: 0 }, JSON.stringify({ name: version.name, ...told }, null, 2))));
  const right = bins.length ? reliability(bins) : h("p", { class: "empty muted" }, "This version has no reliability bins. Bundles that are trained from now on have.");
  return h("div", { class: "two" }, left, right);
}

function trained(created, rows, source) {
  const when = created ? new Date(created).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" }) : "";
  return "trained" + (when && ` ${when}`) + (rows ? ` on ${number(rows, 0)} rows` : "") + (source ? ` of ${source}` : "");
}

function errorOf(errors, name) {
  return errors && errors[name] ? "± " + number(Z95 * errors[name], 4) : "";
}

function figure(name, value, more) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value, " ", h("small", {}, more || "")));
}

function reliability(bins) {
  const W = 420, H = 260, left = 44, bottom = 34, ends = bins.map((b) => ({ p: b.mean_prob, y: b.mean_label, e: Z95 * Math.sqrt(b.mean_label * (1 - b.mean_label) / Math.max(b.weight, 1)) }));
  const top = nice(Math.max(...ends.map((b) => Math.max(b.p, b.y + b.e))));
  const x = (v) => left + (W - left - 8) * v / top, y = (v) => H - bottom - (H - bottom - 8) * Math.min(Math.max(v, 0), top) / top;
  const ticks = [0, top / 2, top];
  const worst = Math.max(...ends.map((b) => Math.abs(b.p - b.y)));
  return h("figure", {},
    h("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `Reliability: predicted against observed click rate in ${bins.length} bins; they differ by at most ${percent(worst)}` },
      ticks.map((t) => [h("line", { class: "grid", x1: left, x2: W - 8, y1: y(t), y2: y(t) }),
        h("text", { x: left - 6, y: y(t) + 4, "text-anchor": "end" }, percent(t)), h("text", { x: x(t), y: H - bottom + 16, "text-anchor": t === top ? "end" : "middle" }, percent(t))]),
      h("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(top), y2: y(top) }),
      ends.map((b) => h("line", { class: "whisker", x1: x(b.p), x2: x(b.p), y1: y(b.y - b.e), y2: y(b.y + b.e) })),
      h("path", { class: "line", d: "M" + ends.map((b) => `${x(b.p)} ${y(b.y)}`).join("L") }),
      ends.map((b) => h("circle", { class: "dot", cx: x(b.p), cy: y(b.y), r: 3.5 }, h("title", {}, `predicted ${percent(b.p)}, observed ${percent(b.y)} ± ${percent(b.e)}`))),
      h("text", { x: W - 8, y: H - 2, "text-anchor": "end" }, "predicted click rate")),
    h("figcaption", {}, "Observed click rate in bins of equal size, with 95 % bars. On the dashed line the model is right."));
}

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((n) => n * power).find((n) => n >= value * 0.999) || value;
}

// ---- try it

async function example() {
  try { take(JSON.parse(await ask("v1/example"))); } catch (error) { answered(error); }
}

function take(given) {
  request = { ...given, user: isPlain(given.user) ? given.user : {}, candidates: given.candidates };
  $("body").value = JSON.stringify(request, null, 2);
  form();
}

function form() {
  const given = Object.keys(columns), known = (name) => given.includes(name);
  const mine = new Set(request.candidates.flatMap(Object.keys));
  const others = given.filter((name) => !mine.has(name));
  show($("form"),
    others.length ? [h("h3", {}, "User"), fields("user", request.user, others)] : h("p", { class: "muted" }, "All columns are with the candidates."),
    h("h3", {}, "Candidates"),
    request.candidates.map((row, place) => h("details", { class: "candidate" }, h("summary", {}, `${place + 1} · ${title(row, place)}`),
      fields(`candidate-${place}`, row, [...mine].filter(known)),
      h("button", { type: "button", class: "quiet", "aria-label": `Remove candidate ${place + 1}`, onclick: () => { request.candidates.splice(place, 1); form(); } }, "Remove"))),
    h("button", { type: "button", onclick: () => { request.candidates.push({ ...request.candidates.at(-1) }); form(); } }, "Add a candidate"));
}

function fields(prefix, row, names) {
  return h("div", { class: "fields" }, names.map((name) => {
    const id = `${prefix}-${Object.keys(columns).indexOf(name)}`, input = h("input", { id, value: text(row[name]), placeholder: "missing", autocomplete: "off", spellcheck: "false",
      oninput: () => { const cell = read(input.value, columns[name]); if (cell === undefined) row[name] = null; else row[name] = cell; } });
    return h("div", {}, h("label", { for: id }, name), input);
  }));
}

const text = (cell) => cell === null || cell === undefined ? "" : Array.isArray(cell) ? cell.join(", ") : String(cell);

function read(written, kind) {
  if (written.trim() === "") return undefined;
  if (kind === "list") return written.split(",").map((each) => each.trim()).filter(Boolean);
  return kind === "number" && Number.isFinite(Number(written)) ? Number(written) : written;
}

function edit(json) {
  if (asJson && !json) {
    try {
      const given = JSON.parse($("body").value);
      if (!isPlain(given) || !Array.isArray(given.candidates) || !given.candidates.every(isPlain)) throw new Error('it is {"user": {..}, "candidates": [{..}, ..]}');
      take(given);
    } catch (error) { return answered(new Error("This cannot be shown as a form: " + error.message)); }
  } else if (json) $("body").value = JSON.stringify(request, null, 2);
  asJson = json;
  $("form").hidden = json;
  $("json").hidden = !json;
  $("as-form").setAttribute("aria-pressed", String(!json));
  $("as-json").setAttribute("aria-pressed", String(json));
}

async function rank(path) {
  for (const id of ["rank", "explain"]) $(id).disabled = true;
  const body = asJson ? $("body").value : JSON.stringify(request), began = performance.now();
  try {
    const found = JSON.parse(await ask(path, body));
    answered(null, found, JSON.parse(body), performance.now() - began);
  } catch (error) { answered(error); } finally { for (const id of ["rank", "explain"]) $(id).disabled = false; }
}

function answered(error, found, sent, ms) {
  if (error) { show($("answer"), h("p", { class: "trouble" }, error.message)); return; }
  const order = found.probabilities.map((p, place) => [p, place]).sort((a, b) => b[0] - a[0]);
  const reasons = new Map((found.reasons || []).map((each) => [each.candidate - 1, each]));
  const top = Math.max(...found.probabilities, 1e-12);
  const widest = Math.max(...(found.reasons || []).flatMap((each) => Object.values(each.effects).map(Math.abs)), 1e-9);
  show($("answer"),
    h("p", { class: "muted" }, `${order.length} candidates, version ${found.version}, ${number(ms, 0)} ms to here and back`),
    h("ol", { class: "ranked" }, order.map(([p, place], rank) => h("li", {},
      h("div", { class: "place" }, h("span", { class: "rank" }, String(rank + 1)), h("span", { class: "who" }, title(sent.candidates[place], place)), h("span", { class: "p" }, percent(p)),
        h("div", { class: "track", "aria-hidden": "true" }, wide(h("span"), p / top))),
      reasons.has(place) ? why(reasons.get(place), widest, rank === 0) : null))),
    found.limit ? h("p", { class: "muted small" }, "Reasons for " + found.limit + ".") : null,
    found.reasons ? h("p", { class: "muted small" }, "A reason is how much lower the log-odds of a click get when the column is missing. Reasons need not add up.") : null,
    found.ignored.length ? h("p", { class: "muted small" }, "Not read by this version: " + found.ignored.join(", ")) : null);
}

function title(row, place) {
  const cells = Object.entries(row || {}).filter(([, cell]) => cell !== null && !Array.isArray(cell)).slice(0, 3);
  return cells.length ? cells.map(([, cell]) => String(cell)).join(" · ") : `candidate ${place + 1}`;
}

function why(reason, widest, open) {
  const effects = Object.entries(reason.effects).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const rows = effects.slice(0, MOST_REASONS).map(([name, effect]) => h("tr", {}, h("th", { scope: "row", title: name }, name),
    h("td", { "aria-hidden": "true" }, h("div", { class: "effect" }, wide(h("span", { class: effect < 0 ? "down" : "up" }), Math.abs(effect) / widest / 2))),
    h("td", { class: effect < 0 ? "down-text" : "up-text" }, signed(effect))));
  const rest = effects.length - rows.length;
  return h("details", { class: "reasons", open }, h("summary", {}, "Reasons"), h("table", {}, h("tbody", {}, rows)), rest > 0 ? h("p", { class: "muted small" }, `and ${rest} smaller ones`) : null);
}

function wide(element, share) {
  element.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return element;
}

// ---- traffic, from two readings of /metrics

function sample(page) {
  const found = { at: Date.now(), buckets: new Map(), count: 0, failed: 0, waiting: 0 };
  for (const line of page.split("\n")) {
    const parts = /^clickwise_(request_seconds_bucket|request_seconds_count|requests_total|waiting)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!parts) continue;
    const labels = Object.fromEntries([...(parts[2] || "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((m) => [m[1], m[2]])), value = Number(parts[3]);
    if (parts[1] === "waiting") found.waiting += value;
    else if (!SCORING.has(labels.route)) continue;
    else if (parts[1] === "requests_total") found.failed += Number(labels.status) >= 400 ? value : 0;
    else if (parts[1] === "request_seconds_count") found.count += value;
    else found.buckets.set(Number(labels.le.replace("+Inf", "Infinity")), (found.buckets.get(Number(labels.le.replace("+Inf", "Infinity"))) || 0) + value);
  }
  return found;
}

function between(a, b, share) {
  const edges = [...b.buckets.keys()].sort((x, y) => x - y), counts = edges.map((e) => b.buckets.get(e) - (a.buckets.get(e) || 0));
  const all = counts.at(-1) || 0, wanted = share * all, at = counts.findIndex((c) => c >= wanted);
  if (!all) return null;
  const before = at ? counts[at - 1] : 0, from = at ? edges[at - 1] : 0, to = Number.isFinite(edges[at]) ? edges[at] : from;
  return from + (to - from) * (wanted - before) / Math.max(counts[at] - before, 1e-9);
}

async function watch() {
  if (document.hidden) return;
  try {
    const now = sample(await ask("metrics"));
    if (samples.length && now.count < samples.at(-1).count) samples = [];
    samples = [...samples.filter((each) => now.at - each.at < WINDOW_MS), now];
    if (samples.length > 1) show($("figures"), figures());
  } catch (error) { if (error.status !== 401) trouble(error); }
}

function figures() {
  const first = samples[0], last = samples.at(-1), seconds = (last.at - first.at) / 1000;
  const steps = samples.slice(1).map((b, n) => ({ rate: (b.count - samples[n].count) / ((b.at - samples[n].at) / 1000), p99: between(samples[n], b, 0.99) }));
  const time = (share) => { const s = between(first, last, share); return s === null ? ["–", ""] : [milliseconds(s), "ms"]; };
  return h("div", {},
    h("dl", { class: "figures" }, figure("Requests", number((last.count - first.count) / seconds, 1), "/s"),
      figure("Median", ...time(0.5)), figure("95 of 100 within", ...time(0.95)), figure("99 of 100 within", ...time(0.99)),
      figure("Refused", number(last.failed - first.failed, 0), ""), figure("Waiting now", number(last.waiting, 0), "")),
    h("div", { class: "sparks" }, spark("Requests a second", steps.map((s) => s.rate), (v) => number(v, 0)), spark("99 of 100 within, ms", steps.map((s) => s.p99), milliseconds)),
    h("p", { class: "muted small" }, `Of the last ${seconds < 90 ? number(seconds, 0) + " s" : number(seconds / 60, 0) + " min"} that this page was open, all workers together: scores, lists and the Open Inference Protocol.`));
}

function spark(name, values, told) {
  const W = 400, H = 76, known = values.map((v) => v ?? 0), top = Math.max(...known, 1e-9), step = W / Math.max(known.length - 1, 1);
  const points = known.map((v, n) => `${n * step} ${H - 4 - (H - 12) * v / top}`), line = "M" + (points.length > 1 ? points : [points[0], `${W} ${points[0].split(" ")[1]}`]).join("L");
  return h("figure", {}, h("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${name}: now ${told(known.at(-1))}, highest ${told(top)}` },
    h("line", { class: "grid", x1: 0, x2: W, y1: H - 4, y2: H - 4 }), h("path", { class: "area", d: `${line}L${W} ${H - 4}L0 ${H - 4}Z` }), h("path", { class: "line", d: line })),
    h("figcaption", {}, `${name} · highest ${told(top)}`));
}

// ---- versions

function versions(models) {
  const { live, second, share, shadow, before } = models.traffic;
  const tried = [second && `version ${second} no longer answers ${percent(share)} of requests`, shadow && `version ${shadow} no longer scores in the shadow`].filter(Boolean).join(", ");
  const [step, what] = tried ? ["End the trial", `Then ${tried}; version ${live} stays live.`] : ["Roll back", `Version ${before.at(-1)} will answer every request again.`];
  $("back").hidden = !tried && !before.length;
  show($("back"), step);
  $("back").onclick = () => change(step, what, "v1/models/rollback", {});
  show($("list"), models.versions.toReversed().map((each) => {
    const [state, look] = each.number === live ? ["live", "good"] : each.refused ? ["refused", "bad"] : each.number === second ? [`${percent(share)} of requests`, "good"] : each.number === shadow ? ["shadow", ""] : ["ready", ""];
    const told = each.card || {};
    return h("li", {}, h("span", { class: "number" }, String(each.number)), h("span", {}, h("span", { class: "pill " + look }, state)),
      h("div", { class: "about muted" }, each.refused ? h("p", { class: "down-text" }, each.refused) : null,
        told.model ? h("p", {}, `${told.model.name} · ${trained(told.created, (told.training || {}).rows)}`) : each.refused ? null : h("p", {}, "Opened and checked when it is made live")),
      each.number === live ? h("span") : h("button", { type: "button", "aria-label": `Make version ${each.number} live`,
        onclick: () => change(`Make version ${each.number} live`, "It is opened, checked and warmed up first; then it answers every request.", "v1/models/live", { version: each.number }) }, "Make live"));
  }));
}

let confirmed = null;

function dialog(name, what, yes, then) {
  show($("ask-title"), name);
  show($("ask-what"), what);
  show($("ask-yes"), yes);
  $("ask-key").value = key;
  $("ask-wrong").hidden = true;
  confirmed = then;
  $("ask").showModal();
}

function enter() {
  dialog("Key", "What the server was started with as CLICKWISE_API_KEY.", "Use it", async (given) => { await ask("v1/models", undefined, given); key = given; shown = ""; await refresh(); });
}

function change(name, what, path, body) {
  dialog(name, what, name, async (given) => {
    const traffic = JSON.parse(await ask(path, JSON.stringify(body), given));
    key = given;
    show($("changed"), `Version ${traffic.live} answers now.`);
    await refresh();
    setTimeout(refresh, 1200); // by then the other workers know
  });
}

$("ask-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("ask-yes").disabled = true;
  try { await confirmed($("ask-key").value.trim()); $("ask").close(); } catch (error) {
    $("ask-wrong").hidden = false;
    show($("ask-wrong"), error.message);
  } finally { $("ask-yes").disabled = false; }
});
$("ask-no").addEventListener("click", () => $("ask").close());
$("key").addEventListener("click", enter);
$("as-form").addEventListener("click", () => edit(false));
$("as-json").addEventListener("click", () => edit(true));
$("example").addEventListener("click", example);
$("rank").addEventListener("click", () => rank("v1/score"));
$("explain").addEventListener("click", () => rank("v1/explain"));
refresh().then(watch);
setInterval(() => { if (!document.hidden) { refresh(); watch(); } }, POLL_MS);
