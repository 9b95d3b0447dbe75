import { matchWords, type Protocol, type RulePlace } from "./matches.js";
import type { Network } from "./network.js";
import { HOOKS } from "./ruleset.js";
import { targetWords } from "./targets.js";

/** Gives some namespaces rulesets: routers nearly always. */
export function addRules(network: Network): void {
  const { choose } = network;
  for (const ns of network.namespaces) {
    const share = network.routers.includes(ns) ? 0.85 : network.of(ns).length === 0 ? 0.4 : 0.3;
    if (network.addresses.length === 0 || !choose.chance(share)) continue;
    const tables = (Object.keys(HOOKS) as readonly RulePlace["table"][]).filter((table) =>
      choose.chance({ raw: 0.25, mangle: 0.35, nat: 0.55, filter: 0.65, security: 0.05 }[table]),
    );
    const rules = tables.flatMap((table) => tableLines(network, ns, table));
    if (rules.length > 0) network.commands.push({ ns, run: "iptables-restore", rules });
  }
}

function tableLines(network: Network, ns: string, table: RulePlace["table"]): readonly string[] {
  const { choose } = network;
  const chains = choose.chance(0.5) ? ["A", "B", "C"].slice(0, choose.between(1, 3)) : [];
  const policy = (): string => (table !== "nat" && choose.chance(0.06) ? "DROP" : "ACCEPT");
  const rules: string[] = [];
  for (const hook of HOOKS[table])
    if (choose.chance(0.6))
      rules.push(...choose.times(1, 4, () => ruleLine({ network, ns, table, hook }, hook, chains)));
  for (const [index, chain] of chains.entries())
    rules.push(
      ...choose.times(1, 3, () =>
        ruleLine({ network, ns, table, hook: undefined }, chain, chains.slice(index + 1)),
      ),
    );
  return [
    `*${table}`,
    ...HOOKS[table].map((hook) => `:${hook} ${policy()} [0:0]`),
    ...chains.map((chain) => `:${chain} - [0:0]`),
    ...rules,
    "COMMIT",
  ];
}

function ruleLine(place: RulePlace, chain: string, chains: readonly string[]): string {
  const { choose } = place.network;
  const protocol: Protocol = choose.one([undefined, undefined, "tcp", "tcp", "udp", "icmp"]);
  const target = targetWords(place, protocol, chains);
  // tcp-reset is refused without -p tcp, and what counts packets makes hidden order visible: both are wanted.
  return ["-A", chain, ...matchWords(place, protocol, true), target]
    .filter((word) => word !== "")
    .join(" ");
}
