// @ts-check
// The Wirtinger explorer: see wirtinger.py. Its formulas are those of relviz.spectral.
import {
  axes,
  beside,
  button,
  captioned,
  chart,
  choice,
  cursor,
  drag,
  frames,
  instead,
  line,
  magma,
  make,
  row,
  slider,
  status,
  whenKernel,
} from "./common.js";
import { frameAt, rfft, taper } from "./dsp.js";

/**
 * @import { Ask, Frame, Model, Numbers, Rgb, Scales } from "./common.js"
 * @import { Taper } from "./dsp.js"
 * @typedef {{re: Float64Array, im: Float64Array}} Spectrum
 * @typedef {ReturnType<typeof compare>} Compared
 */

const CAPTION =
  "A gradient signal and its spectral relevance in two forms, the paper's and the exact one, with the factor between them. Draw on the signal, or change window and hop, and see where the factor is no longer one number.";
const LEAST = 1e-11; // torch.istft's own limit: below it a sample counts as uncovered
const DEPTH = 60; // dB that the maps show, and below which two bins are not compared

/** @type {Record<string, string>} */
const KINDS = {
  given: "a piece of a gradient",
  chirp: "chirp",
  noise: "noise",
  impulse: "one impulse",
  sinusoid: "sinusoid",
  comb: "harmonic comb",
  drawn: "drawn by you",
};
/** @type {Record<string, string>} */
const SHAPES = { hann: "Hann", hamming: "Hamming", boxcar: "rectangular" };

/**
 * Sum over frames of the squared window at every sample, by which istft divides.
 * @param {Float64Array} window
 * @param {number} hop
 * @param {number} samples
 */
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
 * @param {Float64Array} f
 * @param {Float64Array} window
 * @param {number} hop
 * @param {"paper" | "exact"} form
 */
export function stftRelevance(f, window, hop, form) {
  const size = window.length;
  const covered = form === "exact" ? squaredWindows(window, hop, f.length) : null;
  if (covered?.some((s) => s < LEAST)) return null;
  const gradient = covered ? f.map((v, n) => v / covered[n]) : f;
  /** @type {Spectrum[]} */
  const found = [];
  for (let m = 0; m <= Math.floor(f.length / hop); m++) {
    const { re, im } = rfft(frameAt(gradient, m * hop, window), size);
    // a pair of bins moves together, but the first and the last have no partner
    /** @param {number} k */
    const share = (k) => (covered && k > 0 && k < size / 2 ? 2 : 1) / size;
    const sign = covered ? 1 : -1; // the paper's form is the conjugate
    found.push({ re: re.map((v, k) => share(k) * v), im: im.map((v, k) => sign * share(k) * v) });
  }
  return found;
}

/**
 * |g| of every frame.
 * @param {Spectrum[]} spectra
 */
function moduli(spectra) {
  return spectra.map(({ re, im }) => re.map((v, k) => Math.hypot(v, im[k])));
}

/**
 * Greatest value of a map.
 * @param {Float64Array[]} map
 */
function greatest(map) {
  return map.reduce((top, column) => column.reduce((a, b) => Math.max(a, b), top), 0);
}

/**
 * The values below which 5, 50 and 95 % of all values lie; NaN of nothing.
 * @param {Numbers} values
 */
export function quantiles(values) {
  const sorted = Float64Array.from(values).sort();
  return [0.05, 0.5, 0.95].map((share) => sorted[Math.round(share * (sorted.length - 1))] ?? NaN);
}

/**
 * What the marks of a chart mean, in their colours: [[mark, meaning, name of the colour], ...].
 * @param {...[string, string, string]} entries
 */
function marks(...entries) {
  const each = entries.map(([mark, meaning, colour]) => {
    const sign = make(
      "b",
      { style: `color: var(--relviz-${colour})`, "aria-hidden": "true" },
      mark,
    );
    return make("span", { style: "white-space: nowrap" }, sign, ` ${meaning}`);
  });
  return make("p", { className: "relviz-scale" }, ...each.flatMap((node) => [node, "\u2003 "]));
}

