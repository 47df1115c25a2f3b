// The page: what can be asked, the conversation, and the dials. Nothing is stored; a reload begins anew.

import { Baking } from "./bake.js";
import { byId, columns, element, figure, setColumns } from "./elements.js";
import { promptNote, proofs } from "./proof.js";
import { Refused, events, get, post } from "./stream.js";
import { hideToken, listenForTokens, setHeat } from "./tokens.js";
import { Turn } from "./turns.js";

let about = { prompt: [], runs: [] };
let turns = [];
let asking = null; // the controller of the answers that are being written
const baking = new Baking({ editedPrompt, show, stop: () => asking?.abort(), onPhase: buttons, reopen: open, ask: askNew });

const number = (id) => Number(byId(id).value) || 0;
const say = (text) => (byId("status").textContent = text);
const wide = () => matchMedia("(min-width: 62rem)").matches;
const everyone = () => ({ 2: "both", 3: "all three", 4: "all four", 5: "all five" })[columns.length] ?? `all ${columns.length}`;

function editedPrompt() {
  const messages = [...byId("prompt-messages").querySelectorAll("textarea")].map((area) => ({ role: area.name, content: area.value }));
  const same = messages.every((message, at) => message.content === about.prompt[at]?.content);
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
  drawGap();
}

/** What can be asked, as the server has it now. */
async function open() {
  const edited = about.columns && editedPrompt();
  about = await get("/run");
  setColumns(about.columns);
  const { runs } = about, baked = runs.length > 0;
  document.title = baked ? `${runs.map((run) => run.name).join(", ")}: taste` : "Try a prompt: taste";
  byId("title").textContent = baked ? `Tasting ${runs.map((run) => run.name).join(", ")}` : "Is this prompt worth baking?";
  byId("about").textContent = `${baked ? `baked into ${about.base_model}` : `${about.base_model}; nothing is baked yet`}. Everything happens on this machine.`;
  byId("proofs").replaceChildren(...proofs(runs, wide() && runs.length === 1 && !about.bakes));
  byId("prompt-note").textContent = promptNote(about);
  drawPrompt(edited || about.prompt);
  byId("question-list").replaceChildren(...about.questions.map((question) =>
    element("li", {}, element("button", { type: "button", onclick: () => askNew(question) }, question))));
  byId("questions").hidden = !about.questions.length;
  byId("bake").hidden = !about.bakes;
  byId("followed").value ||= about.questions[0] ?? "";
  byId("strength-dial").hidden = !columns.some((column) => column.baked);
  byId("empty").textContent = `Ask something below: ${columns.map((column) => column.name).join(", ")} answer side by side.`;
  setHeat(about.heat);
  buttons();
  return about;
}

/** How much the prompt changes, over what was answered under it so far. */
function drawGap() {
  const now = JSON.stringify(editedPrompt());
  const nats = turns.filter((turn) => turn.prompt === now && turn.keys.length === 2).map((turn) => turn.nats("prompted")).filter((own) => own.length);
  const all = nats.flat(), mean = all.reduce((sum, own) => sum + own, 0) / all.length;
  byId("gap").hidden = about.runs.length > 0;
  const over = `over ${all.length} tokens of ${nats.length} ${nats.length === 1 ? "answer" : "answers"}`;
  const worth = mean < about.least_gap ? ": almost nothing, so there is little to bake" : "";
  byId("gap").textContent = all.length
    ? `This prompt changes the model by ${figure(mean)} nats per token, ${over}${worth}.`
    : "Ask something: colours and a figure here tell how much this prompt changes.";
}

/** What a column has heard and said before a turn, since all of them could be asked, and the turn's question. */
function messagesOf(column, turn) {
  const before = turns.slice(0, turns.indexOf(turn)).filter((one) => one.complete && one.keys.length === turn.keys.length);
  const said = before.flatMap((one) => [{ role: "user", content: one.question }, { role: "assistant", content: one.text(column).trim() }]);
  return [...said, { role: "user", content: turn.question }];
}

