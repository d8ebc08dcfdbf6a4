// The Wirtinger explorer: see wirtinger.py. Its formulas are those of relviz.spectral.
import {
  axes, button, chart, choice, cursor, drag, heatmap, line, magma, make, row, slider, status,
  whenKernel,
} from "./common.js";
import { frameAt, rfft, taper } from "./dsp.js";

const LEAST = 1e-11; // torch.istft's own limit: below it a sample counts as uncovered
const DEPTH = 60; // dB that the maps show, and below which two bins are not compared

const KINDS = {
  given: "a piece of a gradient",
  chirp: "chirp",
  noise: "noise",
  impulse: "one impulse",
  sinusoid: "sinusoid",
  comb: "harmonic comb",
  drawn: "drawn by you",
};
const SHAPES = { hann: "Hann", hamming: "Hamming", boxcar: "rectangular" };

/** Sum over frames of the squared window at every sample, by which istft divides. */
export function squaredWindows(window, hop, samples) {
  const total = new Float64Array(samples);
  for (let m = 0; m <= Math.floor(samples / hop); m++) {
    const start = m * hop - window.length / 2;
    window.forEach((w, i) => {
      if (start + i >= 0 && start + i < samples) total[start + i] += w * w;
    });
  }
  return total;
}

/**
 * relviz.spectral.stft_relevance of f for a window of even length 2^k: frames of {re, im}, or null
 * where form is "exact" and the windows leave a sample uncovered.
 */
export function stftRelevance(f, window, hop, form) {
  const size = window.length;
  const covered = form === "exact" ? squaredWindows(window, hop, f.length) : null;
  if (covered?.some((s) => s < LEAST)) return null;
  const gradient = covered ? f.map((v, n) => v / covered[n]) : f;
  const frames = [];
  for (let m = 0; m <= Math.floor(f.length / hop); m++) {
    const { re, im } = rfft(frameAt(gradient, m * hop, window), size);
    // a pair of bins moves together, but the first and the last have no partner
    const share = (k) => (covered && k > 0 && k < size / 2 ? 2 : 1) / size;
    const sign = covered ? 1 : -1; // the paper's form is the conjugate
    frames.push({ re: re.map((v, k) => share(k) * v), im: im.map((v, k) => sign * share(k) * v) });
  }
  return frames;
}

/** |g| of every frame. */
function moduli(frames) {
  return frames.map(({ re, im }) => re.map((v, k) => Math.hypot(v, im[k])));
}

/** Greatest value of a map. */
function greatest(map) {
  return map.reduce((top, column) => column.reduce((a, b) => Math.max(a, b), top), 0);
}

/** The values below which 5, 50 and 95 % of all values lie; NaN of nothing. */
function quantiles(values) {
  const sorted = Float64Array.from(values).sort();
  return [0.05, 0.5, 0.95].map((share) => sorted[Math.round(share * (sorted.length - 1))] ?? NaN);
}

/** What the marks of a chart mean, in their colours: [[mark, meaning, name of the colour], ...]. */
function marks(...entries) {
  const each = entries.map(([mark, meaning, colour]) => {
    const sign = make("b", { style: `color: var(--relviz-${colour})`, "aria-hidden": "true" }, mark);
    return make("span", { style: "white-space: nowrap" }, sign, ` ${meaning}`);
  });
  return make("p", { className: "relviz-scale" }, ...each.flatMap((node) => [node, "\u2003 "]));
}

/** Three digits that count, or a dash. */
function short(value) {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "–";
}

