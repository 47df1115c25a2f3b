// A bake that is started on the page and followed there. Its state is asked for again and again, so that every tab sees
// the same bake and a reload goes on following it.

import { byId, element } from "./elements.js";
import { proofParts, verdictOf } from "./proof.js";
import { Refused, get, post, text } from "./stream.js";

const OFTEN = 400, RARELY = 3000; // milliseconds, while a bake goes on and else
const HEADS = { running: "Baking into", done: "Baked into", stopped: "Stopped: the bake into", failed: "Failed: the bake into" };

/** A bake from its beginning to its verdict: an element, and what fills it. */
class BakeView {
  constructor(onStop, onAsk) {
    this.drawn = {};
    this.title = element("h2", {});
    this.now = element("p", { className: "soft", role: "status" });
    this.stop = element("button", { type: "button", onclick: onStop }, "Stop the bake");
    this.notes = element("ul", { className: "notes small soft", ariaLabel: "what the terminal says" });
    this.stages = element("ol", { className: "stages", ariaLabel: "stages" });
    this.chart = element("div", { className: "curve" }, element("p", { className: "soft small" }, "The training curve appears here."));
    this.asked = element("h3", {});
    this.prompted = element("dd", {});
    this.answers = element("dl", { className: "learned", tabIndex: 0, ariaLabel: "its answers, newest first" }, element("dt", { className: "prompted" }, "prompted"), this.prompted);
    this.verdict = element("div", { className: "ending", hidden: true });
    this.ask = element("button", { type: "button", className: "first", onclick: () => onAsk(this.question) });
    this.element = element("article", { className: "turn bake", ariaLabel: "the bake" },
      this.title, element("div", { className: "tools" }, this.stop, this.now), this.verdict,
      element("div", { className: "progress" }, this.stages, this.chart),
      element("section", { className: "example" }, this.asked, this.answers), this.notes);
  }

  draw(state) {
    const before = this.drawn;
    this.drawn = state;
    this.question = state.question;
    this.title.textContent = `${HEADS[state.phase]} ${state.folder}`;
    this.stop.hidden = state.phase !== "running";
    const stage = state.stages.at(-1);
    const going = stage ? stage.title : "loading the model";
    if (state.phase === "running" && this.now.textContent !== going) this.now.textContent = going;
    this.drawStages(state.stages);
    if (state.notes.length !== before.notes?.length) this.notes.replaceChildren(...state.notes.map((note) => element("li", {}, note)));
    if (state.curve.at(-1)?.step !== before.curve?.at(-1)?.step) this.drawChart();
    this.asked.textContent = `“${state.question}” as it learns`;
    this.prompted.textContent = state.prompted || "…";
    if (state.answers.length !== before.answers?.length) this.drawAnswers(state.answers);
    if (state.phase === "stopped") this.now.textContent = "Stopped. No adapter was written.";
    if (state.phase === "failed") {
      this.now.textContent = state.error;
      this.now.className = "error";
    }
  }

  drawStages(stages) {
    stages.forEach((stage, at) => {
      const item = this.stages.children[at] ?? this.stages.appendChild(element("li", {}, element("span", {}), element("progress", {}), element("span", { className: "soft small" })));
      const [title, bar, told] = item.children;
      title.textContent = stage.title;
      bar.ariaLabel = stage.title;
      if (!stage.running) Object.assign(bar, { max: 1, value: 1 });
      else if (stage.total) Object.assign(bar, { max: stage.total, value: stage.done });
      else bar.removeAttribute("value");
      const of = stage.running && stage.total ? ` of ${stage.total.toLocaleString("en")}` : "";
      told.textContent = `${stage.done.toLocaleString("en")}${of} ${stage.unit}, ${stage.seconds.toFixed(1)} s`;
    });
    while (this.stages.children.length > stages.length) this.stages.lastChild.remove();
  }

