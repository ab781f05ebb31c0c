"use strict";
// Buttons in the heads of tables sort their rows; without this script tables stand as they are.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  if (body.rows.length < 2) continue;
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1;
      const numeric = head.classList.contains("number");
      const value = (row) => {
        const cell = row.cells[place];
        if (!numeric) return cell.textContent;
        return cell.dataset.value ? Number(cell.dataset.value) : NaN;
      };
      const order = (one, other) => {
        const [first, second] = [value(one), value(other)];
        if (!numeric) return sign * first.localeCompare(second, undefined, { numeric: true });
        // What is no number stays below, in either order.
        if (Number.isNaN(first) || Number.isNaN(second)) return Number(Number.isNaN(first)) - Number(Number.isNaN(second));
        return sign * (first - second);
      };
      body.append(...[...body.rows].sort(order));
    });
  });
}