/**
 * Three digits that count, or a dash.
 * @param {number} value
 */
export function short(value) {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "–";
}

/**
 * The parts of a colour like #a0b1c2.
 * @param {string} text
 */
function rgb(text) {
  return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
}

/**
 * What the squared windows add up to where no end of the signal is near: one period of it.
 * @param {Float64Array} shape
 * @param {number} step
 */
function steadySum(shape, step) {
  return Array.from({ length: step }, (_, r) => {
    let sum = 0;
    for (let i = r; i < shape.length; i += step) sum += shape[i] ** 2;
    return sum;
  });
}

/**
 * Everything that follows from the signal, the window and the hop.
 * @param {Float64Array<ArrayBuffer>} f
 * @param {Float64Array} shape
 * @param {number} step
 */
export function compare(f, shape, step) {
  const covered = squaredWindows(shape, step, f.length);
  const gaps = [...covered.keys()].filter((n) => covered[n] < LEAST);
  const spectra = {
    paper: /** @type {Spectrum[]} */ (stftRelevance(f, shape, step, "paper")),
    exact: stftRelevance(f, shape, step, "exact"),
  };
  const paper = moduli(spectra.paper);
  const exact = spectra.exact && moduli(spectra.exact);
  const least = greatest(paper) * 10 ** (-DEPTH / 20);
  /** @param {number} p @param {number} e */
  const ratio = (p, e) => (p > 0 && p >= least ? e / p : NaN);
  const factors = exact && paper.map((column, m) => column.map((p, k) => ratio(p, exact[m][k])));
  const steady = steadySum(shape, step);
  const usual = 2 / (steady.reduce((a, b) => a + b) / step);
  // a frame is interior if all that its window meets on either side is there
  const reach = Math.ceil(shape.length / step) - 1;
  /** @param {number} m */
  const interior = (m) => m >= reach && m < paper.length - reach;
  return {
    f,
    g: spectra,
    shape,
    step,
    covered,
    gaps,
    paper,
    exact,
    factors,
    steady,
    usual,
    interior,
  };
}

/**
 * What the windows add up to, in words: its least, its greatest, and how much it swings.
 * @param {Compared} now
 */
function range({ steady }) {
  const [low, high] = [Math.min(...steady), Math.max(...steady)];
  return { low, high, swing: high / low - 1, still: high / low - 1 < 1e-9 };
}

/**
 * The quantiles of the factors by place: interior frames, those near an end, bins without a partner.
 * @param {Compared} now
 * @param {Float64Array[]} factors
 * @returns {[string, number[]][]}
 */
function groupsOf({ shape, interior }, factors) {
  /** @param {number} m */
  const edge = (m) => !interior(m);
  /** @param {number} k */
  const paired = (k) => k > 0 && k < shape.length / 2;
  /** @param {(m: number) => boolean} frame @param {(k: number) => boolean} bin */
  const pick = (frame, bin) =>
    factors.flatMap((column, m) =>
      frame(m) ? Array.from(column).filter((v, k) => bin(k) && Number.isFinite(v)) : [],
    );
  return [
    ["Interior frames", quantiles(pick(interior, paired))],
    ["Frames near an end", quantiles(pick(edge, paired))],
    ["DC and Nyquist, interior", quantiles(pick(interior, (k) => !paired(k)))],
  ];
}

/**
 * Where a map is strongest, in words.
 * @param {Float64Array[] | null} map
 * @param {number} step
 */
function strongest(map, step) {
  if (!map) return "not defined";
  const top = greatest(map);
  if (!(top > 0)) return "zero everywhere";
  const m = map.findIndex((column) => column.includes(top));
  const alike = map[m].filter((v) => v > top * (1 - 1e-9)).length;
  if (alike > 2) return `${alike} bins equally strong at sample ${m * step}`;
  return `strongest in bin ${map[m].indexOf(top)} of ${map[m].length - 1} at sample ${m * step}`;
}

