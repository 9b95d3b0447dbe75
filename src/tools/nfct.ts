import type { NetworkNamespace } from "../core/namespace.js";
import { type Timeouts, isTimeoutName } from "../netfilter/conntrack/settings.js";
import { conntrack } from "../netfilter/conntrack/table.js";
import {
  GENERIC_PROTOCOL,
  type TimeoutPolicy,
  timeoutPolicies,
} from "../netfilter/conntrack/timeout-policies.js";
import { TIMEOUT_STATES } from "../netfilter/conntrack/timeout-states.js";
import { rulesetOf } from "../netfilter/iptables/apply.js";
import { allRules } from "../netfilter/iptables/ruleset.js";
import { type Micros, seconds } from "../sim/time.js";
import type { Tool, ToolResult } from "./command.js";

/** A command that `nfct` or the kernel refuses, in its words. */
class NfctError extends Error {
  override readonly name = "NfctError";
}

/** `nfct timeout`: conntrack timeout policies, in the words of nfct 1.4.7. */
export const nfct: Tool = {
  name: "nfct",

  run(args, { sim, ns: name }) {
    const ns = sim.namespaces.get(name ?? "");
    if (ns === undefined) return failed("netlink error: Invalid argument");
    try {
      return { code: 0, stdout: perform(args, ns), stderr: "" };
    } catch (error) {
      if (error instanceof NfctError) return failed(error.message);
      throw error;
    }
  },
};

function failed(message: string): ToolResult {
  const text = message === "" ? USAGE : `nfct v1.4.7: ${message}`;
  return { code: 1, stdout: "", stderr: `${text}\n` };
}

const USAGE = "Usage: nfct command subsystem [parameters]...";

/** Command and subsystem may stand in either order. */
function perform(args: readonly string[], ns: NetworkNamespace): string {
  if (args.length < 2) throw new NfctError("");
  const [first = "", second = "", ...rest] = args;
  const [command, subsystem] = first === "timeout" ? [second, first] : [first, second];
  if (subsystem === "helper" || first === "helper")
    throw new NfctError("`helper' is not modelled by hopwise");
  const run = COMMANDS.get(command);
  if (subsystem !== "timeout" || run === undefined)
    throw new NfctError(`Unknown subsystem: ${first}\n${USAGE}`);
  return run(rest, ns);
}

const COMMANDS: ReadonlyMap<string, (args: readonly string[], ns: NetworkNamespace) => string> =
  new Map([
    ["list", list],
    ["add", add],
    ["get", (args, ns) => format(namedPolicy(args, ns))],
    ["delete", remove],
    ["flush", flush],
    ["default-get", defaultGet],
    ["default-set", defaultSet],
  ]);

function list(args: readonly string[], ns: NetworkNamespace): string {
  if (args.length > 0) throw new NfctError("too many arguments");
  return [...timeoutPolicies(ns).values()].map(format).join("");
}

function format({ name, family, protocol, timeouts }: TimeoutPolicy): string {
  return `.${name} = {\n${formatTimes(family, protocol, timeouts)}`;
}

function formatTimes(
  family: TimeoutPolicy["family"],
  protocol: number,
  timeouts: Readonly<Timeouts>,
): string {
  const states = (TIMEOUT_STATES.get(protocol) ?? []).map(
    ([state, name]) => `\t\t.${state} = ${timeouts[name] / 1_000_000},\n`,
  );
  const number = family === "ipv4" ? 2 : 10;
  return `\t.l3proto = ${number},\n\t.l4proto = ${protocol},\n\t.policy = {\n${states.join("")}\t},\n};\n`;
}

function add(args: readonly string[], ns: NetworkNamespace): string {
  const [name, ...rest] = args;
  if (name === undefined || rest.length < 2)
    throw new NfctError(
      "missing parameters\nsyntax: nfct add timeout name family protocol state1 timeout1 ...",
    );
  const policies = timeoutPolicies(ns);
  const { family, protocol, times } = readTimes(rest);
  if (times.size === 0) throw new NfctError("netlink error: Invalid argument");
  if (policies.has(name)) throw new NfctError("netlink error: Device or resource busy");
  const timeouts = { ...conntrack(ns).settings.timeouts };
  applyTimes(timeouts, times);
  policies.set(name, { name, family, protocol, timeouts });
  return "";
}

