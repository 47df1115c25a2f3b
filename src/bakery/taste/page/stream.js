// Asking the server: the token of the address goes with every request, and answers come as server-sent events.

const token = new URLSearchParams(location.search).get("token");

export class Refused extends Error {}

async function ask(path, options = {}) {
  const headers = { ...(token ? { "x-bakery-token": token } : {}), ...options.headers };
  let response;
  try {
    response = await fetch(path, { ...options, headers, credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("the server does not answer; start bakery taste again");
  }
  if (!response.ok) throw new Refused(await response.text());
  return response;
}

const posted = (body, signal) => ({
  method: "POST", signal, headers: { "content-type": "application/json" }, body: JSON.stringify(body),
});

export const get = async (path) => (await ask(path)).json();
export const text = async (path) => (await ask(path)).text();
export const post = async (path, body) => (await ask(path, posted(body))).json();
export const withToken = (path) => (token ? `${path}?token=${encodeURIComponent(token)}` : path);

/** The events of an answer: pairs of a name and its data. Ends early when `signal` aborts. */
export async function* events(path, body, signal) {
  const reader = (await ask(path, posted(body, signal))).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused("the server has gone; start bakery taste again");
    }
    if (part.done) return;
    const messages = (rest + part.value).split("\n\n");
    rest = messages.pop();
    for (const message of messages) {
      const [name, data] = message.split("\n").map((line) => line.slice(line.indexOf(": ") + 2));
      yield [name, JSON.parse(data)];
    }
  }
}