function render({ model, el }) {
  const signals = model.get("signals");
  const samples = model.get("drawn").length;
  let drawn = model.get("drawn");
  let last = null; // where the pencil was: {n, value}
  let ask = null; // the kernel
  let now = null; // what is shown

  const names = [...Object.keys(signals), "drawn"];
  const kind = choice("Gradient signal", names.map((k) => [k, KINDS[k]]), model.get("kind"), choose);
  const windows = choice("Window", Object.entries(SHAPES), model.get("window"), choose);
  const lengths = [16, 32, 64, 128].map((m) => [m, `${m} samples`]);
  const length = choice("Window length M", lengths, model.get("length"), choose);
  const hop = slider("Hop", { min: 4, max: 128, step: 1, value: model.get("hop") }, choose, sayHop);
  const place = slider(
    "Sample to draw",
    { min: 0, max: samples - 1, step: 1, value: Math.floor(samples / 2) },
    () => {
      showValue();
      picture.draw();
    },
    (n) => `n = ${n}`,
  );
  const height = slider(
    "Value of that sample",
    { min: -1, max: 1, step: 0.01, value: 0 },
    (value) => draw([[place.value, value]]),
    (value) => value.toFixed(2),
  );
  const erase = button("Erase all", () => draw(drawn.map((_, n) => [n, 0])));
  const words = status();
  words.node.style.minHeight = "5.6em"; // four lines: what is below should not jump
  const table = make("table", { className: "relviz-table" });
  const checked = status();
  const check = row();

  /** The hop beside the window's length, as a fraction where it is a plain one. */
  function sayHop(value) {
    const part = Number(length?.value) / value;
    return `${value} samples${Number.isInteger(part) && part > 1 ? `, M/${part}` : ""}`;
  }

  const signal = () => (kind.value === "drawn" ? drawn : signals[kind.value]);
  const time = { x: [0, samples], xlabel: "Sample n" };
  const every = Array.from({ length: samples }, (_, n) => n);

  let box = null; // of the signal's picture, for the pencil
  const picture = chart("Gradient f[n]: draw on it", 150, (context, frame) => {
    box = axes(context, frame, { ...time, y: [-1.1, 1.1], ylabel: "f[n]" });
    const n = place.value;
    cursor(context, box, n, frame.colours.third);
    line(context, box, every, signal(), frame.colours.first);
    context.strokeStyle = frame.colours.third;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(box.x(n), box.y(signal()[n]), 4, 0, 2 * Math.PI);
    context.stroke();
  });
  const sums = chart("Sum of the squared windows, s[n]", 150, (context, frame) => {
    const { covered, shape, step, gaps } = now;
    const top = 1.05 * Math.max(1, greatest([covered]));
    const at = axes(context, frame, { ...time, y: [0, top], ylabel: "s[n]" });
    context.fillStyle = frame.colours.second;
    for (const n of gaps) context.fillRect(at.x(n - 0.5), at.top, at.x(1) - at.x(0) + 1, at.height);
    for (let m = 0; m * step <= samples && samples / step <= 64; m++) {
      const from = m * step - shape.length / 2;
      const squares = Array.from(shape, (w) => w * w);
      line(context, at, squares.map((_, i) => from + i), squares, frame.colours.muted, { width: 0.6 });
    }
    line(context, at, every, covered, frame.colours.third, { width: 2.2 });
  });
  const maps = ["paper", "exact"].map((form) =>
    chart(`|g| in the form “${form}” (dB, ${DEPTH} below its maximum)`, 180, (context, frame) => {
      const at = axes(context, frame, { ...time, y: bins(), ylabel: "Bin k" });
      const map = now[form];
      if (!map) return missing(context, at, frame);
      const top = greatest(map);
      // magma's 0 is DEPTH decibels below its 1
      tile(context, at, map, (v) => magma(1 + (20 * Math.log10(v / (top || 1))) / DEPTH));
    }),
  );
  const tiles = chart("Factor |exact| / |paper| of every bin", 180, (context, frame) => {
    const at = axes(context, frame, { ...time, y: bins(), ylabel: "Bin k" });
    if (!now.factors) return missing(context, at, frame);
    const grey = rgb(frame.colours.grid);
    const shade = (v) => (Number.isNaN(v) ? grey : magma(0.5 + Math.log2(v / now.usual) / 4));
    tile(context, at, now.factors, shade);
  });
  const key = make("p", { className: "relviz-scale" });
  const sumMarks = marks(
    ["—", "s[n]", "third"], ["—", "squared windows", "muted"], ["▮", "uncovered samples", "second"],
  );
  const dotMarks = marks(
    ["•", "paired bins", "ink"], ["□", "DC and Nyquist", "second"], ["—", "2 / s[n]", "third"],
    ["▲", "above the scale", "ink"],
  );
  const dots = chart("The same factors, frame by frame", 180, (context, frame) => {
    const top = 3 * now.usual;
    const at = axes(context, frame, { ...time, y: [0, top], ylabel: "Factor" });
    if (!now.factors) return missing(context, at, frame);
    const expected = Array.from(now.covered, (s) => 2 / s);
    line(context, at, every, expected, frame.colours.third, { width: 1.4 });
    now.factors.forEach((column, m) =>
      column.forEach((factor, k) => {
        const end = k === 0 || k === column.length - 1;
        context.fillStyle = context.strokeStyle = end ? frame.colours.second : frame.colours.ink;
        dot(context, at.x(m * now.step), at.y(Math.min(factor, top)), end, factor > top);
      }),
    );
  });
  const charts = [picture, sums, ...maps, tiles, dots];

  const bins = () => [-0.5, now.shape.length / 2 + 0.5];

  /** A map whose column m is centred on sample m * hop. */
  function tile(context, at, values, colour) {
    const left = at.x(-now.step / 2);
    const right = at.x((values.length - 0.5) * now.step);
    context.save();
    context.beginPath();
    context.rect(at.left, at.top, at.width, at.height);
    context.clip();
    heatmap(context, { ...at, left, width: right - left }, values, colour);
    context.restore();
  }

  /** A point for a paired bin, a square for one without a partner, a triangle for one too high. */
  function dot(context, x, y, end, above) {
    if (Number.isNaN(y)) return;
    context.lineWidth = 1.2;
    context.beginPath();
    if (above) {
      context.moveTo(x - 3, y + 6);
      context.lineTo(x + 3, y + 6);
      context.lineTo(x, y);
      context.fill();
    } else if (end) {
      context.strokeRect(x - 2.5, y - 2.5, 5, 5);
    } else {
      context.arc(x, y, 1.4, 0, 2 * Math.PI);
      context.fill();
    }
  }

  function missing(context, at, frame) {
    context.fillStyle = frame.colours.ink;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText("not defined: the text says why", at.left + at.width / 2, at.top + at.height / 2);
  }

  /** Everything that follows from the signal, the window and the hop. */
  function compute() {
    const f = Float64Array.from(signal());
    const shape = taper(windows.value, Number(length.value));
    const step = hop.value;
    const covered = squaredWindows(shape, step, samples);
    const gaps = every.filter((n) => covered[n] < LEAST);
    const g = { paper: stftRelevance(f, shape, step, "paper"), exact: stftRelevance(f, shape, step, "exact") };
    const paper = moduli(g.paper);
    const exact = g.exact && moduli(g.exact);
    const least = greatest(paper) * 10 ** (-DEPTH / 20);
    const compare = (p, e) => (p > 0 && p >= least ? e / p : NaN);
    const factors = exact && paper.map((column, m) => column.map((p, k) => compare(p, exact[m][k])));
    // what the windows add up to where no end of the signal is near: one period of it
    const steady = Array.from({ length: step }, (_, r) => {
      let sum = 0;
      for (let i = r; i < shape.length; i += step) sum += shape[i] ** 2;
      return sum;
    });
    const usual = 2 / (steady.reduce((a, b) => a + b) / step);
    // a frame is interior if all that its window meets on either side is there
    const reach = Math.ceil(shape.length / step) - 1;
    const interior = (m) => m >= reach && m < paper.length - reach;
    return { f, g, shape, step, covered, gaps, paper, exact, factors, steady, usual, interior };
  }

  function tell() {
    const { f, shape, step, gaps, paper, factors, steady, usual, interior } = now;
    const first = paper.findIndex((_, m) => interior(m));
    const inside = paper.filter((_, m) => interior(m)).length;
    const [low, high] = [Math.min(...steady), Math.max(...steady)];
    const swing = high / low - 1;
    picture.say(
      `${KINDS[kind.value]}, ${samples} samples; sample ${place.value} is ` +
        `${signal()[place.value].toFixed(2)}`,
    );
    sums.say(
      `${SHAPES[windows.value]} windows of ${shape.length} samples every ${step}: away from the ends ` +
        (swing < 1e-9 ? `always ${short(low)}` : `from ${short(low)} to ${short(high)}`) +
        (gaps.length ? `; ${gaps.length} samples are uncovered, the first is ${gaps[0]}` : ""),
    );
    for (const [i, form] of ["paper", "exact"].entries()) {
      maps[i].say(strongest(now[form]));
    }
    table.hidden = key.hidden = !factors;
    if (!factors) {
      const [n] = gaps;
      const why = `windows of ${shape.length} samples every ${step} leave sample ${n} uncovered`;
      for (const each of [tiles, dots]) each.say(`not defined, since ${why}`);
      words.say(
        `The exact form is not defined: ${why}` +
          (gaps.length > 1 ? ` (and ${gaps.length - 1} more)` : "") +
          ", so no bin can say what is there. Take a smaller hop or a window that does not vanish " +
          "there. The paper's form does not notice.",
      );
      return;
    }
    const edge = (m) => !interior(m);
    const paired = (k) => k > 0 && k < shape.length / 2;
    const pick = (frame, bin) =>
      factors.flatMap((column, m) =>
        frame(m) ? Array.from(column).filter((v, k) => bin(k) && Number.isFinite(v)) : [],
      );
    const groups = [
      ["Interior frames", quantiles(pick(interior, paired))],
      ["Frames near an end", quantiles(pick(edge, paired))],
      ["DC and Nyquist, interior", quantiles(pick(interior, (k) => !paired(k)))],
    ];
    table.replaceChildren(
      make("caption", {}, "Factor |exact| / |paper|"),
      make("tr", {}, ...["Bins", "5\u00a0%", "Median", "95\u00a0%"].map((t) => make("th", { scope: "col" }, t))),
      ...groups.map(([name, values]) =>
        make(
          "tr",
          {},
          make("th", { scope: "row" }, name),
          ...values.map((v) => make("td", {}, short(v))),
        ),
      ),
    );
    const [middle, near, ends] = groups.map(([, values]) => values);
    const range = `${short(middle[0])} and ${short(middle[2])}`;
    tiles.say(
      inside ? `nine tenths of the interior factors lie between ${range}` : "no interior frames",
    );
    dots.say(
      `median ${short(middle[1])} in interior frames, ${short(near[1])} near the ends, ` +
        `${short(ends[1])} at DC and Nyquist`,
    );
    key.replaceChildren(
      short(usual / 4), " ", make("span", { className: "relviz-ramp", "aria-hidden": "true" }), " ",
      `${short(usual * 4)}; grey: too weak to compare`,
    );
    const alone = f.filter((v) => v !== 0).length === 1 ? f.findIndex((v) => v !== 0) : -1;
    if (!f.some((v) => v !== 0)) {
      words.say("The signal is zero everywhere: draw something, or choose another.");
    } else if (alone >= 0) {
      const s = now.covered[alone];
      words.say(
        `Only sample ${alone} is not zero, so every frame that meets it has the factor 2 / s[${alone}] = ` +
          `${short(2 / s)}, and half of it at DC and Nyquist. ` +
          (swing < 1e-9
            ? `Anywhere but near the ends it would be ${short(2 / low)}.`
            : `Elsewhere s[n] is another: between ${short(low)} and ${short(high)} away from the ends. ` +
              "Draw a second impulse, and the factor is no longer one number."),
      );
    } else if (!inside) {
      words.say("Every frame is near an end of the signal: take shorter windows to see the middle.");
    } else {
      const where = `frames ${first} to ${first + inside - 1} of ${paper.length - 1}`;
      const lone =
        "At DC and Nyquist it is half as large: these bins have no partner, so c = 1 and not 2.";
      words.say(
        swing < 1e-9
          ? `Constant: the squared windows add up to s = ${short(low)} in the interior (${where}), so ` +
              `exact is 2 / s = ${short(2 / low)} times paper there, the same picture. ${lone} Near ` +
              "both ends fewer windows overlap, s falls and the factor drifts."
          : `It drifts: s[n] varies by ${short(100 * swing)} % even in the interior (${where}), so no ` +
              `one factor turns paper into exact: nine tenths lie between ${range}. Division ` +
              "by s[n] comes before the DFT, so it mixes neighbouring bins, DC and Nyquist too.",
      );
    }
  }

  function strongest(map) {
    if (!map) return "not defined";
    const top = greatest(map);
    if (!(top > 0)) return "zero everywhere";
    const m = map.findIndex((column) => column.includes(top));
    const alike = map[m].filter((v) => v > top * (1 - 1e-9)).length;
    if (alike > 2) return `${alike} bins equally strong at sample ${m * now.step}`;
    return `strongest in bin ${map[m].indexOf(top)} of ${map[m].length - 1} at sample ${m * now.step}`;
  }

  function show() {
    now = compute();
    hop.show();
    for (const each of charts) each.draw();
    tell();
    checked.say("");
  }

  function showValue() {
    height.value = signal()[place.value];
    picture.say(`sample ${place.value} is ${signal()[place.value].toFixed(2)}`);
  }

  /** Tell Python what is chosen. */
  function keep() {
    const chosen = { kind: kind.value, window: windows.value, length: Number(length.value), hop: hop.value };
    if (model.get("drawn") !== drawn) model.set("drawn", drawn);
    for (const [name, value] of Object.entries(chosen)) {
      if (model.get(name) !== value) model.set(name, value);
    }
    model.save_changes();
  }

  function choose() {
    showValue();
    show();
    keep();
  }

  /** Change samples: [[n, value], ...]. What was chosen becomes a drawing of the reader's own. */
  function draw(changes) {
    const next = Array.from(signal());
    for (const [n, value] of changes) next[n] = value;
    drawn = next;
    kind.value = "drawn";
    choose();
  }

  drag(picture.canvas, (x, y, event) => {
    const clip = (v, low, high) => Math.min(high, Math.max(low, v));
    const n = clip(Math.round(box.xValue(x)), 0, samples - 1);
    const value = clip(Math.round(100 * box.yValue(y)) / 100, -1, 1);
    const from = event.type === "pointerdown" || !last ? { n, value } : last;
    const changes = [];
    // a fast pencil skips samples: a straight line fills them
    for (let i = Math.min(n, from.n); i <= Math.max(n, from.n); i++) {
      const share = n === from.n ? 1 : (i - from.n) / (n - from.n);
      changes.push([i, from.value + share * (value - from.value)]);
    }
    last = { n, value };
    place.value = n;
    draw(changes);
  });
  picture.canvas.style.touchAction = "none"; // a finger draws here, and scrolls elsewhere

  const root = make(
    "section",
    { className: "relviz", "aria-label": "Wirtinger explorer" },
    row(kind.node, windows.node, length.node, hop.node),
    picture.node,
    row(place.node, height.node, erase),
    sums.node,
    sumMarks,
    words.node,
    make("div", { className: "relviz-pair" }, ...maps.map((m) => m.node)),
    make("div", { className: "relviz-pair" }, make("div", {}, tiles.node, key), make("div", {}, dots.node, dotMarks)),
    table,
    check,
    checked.node,
  );
  el.append(root);
  choose();

  const follow = {
    kind: () => (kind.value = model.get("kind")),
    window: () => (windows.value = model.get("window")),
    length: () => (length.value = model.get("length")),
    hop: () => (hop.value = model.get("hop")),
    drawn: () => (drawn = model.get("drawn")),
  };
  const shown = () => ({
    kind: kind.value, window: windows.value, length: Number(length.value), hop: hop.value, drawn,
  });
  const heard = Object.entries(follow).map(([name, take]) => {
    const hear = () => {
      if (shown()[name] === model.get(name)) return; // it was chosen here
      take();
      showValue();
      show();
    };
    model.on(`change:${name}`, hear);
    return () => model.off(`change:${name}`, hear);
  });

  const end = whenKernel(model, (kernel) => {
    ask = kernel;
    check.replaceChildren(button("Check with autograd", compareWithPython));
  });

  async function compareWithPython() {
    const asked = now;
    const { f, g, shape, step } = asked;
    const flat = (frames) =>
      Float64Array.from(frames.flatMap(({ re, im }) => Array.from(re).flatMap((v, k) => [v, im[k]])));
    const sent = [f, flat(g.paper), ...(g.exact ? [flat(g.exact)] : [])];
    checked.say("The kernel is computing…");
    try {
      const question = { ask: "check", window: windows.value, length: shape.length, hop: step };
      const { answer } = await ask(question, sent.map((array) => array.buffer));
      if (asked !== now) return;
      const say = (v) => v.toExponential(1);
      checked.say(
        `Greatest difference, relative to the maximum: ${say(answer.paper)} to relviz.spectral in ` +
          "the paper's form, " +
          (g.exact
            ? `${say(answer.exact)} in the exact form, and ${say(answer.autograd)} to what autograd ` +
              "sends back through torch.istft."
            : "and nothing to compare in the exact form, which is not defined here."),
      );
    } catch (error) {
      if (asked === now) checked.say(error.message);
    }
  }

  return () => {
    end();
    heard.forEach((stop) => stop());
    charts.forEach((c) => c.end());
  };
}

/** The parts of a colour like #a0b1c2. */
function rgb(text) {
  return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
}

export default { render };
