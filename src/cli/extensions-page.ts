import { pluginOrder } from "../kube/dns/order.js";
import type { Plugin } from "../kube/dns/plugin.js";
import * as settingsOnly from "../kube/dns/plugins/settings-only.js";
import * as unmodelled from "../kube/dns/plugins/unmodelled.js";
import type { ExtensionInfo } from "../netfilter/iptables/extension.js";
import { matches } from "../netfilter/iptables/matches/index.js";
import { targets } from "../netfilter/iptables/targets/index.js";

/** docs/extensions.md: every match, target and DNS plugin with its state, from the registries. */
export function extensionsPage(): string {
  return `# Matches, targets, plugins

How near each comes to the real one. This page is generated from the registries by \`node scripts/generate-docs.mjs\`;
[fidelity.md](fidelity.md) has everything else, and says what is simplified in those that are.

- **exact**: read, printed, checked and evaluated as the pinned tools and kernel do.
- **simplified**: text exact, evaluated with the difference that fidelity.md names.
- **unmodelled**: text exact; a packet that comes to it ends UNKNOWN, with the rule's place.

Each prints its examples back as the real tool does: \`test/netfilter/iptables/extensions.test.ts\`,
\`test/netfilter/iptables/roundtrip.test.ts\`.

## iptables matches (${counts(matches)})

${table(matches)}

## iptables targets (${counts(targets)})

${table(targets)}

## CoreDNS plugins, in the chain's order (${pluginOrder.length})

Each is compared with the recorded answers of the real CoreDNS: \`test/kube/dns/coredns-cases.test.ts\`,
\`test/kube/dns/corefile-cases.test.ts\`.

| plugin | state |
|---|---|
${pluginOrder.map((plugin) => `| \`${plugin.name}\` | ${pluginState(plugin)} |`).join("\n")}
`;
}

function table(extensions: readonly ExtensionInfo[]): string {
  const rows = extensions.map(
    ({ name, family, fidelity, mirrors }) =>
      `| \`${name}\` | ${family ?? "both"} | ${fidelity} | ${mirrors === "" ? "" : `\`${mirrors}\``} |`,
  );
  return ["| name | family | state | mirrors |", "|---|---|---|---|", ...rows].join("\n");
}

function counts(extensions: readonly ExtensionInfo[]): string {
  const count = (state: string): number =>
    extensions.filter(({ fidelity }) => fidelity === state).length;
  return ["exact", "simplified", "unmodelled"]
    .map((state) => `${count(state)} ${state}`)
    .join(", ");
}

function pluginState(plugin: Plugin): string {
  const isIn = (module: object): boolean => Object.values(module).includes(plugin);
  if (isIn(unmodelled))
    return "read; a query that needs it ends UNKNOWN, or it does not touch answers";
  return isIn(settingsOnly) ? "its arguments are checked" : "modelled";
}
