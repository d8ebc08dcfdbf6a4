// The ReLU explorer: see relu.py. Units: inputs x1 and x2, hidden a1 to a3 and b1, b2, the score y.
import { button, choice, make, number, row, status, whenKernel } from "./common.js";

const RULES = {
  gradient: { text: "g where x > 0", below: true, above: false },
  deconvnet: { text: "g where g > 0", below: false, above: true },
  guided: { text: "g where x > 0, g > 0", below: true, above: true },
};
const INPUTS = ["x1", "x2"];
const UNITS = [["a1", "a2", "a3"], ["b1", "b2"]];

/** Numbers that make a point, and what to look at: inputs, then weights unit by unit. */
export const PRESETS = [
  {
    name: "three rules, three answers",
    numbers: [2, 1, 1, -1, 1, 0, -1, 0, -1, 1, 1, 0, 1, 0, 1, 2],
    look:
      "Look at the lower row of gates: only a2 opens for all. a1 was on but gets a negative g, so " +
      "the gradient alone takes it; a3 was off but gets a positive g, so deconvnet alone does.",
  },
  {
    name: "all three agree",
    numbers: [1, 2, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1],
    look:
      "Every unit is on and every g is positive, so no gate has a reason to close. Make any " +
      "weight into a1 negative enough and watch who notices.",
  },
  {
    name: "only deconvnet passes",
    numbers: [1, 2, -1, 0, 0, -1, -1, -1, 1, 0, 1, 0, 1, 1, 1, 1],
    look:
      "Every unit is off and the score is 0. Deconvnet does not ask which units were on: it " +
      "explains something that did not happen.",
  },
  {
    name: "guided keeps what the gradient cancels",
    numbers: [2, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 1, -1],
    look:
      "x1 reaches the score twice, as +x1 through a1 and as −x1 through a2, so a change of x1 changes " +
      "nothing: its gradient is 0. Guided closes the negative way at b2 and reports the other as if " +
      "it were alone.",
  },
  {
    name: "evidence against, which only the gradient tells",
    numbers: [1, 3, 1, 0, 0, 1, 0, 0, -1, 1, 0, 0, 0, 0, 1, 0],
    look:
      "y = b1 = a2 − a1: more x1 means a lower score. The negative g at a1 carries that message. " +
      "Deconvnet and guided stop it, and x1 looks as if it did not matter.",
  },
  {
    name: "a unit at exactly 0",
    numbers: [1, 1, 1, -1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 1, 1],
    look:
      "a1 = x1 − x2 is exactly 0, at the corner of the ReLU. Gradient and guided count it as off. " +
      "Make x1 a little larger and its gate opens: the gradient jumps while the score hardly moves.",
  },
];

/** The network of 16 numbers on the way up: sums before each ReLU, values after it, the score. */
export function ascend(numbers) {
  const rows = (from, units, width) =>
    Array.from({ length: units }, (_, i) => numbers.slice(from + i * width, from + (i + 1) * width));
  const x = numbers.slice(0, 2);
  const weights = [rows(2, 3, 2), rows(8, 2, 3), rows(14, 1, 2)];
  const times = (matrix, values) => matrix.map((w) => w.reduce((sum, v, j) => sum + v * values[j], 0));
  const rectify = (values) => values.map((v) => Math.max(0, v));
  const a = times(weights[0], x);
  const b = times(weights[1], rectify(a));
  const [score] = times(weights[2], rectify(b));
  return { x, weights, before: [a, b], after: [rectify(a), rectify(b)], score };
}

/**
 * The way down under a rule. For both layers of hidden units: `above`, the g that arrives;
 * `passed`, what goes on; `off` and `low`, whether the rule closed the gate since the unit was off
 * or since g is not positive. `relevance`: of the inputs.
 */
