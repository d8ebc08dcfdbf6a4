// @ts-check
// What the explorers share: data from Python, labelled controls, charts that follow the theme, sound.

/**
 * What a script sees of its widget in Python.
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: unknown) => void} set
 * @property {() => void} save_changes
 * @property {(event: string, hear: (...heard: any[]) => void) => void} on
 * @property {(event: string, hear: (...heard: any[]) => void) => void} off
 * @property {(content: object, callbacks: undefined, buffers: ArrayBuffer[]) => void} send
 */

/**
 * Asks the kernel; rejected with its own words.
 * @typedef {(question: object, buffers?: ArrayBuffer[]) => Promise<Answer>} Ask
 * @typedef {{answer: any, buffers: DataView<ArrayBuffer>[]}} Answer
 */

/**
 * Text: an attribute, or a number that becomes one. Pair: what is chosen among, [value, text].
 * @typedef {ArrayLike<number>} Numbers
 * @typedef {string | number} Text
 * @typedef {Text[]} Pair
 * @typedef {number[]} Rgb red, green and blue, 0 to 255
 */

/**
 * What a chart is painted with: its size in pixels, and the theme's colours.
 * @typedef {{width: number, height: number, colours: Colours}} Frame
 * @typedef {ReturnType<typeof colours>} Colours
 * @typedef {(context: CanvasRenderingContext2D, frame: Frame) => void} Paint
 * @typedef {ReturnType<typeof chart>} Chart
 */

/**
 * The inside of a chart's frame in pixels, and its scales.
 * @typedef {{left: number, top: number, width: number, height: number}} Box
 * @typedef {Box & Record<"x" | "y" | "xValue" | "yValue", (value: number) => number>} Scales
 */

/**
 * Read what relviz.widgets.frame.pack wrote: {about, signals: {name: Float32Array}}.
 * @param {DataView<ArrayBuffer>} view
 * @returns {Promise<{about: any, signals: Record<string, Float32Array<ArrayBuffer>>}>}
 */
export async function unpack(view) {
  const packed = new Blob([view]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = await new Response(packed).arrayBuffer();
  const head = new DataView(bytes).getUint32(0, true);
  const { about, layout } = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, head)));
  /** @type {Record<string, Float32Array<ArrayBuffer>>} */
  const signals = {};
  let at = 4 + head;
  for (const { name, bits, block, count } of layout) {
    const Kind = bits === 8 ? Int8Array : Int16Array;
    const scales = new Float32Array(bytes.slice(at, (at += 4 * Math.ceil(count / block))));
    const whole = new Kind(bytes.slice(at, (at += (count * bits) / 8)));
    signals[name] = Float32Array.from(whole, (v, i) => v * scales[Math.floor(i / block)]);
  }
  return { about, signals };
}

/**
 * Call `found(ask)` as soon as a kernel answers; never, on a page without one.
 * ask(question, buffers) is a promise of {answer, buffers}, rejected with the kernel's own words.
 * @param {Model} model
 * @param {(ask: Ask) => void} found
 * @returns {() => void} what ends the talk
 */
export function whenKernel(model, found) {
  /** @type {Map<string, {resolve: (answer: Answer) => void, reject: (error: Error) => void}>} */
  const waiting = new Map();
  let next = 0;
  /** @type {Ask} */
  const ask = (question, buffers = []) =>
    new Promise((resolve, reject) => {
      const id = `${Date.now()}-${next++}`;
      waiting.set(id, { resolve, reject });
      model.send({ id, ...question }, undefined, buffers);
    });
  /** @param {any} answer @param {DataView<ArrayBuffer>[]} buffers */
  const receive = (answer, buffers) => {
    const asked = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (asked)
      answer.error ? asked.reject(Error(answer.error)) : asked.resolve({ answer, buffers });
  };
  model.on("msg:custom", receive);
  ask({ ask: "hello" }).then(
    () => found(ask),
    () => {},
  );
  return () => model.off("msg:custom", receive);
}

