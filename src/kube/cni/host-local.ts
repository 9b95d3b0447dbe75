import {
  type Address,
  blockContains,
  formatAddress,
  formatBlock,
  parseAddress,
  sameAddress,
  step,
} from "./address.js";
import {
  type CniCall,
  listField,
  mappingField,
  parseArgs,
  type PluginConfig,
  stringField,
  stringsField,
} from "./config.js";
import { fail } from "./failure.js";
import type { CniHost } from "./host.js";
import { type IpRange, parseRangeSets, type RangeSet, rangeSetText } from "./ip-range.js";
import type { CniIp, CniResult } from "./result.js";
import { routesOf } from "./routes.js";

interface IpamConfig {
  readonly directory: string;
  readonly sets: readonly RangeSet[];
  readonly asked: readonly Address[];
  readonly routes: CniResult["routes"];
}

/** A line break in host-local's files. */
const BREAK = "\r\n";

/**
 * host-local ADD: one address from every range set. Mirrors
 * github.com/containernetworking/plugins/plugins/ipam/host-local/main.go:cmdAdd().
 */
export function hostLocalAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  const ipam = ipamConfig(config, call);
  const id = ownerOf(call);
  let asked = ipam.asked;
  const ips: CniIp[] = [];
  const reserved: string[] = [];
  const release = (): void => {
    for (const file of reserved) host.files.delete(file);
  };
  for (const [number, set] of ipam.sets.entries()) {
    const wanted = asked.find((address) => set.some((range) => inRange(range, address)));
    asked = asked.filter((address) => address !== wanted);
    const allocator = new Allocator(host, ipam.directory, set, number);
    try {
      const { address, range } = allocator.get(id, wanted);
      reserved.push(`${ipam.directory}/${formatAddress(address)}`);
      ips.push({
        address: formatBlock({ ...address, length: range.subnet.length }),
        gateway: formatAddress(range.gateway),
      });
    } catch (error) {
      release();
      if (error instanceof Error) fail(`failed to allocate for range ${number}: ${error.message}`);
      throw error;
    }
  }
  if (asked.length > 0) {
    release();
    fail(`failed to allocate all requested IPs: ${asked.map(formatAddress).join(",")}`);
  }
  return { interfaces: [], ips, routes: ipam.routes, dns: {} };
}

/** host-local DEL: gives back what the container holds, of old files too that have the id alone. */
export function hostLocalDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  const { directory } = ipamConfig(config, call);
  const id = ownerOf(call);
  const old = call.env["CNI_CONTAINERID"] ?? "";
  for (const [file, content] of host.files) {
    if (
      file.startsWith(`${directory}/`) &&
      !/last_reserved_ip\.\d+$/.test(file) &&
      (content === id || content === old)
    ) {
      host.files.delete(file);
    }
  }
}

export function hostLocalCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  const { directory } = ipamConfig(config, call);
  const id = ownerOf(call);
  const found = [...host.files].some(
    ([file, content]) => file.startsWith(`${directory}/`) && content === id,
  );
  if (!found)
    fail(
      `host-local: Failed to find address added by container ${call.env["CNI_CONTAINERID"] ?? ""}`,
    );
}

function ownerOf({ env }: CniCall): string {
  return `${env["CNI_CONTAINERID"] ?? ""}${BREAK}${env["CNI_IFNAME"] ?? ""}`;
}

/** Mirrors plugins/ipam/host-local/backend/allocator/config.go:LoadIPAMConfig(). */
function ipamConfig(config: PluginConfig, call: CniCall): IpamConfig {
  const { raw } = config;
  if (raw["ipam"] === undefined) fail("IPAM config missing 'ipam' key");
  const ipam = mappingField(raw, "ipam");
  const asked = [
    ...askedInArgs(call),
    ...askedIn(stringsField(mappingField(mappingField(raw, "args"), "cni"), "ips")),
    ...askedIn(stringsField(mappingField(raw, "runtimeConfig"), "ips")),
  ];
  const inPlace = ipam["subnet"] === undefined ? [] : [[ipam]];
  const runtime = listField(mappingField(raw, "runtimeConfig"), "ipRanges");
  const sets = parseRangeSets([...runtime, ...inPlace, ...listField(ipam, "ranges")]);
  const directory = `${stringField(ipam, "dataDir") || "/var/lib/cni/networks"}/${config.name}`;
  return { directory, sets, asked, routes: routesOf(ipam) };
}

