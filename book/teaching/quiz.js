// Says at once whether an answer is right, and why; counts the first choices.
const asked = [...document.querySelectorAll("fieldset")];
const first = new Map();
for (const question of asked) {
  question.addEventListener("change", ({ target }) => {
    const right = target.dataset.correct === "true";
    const said = question.querySelector(".said");
    said.className = `said ${right ? "right" : "wrong"}`;
    said.innerHTML = `${right ? "Right." : "Not so."} ${target.dataset.feedback}`;
    if (!first.has(question)) first.set(question, right);
    const hits = [...first.values()].filter(Boolean).length;
    const score = document.getElementById("score");
    score.textContent = `${hits} of ${first.size} right at the first try, of ${asked.length} questions.`;
  });
}
