// @ts-check
// Says at once whether an answer is right, and why; counts the first choices.
const asked = [...document.querySelectorAll("fieldset")];
/** @type {Map<HTMLFieldSetElement, boolean>} */
const first = new Map();
for (const question of asked) {
  question.addEventListener("change", (event) => {
    const target = /** @type {HTMLInputElement} */ (event.target);
    const right = target.dataset.correct === "true";
    const said = /** @type {HTMLElement} */ (question.querySelector(".said"));
    said.className = `said ${right ? "right" : "wrong"}`;
    said.innerHTML = `${right ? "Right." : "Not so."} ${target.dataset.feedback}`;
    /** @type {any} */ (window).MathJax?.typesetPromise?.([said]);
    if (!first.has(question)) first.set(question, right);
    const hits = [...first.values()].filter(Boolean).length;
    const score = /** @type {HTMLElement} */ (document.getElementById("score"));
    score.textContent = `${hits} of ${first.size} right at the first try, of ${asked.length} questions.`;
  });
}
