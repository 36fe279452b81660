// Links open the sections that contain their targets, long tables become sortable when opened, buttons copy and download.
const read = id => JSON.parse(document.getElementById(id).textContent);
const TYPES = { CSV: "text/csv", JSON: "application/json", Markdown: "text/markdown", LaTeX: "text/x-tex" };
const SUFFIXES = { CSV: "csv", JSON: "json", Markdown: "md", LaTeX: "tex" };

async function sortable(within) {
  const tables = [...within.querySelectorAll("table.sortable:not(.dataTable)")];
  if (!tables.length) return;
  const { jQuery } = await import(DATATABLES);
  for (const table of tables.filter(one => !one.classList.contains("dataTable"))) {
    jQuery(table).DataTable({
      paging: false, info: false, autoWidth: false, order: [],
      layout: { topStart: "search", topEnd: null, bottomStart: null, bottomEnd: null },
      language: { search: "Filter" },
    });
  }
}

async function show(id) {
  const place = id && document.getElementById(decodeURIComponent(id));
  if (!place) return;
  for (let up = place.closest("details"); up; up = up.parentElement.closest("details")) {
    up.open = true;
    await sortable(up);
  }
  place.scrollIntoView();
  document.querySelector(".shown")?.classList.remove("shown");
  (place.closest("tr, tbody, h2, h3") ?? place).classList.add("shown");
}

function csv({ columns, data }) {
  const field = value => /[",\n]/.test(value ?? "") ? `"${String(value).replaceAll('"', '""')}"` : value ?? "";
  return [columns, ...data].map(line => line.map(field).join(",")).join("\n") + "\n";
}

const records = ({ columns, data }) => data.map(line => Object.fromEntries(line.map((value, at) => [columns[at], value])));

function text(name, form) {
  if (name === "verdicts" && form === "JSON") return document.getElementById("data-verdicts").textContent;
  if (name === "verdicts") {
    const numbers = read("data-verdicts").numbers, columns = Object.keys(numbers[0] ?? {});
    return csv({ columns, data: numbers.map(one => columns.map(key => Array.isArray(one[key]) ? one[key].join(" ") : one[key])) });
  }
  const numbers = read("data-numbers"), own = numbers.data.filter(line => name === "numbers" || line[0] === name);
  if (form === "JSON") return JSON.stringify(records({ ...numbers, data: own }), null, 1) + "\n";
  return form === "CSV" && own.length ? csv({ ...numbers, data: own }) : read("data-copies")[name][form];
}

function save(name, url) {
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
}

async function copy(content) {
  try { await navigator.clipboard.writeText(content); } catch {
    const area = Object.assign(document.createElement("textarea"), { value: content });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

document.addEventListener("click", async event => {
  const link = event.target.closest('a[href^="#"]');
  if (link && !link.classList.contains("skip")) {
    event.preventDefault();
    history.pushState(null, "", link.hash);
    await show(link.hash.slice(1));
  }
  const { copy: copied, save: saved, picture, form } = event.target.dataset;
  if (copied) {
    await copy(text(copied, form));
    event.target.textContent = `Copied ${form}`;
  }
  if (saved) {
    const url = URL.createObjectURL(new Blob([text(saved, form)], { type: TYPES[form] }));
    save(`${saved}.${SUFFIXES[form]}`, url);
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
  if (picture) {
    const { src } = document.querySelector(`article:has(#${picture}) img`);
    save(`${picture}.${src.startsWith("data:image/svg") ? "svg" : "png"}`, src);
  }
});
document.addEventListener("toggle", event => event.target.open && sortable(event.target), true);
document.addEventListener("change", event => {
  if (event.target.name !== "data") return;
  for (const one of document.querySelectorAll(".picture")) {
    one.hidden = event.target.value && one.dataset.set !== event.target.value;
  }
});
for (const filter of document.querySelectorAll(".filter")) filter.hidden = false;
addEventListener("popstate", () => show(location.hash.slice(1)));
addEventListener("hashchange", () => show(location.hash.slice(1)));
await show(location.hash.slice(1));
document.documentElement.dataset.ready = "true";
