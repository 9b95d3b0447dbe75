import { isMapping } from "../load/check.js";
import { type CniCall, mappingField, numberField, type PluginConfig } from "./config.js";
import { fail } from "./failure.js";
import { type CniHost, macFor } from "./host.js";
import { chainName } from "./masquerade.js";
import { sandboxOf } from "./plugin.js";
import { type CniResult, parseResult } from "./result.js";
import { newLink } from "./veth.js";

/** Bits a second, and bits at once; of both directions or of one. */
interface Bandwidth {
  readonly ingressRate: number;
  readonly ingressBurst: number;
  readonly egressRate: number;
  readonly egressBurst: number;
}

/**
 * `bandwidth` ADD: a token bucket on the node's end of the pair for what goes to the container, and one on a device of its
 * own for what comes from there. Mirrors plugins/meta/bandwidth/main.go:cmdAdd().
 */
export function bandwidthAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  const limits = readBandwidth(config);
  const previous = previousOf(config);
  if (limits === undefined) return previous ?? fail("must be called as chained plugin");
  if (previous === undefined) return fail("must be called as chained plugin");
  const { ns } = sandboxOf(host, call);
  const name = call.env["CNI_IFNAME"] ?? "";
  const peer = hostEnd(host, ns, name, previous);
  const { ingressRate, ingressBurst, egressRate, egressBurst } = limits;
  if (ingressRate > 0 && ingressBurst > 0) addBucket(host, peer, ingressRate, ingressBurst);
  if (egressRate === 0 || egressBurst === 0) return previous;
  const device = ifbName(config, call);
  const mac = macFor(`${host.ns} ${device}`);
  const mtu = host.links(host.ns).get(peer)?.mtu ?? 1500;
  host.run(
    host.ns,
    ...["ip", "link", "add", device, "address", mac, "mtu", String(mtu), "type", "ifb"],
  );
  host.run(host.ns, "ip", "link", "set", device, "up");
  host.links(host.ns).set(device, { ...newLink(device, "ifb", mac), up: true, mtu });
  host.run(host.ns, "tc", "qdisc", "add", "dev", peer, "handle", "ffff:", "ingress");
  host.run(
    host.ns,
    ...["tc", "filter", "add", "dev", peer, "parent", "ffff:", "protocol", "all", "prio", "1"],
    ...["u32", "match", "u32", "0", "0", "flowid", "1:1"],
    ...["action", "mirred", "egress", "redirect", "dev", device],
  );
  addBucket(host, device, egressRate, egressBurst);
  return { ...previous, interfaces: [...previous.interfaces, { name: device, mac }] };
}

export function bandwidthDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  readBandwidth(config);
  host.deleteLink(host.ns, ifbName(config, call));
}

export function bandwidthCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  const limits = readBandwidth(config);
  const previous = previousOf(config) ?? fail("must be called as a chained plugin");
  if (limits === undefined) return;
  const { ns } = sandboxOf(host, call);
  hostEnd(host, ns, call.env["CNI_IFNAME"] ?? "", previous);
  if (limits.egressRate > 0 && !host.links(host.ns).has(ifbName(config, call)))
    fail(`get host interface's ifb device: Link not found`);
}

/** `bwp` and twelve digits, one for each container of a network. */
function ifbName(config: PluginConfig, call: CniCall): string {
  return chainName("bwp", config, call).slice(0, 15);
}

function previousOf({ raw }: PluginConfig): CniResult | undefined {
  return raw["prevResult"] === undefined ? undefined : parseResult(raw["prevResult"]);
}

/** In the configuration, or else asked for at run time; undefined without a limit. Mirrors getBandwidth() and validateRateAndBurst(). */
function readBandwidth({ raw }: PluginConfig): Bandwidth | undefined {
  const atRuntime = mappingField(raw, "runtimeConfig")["bandwidth"];
  const keys = ["ingressRate", "ingressBurst", "egressRate", "egressBurst"] as const;
  const own = keys.some((key) => raw[key] !== undefined);
  const from = own || !isMapping(atRuntime) ? raw : atRuntime;
  const [ingressRate = 0, ingressBurst = 0, egressRate = 0, egressBurst = 0] = keys.map((key) =>
    numberField(from, key),
  );
  checkPair(ingressRate, ingressBurst);
  checkPair(egressRate, egressBurst);
  if (ingressRate + ingressBurst + egressRate + egressBurst === 0) return undefined;
  return { ingressRate, ingressBurst, egressRate, egressBurst };
}

const MAX_BURST = 0xffff_ffff;

function checkPair(rate: number, burst: number): void {
  if (burst < 0 || rate < 0) fail("rate and burst must be a positive integer");
  if (burst === 0 && rate !== 0) fail("if rate is set, burst must also be set");
  if (rate === 0 && burst !== 0) fail("if burst is set, rate must also be set");
  if (Math.floor(burst / 8) >= MAX_BURST) fail("burst cannot be more than 4GB");
}

/** The node's end of the container's pair, which the result has to name. Mirrors getHostInterface(). */
function hostEnd(host: CniHost, ns: string, name: string, { interfaces }: CniResult): string {
  if (interfaces.length === 0) fail("no interfaces provided");
  const { peer } = host.links(ns).get(name) ?? {};
  if (peer === undefined) return fail(`container interface ${name} has no veth peer: <nil>`);
  const listed = interfaces.some((one) => one.sandbox === undefined && one.name === peer.name);
  if (peer.ns !== host.ns || !listed) fail("no veth peer of container interface found in host ns");
  return peer.name;
}

/** What waits 25 ms at most. */
const LATENCY = 0.025;

/** Mirrors plugins/meta/bandwidth/ifb_creator.go:createTBF(). */
function addBucket(host: CniHost, device: string, rate: number, burst: number): void {
  const bytes = Math.floor(burst / 8);
  const limit = Math.floor((rate / 8) * LATENCY) + bytes;
  host.run(
    host.ns,
    ...["tc", "qdisc", "add", "dev", device, "root", "handle", "1:", "tbf"],
    ...["rate", `${rate}bit`, "burst", `${bytes}b`, "limit", `${limit}b`],
  );
}