/**
 * An answer's first buffer as numbers of its own.
 * @param {DataView<ArrayBuffer>[]} buffers
 */
export function numbersOf([{ buffer, byteOffset, byteLength }]) {
  return new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
}

/**
 * A probability for the eye.
 * @param {number} p
 */
export function percent(p) {
  return p >= 0.0995 ? `${Math.round(100 * p)} %` : `${(100 * p).toFixed(1)} %`;
}

/**
 * Rows of `size` numbers that lie one after another.
 * @param {Float32Array} flat
 * @param {number} size
 */
export function rowsOf(flat, size) {
  return Array.from({ length: flat.length / size }, (_, i) =>
    flat.subarray(i * size, (i + 1) * size),
  );
}

/**
 * Make an element: properties, then children. `aria-` and `data-` names become attributes.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} properties
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, properties = {}, ...children) {
  const node = /** @type {HTMLElementTagNameMap[Tag] & Record<string, any>} */ (
    document.createElement(tag)
  );
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

let made = 0;

/**
 * A control with its label above it, and what it says beside the label.
 * @param {string} text
 * @param {HTMLElement} control
 * @param {...HTMLElement} more
 */
function labelled(text, control, ...more) {
  control.id = `relviz-${++made}-${Math.random().toString(36).slice(2)}`;
  const head = make(
    "div",
    { className: "relviz-head" },
    make("label", { for: control.id }, text),
    ...more,
  );
  return make("div", { className: "relviz-field" }, head, control);
}

/**
 * A labelled choice among [value, text] pairs: {node, value, options(pairs)}.
 * @param {string} text
 * @param {Pair[]} pairs
 * @param {Text | undefined} value
 * @param {(value: string) => void} change
 */
export function choice(text, pairs, value, change) {
  const control = make("select");
  /** @param {Pair[]} items */
  const fill = (items) => {
    const kept = control.value;
    control.replaceChildren(
      ...items.map(([v, t]) => make("option", { value: String(v) }, String(t))),
    );
    if (items.some(([v]) => String(v) === kept)) control.value = kept;
  };
  fill(pairs);
  if (value !== undefined) control.value = String(value);
  control.addEventListener("change", () => change(control.value));
  return {
    node: labelled(text, control),
    control,
    options: fill,
    get value() {
      return control.value;
    },
    set value(v) {
      control.value = String(v);
    },
  };
}

/**
 * A labelled slider that shows its value: say(value) is the text beside it, read out too.
 * @param {string} text
 * @param {{min: number, max: number, step: number, value: number}} range
 * @param {(value: number) => void} change
 * @param {(value: number) => string} say
 */
export function slider(text, { min, max, step, value }, change, say = String) {
  const control = make("input", { type: "range", min, max, step, value });
  const output = make("output", { "aria-hidden": "true" });
  const show = () => {
    output.textContent = say(Number(control.value));
    control.setAttribute("aria-valuetext", output.textContent);
  };
  control.addEventListener("input", () => {
    show();
    change(Number(control.value));
  });
  const node = labelled(text, control, output);
  show();
  return {
    node,
    control,
    show,
    get value() {
      return Number(control.value);
    },
    set value(v) {
      control.value = String(v);
      show();
    },
    /** @param {Text} low @param {Text} high */
    limits(low, high) {
      control.min = String(low);
      control.max = String(high);
      show();
    },
  };
}

/**
 * A labelled number field; change(number) is called for finite numbers only.
 * @param {string} text
 * @param {{min?: number, max?: number, step?: Text, value: number}} range
 * @param {(value: number) => void} change
 */
export function number(text, { min, max, step = "any", value }, change) {
  const control = make("input", { type: "number", step, value });
  if (min !== undefined) control.min = String(min);
  if (max !== undefined) control.max = String(max);
  control.addEventListener("input", () => {
    const found = control.valueAsNumber;
    const right = Number.isFinite(found) && control.checkValidity();
    control.setAttribute("aria-invalid", String(!right));
    if (right) change(found);
  });
  return { node: labelled(text, control), control };
}

