// A source for Wakedeck in plain JavaScript: agents in folders, as docs/source-protocol.md has it.
// Each folder below ROOT is a sandbox: `beat` is touched while it lives, `start` starts it, `log`
// is what it says.   [sources.folders] kind = "external", command = ["node", THIS, ROOT]
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const root = process.argv[2] ?? ".", KEY = "folders", FRESH_S = 30, LOOK_S = 1;
const now = () => Date.now() / 1000;

// msgpack, as much of it as is needed.
function pack(value) {
  if (value === null || value === undefined) return Buffer.from([0xc0]);
  if (value === true || value === false) return Buffer.from([value ? 0xc3 : 0xc2]);
  if (typeof value === "number") {
    if (Number.isInteger(value) && value >= 0 && value < 128) return Buffer.from([value]);
    const whole = Number.isInteger(value) && value >= 0 && value < 2 ** 32;
    const out = whole ? Buffer.alloc(5, 0xce) : Buffer.alloc(9, 0xcb);
    return whole ? out.writeUInt32BE(value, 1) : out.writeDoubleBE(value, 1), out;
  }
  if (typeof value === "string") return sized(0xdb, Buffer.from(value), Buffer.byteLength(value));
  if (Array.isArray(value)) return sized(0xdd, Buffer.concat(value.map(pack)), value.length);
  const pairs = Object.entries(value).filter(([, one]) => one !== undefined);
  return sized(0xdf, Buffer.concat(pairs.flatMap((pair) => pair.map(pack))), pairs.length);
}
function sized(tag, body, count) {
  const head = Buffer.from([tag, 0, 0, 0, 0]);
  return head.writeUInt32BE(count, 1), Buffer.concat([head, body]);
}
function unpack(bytes) {
  let at = 0;
  const int = (size) => ((at += size), bytes.readUIntBE(at - size, size));
  const text = (size) => bytes.toString("utf8", at, (at += size));
  const bin = (size) => bytes.subarray(at, (at += size));
  const list = (size) => Array.from({ length: size }, one);
  const map = (size) => Object.fromEntries(Array.from({ length: size }, () => [one(), one()]));
  function one() {
    const tag = int(1);
    if (tag < 0x80) return tag;
    if (tag < 0x90) return map(tag & 15);
    if (tag < 0xa0) return list(tag & 15);
    if (tag < 0xc0) return text(tag & 31);
    if (tag >= 0xe0) return tag - 256;
    switch (tag) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: return bin(int(1 << (tag - 0xc4)));
      case 0xca: return (at += 4), bytes.readFloatBE(at - 4);
      case 0xcb: return (at += 8), bytes.readDoubleBE(at - 8);
      case 0xcc: case 0xcd: case 0xce: return int(1 << (tag - 0xcc));
      case 0xcf: return (at += 8), Number(bytes.readBigUInt64BE(at - 8));
      case 0xd0: case 0xd1: case 0xd2: case 0xd3: {
        const size = 1 << (tag - 0xd0);
        return (at += size), Number(BigInt.asIntN(size * 8, BigInt(`0x${bytes.toString("hex", at - size, at)}`)));
      }
      case 0xd9: case 0xda: case 0xdb: return text(int(1 << (tag - 0xd9)));
      case 0xdc: case 0xdd: return list(int(2 << (tag - 0xdc)));
      case 0xde: case 0xdf: return map(int(2 << (tag - 0xde)));
      default: throw new Error(`msgpack tag ${tag}`);
    }
  }
  return one();
}
function say(message) {
  const payload = pack(message), length = Buffer.alloc(4);
  length.writeUInt32BE(payload.length);
  process.stdout.write(Buffer.concat([length, payload]));
}

