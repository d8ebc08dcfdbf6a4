// @ts-check
// The live explorer: see live.py.
import {
  LEFT,
  RIGHT,
  axes,
  beside,
  button,
  captioned,
  chart,
  choice,
  cursor,
  drag,
  fileField,
  frames,
  instead,
  legend,
  line,
  magma,
  make,
  numbersOf,
  percent,
  row,
  rowsOf,
  slider,
  soundButton,
  status,
  stop,
  unpack,
  wave,
  whenKernel,
  workBar,
} from "./common.js";
import { decibels, f0Contour, formants, gcd, spectrogram } from "./dsp.js";
import { engine, listen, microphone, whyNotHere } from "./engine.js";
import { amidZeros, checkSamples, readSound, resampled } from "./sound.js";

/**
 * @import { Ask, Chart, Frame, Model, Scales } from "./common.js"
 * @typedef {Float32Array<ArrayBuffer>} Sound
 * @typedef {{name: string, classes: string[], window: number, stride: number}} Network
 * @typedef {Awaited<ReturnType<typeof microphone>>} Microphone
 */

/**
 * What live.py says of its signals. examples: words for phones. step: samples between windows whose
 * probabilities are shown over time.
 * @typedef {object} About
 * @property {number} rate Hz
 * @property {number} step
 * @property {number} longest s
 * @property {[number, number]} limits Hz, of the F0 searched
 * @property {number[]} shifts
 * @property {string[]} sounds
 * @property {Record<string, string>} examples
 * @property {[string, string][]} methods and what they are called
 * @property {Network[]} networks
 */

/**
 * Probabilities of the classes in windows, and the windows' times (s).
 * @typedef {{rows: Float32Array[], times: number[]}} Posteriors
 */

/**
 * What the microphone brings: the newest window, and the probabilities in those before it.
 * @typedef {Posteriors & {samples: Sound, relevance: Sound | null}} Rolling
 */

/**
 * What the microphone brought: s since it opened, and probabilities by the network `of`.
 * @typedef {{of: string, moments: number[], rows: Float32Array[]}} History
 */

/**
 * How to hear a sound: the answers a kernel is asked for, and who is told of progress.
 * @typedef {object} Order
 * @property {("probabilities" | "relevance")[]} want
 * @property {AbortSignal} signal
 * @property {(done: number, all: number) => void} [progress]
 */

const CAPTION =
  "A sound, what a network names in it over time, and the relevance of its samples: waveform, spectrograms, F0 and formants. Speak, open a file or take a vowel; then try another network, method or number of shifts.";
const LEAST = { guided: 0, gradient: -3.4028234663852886e38 }; // that passes a rectifier: see export.py
const DEPTH = -60; // dB below the maximum, in spectrograms
const MOST = 8; // classes that are shown over time
const FILE = "your file";
const VOICE = "your recording";
const CURSOR_ON_MAPS = "#7fd4ff";
const MISSING = "not yet computed";
const SIDES = ["Recording", "Relevance"];

/**
 * The hop (samples) at which about `shifts` windows cover each sample; as live.py's `hop`.
 * @param {number} window
 * @param {number} stride
 * @param {number} shifts
 */
export function hopFor(window, stride, shifts) {
  if (shifts === 1) return window;
  const wanted = window / shifts;
  let best = 1;
  for (let n = 2; n < window; n++) {
    if (gcd(n, stride) === 1 && Math.abs(n - wanted) < Math.abs(best - wanted)) best = n;
  }
  return best;
}

/**
 * The classes that win somewhere, those that win most often, in the order of their first.
 * @param {Float32Array[]} rows
 * @param {number} most
 */
export function winners(rows, most = MOST) {
  /** @type {Map<number, number>} */
  const wins = new Map();
  for (const p of rows) {
    const best = p.reduce((b, v, k) => (v > p[b] ? k : b), 0);
    wins.set(best, (wins.get(best) ?? 0) + 1);
  }
  const often = [...wins].sort((a, b) => b[1] - a[1]).slice(0, most);
  const kept = new Set(often.map(([k]) => k));
  return [...wins.keys()].filter((k) => kept.has(k));
}

/**
 * Why no network can hear a sound, in a sentence; nothing where one can.
 * @param {Sound} samples
 * @param {string} name
 */
export function refusal(samples, name) {
  try {
    checkSamples(samples, name);
  } catch (error) {
    return /** @type {Error} */ (error).message;
  }
  return "";
}

/** @param {Sound} samples */
function isConstant(samples) {
  return samples.every((v) => v === samples[0]);
}

/** @param {string} sentence */
function capital(sentence) {
  return `${sentence[0].toUpperCase()}${sentence.slice(1)}`;
}

const RANGES = [
  [75, 500],
  [50, 300], // a low voice
  [100, 800], // a child's, or a singer's
];