const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ["tcp", 6],
  ["udp", 17],
  ["udplite", 136],
  ["sctp", 132],
  ["dccp", 33],
  ["icmp", 1],
  ["icmpv6", 58],
  ["gre", 47],
  ["generic", GENERIC_PROTOCOL],
]);

interface Times {
  readonly family: TimeoutPolicy["family"];
  readonly protocol: number;
  readonly times: ReadonlyMap<string, Micros>;
}

/** `inet tcp established 100 close 5`. */
function readTimes([familyWord = "", protocolWord = "", ...words]: readonly string[]): Times {
  const family = familyWord === "inet" ? "ipv4" : familyWord === "inet6" ? "ipv6" : undefined;
  if (family === undefined) throw new NfctError("unknown layer 3 protocol");
  const protocol = PROTOCOLS.get(protocolWord);
  if (protocol === undefined) throw new NfctError("unknown layer 4 protocol");
  const states = TIMEOUT_STATES.get(protocol);
  if (states === undefined) throw new NfctError("netlink error: Operation not supported");
  const times = new Map<string, Micros>();
  for (let at = 0; at < words.length; at += 2) {
    const [word = "", value] = [words[at], words[at + 1]];
    const found = states.find(([state]) => state.toLowerCase() === word.toLowerCase());
    if (found === undefined)
      throw new NfctError(`Wrong state name: \`${word}' for protocol \`${protocolWord}'`);
    if (value === undefined) throw new NfctError("missing value for this timeout");
    const number = Number.parseInt(value, 10) || 0;
    times.set(found[1], seconds(Math.min(number, 0xffff_ffff)));
  }
  return { family, protocol, times };
}

function applyTimes(timeouts: Timeouts, times: Times["times"]): void {
  for (const [name, time] of times) if (isTimeoutName(name)) timeouts[name] = time;
}

function namedPolicy([name]: readonly string[], ns: NetworkNamespace): TimeoutPolicy {
  if (name === undefined) throw new NfctError("missing timeout policy name");
  const policy = timeoutPolicies(ns).get(name);
  if (policy === undefined) throw new NfctError("netlink error: No such file or directory");
  return policy;
}

function remove(args: readonly string[], ns: NetworkNamespace): string {
  const policy = namedPolicy(args, ns);
  if (isUsed(policy, ns)) throw new NfctError("netlink error: Device or resource busy");
  drop(policy, ns);
  return "";
}

/** Policies that rules use stay. */
function flush(_: readonly string[], ns: NetworkNamespace): string {
  for (const policy of [...timeoutPolicies(ns).values()]) if (!isUsed(policy, ns)) drop(policy, ns);
  return "";
}

/** Connections that had its times have the namespace's again. Mirrors ctnl_untimeout(). */
function drop(policy: TimeoutPolicy, ns: NetworkNamespace): void {
  timeoutPolicies(ns).delete(policy.name);
  for (const { ext } of conntrack(ns).entries())
    if (ext?.timeouts === policy.timeouts) ext.timeouts = undefined;
}

/** Whether a rule names it. */
function isUsed({ name }: TimeoutPolicy, ns: NetworkNamespace): boolean {
  return (["ipv4", "ipv6"] as const)
    .flatMap((family) =>
      (["nft", "legacy"] as const).map((variant) => rulesetOf(ns, family, variant)),
    )
    .flatMap((ruleset) => [...allRules(ruleset)])
    .some(({ rule: { spec } }) => {
      const { action } = spec;
      const text =
        action.kind === "target" && action.target.extension.name === "CT" ? action.target.text : "";
      return ` ${text} `.includes(` --timeout ${name} `);
    });
}

function defaultGet(args: readonly string[], ns: NetworkNamespace): string {
  const { family, protocol } = readTimes(args.slice(0, 2));
  return formatTimes(family, protocol, conntrack(ns).settings.timeouts);
}

function defaultSet(args: readonly string[], ns: NetworkNamespace): string {
  applyTimes(conntrack(ns).settings.timeouts, readTimes(args).times);
  return "";
}
