import type { Endpoint } from "./endpoints.js";
import type { ServiceObjects } from "./service-state.js";

/** One connection of a node's conntrack table, as far as the cleanup looks at it. */
export interface TrackedFlow {
  readonly protocol: "udp" | "other";
  /** Where the first packet was sent: `10.96.0.10`. */
  readonly destination: string;
  readonly destinationPort: number;
  /** Who answers: the address that the destination was translated to. */
  readonly replySource: string;
}

/** The endpoints that UDP traffic to a place may be at, by address. */
type Serving = ReadonlySet<string>;

/**
 * The `conntrack` commands by which kube-proxy forgets UDP flows to its Services that are with no serving endpoint: packets
 * of such a flow would go on to where it was. A Service without serving endpoints keeps its flows, and neither readiness,
 * termination nor traffic policies count: only that the endpoint serves. TCP is left alone, as its ends find out themselves.
 * Mirrors pkg/proxy/conntrack/cleanup.go:CleanStaleEntries().
 */
export function conntrackCleanup(
  objects: ServiceObjects,
  flows: readonly TrackedFlow[],
): readonly (readonly string[])[] {
  const { byAddress, byNodePort } = frontends(objects);
  const commands = new Map<string, readonly string[]>();
  const forget = (...match: readonly string[]): void => {
    const family = objects.family === 6 ? ["-f", "ipv6"] : [];
    const argv = ["conntrack", "-D", ...family, "-p", "udp", ...match];
    commands.set(argv.join(" "), argv);
  };
  for (const { protocol, destination, destinationPort, replySource } of flows) {
    if (protocol !== "udp") continue;
    const port = String(destinationPort);
    const serving = byAddress.get(`${destination} ${port}`);
    if (serving !== undefined && !serving.has(replySource))
      forget("--orig-dst", destination, "--dport", port, "--reply-src", replySource);
    const onNode = byNodePort.get(destinationPort);
    if (onNode !== undefined && !onNode.has(replySource))
      forget("--dport", port, "--reply-src", replySource);
  }
  return [...commands.values()];
}

/** Where UDP Services that have a serving endpoint are reached: by address and port, and by node port. */
function frontends({ ports, endpoints }: ServiceObjects): {
  readonly byAddress: ReadonlyMap<string, Serving>;
  readonly byNodePort: ReadonlyMap<number, Serving>;
} {
  const byAddress = new Map<string, Serving>();
  const byNodePort = new Map<number, Serving>();
  for (const port of ports.filter(({ protocol }) => protocol === "udp")) {
    const serving = servingOf(endpoints.get(port.key) ?? []);
    if (serving.size === 0) continue;
    for (const { address } of [port.clusterIP, ...port.loadBalancerIPs, ...port.externalIPs])
      byAddress.set(`${address.text} ${port.port}`, serving);
    if (port.nodePort !== 0) byNodePort.set(port.nodePort, serving);
  }
  return { byAddress, byNodePort };
}

function servingOf(endpoints: readonly Endpoint[]): Serving {
  return new Set(endpoints.filter(({ serving }) => serving).map(({ address }) => address.text));
}
