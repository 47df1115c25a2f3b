// One question with its answers, as they grow.

import { element, figure, kindOf, nameOf } from "./elements.js";
import { measured, tokenElement } from "./tokens.js";

/** A turn of the conversation: its element, the texts of its answers, and what fills them. */
export class Turn {
  constructor(question, columns, onKeep, onAgain) {
    this.question = question;
    this.prompt = null; // as it was changed when this was answered
    this.columns = {};
    this.note = element("span", { className: "small soft", role: "status" });
    this.keep = element("button", { type: "button", onclick: () => onKeep(this) }, "Wrong? Keep this question");
    this.again = element("button", { type: "button", className: "again", onclick: onAgain }, "Answer again");
    const answers = columns.map((column) => (this.columns[column.key] = new Answer(column)).element);
    const grid = element("div", { className: "columns" }, ...answers);
    grid.dataset.count = answers.length;
    this.element = element("article", { className: "turn", ariaLabel: question },
      element("h2", {}, question), grid, element("div", { className: "tools" }, this.again, this.keep, this.note));
  }

  get keys() {
    return Object.keys(this.columns);
  }

  begin(strength) {
    this.note.textContent = "";
    this.note.className = "small soft";
    for (const answer of Object.values(this.columns)) answer.begin(strength);
  }

  take(name, data) {
    if (name === "piece") this.columns[data.column].add(data);
    if (name === "ended") this.columns[data.column].end(data);
    if (name === "failed") this.fail(data.reason);
  }

  /** No more comes: what is unfinished was stopped. */
  close() {
    for (const answer of Object.values(this.columns)) answer.close();
  }

  fail(reason) {
    this.note.textContent = reason;
    this.note.className = "error";
  }

  text(column) {
    return this.columns[column]?.text ?? "";
  }

  /** At each token of a column's answer, how far its measured model is from the prompted one. */
  nats(column) {
    return this.columns[column]?.nats ?? [];
  }

  get complete() {
    return this.keys.every((column) => this.text(column).trim());
  }
}

class Answer {
  constructor(column) {
    this.column = column;
    this.title = element("h3", {}, column.name);
    this.body = element("p", { className: "text" });
    this.rules = element("ul", { className: "rules", hidden: true });
    this.foot = element("p", { className: "foot" });
    this.element = element("section", { className: `answer ${kindOf(column.key)}`, ariaLabel: `${column.name} answer` }, this.title, this.body, this.rules, this.foot);
    this.begin(1);
  }

  begin(strength) {
    this.title.textContent = this.column.name + (this.column.baked && strength !== 1 ? ` at strength ${strength}` : "");
    Object.assign(this, { text: "", nats: [], finished: false, last: null });
    this.body.replaceChildren();
    this.rules.replaceChildren();
    this.rules.hidden = true;
    this.foot.textContent = "";
    this.element.ariaBusy = "true";
  }

  add(piece) {
    this.text += piece.text;
    this.reader = measured(piece.column, piece.nats);
    this.nats.push(piece.nats[this.reader] ?? 0);
    this.last = piece;
    const token = tokenElement(piece, false);
    if (!token) return;
    if (!this.body.firstChild) token.tabIndex = 0;
    this.body.append(token);
  }

  end(ended) {
    this.text = ended.text;
    if (ended.stopped && this.last && !this.last.text) this.body.append(tokenElement(this.last, true));
    if (!ended.stopped) this.body.append(element("span", { className: "end" }, " … (cut off)"));
    for (const [name, holds] of ended.rules) {
      const item = element("li", { className: holds ? "right" : "wrong" }, name);
      item.append(element("span", { className: "unseen" }, holds ? ": holds" : ": broken"));
      this.rules.append(item);
    }
    this.rules.hidden = !ended.rules.length;
    this.tell();
    this.finished = true;
    this.element.ariaBusy = "false";
  }

  close() {
    if (this.finished) return;
    if (this.body.firstChild) this.body.append(element("span", { className: "end" }, " (stopped)"));
    this.tell();
    this.element.ariaBusy = "false";
  }

  tell() {
    if (!this.nats.length) return;
    const mean = this.nats.reduce((sum, nats) => sum + nats, 0) / this.nats.length;
    const apart = `${figure(mean)} nats a token`;
    const told = this.column.key === "prompted" ? `${nameOf(this.reader)} is ${apart} away` : `${apart} from prompted`;
    this.foot.textContent = `${this.nats.length} tokens · ${told}`;
  }
}
