import type { IpFamily } from "./addresses.js";
import { always, type RenderedText } from "./rendered-text.js";
import { restoreText, RestoreTable } from "./restore-text.js";

/** A jump from a built-in chain that kube-proxy makes sure of at each full sync. */
interface Jump {
  readonly table: "filter" | "nat";
  readonly from: string;
  readonly to: string;
  readonly comment: string;
  /** Only for the first packet of a connection. */
  readonly onlyNew: boolean;
}

const PORTALS = "kubernetes service portals";
const EXTERNAL_PORTALS = "kubernetes externally-visible service portals";
const LOAD_BALANCER = "kubernetes load balancer firewall";

/** In the order they are made. Each goes to the top of its chain, so the last one made is read first. */
const JUMPS: readonly Jump[] = [
  {
    table: "filter",
    from: "INPUT",
    to: "KUBE-EXTERNAL-SERVICES",
    comment: EXTERNAL_PORTALS,
    onlyNew: true,
  },
  {
    table: "filter",
    from: "FORWARD",
    to: "KUBE-EXTERNAL-SERVICES",
    comment: EXTERNAL_PORTALS,
    onlyNew: true,
  },
  {
    table: "filter",
    from: "INPUT",
    to: "KUBE-NODEPORTS",
    comment: "kubernetes health check service ports",
    onlyNew: false,
  },
  { table: "filter", from: "FORWARD", to: "KUBE-SERVICES", comment: PORTALS, onlyNew: true },
  { table: "filter", from: "OUTPUT", to: "KUBE-SERVICES", comment: PORTALS, onlyNew: true },
  {
    table: "filter",
    from: "FORWARD",
    to: "KUBE-FORWARD",
    comment: "kubernetes forwarding rules",
    onlyNew: false,
  },
  {
    table: "filter",
    from: "INPUT",
    to: "KUBE-PROXY-FIREWALL",
    comment: LOAD_BALANCER,
    onlyNew: true,
  },
  {
    table: "filter",
    from: "OUTPUT",
    to: "KUBE-PROXY-FIREWALL",
    comment: LOAD_BALANCER,
    onlyNew: true,
  },
  {
    table: "filter",
    from: "FORWARD",
    to: "KUBE-PROXY-FIREWALL",
    comment: LOAD_BALANCER,
    onlyNew: true,
  },
  { table: "nat", from: "OUTPUT", to: "KUBE-SERVICES", comment: PORTALS, onlyNew: false },
  { table: "nat", from: "PREROUTING", to: "KUBE-SERVICES", comment: PORTALS, onlyNew: false },
  {
    table: "nat",
    from: "POSTROUTING",
    to: "KUBE-POSTROUTING",
    comment: "kubernetes postrouting rules",
    onlyNew: false,
  },
];

/** kube-proxy and kubelet both make these two; whoever comes first. */
const FIREWALL_JUMPS: readonly string[] = [
  "-I INPUT -j KUBE-FIREWALL",
  "-I OUTPUT -j KUBE-FIREWALL",
];

/**
 * What kube-proxy's first full sync does besides its restore, as `iptables-restore --noflush` text: canary chains, and the
 * jumps from built-in chains, each inserted at the top as `iptables -I` does. Give it before `renderIptables`, and once: a later
 * sync finds the jumps there. `kubeletFirst` says that kubelet has already made the jumps to KUBE-FIREWALL (IPv4 only).
 * Mirrors pkg/proxy/iptables/proxier.go:iptablesJumpChains.
 */
export function renderProxyJumps(family: IpFamily, kubeletFirst: boolean): RenderedText {
  const tables = {
    mangle: new RestoreTable("mangle"),
    nat: new RestoreTable("nat"),
    filter: new RestoreTable("filter"),
  };
  const canary = always(
    "a chain that vanishes when someone flushes the table; kube-proxy then writes everything anew",
  );
  for (const table of Object.values(tables)) table.chain("KUBE-PROXY-CANARY", canary);
  for (const name of ["filter", "nat"] as const) {
    const targets = JUMPS.filter(({ table }) => table === name).map(({ to }) => to);
    for (const to of new Set(targets)) tables[name].chain(to, always("a chain of kube-proxy"));
  }
  for (const { table, from, to, comment, onlyNew } of JUMPS) {
    const state = onlyNew ? " -m conntrack --ctstate NEW" : "";
    tables[table].rule(
      `-I ${from}${state} -m comment --comment "${comment}" -j ${to}`,
      always(`sends ${from} to ${to}`),
    );
  }
  if (family === 6 || !kubeletFirst) {
    tables.filter.chain("KUBE-FIREWALL", always("a chain that kubelet and kube-proxy share"));
    for (const rule of FIREWALL_JUMPS) tables.filter.rule(rule, always("the guard of 127.0.0.0/8"));
  }
  return restoreText([tables.mangle, tables.nat, tables.filter]);
}