/**
 * A labelled tick box.
 * @param {string} text
 * @param {boolean} value
 * @param {(value: boolean) => void} change
 */
export function tick(text, value, change) {
  const control = make("input", { type: "checkbox", checked: value });
  control.addEventListener("change", () => change(control.checked));
  return { node: make("label", { className: "relviz-tick" }, control, " ", text), control };
}

/**
 * A button.
 * @param {string} text
 * @param {() => void} click
 */
export function button(text, click) {
  const node = make("button", { type: "button" }, text);
  node.addEventListener("click", click);
  return node;
}

/**
 * A labelled choice of an audio file; change(File).
 * @param {string} text
 * @param {(file: File) => void} change
 */
export function fileField(text, change) {
  const control = make("input", { type: "file", accept: "audio/*,.wav,.flac,.ogg,.mp3" });
  control.addEventListener("change", () => {
    if (control.files?.length) change(control.files[0]);
  });
  return { node: labelled(text, control), control };
}

/**
 * An explorer's frame: its name, and what it shows and what to try, which screen readers tell with it.
 * @param {string} name
 * @param {string} told
 * @param {...(Node | string)} parts
 */
export function captioned(name, told, ...parts) {
  const id = `relviz-caption-${Math.random().toString(36).slice(2)}`;
  const caption = make("p", { className: "relviz-caption", id }, told);
  const labels = { "aria-label": name, "aria-describedby": id };
  return make("section", { className: "relviz", ...labels }, caption, ...parts);
}

/**
 * A row of controls that wraps.
 * @param {...(Node | string)} nodes
 */
export function row(...nodes) {
  return make("div", { className: "relviz-row" }, ...nodes);
}

/**
 * Two pictures side by side, where there is room.
 * @param {{node: Node}[]} pictures
 */
export function beside(pictures) {
  return make("div", { className: "relviz-pair" }, ...pictures.map((each) => each.node));
}

/** A line of text that screen readers announce when it changes: {node, say(text)}. */
export function status() {
  const node = make("p", { className: "relviz-status", role: "status" });
  /** @param {string} text */
  const say = (text) => {
    node.textContent = text;
  };
  return { node, say };
}

/** How far the work is: {node, show(share, text)}. */
export function workBar() {
  const bar = make("progress", { "aria-label": "Work that is done", max: 1, value: 0 });
  const text = make("span");
  const node = make("p", { className: "relviz-note", hidden: true }, bar, " ", text);
  /**
   * 0 to 1, NaN where nobody knows; null when there is none.
   * @param {number | null} share
   */
  const show = (share, words = "") => {
    node.hidden = share === null;
    if (share !== null && Number.isFinite(share)) bar.value = share;
    else bar.removeAttribute("value");
    text.textContent = words;
  };
  return { node, show };
}

/**
 * Colours of the theme around a node.
 * @param {Element} node
 */
export function colours(node) {
  const style = getComputedStyle(node);
  /** @param {string} name */
  const of = (name) => style.getPropertyValue(`--relviz-${name}`).trim();
  return {
    ink: of("ink"),
    muted: of("muted"),
    grid: of("grid"),
    paper: of("paper"),
    first: of("first"),
    second: of("second"),
    third: of("third"),
  };
}

/**
 * A picture that draws itself anew when its width or the theme changes.
 * paint(context, {width, height, colours}) draws; {node, canvas, draw(), say(text)}; say sets what
 * a screen reader says of it.
 * @param {string} title
 * @param {number} height pixels
 * @param {Paint} paint
 */
