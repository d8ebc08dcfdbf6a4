// @ts-check
// The knob explorer: see knob.py. A vowel's cues are turned; networks say what they make of it.
import {
  axes,
  button,
  captioned,
  chart,
  choice,
  legend,
  line,
  make,
  numbersOf,
  percent,
  play,
  row,
  rowsOf,
  slider,
  soundButton,
  status,
  stop,
  tick,
  unpack,
  whenKernel,
  workBar,
} from "./common.js";
import { decibels, magnitude, taper } from "./dsp.js";
import { cutWindows, engine, standardise, whyNotHere } from "./engine.js";
import { response, synthesise } from "./synth.js";

/**
 * @import { Ask, Frame, Model } from "./common.js"
 * @import { Cues, Fixed } from "./synth.js"
 * @typedef {keyof Cues} Knob
 * @typedef {{before: Cues, after: Cues}} Turn
 * @typedef {{nats: number, share: number, from: string, to: string}} Moved
 */

/**
 * A network. apart: nats, the mean divergence from its decision on one vowel to that on another.
 * @typedef {{name: string, classes: string[], window: number, apart: number}} Network
 */

/**
 * What knob.py says. vowels: code -> word. presets: cues of code/voice. examples: words for phones.
 * @typedef {object} About
 * @property {Record<string, string>} vowels
 * @property {Record<string, string>} voices
 * @property {Record<string, Cues>} presets
 * @property {{name: Knob, unit: string, step: number, range: [number, number]}[]} knobs
 * @property {Network[]} networks
 * @property {Record<string, string>} examples
 * @property {Fixed} fixed
 */

const CAPTION =
  "A vowel of six knobs, what networks hear in it, and how far each turn moved them. Turn one knob at a time, and compare networks whose cue is known with one that was never trained.";
const DEPTH = -60; // dB below the maximum, in spectra
const MOST = 5; // classes of a network
const KEPT = 600; // decisions that are remembered
const PAUSE = 150; // ms between one sound and the next, while a knob is turned
const LITTLE = 0.01; // nats from one vowel to another, in a network that does not decide
const LABELS = { tilt: "Tilt", noise: "Noise, 4 to 6 kHz" };
const KEY =
  "A turn begins when you take a knob and ends when you take another; its gauge tells how far it " +
  "moved the network’s decision. A full gauge is as far as from one vowel to another, all six " +
  "knobs at random: nats alone would not compare a network that is sure with one that never is. ";

/**
 * Kullback-Leibler divergence of probabilities after a turn from those before, in nats.
 * @param {ArrayLike<number>} before
 * @param {ArrayLike<number>} after
 */
export function divergence(before, after) {
  let sum = 0;
  for (let k = 0; k < before.length; k++) {
    // what is too small for single precision is no 0
    if (before[k] > 0) sum += before[k] * Math.log(before[k] / Math.max(after[k], 1e-38));
  }
  return Math.max(0, sum);
}

/**
 * The most probable classes, [place, probability].
 * @param {ArrayLike<number>} probabilities
 * @param {number} most
 * @returns {[number, number][]}
 */
export function best(probabilities, most = MOST) {
  /** @type {[number, number][]} */
  const ranked = Array.from(probabilities, (p, k) => [k, p]);
  return ranked.sort((a, b) => b[1] - a[1]).slice(0, most);
}

/**
 * Nats for the eye.
 * @param {number} nats
 */
export function natsInWords(nats) {
  if (nats >= 0.01) return nats.toFixed(2);
  return nats >= 0.00005 ? nats.toFixed(4) : "0";
}

/**
 * A share of the way to another vowel for the eye.
 * @param {number} share
 */
export function shareInWords(share) {
  return share > 0 && share < 0.005 ? "< 1 %" : `${Math.round(100 * share)} %`;
}

/**
 * A knob's value.
 * @param {number} value
 * @param {string} unit
 */
function valueInWords(value, unit) {
  return `${String(value).replace("-", "−")} ${unit}`;
}

