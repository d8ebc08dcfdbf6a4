// @ts-check
// The ReLU explorer: see relu.py. Units: inputs x1 and x2, hidden a1 to a3 and b1, b2, the score y.
import { button, captioned, choice, make, number, row, status, whenKernel } from "./common.js";

/**
 * @import { Ask, Model } from "./common.js"
 * @typedef {ReturnType<typeof ascend>} Net
 * @typedef {ReturnType<typeof descend>} Way
 * @typedef {keyof typeof RULES} Rule
 */

const CAPTION =
  "A network of six units, once forwards and three times backwards, by three rules. Change a number, and see which gates close and which of the rules notice.";
const RULES = {
  gradient: { text: "g where x > 0", below: true, above: false },
  deconvnet: { text: "g where g > 0", below: false, above: true },
  guided: { text: "g where x > 0, g > 0", below: true, above: true },
};
const RULE_NAMES = /** @type {Rule[]} */ (Object.keys(RULES));
const INPUTS = ["x1", "x2"];
const UNITS = [
  ["a1", "a2", "a3"],
  ["b1", "b2"],
];

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

const OWN_NUMBERS = ["own", "your own numbers"];
const LOOK_AT_YOUR_OWN =
  "Your own numbers. Follow one weight: which gates does it open or close, and for which rule?";
const KEY =
  "On the way down, thick lines carry g past an open gate, thin ones end at a closed gate, dotted " +
  "ones carry nothing. In the tables, x came from below on the way up, g comes from above.";

/** What each of the numbers is. */
const NUMBERS = [
  ...INPUTS,
  ...UNITS[0].flatMap((unit) => INPUTS.map((from) => `${from} → ${unit}`)),
  ...UNITS[1].flatMap((unit) => UNITS[0].map((from) => `${from} → ${unit}`)),
  ...UNITS[1].map((from) => `${from} → y`),
];

/**
 * Products of the rows of a matrix with values.
 * @param {number[][]} matrix
 * @param {number[]} values
 */
function times(matrix, values) {
  return matrix.map((w) => w.reduce((sum, v, j) => sum + v * values[j], 0));
}

/**
 * The network of 16 numbers on the way up: sums before each ReLU, values after it, the score.
 * @param {number[]} numbers
 */
