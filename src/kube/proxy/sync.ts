import { endpointGates } from "./cluster-settings.js";
import type { ProxyConfig } from "./config.js";
import type { Endpoint } from "./endpoints.js";
import { renderIptables } from "./iptables.js";
import type { ProxyNode } from "./node.js";
import { always, type LineOrigin, type RenderedText } from "./rendered-text.js";
import type { ServicePort } from "./service-port.js";
import { serviceState, type ServiceObjects } from "./service-state.js";

/** What happened to the services between two syncs. */
export interface ServiceChanges {
  /** `namespace/name` of Services of which a port or an endpoint was added, changed or taken away. */
  readonly services: ReadonlySet<string>;
  /** The endpoints of a UDP port changed: stale connections may be left. */
  readonly udpEndpoints: boolean;
}

/** Mirrors pkg/proxy/servicechangetracker.go and endpointschangetracker.go: what Update() of both reports. */
export function serviceChanges(before: ServiceObjects, after: ServiceObjects): ServiceChanges {
  const services = new Set<string>();
  let udpEndpoints = false;
  for (const name of changedKeys(portTexts(before.ports), portTexts(after.ports)))
    services.add(name);
  for (const key of changedKeys(endpointTexts(before.endpoints), endpointTexts(after.endpoints))) {
    services.add(key.slice(0, key.indexOf(":")));
    if (key.endsWith("/udp")) udpEndpoints = true;
  }
  return { services, udpEndpoints };
}

function changedKeys(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter(
    (key) => before.get(key) !== after.get(key),
  );
}

/** By `namespace/name` of the Service. */
function portTexts(ports: readonly ServicePort[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const port of ports) {
    const name = `${port.object.namespace}/${port.object.name}`;
    texts.set(name, `${texts.get(name) ?? ""}${textOf(port)}\n`);
  }
  return texts;
}

/** By port key. Which slice an endpoint stands in tells nothing of it; a port without endpoints is no change. */
function endpointTexts(
  endpoints: ReadonlyMap<string, readonly Endpoint[]>,
): ReadonlyMap<string, string> {
  return new Map(
    [...endpoints]
      .filter(([, list]) => list.length > 0)
      .map(([key, list]) => [
        key,
        textOf(list.map(({ object: _object, ...endpoint }) => endpoint)),
      ]),
  );
}

/** A value as text that compares; bits of IPv6 addresses are no JSON. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "bigint" ? String(part) : part,
  );
}

/** Chains that belong to one Service; the others are written at every sync. */
const OF_A_SERVICE = /^KUBE-(?:SVC|SVL|EXT|FW|SEP)-/;

/**
 * What kube-proxy in iptables mode gives to `iptables-restore --noflush --counters` at a later sync: chains of Services
 * that did not change are left out, so that their counters go on; chains that nobody wants any more are flushed and
 * deleted. Mirrors pkg/proxy/iptables/proxier.go:syncProxyRules() with tryPartialSync.
 */
export function renderIptablesSync(
  before: ServiceObjects,
  after: ServiceObjects,
  node: ProxyNode,
  config: ProxyConfig,
): RenderedText {
  const { services } = serviceChanges(before, after);
  const gates = endpointGates(config);
  const render = (objects: ServiceObjects): readonly Line[] =>
    linesOf(renderIptables(serviceState(objects, node, gates), node, config));
  const old = render(before);
  const wanted = render(after);
  const declared = new Set(wanted.flatMap(({ declares }) => declares ?? []));
  const stale = old.filter(
    ({ declares, ofService }) => declares !== undefined && ofService && !declared.has(declares),
  );
  const kept = wanted.filter(({ ofService, origin }) => {
    const [first] = origin.objects;
    return !ofService || (first !== undefined && services.has(`${first.namespace}/${first.name}`));
  });
  return joined(withDeleted(kept, stale));
}

interface Line {
  readonly text: string;
  readonly origin: LineOrigin;
  /** The chain that the line declares. */
  readonly declares: string | undefined;
  /** The chain that it declares or adds to belongs to one Service. */
  readonly ofService: boolean;
}

function linesOf({ text, origins }: RenderedText): readonly Line[] {
  const lines = text.split("\n");
  return origins.map((origin, index) => lineOf(lines[index] ?? "", origin));
}

function lineOf(text: string, origin: LineOrigin): Line {
  const [, colon, chain = ""] = /^(:|-A )(\S+)/.exec(text) ?? [];
  return {
    text,
    origin,
    declares: colon === ":" ? chain : undefined,
    ofService: OF_A_SERVICE.test(chain),
  };
}

/** Stale chains are named after those of the nat table, which flushes them, and go when all services are written. */
function withDeleted(lines: readonly Line[], stale: readonly Line[]): readonly Line[] {
  const nat = lines.findIndex(({ text }) => text === "*nat");
  const firstRule = lines.findIndex(({ text }, index) => index > nat && text.startsWith("-"));
  const last = lines.findIndex(
    ({ text }, index) =>
      index > nat && (text === "COMMIT" || text.includes("NOTE: this must be the last rule")),
  );
  const gone = (text: string): Line =>
    lineOf(text, always("a chain of an endpoint or a Service that is gone"));
  return [
    ...lines.slice(0, firstRule),
    ...stale.map(({ text }) => gone(text)),
    ...lines.slice(firstRule, last),
    ...stale.map(({ declares = "" }) => gone(`-X ${declares}`)),
    ...lines.slice(last),
  ];
}

function joined(lines: readonly Line[]): RenderedText {
  return {
    text: lines.map(({ text }) => `${text}\n`).join(""),
    origins: lines.map(({ origin }) => origin),
  };
}
