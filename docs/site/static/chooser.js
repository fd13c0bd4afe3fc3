// Turns the table of "Which method?" into questions. Without this script the table and the sections are all there.
document.addEventListener("DOMContentLoaded", () => {
  const page = document.getElementById("which-method");
  const table = page && page.querySelector("table");
  if (!table) return;

  const rows = [...table.tBodies[0].rows].map((row) => ({
    have: row.cells[0].textContent.trim(),
    detail: row.cells[1].textContent.trim(),
    section: document.getElementById(row.cells[2].querySelector("a").hash.slice(1)),
  }));
  const chooser = document.createElement("div");
  chooser.className = "chooser";
  const place = table.closest(".table-wrapper") || table;
  place.before(chooser);

  // Asks with one button an answer; the questions below it start anew.
  function ask(question, answers, chosen) {
    const group = document.createElement("fieldset");
    const legend = document.createElement("legend");
    legend.textContent = question;
    group.append(legend);
    for (const answer of answers) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = answer;
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => {
        for (const other of group.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
        while (group.nextSibling) group.nextSibling.remove();
        chosen(answer);
      });
      group.append(button);
    }
    chooser.append(group);
  }

  function show({ section }) {
    const answer = document.createElement("div");
    answer.className = "chooser-answer";
    answer.setAttribute("role", "status");
    for (const part of section.children) answer.append(part.cloneNode(true));
    for (const part of answer.querySelectorAll("[id]")) part.removeAttribute("id");
    chooser.append(answer);
  }

  ask("What do you have?", [...new Set(rows.map((row) => row.have))], (have) => {
    const matching = rows.filter((row) => row.have === have);
    if (matching.length === 1) return show(matching[0]);
    ask("And what else?", matching.map((row) => row.detail), (detail) => {
      show(matching.find((row) => row.detail === detail));
    });
  });

  const all = document.createElement("p");
  all.className = "chooser-all";
  all.textContent = "All questions and answers at once:";
  place.before(all);
});