  /** The server draws the chart, from figures alone; it is taken over without its scripts, of which it has none. */
  async drawChart() {
    const shown = new DOMParser().parseFromString(await text("/bake/chart"), "text/html");
    if (shown.body.firstElementChild) this.chart.replaceChildren(shown.body.firstElementChild);
  }

  drawAnswers(answers) {
    const pairs = [...answers].reverse().flatMap(({ step, text }) => [
      element("dt", { className: "baked" }, step ? `step ${step}` : "before"), element("dd", {}, text || "(no text)")]);
    this.answers.replaceChildren(this.answers.children[0], this.prompted, ...pairs);
  }

  end(run) {
    this.now.textContent = "Done: the baked model answers too, and its strength can be set.";
    this.ask.textContent = `Ask all three: “${this.question}”`;
    this.verdict.replaceChildren(...(run.headline ? [element("p", {}, verdictOf(run))] : []), ...proofParts(run, 0), this.ask);
    this.verdict.hidden = false;
  }
}

/** Everything about baking on this page; `page` knows the conversation. */
export class Baking {
  constructor(page) {
    Object.assign(this, { page, number: 0, phase: "idle", view: null });
  }

  get running() {
    return this.phase === "running";
  }

  listen() {
    const on = (id, action) => byId(id).addEventListener("click", action);
    on("start-bake", () => this.begin());
    on("show-command", () => this.showCommand(byId("command").hidden));
    on("copy", () => copy(byId("command-line")));
    document.addEventListener("visibilitychange", () => document.hidden || this.look());
    this.refreshCommand();
    return this.look();
  }

  async begin() {
    byId("bake-error").textContent = "";
    this.page.stop();
    try {
      await post("/bake", { prompt: this.page.editedPrompt(), question: byId("followed").value });
      await this.look();
    } catch (error) {
      byId("bake-error").textContent = error.message;
    }
  }

  showCommand(show) {
    byId("command").hidden = !show;
    byId("show-command").ariaExpanded = String(show);
    byId("show-command").textContent = show ? "Hide the command" : "Show the command";
    this.refreshCommand();
  }

  /** The command for the prompt as it stands, and the folder of the next bake. */
  async refreshCommand() {
    byId("copied").textContent = "";
    const number = (this.refreshed = (this.refreshed ?? 0) + 1);
    try {
      const { command, folder } = await post("/command", { prompt: this.page.editedPrompt() });
      if (number !== this.refreshed) return; // a newer prompt was asked for, and may have been answered before
      // An option is not to be broken at its hyphens; the text stays one line.
      byId("command-line").replaceChildren(...command.split(/(--[\w-]+)/).map((part) => element("span", { className: part.startsWith("--") ? "option" : "" }, part)));
      byId("bake-folder").textContent = folder;
    } catch (error) {
      byId("command-line").textContent = error.message;
    }
  }

  /** Look how the bake goes, and again after a while. */
  async look() {
    clearTimeout(this.waiting);
    try {
      await this.take(await get("/bake"));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (this.view && this.running) this.view.now.textContent = error.message;
    }
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.look(), this.running ? OFTEN : RARELY);
  }

  async take(state) {
    if (!state.number) return;
    const before = this.number === state.number ? this.phase : "idle";
    if (this.number !== state.number) {
      this.number = state.number;
      this.view?.element.remove();
      this.view = new BakeView(() => post("/bake/stop", {}).then(() => this.look()), (question) => this.page.ask(question));
      this.page.show(this.view.element);
    }
    this.phase = state.phase;
    this.view.draw(state);
    byId("start-bake").disabled = this.running;
    if (before === state.phase) return;
    this.page.onPhase();
    if (this.running) return;
    this.refreshCommand();
    const about = await this.page.reopen();
    if (state.phase === "done") this.view.end(about.runs[0]);
  }
}

async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    byId("copied").textContent = "copied";
  } catch {
    getSelection().selectAllChildren(code); // where the browser does not allow it: one key is left to press
    byId("copied").textContent = "selected; press Ctrl-C";
  }
}
