// The live explorer: see live.py.
import {
  LEFT, RIGHT, axes, button, chart, choice, cursor, decode, drag, fileField, frames, legend, line,
  magma, make, play, row, slider, status, stop, unpack, wave, whenKernel,
} from "./common.js";
import { decibels, f0Contour, formants, gcd, spectrogram } from "./dsp.js";
import { engine, listen, microphone, wavFile } from "./engine.js";

/** The hop (samples) at which about `shifts` windows cover each sample; as live.py's `hop`. */
export function hopFor(window, stride, shifts) {
  if (shifts === 1) return window;
  const wanted = window / shifts;
  let best = 1;
  for (let n = 2; n < window; n++) {
    if (gcd(n, stride) === 1 && Math.abs(n - wanted) < Math.abs(best - wanted)) best = n;
  }
  return best;
}

const DEPTH = -60; // dB below the maximum, in spectrograms
const MOST = 8; // classes that are shown over time
const FILE = "your file";
const VOICE = "your recording";

async function render({ model, el }) {
  const root = make("section", { className: "relviz", "aria-label": "Live explorer" });
  el.append(root);
  root.append(make("p", {}, "Unpacking…"));
  const { about, signals } = await unpack(model.get("data"));
  const { rate, step, longest } = about;

  const sounds = new Map(about.sounds.map((name) => [name, signals[name]]));
  const heard = new Map(); // sound/network -> {times, rows}; sound/network/shifts -> relevance
  for (const name of about.sounds) {
    for (const net of about.networks) {
      const flat = signals[`${name}/${net.name}`];
      const size = net.classes.length;
      const rows = Array.from({ length: flat.length / size }, (_, i) =>
        flat.subarray(i * size, (i + 1) * size),
      );
      heard.set(`${name}/${net.name}`, { times: rows.map((_, i) => (i * step) / rate), rows });
      for (const count of about.shifts) {
        const key = `${name}/${net.name}/${count}`;
        heard.set(key, signals[key]);
      }
    }
  }
  const analysed = new WeakMap(); // samples -> {shares, step, f0}
  let at = 0; // s, the cursor
  let rolling = null; // what the microphone brings: {samples, relevance, times, rows}
  let open = null; // the microphone
  let working = null; // AbortController of what is being computed
  let sounding = null; // the button whose sound is playing
  let ask = null; // the kernel

  // where the networks run: in this page, unless there is a reason why not
  const assets = globalThis.relvizAssets;
  let reason = "";
  if (!assets) reason = "This page does not bring the networks along";
  else if (!/^https?:/.test(assets))
    reason = "A page that is opened as a file may not load the networks";
  else if (typeof WebAssembly !== "object")
    reason = "This browser has no WebAssembly to run the networks in";

  const net = () => about.networks.find((n) => n.name === network.value);
  const key = () => `${sound.value}/${network.value}`;
  const original = () => rolling?.samples ?? sounds.get(sound.value);
  const relevance = () => (rolling ? rolling.relevance : heard.get(`${key()}/${count()}`));
  const posteriors = () => rolling ?? heard.get(key());
  const duration = () => original().length / rate;
  const count = () => about.shifts[shifts.value];
  const hop = () => hopFor(net().window, net().stride, count());

  // controls
  const network = choice(
    "Network",
    about.networks.map((n) => [n.name, n.name]),
    model.get("network"),
    choose,
  );
  const sound = choice(
    "Sound",
    about.sounds.map((s) => [s, s]),
    model.get("sound"),
    () => {
      silence();
      chooseSound();
    },
  );
  const file = fileField("Your own file", readFile);
  const recordButton = button("Record", () => (open ? finish() : record()));
  const shifts = slider(
    "Number of shifts",
    {
      min: 0,
      max: about.shifts.length - 1,
      step: 1,
      value: Math.max(0, about.shifts.indexOf(model.get("shifts"))),
    },
    choose,
    (place) => `${about.shifts[place]}`,
  );
  const place = slider(
    "Cursor",
    { min: 0, max: 1, step: 0.005, value: 0 },
    (v) => move(v),
    (v) => `${v.toFixed(3)} s`,
  );
  place.node.classList.add("relviz-wide");
  const buttons = [soundButton("Play sound", original), soundButton("Play relevance", relevance)];
  const where = make("p", { className: "relviz-note", id: `${sound.control.id}-where` });
  const task = make("p", { className: "relviz-note" });
  const shiftNote = make("p", { className: "relviz-note" });
  const bar = make("progress", { "aria-label": "Work that is done", max: 1, value: 0 });
  const busy = make("p", { className: "relviz-note", hidden: true }, bar, " ");
  const busyText = make("span");
  busy.append(busyText);
  const note = status();

  // charts
  const both = (title, height, paint) =>
    [
      [`${title} of the recording`, original, "first"],
      [`${title} of the relevance signal`, relevance, "second"],
    ].map(([name, samples, colour]) =>
      chart(name, height, (context, frame) => {
        const box = paint.axes(context, frame);
        if (!samples()) return waiting(context, box, frame);
        paint.inside(context, box, samples(), frame.colours[colour]);
        cursor(context, box, at, paint.cursor ?? frame.colours.third);
      }),
    );
  const waves = both("Waveform", 110, {
    axes: (context, frame) =>
      axes(context, frame, { x: [0, duration()], y: [-1, 1], xlabel: "Time (s)", yticks: 0 }),
    inside: (context, box, samples, colour) => wave(context, box, samples, rate, colour),
  });
  const spectrograms = both("Spectrogram", 170, {
    axes: (context, frame) =>
      axes(context, frame, {
        x: [0, duration()],
        y: [0, rate / 2000],
        xlabel: "Time (s)",
        ylabel: "kHz",
      }),
    inside: (context, box, samples) => {
      const { shares, space } = analysis(samples);
      frames(context, box, shares, space / rate);
    },
    cursor: "#7fd4ff",
  });
  const overTime = chart("Probabilities over time", 190, (context, frame) => {
    const { rows, times } = posteriors() ?? { rows: [], times: [] };
    const x = rolling ? [-longest, 0] : [0, duration()];
    const xlabel = rolling ? "Time before now (s)" : "Time (s)";
    const box = axes(context, frame, { x, y: [0, 1], xlabel, yticks: 0 });
    if (!rows.length) return waiting(context, box, frame);
    const shown = winners(rows);
    const high = box.height / shown.length;
    context.textAlign = "right";
    context.textBaseline = "middle";
    shown.forEach((k, r) => {
      const top = box.top + r * high;
      context.fillStyle = frame.colours.ink;
      context.fillText(net().classes[k], box.left - 6, top + high / 2);
      rows.forEach((p, i) => {
        // a window's column reaches half way to its neighbours
        const before = i ? (times[i - 1] + times[i]) / 2 : times[i];
        const after = i < rows.length - 1 ? (times[i] + times[i + 1]) / 2 : times[i] + step / rate;
        const from = Math.max(box.left, Math.floor(box.x(before)));
        const to = Math.min(box.left + box.width, Math.floor(box.x(after)));
        context.fillStyle = `rgb(${magma(p[k])})`;
        if (to > from) context.fillRect(from, top, to - from, high - 1);
      });
    });
    if (!rolling) cursor(context, box, at, "#7fd4ff");
  });
  const atCursor = chart("Probabilities at the cursor", 190, (context, frame) => {
    const found = top();
    const box = axes(context, frame, {
      x: [0, 100],
      y: [0, 1],
      xlabel: "Probability (%)",
      yticks: 0,
    });
    if (!found.length) return waiting(context, box, frame);
    const high = box.height / found.length;
    found.forEach(([name, p], r) => {
      const y = box.top + r * high;
      context.textAlign = "right";
      context.textBaseline = "middle";
      context.fillStyle = frame.colours.ink;
      context.fillText(name, box.left - 6, y + high / 2);
      context.fillStyle = frame.colours.third;
      context.fillRect(box.left, y + 0.2 * high, Math.max(1, p * box.width), 0.6 * high);
      context.fillStyle = frame.colours.ink;
      // the number stands beside its bar, or left of its end where there is no room
      const beside = p < 0.8;
      context.textAlign = beside ? "left" : "right";
      if (!beside) context.fillStyle = frame.colours.paper || "#fff";
      context.fillText(percent(p), box.left + p * box.width + (beside ? 6 : -6), y + high / 2);
    });
  });
  const pitch = chart("F0 of both", 150, (context, frame) => {
    const contours = [original(), relevance()].map((samples) => samples && analysis(samples).f0);
    const hertz = contours.flatMap((c) => c?.hertz ?? []).filter(Number.isFinite);
    const low = hertz.length ? hertz.reduce((a, b) => Math.min(a, b)) - 20 : 75;
    const high = hertz.length ? hertz.reduce((a, b) => Math.max(a, b)) + 40 : 300;
    const box = axes(context, frame, {
      x: [0, duration()],
      y: [low, high],
      xlabel: "Time (s)",
      ylabel: "Hz",
    });
    contours.forEach((c, i) => {
      if (!c) return;
      const times = c.hertz.map((_, k) => c.start + k * c.step);
      // the recording's is broad, so that the other can be seen on top of it
      line(context, box, times, c.hertz, frame.colours[i ? "second" : "muted"], {
        width: i ? 2 : 6,
      });
    });
    cursor(context, box, at, frame.colours.third);
    legend(context, box, [
      ["recording", frame.colours.muted],
      ["relevance", frame.colours.second],
    ]);
  });
  const charts = [...waves, overTime, atCursor, ...spectrograms, pitch];

  const names = ["F1", "F2", "F3"];
  const cells = ["Recording", "Relevance"].map(() => names.map(() => make("td")));
  const table = make(
    "table",
    { className: "relviz-table" },
    make("caption", {}, "Formants at the cursor, in Hz"),
    make(
      "thead",
      {},
      make("tr", {}, make("td"), ...names.map((n) => make("th", { scope: "col" }, n))),
    ),
    make(
      "tbody",
      {},
      ...["Recording", "Relevance"].map((n, i) =>
        make("tr", {}, make("th", { scope: "row" }, n), ...cells[i]),
      ),
    ),
  );

  function waiting(context, box, frame) {
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillStyle = frame.colours.ink;
    context.fillText("not yet computed", box.left + box.width / 2, box.top + box.height / 2);
  }

  /** Spectrogram and F0 of a signal, computed once. */
  function analysis(samples) {
    if (!analysed.has(samples)) {
      // at most some 200 columns: a picture has no more to show, and the cursor must not lag
      const space = Math.max(80, Math.round(samples.length / 200));
      const { columns } = spectrogram(samples, { step: space });
      let loudest = 0;
      for (const column of columns) for (const v of column) loudest = Math.max(loudest, v);
      const shares = columns.map((c) => decibels(c, DEPTH, loudest).map((d) => 1 - d / DEPTH));
      analysed.set(samples, { shares, space, f0: f0Contour(samples, rate) });
    }
    return analysed.get(samples);
  }

  /** The classes that win somewhere, those that win most often, in the order of their first. */
  function winners(rows) {
    const wins = new Map();
    for (const p of rows) {
      const best = p.reduce((b, v, k) => (v > p[b] ? k : b), 0);
      wins.set(best, (wins.get(best) ?? 0) + 1);
    }
    const often = [...wins.keys()].sort((a, b) => wins.get(b) - wins.get(a)).slice(0, MOST);
    return [...wins.keys()].filter((k) => often.includes(k));
  }

  /** The five most probable classes at the cursor: [[name, probability], ...]. */
  function top() {
    const { rows, times } = posteriors() ?? { rows: [] };
    if (!rows.length) return [];
    let i = rows.length - 1;
    if (!rolling) i = Math.min(i, Math.max(0, Math.round((at - times[0]) / (step / rate))));
    const ranked = Array.from(rows[i], (p, k) => [net().classes[k], p]);
    return ranked.sort((a, b) => b[1] - a[1]).slice(0, 5);
  }

  const percent = (p) => (p >= 0.0995 ? `${Math.round(100 * p)} %` : `${(100 * p).toFixed(1)} %`);
  const who = (name) => {
    if (network.value === "speakers") return `speaker ${name}`;
    return about.examples[name] ? `${name} as in “${about.examples[name]}”` : name;
  };

  function draw() {
    for (const each of charts) each.draw();
    const pitches = [original(), relevance()].map((samples) => {
      if (!samples) return NaN;
      const { hertz, start, step: space } = analysis(samples).f0;
      return hertz[Math.round((at - start) / space)] ?? NaN;
    });
    const [mine, its] = pitches.map((h) =>
      Number.isFinite(h) ? `F0 ${h.toFixed(0)} Hz` : "no F0",
    );
    pitch.say(`at ${at.toFixed(3)} s ${mine} in the recording, ${its} in the relevance signal`);
    [original(), relevance()].forEach((samples, i) => {
      const found = samples ? formants(samples, rate, at) : [];
      cells[i].forEach((cell, k) => {
        cell.textContent = Number.isFinite(found[k]) ? found[k].toFixed(0) : "–";
      });
    });
    const [best, second] = top();
    if (!best) return;
    const [words, then] = [best, second].map(([name, p]) => `${who(name)} (${percent(p)})`);
    atCursor.say(`${words}, then ${then}`);
    const often = winners(posteriors().rows).map((k) => net().classes[k]);
    overTime.say(`in this order ${often.join(", ")}`);
    for (const each of [...waves, ...spectrograms]) {
      each.say(`${duration().toFixed(2)} s, cursor at ${at.toFixed(3)} s`);
    }
    if (rolling) return; // a reader of the screen would hear nothing else
    note.say(
      `At ${at.toFixed(3)} s the network hears ${words}, then ${then}; ${mine} in the recording, ` +
        `${its} in the relevance signal.`,
    );
  }

  function move(time) {
    place.value = Math.min(duration(), Math.max(0, time));
    at = place.value; // on the slider's steps
    draw();
  }

  function soundButton(text, samples) {
    const node = button(text, () => {
      if (sounding === node) return stop();
      if (!samples())
        return note.say("There is nothing to play yet: the network is still listening.");
      play(samples(), rate, () => {
        node.textContent = text;
        if (sounding === node) sounding = null;
      });
      sounding = node;
      node.textContent = "Stop";
    });
    return node;
  }

  /** Show how far the work is: 0 to 1, NaN where nobody knows; null when there is none. */
  function work(share, text = "") {
    busy.hidden = share === null;
    if (Number.isFinite(share)) bar.value = share;
    else bar.removeAttribute("value");
    busyText.textContent = text;
  }

  /** Say where the networks run, and offer what works there. */
  function allow() {
    const able = !reason || Boolean(ask);
    where.textContent = !reason
      ? "Nothing leaves your machine: the network runs in this page. It is loaded (16 MB) when you " +
        "first give it a sound of your own."
      : ask
        ? "This notebook's kernel runs the networks: a sound of yours goes to the kernel's machine, " +
          "and nowhere else. Everything else is computed in this page."
        : `${reason}, so only the sounds that came with it can be heard: ${
            assets && reason.startsWith("A page")
              ? "serve the book over http (python -m http.server in its folder)"
              : "reload it, or run its cell"
          }, or open it on Binder, to use your own file or microphone.`;
    const voice = able && Boolean(navigator.mediaDevices?.getUserMedia);
    for (const [control, works] of [
      [file.control, able],
      [recordButton, voice],
    ]) {
      control.disabled = !works;
      control.setAttribute("aria-describedby", where.id);
    }
    if (able && !voice)
      where.textContent += " This browser gives no microphone here: it needs https or localhost.";
  }

  /** What a network hears of `samples`, wherever it runs: {rows, relevance}, as asked for. */
  async function hear(name, samples, plan, { want, signal, progress }) {
    const { window } = about.networks.find((n) => n.name === name);
    let run = null;
    if (!reason) {
      try {
        const megabytes = (n, all) =>
          signal?.aborted ||
          work(
            n / all,
            `Loading the network: ${n.toFixed(1)} MB${all ? ` of ${all.toFixed(1)} MB` : ""}`,
          );
        run = await engine(assets, name, megabytes);
      } catch (error) {
        reason = `The network could not be loaded (${error.message})`;
        allow();
      }
      signal?.throwIfAborted();
    }
    if (run) return listen(run, samples, { window, ...plan }, { signal, progress });
    if (!ask) throw Error(where.textContent);
    const found = {};
    for (const what of want) {
      const bytes = Float32Array.from(samples).buffer;
      const { buffers } = await ask({ ask: what, network: name, ...plan }, [bytes]);
      signal?.throwIfAborted();
      const { buffer, byteOffset, byteLength } = buffers[0];
      const values = new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
      const size = values.length / plan.count;
      if (what === "relevance") found.relevance = values;
      else
        found.rows = Array.from({ length: plan.count }, (_, i) =>
          values.subarray(i * size, (i + 1) * size),
        );
    }
    return found;
  }

  /** Why a sound cannot be heard, in a sentence; nothing where it can. */
  function refusal(samples, name) {
    const { window } = net();
    if (samples.length < window) {
      return `${name} lasts ${(samples.length / rate).toFixed(2)} s and this network hears windows of ${window / rate} s: use a longer sound.`;
    }
    if (samples.every((v) => v === samples[0])) return `${name} is silent: use another sound.`;
    return "";
  }

  async function choose() {
    const { window, stride, classes } = net();
    task.textContent =
      network.value === "speakers"
        ? `The question: which of the ${classes.length} readers it knows speaks these ` +
          `${(1000 * window) / rate} ms? It names one of them for any voice.`
        : `The question: which of ${classes.length - 1} phones, or silence, is in the middle of ` +
          `${(1000 * window) / rate} ms?`;
    const times = (n) => `${n} sample${n === 1 ? "" : "s"}`;
    shiftNote.textContent =
      count() === 1
        ? `Windows side by side, ${times(hop())} apart: the network's grid (every 10 samples, and ` +
          "coarser) stays in the relevance signal as aliasing, images of the spectrum around " +
          `multiples of ${rate / 10} Hz.`
        : `Windows ${times(hop())} apart: each sample is heard in about ${count()} windows, and the ` +
          `network's grid of ${stride} samples is averaged away ${count() < 16 ? "in part" : "well"}.`;
    if (about.sounds.includes(sound.value)) model.set("sound", sound.value);
    model.set("network", network.value);
    model.set("shifts", count());
    model.save_changes();
    if (rolling) {
      Object.assign(rolling, { relevance: null, times: [], rows: [] }); // of another network
      return draw();
    }

    working?.abort(); // what was asked before is of no use now
    const { signal } = (working = new AbortController());
    const samples = original();
    const now = key();
    const keyed = `${now}/${count()}`;
    const part = (what) => (done, all) => work(done / all, `${what}: ${done} of ${all} windows`);
    const all = (space) => ({
      first: 0,
      hop: space,
      count: Math.floor((samples.length - 1) / space) + 1,
    });
    draw();
    try {
      const no = refusal(samples, sound.value);
      if (no) throw Error(`${no[0].toUpperCase()}${no.slice(1)}`);
      if (!heard.has(now)) {
        work(NaN, "Listening");
        const { rows } = await hear(network.value, samples, all(step), {
          want: ["probabilities"],
          signal,
          progress: part("Probabilities"),
        });
        heard.set(now, { rows, times: rows.map((_, i) => (i * step) / rate) });
        draw();
      }
      if (!heard.has(keyed)) {
        work(NaN, "Listening");
        const found = await hear(network.value, samples, all(hop()), {
          want: ["relevance"],
          signal,
          progress: part("Relevance"),
        });
        heard.set(keyed, found.relevance);
        draw();
      }
    } catch (error) {
      if (signal.aborted) return;
      work(null);
      if (reason && !ask && !about.sounds.includes(sound.value)) {
        forget(sound.value); // nobody here can listen to it
        chooseSound();
      }
      note.say(error.message);
      return;
    }
    work(null);
  }

  function offer() {
    sound.options([...sounds.keys()].map((s) => [s, s]));
  }

  function forget(name) {
    for (const each of [...heard.keys()]) if (each.startsWith(`${name}/`)) heard.delete(each);
    sounds.delete(name);
    offer();
  }

  function chooseSound() {
    place.limits(0, duration().toFixed(3));
    place.value = duration() / 2;
    at = place.value;
    return choose();
  }

  /** Take a sound of the reader's: forget what was heard of the one before, and listen. */
  function take(name, samples) {
    forget(name);
    sounds.set(name, samples);
    offer();
    sound.value = name;
    return chooseSound();
  }

  async function readFile(chosen) {
    silence();
    let samples;
    try {
      samples = await decode(chosen, rate);
    } catch {
      return note.say(
        `${chosen.name} holds no sound that this browser can read: give a wav, flac, ogg or mp3 file.`,
      );
    }
    const cut = samples.subarray(0, longest * rate);
    const no = refusal(cut, chosen.name);
    if (no) return note.say(no);
    await take(FILE, cut.slice());
    if (cut.length < samples.length && sound.value === FILE) {
      note.say(
        `${chosen.name} lasts ${(samples.length / rate).toFixed(1)} s: these are its first ${longest} s.`,
      );
    }
  }

  /** Bring the last `seconds` of the microphone to the networks' rate. */
  async function recorded(device, seconds) {
    return decode(wavFile(device.last(seconds), device.rate), rate);
  }

  async function record() {
    working?.abort();
    work(null);
    stop();
    const { signal } = (working = new AbortController());
    recordButton.disabled = true;
    let device;
    try {
      device = await microphone(longest);
    } catch (error) {
      return note.say(
        `The microphone does not open (${error.message}): allow this page to use it, in the browser's settings.`,
      );
    } finally {
      recordButton.disabled = false;
    }
    open = device;
    recordButton.textContent = "Stop recording";
    shifts.control.disabled = true; // one window has no shifts
    note.say("Recording: speak, and stop when you are done.");
    const began = performance.now();
    let history = { of: network.value, moments: [], rows: [] };
    try {
      while (open === device) {
        const name = network.value;
        const { window } = net();
        // a little more than the window, since a filter that resamples needs a start
        const tail = (await recorded(device, window / rate + 0.05)).slice(-window);
        if (tail.length < window || tail.every((v) => v === tail[0])) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          continue;
        }
        const plan = { first: window >> 1, hop: window, count: 1 };
        const found = await hear(name, tail, plan, {
          want: ["probabilities", "relevance"],
          signal,
        });
        if (open !== device) break;
        work(null);
        if (history.of !== name) history = { of: name, moments: [], rows: [] };
        const now = (performance.now() - began) / 1000;
        history.moments.push(now);
        history.rows.push(found.rows[0]);
        while (now - history.moments[0] > longest) {
          history.moments.shift();
          history.rows.shift();
        }
        const first = !rolling || rolling.samples.length !== window;
        rolling = {
          samples: tail,
          relevance: found.relevance,
          times: history.moments.map((moment) => moment - now),
          rows: [...history.rows],
        };
        if (first) {
          place.limits(0, duration().toFixed(3));
          place.value = duration() / 2;
          at = place.value;
        }
        draw();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    } catch (error) {
      if (signal.aborted) return;
      silence();
      chooseSound();
      note.say(error.message);
    }
  }

  /** Stop recording, and forget what was recorded. */
  function silence() {
    open?.close();
    open = rolling = null;
    recordButton.textContent = "Record";
    shifts.control.disabled = false;
  }

  /** Stop recording, and listen to the whole of it. */
  async function finish() {
    const whole = await recorded(open, longest).catch(() => new Float32Array(0));
    silence();
    const no = refusal(whole, "the recording");
    if (no) {
      note.say(`${no[0].toUpperCase()}${no.slice(1)}`);
      return chooseSound();
    }
    await take(VOICE, whole);
  }

  root.replaceChildren(
    where,
    row(network.node, sound.node, file.node, recordButton),
    task,
    row(shifts.node, ...buttons),
    shiftNote,
    busy,
    columns(waves),
    row(place.node),
    columns([overTime, atCursor]),
    note.node,
    columns(spectrograms),
    pitch.node,
    make("div", { className: "relviz-scroll" }, table),
  );
  function columns(pictures) {
    return make("div", { className: "relviz-pair" }, ...pictures.map((c) => c.node));
  }

  const seconds = (canvas, x) => ((x - LEFT) / (canvas.clientWidth - LEFT - RIGHT)) * duration();
  for (const { canvas } of [...waves, ...spectrograms, pitch])
    drag(canvas, (x) => move(seconds(canvas, x)));
  drag(overTime.canvas, (x) => rolling || move(seconds(overTime.canvas, x)));

  const end = whenKernel(model, (kernel) => {
    ask = kernel;
    allow();
  });
  for (const name of ["network", "sound", "shifts"]) {
    model.on(`change:${name}`, () => {
      const shown = { network: network.value, sound: sound.value, shifts: count() };
      if (shown[name] === model.get(name)) return; // it was chosen here
      network.value = model.get("network");
      shifts.value = Math.max(0, about.shifts.indexOf(model.get("shifts")));
      if (name === "sound") {
        sound.value = model.get("sound");
        silence();
        chooseSound();
      } else choose();
    });
  }
  allow();
  chooseSound();
  return () => {
    end();
    stop();
    working?.abort();
    open?.close();
    charts.forEach((c) => c.end());
  };
}

export default { render };
