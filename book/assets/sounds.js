// @ts-check
// Sounds side by side: one gives way to another at the same moment, and what is short can go round.
// The vote of the front page. Without this script the browser's own players do all but the change.
const SAME = 0.01; // s: sounds of one length
const HINT = "Press X, A and B in turn: one takes over from the other at the same moment.";

/** What is heard now, that something else may stop it. @type {(() => void) | null} */
let hush = null;

/** @param {string} tag @param {Record<string, string>} attributes @param {(Node | string)[]} inside */
function element(tag, attributes = {}, ...inside) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...inside);
  return node;
}

/**
 * Sounds of one length that run together, sample by sample, and of which one is heard.
 * @param {HTMLAudioElement[]} players
 * @param {(heard: number, share: number) => void} told who is heard, -1 for none, and how far it is
 */
function together(players, told) {
  /** @type {AudioContext | undefined} */
  let context;
  /** @type {Promise<AudioBuffer[]> | undefined} */
  let decoded;
  /** @type {{source: AudioBufferSourceNode, gain: GainNode}[]} */
  let running = [];
  let [heard, began, rounds] = [-1, 0, true];

  function stop() {
    running.forEach(({ source }) => {
      source.onended = null;
      source.stop();
    });
    running = [];
    heard = -1;
    if (hush === stop) hush = null;
    told(-1, 0);
  }

  function follow() {
    if (heard < 0 || !context) return;
    const { duration } = /** @type {AudioBuffer} */ (running[0].source.buffer);
    told(heard, (Math.max(0, context.currentTime - began) / duration) % 1);
    requestAnimationFrame(follow);
  }

  /** @param {number} number @param {AudioBuffer[]} buffers */
  function begin(number, buffers) {
    const { currentTime, destination } = /** @type {AudioContext} */ (context);
    began = currentTime + 0.02;
    running = buffers.map((buffer) => {
      const source = new AudioBufferSourceNode(destination.context, { buffer, loop: rounds });
      const gain = new GainNode(destination.context, { gain: 0 });
      source.connect(gain).connect(destination);
      source.start(began);
      return { source, gain };
    });
    running[0].source.onended = stop;
    hush = stop;
    heard = number;
    follow();
  }

  return {
    stop,
    /** @param {boolean} wanted */
    loop(wanted) {
      rounds = wanted;
      running.forEach(({ source }) => (source.loop = wanted));
    },
    /** Hear one of them from where the others are; the one that is heard falls silent. @param {number} number */
    async toggle(number) {
      if (heard === number) return stop();
      const audio = (context ??= new AudioContext());
      audio.resume();
      decoded ??= Promise.all(
        players.map(async (player) => {
          const answer = await fetch(player.querySelector("source")?.src ?? player.src);
          return audio.decodeAudioData(await answer.arrayBuffer());
        }),
      );
      const buffers = await decoded;
      if (heard < 0) {
        hush?.();
        document.querySelectorAll("audio").forEach((other) => other.pause());
        begin(number, buffers);
      }
      heard = number;
      running.forEach(({ gain }, i) =>
        // a jump would click
        gain.gain.setTargetAtTime(Number(i === number), audio.currentTime, 0.004),
      );
      told(number, 0);
    },
  };
}

/**
 * Buttons that play, one for each sound, and a box for going round.
 * @param {HTMLAudioElement[]} players
 * @param {string[]} names
 * @param {(heard: number, share: number) => void} told
 */
function controls(players, names, told = () => {}) {
  const buttons = names.map((name) =>
    element("button", { type: "button", "aria-pressed": "false" }, name),
  );
  const sounds = together(players, (heard, share) => {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(i === heard)));
    told(heard, share);
  });
  buttons.forEach((button, i) => (button.onclick = () => sounds.toggle(i)));
  const box = /** @type {HTMLInputElement} */ (element("input", { type: "checkbox" }));
  box.checked = true;
  box.onchange = () => sounds.loop(box.checked);
  return { buttons, loop: element("label", {}, box, " loop") };
}