/**
 * Why the exact form is not defined.
 * @param {Compared} now
 */
function whyUndefined({ shape, step, gaps }) {
  return `windows of ${shape.length} samples every ${step} leave sample ${gaps[0]} uncovered`;
}

/**
 * The same as a sentence for the reader, with a way out.
 * @param {Compared} now
 */
function undefinedInWords(now) {
  const more = now.gaps.length - 1;
  return (
    `The exact form is not defined: ${whyUndefined(now)}` +
    (more ? ` (and ${more} more)` : "") +
    ", so no bin can say what is there. Take a smaller hop or a window that does not vanish " +
    "there. The paper's form does not notice."
  );
}

/**
 * What one impulse shows.
 * @param {Compared} now
 * @param {number} alone its sample
 */
function impulseInWords(now, alone) {
  const { low, high, still } = range(now);
  return (
    `Only sample ${alone} is not zero, so every frame that meets it has the factor 2 / s[${alone}] = ` +
    `${short(2 / now.covered[alone])}, and half of it at DC and Nyquist. ` +
    (still
      ? `Anywhere but near the ends it would be ${short(2 / low)}.`
      : `Elsewhere s[n] is another: between ${short(low)} and ${short(high)} away from the ends. ` +
        "Draw a second impulse, and the factor is no longer one number.")
  );
}

/**
 * Whether one factor turns the paper's form into the exact one, in words.
 * @param {Compared} now
 * @param {number[]} middle quantiles of the interior factors
 */
export function factorInWords(now, middle) {
  const { f, paper, interior } = now;
  const at = f.findIndex((v) => v !== 0);
  if (at < 0) return "The signal is zero everywhere: draw something, or choose another.";
  if (f.findLastIndex((v) => v !== 0) === at) return impulseInWords(now, at);
  const first = paper.findIndex((_, m) => interior(m));
  if (first < 0) {
    return "Every frame is near an end of the signal: take shorter windows to see the middle.";
  }
  const last = paper.findLastIndex((_, m) => interior(m));
  const where = `frames ${first} to ${last} of ${paper.length - 1}`;
  const lone =
    "At DC and Nyquist it is half as large: these bins have no partner, so c = 1 and not 2.";
  const { low, swing, still } = range(now);
  return still
    ? `Constant: the squared windows add up to s = ${short(low)} in the interior (${where}), so ` +
        `exact is 2 / s = ${short(2 / low)} times paper there, the same picture. ${lone} Near ` +
        "both ends fewer windows overlap, s falls and the factor drifts."
    : `It drifts: s[n] varies by ${short(100 * swing)} % even in the interior (${where}), so no ` +
        `one factor turns paper into exact: nine tenths lie between ${short(middle[0])} and ` +
        `${short(middle[2])}. Division by s[n] comes before the DFT, so it mixes neighbouring bins, ` +
        "DC and Nyquist too.";
}

/**
 * How far the kernel's numbers are from this page's, in words.
 * @param {{paper: number, exact: number, autograd: number}} answer
 * @param {boolean} defined whether there is an exact form
 */
function differencesInWords(answer, defined) {
  /** @param {number} v */
  const say = (v) => v.toExponential(1);
  return (
    `Greatest difference, relative to the maximum: ${say(answer.paper)} to relviz.spectral in ` +
    "the paper's form, " +
    (defined
      ? `${say(answer.exact)} in the exact form, and ${say(answer.autograd)} to what autograd ` +
        "sends back through torch.istft."
      : "and nothing to compare in the exact form, which is not defined here.")
  );
}

/**
 * The rows of the table of factors.
 * @param {[string, number[]][]} groups
 */
function factorRows(groups) {
  const head = ["Bins", "5\u00a0%", "Median", "95\u00a0%"];
  return [
    make("caption", {}, "Factor |exact| / |paper|"),
    make("tr", {}, ...head.map((t) => make("th", { scope: "col" }, t))),
    ...groups.map(([name, values]) =>
      make(
        "tr",
        {},
        make("th", { scope: "row" }, name),
        ...values.map((v) => make("td", {}, short(v))),
      ),
    ),
  ];
}

