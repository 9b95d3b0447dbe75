import type { NetDevice } from "../core/device.js";
import { devQueueXmit } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import { TokenBucket } from "../link/tbf.js";
import type { Tool, ToolContext } from "./command.js";
import { notModelled, runCommand, ToolFailure } from "./failure.js";
import { openNamespace } from "./ip-context.js";
import { abbreviates, Words } from "./words.js";

/** `tc` of iproute2 as far as plugins type it: a token bucket at a device's root, and all that comes in sent through another device. */
export const tc: Tool = {
  name: "tc",
  run: (args, context) => runCommand(() => runTc(args, context)),
};

function runTc(args: readonly string[], { sim, ns }: ToolContext): string {
  const words = new Words(args);
  const object = words.shift() ?? "help";
  const verb = words.shift() ?? "show";
  if (ns === undefined) throw notModelled("tc", "tc outside of a namespace");
  const namespace = openNamespace(sim, ns);
  if (abbreviates(object, "qdisc") && verb === "add") return addQdisc(words, namespace);
  if (abbreviates(object, "filter") && verb === "add") return addFilter(words, namespace);
  throw notModelled("tc", `tc ${object} ${verb}`);
}

/** `tc qdisc add dev DEV root handle 1: tbf rate RATE burst BYTES limit BYTES`, or `… ingress`. */
function addQdisc(words: Words, ns: NetworkNamespace): string {
  const dev = readDevice(words, ns);
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "ingress") return "";
    if (word === "root") continue;
    if (word === "handle") words.value();
    else if (word === "tbf") {
      dev.qdisc = new TokenBucket(ns.sim.queue, readTbf(words));
      return "";
    } else throw notModelled("tc", `tc qdisc add … ${word}`);
  }
  throw new ToolFailure(1, "Command line is not complete.\n");
}

function readTbf(words: Words): {
  readonly rate: number;
  readonly burst: number;
  readonly limit: number;
} {
  const told = new Map<string, number>();
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const value = words.value();
    const unit = word === "rate" ? "bit" : "b";
    if (!["rate", "burst", "limit"].includes(word))
      throw notModelled("tc", `tc qdisc add … tbf ${word}`);
    const [, digits] = new RegExp(`^(\\d{1,15})${unit}$`).exec(value) ?? [];
    if (digits === undefined) throw notModelled("tc", `${word} ${value}: not in ${unit}`);
    told.set(word, Number(digits));
  }
  const [rate = 0, burst = 0, limit = 0] = ["rate", "burst", "limit"].map((key) => told.get(key));
  if (rate < 8 || burst === 0) throw new ToolFailure(1, 'Both "rate" and "burst" are required.\n');
  return { rate: Math.floor(rate / 8), burst, limit };
}

/** `tc filter add dev DEV parent ffff: … u32 match u32 0 0 … action mirred egress redirect dev IFB`: everything. */
function addFilter(words: Words, ns: NetworkNamespace): string {
  const dev = readDevice(words, ns);
  const all = words.rest().join(" ");
  const [, name] =
    /^parent ffff: protocol all prio 1 u32 match u32 0 0 flowid 1:1 action mirred egress redirect dev (\S+)$/.exec(
      all,
    ) ?? [];
  if (name === undefined) throw notModelled("tc", `tc filter add … ${all}`);
  const to = ns.devices.get(name);
  if (to === undefined) throw new ToolFailure(1, `Cannot find device "${name}"\n`);
  dev.ingress = (skb) => {
    devQueueXmit(skb, to);
    return true;
  };
  return "";
}

function readDevice(words: Words, ns: NetworkNamespace): NetDevice {
  if (!words.take("dev")) throw notModelled("tc", "tc without dev in front");
  const name = words.value();
  const dev = ns.devices.get(name);
  if (dev === undefined) throw new ToolFailure(1, `Cannot find device "${name}"\n`);
  return dev;
}