/**
 * Ranges of F0 to choose from: what the explorer was made with, and the usual ones.
 * @param {[number, number]} own
 */
function rangesOf(own) {
  const texts = [own, ...RANGES].map(([low, high]) => `${low} to ${high} Hz`);
  return [...new Set(texts)].map((text) => [text, text]);
}

/**
 * Spectrogram and F0 of a signal.
 * @param {Sound} samples
 * @param {number} rate
 * @param {{floor: number, ceiling: number}} limits Hz, of F0
 */
function analyse(samples, rate, limits) {
  // at most some 200 columns: a picture has no more to show, and the cursor must not lag
  const space = Math.max(80, Math.round(samples.length / 200));
  const { columns } = spectrogram(samples, { step: space });
  let loudest = 0;
  for (const column of columns) for (const v of column) loudest = Math.max(loudest, v);
  const shares = columns.map((c) => decibels(c, DEPTH, loudest).map((d) => 1 - d / DEPTH));
  return { shares, space, f0: f0Contour(samples, rate, limits) };
}

/**
 * Where the networks run.
 * @param {string} reason why not in this page; nothing where they can
 * @param {boolean} kernel whether there is one
 * @param {string | undefined} assets
 */
function whereInWords(reason, kernel, assets) {
  if (!reason) {
    return (
      "Nothing leaves your machine: the network runs in this page. It is loaded (16 MB) when you " +
      "first give it a sound of your own."
    );
  }
  if (kernel) {
    return (
      "This notebook's kernel runs the networks: a sound of yours goes to the kernel's machine, " +
      "and nowhere else. Everything else is computed in this page."
    );
  }
  const remedy =
    assets && reason.startsWith("A page")
      ? "serve the book over http (python -m http.server in its folder)"
      : "reload it, or run its cell";
  return `${reason}, so only the sounds that came with it can be heard: ${remedy}, or open it on Binder, to use your own file or microphone.`;
}

/**
 * What the network is asked.
 * @param {Network} net
 * @param {number} rate
 */
function taskInWords({ name, classes, window }, rate) {
  const milliseconds = (1000 * window) / rate;
  if (name === "untrained") {
    return (
      "The same question, to the phone network before its training: it has learned nothing, and " +
      "its names mean nothing. Does its relevance signal look and sound otherwise?"
    );
  }
  return name === "speakers"
    ? `The question: which of the ${classes.length} readers it knows speaks these ` +
        `${milliseconds} ms? It names one of them for any voice.`
    : `The question: which of ${classes.length - 1} phones, or silence, is in the middle of ` +
        `${milliseconds} ms?`;
}

/**
 * A class beside an axis, which has no place for the corpus that a speaker is from.
 * @param {string} name
 */
function shortly(name) {
  return name.slice(name.indexOf(":") + 1);
}

/**
 * What the number of shifts does.
 * @param {number} count
 * @param {number} hop
 * @param {number} stride
 * @param {number} rate
 */
function shiftsInWords(count, hop, stride, rate) {
  const apart = `${hop} sample${hop === 1 ? "" : "s"} apart`;
  return count === 1
    ? `Windows side by side, ${apart}: the network's grid (every 10 samples, and ` +
        "coarser) stays in the relevance signal as aliasing, images of the spectrum around " +
        `multiples of ${rate / 10} Hz.`
    : `Windows ${apart}: each sample is heard in about ${count} windows, and the ` +
        `network's grid of ${stride} samples is averaged away ${count < 16 ? "in part" : "well"}.`;
}

/**
 * The formants at the cursor: a table, and its cells for the recording and for the relevance.
 */
function formantTable() {
  const names = ["F1", "F2", "F3"];
  const cells = SIDES.map(() => names.map(() => make("td")));
  const head = make("tr", {}, make("td"), ...names.map((n) => make("th", { scope: "col" }, n)));
  const rows = SIDES.map((n, i) => make("tr", {}, make("th", { scope: "row" }, n), ...cells[i]));
  const node = make(
    "table",
    { className: "relviz-table" },
    make("caption", {}, "Formants at the cursor, in Hz"),
    make("thead", {}, head),
    make("tbody", {}, ...rows),
  );
  return { node, cells };
}

/**
 * A row of colours: probabilities of one class in windows, each as wide as half the way to its
 * neighbours.
 * @param {CanvasRenderingContext2D} context
 * @param {Scales} box
 * @param {number} top
 * @param {number} height
 * @param {Posteriors} posteriors
 * @param {number} k the class
 * @param {number} space s, the width of the last
 */
function paintClass(context, box, top, height, { rows, times }, k, space) {
  rows.forEach((p, i) => {
    const before = i ? (times[i - 1] + times[i]) / 2 : times[i];
    const after = i < rows.length - 1 ? (times[i] + times[i + 1]) / 2 : times[i] + space;
    const from = Math.max(box.left, Math.floor(box.x(before)));
    const to = Math.min(box.left + box.width, Math.floor(box.x(after)));
    context.fillStyle = `rgb(${magma(p[k])})`;
    if (to > from) context.fillRect(from, top, to - from, height);
  });
}