export function chart(title, height, paint) {
  const canvas = make("canvas", { role: "img", "aria-label": title });
  canvas.style.height = `${height}px`;
  const node = make("figure", { className: "relviz-chart" }, make("figcaption", {}, title), canvas);
  const draw = () => {
    const width = canvas.clientWidth;
    if (!width) return;
    const ratio = globalThis.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    if (!context) return;
    context.scale(ratio, ratio);
    context.font = "12px system-ui, sans-serif";
    paint(context, { width, height, colours: colours(canvas) });
  };
  const sized = new ResizeObserver(draw);
  sized.observe(canvas);
  const themed = new MutationObserver(draw);
  const where = {
    attributes: true,
    attributeFilter: ["data-theme", "data-jp-theme-light", "class"],
  };
  themed.observe(document.documentElement, where);
  themed.observe(document.body, where);
  return {
    node,
    canvas,
    draw,
    /** @param {string} text */
    say: (text) => canvas.setAttribute("aria-label", `${title}: ${text}`),
    end() {
      sized.disconnect();
      themed.disconnect();
    },
  };
}

/**
 * Round steps between `low` and `high`: about `count` of them.
 * @param {number} low
 * @param {number} high
 */
export function ticks(low, high, count = 5) {
  const rough = (high - low) / count;
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? rough;
  const first = Math.ceil(low / step - 1e-9);
  const found = [];
  for (let i = first; i * step <= high + 1e-9 * step; i++)
    found.push(Number((i * step).toPrecision(12)));
  return found;
}

/** Pixels of a chart to the left of its frame, and to the right: charts above each other align. */
export const LEFT = 48;
export const RIGHT = 10;

/**
 * The frame of a chart and its scales; x, y: [low, high].
 * @param {{width: number, height: number}} size
 * @param {number[]} x
 * @param {number[]} y
 * @param {boolean} labelled whether there is a label below
 * @returns {Scales}
 */
export function scalesOf({ width, height }, x, y, labelled) {
  const left = LEFT;
  const box = {
    left,
    top: 8,
    width: width - left - RIGHT,
    height: height - 8 - (labelled ? 36 : 20),
  };
  return {
    ...box,
    x: (v) => box.left + ((v - x[0]) / (x[1] - x[0] || 1)) * box.width,
    y: (v) => box.top + box.height - ((v - y[0]) / (y[1] - y[0] || 1)) * box.height,
    xValue: (pixel) => x[0] + ((pixel - box.left) / box.width) * (x[1] - x[0]),
    yValue: (pixel) => y[0] + ((box.top + box.height - pixel) / box.height) * (y[1] - y[0]),
  };
}

/**
 * Draw a frame with scales: {x(value), y(value), left, top, width, height} in pixels.
 * x, y: [low, high]; xlabel, ylabel: text; yticks: how many steps, 0 for none.
 * @param {CanvasRenderingContext2D} context
 * @param {Frame} frame
 * @param {{x: number[], y: number[], xlabel?: string, ylabel?: string, yticks?: number}} about
 */
export function axes(context, frame, { x, y, xlabel, ylabel, yticks = 4 }) {
  const at = scalesOf(frame, x, y, Boolean(xlabel));
  context.strokeStyle = frame.colours.grid;
  context.fillStyle = frame.colours.ink;
  context.lineWidth = 1;
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const value of ticks(x[0], x[1], Math.max(2, Math.floor(at.width / 70)))) {
    context.beginPath();
    context.moveTo(at.x(value), at.top);
    context.lineTo(at.x(value), at.top + at.height + 4);
    context.stroke();
    // the last number must not run over the edge
    const rightmost = frame.width - context.measureText(String(value)).width / 2;
    context.fillText(String(value), Math.min(at.x(value), rightmost), at.top + at.height + 5);
  }
  if (xlabel) context.fillText(xlabel, at.left + at.width / 2, at.top + at.height + 20);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of yticks ? ticks(y[0], y[1], yticks) : []) {
    context.beginPath();
    context.moveTo(at.left - 4, at.y(value));
    context.lineTo(at.left + at.width, at.y(value));
    context.stroke();
    context.fillText(String(value), at.left - 6, at.y(value));
  }
  if (ylabel && yticks) {
    context.save();
    context.translate(10, at.top + at.height / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText(ylabel, 0, 0);
    context.restore();
  }
  return at;
}

