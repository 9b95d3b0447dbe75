import { UserError } from "../base/errors.js";
import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { Simulation } from "../core/simulation.js";
import {
  type Ipv4,
  type Ipv4Prefix,
  type Ipv6,
  type Ipv6Prefix,
  type Mac,
  parseIpv4,
  parseIpv4Prefix,
  parseIpv6,
  parseIpv6Prefix,
  parseMac,
} from "../wire/ip.js";
import { ToolFailure } from "./failure.js";
import { type Words, wrongArgument } from "./words.js";

/** What the options before the object say, and where the command runs. */
export interface IpContext {
  readonly sim: Simulation;
  readonly nsName: string | undefined;
  /** `-4`. */
  readonly inetOnly: boolean;
  /** `-6`. */
  readonly inet6Only: boolean;
  /** `-o`. */
  readonly oneLine: boolean;
  /** `-br`. */
  readonly brief: boolean;
  /** `-d`. */
  readonly details: boolean;
}

/** The namespace a command works on. */
export function namespaceOf(context: IpContext): NetworkNamespace {
  if (context.nsName === undefined) {
    throw new UserError(
      "TOOL_NO_NAMESPACE",
      "this command needs a namespace: only links with `netns` and `ip netns` itself run outside of one",
      {
        help: "use `ip -n NAME …`, or run it in a namespace",
      },
    );
  }
  return openNamespace(context.sim, context.nsName);
}

/** A namespace by name, or iproute2's refusal. */
export function openNamespace(sim: Simulation, name: string): NetworkNamespace {
  const ns = sim.namespaces.get(name);
  if (ns === undefined)
    throw new ToolFailure(
      255,
      `Cannot open network namespace "${name}": No such file or directory\n`,
    );
  return ns;
}

/** A device that a command changes. Mirrors iproute2's nodev(). */
export function deviceOf(ns: NetworkNamespace, name: string): NetDevice {
  const dev = ns.devices.get(name);
  if (dev === undefined) throw new ToolFailure(1, `Cannot find device "${name}"\n`);
  return dev;
}

/** A device that a command shows. */
export function shownDeviceOf(ns: NetworkNamespace, name: string): NetDevice {
  const dev = ns.devices.get(name);
  if (dev === undefined) throw new ToolFailure(1, `Device "${name}" does not exist.\n`);
  return dev;
}

/** Mirrors iproute2's ll_addr_a2n(). */
export function readMac(word: string): Mac {
  const mac = parseMac(word);
  if (mac !== undefined) return mac;
  const bytes = word.split(":").filter((part) => /^[0-9a-f]{1,2}/i.test(part)).length;
  if (bytes === 0) throw new ToolFailure(1, `"${word}" is invalid lladdr.\n`);
  throw new ToolFailure(1, `Invalid address length ${bytes} - must be 6 bytes\n`);
}

/** Mirrors iproute2's get_addr(). */
export function readAddress(word: string, kind = "any valid"): Ipv4 {
  const address = parseIpv4(word);
  if (address === undefined)
    throw new ToolFailure(1, `Error: ${kind} address is expected rather than "${word}".\n`);
  return address;
}

/** Mirrors iproute2's get_prefix(); `default` and `any` are 0.0.0.0/0. */
export function readPrefix(word: string): Ipv4Prefix {
  const prefix =
    word === "default" || word === "any" || word === "all"
      ? parseIpv4Prefix("0.0.0.0/0")
      : parseIpv4Prefix(word);
  if (prefix === undefined)
    throw new ToolFailure(1, `Error: any valid prefix is expected rather than "${word}".\n`);
  return prefix;
}

/** The same for IPv6. */
export function readAddress6(word: string): Ipv6 {
  const address = parseIpv6(word);
  if (address === undefined)
    throw new ToolFailure(1, `Error: inet6 address is expected rather than "${word}".\n`);
  return address;
}

/** The same for IPv6; `default` and `any` are ::/0. */
export function readPrefix6(word: string): Ipv6Prefix {
  const prefix = parseIpv6Prefix(
    word === "default" || word === "any" || word === "all" ? "::/0" : word,
  );
  if (prefix === undefined)
    throw new ToolFailure(1, `Error: inet6 prefix is expected rather than "${word}".\n`);
  return prefix;
}

/** Whether a command is about IPv6: `-6` says so, or an address among its words. */
export function isAboutIpv6(words: Words, context: IpContext): boolean {
  if (context.inet6Only || context.inetOnly) return context.inet6Only;
  return words
    .remaining()
    .some((word) => word.includes(":") && parseIpv6Prefix(word) !== undefined);
}

/** A name that a device may have; for a bare word the kernel has the last say on the length. Mirrors iproute2's check_ifname() and check_altifname(). */
export function checkDeviceName(name: string, key: "dev" | "name"): string {
  const limit = key === "dev" ? 127 : 15;
  if (name === "" || name.length > limit || /[/\s]/.test(name))
    throw wrongArgument(name, `"${key}" not a valid ifname`);
  return name;
}
