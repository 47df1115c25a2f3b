// Tokens: each coloured by how far two models are apart there, with what all of them would have said on hover, focus or tap.

import { byId, columns, drawn, element, figure, kindOf, nameOf, percent } from "./elements.js";

let heat = [];

/** Set the steps of colour, weakest first, and draw what they mean. */
export function setHeat(steps) {
  heat = steps;
  const words = steps.map((step, level) =>
    element("span", { className: `t t${level}` }, `${step.words} `, element("small", {}, level ? `from ${step.from}` : `under ${steps[1].from}`)));
  const other = nameOf(measured("prompted", Object.fromEntries(columns.map((column) => [column.key, 0]))));
  byId("legend").replaceChildren(
    `Distance from the prompted model at each token, in nats (under the prompted answer: that of ${other}): `,
    ...words.flatMap((word) => [word, " "]), "■ is the end of the turn.");
}

/** Whose divergence colours a column, of those that are measured: the prompted one is the reference. */
export const measured = (column, nats) => (column !== "prompted" ? column : "baked" in nats ? "baked" : "base");

/** One token as an element; none where it has no text. */
export function tokenElement(piece, isEnd) {
  if (!piece.text && !isEnd) return null;
  const nats = piece.nats[measured(piece.column, piece.nats)] ?? 0;
  const level = heat.filter((step, number) => number && nats >= step.from).length;
  const made = element("span", { className: `t t${level}`, tabIndex: -1 }, piece.text || element("span", { className: "end" }, "■"));
  made.piece = piece;
  return made;
}

function readers(piece) {
  const all = Object.keys(piece.likeliest).map((reader) => {
    const likely = piece.likeliest[reader];
    const own = likely.some(([text]) => text === piece.shown) ? [] : [[piece.shown, piece.probability[reader]]];
    const items = [...likely, ...own].map(([text, share]) =>
      element("li", { className: text === piece.shown ? "this" : "" }, element("code", {}, drawn(text)), element("span", {}, percent(share))));
    const nats = reader === "prompted" ? "the reference" : `${figure(piece.nats[reader] ?? 0)} nats away`;
    return element("div", { className: kindOf(reader) }, element("h4", {}, nameOf(reader)), element("p", { className: "nats" }, nats), element("ol", {}, ...items));
  });
  const made = element("div", { className: "readers" }, ...all);
  byId("token").style.setProperty("--readers", all.length);
  return made;
}

let shown = null;

export function hideToken() {
  shown?.classList.remove("shown");
  shown?.removeAttribute("aria-describedby");
  shown = null;
  byId("token").hidden = true;
}

function showToken(target) {
  if (shown === target) return;
  hideToken();
  shown = target;
  target.classList.add("shown");
  target.setAttribute("aria-describedby", "token");
  const box = byId("token"), piece = target.piece;
  box.replaceChildren(element("h3", {}, "At ", element("code", {}, drawn(piece.shown)), ", what each model would have said:"), readers(piece));
  box.hidden = false;
  placeToken();
}

function placeToken() {
  if (!shown) return;
  const box = byId("token");
  const at = shown.getBoundingClientRect(), own = box.getBoundingClientRect();
  box.style.left = `${Math.max(8, Math.min(at.left, innerWidth - own.width - 8))}px`;
  const below = at.bottom + 8;
  box.style.top = `${below + own.height < innerHeight ? below : Math.max(8, at.top - own.height - 8)}px`;
}

/** Arrow keys go from token to token; an answer is one stop of the tab key. */
function move(event) {
  const token = event.target.closest?.(".text .t");
  if (!token) return;
  const all = [...token.parentElement.querySelectorAll(":scope > .t")], at = all.indexOf(token);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to === undefined || !all[to]) return;
  event.preventDefault();
  token.tabIndex = -1;
  all[to].tabIndex = 0;
  all[to].focus();
}

export function listenForTokens() {
  const on = (name, action) => document.addEventListener(name, action);
  const tokenOf = (event) => event.target.closest?.(".text .t");
  on("mouseover", (event) => (tokenOf(event) ? showToken(tokenOf(event)) : document.activeElement !== shown && hideToken()));
  on("focusin", (event) => (tokenOf(event) ? showToken(tokenOf(event)) : hideToken()));
  on("click", (event) => (tokenOf(event) ? tokenOf(event).focus() : hideToken()));
  document.addEventListener("scroll", placeToken, true);
  window.addEventListener("resize", placeToken);
  on("keydown", (event) => (event.key === "Escape" ? hideToken() : move(event)));
}