/**
 * Draw ys over xs; NaN and null leave a gap.
 * @param {CanvasRenderingContext2D} context
 * @param {Scales} at
 * @param {Numbers} xs
 * @param {ArrayLike<number | null>} ys
 * @param {string} colour
 * @param {{width?: number, dash?: number[]}} look
 */
export function line(context, at, xs, ys, colour, { width = 1.4, dash = [] } = {}) {
  context.save();
  context.beginPath();
  context.rect(at.left, at.top - 1, at.width, at.height + 2);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  let down = false;
  for (let i = 0; i < ys.length; i++) {
    const y = ys[i];
    if (y === null || !Number.isFinite(y)) {
      down = false;
      continue;
    }
    context[down ? "lineTo" : "moveTo"](at.x(xs[i]), at.y(y));
    down = true;
  }
  context.stroke();
  context.restore();
}

/**
 * Draw a waveform as the range it covers in every pixel column.
 * @param {CanvasRenderingContext2D} context
 * @param {Scales} at
 * @param {Float32Array} samples
 * @param {number} rate
 * @param {string} colour
 */
export function wave(context, at, samples, rate, colour) {
  let peak = 0;
  for (const v of samples) peak = Math.max(peak, Math.abs(v));
  const middle = at.top + at.height / 2;
  const scale = at.height / 2 / (peak || 1);
  context.fillStyle = colour;
  for (let px = 0; px < at.width; px++) {
    const first = Math.floor(at.xValue(at.left + px) * rate);
    const last = Math.max(first + 1, Math.ceil(at.xValue(at.left + px + 1) * rate));
    let low = Infinity;
    let high = -Infinity;
    for (let i = Math.max(0, first); i < Math.min(last, samples.length); i++) {
      low = Math.min(low, samples[i]);
      high = Math.max(high, samples[i]);
    }
    if (high >= low) {
      const top = middle - high * scale;
      context.fillRect(at.left + px, top, 1, Math.max(1, (high - low) * scale));
    }
  }
}

/**
 * Text for the lines of a chart, each in its colour, from the left at the top.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} at
 * @param {[string, string][]} entries
 */
export function legend(context, at, entries) {
  context.textAlign = "left";
  context.textBaseline = "top";
  let x = at.left + 8;
  for (const [text, colour] of entries) {
    context.fillStyle = colour;
    context.fillRect(x, at.top + 6, 14, 3);
    context.fillText(text, x + 18, at.top + 2);
    x += 30 + context.measureText(text).width;
  }
}

/**
 * A vertical line at a value of x.
 * @param {CanvasRenderingContext2D} context
 * @param {Scales} at
 * @param {number} value
 * @param {string} colour
 */
export function cursor(context, at, value, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(at.x(value), at.top);
  context.lineTo(at.x(value), at.top + at.height);
  context.stroke();
}

// matplotlib's magma at nine places; between them straight lines
const MAGMA = [
  [0, 0, 4],
  [28, 16, 68],
  [79, 18, 123],
  [129, 37, 129],
  [181, 54, 122],
  [229, 80, 100],
  [251, 135, 97],
  [254, 194, 135],
  [252, 253, 191],
];

/**
 * A sentence in the middle of a chart that has nothing to show.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} at
 * @param {Frame} frame
 * @param {string} text
 */
export function instead(context, at, frame, text) {
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = frame.colours.ink;
  context.fillText(text, at.left + at.width / 2, at.top + at.height / 2);
}

/**
 * The colour of a share from 0 to 1: [red, green, blue].
 * @param {number} share
 * @returns {Rgb}
 */
export function magma(share) {
  const place = Math.min(1, Math.max(0, share)) * (MAGMA.length - 1);
  const i = Math.min(MAGMA.length - 2, Math.floor(place));
  return MAGMA[i].map((v, k) => Math.round(v + (place - i) * (MAGMA[i + 1][k] - v)));
}

