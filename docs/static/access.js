// What the theme leaves out for keyboards and screen readers: wide tables can be reached and scrolled, and a label says what is written.
"use strict";
window.addEventListener("load", () => {
  for (const box of document.querySelectorAll("article table, article pre, .cell_output .output, div.math")) {
    if (box.scrollWidth > box.clientWidth) box.setAttribute("tabindex", "0");
  }
  for (const named of document.querySelectorAll("summary[aria-label], button.search-button-field[aria-label]")) named.removeAttribute("aria-label");
});
for (const head of document.querySelectorAll("article th")) {  // before MathJax draws, which leaves no text
  if (head.querySelector(".math")) head.insertAdjacentHTML("beforeend", `<span class="unseen">${head.textContent.replace(/\\[()]/g, "")}</span>`);
  else if (!head.textContent.trim()) head.innerHTML = '<span class="unseen">number</span>';
}
