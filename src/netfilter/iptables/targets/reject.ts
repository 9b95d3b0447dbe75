import { rejectPacket, type RejectWith } from "../../reject.js";
import type { RuleFamily } from "../addresses.js";
import { type TargetExtension, defineTarget } from "../extension.js";
import { option, type OptionUse } from "../options.js";
import { refuse } from "../refusal.js";

interface RejectName {
  readonly name: string;
  readonly alias: string;
  readonly with: RejectWith;
}

const row = (name: string, alias: string, type: number, code: number): RejectName => ({
  name,
  alias,
  with: { kind: "icmp", type, code },
});
const RESET: RejectName = { name: "tcp-reset", alias: "tcp-rst", with: { kind: "tcp-reset" } };

/** In table order: the first that begins with what was typed is meant. */
const NAMES: Readonly<Record<RuleFamily, readonly RejectName[]>> = {
  ipv4: [
    row("icmp-net-unreachable", "net-unreach", 3, 0),
    row("icmp-host-unreachable", "host-unreach", 3, 1),
    row("icmp-proto-unreachable", "proto-unreach", 3, 2),
    row("icmp-port-unreachable", "port-unreach", 3, 3),
    row("icmp-net-prohibited", "net-prohib", 3, 9),
    row("icmp-host-prohibited", "host-prohib", 3, 10),
    RESET,
    row("icmp-admin-prohibited", "admin-prohib", 3, 13),
  ],
  ipv6: [
    row("icmp6-no-route", "no-route", 1, 0),
    row("icmp6-adm-prohibited", "adm-prohibited", 1, 1),
    row("icmp6-addr-unreachable", "addr-unreach", 1, 3),
    row("icmp6-port-unreachable", "port-unreach", 1, 4),
    RESET,
    row("icmp6-policy-fail", "policy-fail", 1, 5),
    row("icmp6-reject-route", "reject-route", 1, 6),
  ],
};

const WITH = option("reject-with", readName);

/** `-j REJECT`: drops the packet and tells its sender. */
export const reject: TargetExtension = defineTarget<RejectName>({
  name: "REJECT",
  mirrors:
    "net/ipv4/netfilter/ipt_REJECT.c:reject_tg(), net/ipv6/netfilter/ip6t_REJECT.c:reject_tg6()",
  fidelity: "exact",
  examples: [
    "--reject-with icmp-port-unreachable",
    "--reject-with icmp-admin-prohibited",
    "-p tcp|--reject-with tcp-reset",
  ],
  options: [WITH],
  only: { tables: ["filter"], hooks: ["INPUT", "FORWARD", "OUTPUT"] },
  parse: (args, { family }) =>
    args.value(WITH) ?? NAMES[family].find(({ alias }) => alias === "port-unreach") ?? RESET,
  format: ({ name }) => `--reject-with ${name}`,
  refuses: (params, { protocol }) =>
    params.with.kind === "tcp-reset" && (protocol?.number !== 6 || protocol.invert)
      ? "Invalid argument"
      : undefined,
  apply: (params, skb, state) => rejectPacket(skb, state, params.with),
});

function readName(text: string, { context }: OptionUse): RejectName {
  const names = NAMES[context.family];
  const found = names.find(
    ({ name, alias }) =>
      name.startsWith(text.toLowerCase()) || alias.startsWith(text.toLowerCase()),
  );
  if (found !== undefined) return found;
  const warnings =
    text === "echo-reply" || text === "echoreply"
      ? [`--reject-with ${text} no longer supported`]
      : [];
  throw refuse(`unknown reject type "${text}"`, { warnings });
}
