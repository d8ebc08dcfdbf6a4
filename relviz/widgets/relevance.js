// The relevance explorer: see relevance.py.
import {
  LEFT, RIGHT, axes, button, chart, choice, cursor, decode, drag, fileField, frames, legend, line,
  make, number, play, row, slider, status, stop, tick, unpack, wave, whenKernel,
} from "./common.js";
import { decibels, envelope, frameAt, gcd, magnitude, spectrogram, taper } from "./dsp.js";

const FLOOR = -60; // dB below the maximum, in maps and spectra
const OWN = "your own file";

async function render({ model, el }) {
  const root = make("section", { className: "relviz", "aria-label": "Relevance explorer" });
  el.append(root);
  root.append(make("p", {}, "Unpacking…"));
  const { about, signals } = await unpack(model.get("data"));
  const { rate } = about;

  // what is chosen
  let own = null; // samples of the reader's file
  let ask = null; // the kernel
  const found = new Map(); // what the kernel computed: key -> {relevance, f0, original}
  const maps = new Map(); // spectrograms that were drawn before
  let at = 0; // s, the cursor
  let span = [0, 0]; // s, the selection
  let asked = 0; // a later question makes an earlier answer stale
  let sounding = null; // the button whose sound is playing

  const number_ = () =>
    about.recordings.findIndex((r) => r.says === says.value && r.talker === talker.value);
  const isOwn = () => says.value === OWN;
  const hop = () => (ask ? Number(anyHop.control.value) : Number(hops.value));
  const key = () => `${isOwn() ? "own" : number_()}/${network.value}/${method.value}/${hop()}`;
  const original = () => (isOwn() ? own : signals[number_()]);
  const relevance = () => signals[key()] ?? found.get(key())?.relevance;
  const originalF0 = () => (isOwn() ? found.get(key())?.original : about.f0[number_()]);
  const relevanceF0 = () => about.f0[key()] ?? found.get(key())?.f0;
  const duration = () => (original()?.length ?? 1) / rate;

  const talkersOf = (text) => about.recordings.filter((r) => r.says === text).map((r) => [r.talker, r.talker]);
  const sayings = [...new Set(about.recordings.map((r) => r.says))].map((s) => [s, s]);

  const says = choice("Speech", sayings, model.get("says"), () => {
    talker.options(isOwn() ? [["you", "you"]] : talkersOf(says.value));
    chooseRecording();
  });
  const talker = choice("Talker", talkersOf(model.get("says")), model.get("talker"), chooseRecording);
  const network = choice("Network", about.networks.map((n) => [n.name, n.name]), model.get("network"), choose);
  const method = choice("Method", about.methods, model.get("method"), choose);
  const hops = choice("Hop (samples)", about.hops.map((h) => [h, h]), model.get("hop"), choose);
  const anyHop = number("Hop (samples)", { min: 1, max: 8000, step: 1, value: model.get("hop") }, choose);
  const file = fileField("Your own file", readFile);
  const place = slider("Cursor", { min: 0, max: 1, step: 0.005, value: 0 }, (v) => move(v), (v) => `${v.toFixed(3)} s`);
  const from = slider("Selection from", { min: 0, max: 1, step: 0.01, value: 0 }, (v) => select(v, span[1]), (v) => `${v.toFixed(2)} s`);
  const to = slider("Selection to", { min: 0, max: 1, step: 0.01, value: 1 }, (v) => select(span[0], v), (v) => `${v.toFixed(2)} s`);
  const only = tick("Play the selection only", false, () => {});
  const buttons = [
    soundButton("Play recording", original),
    soundButton("Play relevance", relevance),
  ];
  const note = status();
  const alias = make("p", { className: "relviz-note" });
  const kernelRow = row();

  // pictures, in pairs: the recording on the left, the relevance on the right
  const pair = (title, height, paint, label) =>
    [[`${title} of the recording`, original, "first"], [`${title} of the relevance signal`, relevance, "second"]].map(
      ([name, signal, colour]) =>
        chart(name, height, (context, frame) => {
          const samples = signal();
          if (samples) paint(context, frame, samples, frame.colours[colour]);
        }),
    );
  const waves = pair("Waveform", 110, (context, frame, samples, colour) => {
    const box = axes(context, frame, { x: [0, duration()], y: [-1, 1], xlabel: "Time (s)", yticks: 0 });
    context.fillStyle = frame.colours.grid;
    const whole = span[0] <= 0 && span[1] >= duration();
    if (!whole) context.fillRect(box.x(span[0]), box.top, box.x(span[1]) - box.x(span[0]), box.height);
    wave(context, box, samples, rate, colour);
    cursor(context, box, at, frame.colours.third);
  });
  const spectrograms = pair("Spectrogram", 170, (context, frame, samples) => {
    const box = axes(context, frame, { x: [0, duration()], y: [0, rate / 2000], xlabel: "Time (s)", ylabel: "kHz" });
    const { shares, step } = mapOf(samples);
    frames(context, box, shares, step / rate);
    cursor(context, box, at, "#7fd4ff");
  });
  const spectra = pair("Spectrum at the cursor", 170, (context, frame, samples, colour) => {
    const box = axes(context, frame, { x: [0, rate / 2000], y: [FLOOR, 5], xlabel: "Frequency (kHz)", ylabel: "dB" });
    const { fine, smooth } = spectrumAt(samples);
    const kilohertz = Array.from(fine, (_, k) => (k * rate) / 1024 / 1000);
    line(context, box, kilohertz, fine, colour, { width: 1 });
    line(context, box, kilohertz, smooth, frame.colours.third, { width: 2.2 });
    legend(context, { ...box, left: box.left + box.width - 190 }, [["spectrum", colour], ["LP envelope", frame.colours.third]]);
  });
  const pitch = chart("F0 of both", 150, (context, frame) => {
    const both = [originalF0(), relevanceF0()];
    const hertz = both.flatMap((c) => c?.hertz ?? []).filter((h) => h !== null);
    const low = hertz.length ? Math.min(...hertz) - 20 : 75;
    const high = hertz.length ? Math.max(...hertz) + 20 : 300;
    const box = axes(context, frame, { x: [0, duration()], y: [low, high], xlabel: "Time (s)", ylabel: "Hz" });
    both.forEach((c, i) => {
      if (!c) return;
      const times = c.hertz.map((_, k) => c.start + k * c.step);
      const look = i ? { width: 2, dash: [5, 3] } : { width: 3.5 };
      line(context, box, times, c.hertz, i ? frame.colours.second : frame.colours.grid, look);
      if (!i) line(context, box, times, c.hertz, frame.colours.first, { width: 1.4 });
    });
    cursor(context, box, at, frame.colours.third);
    legend(context, box, [["recording", frame.colours.first], ["relevance", frame.colours.second]]);
  });
  const charts = [...waves, ...spectrograms, ...spectra, pitch];

  function mapOf(samples) {
    if (!maps.has(samples)) {
      const { columns, step } = spectrogram(samples);
      let top = 0;
      for (const column of columns) for (const v of column) top = Math.max(top, v);
      const shares = columns.map((c) => decibels(c, FLOOR, top).map((d) => 1 - d / FLOOR));
      maps.set(samples, { shares, step });
    }
    return maps.get(samples);
  }

  function spectrumAt(samples) {
    const cut = frameAt(samples, at * rate, taper("hamming", Math.round(0.025 * rate)));
    const size = magnitude(cut, 1024);
    const top = size.reduce((a, b) => Math.max(a, b), 0);
    const smooth = envelope(cut);
    return { fine: decibels(size, FLOOR, top), smooth: smooth ? decibels(smooth, FLOOR, top) : [] };
  }

  function f0At(contour) {
    if (!contour) return null;
    return contour.hertz[Math.round((at - contour.start) / contour.step)] ?? null;
  }

  function draw(which = charts) {
    for (const each of which) each.draw();
    const said = (hertz) => (hertz === null ? "no F0" : `F0 ${hertz.toFixed(0)} Hz`);
    const [mine, its] = [f0At(originalF0()), f0At(relevanceF0())].map(said);
    const where = `at ${at.toFixed(3)} s: ${mine} in the recording, ${its} in the relevance signal`;
    pitch.say(where);
    const heard = [
      `${says.value} by ${talker.value}, ${duration().toFixed(2)} s`,
      `${network.value}, ${method.control.selectedOptions[0].text}, hop ${hop()}`,
    ];
    heard.forEach((text, i) => {
      waves[i].say(`${text}; selected ${span.map((s) => s.toFixed(2)).join(" to ")} s`);
      spectrograms[i].say(`${text}; cursor at ${at.toFixed(3)} s`);
    });
    for (const [i, each] of spectra.entries()) {
      const samples = [original(), relevance()][i];
      if (!samples) continue;
      const { fine } = spectrumAt(samples);
      const peak = fine.reduce((best, d, k) => (d > fine[best] ? k : best), 0);
      each.say(`strongest at ${Math.round((peak * rate) / 1024)} Hz, ${at.toFixed(3)} s`);
    }
    if (relevance()) note.say(`${where[0].toUpperCase()}${where.slice(1)}.`);
  }

  function move(time) {
    place.value = Math.min(duration(), Math.max(0, time));
    at = place.value; // on the slider's steps
    draw();
  }

  function select(first, last) {
    span = [Math.min(first, last), Math.max(first, last)];
    from.value = span[0];
    to.value = span[1];
    draw(waves);
  }

  function soundButton(text, samples) {
    const node = button(text, () => {
      if (sounding === node) return stop();
      const whole = samples();
      if (!whole) return;
      const [first, last] = only.control.checked ? span.map((s) => Math.round(s * rate)) : [0, whole.length];
      const piece = whole.slice(first, last);
      if (!piece.length) return note.say("The selection is empty: move its ends apart.");
      play(piece, rate, () => {
        node.textContent = text;
        if (sounding === node) sounding = null;
      });
      sounding = node;
      node.textContent = "Stop";
    });
    return node;
  }

  function chooseRecording() {
    const recording = about.recordings[number_()];
    const length = duration();
    for (const control of [place, from, to]) control.limits(0, length.toFixed(3));
    place.value = recording?.cursor ?? length / 2;
    at = place.value;
    span = [0, length];
    from.value = 0;
    to.value = length;
    choose();
  }

  async function choose() {
    const net = about.networks.find((n) => n.name === network.value);
    const shared = gcd(hop(), net.stride);
    alias.textContent =
      net.window && hop() >= net.window
        ? `Windows ${hop()} samples apart do not overlap: nothing is averaged, and the network's grid stays in the signal.`
        : shared > 1
          ? `Hop ${hop()} shares the factor ${shared} with the network's stride of ${net.stride}: look for images of the spectrum around multiples of ${Math.round(rate / shared)} Hz.`
          : `Hop ${hop()} shares no factor with the network's stride of ${net.stride}: its grid is averaged away.`;
    if (!isOwn()) {
      for (const [name, control] of Object.entries({ says, talker, network, method })) model.set(name, control.value);
      model.set("hop", hop());
      model.save_changes();
    }
    const turn = ++asked;
    if (!relevance() && ask) {
      const wanted = key();
      note.say("The kernel is computing…");
      draw();
      const question = {
        ask: "relevance", recording: isOwn() ? null : number_(), network: network.value, method: method.value, hop: hop(),
      };
      try {
        const { answer, buffers } = await ask(question, isOwn() ? [own.buffer] : []);
        const { buffer, byteOffset, byteLength } = buffers[0];
        found.set(wanted, { relevance: new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength)), ...answer });
      } catch (error) {
        if (turn === asked) note.say(error.message);
        return;
      }
      if (turn !== asked) return;
    }
    draw();
  }

  async function readFile(chosen) {
    try {
      own = await decode(chosen, rate);
    } catch {
      return note.say(`${chosen.name} holds no sound that this browser can read: give a wav, flac, ogg or mp3 file.`);
    }
    says.options([...sayings, [OWN, OWN]]);
    says.value = OWN;
    talker.options([["you", "you"]]);
    chooseRecording();
  }

  const columns = (charts_) => make("div", { className: "relviz-pair" }, ...charts_.map((c) => c.node));
  const choices = row(says.node, talker.node, network.node, method.node, hops.node);
  root.replaceChildren(
    choices,
    kernelRow,
    alias,
    columns(waves),
    row(...buttons, only.node),
    row(from.node, to.node),
    columns(spectrograms),
    row(place.node),
    columns(spectra),
    pitch.node,
    note.node,
  );
  place.node.classList.add("relviz-wide");

  const seconds = (canvas, x) => {
    const share = (x - LEFT) / (canvas.clientWidth - LEFT - RIGHT);
    return Math.min(1, Math.max(0, share)) * duration();
  };
  for (const { canvas } of spectrograms) drag(canvas, (x) => move(seconds(canvas, x)));
  for (const { canvas } of waves) {
    let began = 0;
    drag(canvas, (x, _, event) => {
      if (event.type === "pointerdown") began = seconds(canvas, x);
      else select(began, seconds(canvas, x));
    });
  }

  const end = whenKernel(model, (kernel) => {
    anyHop.control.value = hops.value;
    ask = kernel;
    hops.node.replaceWith(anyHop.node);
    kernelRow.replaceChildren(file.node);
  });
  const follow = () => {
    if (isOwn()) return;
    says.value = model.get("says");
    talker.options(talkersOf(says.value));
    for (const [name, control] of Object.entries({ talker, network, method })) control.value = model.get(name);
    hops.value = model.get("hop");
    anyHop.control.value = model.get("hop");
  };
  for (const name of ["says", "talker", "network", "method", "hop"]) {
    model.on(`change:${name}`, () => {
      const chosen = { says: says.value, talker: talker.value, network: network.value, method: method.value, hop: hop() };
      if (chosen[name] === model.get(name)) return; // it was chosen here
      follow();
      name === "says" || name === "talker" ? chooseRecording() : choose();
    });
  }
  chooseRecording();
  return () => {
    end();
    stop();
    charts.forEach((c) => c.end());
  };
}

export default { render };