export function ascend(numbers) {
  /** @param {number} from @param {number} units @param {number} width */
  const rows = (from, units, width) =>
    Array.from({ length: units }, (_, i) =>
      numbers.slice(from + i * width, from + (i + 1) * width),
    );
  const x = numbers.slice(0, 2);
  const weights = [rows(2, 3, 2), rows(8, 2, 3), rows(14, 1, 2)];
  /** @param {number[]} values */
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
 * @param {Pick<Net, "weights" | "before">} net
 * @param {Rule} rule
 */
export function descend({ weights, before }, rule) {
  const { below: asksBelow, above: asksAbove } = RULES[rule];
  /** @param {number[][]} matrix @param {number[]} g */
  const back = (matrix, g) =>
    matrix[0].map((_, j) => matrix.reduce((sum, w, i) => sum + w[j] * g[i], 0));
  /** @type {{above: number[][], passed: number[][], off: boolean[][], low: boolean[][]}} */
  const found = { above: [], passed: [], off: [], low: [] };
  let g = [1]; // the score's own
  for (const layer of [1, 0]) {
    const above = back(weights[layer + 1], g);
    const off = before[layer].map((v) => asksBelow && !(v > 0));
    const low = above.map((v) => asksAbove && !(v > 0));
    g = above.map((v, i) => (off[i] || low[i] ? 0 : v));
    [found.above[layer], found.passed[layer]] = [above, g];
    [found.off[layer], found.low[layer]] = [off, low];
  }
  return { ...found, relevance: back(weights[0], g) };
}

/**
 * A number for the eye: two decimals, none from 100 on; a real minus, no minus zero.
 * @param {number} value
 */
export function plain(value) {
  const size = Math.abs(value);
  const far = size > 0 && (size < 0.005 || size >= 1e5);
  const text = far ? size.toExponential(0) : String(Number(size.toFixed(size < 100 ? 2 : 0)));
  return (value < 0 ? "−" : "") + text;
}

/**
 * (2, −1)
 * @param {number[]} values
 */
function pair(values) {
  return `(${values.map(plain).join(", ")})`;
}

/**
 * An SVG element.
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} children
 */
function shape(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
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

/**
 * Whether the units of a row have gates: inputs and score have none.
 * @param {number} row
 */
function gated(row) {
  return row === 1 || row === 2;
}

/**
 * Middle of a unit's box.
 * @param {number} row
 * @param {number} i
 */
function middle(row, i) {
  return (WIDTH * (i + 0.5)) / ROWS[row].names.length;
}

/**
 * The network as a drawing. lines(row, i): two lines of text; kind(row, i): class of its box;
 * edge(row, i, j): class of the edge from unit i of a row to unit j of the row below.
 * @param {string} said
 * @param {(row: number, i: number) => [string, string]} lines
 * @param {(row: number, i: number) => string} kind
 * @param {(row: number, i: number, j: number) => string} edge
 */
function drawing(said, lines, kind, edge) {
  const svg = shape("svg", {
    viewBox: `0 0 ${WIDTH} 278`,
    role: "img",
    "aria-label": said,
    class: "relviz-net",
  });
  for (let r = 3; r > 0; r--) {
    ROWS[r].names.forEach((_, i) =>
      ROWS[r - 1].names.forEach((_, j) => {
        const ends = {
          x1: middle(r, i),
          y1: ROWS[r].y + BOX[1],
          x2: middle(r - 1, j),
          y2: ROWS[r - 1].y,
        };
        svg.append(shape("line", { ...ends, class: edge(r, i, j) }));
      }),
    );
  }
  ROWS.forEach(({ y, names }, r) =>
    names.forEach((_, i) => {
      const [first, second] = lines(r, i);
      const x = middle(r, i);
      // what is too long for its box is drawn closer together
      /** @type {Record<string, string | number>} */
      const tight =
        second.length > 12 ? { textLength: BOX[0] - 6, lengthAdjust: "spacingAndGlyphs" } : {};
      const rounded = gated(r) ? 3 : 16;
      svg.append(
        shape("rect", {
          x: x - BOX[0] / 2,
          y,
          width: BOX[0],
          height: BOX[1],
          rx: rounded,
          class: kind(r, i),
        }),
        shape("text", { x, y: y + 15 }, first),
        shape("text", { x, y: y + 29, ...tight }, second),
      );
    }),
  );
  return svg;
}

/**
 * The way up: what every unit hears and whether it is on.
 * @param {Net} net
 */
function forward({ x, before, after, score, weights }) {
  /** @param {number} r @param {number} i */
  const value = (r, i) => (r === 0 ? x[i] : after[r - 1][i]);
  /** @param {number} r @param {number} i */
  const on = (r, i) => before[r - 1][i] > 0;
  const say = UNITS.flatMap((units, layer) =>
    units.map(
      (unit, i) => `${unit} ${plain(before[layer][i])}, ${on(layer + 1, i) ? "on" : "off"}`,
    ),
  );
  return drawing(
    `The way up: inputs ${pair(x)}; ${say.join("; ")}; score ${plain(score)}`,
    (r, i) => {
      if (r === 0) return [INPUTS[i], plain(x[i])];
      if (r === 3) return ["score y", plain(score)];
      const [sum, rectified] = [before[r - 1][i], after[r - 1][i]].map(plain);
      return [`${UNITS[r - 1][i]} ${on(r, i) ? "✓ on" : "✕ off"}`, `${sum} → ${rectified}`];
    },
    (r, i) => (gated(r) ? (on(r, i) ? "open" : "closed") : ""),
    (r, i, j) => (weights[r - 1][i][j] * value(r - 1, j) ? "live" : "none"),
  );
}

/**
 * Why a rule's gate is closed: nothing where it is open.
 * @param {Way} way
 * @param {number} layer
 * @param {number} i
 */
function reasons(way, layer, i) {
  return [...(way.off[layer][i] ? ["x ≤ 0"] : []), ...(way.low[layer][i] ? ["g ≤ 0"] : [])];
}

/**
 * Gate by gate from above: unit, x, the g that arrives, what the gate does and why, what goes on.
 * @param {Net} net
 * @param {Way} way
 */
function gatesOf(net, way) {
  return [1, 0].flatMap((layer) =>
    UNITS[layer].map((unit, i) => {
      const why = reasons(way, layer, i);
      const gate = why.length ? `✕ ${why.join(", ")}` : "✓ open";
      const [x, above, passed] = [net.before, way.above, way.passed].map((v) => plain(v[layer][i]));
      return [unit, x, above, gate, passed];
    }),
  );
}

/**
 * The way down under a rule as a drawing.
 * @param {Net} net
 * @param {Way} way
 * @param {string} said
 */
function downward(net, way, said) {
  /** @param {number} r @param {number} i */
  const sent = (r, i) => (r === 3 ? 1 : way.passed[r - 1][i]);
  /** @param {number} r @param {number} i @param {number} j */
  const arrives = (r, i, j) => net.weights[r - 1][i][j] * sent(r, i) !== 0;
  return drawing(
    said,
    (r, i) => {
      if (r === 0) return [INPUTS[i], plain(way.relevance[i])];
      if (r === 3) return ["score y", "g = 1"];
      const closed = reasons(way, r - 1, i).length;
      const [above, passed] = [way.above[r - 1][i], way.passed[r - 1][i]].map(plain);
      return [`${UNITS[r - 1][i]} ${closed ? "✕ closed" : "✓ open"}`, `g ${above} → ${passed}`];
    },
    (r, i) => (gated(r) ? (reasons(way, r - 1, i).length ? "closed" : "open") : ""),
    (r, i, j) => (!arrives(r, i, j) ? "none" : r === 1 || sent(r - 1, j) ? "live" : "stopped"),
  );
}

/**
 * The gates as a table.
 * @param {string[][]} gates
 */
function gateTable(gates) {
  const head = ["Gate", "x", "g", "why", "sends"];
  return make(
    "table",
    { className: "relviz-table relviz-gates" },
    make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text))),
    ...gates.map(([unit, ...cells]) =>
      make(
        "tr",
        {},
        make("th", { scope: "row" }, unit),
        ...cells.map((text) => make("td", {}, text)),
      ),
    ),
  );
}