/**
 * A bar with its name on the left and its number beside its end.
 * @param {CanvasRenderingContext2D} context
 * @param {Frame} frame
 * @param {Scales} box
 * @param {number} y
 * @param {number} high
 * @param {[string, number]} entry
 */
function paintBar(context, frame, box, y, high, [name, p]) {
  const { ink, third, paper } = frame.colours;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.fillStyle = ink;
  context.fillText(shortly(name), box.left - 6, y + high / 2);
  context.fillStyle = third;
  context.fillRect(box.left, y + 0.2 * high, Math.max(1, p * box.width), 0.6 * high);
  context.fillStyle = ink;
  // the number stands beside its bar, or left of its end where there is no room
  const right = p < 0.8;
  context.textAlign = right ? "left" : "right";
  if (!right) context.fillStyle = paper || "#fff";
  context.fillText(percent(p), box.left + p * box.width + (right ? 6 : -6), y + high / 2);
}

/** @param {number} milliseconds */
function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** The explorer: what is chosen and what was heard of it, its controls, and its charts. */
class LiveExplorer {
  /**
   * @param {Model} model
   * @param {About} about
   * @param {Record<string, Sound>} signals
   */
  constructor(model, about, signals) {
    this.model = model;
    this.about = about;
    this.rate = about.rate;
    this.sounds = new Map(about.sounds.map((name) => [name, signals[name]]));
    /** @type {Map<string, Posteriors>} of sound/network */
    this.posteriorsOf = new Map();
    /** @type {Map<string, Sound>} of sound/network/method/shifts */
    this.relevanceOf = new Map();
    this.remember(signals);
    /** @type {WeakMap<Sound, ReturnType<typeof analyse>>} computed once */
    this.analysed = new WeakMap();
    this.at = 0; // s, the cursor
    /** @type {Rolling | null} */
    this.rolling = null;
    /** @type {Microphone | null} */
    this.open = null;
    /** @type {AbortController | null} of what is being computed */
    this.working = null;
    /** @type {Ask | null} the kernel */
    this.ask = null;
    this.assets = globalThis.relvizAssets;
    this.reason = whyNotHere(this.assets); // why not in this page

    const names = about.networks.map((n) => [n.name, n.name]);
    const steps = { min: 0, max: about.shifts.length - 1, step: 1, value: this.modelShifts };
    this.network = choice("Network", names, model.get("network"), () => this.choose());
    this.method = choice("Method", about.methods, model.get("method"), () => this.choose());
    this.sound = choice("Sound", this.soundPairs, model.get("sound"), () => this.changeSound());
    this.file = fileField("Your own file", (file) => this.readFile(file));
    const ranges = rangesOf(about.limits);
    this.range = choice("F0 searched", ranges, ranges[0][1], () => {
      this.analysed = new WeakMap();
      this.draw();
    });
    this.recordButton = button("Record", () =>
      this.open ? this.finish(this.open) : this.record(),
    );
    this.shifts = slider(
      "Number of shifts",
      steps,
      () => this.choose(),
      (place) => `${about.shifts[place]}`,
    );
    this.place = slider(
      "Cursor",
      { min: 0, max: 1, step: 0.005, value: 0 },
      (v) => this.move(v),
      (v) => `${v.toFixed(3)} s`,
    );
    this.place.node.classList.add("relviz-wide");
    this.where = make("p", { className: "relviz-note", id: `${this.sound.control.id}-where` });
    this.task = make("p", { className: "relviz-note" });
    this.shiftNote = make("p", { className: "relviz-note" });
    this.busy = workBar();
    this.note = status();
    this.table = formantTable();
    this.charts = this.makeCharts();
  }

  /**
   * Take what came with the page.
   * @param {Record<string, Sound>} signals
   */
  remember(signals) {
    for (const name of this.about.sounds) {
      for (const net of this.about.networks) {
        const key = `${name}/${net.name}`;
        this.posteriorsOf.set(key, this.timed(rowsOf(signals[key], net.classes.length)));
        for (const [method] of this.about.methods) {
          for (const count of this.about.shifts) {
            const keyed = `${key}/${method}/${count}`;
            this.relevanceOf.set(keyed, signals[keyed]);
          }
        }
      }
    }
  }

  /**
   * Probabilities in windows every `step` samples from 0.
   * @param {Float32Array[]} rows
   * @returns {Posteriors}
   */
  timed(rows) {
    return { rows, times: rows.map((_, i) => (i * this.about.step) / this.rate) };
  }

