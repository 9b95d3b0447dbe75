import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import type { Recording } from "../core/recording.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { Simulation } from "../core/simulation.js";
import type { TraceEvent } from "../core/trace.js";
import { addressesOf } from "../inet/addresses.js";
import { addresses6Of } from "../inet/ipv6/addresses.js";
import {
  formatIp,
  type IpAddress,
  isIpv4Loopback,
  isIpv6LinkLocal,
  parseIpv4,
  parseIpv6,
} from "../wire/ip.js";
import { buildLab, settleIpv6 } from "./build.js";
import { chainsAtRest } from "./chain-rules.js";
import { usesIpv6 } from "./lab.js";
import { sendRequest } from "./send.js";
import type { TraceRequest } from "./trace.js";
import type { LabWorld } from "./world.js";

/** Sends one request in a lab: SRC is a namespace, DST an address or a namespace, with a port. Throws UserError. */
export function traceInLab({ lab, name }: LabWorld, request: TraceRequest): Recording {
  const sim = buildLab(lab, request.seed);
  if (usesIpv6(lab)) settleIpv6(sim);
  const ns = namespaceCalled(sim, request.source, name);
  const { address, device, port } = destinationOf(sim, request, name);
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  request.decider?.begin(sim);
  sendRequest(ns, { ...request, address, device, port, data: new TextEncoder().encode("hopwise") });
  sim.trace = undefined;
  return {
    world: name,
    seed: request.seed,
    proxy: undefined,
    request: {
      ...request,
      sourceNs: ns.name,
      sourceAddress: formatIp(
        firstAddress(ns, typeof address === "number" ? "number" : "bigint") ?? address,
      ),
      address: formatIp(address),
      port,
    },
    lookup: undefined,
    lookupEvents: [],
    events,
    names: new Map(),
    makers: new Map(),
    chain: chainsAtRest(sim),
    notes: [],
    unknown: [],
    oneWay: request.oneWay,
  };
}

function destinationOf(
  sim: Simulation,
  { destination, protocol }: TraceRequest,
  world: string,
): {
  readonly address: IpAddress;
  readonly device: string | undefined;
  readonly port: number;
} {
  // An IPv6 address stands in brackets before a port, as in a URL; alone it may stand bare.
  const [, literal, host = literal ?? destination, digits] =
    /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(destination) ?? [];
  const port = Number(digits ?? 0);
  if (protocol !== "icmp" && (port < 1 || port > 65_535)) {
    throw new UserError("PORT_MISSING", `"${destination}" names no port`, {
      help: `say ADDRESS:PORT, or --proto icmp`,
    });
  }
  const [bare = "", device] = host.split("%");
  const address =
    parseIpv4(host) ??
    parseIpv6(bare) ??
    firstAddress(namespaceCalled(sim, host, world), undefined);
  if (address === undefined) {
    throw new UserError("LAB_ADDRESS", `the namespace "${host}" has no address`);
  }
  return { address, device, port: protocol === "icmp" ? 0 : port };
}

/** The namespace's first address that is not a loopback one; of IPv6 one that is not link-local either. */
function firstAddress(
  ns: NetworkNamespace,
  family: "number" | "bigint" | undefined,
): IpAddress | undefined {
  const devices = [...ns.devices.values()].filter(({ isLoopback }) => !isLoopback);
  const addresses: readonly IpAddress[] = [
    ...devices.flatMap((dev) => addressesOf(dev).map(({ local }) => local)),
    ...devices.flatMap((dev) => addresses6Of(dev).map(({ address }) => address)),
  ];
  return addresses.find(
    (address) =>
      (family === undefined || typeof address === family) &&
      (typeof address === "number" ? !isIpv4Loopback(address) : !isIpv6LinkLocal(address)),
  );
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
