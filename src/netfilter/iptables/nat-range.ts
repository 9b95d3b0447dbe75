import type { NatRange } from "../nat/range.js";
import type { RuleFamily } from "./addresses.js";
import { formatAddress, parseAddress } from "./addresses.js";
import type { ParseContext } from "./extension.js";
import { parseNumber } from "./numbers.js";
import type { OptionUse } from "./options.js";
import { refuse } from "./refusal.js";
import { servicePort } from "./services.js";

/** The text of `--to-destination` and `--to-source`, and of `--to-ports`. */

const PORT_PROTOCOLS: readonly number[] = [1, 6, 17, 33, 58, 132, 136];

/** Ports in a NAT rule need a protocol that has some. */
export function checkPortProtocol({ protocol }: ParseContext): void {
  if (protocol === undefined || protocol.invert || !PORT_PROTOCOLS.includes(protocol.number)) {
    throw refuse("Need TCP, UDP, SCTP or DCCP with port specification");
  }
}

/** `[A[-B]][:P[-Q[/BASE]]]`; IPv6 addresses stand in brackets before ports. Mirrors extensions/libxt_NAT.c:parse_to(). */
export function parseNatTo(text: string, use: OptionUse): NatRange {
  const { family } = use.context;
  const colon = family === "ipv6" ? portColonV6(text) : text.indexOf(":");
  let addresses = colon < 0 ? text : text.slice(0, colon);
  const range: NatRange = colon < 0 ? {} : parsePorts(text.slice(colon + 1), use, "DNAT");
  if (family === "ipv6" && addresses.startsWith("["))
    addresses = addresses.slice(1, addresses.endsWith("]") ? -1 : undefined);
  return addresses === "" ? range : { ...range, addresses: parseAddresses(addresses, family) };
}

/** The colon before the ports: behind a bracket, or at the start. */
function portColonV6(text: string): number {
  if (text.startsWith(":") && !text.startsWith("::")) return 0;
  if (!text.startsWith("[")) return -1;
  const bracket = text.indexOf("]");
  const colon = text.indexOf(":", bracket + 1);
  return bracket < 0 ? -1 : colon;
}

function parseAddresses(text: string, family: RuleFamily): NonNullable<NatRange["addresses"]> {
  const dash = text.indexOf("-");
  const read = (part: string): NonNullable<NatRange["addresses"]>["low"] => {
    const address = parseAddress(part, family);
    if (address === undefined) throw refuse(`Bad IP address "${part}"`);
    return address;
  };
  const low = read(dash < 0 ? text : text.slice(0, dash));
  return { low, high: dash < 0 ? low : read(text.slice(dash + 1)) };
}

/** `P[-Q[/BASE]]`. Mirrors extensions/libxt_NAT.c:parse_ports(). */
export function parsePorts(
  text: string,
  use: OptionUse,
  kind: "DNAT" | "plain" = "plain",
): NatRange {
  checkPortProtocol(use.context);
  const name = /^[A-Za-z]/.test(text) ? servicePort(text, use.context.protocol?.number) : undefined;
  if (name !== undefined) return { ports: { low: name, high: name } };
  const [, first = "", rest = ""] = /^(\w*)(.*)$/s.exec(text) ?? [];
  const low = parseNumber(first, 0, 65_535);
  if (low === undefined) throw refuse(`Port \`${text}' not valid`);
  if (rest === "") return { ports: { low, high: low } };
  if (!rest.startsWith("-")) throw refuse(`Garbage after port value: \`${rest}'`);
  const [, second = "", base = ""] = /^-(\w*)(.*)$/s.exec(rest) ?? [];
  const high = parseNumber(second, 0, 65_535);
  if (high === undefined) throw refuse(`Port \`${rest.slice(1)}' not valid`);
  if (high < low) throw refuse(`Port range \`${rest.slice(1)}' funky`);
  if (base === "") return { ports: { low, high } };
  if (kind !== "DNAT" || !base.startsWith("/"))
    throw refuse(`Garbage after port range: \`${base}'`);
  const basePort = parseNumber(base.slice(1), 1, 65_535);
  if (basePort === undefined) throw refuse(`Port \`${base.slice(1)}' not valid`);
  return { ports: { low, high }, basePort };
}

/** `A-B:P-Q/BASE`, each part as far as it is there. */
export function formatNatTo({ addresses, ports, basePort }: NatRange): string {
  const span = addresses === undefined ? "" : formatSpan(addresses);
  const bracketed = ports !== undefined && typeof addresses?.low === "bigint" ? `[${span}]` : span;
  return `${bracketed}${ports === undefined ? "" : `:${formatPorts({ ports, basePort })}`}`;
}

function formatSpan({ low, high }: NonNullable<NatRange["addresses"]>): string {
  return low === high ? formatAddress(low) : `${formatAddress(low)}-${formatAddress(high)}`;
}

export function formatPorts({ ports, basePort }: Pick<NatRange, "ports" | "basePort">): string {
  if (ports === undefined) return "";
  const base = basePort === undefined ? "" : `/${basePort}`;
  return ports.low === ports.high ? String(ports.low) : `${ports.low}-${ports.high}${base}`;
}

/** The flags in the order they are printed. */
export function formatNatFlags({ random, randomFully, persistent }: NatRange): readonly string[] {
  const words: string[] = [];
  if (random === true) words.push("--random");
  if (randomFully === true) words.push("--random-fully");
  if (persistent === true) words.push("--persistent");
  return words;
}
