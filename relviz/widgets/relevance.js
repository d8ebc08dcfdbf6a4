// @ts-check
// The relevance explorer: see relevance.py.
import {
  LEFT,
  RIGHT,
  axes,
  beside,
  captioned,
  chart,
  choice,
  cursor,
  drag,
  fileField,
  frames,
  legend,
  line,
  make,
  number,
  numbersOf,
  row,
  slider,
  soundButton,
  status,
  tick,
  stop,
  unpack,
  wave,
  whenKernel,
} from "./common.js";
import { decibels, envelope, frameAt, gcd, magnitude, spectrogram, taper } from "./dsp.js";
import { readSound } from "./sound.js";

/**
 * @import { Ask, Chart, Frame, Model } from "./common.js"
 * @typedef {Float32Array<ArrayBuffer>} Sound
 * @typedef {{start: number, step: number, hertz: (number | null)[]}} Contour F0 over time: s, s, Hz
 * @typedef {{relevance: Sound, f0: Contour, original: Contour}} Found by the kernel
 * @typedef {{name: string, stride: number, window: number}} Network
 */

/**
 * What relevance.py says of its signals; `f0` by their names.
 * @typedef {object} About
 * @property {number} rate Hz
 * @property {[number, number]} limits Hz, of the F0 searched
 * @property {number} longest s, of a reader's own file
 * @property {{says: string, talker: string, cursor: number | null}[]} recordings
 * @property {Network[]} networks
 * @property {[string, string][]} methods
 * @property {number[]} hops
 * @property {Record<string, Contour>} f0
 */

const CAPTION =
  "A recording and, beside it, what a network hears in it: waveforms, spectrograms, spectra with their LP envelopes, and F0. Try another network or method, move the cursor in a spectrogram, and play both.";
const FLOOR = -60; // dB below the maximum, in maps and spectra
const OWN = "your own file";
const YOU = [["you", "you"]];
const FFT_SIZE = 1024; // of spectra
const SECONDS_A_WINDOW = 0.003; // of guided backpropagation, on a laptop's CPU
const TRAITS = ["says", "talker", "network", "method", "hop"];

/**
 * What the hop does to the network's grid.
 * @param {number} hop
 * @param {Network} net
 * @param {number} rate
 */
export function gridInWords(hop, net, rate) {
  const shared = gcd(hop, net.stride);
  if (net.window && hop >= net.window) {
    return `Windows ${hop} samples apart do not overlap: nothing is averaged, and the network's grid stays in the signal.`;
  }
  return shared > 1
    ? `Hop ${hop} shares the factor ${shared} with the network's stride of ${net.stride}: look for images of the spectrum around multiples of ${Math.round(rate / shared)} Hz.`
    : `Hop ${hop} shares no factor with the network's stride of ${net.stride}: its grid is averaged away.`;
}

/**
 * A spectrogram as shares of FLOOR: 1 at its maximum, 0 at FLOOR and below.
 * @param {Sound} samples
 */
function mapOf(samples) {
  const { columns, step } = spectrogram(samples);
  let top = 0;
  for (const column of columns) for (const v of column) top = Math.max(top, v);
  const shares = columns.map((c) => decibels(c, FLOOR, top).map((d) => 1 - d / FLOOR));
  return { shares, step };
}

/**
 * The spectrum around a time and its envelope, in dB below the spectrum's maximum.
 * @param {Sound} samples
 * @param {number} rate
 * @param {number} time s
 */
function spectrumAt(samples, rate, time) {
  const cut = frameAt(samples, time * rate, taper("hamming", Math.round(0.025 * rate)));
  const size = magnitude(cut, FFT_SIZE);
  const top = size.reduce((a, b) => Math.max(a, b), 0);
  const smooth = envelope(cut);
  return { fine: decibels(size, FLOOR, top), smooth: smooth ? decibels(smooth, FLOOR, top) : [] };
}

/**
 * F0 at a time, in words.
 * @param {Contour | null | undefined} contour
 * @param {number} time s
 */
function f0InWords(contour, time) {
  const hertz = contour?.hertz[Math.round((time - contour.start) / contour.step)] ?? null;
  return hertz === null ? "no F0" : `F0 ${hertz.toFixed(0)} Hz`;
}