function buttons() {
  byId("stop").hidden = !asking;
  byId("ask").hidden = Boolean(asking);
  byId("ask").disabled = baking.running;
  byId("new").disabled = !turns.length;
  byId("empty").hidden = turns.length > 0 || Boolean(baking.view);
  byId("question").placeholder = baking.running ? "The model is learning; ask when the bake is done" : `Ask ${everyone()} …`;
  for (const button of document.querySelectorAll("#question-list button, .again")) button.disabled = baking.running;
}

async function answer(turn) {
  asking?.abort();
  const own = (asking = new AbortController());
  const strength = number("strength");
  hideToken();
  turn.begin(strength);
  buttons();
  say("answering");
  try {
    const messages = Object.fromEntries(turn.keys.map((column) => [column, messagesOf(column, turn)]));
    const body = { messages, prompt: editedPrompt(), strength, temperature: number("temperature"), seed: number("seed"), max_new_tokens: number("longest") || 256 };
    turn.prompt = JSON.stringify(body.prompt);
    for await (const [name, data] of events("/answers", body, own.signal)) {
      if (own.signal.aborted) return;
      if (name === "begun" && about.in_parts && !body.prompt) { about.prompt = data.prompt; drawPrompt(data.prompt); }
      turn.take(name, data);
    }
    say(turn.keys.map((column) => `${column}: ${turn.text(column)}`).join(". "));
  } catch (error) {
    if (error instanceof Refused) turn.fail(error.message);
    else if (error.name !== "AbortError") throw error;
  } finally {
    if (asking === own) {
      asking = null;
      turn.close();
      buttons();
      drawGap();
    }
  }
}

/** Put something at the end of the conversation. */
function show(shown) {
  byId("turns").append(shown);
  byId("empty").hidden = true;
  shown.scrollIntoView({ block: "start" });
}

function askNew(question) {
  if (!question.trim() || baking.running) return;
  asking?.abort();
  turns.at(-1)?.close();
  const turn = new Turn(question.trim(), columns, keep, again);
  turns.push(turn);
  show(turn.element);
  if (!about.runs.length) byId("followed").value = turn.question;
  answer(turn);
}

/** The last question once more, by all who can be asked now. */
function answerAgain() {
  const last = turns.at(-1);
  if (!last || baking.running) return;
  if (last.keys.length !== columns.length) {
    turns[turns.length - 1] = new Turn(last.question, columns, keep, again);
    last.element.replaceWith(turns.at(-1).element);
  }
  answer(turns.at(-1));
}

/** The same question once more; where answers are drawn, by other random numbers. */
function again() {
  if (number("temperature") > 0) byId("seed").value = number("seed") + 1;
  answerAgain();
}

async function keep(turn) {
  turn.keep.disabled = true;
  try {
    const { file, questions } = await post("/questions", { messages: messagesOf(turn.keys.at(-1), turn), prompt: editedPrompt() });
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
    if (baking.running) return;
    area.value = "";
    grow();
    askNew(question);
  };
  const grow = () => {
    const area = byId("question");
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
  };
  const promptChanged = () => {
    answerAgain();
    if (about.bakes) baking.refreshCommand();
  };
  on("composer", "submit", submit);
  on("question", "input", grow);
  on("question", "keydown", (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && submit(event));
  on("stop", "click", () => asking?.abort());
  on("new", "click", () => {
    asking?.abort();
    for (const turn of turns) turn.element.remove();
    turns = [];
    buttons();
    drawGap();
    byId("question").focus();
  });
  let waiting;
  on("strength", "input", () => {
    byId("strength-shown").textContent = number("strength").toFixed(2);
    clearTimeout(waiting);
    waiting = setTimeout(answerAgain, 250);
  });
  on("prompt-messages", "input", markPrompt);
  on("prompt-messages", "change", promptChanged);
  on("reset-prompt", "click", () => { drawPrompt(about.prompt); promptChanged(); });
  document.addEventListener("keydown", (event) => event.key === "Escape" && asking?.abort());
  listenForTokens();
}

listen();
try {
  await open();
  for (const id of ["prompt", "questions", "bake"]) byId(id).open = wide();
  byId("question").focus({ preventScroll: true });
  if (about.bakes) await baking.listen();
} catch (error) {
  byId("empty").textContent = error.message;
  byId("empty").className = "error";
}
