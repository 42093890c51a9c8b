"use strict";
(() => {
  const d = JSON.parse(document.getElementById("data").textContent);
  const fig = document.getElementById("chart"), tip = document.getElementById("tip");
  const n = d.buckets, honest = new Set(d.honest);
  if (!n || !d.lanes) return;
  const NS = "http://www.w3.org/2000/svg";
  const el = (name, at, parent) => {
    const e = document.createElementNS(NS, name);
    for (const k in at) e.setAttribute(k, at[k]);
    if (parent) parent.appendChild(e);
    return e;
  };
  const text = (parent, x, y, s, at) => { el("text", Object.assign({x, y}, at), parent).textContent = s; };
  const num = v => Math.round(v).toString().replace(/\B(?=(\d{3})+$)/g, ",");
  const short = v => v >= 1e6 ? (v / 1e6).toFixed(1) + "M" : v >= 1e4 ? Math.round(v / 1e3) + "k" : num(v);
  const iso = s => new Date(s * 1000).toISOString();
  const clock = (s, span) => span > 2 * 86400 ? iso(s).slice(5, 16).replace("T", " ") : span > 600 ? iso(s).slice(11, 16) : iso(s).slice(11, 19);
  const at = (a, i) => (a && a[i]) || 0;
  const lane = new Map(d.lanes.map(l => [l.label, l]));
  const phases = d.campaigns.flatMap(c => c.phases);
  // Sums over the labels, once.
  const sum = {through: [], hard: [], milder: [], honest: [], hurt: [], asked: []};
  for (let i = 0; i < n; i++) {
    let t = 0, h = 0, m = 0, g = 0, b = 0, c = 0;
    for (const l of d.lanes) {
      const r = at(l.requests, i);
      if (!r) continue;
      const x = at(l.hard, i), y = at(l.milder, i);
      if (honest.has(l.label)) { g += r - x - y; b += x; c += y; } else { t += r - x - y; h += x; m += y; }
    }
    sum.through.push(t); sum.hard.push(h); sum.milder.push(m); sum.honest.push(g); sum.hurt.push(b); sum.asked.push(c);
  }
  const rules = d.rules ? [...d.rules].sort((a, b) => b.new.reduce((s, x) => s + x[1], 0) - a.new.reduce((s, x) => s + x[1], 0)).slice(0, 10) : [];
  let lo = 0, hi = n, cross = -1, drag = null, geo = null;

  // draw draws the buckets from lo to hi, several to a bar where there are more than fit.
  function draw() {
    const W = Math.max(300, fig.clientWidth), left = W < 620 ? 78 : 190, right = W < 620 ? 8 : 46, w = W - left - right;
    const group = Math.max(1, Math.ceil((hi - lo) / (w / 2))), bars = Math.ceil((hi - lo) / group), bw = w / bars;
    const x = i => left + (i - lo) / (hi - lo) * w;
    const xs = s => x((s - d.from) / d.width);
    const total = a => { const out = new Array(bars).fill(0); for (let i = lo; i < hi; i++) out[Math.floor((i - lo) / group)] += at(a, i); return out; };
    const peak = a => { const out = new Array(bars).fill(0); for (let i = lo; i < hi; i++) { const k = Math.floor((i - lo) / group); out[k] = Math.max(out[k], at(a, i)); } return out; };
    const up = phases.length ? 150 : 0, down = 84, lh = 22, rh = 18, lists = 52;
    const H = 14 + up + down + 20 + phases.length * lh + (phases.length ? 12 : 0) + (rules.length ? rules.length * rh + 22 : 0) + lists + 30;
    const svg = el("svg", {viewBox: `0 0 ${W} ${H}`, height: H, "aria-hidden": "true"});
    const clip = el("clipPath", {id: "plot"}, el("defs", {}, svg));
    el("rect", {x: left, y: 0, width: w, height: H}, clip);
    const plot = el("g", {"clip-path": "url(#plot)"}, svg);
    let y = 14 + up;
    const stack = (parts, height, dir, label) => {
      const sums = parts.map(p => total(sum[p]));
      const max = Math.max(1, ...sums[0].map((_, i) => sums.reduce((s, a) => s + a[i], 0)));
      const base = new Array(bars).fill(0);
      parts.forEach((p, k) => {
        let path = "";
        for (let i = 0; i < bars; i++) {
          const v = sums[k][i]; if (!v) continue;
          const h = Math.max(0.6, v / max * height), b = base[i]; base[i] += h;
          path += `M${(left + i * bw).toFixed(2)} ${(y - dir * b).toFixed(2)}h${Math.max(bw - (bw > 4 ? .6 : 0), .6).toFixed(2)}v${(-dir * h).toFixed(2)}h${(-Math.max(bw - (bw > 4 ? .6 : 0), .6)).toFixed(2)}z`;
        }
        el("path", {d: path, class: "f-" + p}, plot);
      });
      const rate = max / (group * d.width), per = rate >= 2 ? short(rate) + "/s" : rate * 60 >= 2 ? short(rate * 60) + "/min" : short(rate * 3600) + "/h";
      text(svg, left - 8, y - dir * height + (dir > 0 ? 9 : 0), per, {"text-anchor": "end"});
      text(svg, left - 8, y - dir * height / 2 + 4, label, {"text-anchor": "end", class: "name"});
    };
    if (up) stack(["through", "milder", "hard"], up, 1, "attack");
    stack(["hurt", "asked", "honest"], down, -1, "honest");
    el("path", {d: `M${left} ${y}h${w}`, class: "s-axis"}, svg);
    y += down + 20;
    for (const p of phases) {
      const l = lane.get(p.label), req = total(l.requests), hard = total(l.hard), mild = total(l.milder), max = Math.max(1, ...req);
      el("rect", {x: left, y: y + lh / 2 - 1, width: w, height: 1, class: "f-line"}, svg);
      let a = "", b = "", c = "";
      for (let i = 0; i < bars; i++) {
        if (!req[i]) continue;
        const h = 3 + 11 * Math.sqrt(req[i] / max), top = y + (lh - h) / 2, X = left + i * bw, wd = Math.max(bw, .8);
        const h1 = h * hard[i] / req[i], h2 = h * mild[i] / req[i];
        const box = (t, hh) => hh > .05 ? `M${X.toFixed(2)} ${t.toFixed(2)}h${wd.toFixed(2)}v${hh.toFixed(2)}h${(-wd).toFixed(2)}z` : "";
        a += box(top, h1); b += box(top + h1, h2); c += box(top + h1 + h2, h - h1 - h2);
      }
      el("path", {d: a, class: "f-hard"}, plot); el("path", {d: b, class: "f-milder"}, plot); el("path", {d: c, class: "f-through"}, plot);
      if (p.first) { const X = xs(p.first); el("path", {d: `M${X - 4.5} ${y - 2}h9l-4.5 7z`, class: "f-mark"}, plot); }
      if (p.ninety) { const X = xs(p.ninety); el("path", {d: `M${X} ${y + lh - 7}l4 4l-4 4l-4 -4z`, class: "f-mark"}, plot); }
      const chars = left < 100 ? 10 : 29;
      text(svg, left - 8, y + lh / 2 + 4, p.name.length > chars ? p.name.slice(0, chars - 1) + "…" : p.name, {"text-anchor": "end", class: "name"});
      y += lh;
    }
    if (phases.length) y += 12;
    if (rules.length) {
      text(svg, left - 8, y + 8, "decisions by", {"text-anchor": "end"});
      y += 14;
      for (const r of rules) {
        const by = new Array(bars).fill(0);
        let all = 0;
        for (const [i, k] of r.new) if (i >= lo && i < hi) { by[Math.floor((i - lo) / group)] += k; all += k; }
        el("rect", {x: left, y: y + rh / 2, width: w, height: 1, class: "f-line"}, svg);
        by.forEach((k, i) => { if (k) el("circle", {cx: left + (i + .5) * bw, cy: y + rh / 2, r: Math.min(rh / 2 - .5, 2 + Math.log2(k) * .7), class: "f-dot"}, plot); });
        const chars = left < 100 ? 10 : 29;
        text(svg, left - 8, y + rh / 2 + 4, r.rule.length > chars ? r.rule.slice(0, chars - 1) + "…" : r.rule, {"text-anchor": "end", class: "name"});
        if (right > 20) text(svg, W - right + 6, y + rh / 2 + 4, short(all));
        y += rh;
      }
      y += 8;
    }
    const list = peak(d.list), most = Math.max(1, ...list);
    let path = `M${left} ${y + lists}`;
    for (let i = 0; i < bars; i++) { const v = y + lists - list[i] / most * (lists - 6); path += `L${(left + i * bw).toFixed(1)} ${v.toFixed(1)}L${(left + (i + 1) * bw).toFixed(1)} ${v.toFixed(1)}`; }
    el("path", {d: path + `L${left + w} ${y + lists}z`, class: "f-list"}, plot);
    text(svg, left - 8, y + 14, left < 100 ? "list" : "entries in force", {"text-anchor": "end", class: "name"});
    text(svg, left - 8, y + 28, "≤ " + num(most), {"text-anchor": "end"});
    y += lists;
    // The axis: a tick at round times, as many as have room.
    const from = d.from + lo * d.width, span = (hi - lo) * d.width;
    const steps = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
    const step = steps.find(s => span / s <= w / 95) || 604800 * Math.ceil(span / 604800 / (w / 95));
    for (let t = Math.ceil(from / step) * step; t <= from + span; t += step) {
      const X = xs(t);
      el("path", {d: `M${X} 14V${y + 4}`, class: "s-line"}, svg);
      if (X < W - 20) text(svg, X, y + 18, clock(t, step >= 86400 ? 1e9 : span), {"text-anchor": X < left + 24 ? "start" : "middle"});
    }
    const line = el("path", {d: "", class: "cross"}, svg), brush = el("rect", {y: 14, height: y - 14, width: 0, class: "brush"}, svg);
    svg.insertBefore(plot, line);
    fig.replaceChildren(svg);
    geo = {left, w, y, group, bars, x, line, brush};
    if (cross >= 0) mark(cross);
  }

  // mark shows the line and what is there.
  function mark(i, px, py) {
    cross = Math.min(Math.max(i, lo), hi - 1);
    const k = Math.floor((cross - lo) / geo.group), a = lo + k * geo.group, b = Math.min(hi, a + geo.group);
    const X = geo.left + (k + .5) * geo.w / geo.bars;
    geo.line.setAttribute("d", `M${X} 14V${geo.y}`);
    const add = s => { let v = 0; for (let j = a; j < b; j++) v += at(s, j); return v; };
    const rows = [];
    for (const p of phases) {
      const l = lane.get(p.label), r = add(l.requests);
      if (r) rows.push([p.name, `${num(r)}, of them ${num(add(l.hard))} blocked, ${num(add(l.milder))} milder`]);
    }
    rows.push(["honest", `${num(add(sum.honest) + add(sum.hurt) + add(sum.asked))}, of them ${num(add(sum.hurt))} blocked, ${num(add(sum.asked))} milder`]);
    for (const l of d.lanes) {
      if (!honest.has(l.label)) continue;
      const s = add(l.hard), m = add(l.milder);
      if (s + m) rows.push([l.label.replace("honest/", "– "), `${num(s)} blocked, ${num(m)} milder`]);
    }
    for (const r of rules) {
      let v = 0; for (const [j, c] of r.new) if (j >= a && j < b) v += c;
      if (!v) continue;
      const there = (r.samples || []).find(s => { const j = (Date.parse(s.from) / 1000 - d.from) / d.width; return j >= a && j < b; });
      rows.push([r.rule, `${num(v)} ${v === 1 ? "decision" : "decisions"}${there ? ", such as " + there.action + " " + there.target : ""}`]);
    }
    let list = 0; for (let j = a; j < b; j++) list = Math.max(list, at(d.list, j));
    rows.push(["in force", num(list)]);
    const head = document.createElement("b"), table = document.createElement("table");
    head.textContent = iso(d.from + a * d.width).slice(0, 19).replace("T", " ") + (b - a > 0 ? " – " + iso(d.from + b * d.width).slice(11, 19) : "");
    for (const [name, value] of rows.slice(0, 16)) {
      const tr = table.insertRow();
      tr.insertCell().textContent = name; tr.insertCell().textContent = value;
    }
    tip.replaceChildren(head, table);
    tip.hidden = false;
    const box = fig.getBoundingClientRect();
    const cx = px === undefined ? box.left + X : px, cy = py === undefined ? box.top + 30 : py;
    tip.style.left = Math.max(6, cx + 16 + tip.offsetWidth > innerWidth ? cx - tip.offsetWidth - 14 : cx + 16) + "px";
    tip.style.top = Math.max(6, Math.min(cy + 12, innerHeight - tip.offsetHeight - 8)) + "px";
  }
  function hide() { cross = -1; tip.hidden = true; if (geo) geo.line.setAttribute("d", ""); }

  const buttons = [];
  function view(a, b, which) {
    lo = Math.max(0, Math.min(a, n - 1)); hi = Math.min(n, Math.max(b, lo + Math.min(8, n)));
    lo = Math.max(0, Math.min(lo, hi - Math.min(8, n)));
    buttons.forEach(x => x.setAttribute("aria-pressed", String(x === which)));
    hide(); draw();
  }
  function button(name, a, b) {
    const e = document.createElement("button");
    e.type = "button"; e.textContent = name; e.setAttribute("aria-pressed", "false");
    e.onclick = () => view(a, b, e);
    document.getElementById("zoom").appendChild(e);
    buttons.push(e);
    return e;
  }
  const whole = button("whole log", 0, n);
  const stretch = (from, until) => {
    const a = (from - d.from) / d.width, b = (until - d.from) / d.width, pad = Math.max(2, (b - a) * .06);
    return [Math.floor(a - pad), Math.ceil(b + pad)];
  };
  for (const c of d.campaigns) {
    if (!c.phases.length) continue;
    const [a, b] = stretch(Math.min(...c.phases.map(p => p.from)), Math.max(...c.phases.map(p => p.until)));
    if (b - a < n * .8 || c.phases.length > 1) button(c.name, a, b);
    if (c.phases.length > 1 && c.phases.length <= 6) for (const p of c.phases) { const [e, f] = stretch(p.from, p.until); if (f - e < (b - a) * .8) button(p.name, e, f); }
    const first = Math.min(...c.phases.map(p => p.first || Infinity)), begun = Math.min(...c.phases.map(p => p.from));
    if (d.campaigns.length < 6 && first < Infinity && first - begun < (b - a) * d.width / 12) { const [e, f] = stretch(begun, first + 3 * Math.max(first - begun, d.width)); button(c.name + ": its beginning", e, f); }
  }
  const bucketAt = e => { const b = fig.getBoundingClientRect(); return lo + Math.floor((e.clientX - b.left - geo.left) / geo.w * (hi - lo)); };
  const inside = e => { const b = fig.getBoundingClientRect(), X = e.clientX - b.left; return X >= geo.left && X <= geo.left + geo.w; };
  fig.addEventListener("pointerdown", e => { if (inside(e) && e.button === 0 && e.pointerType !== "touch") { drag = bucketAt(e); fig.setPointerCapture(e.pointerId); } });
  fig.addEventListener("pointermove", e => {
    if (drag === null && !inside(e)) return hide();
    const i = bucketAt(e);
    if (drag !== null) {
      const a = geo.x(Math.max(lo, Math.min(drag, i))), b = geo.x(Math.min(hi, Math.max(drag, i) + 1));
      geo.brush.setAttribute("x", a); geo.brush.setAttribute("width", Math.max(0, b - a));
    }
    mark(i, e.clientX, e.clientY);
  });
  fig.addEventListener("pointerup", e => {
    if (drag === null) return;
    const i = bucketAt(e), a = Math.min(drag, i), b = Math.max(drag, i) + 1;
    drag = null; geo.brush.setAttribute("width", 0);
    if (b - a > 2 * geo.group) view(a, b, null);
  });
  fig.addEventListener("pointerleave", () => { if (drag === null) hide(); });
  fig.addEventListener("dblclick", () => view(0, n, whole));
  fig.addEventListener("keydown", e => {
    const step = (e.shiftKey ? 10 : 1) * geo.group;
    if (e.key === "ArrowRight") mark(cross < 0 ? lo : cross + step);
    else if (e.key === "ArrowLeft") mark(cross < 0 ? hi - 1 : cross - step);
    else if (e.key === "Escape") view(0, n, whole);
    else return;
    e.preventDefault();
  });
  fig.addEventListener("blur", hide);
  addEventListener("resize", draw);
  addEventListener("beforeprint", draw);
  view(0, n, whole);
})();
