// Sorts a table by the column whose head is clicked. Without it the page has everything.
const makeSortable = () => document.querySelectorAll("table.sort").forEach((table) => {
  table.querySelectorAll("th").forEach((head, column) => {
    const button = document.createElement("button");
    let ascending = false;
    button.textContent = head.textContent;
    button.title = "sort";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      ascending = !ascending;
      const body = table.tBodies[0];
      const value = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent;
      const rows = [...body.rows].sort((one, other) => {
        const [x, y] = [value(one), value(other)];
        const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
        return ascending ? order : -order;
      });
      body.append(...rows);
    });
  });
});
makeSortable();
