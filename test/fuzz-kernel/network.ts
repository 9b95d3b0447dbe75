import type { Choose } from "./choose.js";
import type { DraftCommand } from "./draft.js";

export interface Address {
  readonly ns: string;
  readonly dev: string;
  readonly address: string;
  readonly length: number;
}

/** A network while it is being put together, and what later parts need to know of it. */
export class Network {
  readonly namespaces: string[] = [];
  readonly links: [string, string][] = [];
  readonly commands: DraftCommand[] = [];
  readonly addresses: Address[] = [];
  readonly listen: { ns: string; what: string }[] = [];
  /** Namespaces that forward. */
  readonly routers: string[] = [];
  /** Namespaces with a bridge, and its ports. */
  readonly bridges: { readonly ns: string; readonly dev: string; readonly ports: string[] }[] = [];
  /** What is drawn from; parts that only some seeds have draw from streams of their own. */
  choose: Choose;

  constructor(choose: Choose) {
    this.choose = choose;
  }

  space(...names: readonly string[]): void {
    this.namespaces.push(...names);
  }

  link(a: string, devA: string, b: string, devB: string): void {
    this.links.push([`${a}:${devA}`, `${b}:${devB}`]);
  }

  run(ns: string, run: string): void {
    this.commands.push({ ns, run });
  }

  address(ns: string, dev: string, address: string, length: number): void {
    this.addresses.push({ ns, dev, address, length });
    this.run(ns, `ip addr add ${address}/${length} dev ${dev}`);
  }

  router(ns: string): void {
    this.routers.push(ns);
    this.run(ns, "sysctl -qw net.ipv4.ip_forward=1");
  }

  bridge(ns: string, dev: string, ports: readonly string[]): void {
    const mac = `02:00:00:00:ff:${String(this.bridges.length + 10)}`;
    this.run(ns, `ip link add ${dev} address ${mac} type bridge`);
    for (const port of ports) this.run(ns, `ip link set ${port} master ${dev}`);
    this.run(ns, `ip link set ${dev} up`);
    this.bridges.push({ ns, dev, ports: [...ports] });
  }

  /** The devices of a namespace that can have addresses, without lo. */
  devices(ns: string): readonly string[] {
    const ends = this.links
      .flat()
      .filter((end) => end.startsWith(`${ns}:`))
      .map((end) => end.slice(ns.length + 1));
    return [...ends, ...this.bridges.filter((one) => one.ns === ns).map(({ dev }) => dev)];
  }

  /** The addresses of a namespace. */
  of(ns: string): readonly Address[] {
    return this.addresses.filter((one) => one.ns === ns);
  }

  /** Addresses that a namespace can reach without a router: others in its subnets. */
  neighbours(ns: string): readonly (Address & { readonly via: string })[] {
    return this.of(ns).flatMap((own) =>
      this.addresses
        .filter((other) => other.ns !== ns && subnet(other.address) === subnet(own.address))
        .map((other) => ({ ...other, via: own.dev })),
    );
  }
}

/** The first three numbers. */
export function subnet(address: string): string {
  return address.slice(0, address.lastIndexOf("."));
}

/** Addresses that nobody has, for destination NAT. */
export const virtual: readonly string[] = ["10.96.0.1", "10.96.0.2", "10.96.0.3"];

export const serverPorts: readonly number[] = [53, 80, 443, 8080];