/**
 * Cues as one text.
 * @param {Cues} cues
 */
function keyOf(cues) {
  return [cues.F0, cues.F1, cues.F2, cues.F3, cues.tilt, cues.noise].join();
}

/**
 * What a network is asked.
 * @param {Network} net
 */
function taskInWords({ name, classes }) {
  if (name === "phones") return `which of ${classes.length - 1} phones, or silence?`;
  if (name === "speakers") return `which of the ${classes.length} readers it knows?`;
  if (name === "untrained") return "the phone network before it learnt anything.";
  const cue = name.replace("cues-", "");
  return `in which third of its range is ${cue === "noise" ? "the noise" : cue}?`;
}

/**
 * Where the networks run.
 * @param {string} reason why not in this page; nothing where they can
 * @param {boolean} kernel whether there is one
 */
function whereInWords(reason, kernel) {
  if (!reason) {
    return (
      "Nothing leaves your machine: vowels are made, and networks asked, in this page. The networks " +
      "are loaded (18 MB) when you first turn a knob."
    );
  }
  if (kernel) {
    return "This notebook’s kernel runs the networks; everything else is computed in this page.";
  }
  const remedy = reason.startsWith("A page that is opened")
    ? "serve the book over http (python -m http.server in its folder)"
    : "reload it, or run its cell";
  return (
    `${reason}, so the knobs change what you hear and see of the vowel, and the networks answer ` +
    `for vowels as they are chosen: ${remedy}, or open it on Binder, to hear what they say of yours.`
  );
}

/**
 * A table with a caption.
 * @param {string} caption
 * @param {string} name of its class
 * @param {...Node} rows
 */
function tableOf(caption, name, ...rows) {
  return make(
    "table",
    { className: `relviz-table ${name}` },
    make("caption", {}, caption),
    make("tbody", {}, ...rows),
  );
}

/**
 * A row of a table: its name, a bar from 0 to 1, and texts.
 * @param {string} name
 * @param {number} share
 * @param {...(Node | string)} texts
 */
function barRow(name, share, ...texts) {
  const bar = make("span", { className: "relviz-bar" });
  bar.style.width = `${Math.min(100, 100 * share).toFixed(1)}%`;
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, name),
    make("td", { className: "relviz-track" }, make("span", {}, ...(share > 0 ? [bar] : []))),
    ...texts.map((text) => make("td", {}, text)),
  );
}

/**
 * A class for somebody who does not know its letters.
 * @param {Network} net
 * @param {number} k
 * @param {Record<string, string>} examples
 */
function className(net, k, examples) {
  const text = net.classes[k];
  if (net.name === "speakers") return `reader ${text.slice(text.indexOf(":") + 1)}`;
  if (net.name.startsWith("cues-")) return text.slice(text.indexOf(" ") + 1).replaceAll("-", "−");
  return examples[text] ? `${text} (${examples[text]})` : text;
}

/**
 * The spectrum in the middle of a sound, in dB below its maximum: [kHz, dB].
 * @param {Float32Array} samples
 * @param {number} rate
 * @returns {[number[], Float64Array]}
 */
function spectrumOf(samples, rate) {
  const [size, n] = [2048, 4096];
  const first = (samples.length - size) >> 1;
  const window = taper("hann", size);
  const frame = window.map((w, i) => w * samples[first + i]);
  const found = decibels(magnitude(frame, n), DEPTH);
  return [Array.from(found, (_, k) => (k * rate) / n / 1000), Float64Array.from(found)];
}

/**
 * The slope of the voice and its resonances, in dB below the loudest harmonic: [kHz, dB].
 * @param {Cues} cues
 * @param {Fixed} fixed
 * @returns {[number[], number[]]}
 */
function envelopeOf(cues, fixed) {
  /** @param {number} hertz */
  const level = (hertz) => 20 * Math.log10(Math.hypot(...response(hertz, cues, fixed)));
  const harmonics = Array.from({ length: Math.floor(5000 / cues.F0) }, (_, k) => (k + 1) * cues.F0);
  const top = Math.max(...harmonics.map(level));
  const hertz = Array.from({ length: 196 }, (_, i) => 100 + 40 * i);
  return [hertz.map((f) => f / 1000), hertz.map((f) => level(f) - top)];
}

