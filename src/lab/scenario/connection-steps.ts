import { UserError } from "../../base/errors.js";
import type { Recording } from "../../core/recording.js";
import type { NetworkNamespace } from "../../core/namespace.js";
import { formatHostPort } from "../../inet/socket-trace.js";
import type { SentOnStep } from "../../core/scenario-recording.js";
import type { TraceEvent } from "../../core/trace.js";
import { later, type Micros, milliseconds } from "../../sim/time.js";
import { formatIp, type IpAddress, parseIpv4, parseIpv6 } from "../../wire/ip.js";
import { chainRules } from "../chain-rules.js";
import { parseDestination, parseSource, type Source } from "../endpoints.js";
import { policiesNotRendered } from "../policies.js";
import {
  fromOutside,
  isOutside,
  lookUp,
  namesOf,
  onlyFamily,
  openOutside,
  sourceAddressFor,
  sourceNamespace,
} from "../trace.js";
import { actAndWait, type Connection, openConnection } from "./connections.js";
import type { LivingCluster } from "./living-cluster.js";
import { placed } from "./placed.js";
import type { Action, ConnectionRequest, ScenarioStep } from "./scenario.js";

/** A connection of the scenario, and what is told of it. */
interface OpenConnection {
  readonly ns: NetworkNamespace;
  readonly socket: Connection;
  readonly request: ConnectionRequest;
  /** The address it sends from. */
  readonly source: IpAddress;
  readonly address: IpAddress;
  readonly port: number;
}

type Of<K extends Action["kind"]> = Extract<Action, { readonly kind: K }>;

/** The steps that send, and the connections that are open between them. */
export class ConnectionSteps {
  readonly #living: LivingCluster;
  readonly #seed: number;
  readonly #connections = new Map<string, OpenConnection>();
  readonly #names = new Map<string, string>();
  /** The host outside, when there is one. */
  #outside: IpAddress | undefined;

  constructor(living: LivingCluster, seed: number) {
    this.#living = living;
    this.#seed = seed;
  }

