import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import type { Recording } from "../core/recording.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { Simulation } from "../core/simulation.js";
import type { TraceEvent } from "../core/trace.js";
import { addressesOf } from "../inet/addresses.js";
import { formatIpv4, type Ipv4, isIpv4Loopback, parseIpv4 } from "../wire/ip.js";
import { buildLab } from "./build.js";
import { chainRules } from "./chain-rules.js";
import { sendRequest } from "./send.js";
import type { TraceRequest } from "./trace.js";
import type { LabWorld } from "./world.js";

/** Sends one request in a lab: SRC is a namespace, DST an address or a namespace, with a port. Throws UserError. */
export function traceInLab({ lab, name }: LabWorld, request: TraceRequest): Recording {
  const sim = buildLab(lab, request.seed);
  const ns = namespaceCalled(sim, request.source, name);
  const { address, port } = destinationOf(sim, request, name);
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  request.decider?.begin(sim);
  sendRequest(ns, { ...request, address, port, data: new TextEncoder().encode("hopwise") });
  sim.trace = undefined;
  return {
    world: name,
    seed: request.seed,
    proxy: undefined,
    request: {
      ...request,
      sourceNs: ns.name,
      sourceAddress: formatIpv4(firstAddress(ns) ?? address),
      address: formatIpv4(address),
      port,
    },
    lookup: undefined,
    lookupEvents: [],
    events,
    names: new Map(),
    makers: new Map(),
    chain: (where, table, chain) => chainRules(sim, where, table, chain),
    notes: [],
    unknown: [],
    oneWay: request.oneWay,
  };
}

function destinationOf(
  sim: Simulation,
  { destination, protocol }: TraceRequest,
  world: string,
): { readonly address: Ipv4; readonly port: number } {
  const [, host = "", digits] = /^([^:]+)(?::(\d+))?$/.exec(destination) ?? [];
  const port = Number(digits ?? 0);
  if (protocol !== "icmp" && (port < 1 || port > 65_535)) {
    throw new UserError("PORT_MISSING", `"${destination}" names no port`, {
      help: `say ADDRESS:PORT, or --proto icmp`,
    });
  }
  const address = parseIpv4(host) ?? firstAddress(namespaceCalled(sim, host, world));
  if (address === undefined) {
    throw new UserError("LAB_ADDRESS", `the namespace "${host}" has no address`);
  }
  return { address, port: protocol === "icmp" ? 0 : port };
}

/** The namespace's first address that is not a loopback one. */
function firstAddress(ns: NetworkNamespace): Ipv4 | undefined {
  return [...ns.devices.values()]
    .flatMap((dev) => addressesOf(dev).map(({ local }) => local))
    .find((address) => !isIpv4Loopback(address));
}

function namespaceCalled(sim: Simulation, name: string, world: string): NetworkNamespace {
  const ns = sim.namespaces.get(name);
  if (ns !== undefined) return ns;
  const near = nearest(name, sim.namespaces.keys());
  throw new UserError("NAME_UNKNOWN", `no namespace "${name}" in ${world}`, {
    help:
      near === undefined
        ? `there are ${[...sim.namespaces.keys()].join(", ")}`
        : `did you mean ${near}?`,
  });
}