/** The explorer: its vowel, its knobs, and the networks that are asked. */
class KnobExplorer {
  /**
   * @param {Model} model
   * @param {About} about
   * @param {Record<string, Float32Array>} signals
   */
  constructor(model, about, signals) {
    this.model = model;
    this.about = about;
    this.rate = about.fixed.rate;
    /** @type {Cues} */
    this.values = { ...model.get("values") };
    /** @type {Knob | null} the knob that is being turned */
    this.turning = null;
    /** @type {Map<Knob, Turn>} the last of each knob since the vowel was chosen */
    this.turns = new Map();
    /** @type {Map<string, Float32Array>} decisions by network and cues, as the page found them */
    this.heard = new Map();
    /** @type {Map<string, Float32Array>} those that came with the page */
    this.given = new Map();
    for (const net of about.networks) {
      const rows = rowsOf(signals[net.name], net.classes.length);
      Object.values(about.presets).forEach((cues, i) => {
        this.given.set(`${net.name}/${keyOf(cues)}`, rows[i]);
      });
    }
    /** @type {Set<string>} */
    this.shown = new Set(model.get("shown"));
    this.listening = false;
    this.again = false; // whether something changed while the networks were being asked
    this.waiting = 0; // the timer of the next sound
    /** @type {{key: string, samples: Float32Array} | null} */
    this.made = null;
    /** @type {Ask | null} the kernel */
    this.ask = null;
    this.assets = globalThis.relvizAssets;
    this.reason = whyNotHere(this.assets); // why not in this page
    const key = this.presetKey ?? Object.keys(about.presets)[0];
    const [code, voice] = key.split("/");
    const words = Object.entries(about.vowels).map(([c, word]) => [c, `“${word}”`]);
    this.vowel = choice("Vowel", words, code, () => this.choose());
    this.voice = choice("Voice", Object.entries(about.voices), voice, () => this.choose());
    this.sounding = tick("Play while turning", false, (on) => {
      if (on) play(this.sound, this.rate);
    });
    this.knobs = this.makeKnobs();
    this.ticks = this.makeTicks();
    this.where = make("p", { className: "relviz-note" });
    this.key = make("p", { className: "relviz-note" }, KEY);
    this.cards = make("div", { className: "relviz-cards" });
    this.busy = workBar();
    this.note = status();
    this.spectrum = chart("Spectrum of the vowel", 170, (c, f) => this.paint(c, f));
  }

  makeKnobs() {
    const sliders = this.about.knobs.map(({ name, unit, step, range: [min, max] }) =>
      slider(
        LABELS[/** @type {"tilt"} */ (name)] ?? name,
        { min, max, step, value: this.values[name] },
        (value) => this.turn(name, value),
        (value) => valueInWords(value, unit),
      ),
    );
    return new Map(this.about.knobs.map(({ name }, i) => [name, sliders[i]]));
  }

  makeTicks() {
    const boxes = this.about.networks.map(({ name }) =>
      tick(name, this.shown.has(name), (on) => this.show(name, on)),
    );
    return new Map(this.about.networks.map(({ name }, i) => [name, boxes[i]]));
  }

  /** All of it. */
  parts() {
    const ticks = [...this.ticks.values()].map((each) => each.node);
    const knobs = [...this.knobs.values()].map((each) => each.node);
    return [
      this.where,
      row(
        this.vowel.node,
        this.voice.node,
        button("Back to the vowel", () => this.choose()),
        soundButton("Play", this.rate, () => this.sound),
        this.sounding.node,
      ),
      make("div", { className: "relviz-knobs" }, ...knobs),
      this.spectrum.node,
      make("fieldset", {}, make("legend", {}, "Networks that are asked"), row(...ticks)),
      this.busy.node,
      this.note.node,
      this.key,
      this.cards,
    ];
  }

