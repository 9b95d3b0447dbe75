import type { NetworkNamespace } from "../core/namespace.js";
import type { IpContext } from "./ip-context.js";
import { notModelled, ToolFailure } from "./failure.js";
import { chooseCommand, type Words } from "./words.js";

type Command = (words: Words, context: IpContext) => string;

const COMMANDS: readonly (readonly [string, Command])[] = [
  ["list", list],
  ["show", list],
  ["lst", list],
  ["add", add],
  ["set", () => fail("ip netns set")],
  ["delete", remove],
  ["identify", () => fail("ip netns identify")],
  ["pids", () => fail("ip netns pids")],
  ["exec", () => fail("ip netns exec within another command")],
  ["monitor", () => fail("ip netns monitor")],
  ["attach", () => fail("ip netns attach")],
];

/** `ip netns`. `exec` is the business of `runTool`. */
export function ipNetns(words: Words, context: IpContext): string {
  return chooseCommand(COMMANDS, words.shift(), "ip netns help")(words, context);
}

/** The newest first, as the directory /run/netns lists them. */
function list(_words: Words, { sim }: IpContext): string {
  return [...sim.namespaces.keys()]
    .toReversed()
    .map((name) => `${name}\n`)
    .join("");
}

function add(words: Words, { sim }: IpContext): string {
  const name = nameFrom(words);
  if (sim.namespaces.has(name))
    throw new ToolFailure(1, `Cannot create namespace file "/run/netns/${name}": File exists\n`);
  sim.createNamespace(name);
  return "";
}

/** The devices go with their namespace, and with a veth its other end. */
function remove(words: Words, { sim }: IpContext): string {
  const name = nameFrom(words);
  const ns = sim.namespaces.get(name);
  if (ns === undefined)
    throw new ToolFailure(
      1,
      `Cannot remove namespace file "/run/netns/${name}": No such file or directory\n`,
    );
  removeNamespace(ns);
  return "";
}

/** Takes a namespace away whatever it is called. */
export function removeNamespace(ns: NetworkNamespace): void {
  for (const dev of [...ns.devices.values()].toReversed()) {
    if (ns.devices.has(dev.name)) dev.destroy();
  }
  ns.sim.namespaces.delete(ns.name);
}

function nameFrom(words: Words): string {
  const name = words.shift();
  if (name === undefined) throw new ToolFailure(1, "No netns name specified\n");
  if (name === "" || name === "." || name === ".." || name.includes("/") || name.length > 255) {
    throw new ToolFailure(255, `Invalid netns name "${name}"\n`);
  }
  return name;
}

function fail(what: string): never {
  throw notModelled("ip", what);
}