/** The explorer: what is chosen, its controls, and its charts. */
class RelevanceExplorer {
  /**
   * @param {Model} model
   * @param {About} about
   * @param {Record<string, Sound>} signals
   */
  constructor(model, about, signals) {
    this.model = model;
    this.about = about;
    this.signals = signals;
    this.rate = about.rate;
    /** @type {Sound | null} the reader's file */
    this.own = null;
    /** @type {string[]} on how it was read */
    this.ownNotes = [];
    /** @type {Ask | null} the kernel */
    this.ask = null;
    /** @type {Map<string, Found>} what the kernel computed */
    this.found = new Map();
    /** @type {Map<Sound, ReturnType<typeof mapOf>>} spectrograms that were drawn before */
    this.maps = new Map();
    this.at = 0; // s, the cursor
    this.span = [0, 0]; // s, the selection
    this.asked = 0; // a later question makes an earlier answer stale
    this.sayings = [...new Set(about.recordings.map((r) => r.says))].map((s) => [s, s]);

    const names = about.networks.map((n) => [n.name, n.name]);
    const hops = about.hops.map((h) => [h, h]);
    const [says, talker, network, method, hop] = TRAITS.map((name) => model.get(name));
    const choose = () => this.choose();
    this.says = choice("Speech", this.sayings, says, () => {
      this.talker.options(this.isOwn ? YOU : this.talkersOf(this.says.value));
      this.chooseRecording();
    });
    this.talker = choice("Talker", this.talkersOf(says), talker, () => this.chooseRecording());
    this.network = choice("Network", names, network, choose);
    this.method = choice("Method", about.methods, method, choose);
    this.hops = choice("Hop (samples)", hops, hop, choose);
    this.anyHop = number("Hop (samples)", { min: 1, max: 8000, step: 1, value: hop }, choose);
    this.file = fileField("Your own file", (file) => this.readFile(file));
    this.place = slider(
      "Cursor",
      { min: 0, max: 1, step: 0.005, value: 0 },
      (v) => this.move(v),
      (v) => `${v.toFixed(3)} s`,
    );
    this.place.node.classList.add("relviz-wide");
    this.from = this.endSlider("Selection from", 0, (v) => this.select(v, this.span[1]));
    this.to = this.endSlider("Selection to", 1, (v) => this.select(this.span[0], v));
    this.only = tick("Play the selection only", false, () => {});
    this.note = status();
    this.alias = make("p", { className: "relviz-note" });
    this.kernelRow = row();
    this.charts = this.makeCharts();
  }

  /**
   * A slider for an end of the selection.
   * @param {string} text
   * @param {number} value
   * @param {(value: number) => void} change
   */
  endSlider(text, value, change) {
    const say = (/** @type {number} */ v) => `${v.toFixed(2)} s`;
    return slider(text, { min: 0, max: 1, step: 0.01, value }, change, say);
  }

  makeCharts() {
    return {
      waves: this.pair("Waveform", 110, this.paintWave),
      spectrograms: this.pair("Spectrogram", 170, this.paintSpectrogram),
      spectra: this.pair("Spectrum at the cursor", 170, this.paintSpectrum),
      pitch: chart("F0 of both", 150, (context, frame) => this.paintF0(context, frame)),
    };
  }

  /**
   * Charts of the recording, on the left, and of the relevance, on the right.
   * @param {string} title
   * @param {number} height
   * @param {(c: CanvasRenderingContext2D, f: Frame, samples: Sound, colour: string) => void} paint
   */
  pair(title, height, paint) {
    return [
      chart(`${title} of the recording`, height, (context, frame) => {
        const samples = this.original;
        if (samples) paint.call(this, context, frame, samples, frame.colours.first);
      }),
      chart(`${title} of the relevance signal`, height, (context, frame) => {
        const samples = this.relevance;
        if (samples) paint.call(this, context, frame, samples, frame.colours.second);
      }),
    ];
  }

  /** @returns {Chart[]} */
  get pictures() {
    const { waves, spectrograms, spectra, pitch } = this.charts;
    return [...waves, ...spectrograms, ...spectra, pitch];
  }

  // what is chosen

  get isOwn() {
    return this.says.value === OWN;
  }

  /** The recording's place in the list. */
  get index() {
    return this.about.recordings.findIndex(
      (r) => r.says === this.says.value && r.talker === this.talker.value,
    );
  }

  get hop() {
    return Number(this.ask ? this.anyHop.control.value : this.hops.value);
  }

