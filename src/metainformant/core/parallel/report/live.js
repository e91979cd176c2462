// Replaces the sections of the page by those that the run sends, and keeps open what was opened.
const status_ = document.getElementById("status");
const run_ = document.getElementById("run");

// The foldable parts, by the heading that they are below and their place there.
const foldable = () => {
  const found = new Map();
  let [head, place] = ["", 0];
  for (const element of run_.querySelectorAll("h2, details")) {
    if (element.tagName === "H2") [head, place] = [element.textContent, 0];
    else found.set(`${head} ${place++}`, element);
  }
  return found;
};

const show = (sections) => {
  const before = foldable();
  run_.innerHTML = sections;
  for (const [name, part] of foldable()) {
    if (before.has(name)) part.open = before.get(name).open;
  }
  makeSortable();
};

const source = new EventSource(`events${location.search}&version=${run_.dataset.version}`);
source.addEventListener("run", (event) => {
  show(event.data);
  status_.textContent = "The run goes on.";
});
source.addEventListener("end", (event) => {
  source.close();
  show(event.data);
  status_.textContent = "The run has ended. This page keeps its last state until you close it.";
});
source.addEventListener("error", () => {
  if (source.readyState === EventSource.CLOSED) return;
  source.close();
  status_.textContent = "The connection is lost: this is the last state that was seen.";
});