/** Where a cell shows several sounds of one length, let one give way to another. @param {Element} cell */
function compare(cell) {
  const players = [...cell.querySelectorAll("audio")];
  const figures = players.map((player) => player.closest("figure"));
  const seconds = figures.map((figure) => Number(figure?.dataset.seconds));
  if (players.length < 2 || !seconds.every((s) => Math.abs(s - seconds[0]) < SAME)) return;
  const names = figures.map((figure) => figure?.dataset.name ?? "");
  const { buttons, loop } = controls(players, names);
  const label = "Change from one to another at the same moment";
  const group = element("div", { class: "relviz-compare", role: "group", "aria-label": label });
  group.append(element("span", {}, "One against another: "), ...buttons, loop);
  cell.prepend(group);
}

/**
 * The vote: which of two is the trained network's is drawn anew for each visit.
 * @param {HTMLElement} vote
 */
function hold(vote) {
  /** @param {string} role */
  const figure = (role) => /** @type {HTMLElement} */ (vote.querySelector(`[data-role="${role}"]`));
  const two = ["untrained", "trained"].map(figure);
  if (Math.random() < 0.5) two.reverse();
  const three = [figure("recording"), ...two];
  const letters = ["X", "A", "B"];
  three[0].parentElement?.append(...three);
  const players = three.map(
    (each) => /** @type {HTMLAudioElement} */ (each.querySelector("audio")),
  );
  const seconds = three[0].querySelector("figure")?.dataset.seconds;
  const names = ["X: speech", "A", "B"];
  const { buttons, loop } = controls(players, names, (_, share) => {
    for (const each of three) each.style.setProperty("--share", String(share));
  });
  three.forEach((each, i) => {
    const picture = /** @type {HTMLImageElement} */ (each.querySelector("img"));
    picture.alt = picture.alt.replace(/^[AB]\./, `${letters[i]}.`);
    players[i].hidden = true;
    each.querySelector("figcaption")?.replaceChildren(buttons[i]);
  });
  const answer = /** @type {HTMLElement} */ (vote.querySelector("details"));
  const said = element("p", { role: "status", class: "relviz-said" }, HINT);
  const truth = letters[three.indexOf(figure("trained"))];
  const choices = ["A does", "B does", "I cannot tell"].map((text) =>
    element("button", { type: "button" }, text),
  );
  choices.forEach((button, i) => {
    button.onclick = () => {
      const right = letters[i + 1] === truth;
      const verdict = i === 2 ? "" : right ? "Right: " : "No: ";
      said.textContent = `${verdict}${truth} is the trained network. ${vote.dataset.answer}`;
    };
  });
  const length = element("span", {}, `${Number(seconds).toFixed(1)} s`);
  const row = element("div", { class: "relviz-compare", role: "group", "aria-label": "Your vote" });
  row.append(element("strong", {}, "Which one knows speech?"), ...choices, loop, length);
  answer.replaceWith(row, said);
}

/** Tell screen readers where the words of a cell's sounds stand: below it. @param {Element} cell @param {number} number */
function describe(cell, number) {
  const words = cell.closest(".cell")?.nextElementSibling;
  if (!words?.matches(".relviz-heard")) return;
  words.id ||= `relviz-heard-${number}`;
  cell.querySelectorAll("audio").forEach((each) => each.setAttribute("aria-details", words.id));
}

addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".cell_output").forEach(describe);
  document.querySelectorAll(".cell_output").forEach((cell) => {
    const vote = /** @type {HTMLElement | null} */ (cell.querySelector(".relviz-vote"));
    if (vote) hold(vote);
    else compare(cell);
  });
});

// one sound at a time
document.addEventListener(
  "play",
  ({ target }) => {
    hush?.();
    document.querySelectorAll("audio").forEach((other) => other !== target && other.pause());
  },
  true,
);
