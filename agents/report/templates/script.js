(() => {
  "use strict";
  const root = document.documentElement;
  const choice = document.querySelector(".theme");
  const KEY = "belltower-theme";
  // A page opened from a file may have no storage: the choice then lasts as long as the page.
  const remembered = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const remember = (theme) => { try { localStorage.setItem(KEY, theme); } catch { /* see above */ } };
  const show = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme; else delete root.dataset.theme;
  };
  choice.hidden = false;
  const start = new URLSearchParams(location.search).get("theme") || remembered();
  const known = start && choice.querySelector(`input[value="${CSS.escape(start)}"]`);
  if (known) { known.checked = true; show(start); }
  choice.addEventListener("change", (event) => { show(event.target.value); remember(event.target.value); });
  const reveal = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
  reveal();
})();
