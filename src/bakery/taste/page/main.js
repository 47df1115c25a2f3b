// The page: what was baked, the conversation, and the dials. Nothing is stored; a reload begins anew.

import { COLUMNS, byId, element } from "./elements.js";
import { Refused, events, get, post, withToken } from "./stream.js";
import { hideToken, listenForTokens, setHeat } from "./tokens.js";
import { Turn } from "./turns.js";

let run = { prompt: [] };
let turns = [];
let asking = null; // the controller of the answers that are being written

const number = (id) => Number(byId(id).value) || 0;
const say = (text) => (byId("status").textContent = text);

function editedPrompt() {
  const messages = [...byId("prompt-messages").querySelectorAll("textarea")].map((area) => ({ role: area.name, content: area.value }));
  const same = messages.every((message, at) => message.content === run.prompt[at]?.content);
  return same ? null : messages;
}

function drawPrompt(messages) {
  const areas = messages.flatMap(({ role, content }, at) => {
    const area = element("textarea", { id: `prompt-${at}`, name: role, value: content, spellcheck: false });
    return [element("label", { htmlFor: area.id, className: "small soft" }, role), area];
  });
  byId("prompt-messages").replaceChildren(...areas);
  markPrompt();
}

function markPrompt() {
  const edited = editedPrompt() !== null;
  byId("prompt").classList.toggle("edited", edited);
  byId("reset-prompt").hidden = !edited;
}

function drawRun() {
  document.title = `${run.name}: taste`;
  byId("title").textContent = `Tasting ${run.name}`;
  byId("about").textContent = `baked into ${run.base_model}. Everything happens on this machine.`;
  if (run.headline) {
    byId("proof").hidden = false;
    byId("verdict").className = `verdict ${run.level}`;
    byId("verdict").textContent = run.headline;
    byId("figures").replaceChildren(...run.figures.map((one) =>
      element("div", { className: "tile" }, element("b", {}, one.value), element("span", {}, one.label), element("small", { className: "soft" }, one.small))));
    byId("reasons").replaceChildren(...run.reasons.map((reason) => element("li", {}, reason)));
    byId("report").hidden = !run.report;
    byId("report").href = withToken("/report");
  }
  if (run.in_parts) byId("prompt-note").textContent = "Of the baked document the prompted model sees the part that the question is about.";
  drawPrompt(run.prompt);
  byId("question-list").replaceChildren(...run.questions.map((question) =>
    element("li", {}, element("button", { type: "button", onclick: () => askNew(question) }, question))));
  byId("questions").hidden = !run.questions.length;
  setHeat(run.heat);
  const wide = matchMedia("(min-width: 62rem)").matches;
  for (const id of ["prompt", "questions", "proof"]) byId(id).open = wide;
}

/** What a column has heard and said before a turn, and the turn's question. */
function messagesOf(column, turn) {
  const before = turns.slice(0, turns.indexOf(turn)).filter((one) => one.complete);
  const said = before.flatMap((one) => [{ role: "user", content: one.question }, { role: "assistant", content: one.text(column).trim() }]);
  return [...said, { role: "user", content: turn.question }];
}

function buttons(busy) {
  byId("stop").hidden = !busy;
  byId("ask").hidden = busy;
  byId("new").disabled = !turns.length;
  byId("empty").hidden = turns.length > 0;
}

async function answer(turn) {
  asking?.abort();
  const own = (asking = new AbortController());
  const strength = number("strength");
  hideToken();
  turn.begin(strength);
  buttons(true);
  say("answering");
  try {
    const messages = Object.fromEntries(COLUMNS.map((column) => [column, messagesOf(column, turn)]));
    const body = { messages, prompt: editedPrompt(), strength, temperature: number("temperature"), seed: number("seed"), max_new_tokens: number("longest") || 256 };
    for await (const [name, data] of events("/answers", body, own.signal)) {
      if (own.signal.aborted) return;
      if (name === "begun" && run.in_parts && !body.prompt) { run.prompt = data.prompt; drawPrompt(data.prompt); }
      turn.take(name, data);
    }
    say(COLUMNS.map((column) => `${column}: ${turn.text(column)}`).join(". "));
  } catch (error) {
    if (error instanceof Refused) turn.fail(error.message);
    else if (error.name !== "AbortError") throw error;
  } finally {
    if (asking === own) {
      asking = null;
      turn.close();
      buttons(false);
    }
  }
}

function askNew(question) {
  if (!question.trim()) return;
  asking?.abort();
  turns.at(-1)?.close();
  const turn = new Turn(question.trim(), keep, again);
  turns.push(turn);
  byId("turns").append(turn.element);
  turn.element.scrollIntoView({ block: "start" });
  answer(turn);
}

function answerAgain() {
  if (turns.length) answer(turns.at(-1));
}

/** The same question once more; where answers are drawn, by other random numbers. */
function again() {
  if (number("temperature") > 0) byId("seed").value = number("seed") + 1;
  answerAgain();
}

async function keep(turn) {
  turn.keep.disabled = true;
  try {
    const { file, questions } = await post("/questions", { messages: messagesOf("baked", turn), prompt: editedPrompt() });
    turn.note.textContent = `kept in ${file} (${questions} there): give that file to a bake as dataset, or as eval_dataset`;
  } catch (error) {
    turn.keep.disabled = false;
    turn.fail(error.message);
  }
}

function listen() {
  const on = (id, name, action) => byId(id).addEventListener(name, action);
  const submit = (event) => {
    event.preventDefault();
    const area = byId("question"), question = area.value;
    area.value = "";
    grow();
    askNew(question);
  };
  const grow = () => {
    const area = byId("question");
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
  };
  on("composer", "submit", submit);
  on("question", "input", grow);
  on("question", "keydown", (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && submit(event));
  on("stop", "click", () => asking?.abort());
  on("new", "click", () => {
    asking?.abort();
    turns = [];
    byId("turns").replaceChildren(byId("empty"));
    buttons(false);
    byId("question").focus();
  });
  let waiting;
  on("strength", "input", () => {
    byId("strength-shown").textContent = number("strength").toFixed(2);
    clearTimeout(waiting);
    waiting = setTimeout(answerAgain, 250);
  });
  on("prompt-messages", "input", markPrompt);
  on("prompt-messages", "change", answerAgain);
  on("reset-prompt", "click", () => { drawPrompt(run.prompt); answerAgain(); });
  document.addEventListener("keydown", (event) => event.key === "Escape" && asking?.abort());
  listenForTokens();
}

listen();
try {
  run = await get("/run");
  drawRun();
  byId("question").focus({ preventScroll: true });
} catch (error) {
  byId("empty").textContent = error.message;
  byId("empty").className = "error";
}