export function descend({ weights, before }, rule) {
  const { below: asksBelow, above: asksAbove } = RULES[rule];
  const back = (matrix, g) => matrix[0].map((_, j) => matrix.reduce((s, w, i) => s + w[j] * g[i], 0));
  const found = { above: [], passed: [], off: [], low: [] };
  let g = [1]; // the score's own
  for (const layer of [1, 0]) {
    const above = back(weights[layer + 1], g);
    const off = before[layer].map((v) => asksBelow && !(v > 0));
    const low = above.map((v) => asksAbove && !(v > 0));
    g = above.map((v, i) => (off[i] || low[i] ? 0 : v));
    Object.entries({ above, passed: g, off, low }).forEach(([name, v]) => (found[name][layer] = v));
  }
  return { ...found, relevance: back(weights[0], g) };
}

/** A number for the eye: two decimals, none from 100 on; a real minus, no minus zero. */
function plain(value) {
  const size = Math.abs(value);
  const far = size > 0 && (size < 0.005 || size >= 1e5);
  const text = far ? size.toExponential(0) : String(Number(size.toFixed(size < 100 ? 2 : 0)));
  return (value < 0 ? "−" : "") + text;
}

/** (2, −1) */
function pair(values) {
  return `(${values.map(plain).join(", ")})`;
}

