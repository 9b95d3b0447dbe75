/** What a shared page looks like. No colour says what no word or mark says; on paper every step is open. */
export const pageStyle: string = `
body{font:14px/1.45 monospace;margin:1.5em auto;max-width:110em;padding:0 1em;color:#1f2328;background:#fff}
h1{font-size:1.3em}pre{white-space:pre-wrap;margin:.5em 0}ol{padding-left:3.5em}
summary{cursor:pointer}summary table{display:inline-table;border-spacing:0;table-layout:fixed;width:calc(100% - 2em)}
td{vertical-align:top;padding:0 .6em 0 0;overflow-wrap:anywhere}td:first-child{width:16em}td:nth-child(2){width:24em}td:nth-child(3){width:1.6em}
.bad summary{color:#a40e26;font-weight:bold}.good summary{color:#116329;font-weight:bold}
.js .r{display:none}.js.all .r{display:list-item}.js .off{display:none!important}
.now>details>summary{outline:2px solid #0969da}details pre{margin-left:1em;padding-left:1em;border-left:2px solid #d0d7de}
mark{font-weight:bold}svg{max-width:100%;height:auto}
@media print{.js .r{display:list-item}details>*{display:block}}
`;

/** Steps by ← and →, a filter, all steps or those that decided something. Works on what is in the page alone. */
export const pageScript: string = `
(() => {
  const body = document.body, rows = [...document.querySelectorAll("#steps>li")];
  const filter = document.getElementById("filter"), all = document.getElementById("all");
  let now;
  body.classList.add("js");
  document.getElementById("tools").hidden = false;
  const seen = () => rows.filter((row) => row.offsetParent !== null);
  const show = () => {
    const word = filter.value.toLowerCase();
    body.classList.toggle("all", all.checked || word !== "");
    for (const row of rows) row.classList.toggle("off", !row.textContent.toLowerCase().includes(word));
    document.getElementById("count").textContent = seen().length + " of " + rows.length + " steps";
  };
  const go = (by) => {
    const list = seen(), at = list.indexOf(now);
    const next = list[at < 0 ? (by > 0 ? 0 : list.length - 1) : at + by];
    if (next === undefined) return;
    if (now) { now.classList.remove("now"); now.firstChild.open = false; }
    now = next;
    now.classList.add("now");
    now.firstChild.open = true;
    now.scrollIntoView({ block: "nearest" });
  };
  filter.addEventListener("input", show);
  all.addEventListener("change", show);
  addEventListener("keydown", (event) => {
    if (event.target === filter) return;
    if (event.key === "ArrowRight") go(1);
    else if (event.key === "ArrowLeft") go(-1);
    else return;
    event.preventDefault();
  });
  show();
})();
`;