function askedInArgs({ env }: CniCall): readonly Address[] {
  const text = parseArgs(env["CNI_ARGS"], ["IP"]).get("IP");
  if (text === undefined) return [];
  return [
    parseAddress(text) ??
      fail(`ARGS: error parsing value of pair "IP=${text}": invalid IP address ${text}`),
  ];
}

function askedIn(texts: readonly string[]): readonly Address[] {
  return texts.map(
    (text) => parseAddress(text.split("/", 1)[0] ?? "") ?? fail(`invalid IP address ${text}`),
  );
}

function inRange(range: IpRange, address: Address): boolean {
  return (
    blockContains(range.subnet, address) &&
    address.value >= range.start.value &&
    address.value <= range.end.value
  );
}

/** Finds free addresses in one range set. Mirrors backend/allocator/allocator.go. */
class Allocator {
  readonly #host: CniHost;
  readonly #directory: string;
  readonly #set: RangeSet;
  readonly #number: number;

  constructor(host: CniHost, directory: string, set: RangeSet, number: number) {
    this.#host = host;
    this.#directory = directory;
    this.#set = set;
    this.#number = number;
  }

  get(
    id: string,
    wanted: Address | undefined,
  ): { readonly address: Address; readonly range: IpRange } {
    if (wanted !== undefined) return this.#getWanted(id, wanted);
    this.#refuseSecond(id);
    for (const candidate of this.#candidates()) {
      if (this.#reserve(id, candidate.address)) return candidate;
    }
    return fail(`no IP addresses available in range set: ${rangeSetText(this.#set)}`);
  }

  #getWanted(id: string, address: Address): { readonly address: Address; readonly range: IpRange } {
    const range = this.#set.find((candidate) => inRange(candidate, address));
    if (range === undefined)
      return fail(`requested ip ${formatAddress(address)} is not in range set`);
    if (sameAddress(address, range.gateway))
      fail(`requested ip ${formatAddress(address)} is subnet's gateway`);
    if (!this.#reserve(id, address)) {
      fail(
        `requested IP address ${formatAddress(address)} is not available in range set ${rangeSetText(this.#set)}`,
      );
    }
    return { address, range };
  }

  /** A container that has an address of this set on this interface gets no other. */
  #refuseSecond(id: string): void {
    for (const [file, content] of this.#host.files) {
      if (content !== id || !file.startsWith(`${this.#directory}/`)) continue;
      const address = parseAddress(file.slice(this.#directory.length + 1));
      if (address === undefined || !this.#set.some((range) => inRange(range, address))) continue;
      const container = id.split(BREAK, 1)[0] ?? "";
      fail(
        `${formatAddress(address)} has been allocated to ${container}, duplicate allocation is not allowed`,
      );
    }
  }

  /** Every address once, beginning after the last one that was reserved. */
  *#candidates(): Generator<{ readonly address: Address; readonly range: IpRange }> {
    const text = this.#host.files.get(this.#lastFile);
    const last = text === undefined ? undefined : parseAddress(text);
    const found = last === undefined ? -1 : this.#set.findIndex((range) => inRange(range, last));
    const first = Math.max(0, found);
    const count = this.#set.length;
    const begin = found < 0 || last === undefined ? undefined : last;
    for (let turn = 0; turn <= count; turn++) {
      const range = this.#set[(first + turn) % count];
      if (range === undefined) return;
      const from = turn === 0 && begin !== undefined ? step(begin, 1n) : range.start;
      const to = turn === count ? begin : range.end;
      if (to === undefined) return;
      for (let address = from; address.value <= to.value; address = step(address, 1n)) {
        if (!sameAddress(address, range.gateway)) yield { address, range };
      }
    }
  }

  #reserve(id: string, address: Address): boolean {
    const file = `${this.#directory}/${formatAddress(address)}`;
    if (this.#host.files.has(file)) return false;
    this.#host.files.set(file, id);
    this.#host.files.set(this.#lastFile, formatAddress(address));
    return true;
  }

  get #lastFile(): string {
    return `${this.#directory}/last_reserved_ip.${this.#number}`;
  }
}