  // what is chosen

  /** The sound of the knobs as they are. */
  get sound() {
    const key = keyOf(this.values);
    if (this.made?.key !== key) {
      this.made = { key, samples: synthesise(this.values, this.about.fixed) };
    }
    return this.made.samples;
  }

  /** The preset that the knobs make, none where they are turned. */
  get presetKey() {
    const key = keyOf(this.values);
    return Object.entries(this.about.presets).find(([, cues]) => keyOf(cues) === key)?.[0];
  }

  get networks() {
    return this.about.networks.filter(({ name }) => this.shown.has(name));
  }

  /** The last turn of all. */
  get last() {
    return this.turning && this.turns.get(this.turning);
  }

  /**
   * What a network hears; nothing where it was not yet asked.
   * @param {Network} net
   * @param {Cues} cues
   */
  decision(net, cues) {
    const key = `${net.name}/${keyOf(cues)}`;
    return this.heard.get(key) ?? this.given.get(key);
  }

  /**
   * How far the last turn of a knob moved a network; nothing where that is not known.
   * @param {Network} net
   * @param {Knob} knob
   * @returns {Moved | undefined}
   */
  moved(net, knob) {
    const turn = this.turns.get(knob);
    if (!turn) return;
    const [before, after] = [turn.before, turn.after].map((c) => this.decision(net, c));
    if (!before || !after) return;
    const nats = divergence(before, after);
    const [from, to] = [before, after].map((p) => this.nameOf(net, best(p, 1)[0][0]));
    return { nats, share: nats / net.apart, from, to };
  }

  /** @param {Network} net @param {number} k */
  nameOf(net, k) {
    return className(net, k, this.about.examples);
  }

  // what a reader does

  /** Take the vowel that is chosen, with all its knobs. */
  choose() {
    const chosen = this.about.presets[`${this.vowel.value}/${this.voice.value}`];
    this.begin(chosen);
    this.keep();
    if (this.sounding.control.checked) play(this.sound, this.rate);
  }

  /**
   * Begin anew, with nothing turned.
   * @param {Cues} values
   */
  begin(values) {
    this.values = { ...values };
    this.turning = null;
    this.turns.clear();
    for (const [name, knob] of this.knobs) knob.value = values[name];
    this.update();
  }

  /** @param {Knob} knob @param {number} value */
  turn(knob, value) {
    if (this.turning !== knob) this.turns.set(knob, { before: this.values, after: this.values });
    this.turning = knob;
    this.values = { ...this.values, [knob]: value };
    const turn = this.turns.get(knob);
    if (turn) turn.after = this.values;
    this.keep();
    this.update();
    if (this.sounding.control.checked && !this.waiting) {
      this.waiting = setTimeout(() => {
        this.waiting = 0;
        play(this.sound, this.rate);
      }, PAUSE);
    }
  }

  /** @param {string} name @param {boolean} on */
  show(name, on) {
    this.shown[on ? "add" : "delete"](name);
    this.keep();
    this.update();
  }

  // what the networks say

  update() {
    this.spectrum.draw();
    this.draw();
    this.listen();
  }

  /**
   * What must be asked: [network, cues]. A turn is measured between decisions of one make, so that
   * the rounding of those that came with the page does not count.
   * @returns {[Network, Cues][]}
   */
  get unheard() {
    /** @type {[Network, Cues][]} */
    const found = [];
    for (const net of this.networks) {
      if (!this.decision(net, this.values)) found.push([net, this.values]);
      for (const { before, after } of this.turns.values()) {
        for (const cues of [before, after]) {
          if (!this.heard.has(`${net.name}/${keyOf(cues)}`)) found.push([net, cues]);
        }
      }
    }
    return found;
  }

  /** Ask the networks what is not yet known, and show each answer as it comes. */
  async listen() {
    if (this.listening) {
      this.again = true;
      return;
    }
    this.listening = true;
    try {
      do {
        this.again = false;
        await this.askAll();
      } while (this.again);
      this.tell();
    } catch (error) {
      this.note.say(/** @type {Error} */ (error).message);
    } finally {
      this.listening = false;
      this.busy.show(null);
    }
  }