  /** Every connection there was, by the namespace and name of its socket. */
  names(): ReadonlyMap<string, string> {
    return new Map(this.#names);
  }

  /** Opens a connection, or makes a request of its own. */
  open(
    action: Of<"open"> | Of<"request">,
    step: ScenarioStep,
    events: readonly TraceEvent[],
  ): SentOnStep {
    const { request } = action;
    const { from, to, protocol } = request;
    const { cluster, world } = this.#living;
    const name = action.kind === "open" ? action.name : undefined;
    const source = placed(step.detailsOf("from"), () => parseSource(from, cluster, world.name));
    const found = placed(step.detailsOf("to"), () =>
      parseDestination(to, cluster, world.name, protocol, onlyFamily(source)),
    );
    const destination = source.kind === "outside" ? fromOutside(found, to, cluster) : found;
    const ns = this.#namespaceOf(source, step);
    let address: IpAddress | undefined;
    let lookup: Recording["lookup"];
    const lookupEvents: TraceEvent[] = [];
    if (destination.kind === "address") address = destination.address;
    else {
      lookup = this.#lookUp(ns, source, destination.name, lookupEvents);
      const found = lookup?.address ?? "";
      address = parseIpv4(found) ?? parseIpv6(found);
    }
    const own = sourceAddressFor(source, address);
    const target = { protocol, port: destination.port, sourcePort: request.sourcePort };
    const first = events.length;
    let socket: Connection | undefined;
    let state: string | undefined;
    if (address !== undefined) {
      if (source.kind !== "outside" && isOutside(address, cluster))
        openOutside(this.#living.live, cluster, address);
      socket = openConnection(ns, { ...target, address });
      const opened = socket;
      actAndWait(ns, opened, request.patience, () =>
        protocol === "tcp" ? undefined : opened.send(bytes(request.data)),
      );
      state = opened.state;
      if (name === undefined) opened.close();
      else {
        const { port } = destination;
        const open = { ns, socket: opened, request, source: own, address, port };
        this.#connections.set(name, open);
        this.#names.set(`${ns.name} ${socketName(open)}`, name);
      }
    }
    const told = { ns, request, source: own, address, port: destination.port, socket };
    return {
      connection: name,
      recording: { ...this.#recording(told, events.slice(first)), lookup, lookupEvents },
      state,
    };
  }

  #lookUp(
    ns: NetworkNamespace,
    source: Source,
    name: string,
    events: TraceEvent[],
  ): Recording["lookup"] {
    const { live, world, cluster } = this.#living;
    const { trace } = this.#living.sim;
    const found = lookUp(
      live,
      { ...world, cluster },
      ns,
      source,
      { name, seed: this.#seed, family: onlyFamily(source) },
      events,
    );
    this.#living.sim.trace = trace;
    return found;
  }

  send(
    { name, data, patience }: Of<"send">,
    events: readonly TraceEvent[],
  ): SentOnStep | undefined {
    const open = this.#connections.get(name);
    if (open === undefined) return undefined;
    const first = events.length;
    actAndWait(open.ns, open.socket, patience, () => open.socket.send(bytes(data)));
    return this.#sent(name, open, events.slice(first));
  }

  close({ name }: Of<"close">, events: readonly TraceEvent[]): SentOnStep | undefined {
    const open = this.#connections.get(name);
    if (open === undefined) return undefined;
    this.#connections.delete(name);
    const first = events.length;
    open.socket.close();
    this.#living.sim.runUntilIdle(later(this.#living.sim.queue.now, CLOSING));
    return this.#sent(name, open, events.slice(first));
  }

  #sent(name: string, open: OpenConnection, events: readonly TraceEvent[]): SentOnStep {
    return { connection: name, recording: this.#recording(open, events), state: open.socket.state };
  }

  /** What a step sent as `hopwise trace` would tell it. */
  #recording(
    {
      ns,
      request,
      source,
      address,
      port,
      socket,
    }: Omit<OpenConnection, "address" | "socket"> & {
      readonly address: IpAddress | undefined;
      readonly socket: Connection | undefined;
    },
    events: readonly TraceEvent[],
  ): Recording {
    const { world, cluster, makers, sim } = this.#living;
    return {
      world: world.name,
      seed: this.#seed,
      proxy: "iptables",
      request: {
        source: request.from,
        destination: request.to,
        protocol: request.protocol,
        sourceNs: ns.name,
        sourceAddress: formatIp(source),
        sourcePort: socket?.sourcePort ?? request.sourcePort,
        address: address === undefined ? undefined : formatIp(address),
        port,
      },
      lookup: undefined,
      lookupEvents: [],
      events,
      names: namesOf(cluster),
      makers,
      chain: (where, table, chain, engine) => chainRules(sim, where, table, chain, engine),
      notes: [],
      unknown: policiesNotRendered(cluster, events),
      oneWay: false,
    };
  }

  #namespaceOf(source: Source, step: ScenarioStep): NetworkNamespace {
    if (source.kind === "inside")
      return sourceNamespace(this.#living.live, this.#living.cluster, source);
    const known = this.#living.sim.namespaces.get("outside");
    if (known !== undefined && this.#outside === source.address) return known;
    if (known !== undefined)
      throw new UserError(
        "SCENARIO_OUTSIDE",
        "one host outside is modelled in a scenario, and this is another",
        {
          ...step.detailsOf("from"),
          help: this.#outside === undefined ? undefined : `the first is ${formatIp(this.#outside)}`,
        },
      );
    this.#outside = source.address;
    return placed(step.detailsOf("from"), () =>
      sourceNamespace(this.#living.live, this.#living.cluster, source),
    );
  }
}

/** As its events call it. */
function socketName({ request, source, socket, address, port }: OpenConnection): string {
  const from = formatHostPort(source, socket.sourcePort);
  return `${request.protocol} ${from} > ${formatHostPort(address, port)}`;
}

/** How long a closed connection is watched. */
const CLOSING: Micros = milliseconds(50);

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
