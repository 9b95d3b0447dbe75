import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import type { NetDevice } from "../core/device.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { ReplayPoint } from "../core/replay-recording.js";
import type { Simulation } from "../core/simulation.js";
import type { Capture } from "../wire/capture.js";

/** Which packets of a capture were seen where, as `--at` says it. */
export interface PointRule {
  /** An interface's name, its number, or `if5` for the device index that cooked packets carry; undefined for all. */
  readonly interface: string | undefined;
  readonly ns: string;
  readonly dev: string;
}

/** Reads `NODE:DEV` or `INTERFACE=NODE:DEV`. Throws UserError. */
export function parsePoint(text: string): PointRule {
  const [, from, ns, dev] = /^(?:([^=]+)=)?(.+):([^:\s]{1,15})$/.exec(text) ?? [];
  if (ns === undefined || dev === undefined)
    throw new UserError("REPLAY_POINT", `"${text}" is no place to replay at`, {
      help: "say NODE:DEVICE, as in --at worker-1:eth0; INTERFACE=NODE:DEVICE for one interface of the capture",
    });
  return { interface: from, ns, dev };
}

/** The place where a packet was captured. */
export interface Point extends ReplayPoint {
  readonly netns: NetworkNamespace;
  readonly device: NetDevice;
}

/** Finds the place of each packet. */
export class Points {
  readonly #sim: Simulation;
  readonly #capture: Capture;
  readonly #rules: readonly PointRule[];
  readonly #found = new Map<string, Point | undefined>();

  /** Throws a UserError for a place that the world does not have. */
  constructor(sim: Simulation, capture: Capture, rules: readonly PointRule[]) {
    this.#sim = sim;
    this.#capture = capture;
    this.#rules = rules;
    for (const rule of rules) pointCalled(sim, rule);
    for (const { interface: name } of rules) if (name !== undefined) checkInterface(capture, name);
  }

  /** Where interface `index` of the capture listened; `ifindex` is what the packet itself says. */
  at(index: number, ifindex: number | undefined): Point | undefined {
    const key = `${index} ${ifindex ?? ""}`;
    if (!this.#found.has(key)) this.#found.set(key, this.#find(index, ifindex));
    return this.#found.get(key);
  }

  /** Every place that an interface of the capture may be. */
  all(): readonly Point[] {
    const named = this.#capture.interfaces.flatMap((_, index) => this.at(index, undefined) ?? []);
    return [...named, ...this.#rules.map((rule) => pointCalled(this.#sim, rule))];
  }

  /** Why a packet has no place. */
  missing(index: number, ifindex: number | undefined): string {
    const { name } = this.#capture.interfaces[index] ?? {};
    const which = ifindex === undefined ? (name ?? String(index)) : `if${ifindex}`;
    return `interface ${which} of the capture is no device of the world: --at ${which}=NODE:DEVICE says which`;
  }

  #find(index: number, ifindex: number | undefined): Point | undefined {
    const { name } = this.#capture.interfaces[index] ?? {};
    const words = [name, String(index), ifindex === undefined ? undefined : `if${ifindex}`];
    const named = this.#rules.find(
      (rule) => rule.interface !== undefined && words.includes(rule.interface),
    );
    const rule = named ?? this.#rules.find((one) => one.interface === undefined);
    if (rule !== undefined) return pointCalled(this.#sim, rule);
    return name === undefined ? undefined : this.#pointNamed(name);
  }

  /** Hopwise's own captures name an interface `NODE/DEVICE`. */
  #pointNamed(name: string): Point | undefined {
    const [, ns = "", dev = ""] = /^(.+)[/:]([^/:]+)$/.exec(name) ?? [];
    const netns = this.#sim.namespaces.get(ns);
    const device = netns?.devices.get(dev);
    return netns === undefined || device === undefined ? undefined : { ns, dev, netns, device };
  }
}

function checkInterface({ interfaces, file }: Capture, name: string): void {
  const names = interfaces.flatMap((one, index) => [one.name ?? "", String(index)]);
  if (names.includes(name) || /^if\d+$/.test(name)) return;
  const near = nearest(name, names);
  throw new UserError("REPLAY_INTERFACE", `${file} has no interface "${name}"`, {
    help:
      near !== undefined && near !== ""
        ? `did you mean ${near}?`
        : `it has ${interfaces
            .map((one, index) => one.name ?? String(index))
            .slice(0, 10)
            .join(", ")}`,
  });
}

function pointCalled(sim: Simulation, { ns, dev }: PointRule): Point {
  const netns = sim.namespaces.get(ns);
  if (netns === undefined) {
    const near = nearest(ns, sim.namespaces.keys());
    throw new UserError("NAME_UNKNOWN", `no node or pod "${ns}" to replay at`, {
      help:
        near === undefined
          ? `there are ${[...sim.namespaces.keys()].slice(0, 12).join(", ")}`
          : `did you mean ${near}?`,
    });
  }
  const device = netns.devices.get(dev);
  if (device === undefined) {
    const names = [...netns.devices.keys()];
    const near = nearest(dev, names);
    throw new UserError("DEVICE_UNKNOWN", `no device "${dev}" in ${ns}`, {
      help:
        near === undefined ? `there are ${names.slice(0, 20).join(", ")}` : `did you mean ${near}?`,
    });
  }
  return { ns, dev, netns, device };
}