  /** Ask what is unheard, until something changes. */
  async askAll() {
    if (this.heard.size > KEPT) this.heard.clear();
    for (const [net, cues] of this.unheard) {
      const key = `${net.name}/${keyOf(cues)}`;
      if (!this.heard.has(key)) this.heard.set(key, await this.hear(net, cues));
      this.busy.show(null);
      this.draw();
      if (this.again) return;
    }
  }

  /**
   * What a network hears in a vowel, wherever it runs.
   * @param {Network} net
   * @param {Cues} cues
   * @returns {Promise<Float32Array>}
   */
  async hear(net, cues) {
    const samples =
      keyOf(cues) === keyOf(this.values) ? this.sound : synthesise(cues, this.about.fixed);
    const run = this.reason ? null : await this.engineOf(net.name);
    if (run) {
      const start = (samples.length - net.window) >> 1;
      const cut = standardise(cutWindows(samples, [start], net.window), 1);
      return (await run(cut, 1)).probabilities.slice();
    }
    if (!this.ask) throw Error(this.where.textContent);
    const bytes = Float32Array.from(samples).buffer;
    const { buffers } = await this.ask({ ask: "probabilities", network: net.name }, [bytes]);
    return numbersOf(buffers);
  }

  /**
   * The engine of a network in this page; null, from now on for all, where it does not load.
   * @param {string} name
   */
  async engineOf(name) {
    try {
      return await engine(this.assets ?? "", name, (megabytes, all) => {
        const of = all ? ` of ${all.toFixed(1)} MB` : "";
        this.busy.show(megabytes / all, `Loading ${name}: ${megabytes.toFixed(1)} MB${of}`);
      });
    } catch (error) {
      this.reason = `The network could not be loaded (${/** @type {Error} */ (error).message})`;
      this.allow();
      return null;
    }
  }

  /** Say where the networks run. */
  allow() {
    this.where.textContent = whereInWords(this.reason, Boolean(this.ask));
  }

  // what is drawn

  draw() {
    const cards = this.networks.map((net) => this.card(net));
    this.cards.replaceChildren(...cards);
  }

  /** @param {Network} net */
  card(net) {
    const found = this.decision(net, this.values);
    const ranked = found ? best(found) : [];
    const bars = ranked.map(([k, p]) => barRow(this.nameOf(net, k), p, percent(p)));
    const gauges = this.about.knobs.map(({ name }) => this.gauge(net, name));
    const head = ["Knob", "of another vowel", "nats", "winner"].map((text, i) =>
      make("th", { scope: "col", colSpan: i === 1 ? 2 : 1 }, text),
    );
    const faint = net.apart < LITTLE;
    const full = `Moved by each knob (full: ${natsInWords(net.apart)} nats${faint ? ", next to nothing" : ""})`;
    const node = make(
      "figure",
      { className: `relviz-rule${faint ? " relviz-faint" : ""}` },
      make("figcaption", {}, make("strong", {}, net.name), `: ${taskInWords(net)}`),
      tableOf("What it hears", "relviz-bars", ...bars),
      tableOf(full, "relviz-gauges", make("tr", {}, ...head), ...gauges),
    );
    node.dataset.network = net.name;
    return node;
  }

  /** @param {Network} net @param {Knob} knob */
  gauge(net, knob) {
    const moved = this.moved(net, knob);
    const texts = moved
      ? [
          shareInWords(moved.share),
          natsInWords(moved.nats),
          moved.from === moved.to ? "same" : "new",
        ]
      : ["–", "–", "–"];
    const node = barRow(knob, moved?.share ?? 0, ...texts);
    node.dataset.knob = knob;
    if (knob === this.turning) node.className = "relviz-turned";
    return node;
  }

