// What the proof of a run says, and from which prompts several runs were baked.

import { element } from "./elements.js";
import { withToken } from "./stream.js";

/** Verdict, figures and reasons of a run as elements; none where nothing was proved. */
export function proofParts(run, number) {
  if (!run.headline) return [];
  const figures = run.figures.map((one) =>
    element("div", { className: "tile" }, element("b", {}, one.value), element("span", {}, one.label), element("small", { className: "soft" }, one.small)));
  const report = element("a", { href: withToken(`/report/${number}`), target: "_blank", rel: "noopener" }, "the whole proof");
  return [
    element("div", { className: "tiles" }, ...figures),
    element("ul", { className: "reasons small" }, ...run.reasons.map((reason) => element("li", {}, reason))),
    ...(run.report ? [element("p", { className: "small" }, report)] : []),
  ];
}

export const verdictOf = (run) => element("span", { className: `verdict ${run.level}` }, run.headline);

/** The runs that were proved, each to be opened; the names only where there are several. */
export function proofs(runs, open) {
  return runs.filter((run) => run.headline).map((run) => {
    const name = runs.length > 1 ? [element("span", { className: "small run-name" }, run.name)] : [];
    const summary = element("summary", {}, ...name, verdictOf(run));
    return element("details", { className: "proof", open }, summary, ...proofParts(run, runs.indexOf(run)));
  });
}

/** What stands above the prompt: whose it is, where runs have different ones. */
export function promptNote(about) {
  if (about.in_parts) return "Of the baked document the prompted model sees the part that the question is about.";
  const named = (same) => about.runs.filter((run) => run.same_prompt === same).map((run) => run.name);
  const [others, unknown] = [named(false), named(null)];
  const whose = others.length + unknown.length ? ` It is the prompt of ${about.runs[0].name}.` : "";
  const baked = others.length ? ` From another prompt: ${others.join(", ")}.` : "";
  const untold = unknown.length ? ` Not known from which prompt: ${unknown.join(", ")}.` : "";
  return `What the prompted model sees.${whose}${baked}${untold} Change it to see what another prompt would have said.`;
}
