// @ts-check
// A report's own part: the explorer without a kernel, and a player whose sounds change at once. It
// stands behind relevance.js in one script: relviz.explanation._report leaves out the imports.
import { make, unpack } from "./common.js";
import explorer from "./relevance.js";

/** @typedef {import("./common.js").Model} Model */

const RMS = 0.05; // every sound is as loud as the others
const TURN = 0.01; // s, for a change without a click

/** @param {string} id */
const text = (id) => /** @type {HTMLElement} */ (document.getElementById(id)).textContent ?? "";
const bytes = Uint8Array.from(atob(text("data")), (letter) => letter.charCodeAt(0));
const state = { ...JSON.parse(text("state")), data: new DataView(bytes.buffer) };
/** @type {Model} */
const model = {
  get: (name) => state[name],
  set: (name, value) => {
    state[name] = value;
  },
  save_changes() {},
  on() {},
  off() {},
  send() {},
};

/**
 * Sounds that play together, one of them heard.
 * @param {HTMLElement} el
 * @param {[string, Float32Array<ArrayBuffer>][]} sounds
 * @param {number} rate Hz
 */
function player(el, sounds, rate) {
  /** @type {AudioContext | undefined} */
  let context;
  /** @type {{source: AudioBufferSourceNode, gain: GainNode}[]} */
  let playing = [];
  let [heard, began] = [0, 0];
  const seconds = sounds[0][1].length / rate;
  const button = make("button", { type: "button" }, "Play");
  const loop = make("input", { type: "checkbox", id: "loop" });
  const where = make("progress", { max: seconds, value: 0, "aria-label": "Position" });
  const lasts = make("span", {}, `${seconds.toFixed(1)} s`);
  const choices = sounds.map(([name], i) => {
    const input = make("input", { type: "radio", name: "sound", id: `sound-${i}` });
    input.checked = i === 0;
    input.addEventListener("change", () => {
      heard = i;
      for (const [j, { gain }] of playing.entries()) {
        gain.gain.setTargetAtTime(j === i ? 1 : 0, /** @type {any} */ (context).currentTime, TURN);
      }
    });
    return make("span", {}, input, make("label", { for: `sound-${i}` }, ` ${name}`));
  });

  function end() {
    for (const { source } of playing) {
      source.onended = null;
      source.stop();
    }
    playing = [];
    button.textContent = "Play";
    where.value = 0;
  }

  function begin() {
    const audio = (context ??= new AudioContext());
    began = audio.currentTime;
    playing = sounds.map(([, samples], i) => {
      const buffer = audio.createBuffer(1, samples.length, rate);
      buffer.copyToChannel(equal(samples), 0);
      const source = new AudioBufferSourceNode(audio, { buffer, loop: loop.checked });
      const gain = new GainNode(audio, { gain: i === heard ? 1 : 0 });
      source.connect(gain).connect(audio.destination);
      source.start(began);
      return { source, gain };
    });
    playing[0].source.onended = end;
    button.textContent = "Stop";
    tick();
  }

  function tick() {
    if (!playing.length || !context) return;
    where.value = (context.currentTime - began) % seconds;
    requestAnimationFrame(tick);
  }

  button.addEventListener("click", () => (playing.length ? end() : begin()));
  loop.addEventListener("change", () => {
    for (const { source } of playing) source.loop = loop.checked;
  });
  const legend = make("legend", {}, "Hear");
  const looping = make("span", {}, loop, make("label", { for: "loop" }, " again and again"));
  el.append(
    make("fieldset", {}, legend, ...choices),
    make("div", { className: "row" }, button, looping, where, lasts),
  );
}

/** @param {Float32Array<ArrayBuffer>} samples */
function equal(samples) {
  let [energy, peak] = [0, 0];
  for (const v of samples) {
    energy += v * v;
    peak = Math.max(peak, Math.abs(v));
  }
  const scale = Math.min(RMS / Math.sqrt(energy / samples.length || 1), 0.98 / (peak || 1));
  return samples.map((v) => v * scale);
}

const el = /** @type {(id: string) => HTMLElement} */ (document.getElementById.bind(document));
/** @type {[string, string][]} key and words of each sound */
const sounds = JSON.parse(text("sounds"));
const unpacked = await unpack(state.data);
player(
  el("player"),
  sounds.map(([key, name]) => [name, unpacked.signals[key]]),
  unpacked.about.rate,
);
explorer.render({ model, el: el("explorer") });