/**
 * A point for a paired bin, a square for one without a partner, a triangle for one too high.
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} y
 * @param {boolean} end
 * @param {boolean} above
 */
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

/**
 * What a stroke of the pencil changes, [[n, value], ...]: a fast one skips samples, and a straight
 * line fills them.
 * @param {{n: number, value: number}} from
 * @param {{n: number, value: number}} to
 */
export function stroke(from, to) {
  /** @type {[number, number][]} */
  const changes = [];
  for (let i = Math.min(to.n, from.n); i <= Math.max(to.n, from.n); i++) {
    const share = to.n === from.n ? 1 : (i - from.n) / (to.n - from.n);
    changes.push([i, from.value + share * (to.value - from.value)]);
  }
  return changes;
}

const UNDEFINED = "not defined: the text says why";

/** The explorer: what is chosen, its controls, and its charts. */
class WirtingerExplorer {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    /** @type {Record<string, number[]>} */
    this.signals = model.get("signals");
    /** @type {number[]} */
    this.drawn = model.get("drawn");
    this.samples = this.drawn.length;
    this.every = Array.from({ length: this.samples }, (_, n) => n);
    /** @type {{n: number, value: number} | null} where the pencil was */
    this.last = null;
    /** @type {Ask | null} the kernel */
    this.ask = null;