  makeCharts() {
    return {
      waves: this.pair("Waveform", 110, this.paintWave),
      spectrograms: this.pair("Spectrogram", 170, this.paintSpectrogram),
      overTime: chart("Probabilities over time", 190, (c, frame) => this.paintOverTime(c, frame)),
      atCursor: chart("Probabilities at the cursor", 190, (c, frame) =>
        this.paintAtCursor(c, frame),
      ),
      pitch: chart("F0 of both", 150, (c, frame) => this.paintF0(c, frame)),
    };
  }

  /**
   * Charts of the recording, on the left, and of the relevance, on the right.
   * @param {string} title
   * @param {number} height
   * @param {(c: CanvasRenderingContext2D, f: Frame, samples: Sound | null, colour: string) => void} paint
   */
  pair(title, height, paint) {
    return [
      chart(`${title} of the recording`, height, (context, frame) =>
        paint.call(this, context, frame, this.original, frame.colours.first),
      ),
      chart(`${title} of the relevance signal`, height, (context, frame) =>
        paint.call(this, context, frame, this.relevance, frame.colours.second),
      ),
    ];
  }

  /** @returns {Chart[]} */
  get pictures() {
    const { waves, overTime, atCursor, spectrograms, pitch } = this.charts;
    return [...waves, overTime, atCursor, ...spectrograms, pitch];
  }

  // what is chosen

  get net() {
    const { networks } = this.about;
    return /** @type {Network} */ (networks.find((n) => n.name === this.network.value));
  }

  /** In samples: a sound as long is heard by every network. */
  get longestWindow() {
    return Math.max(...this.about.networks.map((n) => n.window));
  }

  get key() {
    return `${this.sound.value}/${this.network.value}`;
  }

  get original() {
    return this.rolling?.samples ?? /** @type {Sound} */ (this.sounds.get(this.sound.value));
  }

  get relevance() {
    if (this.rolling) return this.rolling.relevance;
    return this.relevanceOf.get(`${this.key}/${this.method.value}/${this.count}`) ?? null;
  }

  /** @returns {Posteriors} */
  get posteriors() {
    return this.rolling ?? this.posteriorsOf.get(this.key) ?? { rows: [], times: [] };
  }

  get duration() {
    return this.original.length / this.rate;
  }

  /** The number of shifts. */
  get count() {
    return this.about.shifts[this.shifts.value];
  }

  /** Of the F0 searched, in Hz. */
  get limits() {
    const [floor, ceiling] = this.range.value.split(" to ").map(parseFloat);
    return { floor, ceiling };
  }

  get hop() {
    return hopFor(this.net.window, this.net.stride, this.count);
  }

  /** The place of the model's shifts on the slider. */
  get modelShifts() {
    return Math.max(0, this.about.shifts.indexOf(this.model.get("shifts")));
  }

  get soundPairs() {
    return [...this.sounds.keys()].map((s) => [s, s]);
  }

  /** Whether the chosen sound came with the page. */
  get isGiven() {
    return this.about.sounds.includes(this.sound.value);
  }

  /**
   * The most probable classes at the cursor.
   * @returns {[string, number][]}
   */
  get top() {
    const { rows, times } = this.posteriors;
    if (!rows.length) return [];
    let i = rows.length - 1;
    if (!this.rolling) {
      const nearest = Math.round((this.at - times[0]) / (this.about.step / this.rate));
      i = Math.min(i, Math.max(0, nearest));
    }
    const { classes } = this.net;
    /** @type {[string, number][]} */
    const ranked = Array.from(rows[i], (p, k) => [classes[k], p]);
    return ranked.sort((a, b) => b[1] - a[1]).slice(0, 5);
  }

  /**
   * Spectrogram and F0 of a signal.
   * @param {Sound} samples
   */
  analysis(samples) {
    let found = this.analysed.get(samples);
    if (!found) this.analysed.set(samples, (found = analyse(samples, this.rate, this.limits)));
    return found;
  }