  /** @param {CanvasRenderingContext2D} context @param {Frame} frame */
  paint(context, frame) {
    const { first, second, third } = frame.colours;
    const about = { x: [0, this.rate / 2000], y: [DEPTH, 20], xlabel: "Frequency (kHz)" };
    const box = axes(context, frame, { ...about, ylabel: "dB" });
    line(context, box, ...spectrumOf(this.sound, this.rate), first, { width: 1 });
    line(context, box, ...envelopeOf(this.values, this.about.fixed), third, { width: 2.5 });
    /** @type {[string, string][]} */
    const entries = [
      ["sound", first],
      ["formants", third],
    ];
    if (this.last) {
      const before = envelopeOf(this.last.before, this.about.fixed);
      line(context, box, ...before, second, { width: 2, dash: [5, 4] });
      entries.push(["before", second]);
    }
    legend(context, box, entries);
  }

  /** Say what there is to see. */
  tell() {
    const { turning, last } = this;
    const said = this.networks.map((net) => {
      const moved = turning && this.moved(net, turning);
      if (moved) {
        const change =
          moved.from === moved.to ? `stays ${moved.to}` : `${moved.from} → ${moved.to}`;
        return `${net.name} ${shareInWords(moved.share)} (${change})`;
      }
      const found = this.decision(net, this.values);
      if (!found) return `${net.name} was not asked`;
      const [[k, p]] = best(found, 1);
      return `${net.name} ${this.nameOf(net, k)}, ${percent(p)}`;
    });
    const list = said.length ? `${said.join("; ")}.` : "no network is asked.";
    const { unit } = this.about.knobs.find(({ name }) => name === turning) ?? { unit: "" };
    if (turning && last) {
      const [from, to] = [last.before[turning], last.after[turning]];
      const way = `${turning} ${valueInWords(from, "").trim()} → ${valueInWords(to, unit)}`;
      this.note.say(`${way}: ${list}`);
    } else {
      const [code, voice] = (this.presetKey ?? "/").split("/");
      const what = code
        ? `“${this.about.vowels[code]}”, ${this.about.voices[voice]}`
        : "A vowel of your own";
      this.note.say(`${what}: ${list}`);
    }
    const { F0, F1, F2, F3 } = this.values;
    this.spectrum.say(`harmonics every ${F0} Hz, resonances at ${F1}, ${F2} and ${F3} Hz`);
  }

  // the talk with Python

  /** Tell Python what is chosen. */
  keep() {
    this.model.set("values", this.values);
    this.model.set("shown", [...this.shown]);
    this.model.save_changes();
  }

  /**
   * Follow the model, where it was not changed here: each trait by itself, for while one is set the
   * other is still what it was. Returns what ends it.
   */
  follow() {
    const { model } = this;
    const values = () => {
      const theirs = model.get("values");
      if (keyOf(theirs) !== keyOf(this.values)) this.begin(theirs);
    };
    const shown = () => {
      const theirs = model.get("shown");
      if ([...theirs].sort().join() === [...this.shown].sort().join()) return;
      this.shown = new Set(theirs);
      for (const [name, { control }] of this.ticks) control.checked = this.shown.has(name);
      this.update();
    };
    model.on("change:values", values);
    model.on("change:shown", shown);
    return () => {
      model.off("change:values", values);
      model.off("change:shown", shown);
    };
  }

  end() {
    stop();
    clearTimeout(this.waiting);
    this.spectrum.end();
  }
}

/** @param {{model: Model, el: HTMLElement}} view */
async function render({ model, el }) {
  const waiting = make("p", {}, "Unpacking…");
  el.append(captioned("Knob explorer", CAPTION, waiting));
  const { about, signals } = await unpack(model.get("data"));
  const explorer = new KnobExplorer(model, about, signals);
  waiting.replaceWith(...explorer.parts());
  explorer.allow();
  explorer.update();
  const deaf = explorer.follow();
  const end = whenKernel(model, (kernel) => {
    explorer.ask = kernel;
    explorer.allow();
    explorer.listen();
  });
  return () => {
    end();
    deaf();
    explorer.end();
  };
}

export default { render };