    const choose = () => this.choose();
    const names = [...Object.keys(this.signals), "drawn"];
    const kinds = names.map((name) => [name, KINDS[name]]);
    const lengths = [16, 32, 64, 128].map((m) => [m, `${m} samples`]);
    const hops = { min: 4, max: 128, step: 1, value: model.get("hop") };
    this.kind = choice("Gradient signal", kinds, model.get("kind"), choose);
    this.windows = choice("Window", Object.entries(SHAPES), model.get("window"), choose);
    this.length = choice("Window length M", lengths, model.get("length"), choose);
    this.hop = slider("Hop", hops, choose, (value) => this.sayHop(value));
    this.place = slider(
      "Sample to draw",
      { min: 0, max: this.samples - 1, step: 1, value: Math.floor(this.samples / 2) },
      () => this.goTo(),
      (n) => `n = ${n}`,
    );
    this.height = slider(
      "Value of that sample",
      { min: -1, max: 1, step: 0.01, value: 0 },
      (value) => this.draw([[this.place.value, value]]),
      (value) => value.toFixed(2),
    );
    this.words = status();
    this.words.node.style.minHeight = "5.6em"; // four lines: what is below should not jump
    this.table = make("table", { className: "relviz-table" });
    this.key = make("p", { className: "relviz-scale" });
    this.checked = status();
    this.check = row();
    this.now = this.compute();
    this.charts = this.makeCharts();
    this.pencil();
  }

  makeCharts() {
    /** @type {("paper" | "exact")[]} */
    const forms = ["paper", "exact"];
    return {
      picture: chart("Gradient f[n]: draw on it", 150, (c, frame) => this.paintSignal(c, frame)),
      sums: chart("Sum of the squared windows, s[n]", 150, (c, frame) => this.paintSums(c, frame)),
      maps: forms.map((form) =>
        chart(`|g| in the form “${form}” (dB, ${DEPTH} below its maximum)`, 180, (c, frame) =>
          this.paintMap(c, frame, this.now[form]),
        ),
      ),
      tiles: chart("Factor |exact| / |paper| of every bin", 180, (c, frame) =>
        this.paintFactors(c, frame),
      ),
      dots: chart("The same factors, frame by frame", 180, (c, frame) => this.paintDots(c, frame)),
    };
  }

  get pictures() {
    const { picture, sums, maps, tiles, dots } = this.charts;
    return [picture, sums, ...maps, tiles, dots];
  }

  /**
   * The hop beside the window's length, as a fraction where it is a plain one.
   * @param {number} value
   */
  sayHop(value) {
    const part = Number(this.length.value) / value;
    return `${value} samples${Number.isInteger(part) && part > 1 ? `, M/${part}` : ""}`;
  }

  get signal() {
    return this.kind.value === "drawn" ? this.drawn : this.signals[this.kind.value];
  }

  get value() {
    return this.signal[this.place.value];
  }

  get time() {
    return { x: [0, this.samples], xlabel: "Sample n" };
  }

  get bins() {
    return { ...this.time, y: [-0.5, this.now.shape.length / 2 + 0.5], ylabel: "Bin k" };
  }

  /** @param {CanvasRenderingContext2D} context @param {Frame} frame */
  paintSignal(context, frame) {
    const box = axes(context, frame, { ...this.time, y: [-1.1, 1.1], ylabel: "f[n]" });
    /** @type {Scales | undefined} for the pencil */
    this.box = box;
    const n = this.place.value;
    cursor(context, box, n, frame.colours.third);
    line(context, box, this.every, this.signal, frame.colours.first);
    context.strokeStyle = frame.colours.third;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(box.x(n), box.y(this.value), 4, 0, 2 * Math.PI);
    context.stroke();
  }

  /** @param {CanvasRenderingContext2D} context @param {Frame} frame */
  paintSums(context, frame) {
    const { covered, shape, step, gaps } = this.now;
    const { second, muted, third } = frame.colours;
    const top = 1.05 * Math.max(1, greatest([covered]));
    const at = axes(context, frame, { ...this.time, y: [0, top], ylabel: "s[n]" });
    context.fillStyle = second;
    for (const n of gaps) context.fillRect(at.x(n - 0.5), at.top, at.x(1) - at.x(0) + 1, at.height);
    const squares = Array.from(shape, (w) => w * w);
    for (let m = 0; m * step <= this.samples && this.samples / step <= 64; m++) {
      const from = m * step - shape.length / 2;
      const times = squares.map((_, i) => from + i);
      line(context, at, times, squares, muted, { width: 0.6 });
    }
    line(context, at, this.every, covered, third, { width: 2.2 });
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Frame} frame
   * @param {Float64Array[] | null} map
   */
  paintMap(context, frame, map) {
    const at = axes(context, frame, this.bins);
    if (!map) return instead(context, at, frame, UNDEFINED);
    const top = greatest(map);
    // magma's 0 is DEPTH decibels below its 1
    /** @param {number} v */
    const shade = (v) => magma(1 + (20 * Math.log10(v / (top || 1))) / DEPTH);
    frames(context, at, map, this.now.step, shade);
  }

  /** @param {CanvasRenderingContext2D} context @param {Frame} frame */
  paintFactors(context, frame) {
    const { factors, usual, step } = this.now;
    const at = axes(context, frame, this.bins);
    if (!factors) return instead(context, at, frame, UNDEFINED);
    const grey = rgb(frame.colours.grid);
    /** @param {number} v @returns {Rgb} */
    const shade = (v) => (Number.isNaN(v) ? grey : magma(0.5 + Math.log2(v / usual) / 4));
    frames(context, at, factors, step, shade);
  }

  /** @param {CanvasRenderingContext2D} context @param {Frame} frame */
  paintDots(context, frame) {
    const { factors, covered, usual, step } = this.now;
    const { ink, second, third } = frame.colours;
    const top = 3 * usual;
    const at = axes(context, frame, { ...this.time, y: [0, top], ylabel: "Factor" });
    if (!factors) return instead(context, at, frame, UNDEFINED);
    const expected = Array.from(covered, (s) => 2 / s);
    line(context, at, this.every, expected, third, { width: 1.4 });
    factors.forEach((column, m) =>
      column.forEach((factor, k) => {
        const end = k === 0 || k === column.length - 1;
        context.fillStyle = context.strokeStyle = end ? second : ink;
        dot(context, at.x(m * step), at.y(Math.min(factor, top)), end, factor > top);
      }),
    );
  }

  compute() {
    const shape = taper(/** @type {Taper} */ (this.windows.value), Number(this.length.value));
    return compare(Float64Array.from(this.signal), shape, this.hop.value);
  }

  /** Say what the charts show. */
  tell() {
    const { now, table, key } = this;
    const { picture, sums, maps, tiles, dots } = this.charts;
    picture.say(
      `${KINDS[this.kind.value]}, ${this.samples} samples; sample ${this.place.value} is ` +
        `${this.value.toFixed(2)}`,
    );
    sums.say(this.sumsInWords());
    maps[0].say(strongest(now.paper, now.step));
    maps[1].say(strongest(now.exact, now.step));
    table.hidden = key.hidden = !now.factors;
    if (!now.factors) {
      for (const each of [tiles, dots]) each.say(`not defined, since ${whyUndefined(now)}`);
      this.words.say(undefinedInWords(now));
      return;
    }
    const groups = groupsOf(now, now.factors);
    table.replaceChildren(...factorRows(groups));
    const [middle, near, ends] = groups.map(([, values]) => values);
    tiles.say(
      now.paper.some((_, m) => now.interior(m))
        ? `nine tenths of the interior factors lie between ${short(middle[0])} and ${short(middle[2])}`
        : "no interior frames",
    );
    dots.say(
      `median ${short(middle[1])} in interior frames, ${short(near[1])} near the ends, ` +
        `${short(ends[1])} at DC and Nyquist`,
    );
    key.replaceChildren(
      `${short(now.usual / 4)} `,
      make("span", { className: "relviz-ramp", "aria-hidden": "true" }),
      ` ${short(now.usual * 4)}; grey: too weak to compare`,
    );
    this.words.say(factorInWords(now, middle));
  }

  sumsInWords() {
    const { shape, step, gaps } = this.now;
    const { low, high, still } = range(this.now);
    return (
      `${SHAPES[this.windows.value]} windows of ${shape.length} samples every ${step}: away from ` +
      `the ends ${still ? `always ${short(low)}` : `from ${short(low)} to ${short(high)}`}` +
      (gaps.length ? `; ${gaps.length} samples are uncovered, the first is ${gaps[0]}` : "")
    );
  }

  show() {
    this.now = this.compute();
    this.hop.show();
    for (const each of this.pictures) each.draw();
    this.tell();
    this.checked.say("");
  }

  showValue() {
    this.height.value = this.value;
    this.charts.picture.say(`sample ${this.place.value} is ${this.value.toFixed(2)}`);
  }

  /** Show another sample. */
  goTo() {
    this.showValue();
    this.charts.picture.draw();
  }

  /** Tell Python what is chosen. */
  keep() {
    for (const [name, value] of Object.entries(this.chosen())) {
      if (this.model.get(name) !== value) this.model.set(name, value);
    }
    this.model.save_changes();
  }

  /** What is chosen, by the names of the model. @returns {Record<string, any>} */
  chosen() {
    return {
      drawn: this.drawn,
      kind: this.kind.value,
      window: this.windows.value,
      length: Number(this.length.value),
      hop: this.hop.value,
    };
  }

  choose() {
    this.showValue();
    this.show();
    this.keep();
  }

  /**
   * Change samples: [[n, value], ...]. What was chosen becomes a drawing of the reader's own.
   * @param {[number, number][]} changes
   */
  draw(changes) {
    const next = Array.from(this.signal);
    for (const [n, value] of changes) next[n] = value;
    this.drawn = next;
    this.kind.value = "drawn";
    this.choose();
  }

  /** Let the signal be drawn on its picture. */
  pencil() {
    const { canvas } = this.charts.picture;
    /** @param {number} v @param {number} low @param {number} high */
    const clip = (v, low, high) => Math.min(high, Math.max(low, v));
    drag(canvas, (x, y, event) => {
      if (!this.box) return; // not yet drawn
      const n = clip(Math.round(this.box.xValue(x)), 0, this.samples - 1);
      const value = clip(Math.round(100 * this.box.yValue(y)) / 100, -1, 1);
      const to = { n, value };
      const from = event.type === "pointerdown" || !this.last ? to : this.last;
      this.last = to;
      this.place.value = n;
      this.draw(stroke(from, to));
    });
    canvas.style.touchAction = "none"; // a finger draws here, and scrolls elsewhere
  }

  /** All of it. */
  section() {
    const { picture, sums, maps, tiles, dots } = this.charts;
    const sumMarks = marks(
      ["—", "s[n]", "third"],
      ["—", "squared windows", "muted"],
      ["▮", "uncovered samples", "second"],
    );
    const dotMarks = marks(
      ["•", "paired bins", "ink"],
      ["□", "DC and Nyquist", "second"],
      ["—", "2 / s[n]", "third"],
      ["▲", "above the scale", "ink"],
    );
    const erase = button("Erase all", () => this.draw(this.every.map((n) => [n, 0])));
    return captioned(
      "Wirtinger explorer",
      CAPTION,
      row(this.kind.node, this.windows.node, this.length.node, this.hop.node),
      picture.node,
      row(this.place.node, this.height.node, erase),
      sums.node,
      sumMarks,
      this.words.node,
      beside(maps),
      beside([
        { node: make("div", {}, tiles.node, this.key) },
        { node: make("div", {}, dots.node, dotMarks) },
      ]),
      this.table,
      this.check,
      this.checked.node,
    );
  }

  /** Follow the model, where it was not changed here; returns what ends that. */
  follow() {
    const { model } = this;
    /** @type {Record<string, () => void>} */
    const takes = {
      kind: () => (this.kind.value = model.get("kind")),
      window: () => (this.windows.value = model.get("window")),
      length: () => (this.length.value = model.get("length")),
      hop: () => (this.hop.value = model.get("hop")),
      drawn: () => (this.drawn = model.get("drawn")),
    };
    const ends = Object.entries(takes).map(([name, take]) => {
      const hear = () => {
        if (this.chosen()[name] === model.get(name)) return; // it was chosen here
        take();
        this.showValue();
        this.show();
      };
      model.on(`change:${name}`, hear);
      return () => model.off(`change:${name}`, hear);
    });
    return () => ends.forEach((end) => end());
  }

  /** Let the kernel check this page's numbers. */
  async compareWithPython() {
    const { ask, now: asked } = this;
    if (!ask) return;
    const { f, g, shape, step } = asked;
    /** @param {Spectrum[]} spectra */
    const flat = (spectra) =>
      Float64Array.from(
        spectra.flatMap(({ re, im }) => Array.from(re).flatMap((v, k) => [v, im[k]])),
      );
    const sent = [f, flat(g.paper), ...(g.exact ? [flat(g.exact)] : [])];
    this.checked.say("The kernel is computing…");
    try {
      const question = {
        ask: "check",
        window: this.windows.value,
        length: shape.length,
        hop: step,
      };
      const { answer } = await ask(
        question,
        sent.map((array) => array.buffer),
      );
      if (asked === this.now) this.checked.say(differencesInWords(answer, Boolean(g.exact)));
    } catch (error) {
      if (asked === this.now) this.checked.say(/** @type {Error} */ (error).message);
    }
  }

  end() {
    this.pictures.forEach((each) => each.end());
  }
}

/** @param {{model: Model, el: HTMLElement}} view */
function render({ model, el }) {
  const explorer = new WirtingerExplorer(model);
  el.append(explorer.section());
  explorer.choose();
  const leave = explorer.follow();
  const end = whenKernel(model, (kernel) => {
    explorer.ask = kernel;
    const check = button("Check with autograd", () => explorer.compareWithPython());
    explorer.check.replaceChildren(check);
  });
  return () => {
    end();
    leave();
    explorer.end();
  };
}

export default { render };