  get key() {
    const name = this.isOwn ? "own" : this.index;
    return `${name}/${this.network.value}/${this.method.value}/${this.hop}`;
  }

  get original() {
    return this.isOwn ? this.own : this.signals[this.index];
  }

  get relevance() {
    return this.signals[this.key] ?? this.found.get(this.key)?.relevance;
  }

  get originalF0() {
    return this.isOwn ? this.found.get(this.key)?.original : this.about.f0[this.index];
  }

  get relevanceF0() {
    return this.about.f0[this.key] ?? this.found.get(this.key)?.f0;
  }

  get duration() {
    return (this.original?.length ?? 1) / this.rate;
  }

  /** @param {string} text */
  talkersOf(text) {
    return this.about.recordings.filter((r) => r.says === text).map((r) => [r.talker, r.talker]);
  }

  // what is drawn

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Frame} frame
   * @param {Sound} samples
   * @param {string} colour
   */
  paintWave(context, frame, samples, colour) {
    const { duration } = this;
    const [first, last] = this.span;
    const about = { x: [0, duration], y: [-1, 1], xlabel: "Time (s)", yticks: 0 };
    const box = axes(context, frame, about);
    context.fillStyle = frame.colours.grid;
    const whole = first <= 0 && last >= duration;
    if (!whole) context.fillRect(box.x(first), box.top, box.x(last) - box.x(first), box.height);
    wave(context, box, samples, this.rate, colour);
    cursor(context, box, this.at, frame.colours.third);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Frame} frame
   * @param {Sound} samples
   */
  paintSpectrogram(context, frame, samples) {
    const [x, y] = [
      [0, this.duration],
      [0, this.rate / 2000],
    ];
    const box = axes(context, frame, { x, y, xlabel: "Time (s)", ylabel: "kHz" });
    let map = this.maps.get(samples);
    if (!map) this.maps.set(samples, (map = mapOf(samples)));
    frames(context, box, map.shares, map.step / this.rate);
    cursor(context, box, this.at, "#7fd4ff");
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Frame} frame
   * @param {Sound} samples
   * @param {string} colour
   */
  paintSpectrum(context, frame, samples, colour) {
    const { third } = frame.colours;
    const [x, y] = [
      [0, this.rate / 2000],
      [FLOOR, 5],
    ];
    const box = axes(context, frame, { x, y, xlabel: "Frequency (kHz)", ylabel: "dB" });
    const { fine, smooth } = spectrumAt(samples, this.rate, this.at);
    const kilohertz = Array.from(fine, (_, k) => (k * this.rate) / FFT_SIZE / 1000);
    line(context, box, kilohertz, fine, colour, { width: 1 });
    line(context, box, kilohertz, smooth, third, { width: 2.2 });
    legend(context, { ...box, left: box.left + box.width - 190 }, [
      ["spectrum", colour],
      ["LP envelope", third],
    ]);
  }

  /** @param {CanvasRenderingContext2D} context @param {Frame} frame */
  paintF0(context, frame) {
    const { first, second, third, grid } = frame.colours;
    const both = [this.originalF0, this.relevanceF0];
    const hertz = both.flatMap((c) => c?.hertz ?? []).filter((h) => h !== null);
    const y = hertz.length ? [Math.min(...hertz) - 20, Math.max(...hertz) + 20] : this.about.limits;
    const about = { x: [0, this.duration], y, xlabel: "Time (s)", ylabel: "Hz" };
    const box = axes(context, frame, about);
    both.forEach((c, i) => {
      if (!c) return;
      const times = c.hertz.map((_, k) => c.start + k * c.step);
      const look = i ? { width: 2, dash: [5, 3] } : { width: 3.5 };
      line(context, box, times, c.hertz, i ? second : grid, look);
      if (!i) line(context, box, times, c.hertz, first, { width: 1.4 });
    });
    cursor(context, box, this.at, third);
    legend(context, box, [
      ["recording", first],
      ["relevance", second],
    ]);
  }

  draw(which = this.pictures) {
    for (const each of which) each.draw();
    this.tell();
  }

  /** Say what the charts show. */
  tell() {
    const { at, duration, rate } = this;
    const { waves, spectrograms, spectra, pitch } = this.charts;
    const [mine, its] = [this.originalF0, this.relevanceF0].map((c) => f0InWords(c, at));
    const where = `at ${at.toFixed(3)} s: ${mine} in the recording, ${its} in the relevance signal`;
    pitch.say(where);
    const selected = this.span.map((s) => s.toFixed(2)).join(" to ");
    const method = this.method.control.selectedOptions[0].text;
    const heard = [
      `${this.says.value} by ${this.talker.value}, ${duration.toFixed(2)} s`,
      `${this.network.value}, ${method}, hop ${this.hop}`,
    ];
    heard.forEach((text, i) => {
      waves[i].say(`${text}; selected ${selected} s`);
      spectrograms[i].say(`${text}; cursor at ${at.toFixed(3)} s`);
    });
    [this.original, this.relevance].forEach((samples, i) => {
      if (!samples) return;
      const { fine } = spectrumAt(samples, rate, at);
      const peak = fine.reduce((best, d, k) => (d > fine[best] ? k : best), 0);
      const hertz = Math.round((peak * rate) / FFT_SIZE);
      spectra[i].say(`strongest at ${hertz} Hz, ${at.toFixed(3)} s`);
    });
    const notes = this.isOwn ? this.ownNotes : [];
    const here = `${where[0].toUpperCase()}${where.slice(1)}.`;
    if (this.relevance) this.note.say([...notes, here].join(" "));
  }

  // what a reader does

  /** @param {number} time s */
  move(time) {
    this.place.value = Math.min(this.duration, Math.max(0, time));
    this.at = this.place.value; // on the slider's steps
    this.draw();
  }

  /** @param {number} first s @param {number} last s */
  select(first, last) {
    this.span = [Math.min(first, last), Math.max(first, last)];
    [this.from.value, this.to.value] = this.span;
    this.draw(this.charts.waves);
  }

  /**
   * What is to be played of a signal: all or the selection; nothing where there is none.
   * @param {Sound | null | undefined} whole
   */
  piece(whole) {
    if (!whole) return null;
    const ends = this.span.map((s) => Math.round(s * this.rate));
    const [first, last] = this.only.control.checked ? ends : [0, whole.length];
    const piece = whole.slice(first, last);
    if (piece.length) return piece;
    this.note.say("The selection is empty: move its ends apart.");
    return null;
  }

  chooseRecording() {
    const recording = this.about.recordings[this.index];
    const length = this.duration;
    for (const control of [this.place, this.from, this.to]) control.limits(0, length.toFixed(3));
    this.place.value = recording?.cursor ?? length / 2;
    this.at = this.place.value;
    this.span = [0, length];
    this.from.value = 0;
    this.to.value = length;
    this.choose();
  }

  async choose() {
    const net = this.about.networks.find((n) => n.name === this.network.value);
    if (net) this.alias.textContent = gridInWords(this.hop, net, this.rate);
    if (!this.isOwn) this.keep();
    const turn = ++this.asked;
    if (!this.relevance && this.ask) {
      this.note.say(this.workInWords());
      this.draw();
      try {
        await this.compute(this.ask);
      } catch (error) {
        if (turn === this.asked) this.note.say(/** @type {Error} */ (error).message);
        return;
      }
      if (turn !== this.asked) return;
    }
    this.draw();
  }

  /** What the kernel is about to do, and how long that takes. */
  workInWords() {
    const windows = Math.ceil((this.original?.length ?? 0) / this.hop);
    const seconds = windows * SECONDS_A_WINDOW;
    const long = `, which may take ${Math.ceil(seconds / 10) * 10} s: interrupt the kernel to stop it`;
    return `The kernel is computing ${windows} windows${seconds > 10 ? long : ""}…`;
  }

  /**
   * Let the kernel compute the relevance that is chosen.
   * @param {Ask} ask
   */
  async compute(ask) {
    const wanted = this.key;
    const question = {
      ask: "relevance",
      recording: this.isOwn ? null : this.index,
      network: this.network.value,
      method: this.method.value,
      hop: this.hop,
    };
    const { answer, buffers } = await ask(
      question,
      this.isOwn && this.own ? [this.own.buffer] : [],
    );
    this.found.set(wanted, { relevance: numbersOf(buffers), ...answer });
  }

  /** @param {File} chosen */
  async readFile(chosen) {
    let found;
    try {
      const windows = this.about.networks.map((n) => n.window);
      found = await readSound(chosen, this.rate, Math.max(...windows));
      this.checkLength(found.samples.length / this.rate, chosen.name);
    } catch (error) {
      return this.note.say(/** @type {Error} */ (error).message);
    }
    this.own = found.samples;
    this.ownNotes = found.notes;
    this.says.options([...this.sayings, [OWN, OWN]]);
    this.says.value = OWN;
    this.talker.options(YOU);
    this.chooseRecording();
  }

  /**
   * Refuse what is too long for the kernel, before it is drawn or sent.
   * @param {number} seconds
   * @param {string} name
   */
  checkLength(seconds, name) {
    const { longest } = this.about;
    if (seconds > longest) {
      throw Error(`${name} lasts ${seconds.toFixed(0)} s: cut it to ${longest} s.`);
    }
  }

  // the talk with Python

  /** What is chosen, by the names of the model. @returns {Record<string, string | number>} */
  chosen() {
    return {
      says: this.says.value,
      talker: this.talker.value,
      network: this.network.value,
      method: this.method.value,
      hop: this.hop,
    };
  }

  /** Tell Python what is chosen. */
  keep() {
    for (const [name, value] of Object.entries(this.chosen())) this.model.set(name, value);
    this.model.save_changes();
  }

  /** Take what Python chose. */
  take() {
    if (this.isOwn) return;
    const { model } = this;
    this.says.value = model.get("says");
    this.talker.options(this.talkersOf(this.says.value));
    this.talker.value = model.get("talker");
    this.network.value = model.get("network");
    this.method.value = model.get("method");
    this.hops.value = model.get("hop");
    this.anyHop.control.value = model.get("hop");
  }

  /** Follow the model, where it was not changed here. */
  follow() {
    for (const name of TRAITS) {
      this.model.on(`change:${name}`, () => {
        if (this.chosen()[name] === this.model.get(name)) return; // it was chosen here
        this.take();
        if (name === "says" || name === "talker") this.chooseRecording();
        else this.choose();
      });
    }
  }

  /**
   * Offer what needs a kernel.
   * @param {Ask} kernel
   */
  connect(kernel) {
    this.anyHop.control.value = this.hops.value;
    this.ask = kernel;
    this.hops.node.replaceWith(this.anyHop.node);
    this.kernelRow.replaceChildren(this.file.node);
  }

  /** All of it. */
  parts() {
    const { waves, spectrograms, spectra, pitch } = this.charts;
    const { says, talker, network, method, hops } = this;
    return [
      row(says.node, talker.node, network.node, method.node, hops.node),
      this.kernelRow,
      this.alias,
      beside(waves),
      row(
        soundButton("Play recording", this.rate, () => this.piece(this.original)),
        soundButton("Play relevance", this.rate, () => this.piece(this.relevance)),
        this.only.node,
      ),
      row(this.from.node, this.to.node),
      beside(spectrograms),
      row(this.place.node),
      beside(spectra),
      pitch.node,
      this.note.node,
    ];
  }

  /** Let a pointer move the cursor and select. */
  point() {
    /** @param {HTMLCanvasElement} canvas @param {number} x */
    const seconds = (canvas, x) => {
      const share = (x - LEFT) / (canvas.clientWidth - LEFT - RIGHT);
      return Math.min(1, Math.max(0, share)) * this.duration;
    };
    for (const { canvas } of this.charts.spectrograms) {
      drag(canvas, (x) => this.move(seconds(canvas, x)));
    }
    for (const { canvas } of this.charts.waves) {
      let began = 0;
      drag(canvas, (x, _, event) => {
        if (event.type === "pointerdown") began = seconds(canvas, x);
        else this.select(began, seconds(canvas, x));
      });
    }
  }
}

/** @param {{model: Model, el: HTMLElement}} view */
async function render({ model, el }) {
  const waiting = make("p", {}, "Unpacking…");
  el.append(captioned("Relevance explorer", CAPTION, waiting));
  const { about, signals } = await unpack(model.get("data"));
  const explorer = new RelevanceExplorer(model, about, signals);
  waiting.replaceWith(...explorer.parts());
  explorer.point();
  const end = whenKernel(model, (kernel) => explorer.connect(kernel));
  explorer.follow();
  explorer.chooseRecording();
  return () => {
    end();
    stop();
    explorer.pictures.forEach((each) => each.end());
  };
}

export default { render };