/**
 * Draw values[column][row], rows from the bottom, each from 0 to 1, over the whole frame.
 * @param {CanvasRenderingContext2D} context
 * @param {Box} at
 * @param {Numbers[]} values
 * @param {(value: number) => Rgb} colour
 */
export function heatmap(context, at, values, colour = magma) {
  const columns = values.length;
  const rows = values[0]?.length ?? 0;
  if (!columns || !rows) return;
  const image = new ImageData(columns, rows);
  for (let i = 0; i < columns; i++) {
    for (let k = 0; k < rows; k++) {
      const place = 4 * ((rows - 1 - k) * columns + i);
      const [red, green, blue] = colour(values[i][k]);
      image.data[place] = red;
      image.data[place + 1] = green;
      image.data[place + 2] = blue;
      image.data[place + 3] = 255;
    }
  }
  const small = new OffscreenCanvas(columns, rows);
  small.getContext("2d")?.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, at.left, at.top, at.width, at.height);
}

/**
 * The same for frames of a signal: column i is centred on i * `step`, so half of the first is cut.
 * @param {CanvasRenderingContext2D} context
 * @param {Scales} at
 * @param {Numbers[]} values
 * @param {number} step in the units of x
 * @param {(value: number) => Rgb} colour
 */
export function frames(context, at, values, step, colour = magma) {
  const left = at.x(-step / 2);
  const right = at.x((values.length - 0.5) * step);
  context.save();
  context.beginPath();
  context.rect(at.left, at.top, at.width, at.height);
  context.clip();
  heatmap(context, { ...at, left, width: right - left }, values, colour);
  context.restore();
}

/**
 * Call move(x, y, event) with the pixel under a pressed pointer; the keyboard's way is a slider
 * beside.
 * @param {HTMLCanvasElement} canvas
 * @param {(x: number, y: number, event: PointerEvent) => void} move
 */
export function drag(canvas, move) {
  /** @param {PointerEvent} event */
  const follow = (event) => {
    const { left, top } = canvas.getBoundingClientRect();
    move(event.clientX - left, event.clientY - top, event);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    follow(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) follow(event);
  });
}

/** @type {AudioContext | null} */
let audio = null;
/** @type {AudioBufferSourceNode | null} */
let playing = null;
/** @type {HTMLButtonElement | null} the button whose sound is playing */
let sounding = null;

/**
 * Play samples once, at half of full scale; what was playing stops. `ended` is called after.
 * @param {Float32Array} samples
 * @param {number} rate
 */
export function play(samples, rate, ended = () => {}) {
  stop();
  audio ??= new AudioContext();
  audio.resume();
  let peak = 0;
  for (const v of samples) peak = Math.max(peak, Math.abs(v));
  const buffer = audio.createBuffer(1, Math.max(1, samples.length), rate);
  buffer.copyToChannel(
    Float32Array.from(samples, (v) => (peak ? (0.5 * v) / peak : 0)),
    0,
  );
  const source = new AudioBufferSourceNode(audio, { buffer });
  source.connect(audio.destination);
  source.onended = () => {
    if (playing === source) playing = null;
    ended();
  };
  source.start();
  playing = source;
}

/** Stop what is playing. */
export function stop() {
  playing?.stop();
  playing = null;
}

/**
 * A button that plays what take() gives, where it gives something, and then stops it.
 * @param {string} text
 * @param {number} rate
 * @param {() => Float32Array | null | undefined} take
 */
export function soundButton(text, rate, take) {
  const node = button(text, () => {
    if (sounding === node) return stop();
    const samples = take();
    if (!samples) return;
    play(samples, rate, () => {
      node.textContent = text;
      if (sounding === node) sounding = null;
    });
    sounding = node;
    node.textContent = "Stop";
  });
  return node;
}
