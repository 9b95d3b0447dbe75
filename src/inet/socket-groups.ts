import type { NetDevice } from "../core/device.js";
import type { Errno } from "../core/errno.js";
import type { NetworkNamespace } from "../core/namespace.js";
import type { IpAddress } from "../wire/ip.js";
import type { InetFamily } from "./family.js";
import { isRoute } from "./route-output.js";
import { ipv4Sysctls } from "./sysctls.js";

/** The multicast groups that one socket joined. Mirrors struct ip_mc_socklist and struct ipv6_mc_socklist. */
export class SocketGroups {
  readonly #ns: NetworkNamespace;
  readonly #family: InetFamily;
  #joined: readonly { readonly dev: NetDevice; readonly group: IpAddress }[] = [];

  constructor(ns: NetworkNamespace, family: InetFamily) {
    this.#ns = ns;
    this.#family = family;
  }

  /** Without a device the one that the way to the group leaves by. Mirrors ip_mc_join_group() and ipv6_sock_mc_join(). */
  join(group: IpAddress, device: string | undefined): Errno | undefined {
    if (!this.#family.isGroup(group)) return "EINVAL";
    const dev = this.#device(group, device);
    if (dev === undefined) return "ENODEV";
    if (this.#joined.some((other) => other.dev === dev && other.group === group))
      return "EADDRINUSE";
    const most = ipv4Sysctls(this.#ns).get("net.ipv4.igmp_max_memberships");
    if (typeof group === "number" && this.#joined.length >= most) return "ENOBUFS";
    this.#joined = [...this.#joined, { dev, group }];
    this.#family.joinGroup(dev, group);
    return undefined;
  }

  /** Mirrors ip_mc_leave_group() and ipv6_sock_mc_drop(). */
  leave(group: IpAddress, device: string | undefined): Errno | undefined {
    const dev = this.#device(group, device);
    const found = this.#joined.find((other) => other.dev === dev && other.group === group);
    if (found === undefined) return "EADDRNOTAVAIL";
    this.#joined = this.#joined.filter((other) => other !== found);
    this.#family.leaveGroup(found.dev, group);
    return undefined;
  }

  /** A socket that closes leaves all its groups. Mirrors ip_mc_drop_socket(). */
  leaveAll(): void {
    for (const { dev, group } of this.#joined) this.#family.leaveGroup(dev, group);
    this.#joined = [];
  }

  #device(group: IpAddress, name: string | undefined): NetDevice | undefined {
    if (name !== undefined) return this.#ns.devices.get(name);
    const route = this.#family.route(this.#ns, {
      destination: group,
      mark: 0,
      tos: 0,
      protocol: 0,
    });
    return isRoute(route) ? route.dev : undefined;
  }
}