/**
 * The way down under one rule: a drawing, and the same gate by gate in a table.
 * @param {Net} net
 * @param {Rule} rule
 */
function backward(net, rule) {
  const way = descend(net, rule);
  const gates = gatesOf(net, way);
  const each = gates.map(
    ([unit, , g, gate, on]) => `${unit} gets ${g}, ${gate.slice(2)}, sends ${on}`,
  );
  const said = `${rule}, the way down: ${each.join("; ")}; relevance ${pair(way.relevance)}`;
  const title = make("figcaption", {}, make("strong", {}, rule), `: ${RULES[rule].text}`);
  const result = make("p", {}, "Relevance ", make("strong", {}, pair(way.relevance)));
  const picture = downward(net, way, said);
  return make("figure", { className: "relviz-rule" }, title, picture, result, gateTable(gates));
}

/**
 * What the kernel's numbers say of this page's.
 * @param {Record<string, any>} answer
 * @param {number} score
 * @param {{name: string, values: number[]}[]} found relevance by each rule
 */
export function verdict(answer, score, found) {
  const own = [{ name: "score", values: [score] }, ...found];
  const off = own.map(({ name, values }) => {
    const there = [answer[name]].flat();
    const parts = values.map((v, i) => Math.abs(v - there[i]) / Math.max(1, Math.abs(v)));
    return { name, most: Math.max(...parts) };
  });
  const { name, most } = off.reduce((a, b) => (b.most > a.most ? b : a));
  return most <= 1e-7
    ? "relviz.relevance agrees to 1e-7."
    : `relviz.relevance differs by ${most.toExponential(1)} in ${name}.`;
}

/**
 * The fields of the numbers in groups.
 * @param {{node: Node}[]} fields
 */