// What is there.
function age(name) {
  try { return Math.max(0, now() - statSync(join(root, name, "beat")).mtimeMs / 1000); } catch { return null; }
}
function judge(name) {
  const seconds = age(name);
  if (seconds === null) return ["asleep", "It has not been started yet."];
  if (seconds <= FRESH_S) return ["ready", ""];
  return ["stuck", `Its last beat was ${Math.round(seconds)} s ago.`];
}
const names = () => readdirSync(root, { withFileTypes: true }).filter((one) => one.isDirectory()).map((one) => one.name);
const known = (name) => { try { return names().includes(name); } catch { return false; } };
let seq = 0, told = new Map();
function look(full) {
  const delta = { type: "delta", source: KEY, seq: ++seq, now: now(), full, sandboxes: [], removed: { sandboxes: [] } };
  try {
    const seen = new Map(names().map((name) => [name, judge(name)]));
    for (const [id, [state, reason]] of seen) {
      if (full || told.get(id) !== state) delta.sandboxes.push({ id, state, reason });
    }
    delta.removed.sandboxes = [...told.keys()].filter((id) => !seen.has(id));
    told = new Map([...seen].map(([id, [state]]) => [id, state]));
    Object.assign(delta, { at: now(), link: { problem: "" } });
  } catch (error) {
    delta.link = { problem: `${root} cannot be read: ${error.code}.` };
  }
  say(delta);
}

// What is asked.
const failed = (id, sentence, kind = "unavailable") => say({ type: "failed", id, kind, sentence });
const running = new Map();
const methods = {
  refresh: (id, { full }) => (look(full === true), say({ type: "done", id })),
  probe(id, { sandbox }) {
    const [state, reason] = judge(sandbox);
    const verdict = state === "ready" ? { kind: "ready", reason } : { kind: "repairable", reason, wakeable: true };
    say({ type: "item", id, value: { verdict } }), say({ type: "done", id });
  },
  log_streams: (id) => (say({ type: "item", id, value: { streams: [] } }), say({ type: "done", id })),
  logs(id, { sandbox }) {
    let lines = [];
    try { lines = readFileSync(join(root, sandbox, "log"), "utf8").split("\n").filter(Boolean); } catch { /* none yet */ }
    for (const text of lines.slice(-200)) say({ type: "item", id, value: { text: text.slice(0, 1000) } });
    failed(id, "That is all it has said.", "log_ended");
  },
  wake(id, { sandbox }) {
    const step = (state, more) => say({ type: "item", id, value: { step: { name: "start", state, limit_s: 20, ...more } } });
    const started_at = now();
    step("running", { started_at });
    const child = execFile(join(root, sandbox, "start"), { cwd: join(root, sandbox), timeout: 20_000 }, (error) => {
      if (running.delete(id)) {
        step(error ? "failed" : "ok", { started_at, ended_at: now(), detail: error ? String(error.message) : "started" });
        say({ type: "done", id });
      }
    });
    running.set(id, child);
  },
};
function take(message) {
  if (message.type === "ping") say({ type: "pong", t: message.t });
  if (message.type === "cancel") running.get(message.id)?.kill(), running.delete(message.id);
  if (message.type === "shell.open") failed(message.id, "Agents in folders have no shell.", "shell");
  if (message.type !== "call") return;
  const { id, method, args } = message;
  if (!Object.hasOwn(methods, method)) failed(id, `There is no ${method} here.`);
  else if (method !== "refresh" && !known(args.sandbox)) failed(id, "There is no such folder.", "not_found");
  else methods[method](id, args);
}

const none = "agents in folders have none";
say({
  type: "hello", protocol: 1, product: "folder-source", version: "1.0", pid: process.pid, now: now(),
  sources: [{
    key: KEY, kind: "folder", label: "agents in folders", address: root, interval_s: LOOK_S,
    capabilities: ["wake", "logs"], unavailable: { queue: none, shell: none, exec: none, reconnect: none },
  }],
});
look(true);
setInterval(() => look(false), LOOK_S * 1000);
let rest = Buffer.alloc(0);
process.stdin.on("data", (data) => {
  rest = Buffer.concat([rest, data]);
  while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE()) {
    const end = 4 + rest.readUInt32BE();
    take(unpack(rest.subarray(4, end)));
    rest = rest.subarray(end);
  }
});
process.stdin.on("end", () => { for (const child of running.values()) child.kill(); process.exit(0); });
