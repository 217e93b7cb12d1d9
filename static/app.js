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