  // what is drawn

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Frame} frame
   * @param {Sound | null} samples
   * @param {string} colour
   */
  paintWave(context, frame, samples, colour) {
    const x = [0, this.duration];
    const box = axes(context, frame, { x, y: [-1, 1], xlabel: "Time (s)", yticks: 0 });
    if (!samples) return instead(context, box, frame, MISSING);
    wave(context, box, samples, this.rate, colour);
    cursor(context, box, this.at, frame.colours.third);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Frame} frame
   * @param {Sound | null} samples
   */
  paintSpectrogram(context, frame, samples) {
    const [x, y] = [
      [0, this.duration],
      [0, this.rate / 2000],
    ];
    const box = axes(context, frame, { x, y, xlabel: "Time (s)", ylabel: "kHz" });
    if (!samples) return instead(context, box, frame, MISSING);
    const { shares, space } = this.analysis(samples);
    frames(context, box, shares, space / this.rate);
    cursor(context, box, this.at, CURSOR_ON_MAPS);
  }

  /** @param {CanvasRenderingContext2D} context @param {Frame} frame */
  paintOverTime(context, frame) {
    const { posteriors, rolling, about } = this;
    const x = rolling ? [-about.longest, 0] : [0, this.duration];
    const xlabel = rolling ? "Time before now (s)" : "Time (s)";
    const box = axes(context, frame, { x, y: [0, 1], xlabel, yticks: 0 });
    if (!posteriors.rows.length) return instead(context, box, frame, MISSING);
    const shown = winners(posteriors.rows);
    const high = box.height / shown.length;
    const { classes } = this.net;
    context.textAlign = "right";
    context.textBaseline = "middle";
    shown.forEach((k, r) => {
      const top = box.top + r * high;
      context.fillStyle = frame.colours.ink;
      context.fillText(shortly(classes[k]), box.left - 6, top + high / 2);
      paintClass(context, box, top, high - 1, posteriors, k, about.step / this.rate);
    });
    if (!rolling) cursor(context, box, this.at, CURSOR_ON_MAPS);
  }

  /** @param {CanvasRenderingContext2D} context @param {Frame} frame */
  paintAtCursor(context, frame) {
    const found = this.top;
    const about = { x: [0, 100], y: [0, 1], xlabel: "Probability (%)", yticks: 0 };
    const box = axes(context, frame, about);
    if (!found.length) return instead(context, box, frame, MISSING);
    const high = box.height / found.length;
    found.forEach((entry, r) => paintBar(context, frame, box, box.top + r * high, high, entry));
  }

  /** @param {CanvasRenderingContext2D} context @param {Frame} frame */
  paintF0(context, frame) {
    const { muted, second, third } = frame.colours;
    const contours = this.both((samples) => this.analysis(samples).f0);
    const hertz = contours.flatMap((c) => c?.hertz ?? []).filter(Number.isFinite);
    const low = hertz.length ? hertz.reduce((a, b) => Math.min(a, b)) - 20 : 75;
    const high = hertz.length ? hertz.reduce((a, b) => Math.max(a, b)) + 40 : 300;
    const about = { x: [0, this.duration], y: [low, high], xlabel: "Time (s)", ylabel: "Hz" };
    const box = axes(context, frame, about);
    contours.forEach((c, i) => {
      if (!c) return;
      const times = c.hertz.map((_, k) => c.start + k * c.step);
      // the recording's is broad, so that the other can be seen on top of it
      line(context, box, times, c.hertz, i ? second : muted, { width: i ? 2 : 6 });
    });
    cursor(context, box, this.at, third);
    legend(context, box, [
      ["recording", muted],
      ["relevance", second],
    ]);
  }

  /**
   * Of the recording and of the relevance signal, null where it is not there.
   * @template Found
   * @param {(samples: Sound) => Found} find
   */
  both(find) {
    return [this.original, this.relevance].map((samples) => (samples ? find(samples) : null));
  }

  draw() {
    for (const each of this.pictures) each.draw();
    this.tell();
  }

  /** Say what the charts show. */
  tell() {
    const { waves, spectrograms, overTime, atCursor, pitch } = this.charts;
    const at = `${this.at.toFixed(3)} s`;
    const [mine, its] = this.both((samples) => this.f0InWords(samples)).map((t) => t ?? "no F0");
    pitch.say(`at ${at} ${mine} in the recording, ${its} in the relevance signal`);
    this.fillTable();
    const [best, second] = this.top;
    if (!best) return;
    const [words, then] = [best, second].map(([name, p]) => `${this.who(name)} (${percent(p)})`);
    atCursor.say(`${words}, then ${then}`);
    const often = winners(this.posteriors.rows).map((k) => this.net.classes[k]);
    overTime.say(`in this order ${often.join(", ")}`);
    for (const each of [...waves, ...spectrograms]) {
      each.say(`${this.duration.toFixed(2)} s, cursor at ${at}`);
    }
    if (this.rolling) return; // a reader of the screen would hear nothing else
    this.note.say(
      `At ${at} the network hears ${words}, then ${then}; ${mine} in the recording, ` +
        `${its} in the relevance signal.`,
    );
  }

  /** @param {Sound} samples */
  f0InWords(samples) {
    const { hertz, start, step } = this.analysis(samples).f0;
    const here = hertz[Math.round((this.at - start) / step)] ?? NaN;
    if (!Number.isFinite(here)) return "no F0";
    const { floor, ceiling } = this.limits;
    const atLimit = [floor, ceiling].some((limit) => Math.abs(here / limit - 1) < 0.03);
    return `F0 ${here.toFixed(0)} Hz${atLimit ? " (at a limit of the search)" : ""}`;
  }

  /** Write the formants at the cursor into their table. */
  fillTable() {
    const found = this.both((samples) => formants(samples, this.rate, this.at));
    this.table.cells.forEach((cells, i) =>
      cells.forEach((cell, k) => {
        const hertz = found[i]?.[k] ?? NaN;
        cell.textContent = Number.isFinite(hertz) ? hertz.toFixed(0) : "–";
      }),
    );
  }

  /**
   * A class for somebody who does not know its letters.
   * @param {string} name
   */
  who(name) {
    if (this.network.value === "speakers") return `speaker ${name}`;
    const example = this.about.examples[name];
    return example ? `${name} as in “${example}”` : name;
  }

  // what a reader does

  /** @param {number} time s */
  move(time) {
    this.place.value = Math.min(this.duration, Math.max(0, time));
    this.at = this.place.value; // on the slider's steps
    this.draw();
  }

  /** Put the cursor into the middle. */
  centre() {
    this.place.limits(0, this.duration.toFixed(3));
    this.place.value = this.duration / 2;
    this.at = this.place.value;
  }

  /**
   * @param {string} text
   * @param {() => Sound | null} take
   */
  player(text, take) {
    return soundButton(text, this.rate, () => {
      const samples = take();
      if (!samples) {
        this.note.say("There is nothing to play yet: the network is still listening.");
      }
      return samples;
    });
  }

  changeSound() {
    this.silence();
    this.chooseSound();
  }

  chooseSound() {
    this.centre();
    return this.choose();
  }

  /** Listen to what is chosen, where that was not yet done. */
  async choose() {
    const { net, hop, count } = this;
    this.task.textContent = taskInWords(net, this.rate);
    this.shiftNote.textContent = shiftsInWords(count, hop, net.stride, this.rate);
    this.keep();
    if (this.rolling) {
      Object.assign(this.rolling, { relevance: null, times: [], rows: [] }); // of another network
      return this.draw();
    }
    const signal = this.begin();
    this.draw();
    try {
      await this.hearChosen(signal);
    } catch (error) {
      if (signal.aborted) return;
      this.busy.show(null);
      if (this.reason && !this.ask && !this.isGiven) {
        this.forget(this.sound.value); // nobody here can listen to it
        this.chooseSound();
      }
      this.note.say(/** @type {Error} */ (error).message);
      return;
    }
    this.busy.show(null);
  }

  /** Begin a computation; what was asked before is of no use now. */
  begin() {
    this.working?.abort();
    this.working = new AbortController();
    return this.working.signal;
  }

  /**
   * Hear the probabilities and the relevance of what is chosen, and draw each as it comes.
   * @param {AbortSignal} signal
   */
  async hearChosen(signal) {
    const { original: samples, key, hop, about } = this;
    const [name, keyed] = [this.network.value, `${key}/${this.method.value}/${this.count}`];
    /** @param {number} space */
    const plan = (space) => ({
      first: 0,
      hop: space,
      count: Math.floor((samples.length - 1) / space) + 1,
    });
    /** @param {string} what @returns {(done: number, all: number) => void} */
    const progress = (what) => (done, all) =>
      this.busy.show(done / all, `${what}: ${done} of ${all} windows`);
    if (!this.posteriorsOf.has(key)) {
      this.busy.show(NaN, "Listening");
      const order = { signal, progress: progress("Probabilities") };
      const found = await this.hear(name, samples, plan(about.step), {
        want: ["probabilities"],
        ...order,
      });
      this.posteriorsOf.set(key, this.timed(found.rows));
      this.draw();
    }
    if (!this.relevanceOf.has(keyed)) {
      this.busy.show(NaN, "Listening");
      const order = { signal, progress: progress("Relevance") };
      const found = await this.hear(name, samples, plan(hop), { want: ["relevance"], ...order });
      this.relevanceOf.set(keyed, found.relevance);
      this.draw();
    }
  }

  /**
   * What a network hears of `samples`, wherever it runs: {rows, relevance}, as asked for.
   * @param {string} name
   * @param {Sound} samples
   * @param {{first: number, hop: number, count: number}} plan
   * @param {Order} order
   * @returns {Promise<{rows: Float32Array[], relevance: Sound}>}
   */
  async hear(name, samples, plan, { want, signal, progress }) {
    const method = this.method.value;
    const run = this.reason ? null : await this.engineOf(name, signal);
    if (run) {
      const net = /** @type {Network} */ (this.about.networks.find((n) => n.name === name));
      const least = LEAST[/** @type {"guided" | "gradient"} */ (method)];
      return listen(run, samples, { window: net.window, ...plan }, { signal, progress, least });
    }
    if (!this.ask) throw Error(this.where.textContent);
    const found = { rows: /** @type {Float32Array[]} */ ([]), relevance: new Float32Array(0) };
    for (const what of want) {
      const bytes = Float32Array.from(samples).buffer;
      const { buffers } = await this.ask({ ask: what, network: name, method, ...plan }, [bytes]);
      signal.throwIfAborted();
      const values = numbersOf(buffers);
      if (what === "relevance") found.relevance = values;
      else found.rows = rowsOf(values, values.length / plan.count);
    }
    return found;
  }

  /**
   * The engine of a network in this page; null, from now on for all, where it does not load.
   * @param {string} name
   * @param {AbortSignal} signal
   */
  async engineOf(name, signal) {
    let run = null;
    try {
      run = await engine(this.assets ?? "", name, (megabytes, all) => {
        if (signal.aborted) return;
        const of = all ? ` of ${all.toFixed(1)} MB` : "";
        this.busy.show(megabytes / all, `Loading the network: ${megabytes.toFixed(1)} MB${of}`);
      });
    } catch (error) {
      this.reason = `The network could not be loaded (${/** @type {Error} */ (error).message})`;
      this.allow();
    }
    signal.throwIfAborted();
    return run;
  }

  /** Say where the networks run, and offer what works there. */
  allow() {
    const able = !this.reason || Boolean(this.ask);
    this.where.textContent = whereInWords(this.reason, Boolean(this.ask), this.assets);
    // not in every context, whatever its type says
    const devices = /** @type {MediaDevices | undefined} */ (navigator.mediaDevices);
    const voice = able && Boolean(devices?.getUserMedia);
    this.file.control.disabled = !able;
    this.recordButton.disabled = !voice;
    for (const each of [this.file.control, this.recordButton]) {
      each.setAttribute("aria-describedby", this.where.id);
    }
    if (able && !voice) {
      this.where.textContent +=
        " This browser gives no microphone here: it needs https or localhost.";
    }
  }

  // sounds of the reader's

  /**
   * Forget a sound and what was heard of it.
   * @param {string} name
   */
  forget(name) {
    for (const heard of [this.posteriorsOf, this.relevanceOf]) {
      for (const each of [...heard.keys()]) if (each.startsWith(`${name}/`)) heard.delete(each);
    }
    this.sounds.delete(name);
    this.sound.options(this.soundPairs);
  }

  /**
   * Take a sound of the reader's: forget what was heard of the one before, and listen.
   * @param {string} name
   * @param {Sound} samples
   */
  take(name, samples) {
    this.forget(name);
    this.sounds.set(name, samples);
    this.sound.options(this.soundPairs);
    this.sound.value = name;
    return this.chooseSound();
  }

  /** @param {File} chosen */
  async readFile(chosen) {
    const { rate } = this;
    const { longest } = this.about;
    this.silence();
    let found;
    try {
      found = await readSound(chosen, rate, this.longestWindow);
    } catch (error) {
      return this.note.say(/** @type {Error} */ (error).message);
    }
    const { samples, notes } = found;
    const cut = samples.subarray(0, longest * rate);
    const no = refusal(cut, chosen.name);
    if (no) return this.note.say(no);
    await this.take(FILE, cut.slice());
    if (cut.length < samples.length) {
      notes.push(
        `${chosen.name} lasts ${(samples.length / rate).toFixed(1)} s: these are its first ${longest} s.`,
      );
    }
    if (notes.length && this.sound.value === FILE) this.note.say(notes.join(" "));
  }

  /**
   * Bring the last `seconds` of the microphone to the networks' rate.
   * @param {Microphone} device
   * @param {number} seconds
   */
  recorded(device, seconds) {
    return resampled(device.last(seconds), device.rate, this.rate);
  }

  /** Open the microphone, and show what the network hears until it is closed. */
  async record() {
    const signal = this.begin();
    this.busy.show(null);
    stop();
    this.recordButton.disabled = true;
    let device;
    try {
      device = await microphone(this.about.longest);
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      return this.note.say(
        `The microphone does not open (${message}): allow this page to use it, in the browser's settings.`,
      );
    } finally {
      this.recordButton.disabled = false;
    }
    this.open = device;
    this.recordButton.textContent = "Stop recording";
    this.shifts.control.disabled = true; // one window has no shifts
    this.note.say("Recording: speak, and stop when you are done.");
    try {
      await this.roll(device, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.changeSound();
      this.note.say(/** @type {Error} */ (error).message);
    }
  }

  /**
   * Hear the newest window again and again, as long as the microphone is open.
   * @param {Microphone} device
   * @param {AbortSignal} signal
   */
  async roll(device, signal) {
    const began = performance.now();
    /** @param {string} name @returns {History} */
    const nothing = (name) => ({ of: name, moments: [], rows: [] });
    let history = nothing(this.network.value);
    while (this.open === device) {
      const name = this.network.value;
      const { window } = this.net;
      // a little more than the window, since a filter that resamples needs a start
      const tail = (await this.recorded(device, window / this.rate + 0.05)).slice(-window);
      if (tail.length === window && !isConstant(tail)) {
        const plan = { first: window >> 1, hop: window, count: 1 };
        const found = await this.hear(name, tail, plan, {
          want: ["probabilities", "relevance"],
          signal,
        });
        if (this.open !== device) break;
        this.busy.show(null);
        if (history.of !== name) history = nothing(name);
        const now = (performance.now() - began) / 1000;
        this.showNow(tail, found, history, now);
      }
      await pause(20);
    }
  }

  /**
   * Show the newest window.
   * @param {Sound} samples
   * @param {{rows: Float32Array[], relevance: Sound}} found
   * @param {History} history
   * @param {number} now s since the microphone opened
   */
  showNow(samples, found, history, now) {
    history.moments.push(now);
    history.rows.push(found.rows[0]);
    while (now - history.moments[0] > this.about.longest) {
      history.moments.shift();
      history.rows.shift();
    }
    const first = this.rolling?.samples.length !== samples.length;
    this.rolling = {
      samples,
      relevance: found.relevance,
      times: history.moments.map((moment) => moment - now),
      rows: [...history.rows],
    };
    if (first) this.centre();
    this.draw();
  }

  /** Stop recording, and forget what was recorded. */
  silence() {
    this.open?.close();
    this.open = this.rolling = null;
    this.recordButton.textContent = "Record";
    this.shifts.control.disabled = false;
  }

  /**
   * Stop recording, and listen to the whole of it.
   * @param {Microphone} device
   */
  async finish(device) {
    const whole = await this.recorded(device, this.about.longest).catch(() => new Float32Array(0));
    this.silence();
    const no = refusal(whole, "the recording");
    if (no) {
      this.note.say(capital(no));
      return this.chooseSound();
    }
    const { longestWindow, rate } = this;
    const { samples, notes } = amidZeros(whole, longestWindow, rate, "The recording");
    await this.take(VOICE, samples);
    if (notes.length && this.sound.value === VOICE) this.note.say(notes[0]);
  }

  // the talk with Python

  /** Tell Python what is chosen. */
  keep() {
    if (this.isGiven) this.model.set("sound", this.sound.value);
    this.model.set("network", this.network.value);
    this.model.set("method", this.method.value);
    this.model.set("shifts", this.count);
    this.model.save_changes();
  }

  /** What is chosen, by the names of the model. @returns {Record<string, string | number>} */
  chosen() {
    const [network, method, sound] = [this.network, this.method, this.sound].map((c) => c.value);
    return { network, method, sound, shifts: this.count };
  }

  /** Follow the model, where it was not changed here. */
  follow() {
    const { model } = this;
    for (const name of ["network", "method", "sound", "shifts"]) {
      model.on(`change:${name}`, () => {
        if (this.chosen()[name] === model.get(name)) return; // it was chosen here
        this.network.value = model.get("network");
        this.method.value = model.get("method");
        this.shifts.value = this.modelShifts;
        if (name === "sound") {
          this.sound.value = model.get("sound");
          this.changeSound();
        } else this.choose();
      });
    }
  }

  /** All of it. */
  parts() {
    const { waves, overTime, atCursor, spectrograms, pitch } = this.charts;
    return [
      this.where,
      row(this.network.node, this.method.node, this.sound.node, this.file.node, this.recordButton),
      this.task,
      row(
        this.shifts.node,
        this.player("Play sound", () => this.original),
        this.player("Play relevance", () => this.relevance),
        this.range.node,
      ),
      this.shiftNote,
      this.busy.node,
      beside(waves),
      row(this.place.node),
      beside([overTime, atCursor]),
      this.note.node,
      beside(spectrograms),
      pitch.node,
      make("div", { className: "relviz-scroll" }, this.table.node),
    ];
  }

  /** Let a pointer move the cursor. */
  point() {
    const { waves, spectrograms, overTime, pitch } = this.charts;
    /** @param {HTMLCanvasElement} canvas @param {number} x */
    const seconds = (canvas, x) =>
      ((x - LEFT) / (canvas.clientWidth - LEFT - RIGHT)) * this.duration;
    for (const { canvas } of [...waves, ...spectrograms, pitch]) {
      drag(canvas, (x) => this.move(seconds(canvas, x)));
    }
    drag(overTime.canvas, (x) => {
      if (!this.rolling) this.move(seconds(overTime.canvas, x));
    });
  }

  end() {
    stop();
    this.working?.abort();
    this.open?.close();
    this.pictures.forEach((each) => each.end());
  }
}

/** @param {{model: Model, el: HTMLElement}} view */
async function render({ model, el }) {
  const waiting = make("p", {}, "Unpacking…");
  el.append(captioned("Live explorer", CAPTION, waiting));
  const { about, signals } = await unpack(model.get("data"));
  const explorer = new LiveExplorer(model, about, signals);
  waiting.replaceWith(...explorer.parts());
  explorer.point();
  const end = whenKernel(model, (kernel) => {
    explorer.ask = kernel;
    explorer.allow();
  });
  explorer.follow();
  explorer.allow();
  explorer.chooseSound();
  return () => {
    end();
    explorer.end();
  };
}

export default { render };
