// Building the page: text is only ever set as text.

export const byId = (id) => document.getElementById(id);

/** An element with properties and children; a child that is a string becomes text. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Who can be asked now: keys and names, in the order in which they are shown. */
export let columns = [];
export const setColumns = (list) => (columns = list);
export const nameOf = (key) => columns.find((column) => column.key === key)?.name ?? key;
/** The class that gives a column its colour. */
export const kindOf = (key) => (key.startsWith("baked") ? "baked" : key);

export const figure = (value) => (value < 0.0005 ? "0" : value < 1 ? value.toFixed(3) : value.toFixed(2));
export const percent = (share) => (share >= 0.9995 ? "100 %" : share < 0.001 ? "<0.1 %" : `${(100 * share).toFixed(1)} %`);
/** A token as people can see it: white space is drawn. */
export const drawn = (text) => text.replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/^ | $/g, "␣") || "∅";