/** An SVG element. */
function shape(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// where the units stand: the score above, the inputs below
const WIDTH = 252;
const BOX = [78, 36];
const ROWS = [
  { y: 232, names: INPUTS },
  { y: 158, names: UNITS[0] },
  { y: 84, names: UNITS[1] },
  { y: 10, names: ["y"] },
];

/** Middle of a unit's box. */
function middle(row, i) {
  return (WIDTH * (i + 0.5)) / ROWS[row].names.length;
}

/**
 * The network as a drawing. lines(row, i): two lines of text; kind(row, i): class of its box;
 * edge(row, i, j): class of the edge from unit i of a row to unit j of the row below.
 */
function drawing(said, lines, kind, edge) {
  const svg = shape("svg", {
    viewBox: `0 0 ${WIDTH} 278`, role: "img", "aria-label": said, class: "relviz-net",
  });
  for (let r = 3; r > 0; r--) {
    ROWS[r].names.forEach((_, i) =>
      ROWS[r - 1].names.forEach((_, j) => {
        const ends = { x1: middle(r, i), y1: ROWS[r].y + BOX[1], x2: middle(r - 1, j), y2: ROWS[r - 1].y };
        svg.append(shape("line", { ...ends, class: edge(r, i, j) }));
      }),
    );
  }
  ROWS.forEach(({ y, names }, r) =>
    names.forEach((_, i) => {
      const [first, second] = lines(r, i);
      const x = middle(r, i);
      // what is too long for its box is drawn closer together
      const tight = second.length > 12 ? { textLength: BOX[0] - 6, lengthAdjust: "spacingAndGlyphs" } : {};
      const rounded = r === 1 || r === 2 ? 3 : 16; // inputs and score have no gate
      svg.append(
        shape("rect", { x: x - BOX[0] / 2, y, width: BOX[0], height: BOX[1], rx: rounded, class: kind(r, i) }),
        shape("text", { x, y: y + 15 }, first),
        shape("text", { x, y: y + 29, ...tight }, second),
      );
    }),
  );
  return svg;
}

function render({ model, el }) {
  let numbers = model.get("numbers");
  let own = null; // what the reader has typed
  let ask = null; // the kernel
  let asked = 0; // a later question makes an earlier answer stale

  const named = () => PRESETS.findIndex((p) => p.numbers.every((v, i) => v === numbers[i]));
  const options = () => [
    ...PRESETS.map((p, i) => [i, p.name]),
    ...(own ? [["own", "your own numbers"]] : []),
  ];
  const presets = choice("Numbers", options(), 0, (value) =>
    take(value === "own" ? own : PRESETS[value].numbers),
  );
  const chance = button("Random numbers", () => {
    const any = (size) => Math.floor(Math.random() * (2 * size + 1)) - size;
    type(numbers.map((_, i) => any(i < 2 ? 3 : 2)));
  });
  const look = make("p", { className: "relviz-note" });
  const up = make("div");
  const down = make("div", { className: "relviz-trio" });
  const words = status();
  const checked = status();

  // one field for each number
  const names = [
    ...INPUTS,
    ...UNITS[0].flatMap((unit) => INPUTS.map((from) => `${from} → ${unit}`)),
    ...UNITS[1].flatMap((unit) => UNITS[0].map((from) => `${from} → ${unit}`)),
    ...UNITS[1].map((from) => `${from} → y`),
  ];
  const fields = names.map((name, i) =>
    number(name, { min: -99, max: 99, value: numbers[i] }, (value) =>
      type(numbers.map((v, k) => (k === i ? value : v))),
    ),
  );
  const group = (text, from, to, columns) => {
    const cells = make("div", { className: "relviz-cells" }, ...fields.slice(from, to).map((f) => f.node));
    cells.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 5rem))`;
    return make("fieldset", {}, make("legend", {}, text), cells);
  };
  const editor = make(
    "div",
    {},
    group("Inputs", 0, 2, 3),
    group("Weights of the units a", 2, 8, 2),
    group("Weights of the units b", 8, 14, 3),
    group("Weights of the score y", 14, 16, 3),
  );

  /** The way up: what every unit hears and whether it is on. */
  function forward(net) {
    const { x, before, after, score, weights } = net;
    const value = (r, i) => (r === 0 ? x[i] : after[r - 1][i]);
    const on = (r, i) => before[r - 1][i] > 0;
    const say = UNITS.flatMap((units, layer) =>
      units.map((unit, i) => `${unit} ${plain(before[layer][i])}, ${on(layer + 1, i) ? "on" : "off"}`),
    );
    return drawing(
      `The way up: inputs ${pair(x)}; ${say.join("; ")}; score ${plain(score)}`,
      (r, i) => {
        if (r === 0) return [INPUTS[i], plain(x[i])];
        if (r === 3) return ["score y", plain(score)];
        const [sum, rectified] = [before[r - 1][i], after[r - 1][i]].map(plain);
        return [`${UNITS[r - 1][i]} ${on(r, i) ? "✓ on" : "✕ off"}`, `${sum} → ${rectified}`];
      },
      (r, i) => (r === 1 || r === 2 ? (on(r, i) ? "open" : "closed") : ""),
      (r, i, j) => (weights[r - 1][i][j] * value(r - 1, j) ? "live" : "none"),
    );
  }

  /** Why a rule's gate is closed: nothing where it is open. */
  function reasons(way, layer, i) {
    return [
      ...(way.off[layer][i] ? ["x ≤ 0"] : []),
      ...(way.low[layer][i] ? ["g ≤ 0"] : []),
    ];
  }

  /** The way down under one rule: a drawing, and the same gate by gate in a table. */
  function backward(net, rule) {
    const way = descend(net, rule);
    const sent = (r, i) => (r === 3 ? 1 : way.passed[r - 1][i]);
    const arrives = (r, i, j) => net.weights[r - 1][i][j] * sent(r, i) !== 0;
    const gates = [1, 0].flatMap((layer) =>
      UNITS[layer].map((unit, i) => {
        const why = reasons(way, layer, i);
        const gate = why.length ? `✕ ${why.join(", ")}` : "✓ open";
        return [unit, plain(net.before[layer][i]), plain(way.above[layer][i]), gate, plain(way.passed[layer][i])];
      }),
    );
    const picture = drawing(
      `${rule}, the way down: ` +
        gates.map(([unit, , g, gate, on]) => `${unit} gets ${g}, ${gate.slice(2)}, sends ${on}`).join("; ") +
        `; relevance ${pair(way.relevance)}`,
      (r, i) => {
        if (r === 0) return [INPUTS[i], plain(way.relevance[i])];
        if (r === 3) return ["score y", "g = 1"];
        const closed = reasons(way, r - 1, i).length;
        const [above, passed] = [way.above[r - 1][i], way.passed[r - 1][i]].map(plain);
        return [`${UNITS[r - 1][i]} ${closed ? "✕ closed" : "✓ open"}`, `g ${above} → ${passed}`];
      },
      (r, i) => (r === 1 || r === 2 ? (reasons(way, r - 1, i).length ? "closed" : "open") : ""),
      (r, i, j) => (!arrives(r, i, j) ? "none" : r === 1 || sent(r - 1, j) ? "live" : "stopped"),
    );
    const head = ["Gate", "x", "g", "why", "sends"];
    const table = make(
      "table",
      { className: "relviz-table relviz-gates" },
      make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text))),
      ...gates.map(([unit, ...cells]) =>
        make("tr", {}, make("th", { scope: "row" }, unit), ...cells.map((text) => make("td", {}, text))),
      ),
    );
    const title = make("figcaption", {}, make("strong", {}, rule), `: ${RULES[rule].text}`);
    const result = make("p", {}, "Relevance ", make("strong", {}, pair(way.relevance)));
    return make("figure", { className: "relviz-rule" }, title, picture, result, table);
  }

  async function show() {
    const net = ascend(numbers);
    const ways = Object.keys(RULES).map((rule) => [rule, descend(net, rule).relevance]);
    const which = named();
    presets.options(options());
    presets.value = which < 0 ? "own" : which;
    look.textContent =
      which < 0
        ? "Your own numbers. Follow one weight: which gates does it open or close, and for which rule?"
        : PRESETS[which].look;
    up.replaceChildren(forward(net));
    down.replaceChildren(...Object.keys(RULES).map((rule) => backward(net, rule)));
    const said = ways.map(([rule, r]) => `${rule} ${pair(r)}`).join(", ");
    words.say(`Score ${plain(net.score)}. Relevance of (x1, x2): ${said}.`);
    if (!ask) return;
    const turn = ++asked;
    try {
      const { answer } = await ask({ ask: "relevance", numbers });
      if (turn === asked) checked.say(verdict(answer, net, ways));
    } catch (error) {
      if (turn === asked) checked.say(error.message);
    }
  }

  /** What the kernel's numbers say of this page's. */
  function verdict(answer, net, ways) {
    const pairs = [["score", [net.score], [answer.score]], ...ways.map(([rule, r]) => [rule, r, answer[rule]])];
    const off = pairs.map(([name, here, there]) => [
      name,
      Math.max(...here.map((v, i) => Math.abs(v - there[i]) / Math.max(1, Math.abs(v)))),
    ]);
    const [name, most] = off.reduce((a, b) => (b[1] > a[1] ? b : a));
    return most <= 1e-7
      ? "relviz.relevance agrees to 1e-7."
      : `relviz.relevance differs by ${most.toExponential(1)} in ${name}.`;
  }

  /** Numbers of the reader's own. */
  function type(values) {
    own = values;
    take(values);
  }

  function take(values) {
    numbers = [...values];
    model.set("numbers", numbers);
    model.save_changes();
    write();
    show();
  }

  /** Put the numbers into their fields, but not under the reader's fingers. */
  function write() {
    fields.forEach(({ control }, i) => {
      if (control === document.activeElement && control.valueAsNumber === numbers[i]) return;
      control.value = numbers[i];
      control.setAttribute("aria-invalid", "false");
    });
  }

  const key = make(
    "p",
    { className: "relviz-note" },
    "On the way down, thick lines carry g past an open gate, thin ones end at a closed gate, dotted " +
      "ones carry nothing. In the tables, x came from below on the way up, g comes from above.",
  );
  el.append(
    make(
      "section",
      { className: "relviz", "aria-label": "ReLU rules explorer" },
      row(presets.node, chance),
      look,
      make(
        "div",
        { className: "relviz-pair" },
        editor,
        make("figure", { className: "relviz-rule" }, make("figcaption", {}, "The way up: sum → after ReLU"), up),
      ),
      words.node,
      checked.node,
      key,
      down,
    ),
  );
  if (named() < 0) own = numbers;
  show();

  const hear = () => {
    if (model.get("numbers") === numbers) return; // it was typed here
    numbers = model.get("numbers");
    if (named() < 0) own = numbers;
    write();
    show();
  };
  model.on("change:numbers", hear);
  const end = whenKernel(model, (kernel) => {
    ask = kernel;
    show();
  });
  return () => {
    end();
    model.off("change:numbers", hear);
  };
}

export default { render };