function editor(fields) {
  /** @param {string} text @param {number} from @param {number} to @param {number} columns */
  const group = (text, from, to, columns) => {
    const nodes = fields.slice(from, to).map((f) => f.node);
    const cells = make("div", { className: "relviz-cells" }, ...nodes);
    cells.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 5rem))`;
    return make("fieldset", {}, make("legend", {}, text), cells);
  };
  return make(
    "div",
    {},
    group("Inputs", 0, 2, 3),
    group("Weights of the units a", 2, 8, 2),
    group("Weights of the units b", 8, 14, 3),
    group("Weights of the score y", 14, 16, 3),
  );
}

/** The explorer: its numbers, its controls, and what follows from the numbers. */
class ReluExplorer {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    /** @type {number[]} */
    this.numbers = model.get("numbers");
    /** @type {number[] | null} what the reader has typed */
    this.own = this.named() < 0 ? this.numbers : null;
    /** @type {Ask | null} the kernel */
    this.ask = null;
    this.asked = 0; // a later question makes an earlier answer stale
    this.presets = choice("Numbers", this.options(), 0, (value) => {
      this.take(value === "own" && this.own ? this.own : PRESETS[Number(value)].numbers);
    });
    this.look = make("p", { className: "relviz-note" });
    this.up = make("div");
    this.down = make("div", { className: "relviz-trio" });
    this.words = status();
    this.checked = status();
    this.fields = NUMBERS.map((name, i) =>
      number(name, { min: -99, max: 99, value: this.numbers[i] }, (value) =>
        this.type(this.numbers.map((v, k) => (k === i ? value : v))),
      ),
    );
  }

  /** Which preset the numbers are; -1 for none. */
  named() {
    return PRESETS.findIndex((p) => p.numbers.every((v, i) => v === this.numbers[i]));
  }

  /** What can be chosen. */
  options() {
    return [...PRESETS.map((p, i) => [i, p.name]), ...(this.own ? [OWN_NUMBERS] : [])];
  }

  /** All of it. */
  section() {
    const chance = button("Random numbers", () => {
      /** @param {number} size */
      const any = (size) => Math.floor(Math.random() * (2 * size + 1)) - size;
      this.type(this.numbers.map((_, i) => any(i < 2 ? 3 : 2)));
    });
    const caption = make("figcaption", {}, "The way up: sum → after ReLU");
    return captioned(
      "ReLU rules explorer",
      CAPTION,
      row(this.presets.node, chance),
      this.look,
      make(
        "div",
        { className: "relviz-pair" },
        editor(this.fields),
        make("figure", { className: "relviz-rule" }, caption, this.up),
      ),
      this.words.node,
      this.checked.node,
      make("p", { className: "relviz-note" }, KEY),
      this.down,
    );
  }

  /** Show what follows from the numbers, and ask the kernel whether it agrees. */
  async show() {
    const net = ascend(this.numbers);
    const found = RULE_NAMES.map((rule) => ({
      name: rule,
      values: descend(net, rule).relevance,
    }));
    const which = this.named();
    this.presets.options(this.options());
    this.presets.value = which < 0 ? "own" : String(which);
    this.look.textContent = which < 0 ? LOOK_AT_YOUR_OWN : PRESETS[which].look;
    this.up.replaceChildren(forward(net));
    this.down.replaceChildren(...RULE_NAMES.map((rule) => backward(net, rule)));
    const said = found.map(({ name, values }) => `${name} ${pair(values)}`).join(", ");
    this.words.say(`Score ${plain(net.score)}. Relevance of (x1, x2): ${said}.`);
    if (!this.ask) return;
    const turn = ++this.asked;
    try {
      const { answer } = await this.ask({ ask: "relevance", numbers: this.numbers });
      if (turn === this.asked) this.checked.say(verdict(answer, net.score, found));
    } catch (error) {
      if (turn === this.asked) this.checked.say(/** @type {Error} */ (error).message);
    }
  }

  /**
   * Numbers of the reader's own.
   * @param {number[]} values
   */
  type(values) {
    this.own = values;
    this.take(values);
  }

  /** @param {number[]} values */
  take(values) {
    this.numbers = [...values];
    this.model.set("numbers", this.numbers);
    this.model.save_changes();
    this.write();
    this.show();
  }

  /** Follow the model, where it was not changed here. */
  follow() {
    if (this.model.get("numbers") === this.numbers) return;
    this.numbers = this.model.get("numbers");
    if (this.named() < 0) this.own = this.numbers;
    this.write();
    this.show();
  }

  /** Put the numbers into their fields, but not under the reader's fingers. */
  write() {
    this.fields.forEach(({ control }, i) => {
      const typed = control === document.activeElement;
      if (typed && control.valueAsNumber === this.numbers[i]) return;
      control.value = String(this.numbers[i]);
      control.setAttribute("aria-invalid", "false");
    });
  }
}

/** @param {{model: Model, el: HTMLElement}} view */
function render({ model, el }) {
  const explorer = new ReluExplorer(model);
  el.append(explorer.section());
  explorer.show();
  const hear = () => explorer.follow();
  model.on("change:numbers", hear);
  const end = whenKernel(model, (kernel) => {
    explorer.ask = kernel;
    explorer.show();
  });
  return () => {
    end();
    model.off("change:numbers", hear);
  };
}

export default { render };
