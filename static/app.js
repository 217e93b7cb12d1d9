// What pages need beyond htmx: dialogs that are modal, and a colour picker beside a text field. Everything works
// without this file too: a dialog is then a page of its own.
"use strict";

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id !== "dialog") return;
  const dialog = event.detail.target.querySelector("dialog");
  if (!dialog) return;
  const opener = document.activeElement;
  dialog.removeAttribute("open");
  dialog.showModal();
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (opener instanceof HTMLElement) opener.focus();
  });
  pickers(dialog);
});

document.addEventListener("click", (event) => {
  const closer = event.target instanceof Element ? event.target.closest("[data-close]") : null;
  const dialog = closer && closer.closest("dialog:modal");
  if (!dialog) return;
  event.preventDefault();
  dialog.close();
});

function pickers(root) {
  for (const picker of root.querySelectorAll("input[data-fills]")) {
    const field = root.querySelector(`#${picker.dataset.fills}`);
    picker.hidden = false;
    picker.addEventListener("input", () => { field.value = picker.value; });
    field.addEventListener("input", () => { if (/^#[0-9a-f]{6}$/i.test(field.value)) picker.value = field.value; });
  }
}

document.addEventListener("DOMContentLoaded", () => pickers(document));

// A part of a page that keeps itself current waits while somebody works in it by keyboard or has selected some of it.
const places = new Map();

document.addEventListener("htmx:beforeSwap", (event) => {
  const { target, elt } = event.detail;
  if (target.id === "dialog") return;
  const selection = document.getSelection();
  const isRead = selection && !selection.isCollapsed && target.contains(selection.anchorNode);
  if (elt === target && (isRead || target.querySelector(":focus-visible"))) event.detail.shouldSwap = false;
  places.clear();
  for (const region of regions(target)) places.set(region.getAttribute("aria-label"), region.scrollLeft);
});

document.addEventListener("htmx:afterSwap", (event) => {
  for (const region of regions(event.detail.target)) region.scrollLeft = places.get(region.getAttribute("aria-label")) || 0;
});

function regions(target) {
  return target.querySelectorAll(".scroll[aria-label]");
}

// Without an answer, what is shown is as it was; a dialog that cannot be had is asked for as a page, which says why.
for (const name of ["htmx:sendError", "htmx:responseError"]) {
  document.addEventListener(name, (event) => {
    if (event.detail.target.id === "dialog") location.href = event.detail.elt.href;
    else document.getElementById("stale").hidden = false;
  });
}
document.addEventListener("htmx:afterOnLoad", (event) => {
  if (event.detail.successful) document.getElementById("stale").hidden = true;
});
