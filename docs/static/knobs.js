// Draws the pictures of "Turn the knobs": for each <div class="knob"> its numbers, two curves, a range input and a sentence.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg", W = 640, H = 340, LEFT = 70, RIGHT = 30, TOP = 14, BOTTOM = 48;
  const make = (tag, attributes, ...children) => {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const power = k => { const text = make("tspan", {}, "10"); return [text, make("tspan", {dy: "-5", "font-size": "10"}, String(k))]; };
  const number = x => (x >= 0.01 && x < 1000 ? Number(x.toPrecision(2)).toString() : x.toExponential(1));

  const draw = (svg, frame, range) => {
    const [low, high] = range, end = Math.max(...frame.SGD.t, ...frame.Adam.t);
    const x = t => LEFT + (W - LEFT - RIGHT) * t / end;
    const y = v => TOP + (H - TOP - BOTTOM) * (high - Math.log10(v)) / (high - low);
    svg.replaceChildren();
    for (let k = Math.ceil(low); k <= high; k++) {
      svg.append(make("line", {class: "grid", x1: LEFT, x2: W - RIGHT, y1: y(10 ** k), y2: y(10 ** k)}));
      svg.append(make("text", {x: LEFT - 8, y: y(10 ** k) + 4, "text-anchor": "end"}, ...power(k)));
    }
    for (let j = 0; j <= 4; j++) {
      svg.append(make("text", {x: x(end * j / 4), y: H - BOTTOM + 18, "text-anchor": "middle"}, String(Math.round(end * j / 4))));
    }
    svg.append(make("text", {x: (LEFT + W - RIGHT) / 2, y: H - 10, "text-anchor": "middle"}, "iteration"));
    svg.append(make("text", {transform: `translate(18 ${(TOP + H - BOTTOM) / 2}) rotate(-90)`, "text-anchor": "middle"}, "loss"));
    for (const name of ["SGD", "Adam"]) {
      const c = frame[name], known = c.t.map((_, k) => k).filter(k => c.mid[k] > 0 && c.low[k] > 0 && c.high[k] > 0);
      const clip = v => Math.min(Math.max(v, 10 ** low), 10 ** high);
      const path = key => known.map(k => `${x(c.t[k]).toFixed(1)} ${y(clip(c[key][k])).toFixed(1)}`);
      svg.append(make("polygon", {class: `band ${name}`, points: [...path("high"), ...path("low").reverse()].join(" ")}));
      svg.append(make("polyline", {class: `line ${name}`, points: path("mid").join(" ")}));
    }
  };

  for (const box of document.querySelectorAll("div.knob")) {
    const data = JSON.parse(box.querySelector("script").textContent);
    const all = data.frames.flatMap(f => ["SGD", "Adam"].flatMap(name => [...f[name].low, ...f[name].high])).filter(v => v > 0 && v < 1e6);
    const range = [Math.floor(Math.log10(Math.min(...all))), Math.ceil(Math.log10(Math.max(...all)))];
    const svg = make("svg", {viewBox: `0 0 ${W} ${H}`, role: "img"});
    const input = Object.assign(document.createElement("input"), {type: "range", min: 0, max: data.frames.length - 1, step: 1, value: 0});
    const label = document.createElement("label"), value = document.createElement("b"), said = document.createElement("p");
    input.setAttribute("aria-label", `${data.title}: ${data.knob}`);
    said.setAttribute("aria-live", "polite");
    label.append(`${data.knob} `, input, " ", value);
    const show = () => {
      const frame = data.frames[input.value], ends = ["SGD", "Adam"].map(name => frame[name].mid.at(-1));
      draw(svg, frame, range);
      value.textContent = frame.words;
      input.setAttribute("aria-valuetext", frame.words);
      const told = ends.map((e, k) => `${["SGD", "Adam"][k]} ends at ${e === null ? "no finite number" : number(e)}`).join(", ");
      said.textContent = `${data.knob}: ${frame.words}. ${told}; median of ${data.seeds} seeds.`;
      svg.setAttribute("aria-label", `${data.title}. ${said.textContent}`);
    };
    input.addEventListener("input", show);
    box.append(label, svg, said);
    show();
  }
})();
